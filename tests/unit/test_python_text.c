/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <limits.h>
#include <string.h>

#include "preload/python_text.h"

static char data[64];

static struct imp_text_buf fresh(size_t size)
{
	memset(data, '#', sizeof(data));
	return (struct imp_text_buf){.data = data, .size = size};
}

static void check(const struct imp_text_buf *b, const char *wanted)
{
	assert_int_equal(b->len, strlen(wanted));
	assert_memory_equal(b->data, wanted, b->len);
	assert_int_equal(b->data[b->len], '#');
}

static void test_add(void **state)
{
	struct imp_text_buf b = fresh(7);

	(void)state;
	imp_text_add_string(&b, "four");
	imp_text_add_string(&b, "five!");
	check(&b, "fourfiv");
	imp_text_add_string(&b, "more");
	check(&b, "fourfiv");
}

static void number(long long value, const char *wanted)
{
	struct imp_text_buf b = fresh(40);

	imp_text_add_number(&b, value);
	check(&b, wanted);
}

static void test_number(void **state)
{
	(void)state;
	number(0, "0");
	number(-1, "-1");
	number(907, "907");
	number(LLONG_MAX, "9223372036854775807");
	number(LLONG_MIN, "-9223372036854775808");
}

static void quoted(const char *text, size_t len, const char *wanted)
{
	struct imp_text_buf b = fresh(60);

	imp_text_add_quoted(&b, text, len);
	check(&b, wanted);
}

static void test_quoted(void **state)
{
	(void)state;
	quoted("a", 1, "'a'");
	quoted("", 0, "''");
	quoted("it's", 4, "\"it's\"");
	quoted("it's \"so\"", 9, "'it\\'s \"so\"'");
	quoted("\"", 1, "'\"'");
	quoted("a\\b\n\r\t", 6, "'a\\\\b\\n\\r\\t'");
	quoted("\0\x1f\x7f", 3, "'\\x00\\x1f\\x7f'");
	quoted("caf\xc3\xa9", 5, "'caf\xc3\xa9'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
