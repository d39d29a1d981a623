/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TESTS_UNIT_SAMPLE_TRACE_H
#define IMP_TESTS_UNIT_SAMPLE_TRACE_H

/*
 * A trace with an event of every kind: process 4711 starts, imports, fails, forks 4712, execs. To be included
 * after cmocka.h.
 */
#include "trace_maker.h"

#define SAMPLE_PID     4711
#define SAMPLE_NS      1000 /* IMAGE_NS of the first image */
#define SAMPLE_FORK    4712
#define SAMPLE_FORK_NS 50000

static inline void put_frame_value(struct imp_cbor *c, const char *file, uint64_t line,
				   const char *module)
{
	imp_cbor_array_begin(c);
	value_text(c, file);
	imp_cbor_uint(c, line);
	value_text(c, "<module>");
	value_text(c, module);
	imp_cbor_array_end(c);
}

static inline void put_strings(struct imp_cbor *c, unsigned int key, const char *const *list)
{
	put_list(c, key);
	for (; *list; list++)
		value_text(c, *list);
	imp_cbor_array_end(c);
}

static inline void put_stat(struct imp_cbor *c, unsigned int key, uint64_t mode, int64_t mtime_ns)
{
	put_list(c, key);
	imp_cbor_uint(c, mode);
	imp_cbor_uint(c, 1001);
	imp_cbor_uint(c, 1002);
	imp_cbor_uint(c, 123457);
	imp_cbor_int(c, mtime_ns);
	imp_cbor_array_end(c);
}

static inline void sample_process(struct imp_cbor *c, uint64_t how, uint64_t ppid,
				  uint64_t parent_ns)
{
	static const char *const argv[] = {"python3", "-c", "import \x1b[31m", NULL};
	static const char *const env[] = {"PATH=/usr/bin", "PYTHONPATH=/a:/b", "PATHS=no", NULL};

	event_begin(c, IMP_EV_PROCESS, 10);
	put_uint(c, IMP_KEY_HOW, how);
	put_uint(c, IMP_KEY_PPID, ppid);
	if (parent_ns)
		put_uint(c, IMP_KEY_PARENT_IMAGE_NS, parent_ns);
	imp_cbor_uint(c, IMP_KEY_EXE);
	value_path(c, 1, "python3.13");
	put_strings(c, IMP_KEY_ARGV, argv);
	put_text(c, IMP_KEY_CWD, "/work");
	put_list(c, IMP_KEY_IDS);
	imp_cbor_uint(c, 1001);
	imp_cbor_uint(c, 1003);
	imp_cbor_uint(c, 1002);
	imp_cbor_uint(c, 1004);
	imp_cbor_array_end(c);
	put_strings(c, IMP_KEY_ENV, env);
	put_text(c, IMP_KEY_LIBC, "2.36");
	put_uint(c, IMP_KEY_PAGE_SIZE, 4096);
	put_list(c, IMP_KEY_MACHINE);
	value_text(c, "x86_64");
	value_text(c, "6.1.0");
	imp_cbor_array_end(c);
	put_list(c, IMP_KEY_HOST);
	value_text(c, "boot-id");
	imp_cbor_uint(c, 2049);
	imp_cbor_uint(c, 2);
	imp_cbor_array_end(c);
	event_end(c);
}

static inline void sample_native(struct imp_cbor *c)
{
	event_begin(c, IMP_EV_OBJECT, 21);
	put_uint(c, IMP_KEY_OBJECT, 2);
	put_text(c, IMP_KEY_TEXT, "/lib/libc.so.6");
	put_uint(c, IMP_KEY_ADDRESS, 0x7f0000001000);
	put_uint(c, IMP_KEY_SIZE, 8192);
	put_text(c, IMP_KEY_BUILD_ID, "\x01\xab");
	event_end(c);
	event_begin(c, IMP_EV_OBJECT, 22);
	put_uint(c, IMP_KEY_OBJECT, 1);
	imp_cbor_uint(c, IMP_KEY_TEXT);
	value_path(c, 1, "python3.13");
	event_end(c);
	event_begin(c, IMP_EV_OBJECT_GONE, 23);
	put_uint(c, IMP_KEY_OBJECT, 2);
	event_end(c);
	event_begin(c, IMP_EV_DLOPEN_ENTER, 24);
	put_uint(c, IMP_KEY_CALL, 7);
	put_text(c, IMP_KEY_TEXT, "libffi.so.7");
	put_uint(c, IMP_KEY_FLAGS, 2);
	put_uint(c, IMP_KEY_CALLER, 1);
	put_uint(c, IMP_KEY_OFFSET, 4660);
	event_end(c);
	event_begin(c, IMP_EV_DLOPEN_LEAVE, 25);
	put_uint(c, IMP_KEY_CALL, 7);
	put_uint(c, IMP_KEY_HANDLE, 0);
	put_text(c, IMP_KEY_ERROR, "libffi.so.7: cannot open shared object file");
	event_end(c);
	event_begin(c, IMP_EV_DLOPEN_ENTER, 26); /* never comes back */
	put_uint(c, IMP_KEY_CALL, 8);
	put_uint(c, IMP_KEY_FLAGS, 258);
	event_end(c);
	event_begin(c, IMP_EV_DLSYM, 27);
	put_text(c, IMP_KEY_TEXT, "malloc");
	put_uint(c, IMP_KEY_ADDRESS, 4242);
	event_end(c);
	event_begin(c, IMP_EV_DLSYM, 28);
	put_text(c, IMP_KEY_TEXT, "PyInit__ssl");
	put_uint(c, IMP_KEY_ADDRESS, 4243);
	event_end(c);
	event_begin(c, IMP_EV_DLSYM, 29);
	put_text(c, IMP_KEY_TEXT, "gone");
	put_uint(c, IMP_KEY_ADDRESS, 0);
	put_text(c, IMP_KEY_ERROR, "undefined symbol: gone");
	event_end(c);
	event_begin(c, IMP_EV_DLCLOSE, 30);
	put_uint(c, IMP_KEY_HANDLE, 17);
	imp_cbor_uint(c, IMP_KEY_CODE);
	imp_cbor_int(c, -1);
	event_end(c);
	event_begin(c, IMP_EV_NOTE, 31);
	put_uint(c, IMP_KEY_NOTE, IMP_NOTE_HOOKS_FAILED);
	put_uint(c, IMP_KEY_ERRNO, 12);
	put_text(c, IMP_KEY_TEXT, "no\nmemory");
	event_end(c);
	event_begin(c, (enum imp_event_kind)77, 32); /* of a later version */
	put_uint(c, 99, 5);
	put_text(c, IMP_KEY_TEXT, "future");
	event_end(c);
}

static inline void sample_interpreter(struct imp_cbor *c)
{
	static const char *const suffixes[] = {".cpython-313-x86_64-linux-gnu.so", ".abi3.so",
					       ".so", NULL};
	static const char *const path[] = {"", "/usr/lib/python3.13", NULL};
	static const char *const finders[] = {"BuiltinImporter", "PathFinder", NULL};

	event_begin(c, IMP_EV_INTERPRETER, 100);
	put_text(c, IMP_KEY_VERSION, "3.13.0 (main)");
	put_text(c, IMP_KEY_IMPLEMENTATION, "cpython");
	put_text(c, IMP_KEY_CACHE_TAG, "cpython-313");
	put_strings(c, IMP_KEY_SUFFIXES, suffixes);
	put_text(c, IMP_KEY_EXECUTABLE, "/usr/bin/python3.13");
	put_text(c, IMP_KEY_PREFIX, "/usr");
	put_map(c, IMP_KEY_FLAGS);
	value_text(c, "isolated");
	imp_cbor_int(c, 0);
	value_text(c, "int_max_str_digits");
	imp_cbor_int(c, -1);
	imp_cbor_map_end(c);
	put_uint(c, IMP_KEY_OBJECT, 1);
	event_end(c);
	event_begin(c, IMP_EV_SYS_PATH, 101);
	put_strings(c, IMP_KEY_PATH, path);
	put_uint(c, IMP_KEY_PHASE, IMP_PHASE_SITE);
	event_end(c);
	event_begin(c, IMP_EV_META_PATH, 102);
	put_strings(c, IMP_KEY_META_PATH, finders);
	put_strings(c, IMP_KEY_PATH_HOOKS, finders);
	event_end(c);
}

static inline void sample_snapshot(struct imp_cbor *c, uint64_t time_ns, uint64_t import,
				   const char *metadata)
{
	const char *const names[] = {metadata, NULL};

	event_begin(c, IMP_EV_SNAPSHOT, time_ns);
	put_uint(c, IMP_KEY_IMPORT, import);
	put_text(c, IMP_KEY_TEXT, "_cffi_backend");
	put_uint(c, IMP_KEY_SYS_MODULES, IMP_MODULE_ABSENT);
	put_list(c, IMP_KEY_ENTRIES);
	imp_cbor_map_begin(c);
	put_text(c, IMP_ENTRY_ENTRY, "/site");
	put_text(c, IMP_ENTRY_FINDER, "FileFinder");
	put_uint(c, IMP_ENTRY_STATE, IMP_PATH_DIRECTORY);
	put_stat(c, IMP_ENTRY_STAT, 040755, -5);
	imp_cbor_uint(c, IMP_ENTRY_FINDER_MTIME);
	imp_cbor_int(c, -17);
	put_list(c, IMP_ENTRY_CANDIDATES);
	imp_cbor_map_begin(c);
	put_text(c, IMP_CAND_NAME, "_cffi_backend.cpython-311-x86_64-linux-gnu.so");
	put_stat(c, IMP_CAND_STAT, 0100644, 1700000000123456789);
	imp_cbor_uint(c, IMP_CAND_IN_CACHE);
	imp_cbor_bool(c, true);
	imp_cbor_map_end(c);
	imp_cbor_map_begin(c);
	put_text(c, IMP_CAND_NAME, "_cffi_backend");
	put_uint(c, IMP_CAND_ERRNO, 2);
	put_text(c, IMP_CAND_TARGET, "/nowhere");
	put_uint(c, IMP_CAND_TARGET_ERRNO, 2);
	imp_cbor_uint(c, IMP_CAND_ON_DISK);
	imp_cbor_bool(c, false);
	imp_cbor_map_end(c);
	imp_cbor_array_end(c);
	if (metadata)
		put_strings(c, IMP_ENTRY_METADATA, names);
	imp_cbor_map_end(c);
	imp_cbor_array_end(c);
	event_end(c);
}

static inline void sample_exception(struct imp_cbor *c)
{
	put_map(c, IMP_KEY_EXCEPTION);
	put_text(c, IMP_EXC_TYPE, "ImportError");
	imp_cbor_uint(c, IMP_EXC_MESSAGE);
	imp_cbor_bytes(c, "bad\0thing", 9);
	put_uint(c, IMP_EXC_ID, 0xdeadbeef);
	put_map(c, IMP_EXC_CAUSE);
	put_text(c, IMP_EXC_TYPE, "ModuleNotFoundError");
	put_text(c, IMP_EXC_NAME, "_cffi_backend");
	imp_cbor_map_end(c);
	imp_cbor_uint(c, IMP_EXC_WHERE);
	put_frame_value(c, "/x/y.py", 3, "y");
	imp_cbor_uint(c, IMP_EXC_SUPPRESS);
	imp_cbor_bool(c, true);
	imp_cbor_uint(c, IMP_EXC_MEMBERS);
	imp_cbor_array_begin(c);
	imp_cbor_map_begin(c);
	put_text(c, IMP_EXC_TYPE, "KeyError");
	imp_cbor_map_end(c);
	imp_cbor_uint(c, 17); /* no exception: passed over */
	imp_cbor_array_end(c);
	imp_cbor_map_end(c);
}

static inline void sample_import_begin(struct imp_cbor *c, uint64_t time_ns, uint64_t id,
				       uint64_t parent, const char *name)
{
	event_begin(c, IMP_EV_IMPORT_BEGIN, time_ns);
	put_uint(c, IMP_KEY_IMPORT, id);
	put_text(c, IMP_KEY_TEXT, name);
	if (parent)
		put_uint(c, IMP_KEY_PARENT, parent);
	imp_cbor_uint(c, IMP_KEY_FRAME);
	put_frame_value(c, "fetch.py", 13, "__main__");
	event_end(c);
}

static inline void sample_imports(struct imp_cbor *c)
{
	static const char *const nothing[] = {NULL};

	sample_import_begin(c, 110, 3, 0, "cryptography");
	sample_import_begin(c, 111, 4, 3, "_cffi_backend");
	event_begin(c, IMP_EV_EXT_BEGIN, 112);
	put_uint(c, IMP_KEY_CALL, 9);
	put_uint(c, IMP_KEY_STEP, IMP_STEP_EXEC);
	put_text(c, IMP_KEY_TEXT, "_cffi_backend");
	put_text(c, IMP_KEY_ORIGIN, "/site/_cffi_backend.so");
	put_uint(c, IMP_KEY_IMPORT, 4);
	event_end(c);
	event_begin(c, IMP_EV_EXT_END, 113);
	put_uint(c, IMP_KEY_CALL, 9);
	sample_exception(c);
	event_end(c);
	sample_snapshot(c, 114, 4, "cffi-1.17.dist-info");
	event_begin(c, IMP_EV_CLAIMS, 115);
	put_text(c, IMP_KEY_TEXT, "_cffi_backend");
	put_list(c, IMP_KEY_CLAIMS);
	imp_cbor_array_begin(c);
	value_text(c, "/site/cffi-1.17.dist-info");
	value_text(c, "_cffi_backend.so,,");
	value_text(c, "cp311-cp311");
	imp_cbor_array_end(c);
	imp_cbor_array_end(c);
	event_end(c);
	event_begin(c, IMP_EV_IMPORT_END, 116);
	put_uint(c, IMP_KEY_IMPORT, 4);
	put_list(c, IMP_KEY_SEARCHED);
	imp_cbor_array_begin(c);
	value_text(c, "/site");
	value_text(c, "FileFinder");
	imp_cbor_uint(c, IMP_SEARCH_NAMESPACE);
	imp_cbor_array_end(c);
	imp_cbor_array_end(c);
	sample_exception(c);
	put_list(c, IMP_KEY_STACK);
	put_frame_value(c, "fetch.py", 1, "__main__");
	put_frame_value(c, "fetch.py", 13, "__main__");
	imp_cbor_array_end(c);
	put_strings(c, IMP_KEY_SUBMODULE_PATH, nothing);
	event_end(c);
	event_begin(c, IMP_EV_IMPORT_END, 120);
	put_uint(c, IMP_KEY_IMPORT, 3);
	imp_cbor_uint(c, IMP_KEY_ORIGIN);
	value_path(c, 2, "__init__.py");
	put_text(c, IMP_KEY_LOADER, "SourceFileLoader");
	event_end(c);
}

static inline void sample_end(struct imp_cbor *c)
{
	event_begin(c, IMP_EV_UNCAUGHT, 130);
	put_uint(c, IMP_KEY_THREAD, 4799);
	put_uint(c, IMP_KEY_HOW, IMP_UNCAUGHT_THREAD);
	sample_exception(c);
	event_end(c);
	event_begin(c, IMP_EV_SYS_EXIT, 131);
	put_text(c, IMP_KEY_MESSAGE, "no backend");
	imp_cbor_uint(c, IMP_KEY_CODE);
	imp_cbor_int(c, -3);
	imp_cbor_uint(c, IMP_KEY_FRAME);
	put_frame_value(c, "fetch.py", 20, "__main__");
	event_end(c);
	event_begin(c, IMP_EV_DLERROR, 132);
	put_text(c, IMP_KEY_TEXT, "told");
	event_end(c);
	event_begin(c, IMP_EV_EXEC, 140);
	put_text(c, IMP_KEY_EXE, "./absent");
	event_end(c);
	event_begin(c, IMP_EV_EXEC_FAILED, 141);
	put_uint(c, IMP_KEY_ERRNO, 2);
	event_end(c);
}

/* Two batches of the first image, one of the child that it forked, and what "imptrace run" adds. */
static inline void sample_trace(struct maker *m)
{
	static const char *const late[] = {"/late", NULL};

	maker_header(m, SAMPLE_PID);
	maker_batch(m, SAMPLE_PID, SAMPLE_NS, 0, 0);
	event_string(&m->c, 1, "/usr/bin");
	event_string(&m->c, 2, "/site/cryptography");
	sample_process(&m->c, IMP_START_FIRST, 1, 0);
	sample_native(&m->c);
	sample_interpreter(&m->c);
	maker_end(m, 1);
	maker_batch(m, SAMPLE_PID, SAMPLE_NS, 1, 5);
	sample_imports(&m->c);
	sample_end(&m->c);
	maker_end(m, 0);
	maker_batch(m, SAMPLE_FORK, SAMPLE_FORK_NS, 0, 0);
	event_string(&m->c, 1, "/usr/bin");
	sample_process(&m->c, IMP_START_FORK, SAMPLE_PID, SAMPLE_NS);
	event_begin(&m->c, IMP_EV_SYS_PATH, 11);
	put_strings(&m->c, IMP_KEY_PATH, late);
	put_uint(&m->c, IMP_KEY_PHASE, IMP_PHASE_RUN);
	event_end(&m->c);
	sample_import_begin(&m->c, 12, 1, 0, "again");
	sample_snapshot(&m->c, 13, 1, NULL);
	event_begin(&m->c, IMP_EV_PROCESS_END, 14);
	put_uint(&m->c, IMP_KEY_HOW, IMP_END_FAST_EXIT);
	put_uint(&m->c, IMP_KEY_CODE, 0);
	event_end(&m->c);
	maker_end(m, 0);
	maker_batch(m, 4000, 500, 0, 0);
	event_begin(&m->c, IMP_EV_WAIT, 99000);
	put_uint(&m->c, IMP_KEY_PID, SAMPLE_PID);
	put_uint(&m->c, IMP_KEY_SIGNAL, 11);
	event_end(&m->c);
	maker_end(m, 0);
}

#endif
