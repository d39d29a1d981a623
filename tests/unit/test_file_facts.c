/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "elf/elf_image.h"
#include "elf/elf_symbol.h"
#include "host/host.h"
#include "temp_tree.h"
#include "trace/event.h"

/* The recorder and the reader each have structs of these names, and are one program only here. */
#define imp_attempt imp_thread_attempt
#define imp_object  imp_mapped_object
#include "file_facts.h"
#include "output.h"
#include "recorder.h"
#undef imp_attempt
#undef imp_object

static struct temp_tree tree;
static struct imp_thread *t;
static struct imp_event event;
static struct imp_arena arena;

/* Nothing is written: the path leads nowhere. */
static int setup(void **state)
{
	static const struct imp_recorder_hooks hooks = {0};
	static struct imp_output out;

	(void)state;
	temp_tree_make(&tree);
	if (chdir(tree.root) != 0 || imp_output_set_path(&out, "/nonexistent/trace.zst") != 0 ||
	    imp_recorder_start(&out, imp_now_ns(), &hooks) != 0)
		return -1;
	imp_recorder_stay_quiet();
	t = imp_thread_enter();
	return t ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	imp_thread_leave(t);
	imp_arena_clear(&arena);
	temp_tree_remove(&tree);
	return 0;
}

/* The event that was recorded last; false: none was. */
static bool recorded(void)
{
	struct imp_cbor_in in;

	if (!t->cbor.len)
		return false;
	assert_false(t->cbor.overflow);
	assert_in_range(t->cbor.len, 1, IMP_ITEM_MAX);
	imp_cbor_in_init(&in, t->scratch, t->cbor.len);
	assert_true(imp_event_decode(&event, &in));
	assert_int_equal(event.kind, IMP_EV_FILE);
	return true;
}

static bool look(const char *path)
{
	imp_record_cancel(t);
	imp_file_facts_of(t, 7, path, strlen(path));
	return recorded();
}

static bool load_failed(const char *name, const char *error)
{
	imp_record_cancel(t);
	imp_file_facts_load_failed(t, 7, name, error);
	return recorded();
}

static struct imp_cbor_in enter(enum imp_key key)
{
	const struct imp_cbor_item *list = imp_event_get(&event, key);

	assert_non_null(list);
	assert_int_equal(list->type, IMP_CBOR_ARRAY);
	return imp_cbor_enter(list);
}

static uint64_t next_uint(struct imp_cbor_in *in)
{
	struct imp_cbor_item one;
	uint64_t value = 0;

	assert_true(imp_cbor_get(in, &one));
	assert_true(imp_cbor_to_uint(&one, &value));
	return value;
}

/* The file name of a path: its directory is the number of a string. */
static const char *name_of(const struct imp_cbor_item *path)
{
	static char names[4][256];
	static unsigned int next;
	char *name = names[next++ % 4];
	struct imp_cbor_item one = *path;
	struct imp_cbor_in in;

	if (path->type == IMP_CBOR_ARRAY) {
		in = imp_cbor_enter(path);
		assert_true(imp_cbor_get(&in, &one) && imp_cbor_get(&in, &one));
	}
	assert_int_equal(one.type, IMP_CBOR_BYTES);
	snprintf(name, sizeof(names[0]), "%.*s", (int)one.len, (const char *)one.data);
	return name;
}

static size_t count(enum imp_key key)
{
	struct imp_cbor_in in = enter(key);
	struct imp_cbor_item one;
	size_t n = 0;

	while (imp_cbor_get(&in, &one))
		n++;
	return n;
}

static uint64_t size_in_stat(void)
{
	struct imp_cbor_in in = enter(IMP_KEY_STAT);

	next_uint(&in);
	next_uint(&in);
	next_uint(&in);
	return next_uint(&in);
}

/* The analyzer's reader, on nothing but what was recorded. */
static struct imp_elf_image *image_of_event(void)
{
	static struct imp_elf_chunk chunks[4096];
	static struct imp_elf_image img;
	struct imp_cbor_in in = enter(IMP_KEY_CHUNKS), part;
	struct imp_cbor_item one, bytes;
	struct imp_elf_bytes all;
	size_t n = 0, total = 0;

	while (imp_cbor_get(&in, &one)) {
		part = imp_cbor_enter(&one);
		chunks[n].offset = next_uint(&part);
		assert_true(imp_cbor_get(&part, &bytes));
		assert_int_equal(bytes.type, IMP_CBOR_BYTES);
		chunks[n].data = bytes.data;
		chunks[n].len = bytes.len;
		total += bytes.len;
		n++;
	}
	assert_in_range(total, 0, 48 * 1024);
	imp_elf_bytes_recorded(&all, &arena, size_in_stat(), chunks, n);
	imp_elf_image_read(&img, &all);
	return &img;
}

static void copy_file(const char *from, const char *to)
{
	static char buf[1 << 20];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	close(in);
	close(out);
}

/* ---- the way there -------------------------------------------------------------------------------- */

static void test_plain_file(void **state)
{
	struct imp_cbor_in in;
	struct stat st;

	(void)state;
	temp_tree_write(&tree, "plain.so", "hello\n");
	assert_int_equal(stat("plain.so", &st), 0);
	assert_true(look("./plain.so"));
	assert_int_equal(imp_event_uint(&event, IMP_KEY_CALL, 0), 7);
	assert_string_equal(name_of(imp_event_get(&event, IMP_KEY_REALPATH)), "plain.so");
	assert_null(imp_event_get(&event, IMP_KEY_ERRNO));
	assert_int_equal(count(IMP_KEY_LINKS), 0);
	assert_int_equal(count(IMP_KEY_DIRECTORIES), 0);
	in = enter(IMP_KEY_STAT);
	assert_int_equal(next_uint(&in), st.st_mode);
	assert_int_equal(next_uint(&in), st.st_uid);
	assert_int_equal(next_uint(&in), st.st_gid);
	assert_int_equal(next_uint(&in), 6);
	assert_int_equal(next_uint(&in), st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
	assert_int_equal(count(IMP_KEY_MOUNT), 2);
	assert_int_equal(count(IMP_KEY_CHUNKS), 1);
	assert_int_equal(image_of_event()->kind, IMP_ELF_TEXT);
}

static void test_recorded_once(void **state)
{
	const char *path = temp_tree_write(&tree, "once.so", "one");

	(void)state;
	assert_true(look(path));
	assert_false(look(path));
	assert_false(load_failed(path, NULL));
	temp_tree_write(&tree, "once.so", "other");
	assert_true(look(path));
	assert_false(look(path));
	assert_int_equal(unlink(path), 0);
	assert_true(look(path));
	assert_false(look(path));
}

static void test_links(void **state)
{
	static const char *const names[] = {"first.so", "dir-link", "last.so"};
	struct imp_cbor_in in, parts;
	struct imp_cbor_item one, path;
	unsigned int i = 0;

	(void)state;
	temp_tree_link(&tree, "dir-link/./../real/last.so", "first.so");
	temp_tree_link(&tree, "real", "dir-link");
	temp_tree_link(&tree, temp_tree_path(&tree, "gone/x.so"), "real/last.so");
	assert_true(look("first.so") == false); /* a soname, not a path */
	assert_true(look("./first.so"));
	assert_int_equal(imp_event_uint(&event, IMP_KEY_ERRNO, 0), ENOENT);
	assert_null(imp_event_get(&event, IMP_KEY_REALPATH));
	assert_null(imp_event_get(&event, IMP_KEY_STAT));
	assert_null(imp_event_get(&event, IMP_KEY_CHUNKS));
	in = enter(IMP_KEY_LINKS);
	for (; imp_cbor_get(&in, &one); i++) {
		parts = imp_cbor_enter(&one);
		assert_true(i < 3 && imp_cbor_get(&parts, &path));
		assert_string_equal(name_of(&path), names[i]);
	}
	assert_int_equal(i, 3);

	/* No longer dangling. */
	temp_tree_write(&tree, "gone/x.so", "text");
	assert_true(look("./first.so"));
	assert_int_equal(count(IMP_KEY_LINKS), 3);
	assert_string_equal(name_of(imp_event_get(&event, IMP_KEY_REALPATH)), "x.so");
}

static void test_link_loop(void **state)
{
	(void)state;
	temp_tree_link(&tree, "b.so", "a.so");
	temp_tree_link(&tree, "a.so", "b.so");
	assert_true(look("./a.so"));
	assert_int_equal(imp_event_uint(&event, IMP_KEY_ERRNO, 0), ELOOP);
	assert_in_range(count(IMP_KEY_LINKS), 2, 40);
}

/* The text of the kernel's own links leads nowhere, but they do. */
static void test_magic_link(void **state)
{
	char path[64];
	int fd = open(temp_tree_write(&tree, "unlinked.so", "unlinked"), O_RDONLY);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(unlink("unlinked.so"), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_true(look(path));
	assert_null(imp_event_get(&event, IMP_KEY_ERRNO));
	assert_int_equal(size_in_stat(), 8);
	close(fd);
}

/* As another user, since root may search everything. */
static void test_closed_directory(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	temp_tree_write(&tree, "open/closed/inner/x.so", "text");
	temp_tree_write(&tree, "unreadable.so", "text");
	assert_int_equal(chmod("open/closed", 0600), 0);
	assert_int_equal(chmod("unreadable.so", 0), 0);
	assert_int_equal(chmod(tree.root, 0755), 0);
	pid = fork();
	if (pid == 0) {
		struct imp_cbor_in in, parts;
		struct imp_cbor_item one, path;

		if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(1);
		imp_recorder_fork_child();
		assert_true(look("open/closed/inner/x.so"));
		assert_int_equal(imp_event_uint(&event, IMP_KEY_ERRNO, 0), EACCES);
		in = enter(IMP_KEY_DIRECTORIES);
		assert_true(imp_cbor_get(&in, &one));
		parts = imp_cbor_enter(&one);
		assert_true(imp_cbor_get(&parts, &path));
		assert_non_null(strstr(name_of(&path), "open/closed"));
		assert_int_equal(next_uint(&parts), S_IFDIR | 0600);
		assert_false(imp_cbor_get(&in, &one));

		assert_true(look("./unreadable.so"));
		assert_int_equal(imp_event_uint(&event, IMP_KEY_ERRNO, 0), EACCES);
		assert_int_equal(count(IMP_KEY_DIRECTORIES), 0);
		assert_int_equal(size_in_stat(), 4);
		assert_null(imp_event_get(&event, IMP_KEY_CHUNKS));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(chmod("open/closed", 0700), 0);
}

/* A FIFO would wait for a writer, for ever. */
static void test_not_regular(void **state)
{
	(void)state;
	assert_int_equal(mkfifo("fifo.so", 0600), 0);
	alarm(10);
	assert_true(look("./fifo.so"));
	alarm(0);
	assert_null(imp_event_get(&event, IMP_KEY_CHUNKS));
	assert_true(look("/dev/null"));
	assert_null(imp_event_get(&event, IMP_KEY_CHUNKS));
	assert_true(look("/"));
	assert_null(imp_event_get(&event, IMP_KEY_ERRNO));
	assert_true(look("./no/such/directory.so"));
	assert_int_equal(imp_event_uint(&event, IMP_KEY_ERRNO, 0), ENOENT);
	assert_true(look("./fifo.so/x.so"));
	assert_int_equal(imp_event_uint(&event, IMP_KEY_ERRNO, 0), ENOTDIR);
}

static void test_hostile_paths(void **state)
{
	static char path[16384];

	(void)state;
	assert_false(look(""));
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	assert_false(look(path)); /* longer than the kernel takes */
	path[4000] = '\0';
	assert_true(look(path));
	assert_int_equal(imp_event_uint(&event, IMP_KEY_ERRNO, 0), ENAMETOOLONG);
	assert_true(look("./../../../../../../../../../../../../../../../../../../.."));
	assert_true(look("////./"));
	assert_true(look("/./"));
}

static void test_limit(void **state)
{
	struct rlimit limit, old;

	(void)state;
	temp_tree_write(&tree, "limit.so", "1");
	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	assert_true(look("./limit.so"));
	if (old.rlim_cur == RLIM_INFINITY)
		assert_null(imp_event_get(&event, IMP_KEY_LIMIT_AS));
	limit = old;
	limit.rlim_cur = (rlim_t)1 << 46; /* a sanitizer wants a lot */
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	temp_tree_write(&tree, "limit.so", "12");
	assert_true(look("./limit.so"));
	assert_int_equal(imp_event_uint(&event, IMP_KEY_LIMIT_AS, 0), (uint64_t)1 << 46);
	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
}

/* ---- which files ---------------------------------------------------------------------------------- */

static void test_error_texts(void **state)
{
	char error[512];

	(void)state;
	temp_tree_write(&tree, "plug.so", "plug");
	temp_tree_write(&tree, "odd: name.so", "odd");
	temp_tree_write(&tree, "needs (it).so", "needs");
	/* A soname that is mapped nowhere has no file. */
	assert_false(load_failed("libnone.so.3", "libnone.so.3: cannot open shared object file: "
						 "No such file or directory"));
	assert_false(load_failed(NULL, "invalid mode for dlopen(): Invalid argument"));
	/* The one asked for and the one named are the same. */
	assert_true(load_failed("./plug.so", "./plug.so: file too short"));
	assert_int_equal(size_in_stat(), 4);
	/* With a colon in its name. */
	assert_true(load_failed("odd: name.so", "./odd: name.so: invalid ELF header"));
	assert_int_equal(size_in_stat(), 3);
	/* The one that requires it. */
	assert_true(load_failed(
		NULL, "libnone.so.3: version `V_2' not found (required by ./needs (it).so)"));
	assert_int_equal(size_in_stat(), 5);
	/* A soname that is mapped. */
	assert_true(load_failed(NULL,
				"./plug.so: symbol f, version V not defined in file libc.so.6 with "
				"link time reference"));
	assert_string_equal(name_of(imp_event_get(&event, IMP_KEY_TEXT)), "libc.so.6");
	/* $ORIGIN is ld.so's to replace. */
	assert_false(load_failed("$ORIGIN/plug.so", NULL));
	/* Texts of any shape. */
	assert_false(load_failed(NULL, ""));
	assert_false(load_failed(NULL, ": "));
	assert_false(load_failed(NULL, " (required by "));
	assert_false(load_failed(NULL, " (required by )"));
	assert_false(load_failed(NULL, " not defined in file  with link time reference"));
	snprintf(error, sizeof(error), "%s: file too short",
		 temp_tree_write(&tree, "asked.so", "asked!"));
	assert_true(load_failed("asked.so", error));
	assert_int_equal(size_in_stat(), 6);
}

/* ---- what is in the file -------------------------------------------------------------------------- */

/* Whatever the tables' size, the same names are read from what was recorded as from the disk. */
static void compare(const char *path, bool whole)
{
	static const struct imp_host host = {.enabled = true};
	struct imp_elf_symbol_list here = {0}, there = {0};
	struct imp_elf_image disk, *kept;
	struct imp_error err;
	size_t i;

	assert_int_equal(imp_elf_image_open(&disk, &arena, &host, path, &err), 0);
	assert_true(look(path));
	kept = image_of_event();
	assert_int_equal(kept->kind, IMP_ELF_OBJECT);
	assert_true(kept->dynamic);
	assert_null(kept->damage);
	assert_int_equal(kept->machine, disk.machine);
	assert_int_equal(kept->segments.n, disk.segments.n);
	assert_int_equal(kept->executable_stack, disk.executable_stack);
	assert_int_equal(kept->build_id_len, disk.build_id_len);
	assert_int_equal(kept->needed.n, disk.needed.n);
	for (i = 0; i < disk.needed.n; i++)
		assert_string_equal(kept->needed.v[i], disk.needed.v[i]);
	if (disk.soname)
		assert_string_equal(kept->soname, disk.soname);
	if (disk.runpath)
		assert_string_equal(kept->runpath, disk.runpath);
	assert_int_equal(kept->version_needs.n, disk.version_needs.n);
	for (i = 0; i < disk.version_needs.n; i++) {
		assert_string_equal(kept->version_needs.v[i].file, disk.version_needs.v[i].file);
		assert_string_equal(kept->version_needs.v[i].version,
				    disk.version_needs.v[i].version);
	}
	assert_int_equal(kept->version_defs.n, disk.version_defs.n);
	if (!whole)
		return;
	assert_false(kept->bytes.unknown);
	assert_int_equal(imp_elf_symbol_undefined(&disk, &there), 0);
	assert_int_equal(imp_elf_symbol_undefined(kept, &here), 0);
	assert_int_equal(here.n, there.n);
	for (i = 0; i < there.n; i++)
		assert_string_equal(here.v[i].name, there.v[i].name);
	here.n = there.n = 0;
	assert_int_equal(imp_elf_symbol_exported(&disk, "", 0, &there), 0);
	assert_int_equal(imp_elf_symbol_exported(kept, "", 0, &here), 0);
	assert_int_equal(here.n, there.n);
}

/* A path of a library that is mapped in this program, or of this program. */
static bool mapped(const char *part, char *path, size_t size)
{
	char line[4096];
	FILE *maps = fopen("/proc/self/maps", "r");
	bool found = false;

	assert_non_null(maps);
	while (!found && fgets(line, sizeof(line), maps)) {
		char *name = strchr(line, '/');

		found = name && strstr(name, part);
		if (found) {
			name[strcspn(name, "\n")] = '\0';
			snprintf(path, size, "%s", name);
		}
	}
	fclose(maps);
	return found;
}

static void test_elf_files(void **state)
{
	char path[4096];

	(void)state;
	assert_true(mapped("libcmocka", path, sizeof(path)));
	compare(path, true);
	assert_true(mapped("libc.so.6", path, sizeof(path)));
	compare(path, false);
	assert_true(mapped("test_file_facts", path, sizeof(path)));
	compare(path, false);
}

static void test_truncated(void **state)
{
	char path[4096];
	struct stat st;
	off_t size;

	(void)state;
	assert_true(mapped("libcmocka", path, sizeof(path)));
	copy_file(path, "cut.so");
	assert_int_equal(stat("cut.so", &st), 0);
	for (size = st.st_size; size > 0; size -= size > 1200 ? 997 : 7) {
		assert_int_equal(truncate("cut.so", size), 0);
		assert_true(look("./cut.so"));
		assert_int_equal(size_in_stat(), size);
		image_of_event();
	}
	assert_int_equal(truncate("cut.so", 0), 0);
	assert_true(look("./cut.so"));
	assert_int_equal(count(IMP_KEY_CHUNKS), 0);
	assert_int_equal(image_of_event()->kind, IMP_ELF_EMPTY);
}

/* One byte, or eight, of the headers and tables are something else. */
static void test_garbage(void **state)
{
	static unsigned char whole[1 << 20];
	unsigned char broken[64];
	char path[4096];
	unsigned int seed = 1, i;
	ssize_t size;
	int fd;

	(void)state;
	assert_true(mapped("libcmocka", path, sizeof(path)));
	fd = open(path, O_RDONLY);
	size = read(fd, whole, sizeof(whole));
	assert_true(fd >= 0 && size > 8192);
	close(fd);
	copy_file(path, "garbage.so");
	fd = open("garbage.so", O_RDWR);
	for (i = 0; i < 3001; i++) {
		const size_t len = i % 3 ? 1 : 8;
		size_t at, j;

		seed = seed * 1103515245 + 12345;
		at = seed / 7 % (i % 2 ? 1024 : (size_t)size - 8);
		for (j = 0; j < len; j++) {
			seed = seed * 1103515245 + 12345;
			broken[j] = i % 5 ? (unsigned char)(seed >> 16) : 0xff;
		}
		assert_int_equal(pwrite(fd, broken, len, (off_t)at), (ssize_t)len);
		if (look("./garbage.so"))
			image_of_event();
		assert_int_equal(pwrite(fd, whole + at, len, (off_t)at), (ssize_t)len);
	}
	close(fd);
	for (i = 0; i < sizeof(broken); i++)
		broken[i] = (unsigned char)(i * 37 + 1);
	temp_tree_bytes(&tree, "noise.so", broken, sizeof(broken));
	assert_true(look("./noise.so"));
	assert_int_equal(image_of_event()->kind, IMP_ELF_OTHER);
}

static void test_headers_that_lie(void **state)
{
	Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			     .e_type = ET_DYN,
			     .e_machine = EM_X86_64,
			     .e_version = EV_CURRENT,
			     .e_phoff = sizeof(header),
			     .e_phentsize = sizeof(Elf64_Phdr),
			     .e_phnum = 0xffff};
	static unsigned char file[1 << 20];
	Elf64_Phdr *phdr = (Elf64_Phdr *)(file + sizeof(header));
	size_t i;

	(void)state;
	for (i = 0; i < 4096; i++)
		phdr[i] = (Elf64_Phdr){.p_type = i % 5 == 0 ? PT_NOTE :
						 i % 5 == 1 ? PT_INTERP :
						 i % 5 == 2 ? PT_DYNAMIC :
							      PT_LOAD,
				       .p_offset = i % 2 ? UINT64_MAX - i : i * 100,
				       .p_vaddr = i,
				       .p_filesz = i % 3 ? UINT64_MAX : 100000,
				       .p_memsz = UINT64_MAX};
	memcpy(file, &header, sizeof(header));
	temp_tree_bytes(&tree, "phnum.so", file, sizeof(file));
	assert_true(look("./phnum.so"));
	image_of_event();

	header.e_phoff = UINT64_MAX - 3;
	memcpy(file, &header, sizeof(header));
	temp_tree_bytes(&tree, "phoff.so", file, sizeof(file));
	assert_true(look("./phoff.so"));
	image_of_event();

	header.e_ident[EI_CLASS] = ELFCLASS32;
	memcpy(file, &header, sizeof(header));
	temp_tree_bytes(&tree, "class.so", file, 4096);
	assert_true(look("./class.so"));
	assert_true(image_of_event()->header);
}

/* ---- time ----------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The largest file that is at hand, with its tables in the page cache. */
static void test_time(void **state)
{
	static const char *const files[] = {"libc.so.6", "test_file_facts", "libcmocka"};
	uint64_t ns[31];
	char path[4096];
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		assert_true(mapped(files[i], path, sizeof(path)));
		copy_file(path, "timed.so");
		for (j = 0; j < sizeof(ns) / sizeof(ns[0]); j++) {
			const struct timespec times[2] = {{.tv_sec = (time_t)(j + 1)},
							  {.tv_sec = (time_t)(j + 1)}};

			assert_int_equal(utimensat(AT_FDCWD, "timed.so", times, 0), 0);
			ns[j] = imp_now_ns();
			assert_true(look("./timed.so"));
			ns[j] = imp_now_ns() - ns[j];
		}
		qsort(ns, j, sizeof(ns[0]), by_value);
		print_message("facts of %s: %.1f us at the median, %.1f at most, %zu bytes\n",
			      files[i], (double)ns[j / 2] / 1e3, (double)ns[j - 1] / 1e3,
			      t->cbor.len);
		assert_in_range(ns[j / 2], 0, 1000000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_file),  cmocka_unit_test(test_recorded_once),
		cmocka_unit_test(test_links),	    cmocka_unit_test(test_link_loop),
		cmocka_unit_test(test_magic_link),  cmocka_unit_test(test_closed_directory),
		cmocka_unit_test(test_not_regular), cmocka_unit_test(test_hostile_paths),
		cmocka_unit_test(test_limit),	    cmocka_unit_test(test_error_texts),
		cmocka_unit_test(test_elf_files),   cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_garbage),	    cmocka_unit_test(test_headers_that_lie),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
