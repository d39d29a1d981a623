/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/json_writer.h"

static char *out_text;
static size_t out_len;
static FILE *out;

static void begin(struct imp_json *j, bool pretty)
{
	free(out_text);
	out_text = NULL;
	out = open_memstream(&out_text, &out_len);
	assert_non_null(out);
	imp_json_begin(j, out, pretty);
}

static const char *end(struct imp_json *j)
{
	assert_int_equal(imp_json_end(j), 0);
	assert_int_equal(fclose(out), 0);
	return out_text;
}

static void test_shapes(void **state)
{
	struct imp_json j;

	(void)state;
	begin(&j, false);
	imp_json_object_begin(&j);
	imp_json_put_string(&j, "a", "x");
	imp_json_put_string(&j, "b", NULL);
	imp_json_put_array(&j, "c");
	imp_json_array_end(&j);
	imp_json_put_object(&j, "d");
	imp_json_object_end(&j);
	imp_json_put_array(&j, "e");
	imp_json_bool(&j, true);
	imp_json_bool(&j, false);
	imp_json_null(&j);
	imp_json_array_end(&j);
	imp_json_put_null(&j, "f");
	imp_json_put_bool(&j, "g", false);
	imp_json_object_end(&j);
	assert_string_equal(end(&j), "{\"a\": \"x\", \"b\": null, \"c\": [], \"d\": {}, "
				     "\"e\": [true, false, null], \"f\": null, \"g\": false}\n");
	begin(&j, true);
	imp_json_object_begin(&j);
	imp_json_put_array(&j, "a");
	imp_json_uint(&j, 1);
	imp_json_object_begin(&j);
	imp_json_object_end(&j);
	imp_json_array_end(&j);
	imp_json_put_array(&j, "b");
	imp_json_array_end(&j);
	imp_json_object_end(&j);
	assert_string_equal(end(&j), "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}\n");
}

/* To the last digit: a reader that uses doubles is the reader's affair. */
static void test_numbers(void **state)
{
	struct imp_json j;

	(void)state;
	begin(&j, false);
	imp_json_array_begin(&j);
	imp_json_uint(&j, UINT64_MAX);
	imp_json_uint(&j, 9007199254740993u);
	imp_json_int(&j, INT64_MIN);
	imp_json_int(&j, -1);
	imp_json_array_end(&j);
	assert_string_equal(end(&j),
			    "[18446744073709551615, 9007199254740993, -9223372036854775808, -1]\n");
}

static void test_strings(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", "\"\"\n"},
		{"plain", "\"plain\"\n"},
		{"q\"b\\s/", "\"q\\\"b\\\\s/\"\n"},
		{"\b\t\n\f\r", "\"\\b\\t\\n\\f\\r\"\n"},
		{"\x01\x1b\x7f", "\"\\u0001\\u001b\\u007f\"\n"},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		 "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"\n"},
		{"\xc2\x9b", "\"\\u009b\"\n"},
		{"a\xff\xfe"
		 "b",
		 "\"a\\udcff\\udcfeb\"\n"},
		{"\x80", "\"\\udc80\"\n"},
		{"\xe2\x82", "\"\\udce2\\udc82\"\n"},
		{"\xed\xa0\x80", "\"\\ud800\"\n"}, /* surrogatepass */
		{"\xed\xb2\x80", "\"\\udc80\"\n"},
		{"\xe2\x80\xae", "\"\\u202e\"\n"},
		{"\xf3\xa0\x80\x81", "\"\\udb40\\udc01\"\n"},
	};
	struct imp_json j;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&j, false);
		imp_json_string(&j, cases[i].in);
		assert_string_equal(end(&j), cases[i].out);
	}
	begin(&j, false);
	imp_json_string_n(&j, "a\0b", 3);
	assert_string_equal(end(&j), "\"a\\u0000b\"\n");
}

static void test_depth(void **state)
{
	struct imp_json j;
	int i;

	(void)state;
	begin(&j, false);
	for (i = 0; i < IMP_JSON_DEPTH_MAX; i++)
		imp_json_array_begin(&j);
	for (i = 0; i < IMP_JSON_DEPTH_MAX; i++)
		imp_json_array_end(&j);
	assert_int_equal(strlen(end(&j)), 2 * IMP_JSON_DEPTH_MAX + 1);
}

static void test_write_errors_are_told(void **state)
{
	FILE *full = fopen("/dev/full", "w");
	struct imp_json j;
	int i;

	(void)state;
	assert_non_null(full);
	imp_json_begin(&j, full, false);
	imp_json_array_begin(&j);
	for (i = 0; i < 100003; i++)
		imp_json_uint(&j, 17);
	imp_json_array_end(&j);
	assert_true(imp_json_end(&j) < 0);
	fclose(full);
}

static int teardown(void **state)
{
	(void)state;
	free(out_text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_write_errors_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
