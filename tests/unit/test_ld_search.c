// SPDX-License-Identifier: GPL-2.0-or-later
/* ld.so(8), "DESCRIPTION", rule by rule, on a disk that is only told of. tests/e2e/test_ld_search.py asks the real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "elf/ld_disk.h"
#include "elf/ld_tree.h"
#include "elf_maker.h"
#include "host/host.h"

static struct imp_arena arena;
static const struct imp_host nowhere = {.enabled = false};

struct world {
	struct imp_ld_disk disk;
	struct imp_ld_lookup disk_lookup;
	struct imp_ld_system system;
	struct imp_ld_process process;
	struct imp_strings directories;
	bool everything_known; /* what was not told of does not exist */
	unsigned int lookups;
};

/* What was not told of is absent, or not known. */
static void world_file(void *data, const char *path, struct imp_ld_file *file)
{
	struct world *w = data;

	w->lookups++;
	w->disk_lookup.file(w->disk_lookup.data, path, file);
	if (file->err == -ENODATA && w->everything_known)
		file->err = -ENOENT;
}

static int world_directory(void *data, const char *path)
{
	struct world *w = data;
	size_t i;

	if (!w->everything_known)
		return -ENODATA;
	for (i = 0; i < w->directories.n; i++) {
		if (strcmp(w->directories.v[i], path) == 0)
			return 1;
	}
	return 0;
}

static void directory(struct world *w, const char *path)
{
	*imp_vec_push(&arena, &w->directories) = path;
}

static void file(struct world *w, const char *path, const void *data, size_t len)
{
	struct imp_elf_chunk chunk = {.len = len,
				      .data = (const uint8_t *)imp_arena_strndup(&arena, data, len)};
	const char *slash = strrchr(path, '/');

	imp_ld_disk_record(&w->disk, path, 0, 0, 0, len, &chunk, 1);
	directory(w, imp_arena_strndup(&arena, path, (size_t)(slash - path)));
}

static void object(struct world *w, const char *path, struct elf_maker m)
{
	elf_make(&m);
	file(w, path, m.data, m.len);
}

#define OBJECT(w, path, ...) object(w, path, (struct elf_maker){__VA_ARGS__})

static void world(struct world *w)
{
	static const char *const dirs[] = {"/lib/x86_64-linux-gnu/", "/usr/lib/"};
	size_t i;

	memset(w, 0, sizeof(*w));
	w->everything_known = true;
	imp_ld_disk_init(&w->disk, &arena, &nowhere);
	w->disk_lookup = imp_ld_disk_lookup(&w->disk);
	w->system = (struct imp_ld_system){.bits = 64,
					   .machine = EM_X86_64,
					   .glibc_minor = 40,
					   .page_size = 4096,
					   .lib = "lib/x86_64-linux-gnu",
					   .default_dirs_known = true};
	for (i = 0; i < 2; i++)
		*imp_vec_push(&arena, &w->system.default_dirs) = dirs[i];
	imp_ld_system_subdirs(&w->system, &arena, &(struct imp_ld_cpu){.isa_level = 2});
	w->process = (struct imp_ld_process){.arena = &arena,
					     .system = &w->system,
					     .lookup = {world_file, world_directory, w},
					     .cwd = "/work"};
}

static void cached(struct world *w, const char *name, const char *path)
{
	struct imp_ld_cache_entry *e = imp_vec_push(&arena, &w->system.cache.entries);

	e->name = name;
	e->path = path;
	e->flags = w->system.filter.flags;
	w->system.cache.known = true;
}

/* Start /bin/prog, which must be there. */
static void start(struct world *w)
{
	struct imp_ld_tree_options options = {.symbols = false};
	struct imp_ld_tree t;

	imp_ld_process_init(&w->process);
	assert_int_equal(imp_ld_tree_start(&w->process, "/bin/prog", NULL, &options, &t, NULL), 0);
	assert_null(t.failed);
}

static struct imp_ld_tree *open_as(struct world *w, const char *name,
				   const struct imp_ld_object *caller, bool symbols)
{
	struct imp_ld_request req = {.name = name, .requester = caller};
	struct imp_ld_tree_options options = {.symbols = symbols};
	struct imp_ld_tree *t = imp_arena_alloc(&arena, sizeof(*t));

	assert_int_equal(imp_ld_tree_open(&w->process, &req, &options, t, NULL), 0);
	return t;
}

/* "origin result path; ..." of a search */
static void check(const struct imp_ld_search *s, const char *want)
{
	char text[8192] = "";
	size_t i;

	for (i = 0; i < s->tried.n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s %s %s",
			 i ? "; " : "", imp_ld_origin_name(s->tried.v[i].origin),
			 imp_ld_result_name(s->tried.v[i].result), s->tried.v[i].path);
	assert_string_equal(text, want);
}

static int teardown(void **state)
{
	struct world *w = *state;

	imp_ld_disk_clear(&w->disk);
	imp_arena_clear(&arena);
	free(w);
	return 0;
}

static int setup(void **state)
{
	struct world *w = malloc(sizeof(*w));

	if (!w)
		return -1;
	world(w);
	*state = w;
	return 0;
}

/* "If filename contains a slash, it is interpreted as a (relative or absolute) pathname." */
static void test_slash(void **state)
{
	struct world *w = *state;

	OBJECT(w, "/bin/prog", .interpreter = "/lib64/ld.so");
	OBJECT(w, "/opt/a.so", .soname = "a.so");
	OBJECT(w, "/work/b.so", .soname = "b.so");
	start(w);
	check(open_as(w, "/opt/a.so", NULL, false)->searches.v[0], "direct opened /opt/a.so");
	check(open_as(w, "/opt/none.so", NULL, false)->searches.v[0], "direct absent /opt/none.so");
	check(open_as(w, "./b.so", NULL, false)->searches.v[0], "direct opened ./b.so");
	assert_string_equal(imp_ld_process_match(&w->process, "b.so", 0, NULL)->file,
			    "/work/./b.so");
}

/*
 * "(1) DT_RPATH, if DT_RUNPATH does not exist. (2) LD_LIBRARY_PATH, unless secure-execution mode.
 * (3) DT_RUNPATH. (4) /etc/ld.so.cache. (5) the default path."
 */
static void test_order(void **state)
{
	struct world *w = *state;
	const struct imp_ld_search *s;

	w->process.library_path = "/env:/env2";
	directory(w, "/env2");
	OBJECT(w, "/bin/prog", .rpath = "/progpath");
	OBJECT(w, "/opt/rpath.so", .needed = {"libx.so"}, .rpath = "/rpath:$ORIGIN/sub");
	OBJECT(w, "/opt/runpath.so", .needed = {"liby.so"}, .runpath = "/runpath",
	       .rpath = "/never");
	directory(w, "/progpath");
	directory(w, "/rpath");
	directory(w, "/runpath");
	directory(w, "/env");
	directory(w, "/never");
	directory(w, "/lib/x86_64-linux-gnu");
	cached(w, "libx.so", "/cached/libx.so");
	OBJECT(w, "/usr/lib/libx.so", .soname = "libx.so");
	OBJECT(w, "/usr/lib/liby.so", .soname = "liby.so");
	start(w);
	s = open_as(w, "/opt/rpath.so", NULL, false)->searches.v[1];
	check(s,
	      "rpath absent /rpath/glibc-hwcaps/x86-64-v2/libx.so; rpath absent /rpath/libx.so; "
	      "rpath absent /opt/sub/glibc-hwcaps/x86-64-v2/libx.so; rpath absent /opt/sub/libx.so; "
	      "rpath absent /progpath/glibc-hwcaps/x86-64-v2/libx.so; rpath absent /progpath/libx.so; "
	      "ld_library_path absent /env/glibc-hwcaps/x86-64-v2/libx.so; ld_library_path absent /env/libx.so; "
	      "ld_library_path absent /env2/glibc-hwcaps/x86-64-v2/libx.so; ld_library_path absent /env2/libx.so; "
	      "cache absent /cached/libx.so; "
	      "default absent /lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v2/libx.so; "
	      "default absent /lib/x86_64-linux-gnu/libx.so; "
	      "default absent /usr/lib/glibc-hwcaps/x86-64-v2/libx.so; default opened /usr/lib/libx.so");
	assert_string_equal(s->tried.v[2].entry, "$ORIGIN/sub");
	assert_string_equal(s->tried.v[2].of->name, "/opt/rpath.so");
	assert_string_equal(s->tried.v[4].of->name, "");
	assert_true(s->tried.v[0].in_subdir);
	assert_false(s->tried.v[1].in_subdir);
	/* The second time it is known which directories exist. */
	s = open_as(w, "/opt/runpath.so", NULL, false)->searches.v[1];
	check(s,
	      "ld_library_path absent /env/liby.so; ld_library_path absent /env2/liby.so; "
	      "runpath absent /runpath/glibc-hwcaps/x86-64-v2/liby.so; runpath absent /runpath/liby.so; "
	      "default absent /lib/x86_64-linux-gnu/liby.so; default opened /usr/lib/liby.so");
	assert_int_equal(s->skipped.n, 1);
	assert_string_equal(s->skipped.v[0].path, "/never");
	assert_string_equal(s->skipped.v[0].reason, "its RUNPATH takes the place of its RPATH");
}

/* "The DT_RUNPATH directories ... do not apply to those objects' children, which must have their own." */
static void test_runpath_is_not_inherited(void **state)
{
	struct world *w = *state;
	struct imp_ld_tree *t;

	OBJECT(w, "/bin/prog");
	OBJECT(w, "/opt/run.so", .needed = {"libb.so"}, .runpath = "$ORIGIN/lib");
	OBJECT(w, "/opt/rp.so", .needed = {"libb.so"}, .rpath = "$ORIGIN/lib");
	OBJECT(w, "/opt/lib/libb.so", .needed = {"libc_.so"});
	OBJECT(w, "/opt/lib/libc_.so", .soname = "libc_.so");
	start(w);
	t = open_as(w, "/opt/run.so", NULL, false);
	assert_null(t->object);
	assert_string_equal(t->failed->name, "libc_.so");
	assert_string_equal(t->failed->requester->name, "/opt/lib/libb.so");
	/* A needs B needs C */
	assert_string_equal(t->failed->requester->loader->name, "/opt/run.so");
	assert_string_equal(t->failed->error,
			    "cannot open shared object file: No such file or directory");
	/* What failed is not loaded. */
	assert_null(imp_ld_process_match(&w->process, "/opt/run.so", 0, NULL));
	t = open_as(w, "/opt/rp.so", NULL, false);
	assert_non_null(t->object);
	assert_int_equal(t->objects.n, 3);
	assert_string_equal(t->searches.v[2]->tried.v[0].of->name, "/opt/rp.so");
}

static void test_secure(void **state)
{
	struct world *w = *state;
	struct imp_ld_tree *t;

	w->process.secure = true;
	w->process.library_path = "/env";
	OBJECT(w, "/env/libx.so", .soname = "libx.so");
	OBJECT(w, "/bin/prog", .runpath = "$ORIGIN/lib:/trusted:/usr/lib/x:$ORIGIN/../usr/lib/sub");
	directory(w, "/trusted");
	start(w);
	t = open_as(w, "libx.so", NULL, false);
	assert_string_equal(t->searches.v[0]->tried.v[0].path,
			    "/trusted/glibc-hwcaps/x86-64-v2/libx.so");
	assert_int_equal(t->searches.v[0]->skipped.n, 2);
	assert_string_equal(t->searches.v[0]->skipped.v[0].path, "/env");
	assert_string_equal(t->searches.v[0]->skipped.v[1].path, "$ORIGIN/lib");
	/* Rooted in a default directory it is trusted. */
	assert_non_null(strstr(t->searches.v[0]->tried.v[4].path, "/bin/../usr/lib/sub/"));
}

static void test_no_default_libraries(void **state)
{
	struct world *w = *state;
	const struct imp_ld_search *s;

	OBJECT(w, "/bin/prog");
	OBJECT(w, "/opt/a.so", .needed = {"libx.so"}, .flags_1 = DF_1_NODEFLIB);
	OBJECT(w, "/usr/lib/libx.so", .soname = "libx.so");
	cached(w, "libx.so", "/usr/lib/libx.so");
	start(w);
	s = open_as(w, "/opt/a.so", NULL, false)->failed;
	check(s, "");
	assert_int_equal(s->skipped.n, 3);
	assert_int_equal(s->skipped.v[0].origin, IMP_LD_CACHE);
	/* One from another directory of ld.so.conf counts. */
	OBJECT(w, "/opt/a2.so", .needed = {"libz.so"}, .flags_1 = DF_1_NODEFLIB);
	OBJECT(w, "/usr/local/lib/libz.so", .soname = "libz.so");
	cached(w, "libz.so", "/usr/local/lib/libz.so");
	assert_non_null(open_as(w, "/opt/a2.so", NULL, false)->object);
}

/* What is loaded answers to its soname and to the names by which it was asked for. */
static void test_loaded_before(void **state)
{
	struct world *w = *state;
	const struct imp_ld_search *s;

	OBJECT(w, "/bin/prog");
	OBJECT(w, "/one/libx.so", .soname = "libx.so.1");
	OBJECT(w, "/two/libx.so.1", .soname = "libx.so.1");
	OBJECT(w, "/opt/user.so", .needed = {"libx.so.1"}, .runpath = "/two");
	start(w);
	open_as(w, "/one/libx.so", NULL, false);
	s = open_as(w, "/opt/user.so", NULL, false)->searches.v[1];
	check(s, "");
	assert_true(s->loaded_before);
	assert_string_equal(s->loaded_by, "soname");
	assert_string_equal(s->object->name, "/one/libx.so");
	s = open_as(w, "/one/libx.so", NULL, false)->searches.v[0];
	assert_string_equal(s->loaded_by, "name");
}

/* The rest of the order is looked at too: files that would have served. */
static void test_copies_passed_over(void **state)
{
	struct world *w = *state;
	const struct imp_ld_search *s;
	struct imp_ld_tree *t;

	w->process.library_path = "/old";
	OBJECT(w, "/bin/prog");
	OBJECT(w, "/old/libx.so.1", .soname = "libx.so.1", .versions = {"X_1"},
	       .symbols = {{.name = "x", .version = "X_1", .defined = true}});
	OBJECT(w, "/usr/lib/libx.so.1", .soname = "libx.so.1", .versions = {"X_1", "X_2"},
	       .symbols = {{.name = "x", .version = "X_2", .defined = true}});
	OBJECT(w, "/opt/user.so", .needed = {"libx.so.1"},
	       .symbols = {{.name = "x", .version = "X_2", .file = "libx.so.1"},
			   {.name = "y"},
			   {.name = "z", .weak = true}});
	cached(w, "libx.so.1", "/usr/lib/libx.so.1");
	start(w);
	t = open_as(w, "/opt/user.so", NULL, true);
	s = t->searches.v[1];
	assert_string_equal(s->object->name, "/old/libx.so.1");
	assert_int_equal(s->later.n, 1); /* by the cache and by the default rule: one file */
	assert_string_equal(s->later.v[0].path, "/usr/lib/libx.so.1");
	assert_int_equal(s->later.v[0].origin, IMP_LD_CACHE);
	assert_int_equal(imp_elf_symbol_find(s->later.v[0].image, "x", "X_2", NULL), 1);
	assert_int_equal(t->versions.n, 1);
	assert_string_equal(t->versions.v[0].version, "X_2");
	assert_string_equal(t->versions.v[0].of->name, "/old/libx.so.1");
	assert_false(t->versions.v[0].no_versions);
	assert_int_equal(t->undefined.n, 2);
	assert_string_equal(t->undefined.v[0].symbol.name, "x");
	assert_string_equal(t->undefined.v[0].other_version->name, "/old/libx.so.1");
	assert_string_equal(t->undefined.v[1].symbol.name, "y");
	assert_null(t->undefined.v[1].other_version);
}

/* A symbol of an object opened with RTLD_LOCAL is nobody else's. */
static void test_scope(void **state)
{
	struct world *w = *state;
	struct imp_ld_request req = {.name = "/opt/libpython.so"};
	struct imp_ld_tree_options options = {.symbols = true};
	struct imp_ld_tree t;

	OBJECT(w, "/bin/prog", .symbols = {{.name = "of_program", .defined = true}});
	OBJECT(w, "/opt/libpython.so", .symbols = {{.name = "PyErr", .defined = true}});
	OBJECT(w, "/opt/ext.so", .symbols = {{.name = "PyErr"}, {.name = "of_program"}});
	start(w);
	assert_int_equal(imp_ld_tree_open(&w->process, &req, &options, &t, NULL), 0);
	assert_int_equal(open_as(w, "/opt/ext.so", NULL, true)->undefined.n, 1);
	imp_ld_process_remove(&w->process,
			      imp_ld_process_match(&w->process, "/opt/ext.so", 0, NULL));
	options.global = true;
	assert_int_equal(imp_ld_tree_open(&w->process, &req, &options, &t, NULL), 0);
	assert_int_equal(open_as(w, "/opt/ext.so", NULL, true)->undefined.n, 0);
}

static void test_bad_files(void **state)
{
	struct world *w = *state;
	const struct imp_ld_search *s;

	w->process.library_path = "/bad:/worse:/good";
	OBJECT(w, "/bin/prog");
	OBJECT(w, "/bad/libx.so", .machine = EM_AARCH64);
	OBJECT(w, "/bad/liby.so", .bits = 32);
	imp_ld_disk_record(&w->disk, "/bad/libz.so", -EACCES, 0, 0, 0, NULL, 0);
	file(w, "/bad/libt.so",
	     "<html><head><title>404 Not Found</title></head><body>not found</body></html>", 76);
	OBJECT(w, "/worse/none.so");
	OBJECT(w, "/good/libx.so");
	OBJECT(w, "/good/libz.so");
	OBJECT(w, "/good/libt.so");
	start(w);
	s = open_as(w, "libx.so", NULL, false)->searches.v[0];
	assert_int_equal(s->tried.v[1].result, IMP_LD_WRONG_ELF);
	assert_string_equal(s->tried.v[1].reason, "it is for another processor: 64-bit aarch64");
	assert_string_equal(s->object->name, "/good/libx.so");
	s = open_as(w, "liby.so", NULL, false)->searches.v[0];
	assert_string_equal(s->error, "wrong ELF class: ELFCLASS32");
	s = open_as(w, "libz.so", NULL, false)->searches.v[0];
	assert_int_equal(s->tried.v[0].result, IMP_LD_DENIED);
	assert_string_equal(s->object->name, "/good/libz.so");
	s = open_as(w, "libt.so", NULL, false)->searches.v[0];
	assert_null(s->object);
	assert_string_equal(s->error, "invalid ELF header");
	assert_string_equal(s->error_name, "/bad/libt.so");
	assert_string_equal(s->tried.v[s->tried.n - 1].reason, "it is no ELF file but an HTML page");
	assert_string_equal(s->later.v[0].path, "/good/libt.so");
}

/* Without the disk nothing is certain, and nothing is made up. */
static void test_not_known(void **state)
{
	struct world *w = *state;
	struct imp_ld_tree *t;

	w->everything_known = false;
	w->process.library_path = "/env";
	OBJECT(w, "/bin/prog");
	OBJECT(w, "/opt/a.so", .needed = {"libx.so", "libk.so"}, .runpath = "$ORIGIN/lib");
	OBJECT(w, "/opt/lib/libk.so");
	imp_ld_disk_record(&w->disk, "/env/libk.so", -ENOENT, 0, 0, 0, NULL, 0);
	start(w);
	t = open_as(w, "/opt/a.so", NULL, false);
	assert_true(t->unknown);
	assert_null(t->failed->error);
	check(t->searches.v[1],
	      "ld_library_path skipped /env/libx.so; runpath skipped /opt/lib/libx.so; "
	      "default skipped /lib/x86_64-linux-gnu/libx.so; default skipped /usr/lib/libx.so");
	/* This one is: what comes before it in the order is known. */
	assert_false(t->searches.v[2]->unknown);
	assert_string_equal(t->searches.v[2]->object->name, "/opt/lib/libk.so");
}

static void test_tokens(void **state)
{
	static const struct {
		const char *text, *value;
	} cases[] = {
		{"/plain", "/plain"},
		{"$ORIGIN", "/opt/x"},
		{"${ORIGIN}/lib", "/opt/x/lib"},
		{"/a/$LIB/b", "/a/lib/x86_64-linux-gnu/b"},
		{"$PLATFORM", "x86_64"},
		{"$ORIGINAL", "$ORIGINAL"},
		{"${ORIGIN", "${ORIGIN"},
		{"$", "$"},
		{"a$b", "a$b"},
		{"$ORIGIN$ORIGIN", "/opt/x/opt/x"},
	};
	struct world *w = *state;
	const struct imp_ld_object *o;
	size_t i;

	OBJECT(w, "/bin/prog");
	OBJECT(w, "/opt/x/a.so");
	start(w);
	o = open_as(w, "/opt/x/a.so", NULL, false)->object;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(imp_ld_process_expand(&w->process, o, cases[i].text),
				    cases[i].value);
	w->system.platform = NULL;
	assert_null(imp_ld_process_expand(&w->process, o, "/x/$PLATFORM"));
	w->process.secure = true;
	assert_null(imp_ld_process_expand(&w->process, o, "/x/$ORIGIN"));
	assert_non_null(imp_ld_process_expand(&w->process, o, "$ORIGIN/x"));
	assert_null(imp_ld_process_expand(&w->process, w->process.program, "$ORIGIN/x"));
}

static void test_bad_requests(void **state)
{
	struct world *w = *state;
	struct imp_ld_request req = {.name = "", .dlopen = true};
	struct imp_ld_search s;
	struct imp_error err;

	OBJECT(w, "/bin/prog");
	start(w);
	assert_int_equal(imp_ld_search_run(&w->process, &req, &s, &err), -EINVAL);
	req.name = NULL;
	assert_int_equal(imp_ld_search_run(&w->process, &req, &s, &err), -EINVAL);
}

/* Objects that need each other, and themselves. */
static void test_circles(void **state)
{
	struct world *w = *state;
	struct imp_ld_tree *t;

	OBJECT(w, "/bin/prog");
	OBJECT(w, "/usr/lib/a.so", .needed = {"a.so", "b.so"}, .soname = "a.so");
	OBJECT(w, "/usr/lib/b.so", .needed = {"a.so", "b.so"}, .soname = "b.so");
	start(w);
	t = open_as(w, "a.so", NULL, true);
	assert_int_equal(t->objects.n, 2);
	assert_int_equal(t->searches.n, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_slash),
		TEST(test_order),
		TEST(test_runpath_is_not_inherited),
		TEST(test_secure),
		TEST(test_no_default_libraries),
		TEST(test_loaded_before),
		TEST(test_copies_passed_over),
		TEST(test_scope),
		TEST(test_bad_files),
		TEST(test_not_known),
		TEST(test_tokens),
		TEST(test_bad_requests),
		TEST(test_circles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
