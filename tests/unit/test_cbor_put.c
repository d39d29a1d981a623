/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#if IMP_HAVE_LIBCBOR
#include <cbor.h>
#endif

#include "cbor_put.h"

#define GUARD 0xa5

static uint8_t buf[200000];

static void assert_encoded(const struct imp_cbor *c, const char *hex)
{
	char text[256] = "";

	assert_false(c->overflow);
	assert_true(c->len < sizeof(text) / 2);
	for (size_t i = 0; i < c->len; i++)
		sprintf(text + 2 * i, "%02x", c->buf[i]);
	assert_string_equal(text, hex);
}

#if IMP_HAVE_LIBCBOR
/* All of the buffer, as one item, by a reader that is not ours. */
static cbor_item_t *load(const struct imp_cbor *c)
{
	struct cbor_load_result result;
	cbor_item_t *item = cbor_load(c->buf, c->len, &result);

	assert_non_null(item);
	assert_int_equal(result.error.code, CBOR_ERR_NONE);
	assert_int_equal(result.read, c->len);
	return item;
}
#endif

static void test_uint(void **state)
{
	/* RFC 8949, appendix A, and the edges of each size. */
	static const struct {
		uint64_t value;
		const char *hex;
	} cases[] = {
		{0, "00"},
		{1, "01"},
		{10, "0a"},
		{23, "17"},
		{24, "1818"},
		{100, "1864"},
		{255, "18ff"},
		{256, "190100"},
		{1000, "1903e8"},
		{65535, "19ffff"},
		{65536, "1a00010000"},
		{4294967295, "1affffffff"},
		{4294967296, "1b0000000100000000"},
		{1000000000000, "1b000000e8d4a51000"},
		{UINT64_MAX, "1bffffffffffffffff"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imp_cbor c;

		imp_cbor_init(&c, buf, sizeof(buf));
		imp_cbor_uint(&c, cases[i].value);
		assert_encoded(&c, cases[i].hex);
	}
}

static void test_int(void **state)
{
	static const struct {
		int64_t value;
		const char *hex;
	} cases[] = {
		{0, "00"},
		{-1, "20"},
		{-24, "37"},
		{-25, "3818"},
		{-100, "3863"},
		{-256, "38ff"},
		{-257, "390100"},
		{-65536, "39ffff"},
		{-65537, "3a00010000"},
		{-4294967296, "3affffffff"},
		{-4294967297, "3b0000000100000000"},
		{INT64_MAX, "1b7fffffffffffffff"},
		{INT64_MIN, "3b7fffffffffffffff"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imp_cbor c;

		imp_cbor_init(&c, buf, sizeof(buf));
		imp_cbor_int(&c, cases[i].value);
		assert_encoded(&c, cases[i].hex);
	}
}

static void test_bytes(void **state)
{
	static const struct {
		size_t len;
		size_t head;
	} cases[] = {
		{0, 1},	  {1, 1},     {23, 1},	  {24, 2},     {255, 2},
		{256, 3}, {65535, 3}, {65536, 5}, {100003, 5},
	};
	static char data[100003];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + i / 251);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imp_cbor c;

		imp_cbor_init(&c, buf, sizeof(buf));
		imp_cbor_bytes(&c, data, cases[i].len);
		assert_false(c.overflow);
		assert_int_equal(c.len, cases[i].head + cases[i].len);
		assert_memory_equal(c.buf + cases[i].head, data, cases[i].len);
#if IMP_HAVE_LIBCBOR
		cbor_item_t *item = load(&c);

		assert_true(cbor_isa_bytestring(item));
		assert_int_equal(cbor_bytestring_length(item), cases[i].len);
		assert_memory_equal(cbor_bytestring_handle(item), data, cases[i].len);
		cbor_decref(&item);
#endif
	}
}

static void test_bytes_of_nothing(void **state)
{
	struct imp_cbor c;

	(void)state;
	imp_cbor_init(&c, buf, sizeof(buf));
	imp_cbor_bytes(&c, NULL, 0);
	assert_encoded(&c, "40");
	imp_cbor_init(&c, buf, sizeof(buf));
	imp_cbor_bytes(&c, "", SIZE_MAX);
	assert_true(c.overflow);
	assert_int_equal(c.len, 0);
}

static void put_sample(struct imp_cbor *c)
{
	imp_cbor_map_begin(c);
	imp_cbor_uint(c, 0);
	imp_cbor_uint(c, 300);
	imp_cbor_uint(c, 1);
	imp_cbor_array_begin(c);
	imp_cbor_int(c, -500);
	imp_cbor_bytes(c, "abc", 3);
	imp_cbor_map_begin(c);
	imp_cbor_uint(c, 24);
	imp_cbor_bool(c, true);
	imp_cbor_uint(c, 25);
	imp_cbor_bool(c, false);
	imp_cbor_map_end(c);
	imp_cbor_array_begin(c);
	imp_cbor_array_end(c);
	imp_cbor_array_end(c);
	imp_cbor_map_end(c);
}

static const char sample_hex[] = "a20019012c01843901f343616263a21818f51819f480";

static void test_containers(void **state)
{
	struct imp_cbor c;

	(void)state;
	imp_cbor_init(&c, buf, sizeof(buf));
	put_sample(&c);
	assert_encoded(&c, sample_hex);
	assert_int_equal(c.depth, 0);
#if IMP_HAVE_LIBCBOR
	cbor_item_t *item = load(&c), *list, *map;

	assert_true(cbor_isa_map(item));
	assert_true(cbor_map_is_definite(item));
	assert_int_equal(cbor_map_size(item), 2);
	assert_int_equal(cbor_get_int(cbor_map_handle(item)[0].value), 300);
	list = cbor_map_handle(item)[1].value;
	assert_true(cbor_isa_array(list));
	assert_true(cbor_array_is_definite(list));
	assert_int_equal(cbor_array_size(list), 4);
	assert_true(cbor_isa_negint(cbor_array_handle(list)[0]));
	assert_int_equal(cbor_get_int(cbor_array_handle(list)[0]), 499);
	map = cbor_array_handle(list)[2];
	assert_int_equal(cbor_map_size(map), 2);
	assert_true(cbor_get_bool(cbor_map_handle(map)[0].value));
	assert_false(cbor_get_bool(cbor_map_handle(map)[1].value));
	assert_int_equal(cbor_array_size(cbor_array_handle(list)[3]), 0);
	cbor_decref(&item);
#endif
}

/* In a buffer of every size: complete or flagged, never a byte beyond its end. */
static void test_truncated(void **state)
{
	/* Until they are closed, two arrays have heads of three bytes. */
	const size_t whole = strlen(sample_hex) / 2 + 4;

	(void)state;
	for (size_t size = 0; size <= whole + 1; size++) {
		struct imp_cbor c;

		memset(buf, GUARD, whole + 8);
		imp_cbor_init(&c, buf, size);
		put_sample(&c);
		assert_int_equal(c.overflow, size < whole);
		assert_int_equal(c.depth, 0);
		assert_true(c.len <= size);
		for (size_t i = size; i < whole + 8; i++)
			assert_int_equal(buf[i], GUARD);
		if (!c.overflow)
			assert_encoded(&c, sample_hex);
	}
}

static void test_overflow_sticks(void **state)
{
	struct imp_cbor c;

	(void)state;
	imp_cbor_init(&c, buf, 4);
	imp_cbor_uint(&c, 1);
	imp_cbor_bytes(&c, "12345", 5);
	assert_true(c.overflow);
	assert_int_equal(c.len, 1);
	imp_cbor_uint(&c, 2); /* would fit */
	assert_true(c.overflow);
	assert_int_equal(c.len, 1);
}

static void test_depth(void **state)
{
	struct imp_cbor c;

	(void)state;
	for (unsigned int depth = 1; depth <= IMP_DEPTH_MAX + 3; depth++) {
		imp_cbor_init(&c, buf, sizeof(buf));
		for (unsigned int i = 0; i < depth; i++)
			i % 2 ? imp_cbor_map_begin(&c) : imp_cbor_array_begin(&c);
		assert_int_equal(c.depth, depth);
		for (unsigned int i = depth; i-- > 0;) {
			if (i % 2) {
				imp_cbor_map_end(&c);
			} else {
				/* An array within a map needs its key; here it is the value of one. */
				imp_cbor_array_end(&c);
				if (i)
					imp_cbor_uint(&c, 0);
			}
		}
		assert_int_equal(c.depth, 0);
		assert_int_equal(c.overflow, depth > IMP_DEPTH_MAX);
#if IMP_HAVE_LIBCBOR
		if (!c.overflow) {
			cbor_item_t *item = load(&c);

			cbor_decref(&item);
		}
#endif
	}
}

static void test_unbalanced(void **state)
{
	struct imp_cbor c;

	(void)state;
	imp_cbor_init(&c, buf, sizeof(buf));
	imp_cbor_map_end(&c);
	assert_true(c.overflow);
	assert_int_equal(c.depth, 0);
	imp_cbor_init(&c, buf, sizeof(buf));
	imp_cbor_array_end(&c);
	assert_true(c.overflow);

	imp_cbor_init(&c, buf, sizeof(buf));
	imp_cbor_map_begin(&c);
	imp_cbor_uint(&c, 1); /* a key without a value */
	imp_cbor_map_end(&c);
	assert_true(c.overflow);
}

static void test_map_sizes(void **state)
{
	(void)state;
	for (unsigned int pairs = 0; pairs <= 30; pairs++) {
		struct imp_cbor c;

		imp_cbor_init(&c, buf, sizeof(buf));
		imp_cbor_map_begin(&c);
		for (unsigned int i = 0; i < 2 * pairs; i++)
			imp_cbor_uint(&c, i % 20);
		imp_cbor_map_end(&c);
		assert_int_equal(c.overflow, pairs > 23);
		if (!c.overflow)
			assert_int_equal(buf[0], 0xa0 + pairs);
	}
}

static void test_array_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 23, 24, 255, 256, 65535, 65536};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct imp_cbor c;

		imp_cbor_init(&c, buf, sizeof(buf));
		imp_cbor_array_begin(&c);
		for (size_t n = 0; n < sizes[i]; n++)
			imp_cbor_uint(&c, n % 23);
		imp_cbor_array_end(&c);
		assert_int_equal(c.overflow, sizes[i] > 65535);
		if (c.overflow)
			continue;
#if IMP_HAVE_LIBCBOR
		cbor_item_t *item = load(&c);

		assert_int_equal(cbor_array_size(item), sizes[i]);
		cbor_decref(&item);
#endif
		assert_int_equal(c.len, (sizes[i] < 24 ? 1 : 3) + sizes[i]);
	}
}

static void test_rewind(void **state)
{
	struct imp_cbor_mark mark;
	struct imp_cbor c;

	(void)state;
	imp_cbor_init(&c, buf, 24);
	imp_cbor_map_begin(&c);
	imp_cbor_uint(&c, 0);
	imp_cbor_uint(&c, 7);
	mark = imp_cbor_mark(&c);
	imp_cbor_uint(&c, 1);
	imp_cbor_array_begin(&c);
	for (int i = 0; i < 100; i++)
		imp_cbor_uint(&c, 5);
	imp_cbor_array_end(&c);
	assert_true(c.overflow);
	imp_cbor_rewind(&c, mark);
	assert_false(c.overflow);
	imp_cbor_uint(&c, 2);
	imp_cbor_uint(&c, 8);
	imp_cbor_map_end(&c);
	assert_encoded(&c, "a200070208");
}

static void test_rewind_does_not_mend(void **state)
{
	struct imp_cbor_mark mark;
	struct imp_cbor c;

	(void)state;
	imp_cbor_init(&c, buf, 4);
	imp_cbor_map_begin(&c);
	imp_cbor_bytes(&c, "too long", 8);
	mark = imp_cbor_mark(&c);
	imp_cbor_uint(&c, 1);
	imp_cbor_rewind(&c, mark);
	assert_true(c.overflow); /* what is missing came before the mark */
}

static void test_rewind_outside(void **state)
{
	struct imp_cbor_mark mark;
	struct imp_cbor c;

	(void)state;
	imp_cbor_init(&c, buf, sizeof(buf));
	imp_cbor_uint(&c, 1);
	mark = imp_cbor_mark(&c);
	imp_cbor_uint(&c, 2);
	imp_cbor_rewind(&c, mark);
	imp_cbor_uint(&c, 3);
	assert_encoded(&c, "0103");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uint),
		cmocka_unit_test(test_int),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_bytes_of_nothing),
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_overflow_sticks),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_unbalanced),
		cmocka_unit_test(test_map_sizes),
		cmocka_unit_test(test_array_sizes),
		cmocka_unit_test(test_rewind),
		cmocka_unit_test(test_rewind_does_not_mend),
		cmocka_unit_test(test_rewind_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
