/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/record_build.h"

static struct imp_builder *builder;

static int set_up(void **state)
{
	(void)state;
	builder = calloc(1, sizeof(*builder));
	return builder ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	imp_arena_clear(&builder->scratch);
	free(builder);
	return 0;
}

static void *value(uint64_t id)
{
	return (void *)(uintptr_t)(id + 1);
}

/* As nested imports are: the last one that began ends first. */
static void test_nested(void **state)
{
	struct imp_open o = {0};
	uint64_t i;

	(void)state;
	assert_null(imp_open_get(&o, 1));
	for (i = 1; i <= 1009; i++) {
		imp_open_put(builder, &o, i, value(i));
		assert_ptr_equal(imp_open_get(&o, i), value(i));
		assert_ptr_equal(imp_open_get(&o, 1), value(1));
	}
	for (i = 1009; i > 0; i--) {
		assert_ptr_equal(imp_open_get(&o, i), value(i));
		imp_open_end(builder, &o, i, false);
		assert_null(imp_open_get(&o, i));
	}
	assert_int_equal(o.n, 0);
	assert_int_equal(o.rest.n, 0);
}

/* What failed is still asked for; what went well is not kept. */
static void test_kept(void **state)
{
	struct imp_open o = {0};
	uint64_t i;

	(void)state;
	for (i = 1; i <= 5003; i++) {
		imp_open_put(builder, &o, i, value(i));
		imp_open_end(builder, &o, i, i % 7 == 0);
	}
	for (i = 1; i <= 5003; i++)
		assert_ptr_equal(imp_open_get(&o, i), i % 7 ? NULL : value(i));
	assert_int_equal(o.rest.n, 5003 / 7);
	imp_open_end(builder, &o, 14, false);
	assert_null(imp_open_get(&o, 14));
	assert_ptr_equal(imp_open_get(&o, 21), value(21));
}

/* Threads end in any order. */
static void test_any_order(void **state)
{
	struct imp_open o = {0};
	bool there[211] = {false};
	unsigned int seed = 5, round;
	uint64_t i;

	(void)state;
	for (round = 0; round < 40000; round++) {
		i = (uint64_t)rand_r(&seed) % 211;
		if (!there[i] && rand_r(&seed) % 5 < 2) {
			imp_open_put(builder, &o, i, value(i));
			there[i] = true;
		} else if (there[i]) {
			bool keep = rand_r(&seed) % 3 == 0;

			imp_open_end(builder, &o, i, keep);
			there[i] = keep;
		}
		i = (uint64_t)rand_r(&seed) % 211;
		assert_ptr_equal(imp_open_get(&o, i), there[i] ? value(i) : NULL);
	}
	imp_open_end(builder, &o, 1000, false); /* never began */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_any_order),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
