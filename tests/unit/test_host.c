// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "host/host_cache.h"
#include "temp_tree.h"

static struct temp_tree tree;
static struct imp_arena arena;
static const struct imp_host on = {.enabled = true}, off = {.enabled = false};

static int setup(void **state)
{
	(void)state;
	temp_tree_make(&tree);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	temp_tree_remove(&tree);
	imp_arena_clear(&arena);
	return 0;
}

static void test_disabled_knows_nothing(void **state)
{
	const char *path = temp_tree_write(&tree, "file", "x"), *text;
	struct imp_host_buffer b = {0};
	struct imp_strings names;
	struct stat st;
	char *data;
	size_t len;

	(void)state;
	assert_int_equal(imp_host_stat(&off, path, &st), -ENODATA);
	assert_int_equal(imp_host_lstat(&off, path, &st), -ENODATA);
	assert_int_equal(imp_host_exists(&off, path), -ENODATA);
	assert_int_equal(imp_host_exists(&off, "/nonexistent"), -ENODATA);
	assert_false(imp_host_is_directory(&off, "/"));
	assert_int_equal(imp_host_read(&off, &arena, path, 100, &data, &len), -ENODATA);
	assert_int_equal(imp_host_read_into(&off, path, 100, &b), -ENODATA);
	assert_int_equal(imp_host_contains(&off, path, "x"), -ENODATA);
	assert_int_equal(imp_host_list(&off, &arena, tree.root, &names), -ENODATA);
	assert_int_equal(imp_host_readlink(&off, &arena, path, &text), -ENODATA);
	assert_int_equal(imp_host_realpath(&off, &arena, path, &text), -ENODATA);
}

/* With a cache the first answer stays, good or bad, whatever happens to the disk meanwhile. */
static void test_answers_are_kept(void **state)
{
	const char *dir, *path, *absent, *text;
	struct imp_host_cache cache;
	struct imp_host kept = {.enabled = true, .cache = &cache};
	struct imp_host_buffer b = {0};
	struct imp_strings names;
	struct stat st;
	char *data;
	size_t len;
	int i;

	(void)state;
	imp_host_cache_init(&cache);
	path = temp_tree_write(&tree, "kept/file", "17 bytes are here");
	dir = temp_tree_path(&tree, "kept");
	absent = temp_tree_path(&tree, "kept/absent");
	for (i = 0; i < 2; i++) {
		assert_int_equal(imp_host_stat(&kept, path, &st), 0);
		assert_int_equal(st.st_size, 17);
		assert_int_equal(imp_host_exists(&kept, absent), 0);
		assert_int_equal(imp_host_list(&kept, &arena, dir, &names), 0);
		assert_int_equal(names.n, 1);
		assert_string_equal(names.v[0], "file");
		/* Who adds a name adds it for itself. */
		*imp_vec_push(&arena, &names) = "mine";
		assert_int_equal(imp_host_text(&kept, path, 100, &b, &text, &len), 0);
		assert_int_equal(len, 17);
		assert_string_equal(text, "17 bytes are here");
		assert_int_equal(imp_host_text(&kept, absent, 100, &b, &text, &len), -ENOENT);
		assert_null(text);
		assert_int_equal(imp_host_read(&kept, &arena, path, 100, &data, &len), 0);
		assert_string_equal(data, "17 bytes are here");
		data[0] = 'x'; /* a copy */
		assert_int_equal(imp_host_realpath(&kept, &arena, path, &text), 0);
		assert_string_equal(text, path);
		assert_int_equal(imp_host_realpath(&kept, &arena, absent, &text), -ENOENT);
		assert_int_equal(unlink(path), i ? -1 : 0);
	}
	assert_int_equal(imp_host_stat(&on, path, &st), -ENOENT);
	imp_host_buffer_clear(&b);
	imp_host_cache_clear(&cache);
	imp_host_cache_clear(&cache);
}

static void test_relative_paths_are_not_ours_to_resolve(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(imp_host_stat(&on, ".", &st), -ENODATA);
	assert_int_equal(imp_host_exists(&on, ""), -ENODATA);
	assert_int_equal(imp_host_exists(&on, NULL), -ENODATA);
}

static void test_exists(void **state)
{
	(void)state;
	temp_tree_write(&tree, "dir/file", "");
	temp_tree_link(&tree, "nowhere", "dangling");
	temp_tree_link(&tree, "loop", "loop");
	temp_tree_link(&tree, "dir", "good");
	assert_int_equal(imp_host_exists(&on, temp_tree_path(&tree, "dir/file")), 1);
	assert_int_equal(imp_host_exists(&on, temp_tree_path(&tree, "good")), 1);
	assert_int_equal(imp_host_exists(&on, temp_tree_path(&tree, "dangling")), 0);
	assert_int_equal(imp_host_exists(&on, temp_tree_path(&tree, "loop")), 0);
	assert_int_equal(imp_host_exists(&on, temp_tree_path(&tree, "absent")), 0);
	assert_int_equal(imp_host_exists(&on, temp_tree_path(&tree, "dir/file/below")), 0);
	assert_true(imp_host_is_directory(&on, temp_tree_path(&tree, "good")));
	assert_false(imp_host_is_directory(&on, temp_tree_path(&tree, "dir/file")));
	assert_false(imp_host_is_directory(&on, temp_tree_path(&tree, "absent")));
}

static void test_read(void **state)
{
	const char *path = temp_tree_bytes(&tree, "data", "a\0b\nc", 5);
	struct imp_host_buffer b = {0};
	char *data;
	size_t len;

	(void)state;
	assert_int_equal(imp_host_read(&on, &arena, path, 5, &data, &len), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(data, "a\0b\nc", 6);
	assert_int_equal(imp_host_read(&on, &arena, path, 4, &data, &len), -EFBIG);
	assert_int_equal(imp_host_read(&on, &arena, tree.root, 4096, &data, &len), -EISDIR);
	assert_int_equal(imp_host_read(&on, &arena, temp_tree_path(&tree, "no"), 9, &data, &len),
			 -ENOENT);
	assert_int_equal(mkfifo(temp_tree_path(&tree, "fifo"), 0600), 0);
	assert_int_equal(imp_host_read(&on, &arena, temp_tree_path(&tree, "fifo"), 9, &data, &len),
			 -EINVAL); /* and it did not wait for a writer */
	assert_int_equal(
		imp_host_read(&on, &arena, temp_tree_write(&tree, "empty", ""), 0, &data, &len), 0);
	assert_int_equal(len, 0);
	assert_string_equal(data, "");

	assert_int_equal(imp_host_read_into(&on, path, 5, &b), 0);
	assert_int_equal(b.len, 5);
	assert_int_equal(imp_host_read_into(&on, temp_tree_path(&tree, "empty"), 5, &b), 0);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	assert_int_equal(imp_host_read_into(&on, path, 4, &b), -EFBIG);
	assert_int_equal(b.len, 0);
	imp_host_buffer_clear(&b);
	imp_host_buffer_clear(&b);
	assert_null(b.data);
}

static void test_contains_across_pieces(void **state)
{
	static const size_t places[] = {0,
					1,
					(1 << 20) - 13,
					(1 << 20) - 1,
					1 << 20,
					(1 << 20) + 7,
					(2 << 20) - 3,
					(2 << 20) + 101 - 13};
	size_t size = (2 << 20) + 101, i;
	char *big = malloc(size);

	(void)state;
	assert_non_null(big);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		memset(big, '\n', size);
		memcpy(big + places[i], "\nPackage: x1\n", 13);
		temp_tree_bytes(&tree, "big", big, size);
		assert_int_equal(
			imp_host_contains(&on, temp_tree_path(&tree, "big"), "\nPackage: x1\n"), 1);
		assert_int_equal(
			imp_host_contains(&on, temp_tree_path(&tree, "big"), "\nPackage: x2\n"), 0);
	}
	free(big);
	temp_tree_write(&tree, "small", "ab");
	assert_int_equal(imp_host_contains(&on, temp_tree_path(&tree, "small"), "abc"), 0);
	assert_int_equal(imp_host_contains(&on, temp_tree_path(&tree, "small"), "ab"), 1);
	assert_int_equal(imp_host_contains(&on, temp_tree_path(&tree, "small"), ""), 0);
	assert_int_equal(imp_host_contains(&on, temp_tree_path(&tree, "none"), "a"), -ENOENT);
}

static void test_list(void **state)
{
	struct imp_strings names;

	(void)state;
	temp_tree_write(&tree, "list/b", "");
	temp_tree_write(&tree, "list/a\n\xff", "");
	temp_tree_write(&tree, "list/.c/", "");
	assert_int_equal(imp_host_list(&on, &arena, temp_tree_path(&tree, "list"), &names), 0);
	assert_int_equal(names.n, 3);
	assert_string_equal(names.v[0], ".c");
	assert_string_equal(names.v[1], "a\n\xff");
	assert_string_equal(names.v[2], "b");
	assert_int_equal(imp_host_list(&on, &arena, temp_tree_path(&tree, "list/b"), &names),
			 -ENOTDIR);
	assert_int_equal(imp_host_list(&on, &arena, temp_tree_path(&tree, "none"), &names), -ENOENT);
	assert_int_equal(names.n, 0);
	temp_tree_write(&tree, "void/", "");
	assert_int_equal(imp_host_list(&on, &arena, temp_tree_path(&tree, "void"), &names), 0);
	assert_int_equal(names.n, 0);
}

static void test_links(void **state)
{
	const char *text;

	(void)state;
	temp_tree_write(&tree, "links/real/file", "");
	temp_tree_link(&tree, "real", "links/link");
	assert_int_equal(imp_host_readlink(&on, &arena, temp_tree_path(&tree, "links/link"), &text),
			 0);
	assert_string_equal(text, "real");
	assert_int_equal(imp_host_readlink(&on, &arena, temp_tree_path(&tree, "links/real"), &text),
			 -EINVAL);
	assert_null(text);
	assert_int_equal(
		imp_host_realpath(&on, &arena, temp_tree_path(&tree, "links/link/file"), &text), 0);
	assert_string_equal(text, temp_tree_path(&tree, "links/real/file"));
	assert_int_equal(imp_host_realpath(&on, &arena, temp_tree_path(&tree, "no"), &text),
			 -ENOENT);
}

/* ---- is the trace from here? ---- */

struct recorded {
	struct imp_record record;
	struct imp_image image;
	char boot_id[64];
};

static void record_here(struct recorded *r)
{
	struct stat root;
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");

	memset(r, 0, sizeof(*r));
	if (!f || !fgets(r->boot_id, sizeof(r->boot_id), f))
		abort();
	fclose(f);
	r->boot_id[strcspn(r->boot_id, "\n")] = '\0';
	assert_int_equal(stat("/", &root), 0);
	r->image.started = true;
	r->image.boot_id = r->boot_id;
	r->image.root_dev = root.st_dev;
	r->image.root_ino = root.st_ino;
	r->image.exe = temp_tree_write(&tree, "exe", "");
	*imp_vec_push(&arena, &r->record.images) = &r->image;
}

/* A failed import in the record, which searched one directory that had this time. */
static void add_entry(struct recorded *r, const char *path, int64_t mtime_ns)
{
	struct imp_attempt *attempt = imp_arena_alloc(&arena, sizeof(*attempt));
	struct imp_outcome *outcome = imp_arena_alloc(&arena, sizeof(*outcome));
	struct imp_snapshot *snapshot = imp_arena_alloc(&arena, sizeof(*snapshot));
	struct imp_entry *entry = imp_vec_push(&arena, &snapshot->entries);

	entry->entry = path;
	entry->state = IMP_PATH_DIRECTORY;
	entry->stat.known = true;
	entry->stat.mtime_ns = mtime_ns;
	outcome->snapshot = snapshot;
	attempt->frame = &imp_no_frame;
	attempt->outcome = outcome;
	*imp_vec_push(&arena, &r->image.attempts) = attempt;
}

static int64_t mtime_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
}

static void test_matches(void **state)
{
	struct recorded r;
	const char *why;

	(void)state;
	record_here(&r);
	assert_true(imp_host_matches(&r.record, &why));
	assert_null(why);
	assert_true(imp_host_matches(&r.record, NULL));

	r.image.root_ino += 17; /* a chroot */
	assert_false(imp_host_matches(&r.record, &why));
	assert_non_null(strstr(why, "root directory"));
	r.image.boot_id = "another";
	assert_false(imp_host_matches(&r.record, &why));
	assert_non_null(strstr(why, "another machine"));

	record_here(&r);
	r.image.root_dev++; /* a container of the same boot */
	assert_false(imp_host_matches(&r.record, &why));

	record_here(&r);
	r.image.started = false;
	assert_false(imp_host_matches(&r.record, &why));
	assert_non_null(why);
	memset(&r.record, 0, sizeof(r.record));
	assert_false(imp_host_matches(&r.record, &why));
	assert_false(imp_host_matches(&r.record, NULL));
}

static void test_matches_after_reboot(void **state)
{
	const char *dir = temp_tree_write(&tree, "searched/", ""), *why;
	struct recorded r;

	(void)state;
	record_here(&r);
	r.image.boot_id = "11111111-2222-3333-4444-555555555555";
	assert_true(imp_host_matches(&r.record, &why));

	add_entry(&r, dir, mtime_of(dir) + 1); /* changed since, or another machine's */
	assert_false(imp_host_matches(&r.record, &why));
	assert_non_null(why);
	add_entry(&r, dir, mtime_of(dir)); /* one that is as it was */
	assert_true(imp_host_matches(&r.record, &why));

	r.image.exe = "/nonexistent/python";
	assert_false(imp_host_matches(&r.record, &why));
	r.image.exe = NULL;
	assert_false(imp_host_matches(&r.record, &why));
	record_here(&r);
	r.image.boot_id = NULL;
	assert_true(imp_host_matches(&r.record, &why));
}

/* A program that changed its root in the middle of the run. */
static void test_matches_one_image(void **state)
{
	struct imp_image child;
	struct recorded r;
	const char *why;

	(void)state;
	record_here(&r);
	child = r.image;
	child.root_ino = 987654321;
	*imp_vec_push(&arena, &r.record.images) = &child;
	assert_true(imp_host_matches(&r.record, &why));
	assert_true(imp_host_matches_image(&r.image, &why));
	assert_false(imp_host_matches_image(&child, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disabled_knows_nothing),
		cmocka_unit_test(test_answers_are_kept),
		cmocka_unit_test(test_relative_paths_are_not_ours_to_resolve),
		cmocka_unit_test(test_exists),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_contains_across_pieces),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_matches_after_reboot),
		cmocka_unit_test(test_matches_one_image),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
