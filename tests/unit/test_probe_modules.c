/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/probe/probe_modules.h"

static void add(struct imp_probe_modules *m, const char *name, const char *file)
{
	imp_probe_modules_add(m, name, strlen(name), file);
}

static const char *file_of(const struct imp_probe_modules *m, const char *name)
{
	return imp_probe_modules_file(m, name, strlen(name));
}

static void test_find(void **state)
{
	struct imp_probe_modules m = {0};

	(void)state;
	assert_null(file_of(&m, "json"));
	add(&m, "json", "/lib/json/__init__.py");
	add(&m, "sys", NULL);
	imp_probe_modules_add(&m, "email.mime.text", 5,
			      "/lib/email/__init__.py"); /* a part of a dotted name */
	assert_string_equal(file_of(&m, "json"), "/lib/json/__init__.py");
	assert_string_equal(file_of(&m, "sys"), "");
	assert_string_equal(file_of(&m, "email"), "/lib/email/__init__.py");
	assert_string_equal(imp_probe_modules_file(&m, "json.decoder", 4), "/lib/json/__init__.py");
	assert_null(file_of(&m, "email.mime.text"));
	assert_null(file_of(&m, "jso"));
	assert_null(file_of(&m, "json.decoder"));
	assert_null(file_of(&m, "/lib/json/__init__.py"));
	assert_null(file_of(&m, ""));
	/* The first file stays, and nothing is counted twice. */
	add(&m, "json", "/elsewhere/json.py");
	add(&m, "sys", "/elsewhere/sys.py");
	assert_string_equal(file_of(&m, "json"), "/lib/json/__init__.py");
	assert_string_equal(file_of(&m, "sys"), "");
	assert_int_equal(m.n, 3);
	imp_probe_modules_clear(&m);
	assert_null(file_of(&m, "json"));
	imp_probe_modules_clear(&m);
}

/* Many, so that it grows several times; and a copy that has a life of its own. */
static void test_many(void **state)
{
	enum { MANY = 5003 };
	struct imp_probe_modules m = {0}, fork = {0};
	char name[32], file[64];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "pkg_%d.mod_%d", i % 17, i);
		snprintf(file, sizeof(file), "/lib/%d.py", i);
		add(&m, name, i % 2 ? file : NULL);
	}
	assert_int_equal(m.n, MANY);
	assert_true(m.room >= 2 * m.n && !(m.room & (m.room - 1)));
	imp_probe_modules_copy(&fork, &m);
	add(&m, "of_the_parent", NULL);
	add(&fork, "of_the_child", NULL);
	assert_null(file_of(&fork, "of_the_parent"));
	assert_null(file_of(&m, "of_the_child"));
	imp_probe_modules_clear(&m);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "pkg_%d.mod_%d", i % 17, i);
		snprintf(file, sizeof(file), "/lib/%d.py", i);
		assert_non_null(file_of(&fork, name));
		assert_string_equal(file_of(&fork, name), i % 2 ? file : "");
	}
	assert_non_null(file_of(&fork, "of_the_child"));
	imp_probe_modules_clear(&fork);
	imp_probe_modules_copy(&fork, &m); /* of an empty one */
	assert_null(file_of(&fork, "of_the_child"));
	add(&fork, "first", NULL);
	assert_non_null(file_of(&fork, "first"));
	imp_probe_modules_clear(&fork);
}

/* What is too much is dropped, and the rest is still found. */
static void test_full(void **state)
{
	struct imp_probe_modules m = {0};
	static char file[65537];
	char name[32];
	int i;

	(void)state;
	memset(file, 'f', sizeof(file) - 1);
	for (i = 0; i < 101; i++) {
		snprintf(name, sizeof(name), "module_%d", i);
		add(&m, name, file);
	}
	assert_in_range(m.n, 60, 70); /* 4 MiB */
	assert_string_equal(file_of(&m, "module_0"), file);
	assert_string_equal(file_of(&m, "module_59"), file);
	assert_null(file_of(&m, "module_100"));
	imp_probe_modules_clear(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
