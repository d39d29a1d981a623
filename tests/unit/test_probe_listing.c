/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "analyzer/probe/probe_listing.h"
#include "temp_tree.h"

/*
 * Nobody can set a directory's change time: what stat() said is made as old as wanted.
 */
static const struct imp_strings *get(struct imp_probe_listings *l, const char *path, int age,
				     uint64_t reads)
{
	const struct imp_strings *names = NULL;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	st.st_mtim.tv_sec -= age;
	st.st_ctim.tv_sec -= age;
	assert_int_equal(imp_probe_listing_get(l, path, &st, &names), 0);
	assert_int_equal(l->reads, reads);
	return names;
}

static bool has(const struct imp_strings *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcmp(names->v[i], name))
			return true;
	return false;
}

static void test_kept(void **state)
{
	struct imp_probe_listings l = {0};
	const struct imp_strings *names;
	struct temp_tree t;
	const char *dir;

	(void)state;
	temp_tree_make(&t);
	temp_tree_write(&t, "site/b.py", "");
	temp_tree_write(&t, "site/a.py", "");
	dir = temp_tree_path(&t, "site");
	names = get(&l, dir, 3600, 1);
	assert_int_equal(names->n, 2);
	assert_string_equal(names->v[0], "a.py");
	assert_string_equal(names->v[1], "b.py");
	/* The same time: not read again, though there is a new file that the time hides. */
	temp_tree_write(&t, "site/c.py", "");
	{
		struct stat st = l.v[0].st;

		assert_int_equal(imp_probe_listing_get(&l, dir, &st, &names), 0);
		assert_int_equal(l.reads, 1);
		assert_false(has(names, "c.py"));
		st.st_ctim.tv_nsec ^= 1; /* its change is enough */
		assert_int_equal(imp_probe_listing_get(&l, dir, &st, &names), 0);
		assert_int_equal(l.reads, 2);
		assert_true(has(names, "c.py"));
	}
	imp_probe_listings_clear(&l);
	temp_tree_remove(&t);
}

/* A directory that was changed a moment ago may change again within its time's tick. */
static void test_young(void **state)
{
	struct imp_probe_listings l = {0};
	struct temp_tree t;
	const char *dir;

	(void)state;
	temp_tree_make(&t);
	temp_tree_write(&t, "site/a.py", "");
	dir = temp_tree_path(&t, "site");
	/* Of the future: younger than any that this machine can be late for. */
	get(&l, dir, -3600, 1);
	temp_tree_write(&t, "site/b.py", "");
	assert_true(has(get(&l, dir, -3600, 2), "b.py"));
	imp_probe_listings_clear(&l);
	temp_tree_remove(&t);
}

static void test_more_than_are_kept(void **state)
{
	struct imp_probe_listings l = {0};
	struct temp_tree t;
	char name[32];

	(void)state;
	temp_tree_make(&t);
	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < IMP_PROBE_LISTINGS + 1; i++) {
			snprintf(name, sizeof(name), "dir_%d/own_%d.py", i, i);
			if (!turn)
				temp_tree_write(&t, name, "");
			*strchr(name, '/') = '\0';
			assert_true(has(get(&l, temp_tree_path(&t, name), 3600,
					    (uint64_t)(turn * (IMP_PROBE_LISTINGS + 1) + i + 1)),
					strchr(name, '\0') + 1));
		}
	imp_probe_listings_clear(&l);
	temp_tree_remove(&t);
}

/* What cannot be read has no names, is not kept, and takes nothing else with it. */
static void test_failure(void **state)
{
	struct imp_probe_listings l = {0};
	const struct imp_strings *names = NULL;
	struct temp_tree t;
	const char *dir;
	struct stat st;

	(void)state;
	temp_tree_make(&t);
	temp_tree_write(&t, "site/a.py", "");
	dir = temp_tree_path(&t, "site");
	get(&l, dir, 3600, 1);
	assert_int_equal(stat(temp_tree_path(&t, ""), &st), 0);
	for (int turn = 0; turn < 2; turn++) {
		assert_int_equal(imp_probe_listing_get(&l, temp_tree_path(&t, "gone"), &st, &names),
				 -ENOENT);
		assert_int_equal(names->n, 0);
		assert_int_equal(l.reads, 2 + turn);
	}
	get(&l, dir, 3600, 3);
	imp_probe_listings_clear(&l);
	imp_probe_listings_clear(&l);
	temp_tree_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_young),
		cmocka_unit_test(test_more_than_are_kept),
		cmocka_unit_test(test_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
