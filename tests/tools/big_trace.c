// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes large traces to standard output, for scripts/bench and the tests. Not installed.
 *
 * usage: big_trace events N [PROCESSES]	N events of PROCESSES (200) Python programs that import much
 *        big_trace copies N TRACE		every image of TRACE, N times over, as processes of their own
 *
 * What "events" writes is put together as a program that imports pandas, scipy and matplotlib has it: of 100 events 65 are
 * begin and end of an import, the others belong to extension modules and what they load; one import of 36 is of an
 * optional module that is not there, with the snapshot that the recorder takes then. Batches are as large as the
 * recorder makes them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../analyzer/trace/cbor_get.h"
#include "../../analyzer/trace/event.h"
#include "../../analyzer/trace/frame_reader.h"
#include "trace_items.h"

#define BATCH_FULL (IMP_BATCH_MAX / 2) /* as in the recorder */
#define MODULES	   10000	       /* different ones */
#define DIRECTORIES 250
#define OPTIONAL   40		       /* different ones that are not there */
#define DEPTH	   8		       /* imports within each other */

struct process {
	uint64_t pid, seq, now, ids, objects, imports, events;
	unsigned int seed, program, depth;
	struct {
		uint64_t id;
		unsigned int module;
		bool failing;
	} open[DEPTH];
	unsigned int strings;	   /* how many are defined */
	unsigned int name[MODULES]; /* the strings of their names; 0: not defined yet */
	unsigned int directory[DIRECTORIES];
	uint8_t batch[IMP_BATCH_MAX];
	size_t len;
};

/* ---- "events" ------------------------------------------------------------------------------- */

static void flush(struct process *p)
{
	size_t head;

	if (!p->len)
		return;
	head = put_batch_head(p->pid, p->pid, p->seq++);
	memmove(p->batch + head, p->batch, p->len);
	memcpy(p->batch, item, head);
	write_frame(p->batch, head + p->len);
	p->len = 0;
}

static void end_item(struct process *p)
{
	imp_cbor_map_end(&c);
	if (c.overflow)
		die("an item");
	memcpy(p->batch + p->len, item, c.len);
	p->len += c.len;
}

static void begin(struct process *p, enum imp_event_kind kind)
{
	p->now += 2000 + (uint64_t)rand_r(&p->seed) % 60000;
	p->events++;
	begin_item(kind);
	uint_of(IMP_KEY_TIME_NS, p->now);
}

enum { FILE_FINDER = 1, SOURCE_LOADER, MODULE_FUNCTION };

#define DIRECTORY(p, module) ((p)->directory[(module) / 40])

static const char *module_name(unsigned int module)
{
	static char name[80];

	snprintf(name, sizeof(name), "framework%u.subpackage%u.module_%u", module / 400, module / 40, module);
	return name;
}

static unsigned int define(struct process *p, const char *string)
{
	begin_item(IMP_EV_STRING);
	uint_of(IMP_KEY_ID, ++p->strings);
	text_of(IMP_KEY_TEXT, string);
	end_item(p);
	return p->strings;
}

/* The strings that events of this module refer to: each is written once in a process. */
static void define_module(struct process *p, unsigned int module)
{
	char name[96];

	if (p->name[module])
		return;
	snprintf(name, sizeof(name), "/usr/lib/python3/dist-packages/framework%u/subpackage%u", module / 400, module / 40);
	if (!DIRECTORY(p, module))
		DIRECTORY(p, module) = define(p, name);
	p->name[module] = define(p, module_name(module));
}

static void start(struct process *p)
{
	begin(p, IMP_EV_PROCESS);
	uint_of(IMP_KEY_HOW, IMP_START_FIRST);
	uint_of(IMP_KEY_PPID, 1);
	text_of(IMP_KEY_EXE, "/usr/bin/python3.11");
	imp_cbor_uint(&c, IMP_KEY_ARGV);
	imp_cbor_array_begin(&c);
	text("python3");
	text("worker.py");
	imp_cbor_array_end(&c);
	text_of(IMP_KEY_CWD, "/srv");
	end_item(p);
	begin(p, IMP_EV_INTERPRETER);
	text_of(IMP_KEY_VERSION, "3.11.2 (main)");
	text_of(IMP_KEY_IMPLEMENTATION, "cpython");
	text_of(IMP_KEY_CACHE_TAG, "cpython-311");
	text_of(IMP_KEY_EXECUTABLE, "/usr/bin/python3");
	text_of(IMP_KEY_PREFIX, "/usr");
	text_of(IMP_KEY_BASE_PREFIX, "/usr");
	end_item(p);
	begin(p, IMP_EV_SYS_PATH);
	imp_cbor_uint(&c, IMP_KEY_PATH);
	imp_cbor_array_begin(&c);
	text("/usr/lib/python3.11");
	text("/usr/lib/python3/dist-packages");
	imp_cbor_array_end(&c);
	uint_of(IMP_KEY_PHASE, IMP_PHASE_START);
	end_item(p);
}

static void put_frame(struct process *p, unsigned int module)
{
	char file[32];

	snprintf(file, sizeof(file), "module_%u.py", module);
	imp_cbor_uint(&c, IMP_KEY_FRAME);
	imp_cbor_array_begin(&c);
	path(DIRECTORY(p, module), file);
	imp_cbor_uint(&c, 1 + p->imports % 40);
	imp_cbor_uint(&c, MODULE_FUNCTION);
	imp_cbor_uint(&c, p->name[module]);
	imp_cbor_array_end(&c);
}

/* What the recorder writes around one extension module; it is there once a process. */
static void load_extension(struct process *p, unsigned int module, uint64_t import)
{
	uint64_t call = ++p->ids, open = ++p->ids, handle = 0x5600000 + p->objects * 4096;
	char file[64], symbol[32];
	int step;

	snprintf(file, sizeof(file), "module_%u.cpython-311-x86_64-linux-gnu.so", module);
	snprintf(symbol, sizeof(symbol), "PyInit_module_%u", module);
	for (step = IMP_STEP_CREATE; step <= IMP_STEP_EXEC; step++) {
		begin(p, IMP_EV_EXT_BEGIN);
		uint_of(IMP_KEY_CALL, call);
		uint_of(IMP_KEY_STEP, (uint64_t)step);
		uint_of(IMP_KEY_TEXT, p->name[module]);
		imp_cbor_uint(&c, IMP_KEY_ORIGIN);
		path(DIRECTORY(p, module), file);
		uint_of(IMP_KEY_IMPORT, import);
		end_item(p);
		if (step == IMP_STEP_CREATE) {
			begin(p, IMP_EV_DLOPEN_ENTER);
			uint_of(IMP_KEY_CALL, open);
			imp_cbor_uint(&c, IMP_KEY_TEXT);
			path(DIRECTORY(p, module), file);
			uint_of(IMP_KEY_FLAGS, 2);
			uint_of(IMP_KEY_CALLER, 1);
			uint_of(IMP_KEY_OFFSET, 0x63c31c);
			end_item(p);
			begin(p, IMP_EV_OBJECT);
			uint_of(IMP_KEY_OBJECT, ++p->objects);
			imp_cbor_uint(&c, IMP_KEY_TEXT);
			path(DIRECTORY(p, module), file);
			uint_of(IMP_KEY_ADDRESS, 0x7f0000000000 + p->objects * 0x100000);
			uint_of(IMP_KEY_SIZE, 65536);
			imp_cbor_uint(&c, IMP_KEY_BUILD_ID);
			imp_cbor_bytes(&c, symbol, 20);
			end_item(p);
			begin(p, IMP_EV_DLOPEN_LEAVE);
			uint_of(IMP_KEY_CALL, open);
			uint_of(IMP_KEY_HANDLE, handle);
			uint_of(IMP_KEY_OBJECT, p->objects);
			end_item(p);
			begin(p, IMP_EV_DLSYM);
			uint_of(IMP_KEY_HANDLE, handle);
			text_of(IMP_KEY_TEXT, symbol);
			uint_of(IMP_KEY_CALLER, 1);
			uint_of(IMP_KEY_OFFSET, 0x63c331);
			uint_of(IMP_KEY_ADDRESS, 0x7f0000000000 + p->objects * 0x100000 + 4096);
			end_item(p);
		}
		begin(p, IMP_EV_EXT_END);
		uint_of(IMP_KEY_CALL, call);
		end_item(p);
		call = ++p->ids;
	}
}

static void put_searched(unsigned int directory, enum imp_search_result result)
{
	imp_cbor_uint(&c, IMP_KEY_SEARCHED);
	imp_cbor_array_begin(&c);
	imp_cbor_array_begin(&c);
	imp_cbor_uint(&c, directory);
	imp_cbor_uint(&c, FILE_FINDER);
	imp_cbor_uint(&c, result);
	imp_cbor_array_end(&c);
	imp_cbor_array_end(&c);
}

static void fail(struct process *p, uint64_t import, unsigned int module)
{
	char name[32], message[64];

	snprintf(name, sizeof(name), "optional_%u", module % OPTIONAL);
	snprintf(message, sizeof(message), "No module named '%s'", name);
	begin(p, IMP_EV_IMPORT_END);
	uint_of(IMP_KEY_IMPORT, import);
	put_searched(DIRECTORY(p, module), IMP_SEARCH_ABSENT);
	imp_cbor_uint(&c, IMP_KEY_EXCEPTION);
	imp_cbor_map_begin(&c);
	text_of(IMP_EXC_TYPE, "ModuleNotFoundError");
	text_of(IMP_EXC_MESSAGE, message);
	uint_of(IMP_EXC_ID, 0x7f0000000000 + import * 64);
	text_of(IMP_EXC_NAME, name);
	imp_cbor_map_end(&c);
	end_item(p);
	begin(p, IMP_EV_SNAPSHOT);
	uint_of(IMP_KEY_IMPORT, import);
	text_of(IMP_KEY_TEXT, name);
	uint_of(IMP_KEY_SYS_MODULES, IMP_MODULE_ABSENT);
	imp_cbor_uint(&c, IMP_KEY_ENTRIES);
	imp_cbor_array_begin(&c);
	imp_cbor_map_begin(&c);
	text_of(IMP_ENTRY_ENTRY, "/usr/lib/python3/dist-packages");
	imp_cbor_uint(&c, IMP_ENTRY_FINDER);
	imp_cbor_uint(&c, FILE_FINDER);
	uint_of(IMP_ENTRY_STATE, IMP_PATH_DIRECTORY);
	uint_of(IMP_ENTRY_FINDER_NAMES, 188);
	imp_cbor_map_end(&c);
	imp_cbor_array_end(&c);
	end_item(p);
}

static void begin_import(struct process *p)
{
	unsigned int module = (p->program * 1200 + (unsigned int)p->imports) % MODULES;
	uint64_t parent = p->depth ? p->open[p->depth - 1].id : 0, id = ++p->ids;
	bool failing = p->imports % 36 == 35;
	char name[32];

	if (!p->strings) {
		define(p, "FileFinder");
		define(p, "SourceFileLoader");
		define(p, "<module>");
	}
	define_module(p, module);
	p->imports++;
	begin(p, IMP_EV_IMPORT_BEGIN);
	uint_of(IMP_KEY_IMPORT, id);
	snprintf(name, sizeof(name), "optional_%u", module % OPTIONAL);
	if (failing)
		text_of(IMP_KEY_TEXT, name);
	else
		uint_of(IMP_KEY_TEXT, p->name[module]);
	if (parent)
		uint_of(IMP_KEY_PARENT, parent);
	put_frame(p, module);
	end_item(p);
	if (!failing && p->imports % 13 == 0 && p->imports < MODULES)
		load_extension(p, module, id);
	p->open[p->depth].id = id;
	p->open[p->depth].failing = failing;
	p->open[p->depth++].module = module;
}

static void end_import(struct process *p)
{
	unsigned int module = p->open[--p->depth].module;
	char file[32];

	if (p->open[p->depth].failing) {
		fail(p, p->open[p->depth].id, module);
		return;
	}
	snprintf(file, sizeof(file), "module_%u.py", module);
	begin(p, IMP_EV_IMPORT_END);
	uint_of(IMP_KEY_IMPORT, p->open[p->depth].id);
	imp_cbor_uint(&c, IMP_KEY_ORIGIN);
	path(DIRECTORY(p, module), file);
	uint_of(IMP_KEY_LOADER, SOURCE_LOADER);
	put_searched(DIRECTORY(p, module), IMP_SEARCH_FOUND);
	end_item(p);
}

static void step(struct process *p)
{
	bool failing = p->depth && p->open[p->depth - 1].failing;

	if (!p->depth || (!failing && p->depth < DEPTH && rand_r(&p->seed) % 2))
		begin_import(p);
	else
		end_import(p);
	if (p->len >= BATCH_FULL)
		flush(p);
}

static void write_events(uint64_t events, uint64_t processes)
{
	struct process *all = calloc(processes, sizeof(*all));
	uint64_t done = 0, i;

	if (!all)
		die("memory");
	put_header();
	for (i = 0; i < processes; i++) {
		all[i].pid = FIRST_PID + i;
		all[i].seed = (unsigned int)i + 1;
		all[i].program = (unsigned int)i % 8;
		start(&all[i]);
	}
	/* Side by side: the batches of one process do not lie together in the file. */
	while (done < events) {
		for (done = i = 0; i < processes; i++) {
			uint64_t until = all[i].events + 400;

			while (all[i].events < until && all[i].events < events / processes + 1)
				step(&all[i]);
			done += all[i].events;
		}
	}
	for (i = 0; i < processes; i++) {
		while (all[i].depth)
			end_import(&all[i]);
		begin(&all[i], IMP_EV_PROCESS_END);
		uint_of(IMP_KEY_HOW, IMP_END_EXIT);
		uint_of(IMP_KEY_CODE, 0);
		end_item(&all[i]);
		flush(&all[i]);
	}
	free(all);
}

/* ---- "copies" ------------------------------------------------------------------------------- */

static void copy_frame(const struct imp_zframe *f, uint64_t number)
{
	static uint8_t batch[IMP_BATCH_MAX + 64];
	static struct imp_event ev;
	struct imp_cbor_in in;
	size_t head, rest;

	imp_cbor_in_init(&in, f->data, f->len);
	if (!imp_event_decode(&ev, &in) || ev.kind != IMP_EV_BATCH)
		return;
	rest = (size_t)(in.end - in.p);
	head = put_batch_head(imp_event_uint(&ev, IMP_KEY_PID, 0) % 30000 + number * 30000,
			      imp_event_uint(&ev, IMP_KEY_IMAGE_NS, 0), imp_event_uint(&ev, IMP_KEY_SEQ, 0));
	if (head + rest > IMP_BATCH_MAX)
		die("a batch");
	memcpy(batch, item, head);
	memcpy(batch + head, in.p, rest);
	write_frame(batch, head + rest);
}

static void write_copies(uint64_t count, const char *file)
{
	struct imp_frame_reader reader;
	struct imp_zframe f;
	uint64_t i;
	int fd;

	put_header();
	for (i = 0; i < count; i++) {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || imp_frame_reader_open(&reader, fd, NULL) < 0)
			die(file);
		while (imp_frame_reader_next(&reader, &f, NULL) == 0 && f.kind != IMP_FRAME_END)
			if (f.kind == IMP_FRAME_DATA)
				copy_frame(&f, i);
		imp_frame_reader_close(&reader);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;

	if (!strcmp(what, "events") && n)
		write_events(n, argc > 3 ? strtoull(argv[3], NULL, 10) : 200);
	else if (!strcmp(what, "copies") && argc > 3)
		write_copies(n, argv[3]);
	else
		die("see the usage at the start of tests/tools/big_trace.c");
	return fflush(stdout) ? 2 : 0;
}
