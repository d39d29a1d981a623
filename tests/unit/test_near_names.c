/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "preload/near_names.h"

static bool match(const char *tail, const char *name)
{
	struct imp_near_names n;
	char buf[64];

	imp_near_names_init(&n, tail, strlen(tail), buf, sizeof(buf));
	return imp_near_names_match(&n, name, strlen(name));
}

static void test_match(void **state)
{
	(void)state;
	assert_true(match("foo", "foo"));
	assert_true(match("foo", "foo.py"));
	assert_true(match("foo", "foo.cpython-311-x86_64-linux-gnu.so"));
	assert_true(match("foo", "FOO.Py"));
	assert_true(match("FOO", "foo.so"));
	assert_true(match("foo", "foo.libs"));
	assert_true(match("foo", "foo-1.0.dist-info"));
	assert_true(match("_x", "_x.so"));
	assert_true(match("caf\xc3\xa9", "caf\xc3\xa9.py"));
	assert_false(match("foo", "foobar.py"));
	assert_false(match("foo", "fo"));
	assert_false(match("foo", "_foo.so"));
	assert_false(match("foo", "foo_d.so"));
	assert_false(match("caf\xc3\xa9", "caf\xc3\x89.py"));
	assert_false(match("", ""));
	assert_false(match("", ".py"));
}

static void test_add_once(void **state)
{
	struct imp_near_names n;
	char buf[64];

	(void)state;
	imp_near_names_init(&n, "foo", 3, buf, sizeof(buf));
	imp_near_names_add(&n, "foo.py", 6, IMP_CACHE_YES);
	imp_near_names_add(&n, "foo.so", 6, IMP_CACHE_NO);
	imp_near_names_add(&n, "foo.py", 6, IMP_CACHE_NO);
	assert_int_equal(n.count, 2);
	assert_int_equal(n.names[0].in_cache, IMP_CACHE_YES);
	assert_string_equal(n.buf + n.names[0].start, "foo.py");
	assert_string_equal(n.buf + n.names[1].start, "foo.so");
	assert_false(n.cut);
}

static void test_bounds(void **state)
{
	struct imp_near_names n;
	char buf[16], many[1024], name[16];

	(void)state;
	imp_near_names_init(&n, "foo", 3, buf, sizeof(buf));
	imp_near_names_add(&n, "foo.567890", 10, IMP_CACHE_YES);
	assert_int_equal(n.used, 11);
	/* One byte too long with its NUL, then one that just fits. */
	imp_near_names_add(&n, "foo.5", 5, IMP_CACHE_YES);
	assert_true(n.cut);
	assert_int_equal(n.count, 1);
	imp_near_names_add(&n, "foo.", 4, IMP_CACHE_YES);
	assert_int_equal(n.count, 2);
	assert_int_equal(n.used, 16);

	imp_near_names_init(&n, "foo", 3, many, sizeof(many));
	for (int i = 0; i < 37; i++) {
		snprintf(name, sizeof(name), "foo.%d", i);
		imp_near_names_add(&n, name, strlen(name), IMP_CACHE_UNKNOWN);
	}
	assert_int_equal(n.count, IMP_NEAR_NAMES_MAX);
	assert_true(n.cut);
}

static void test_metadata(void **state)
{
	static const char *const yes[] = {"a-1.dist-info",
					  "b.egg-info",
					  "c.egg-link",
					  "d.pth",
					  "__editable___x_finder.py",
					  "__editable__.x-1.pth"};
	static const char *const no[] = {".pth",  "pth", "a.py", "dist-info", "a.dist-info.bak",
					 "__edit"};

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
		assert_true(imp_near_names_is_metadata(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		assert_false(imp_near_names_is_metadata(no[i], strlen(no[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_add_once),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
