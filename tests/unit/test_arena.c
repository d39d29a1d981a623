/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"

static void test_allocations_are_zeroed_aligned_and_apart(void **state)
{
	static const size_t sizes[] = {0,     1, 15,	  16, 17,      4099, 40009,
				       65536, 3, 1000003, 7,  5000011, 1};
	unsigned char *seen[997];
	struct imp_arena a = {0};
	size_t i, k;

	(void)state;
	for (i = 0; i < 997; i++) {
		size_t size = i < 13 ? sizes[i] : i % 131;

		seen[i] = imp_arena_alloc(&a, size);
		assert_int_equal((uintptr_t)seen[i] % 16, 0);
		for (k = 0; k < size; k++)
			assert_int_equal(seen[i][k], 0);
		memset(seen[i], (int)(i % 251) + 1, size);
	}
	for (i = 13; i < 997; i++)
		for (k = 0; k < i % 131; k++)
			assert_int_equal(seen[i][k], i % 251 + 1);
	assert_true(a.total > 6000000);
	imp_arena_clear(&a);
	assert_null(a.chunks);
	imp_arena_clear(&a);
}

static void test_small_ones_go_on_behind_a_large_one(void **state)
{
	struct imp_arena a = {0};
	char *first = imp_arena_alloc(&a, 16), *second;

	(void)state;
	imp_arena_alloc(&a, 1 << 22);
	second = imp_arena_alloc(&a, 16);
	assert_ptr_equal(second, first + 16);
	imp_arena_clear(&a);
}

static void test_strings(void **state)
{
	struct imp_arena a = {0};

	(void)state;
	assert_string_equal(imp_arena_strndup(&a, "abcdef", 3), "abc");
	assert_string_equal(imp_arena_strndup(&a, NULL, 0), "");
	assert_string_equal(imp_arena_printf(&a, "%s-%d", "x", 17), "x-17");
	assert_int_equal(strlen(imp_arena_printf(&a, "%100003s", "")), 100003);
	imp_arena_clear(&a);
}

static void test_vectors_keep_their_elements(void **state)
{
	struct imp_arena a = {0};
	IMP_VEC(uint64_t) v = {0};
	uint64_t i;

	(void)state;
	for (i = 0; i < 10007; i++) {
		uint64_t *one = imp_vec_push(&a, &v);

		assert_int_equal(*one, 0);
		*one = i * i + 1;
	}
	for (i = 0; i < 10007; i++)
		assert_int_equal(v.v[i], i * i + 1);
	v.n -= 3; /* what was popped comes back zeroed */
	assert_int_equal(*imp_vec_push(&a, &v), 0);
	imp_arena_clear(&a);
}

static void test_strbuf_limit(void **state)
{
	struct imp_strbuf b = {.limit = 10};

	(void)state;
	imp_strbuf_puts(&b, "01234");
	imp_strbuf_printf(&b, "%s", "56789abc");
	assert_string_equal(b.s, "0123456789");
	assert_true(b.cut);
	imp_strbuf_puts(&b, "x");
	assert_int_equal(b.len, 10);
	imp_strbuf_reset(&b);
	assert_string_equal(b.s, "");
	assert_false(b.cut);
	imp_strbuf_clear(&b);
	assert_null(b.s);
	imp_strbuf_clear(&b);
}

static void test_strbuf_grows(void **state)
{
	struct imp_strbuf b = {0};
	size_t i;

	(void)state;
	imp_strbuf_add(&b, "", 0);
	assert_string_equal(b.s, "");
	for (i = 0; i < 5003; i++)
		imp_strbuf_printf(&b, "%zu,", i % 10);
	assert_int_equal(b.len, 10006);
	assert_memory_equal(b.s + 10000, "0,1,2,", 6);
	imp_strbuf_clear(&b);
}

static void test_error_wrap(void **state)
{
	struct imp_error err = {0};
	char longest[sizeof(err.msg) + 99];

	(void)state;
	assert_int_equal(imp_error_set(NULL, -5, "nobody listens"), -5);
	assert_int_equal(imp_error_wrap(NULL, "nobody"), 0);
	assert_int_equal(imp_error_set(&err, -2, "no %s", "file"), -2);
	assert_int_equal(imp_error_wrap(&err, "reading %d", 3), -2);
	assert_string_equal(err.msg, "reading 3: no file");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	imp_error_wrap(&err, "%s", longest);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	imp_error_set(&err, -2, "%s", longest);
	imp_error_wrap(&err, "outer");
	assert_memory_equal(err.msg, "outer: xxx", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocations_are_zeroed_aligned_and_apart),
		cmocka_unit_test(test_small_ones_go_on_behind_a_large_one),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_vectors_keep_their_elements),
		cmocka_unit_test(test_strbuf_limit),
		cmocka_unit_test(test_strbuf_grows),
		cmocka_unit_test(test_error_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
