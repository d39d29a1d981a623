/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/probe/probe_text.h"

/* What lies in memory is taken exactly as long as it is: a sanitizer sees a byte too many. */
static char *utf8(const void *from, size_t len, uint64_t n, uint64_t width)
{
	void *exact = malloc(len);
	char *text;

	assert_non_null(exact);
	memcpy(exact, from, len);
	text = imp_probe_text_utf8(exact, len, n, width);
	free(exact);
	return text;
}

static void check(const void *from, size_t len, uint64_t width, const char *wanted)
{
	char *text = utf8(from, len, len / width, width);

	assert_non_null(text);
	assert_string_equal(text, wanted);
	free(text);
}

static void test_kinds(void **state)
{
	static const uint16_t two[] = {'a', 0x43c, 0x7ff, 0x800, 0x20ac, 0xd7ff, 0xe000, 0xffff};
	static const uint32_t four[] = {'z', 0x80, 0x20ac, 0x10000, 0x20000, 0x10ffff};

	(void)state;
	check("plain.name", 10, 1, "plain.name");
	check("gr\xf6\xdf"
	      "e",
	      5, 1,
	      "gr\xc3\xb6\xc3\x9f"
	      "e");
	check("\x7f\x80\xff", 3, 1, "\x7f\xc2\x80\xc3\xbf");
	check(two, sizeof(two), 2,
	      "a\xd0\xbc\xdf\xbf\xe0\xa0\x80\xe2\x82\xac\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf");
	check(four, sizeof(four), 4,
	      "z\xc2\x80\xe2\x82\xac\xf0\x90\x80\x80\xf0\xa0\x80\x80\xf4\x8f\xbf\xbf");
}

static void test_surrogates(void **state)
{
	static const uint16_t bytes[] = {'f', 0xdc80, 0xdcff, 0xe9};
	static const uint16_t other[] = {0xdcff, 0xdc7f, 0xd800};
	static const uint32_t wide[] = {0x1f40d, 0xdce9};

	(void)state;
	check(bytes, sizeof(bytes), 2, "f\x80\xff\xc3\xa9");
	check(wide, sizeof(wide), 4, "\xf0\x9f\x90\x8d\xe9");
	/* One that is no byte, and none is. */
	check(other, sizeof(other), 2, "\xed\xb3\xbf\xed\xb1\xbf\xed\xa0\x80");
}

static void test_what_is_no_text(void **state)
{
	static const uint32_t beyond = 0x110000;
	static const uint64_t widths[] = {0, 3, 5, 7, 8, UINT64_MAX};
	char *none;

	(void)state;
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
		assert_null(utf8("abcdefgh", 8, 1, widths[i]));
	assert_null(utf8("abc", 3, 4, 1));
	assert_null(utf8("abc", 3, 2, 2));
	assert_null(utf8("abcdefg", 7, 2, 4));
	assert_null(utf8("abc", 3, UINT64_MAX, 1));
	assert_null(utf8("abcd", 4, (UINT64_MAX >> 1) + 1, 2)); /* times 2 that is 0 */
	assert_null(utf8("a\0b", 3, 3, 1));
	assert_null(utf8(&beyond, sizeof(beyond), 1, 4));
	none = utf8("x", 1, 0, 1);
	assert_non_null(none);
	assert_string_equal(none, "");
	free(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_surrogates),
		cmocka_unit_test(test_what_is_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
