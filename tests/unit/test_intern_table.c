/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "intern_table.h"

static struct imp_intern_table table;

/* The number of a string, given now if need be. */
static uint32_t intern(const void *text, size_t len, bool *is_new)
{
	uint32_t place, id = imp_intern_find(&table, text, len, &place);

	*is_new = !id;
	return id ? id : imp_intern_add(&table, text, len, place);
}

static int clear(void **state)
{
	(void)state;
	imp_intern_clear(&table);
	return 0;
}

static void test_numbers(void **state)
{
	bool is_new;
	uint32_t first = intern("a", 1, &is_new);

	(void)state;
	assert_true(first > 0 && is_new);
	assert_int_equal(intern("b", 1, &is_new), first + 1);
	assert_true(is_new);
	assert_int_equal(intern("a", 1, &is_new), first);
	assert_false(is_new);
	assert_int_equal(intern("", 0, &is_new), first + 2);
	assert_int_equal(intern("", 0, &is_new), first + 2);
	assert_int_equal(intern("a\0b", 3, &is_new), first + 3);
	assert_int_equal(intern("a\0c", 3, &is_new), first + 4);
	assert_int_equal(intern("a\0b", 3, &is_new), first + 3);
	assert_int_equal(intern("\xff\xfe", 2, &is_new), first + 5);
}

static void test_cleared(void **state)
{
	bool is_new;
	uint32_t old = intern("x", 1, &is_new), now;

	(void)state;
	imp_intern_clear(&table);
	now = intern("x", 1, &is_new);
	assert_true(is_new);
	assert_true(now > old); /* never an old number for another string */
	imp_intern_clear(&table);
	imp_intern_clear(&table);
	assert_int_equal(intern("y", 1, &is_new), now + 1);
}

static void test_full_of_strings(void **state)
{
	char text[32];
	bool is_new;

	(void)state;
	for (uint32_t i = 0; i < IMP_INTERN_STRINGS_MAX; i++) {
		int len = snprintf(text, sizeof(text), "string %u", i);

		assert_int_equal(intern(text, (size_t)len, &is_new), table.base + i + 1);
		assert_true(is_new);
	}
	assert_int_equal(intern("one more", 8, &is_new), 0);
	for (uint32_t i = 0; i < IMP_INTERN_STRINGS_MAX; i++) {
		int len = snprintf(text, sizeof(text), "string %u", i);

		assert_int_equal(intern(text, (size_t)len, &is_new), table.base + i + 1);
		assert_false(is_new);
	}
	imp_intern_clear(&table);
	assert_int_not_equal(intern("one more", 8, &is_new), 0);
	assert_true(is_new);
}

static void test_full_of_bytes(void **state)
{
	static char text[IMP_INTERN_BYTES_MAX / 8 + 1];
	bool is_new;

	(void)state;
	for (int i = 0; i < 7; i++) {
		text[0] = (char)i;
		assert_int_not_equal(intern(text, sizeof(text), &is_new), 0);
	}
	text[0] = 7;
	assert_int_equal(intern(text, sizeof(text), &is_new), 0);
	text[0] = 3;
	assert_int_not_equal(intern(text, sizeof(text), &is_new), 0);
	assert_int_not_equal(intern("short", 5, &is_new), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_numbers, clear),
		cmocka_unit_test_setup(test_cleared, clear),
		cmocka_unit_test_setup(test_full_of_strings, clear),
		cmocka_unit_test_setup(test_full_of_bytes, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
