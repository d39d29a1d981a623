/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "preload/known_caller.h"

static const char here[2];

static const struct imp_mapped object = {
	.start = 0x1000,
	.end = 0x5000,
	.base = 0x800,
	.id = 17,
	.gadget_known = true,
	.gadget = {.address = here, .words = 2, .ret = 3},
};

static void test_get(void **state)
{
	struct imp_known_caller k = {0};
	struct imp_mapped copy = {0};

	(void)state;
	assert_false(imp_known_caller_get(&k, here, 0, &copy));
	imp_known_caller_keep(&k, here, 5, &object);
	assert_true(imp_known_caller_get(&k, here, 5, &copy));
	assert_int_equal(copy.start, 0x1000);
	assert_int_equal(copy.end, 0x5000);
	assert_int_equal(copy.base, 0x800);
	assert_int_equal(copy.id, 17);
	assert_ptr_equal(copy.gadget.address, here);
	assert_int_equal(copy.gadget.words, 2);
	assert_int_equal(copy.gadget.ret, 3);
	/* Another place, or something was mapped since. */
	assert_false(imp_known_caller_get(&k, here + 1, 5, &copy));
	assert_false(imp_known_caller_get(&k, here, 6, &copy));
}

/* A handler that comes while it is written finds nothing, and writes nothing. */
static void test_interrupted(void **state)
{
	struct imp_known_caller k = {0};
	struct imp_mapped copy;

	(void)state;
	imp_known_caller_keep(&k, here, 5, &object);
	k.writing = true;
	k.caller = NULL;
	imp_known_caller_keep(&k, here + 1, 5, &object);
	assert_false(imp_known_caller_get(&k, here, 5, &copy));
	assert_false(imp_known_caller_get(&k, here + 1, 5, &copy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
