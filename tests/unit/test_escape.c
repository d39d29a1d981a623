/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyzer/report/escape.h"

static void check_n(const char *bytes, size_t len, const char *want)
{
	struct imp_arena a = {0};
	char *buffer = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&buffer, &size);

	assert_string_equal(imp_escape_n(&a, bytes, len), want);
	imp_escape_write(out, bytes, len);
	fclose(out);
	assert_string_equal(buffer, want);
	free(buffer);
	imp_arena_clear(&a);
}

static void check(const char *bytes, const char *want)
{
	check_n(bytes, strlen(bytes), want);
}

/* UTF-8 of any number, surrogates too. */
static size_t encode(uint32_t c, char out[5])
{
	size_t n;

	if (c < 0x80) {
		out[0] = (char)c;
		n = 1;
	} else if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		n = 2;
	} else if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		n = 3;
	} else {
		out[0] = (char)(0xf0 | c >> 18);
		n = 4;
	}
	for (size_t i = 1; i < n; i++)
		out[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
	out[n] = '\0';
	return n;
}

static void test_plain_text_stays(void **state)
{
	(void)state;
	check("", "");
	check("/usr/lib/python3.13/site-packages/_x.so", "/usr/lib/python3.13/site-packages/_x.so");
	check("Grüße, 世界, Ελλάδα, עברית, 🐍", "Grüße, 世界, Ελλάδα, עברית, 🐍");
	check("a\\x1b'\"$", "a\\x1b'\"$");
}

static void test_control_characters(void **state)
{
	(void)state;
	for (unsigned int c = 0; c < 0x20; c++) {
		char byte = (char)c, want[8];

		snprintf(want, sizeof(want), "\\x%02x", c);
		check_n(&byte, 1, want);
	}
	check("\x7f", "\\x7f");
	check("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07");
	check("a\nb\r\tc", "a\\x0ab\\x0d\\x09c");
	check_n("a\0b", 3, "a\\x00b");
}

static void test_c1_characters(void **state)
{
	(void)state;
	for (uint32_t c = 0x80; c < 0xa0; c++) {
		char bytes[5], want[8];

		encode(c, bytes);
		snprintf(want, sizeof(want), "\\u%04x", (unsigned int)c);
		check(bytes, want);
	}
}

static void test_marks_without_a_shape(void **state)
{
	/* Direction: U+061C, LRM, RLM, embeddings, overrides, isolates; then what can't be seen at all. */
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x061c, 0x061c}, {0x200b, 0x200f},	{0x2028, 0x202e},   {0x2060, 0x2064},
		{0x2066, 0x2069}, {0xfeff, 0xfeff},	{0x00ad, 0x00ad},   {0xfff9, 0xfffb},
		{0xfffe, 0xffff}, {0xe0001, 0xe0001},	{0xe0020, 0xe007f}, {0x1fffe, 0x1ffff},
		{0xfdd0, 0xfdef}, {0x10fffe, 0x10ffff},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		for (uint32_t c = ranges[i].first; c <= ranges[i].last; c++) {
			char bytes[8], want[16];

			bytes[0] = 'a';
			strcpy(bytes + 1 + encode(c, bytes + 1), "b");
			snprintf(want, sizeof(want), c > 0xffff ? "a\\U%08xb" : "a\\u%04xb",
				 (unsigned int)c);
			check(bytes, want);
		}
	}
}

static void test_bytes_that_are_no_characters(void **state)
{
	(void)state;
	/* Alone, each of the upper bytes is itself. */
	for (unsigned int c = 0x80; c <= 0xff; c++) {
		char byte = (char)c, want[8];

		snprintf(want, sizeof(want), "\\x%02x", c);
		check_n(&byte, 1, want);
	}
	check("\xc3", "\\xc3"); /* cut */
	check("\xe2\x82", "\\xe2\\x82");
	check("\xf0\x9f\x90", "\\xf0\\x9f\\x90");
	check("\xe2\x82!", "\\xe2\\x82!");
	check("\xc3\xc3\xa9", "\\xc3é");
	check("\xc0\x9b", "\\xc0\\x9b"); /* overlong ESC */
	check("\xc1\xbf", "\\xc1\\xbf");
	check("\xe0\x80\x9b", "\\xe0\\x80\\x9b");
	check("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf");
	check("\xf0\x80\x80\x9b", "\\xf0\\x80\\x80\\x9b");
	check("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf");
	check("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
	check("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80");
}

static void test_lone_surrogates(void **state)
{
	char bytes[5];

	(void)state;
	encode(0xd800, bytes);
	check(bytes, "\\ud800");
	encode(0xdc80, bytes);
	check(bytes, "\\udc80");
	encode(0xdfff, bytes);
	check(bytes, "\\udfff");
}

/* Whatever goes in: valid UTF-8 without control characters comes out, and it is not changed again. */
static void test_every_pair_of_bytes(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 0x10000; i++) {
		const char bytes[] = {(char)(i >> 8), (char)i};
		struct imp_arena a = {0};
		char *once = imp_escape_n(&a, bytes, sizeof(bytes));

		for (const char *s = once; *s; s++)
			assert_true((unsigned char)*s >= 0x20 && *s != 0x7f);
		assert_string_equal(imp_escape(&a, once), once);
		imp_arena_clear(&a);
	}
}

static void test_columns(void **state)
{
	(void)state;
	assert_int_equal(imp_escape_columns(""), 0);
	assert_int_equal(imp_escape_columns("abc"), 3);
	assert_int_equal(imp_escape_columns("Grüße"), 5);
	assert_int_equal(imp_escape_columns("世界"), 4);
	assert_int_equal(imp_escape_columns("e\xcc\x81"), 1);
	assert_int_equal(imp_escape_columns("🐍"), 2);
	assert_int_equal(imp_escape_columns("\x1b"), 4);
	assert_int_equal(imp_escape_columns("\xe2\x80\xae"), 6);
	assert_int_equal(imp_escape_columns("\xf3\xa0\x80\x81"), 10);
}

static void test_null_is_empty(void **state)
{
	struct imp_arena a = {0};

	(void)state;
	assert_string_equal(imp_escape(&a, NULL), "");
	imp_arena_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_text_stays),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_c1_characters),
		cmocka_unit_test(test_marks_without_a_shape),
		cmocka_unit_test(test_bytes_that_are_no_characters),
		cmocka_unit_test(test_lone_surrogates),
		cmocka_unit_test(test_every_pair_of_bytes),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_null_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
