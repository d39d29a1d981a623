/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/cbor_get.h"
#include "trace_format.h"

/* In a block of its own size, so that the sanitizer sees a byte too much. */
static bool get_one(const uint8_t *data, size_t len, struct imp_cbor_item *item, size_t *used,
		    const char **why)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct imp_cbor_in in;
	bool ok;

	assert_non_null(copy);
	memcpy(copy, data, len);
	imp_cbor_in_init(&in, copy, len);
	ok = imp_cbor_get(&in, item);
	*used = (size_t)(in.p - copy);
	*why = in.why;
	assert_true(ok || in.bad || !len);
	free(copy);
	return ok;
}

static void test_scalars(void **state)
{
	static const struct {
		const uint8_t bytes[10];
		size_t len;
		enum imp_cbor_type type;
		uint64_t number;
	} cases[] = {
		{{0x00}, 1, IMP_CBOR_UINT, 0},
		{{0x17}, 1, IMP_CBOR_UINT, 23},
		{{0x18, 0xff}, 2, IMP_CBOR_UINT, 255},
		{{0x19, 0x01, 0x00}, 3, IMP_CBOR_UINT, 256},
		{{0x1a, 0xff, 0xff, 0xff, 0xff}, 5, IMP_CBOR_UINT, UINT32_MAX},
		{{0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, IMP_CBOR_UINT, UINT64_MAX},
		/* longer than need be: well-formed all the same */
		{{0x18, 0x05}, 2, IMP_CBOR_UINT, 5},
		{{0x1b, 0, 0, 0, 0, 0, 0, 0, 5}, 9, IMP_CBOR_UINT, 5},
		{{0x20}, 1, IMP_CBOR_NEGATIVE, 0},
		{{0x38, 0x63}, 2, IMP_CBOR_NEGATIVE, 99},
		{{0xf4}, 1, IMP_CBOR_BOOL, 0},
		{{0xf5}, 1, IMP_CBOR_BOOL, 1},
		{{0xf6}, 1, IMP_CBOR_NULL, 22},
		{{0xf7}, 1, IMP_CBOR_OTHER, 23},
		{{0xf9, 0x3c, 0x00}, 3, IMP_CBOR_OTHER, 0x3c00},
		{{0xc1, 0x05}, 2, IMP_CBOR_OTHER, 1}, /* a tag, with what it stands before */
	};
	struct imp_cbor_item item;
	const char *why;
	size_t i, used;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(get_one(cases[i].bytes, cases[i].len, &item, &used, &why));
		assert_int_equal(item.type, cases[i].type);
		assert_int_equal(item.number, cases[i].number);
		assert_int_equal(used, cases[i].len);
	}
}

static void test_malformed(void **state)
{
	static const struct {
		const uint8_t bytes[12];
		size_t len;
		const char *why;
	} cases[] = {
		{{0x18}, 1, "middle"},
		{{0x1b, 1, 2, 3}, 4, "middle"},
		{{0x1c}, 1, "malformed"},
		{{0x1f}, 1, "definite"},
		{{0x5f, 0x41, 0x61, 0xff}, 4, "definite"},
		{{0x9f, 0xff}, 2, "definite"},
		{{0xbf, 0xff}, 2, "definite"},
		{{0xff}, 1, "definite"},
		{{0x42, 0x61}, 2, "string"},
		{{0x5b, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x61}, 10, "string"}, /* 2^60 bytes */
		{{0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, "string"},
		{{0x82, 0x01}, 2, "array"},
		{{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 10, "array"},
		{{0xa1, 0x01}, 2, "map"},
		{{0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 1}, 11, "map"}, /* twice 2^63 is 0 */
		{{0x82, 0x01, 0x42, 0x61}, 4, "string"},
		{{0x81, 0x81, 0x81}, 3, "array"},
		{{0xf8, 0x05}, 2, "malformed"},
		{{0xc1}, 1, "middle"},
	};
	struct imp_cbor_item item;
	const char *why;
	size_t i, used;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (get_one(cases[i].bytes, cases[i].len, &item, &used, &why))
			fail_msg("case %zu was taken", i);
		if (!strstr(why, cases[i].why))
			fail_msg("case %zu: %s", i, why);
	}
}

static void test_depth(void **state)
{
	static uint8_t deep[1000003];
	struct imp_cbor_item item;
	const char *why;
	size_t used;

	(void)state;
	memset(deep, 0x81, sizeof(deep));
	deep[IMP_DEPTH_MAX] = 0x00;
	assert_true(get_one(deep, IMP_DEPTH_MAX + 1, &item, &used, &why));
	deep[IMP_DEPTH_MAX] = 0x81;
	deep[IMP_DEPTH_MAX + 1] = 0x00;
	assert_false(get_one(deep, IMP_DEPTH_MAX + 2, &item, &used, &why));
	assert_non_null(strstr(why, "deep"));
	deep[IMP_DEPTH_MAX + 1] = 0x81;
	assert_false(get_one(deep, sizeof(deep), &item, &used, &why));
	memset(deep, 0xa1, sizeof(deep));
	assert_false(get_one(deep, sizeof(deep), &item, &used, &why));
	memset(deep, 0xc1, sizeof(deep)); /* tags nest, too */
	assert_false(get_one(deep, sizeof(deep), &item, &used, &why));
}

static void test_containers(void **state)
{
	/* {1: [2, h'6162', -1], 3: {}} and 9 */
	static const uint8_t bytes[] = {0xa2, 0x01, 0x99, 0x00, 0x03, 0x02, 0x42,
					0x61, 0x62, 0x20, 0x03, 0xa0, 0x09};
	struct imp_cbor_in in, map, list;
	struct imp_cbor_item item;
	uint64_t u;
	int64_t i;

	(void)state;
	imp_cbor_in_init(&in, bytes, sizeof(bytes));
	assert_true(imp_cbor_get(&in, &item));
	assert_int_equal(item.type, IMP_CBOR_MAP);
	assert_int_equal(item.number, 2);
	assert_int_equal(item.len, 11);
	map = imp_cbor_enter(&item);
	assert_true(imp_cbor_get(&map, &item) && imp_cbor_to_uint(&item, &u) && u == 1);
	assert_true(imp_cbor_get(&map, &item));
	assert_int_equal(item.type, IMP_CBOR_ARRAY);
	assert_int_equal(item.number, 3);
	list = imp_cbor_enter(&item);
	assert_true(imp_cbor_get(&list, &item) && imp_cbor_to_int(&item, &i) && i == 2);
	assert_true(imp_cbor_get(&list, &item) && item.type == IMP_CBOR_BYTES && item.len == 2);
	assert_memory_equal(item.data, "ab", 2);
	assert_false(imp_cbor_to_uint(&item, &u) || imp_cbor_to_int(&item, &i));
	list = imp_cbor_enter(&item); /* no container: empty */
	assert_false(imp_cbor_get(&list, &item));
	assert_false(list.bad);
	assert_true(imp_cbor_get(&map, &item) && imp_cbor_get(&map, &item));
	assert_int_equal(item.type, IMP_CBOR_MAP);
	assert_false(imp_cbor_get(&map, &item));
	assert_false(map.bad);
	assert_true(imp_cbor_get(&in, &item) && item.number == 9);
	assert_false(imp_cbor_get(&in, &item));
	assert_false(in.bad);
}

static void test_integers_that_do_not_fit(void **state)
{
	struct imp_cbor_item big = {.type = IMP_CBOR_UINT, .number = (uint64_t)INT64_MAX + 1};
	struct imp_cbor_item low = {.type = IMP_CBOR_NEGATIVE, .number = INT64_MAX};
	int64_t i;

	(void)state;
	assert_false(imp_cbor_to_int(&big, &i));
	assert_true(imp_cbor_to_int(&low, &i));
	assert_true(i == INT64_MIN);
	low.number++;
	assert_false(imp_cbor_to_int(&low, &i));
}

/* Every prefix of something good is refused, or is nothing. */
static void test_truncated(void **state)
{
	static const uint8_t bytes[] = {0xa2, 0x01, 0x99, 0x00, 0x03, 0x02,
					0x42, 0x61, 0x62, 0x20, 0x03, 0xa0};
	struct imp_cbor_item item;
	const char *why;
	size_t len, used;

	(void)state;
	for (len = 0; len < sizeof(bytes); len++)
		assert_false(get_one(bytes, len, &item, &used, &why));
	assert_true(get_one(bytes, len, &item, &used, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars),	  cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_depth),	  cmocka_unit_test(test_containers),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_integers_that_do_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
