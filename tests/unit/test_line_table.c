/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "preload/line_table.h"

/* code, length in units of two bytes */
#define HEAD(code, length) (0x80 | (code) << 3 | ((length)-1))

/* Each kind of entry once: Objects/locations.md. */
static const uint8_t table[] = {
	HEAD(15, 1),				   /* 0: nowhere */
	HEAD(0, 2),  0x11,			   /* 2, 4: line 10, columns alone */
	HEAD(11, 1), 0x05, 0x09,		   /* 6: line 11 */
	HEAD(12, 8), 0x05, 0x09,		   /* 8 to 22: line 13 */
	HEAD(13, 1), 0x06,			   /* 24: 3 lines on: 16 */
	HEAD(14, 1), 0x42, 0x10, 0x01, 0x05, 0x06, /* 26: (2 + (16 << 6)) / 2 lines on: 529 */
	HEAD(13, 1), 0x43, 0x10,		   /* 28: as many back, one more sign bit: 16 */
	HEAD(10, 3), 0x01, 0x02,		   /* 30 to 34: 16 */
	HEAD(15, 1),				   /* 36: nowhere */
	HEAD(9, 1),  0x7f,			   /* 38: 16 */
};

static const struct {
	uint32_t at;
	int64_t line;
} lines[] = {
	{0, 0},	   {2, 10},  {4, 10},  {6, 11},	 {8, 13}, {22, 13}, {24, 16},
	{26, 529}, {28, 16}, {30, 16}, {34, 16}, {36, 0}, {38, 16},
};
#define COUNT (sizeof(lines) / sizeof(lines[0]))

static void test_step_by_step(void **state)
{
	struct imp_line_walk w = {.line = 10};

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(imp_line_walk_to(&w, table, sizeof(table), lines[i].at),
				 lines[i].line);
		/* It may be asked again. */
		assert_int_equal(imp_line_walk_to(&w, table, sizeof(table), lines[i].at),
				 lines[i].line);
	}
	assert_int_equal(imp_line_walk_to(&w, table, sizeof(table), 40), -1);
	assert_int_equal(imp_line_walk_to(&w, table, sizeof(table), 6), -1);
}

static void test_at_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		struct imp_line_walk w = {.line = 10};

		assert_int_equal(imp_line_walk_to(&w, table, sizeof(table), lines[i].at),
				 lines[i].line);
	}
}

/* Cut anywhere, or damaged: an answer, and nothing read beyond the end (a sanitizer would say so). */
static void test_malformed(void **state)
{
	(void)state;
	for (size_t size = 0; size <= sizeof(table); size++) {
		uint8_t *cut = malloc(size ? size : 1);

		assert_non_null(cut);
		memcpy(cut, table, size);
		for (uint32_t at = 0; at < 60; at += 2) {
			struct imp_line_walk w = {.line = 10};

			assert_true(imp_line_walk_to(&w, cut, size, at) >= -1);
		}
		for (unsigned int bit = 0; bit < 8 * size; bit++) {
			struct imp_line_walk w = {.line = 10};

			cut[bit / 8] ^= (uint8_t)(1 << bit % 8);
			imp_line_walk_to(&w, cut, size, 38);
			assert_true(w.at <= size);
			cut[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		free(cut);
	}
	assert_int_equal(imp_line_walk_to(&(struct imp_line_walk){.line = 1}, "\x01\x02", 2, 0), -1);
	assert_int_equal(imp_line_walk_to(&(struct imp_line_walk){.at = 9}, table, 3, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_step_by_step),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
