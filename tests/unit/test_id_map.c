/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/id_map.h"
#include "base/interner.h"

static void test_ids(void **state)
{
	struct imp_arena a = {0};
	struct imp_id_map m = {0};
	uint64_t i;

	(void)state;
	assert_null(imp_id_map_get(&m, 1, 0));
	for (i = 0; i < 20011; i++)
		imp_id_map_put(&a, &m, i * 4096, i % 7, (void *)(uintptr_t)(i + 1));
	assert_int_equal(m.n, 20011);
	for (i = 0; i < 20011; i++) {
		assert_int_equal((uintptr_t)imp_id_map_get(&m, i * 4096, i % 7), i + 1);
		assert_null(imp_id_map_get(&m, i * 4096, i % 7 + 1));
	}
	imp_id_map_put(&a, &m, 4096, 1, &a);
	assert_int_equal(m.n, 20011);
	assert_ptr_equal(imp_id_map_get(&m, 4096, 1), &a);
	imp_id_map_put(&a, &m, UINT64_MAX, UINT64_MAX, &m);
	assert_ptr_equal(imp_id_map_get(&m, UINT64_MAX, UINT64_MAX), &m);
	imp_arena_clear(&a);
}

/* What is left is found, whatever was taken out in front of it. */
static void test_remove(void **state)
{
	struct imp_arena a = {0};
	struct imp_id_map m = {0};
	bool there[997] = {false};
	unsigned int seed = 17, round;
	size_t n = 0;
	uint64_t i;

	(void)state;
	imp_id_map_remove(&m, 1, 0); /* nothing is there yet */
	for (round = 0; round < 60000; round++) {
		i = (uint64_t)rand_r(&seed) % 997;
		if (rand_r(&seed) % 2) {
			imp_id_map_put(&a, &m, i, 3, (void *)(uintptr_t)(i + 1));
			n += !there[i];
			there[i] = true;
		} else {
			imp_id_map_remove(&m, i, 3);
			n -= there[i];
			there[i] = false;
		}
		assert_int_equal(m.n, n);
		i = (uint64_t)rand_r(&seed) % 997;
		assert_int_equal((uintptr_t)imp_id_map_get(&m, i, 3), there[i] ? i + 1 : 0);
	}
	for (i = 0; i < 997; i++)
		assert_int_equal((uintptr_t)imp_id_map_get(&m, i, 3), there[i] ? i + 1 : 0);
	imp_arena_clear(&a);
}

static void test_strings_are_kept_once(void **state)
{
	struct imp_arena a = {0};
	struct imp_interner in = {.arena = &a};
	const char *first[4001], *empty = imp_intern(&in, "", 0);
	char text[32];
	int i, n;

	(void)state;
	for (i = 0; i < 4001; i++) {
		n = snprintf(text, sizeof(text), "a name with number %d", i);
		first[i] = imp_intern(&in, text, (size_t)n);
		assert_string_equal(first[i], text);
	}
	for (i = 0; i < 4001; i++) {
		n = snprintf(text, sizeof(text), "a name with number %d", i);
		assert_ptr_equal(imp_intern(&in, text, (size_t)n), first[i]);
	}
	assert_ptr_equal(imp_intern(&in, "x", 0), empty);
	assert_ptr_not_equal(imp_intern(&in, "12345678", 8), imp_intern(&in, "12345678\0", 7));
	assert_int_equal(in.n, 4004);
	imp_interner_clear(&in);
	imp_interner_clear(&in);
	assert_string_equal(first[17], "a name with number 17");
	imp_arena_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_strings_are_kept_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
