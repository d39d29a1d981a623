/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the files lie that an object needs, by ld.so's rules: made-up objects in a tree of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <link.h>
#include <unistd.h>

#include "elf_maker.h"
#include "needed_files.h"
#include "output.h"
#include "recorder.h"
#include "temp_tree.h"
#include "time_budget.h"

#define FOUND_MAX 32

static struct temp_tree tree;
static struct imp_thread *t;

static struct {
	unsigned int count, stop_after;
	char path[FOUND_MAX][8192];
	unsigned int copies[FOUND_MAX];
} found;

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
	temp_tree_remove(&tree);
	return 0;
}

static bool keep(void *arg, const char *path, unsigned int copies)
{
	(void)arg;
	assert_true(found.count < FOUND_MAX);
	snprintf(found.path[found.count], sizeof(found.path[0]), "%s", path);
	found.copies[found.count++] = copies;
	return !found.stop_after || found.count < found.stop_after;
}

static void look_within(const char *name, uint64_t ns)
{
	struct imp_time_budget budget;
	struct imp_needed_look look = {.t = t, .name = name, .budget = &budget, .found = keep};

	found.count = 0;
	imp_time_budget_start(&budget, ns);
	imp_needed_files_look(&look);
}

static void look(const char *name)
{
	look_within(name, 10000000000);
}

static const char *place(const char *name, struct elf_maker m)
{
	elf_make(&m);
	return temp_tree_bytes(&tree, name, m.data, m.len);
}

static void library_path(const char *value)
{
	char text[5 * 4096];
	char *environment[] = {(char *)(uintptr_t) "A=b", text, NULL};

	snprintf(text, sizeof(text), "LD_LIBRARY_PATH=%s", value);
	imp_needed_files_init(environment);
}

static void assert_found(unsigned int i, const char *name, unsigned int copies)
{
	assert_true(i < found.count);
	assert_string_equal(found.path[i], temp_tree_path(&tree, name));
	assert_int_equal(found.copies[i], copies);
}

/* $ORIGIN; and what is needed by what is needed. */
static void test_chain(void **state)
{
	const char *root;

	(void)state;
	root = place("chain/ext.so", (struct elf_maker){.needed = {"liba17.so.1", "libnone17.so"},
							.runpath = "${ORIGIN}/lib:$LIB/x:relative"});
	place("chain/lib/liba17.so.1",
	      (struct elf_maker){.needed = {"libb17.so.1", "libc.so.6"}, .runpath = "$ORIGIN"});
	place("chain/lib/libb17.so.1", (struct elf_maker){.needed = {"liba17.so.1", "libb17.so.1"}});
	library_path("");
	look(root);
	assert_int_equal(found.count, 2);
	assert_found(0, "chain/lib/liba17.so.1", 1);
	assert_found(1, "chain/lib/libb17.so.1", 1);
	/* A relative path is the same file. */
	look("chain/../chain/ext.so");
	assert_int_equal(found.count, 2);
	assert_non_null(strstr(found.path[0], "/chain/../chain/lib/liba17.so.1"));
	/* As often as one is wanted. */
	found.stop_after = 1;
	look(root);
	assert_int_equal(found.count, 1);
	found.stop_after = 0;
}

/* RPATH serves those that are needed further down; RUNPATH does not, and takes the place of RPATH. */
static void test_inheritance(void **state)
{
	const char *root;

	(void)state;
	library_path("");
	place("heir/lib/liba17.so", (struct elf_maker){.needed = {"libb17.so"}});
	place("heir/lib/libb17.so", (struct elf_maker){.bits = 64});
	root = place("heir/rpath.so",
		     (struct elf_maker){.needed = {"liba17.so"}, .rpath = "$ORIGIN/lib"});
	look(root);
	assert_int_equal(found.count, 2);
	assert_found(1, "heir/lib/libb17.so", 1);
	root = place("heir/runpath.so",
		     (struct elf_maker){.needed = {"liba17.so"}, .runpath = "$ORIGIN/lib"});
	look(root);
	assert_int_equal(found.count, 1);
	assert_found(0, "heir/lib/liba17.so", 1);
	root = place("heir/both.so", (struct elf_maker){.needed = {"liba17.so"},
							.rpath = "$ORIGIN/lib",
							.runpath = "$ORIGIN/none"});
	look(root);
	assert_int_equal(found.count, 0);
}

/* All copies, in search order, each file once. */
static void test_copies(void **state)
{
	char path[4 * 4096];
	const char *root;

	(void)state;
	root = place("copies/ext.so",
		     (struct elf_maker){.needed = {"liba17.so"}, .runpath = "$ORIGIN/lib"});
	place("copies/lib/liba17.so", (struct elf_maker){.bits = 64});
	place("copies/first/liba17.so", (struct elf_maker){.machine = EM_AARCH64});
	place("copies/second/liba17.so", (struct elf_maker){.needed = {"libb17.so"}});
	place("copies/second/libb17.so", (struct elf_maker){.bits = 64});
	snprintf(path, sizeof(path), "%s/copies/first;%s/copies/second:%s/copies/lib/../lib/",
		 tree.root, tree.root, tree.root);
	library_path(path);
	look(root);
	assert_int_equal(found.count, 4);
	assert_found(0, "copies/first/liba17.so", 3);
	assert_found(1, "copies/second/liba17.so", 3);
	assert_found(3, "copies/second/libb17.so", 1); /* needed by the copy that is taken */
	/* By its name alone, as ctypes does. */
	look("liba17.so");
	assert_int_equal(found.count, 4);
	library_path("");
	look("liba17.so");
	assert_int_equal(found.count, 0);
}

static int path_of(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	if (strstr(info->dlpi_name, "/libc.so.6"))
		strcpy(arg, info->dlpi_name);
	return 0;
}

/* What is loaded is right, unless there is another one of its name. */
static void test_mapped(void **state)
{
	char libc[4096] = "", path[2 * 4096];
	const char *root;

	(void)state;
	dl_iterate_phdr(path_of, libc);
	assert_true(*libc);
	library_path("");
	root = place("mapped/ext.so", (struct elf_maker){.needed = {"libc.so.6"}});
	look(root);
	assert_int_equal(found.count, 0);
	place("mapped/lib/libc.so.6", (struct elf_maker){.needed = {"libnone17.so"}});
	snprintf(path, sizeof(path), "%s/mapped/lib", tree.root);
	library_path(path);
	look(root);
	assert_int_equal(found.count, 2);
	assert_string_equal(found.path[0], libc);
	assert_found(1, "mapped/lib/libc.so.6", 2);
	library_path("");
}

static void test_closed(void **state)
{
	const char *root;

	(void)state;
	if (geteuid() == 0)
		skip(); /* root may search and read all */
	root = place("closed/ext.so",
		     (struct elf_maker){.needed = {"liba17.so"}, .runpath = "$ORIGIN/lib"});
	place("closed/lib/liba17.so", (struct elf_maker){.bits = 64});
	assert_int_equal(chmod(temp_tree_path(&tree, "closed/lib"), 0), 0);
	look(root);
	assert_int_equal(chmod(temp_tree_path(&tree, "closed/lib"), 0755), 0);
	assert_int_equal(found.count, 1);
	assert_found(0, "closed/lib/liba17.so", 1);
}

/* Nothing of it leads out of the buffers, or to another kind of file. */
static void test_hostile(void **state)
{
	char name[9000], path[3000];
	struct elf_maker m;
	const char *root;
	size_t i;

	(void)state;
	library_path("");
	look("");
	look("/nonexistent/x.so");
	look(temp_tree_write(&tree, "hostile/text.so", "no ELF file"));
	look(temp_tree_write(&tree, "hostile/empty.so", ""));
	look(tree.root);
	assert_int_equal(found.count, 0);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	look(name);
	name[0] = '/';
	look(name);
	assert_int_equal(found.count, 0);
	/* A path that takes all the room there is. */
	memset(path, 'p', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	root = place("hostile/long.so",
		     (struct elf_maker){.needed = {"liba17.so"}, .runpath = path});
	look(root);
	assert_int_equal(found.count, 0);
	/* FIFOs would wait for a writer. */
	assert_int_equal(mkfifo(temp_tree_path(&tree, "hostile/fifo17.so"), 0644), 0);
	root = place("hostile/asks.so",
		     (struct elf_maker){.needed = {"fifo17.so"}, .runpath = "$ORIGIN"});
	look(root);
	assert_int_equal(found.count, 1);
	/* Cut anywhere, and with any byte another. */
	m = (struct elf_maker){.needed = {"liba17.so", "libb17.so"}, .rpath = "$ORIGIN"};
	elf_make(&m);
	for (i = 0; i < m.len; i += 7)
		look(temp_tree_bytes(&tree, "hostile/cut.so", m.data, i));
	for (i = 0; i < m.len; i++) {
		m.data[i] ^= 0xff;
		look(temp_tree_bytes(&tree, "hostile/odd.so", m.data, m.len));
		m.data[i] ^= 0xff;
	}
}

static void test_no_time(void **state)
{
	const char *root;

	(void)state;
	root = place("late/ext.so",
		     (struct elf_maker){.needed = {"liba17.so"}, .runpath = "$ORIGIN"});
	place("late/liba17.so", (struct elf_maker){.bits = 64});
	look(root);
	assert_int_equal(found.count, 1);
	look_within(root, 0);
	assert_int_equal(found.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),	cmocka_unit_test(test_inheritance),
		cmocka_unit_test(test_copies),	cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_closed),	cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_no_time),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
