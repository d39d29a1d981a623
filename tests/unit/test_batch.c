/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyzer/trace/event.h"
#include "preload/batch.h"
#include "preload/cbor_put.h"

#define IMP_KEY_LINE_OF_TEST 100 /* keys that stand for others */

static struct imp_batch batch;

/* An event as recorder.c encodes it: KIND, TIME_NS, then numbers, then a text. */
static size_t encode(uint8_t *item, size_t size, struct imp_marks *marks, uint64_t time_ns,
		     const unsigned int *keys, const uint32_t *numbers, size_t count)
{
	struct imp_cbor c;

	imp_cbor_init(&c, item, size);
	imp_cbor_map_begin(&c);
	imp_cbor_pair(&c, IMP_KEY_KIND, IMP_EV_IMPORT_BEGIN);
	marks->time = (uint32_t)c.len;
	marks->count = 0;
	imp_cbor_uint(&c, IMP_KEY_TIME_NS);
	imp_cbor_wide8(&c, time_ns);
	for (size_t i = 0; i < count; i++) {
		imp_cbor_uint(&c, keys[i]);
		marks->number[marks->count++] = (uint32_t)c.len;
		imp_cbor_wide4(&c, numbers[i]);
		/* Something between them. */
		imp_cbor_uint(&c, IMP_KEY_LINE_OF_TEST + (unsigned int)i);
		imp_cbor_bytes(&c, "between", 7);
	}
	imp_cbor_map_end(&c);
	assert_false(c.overflow);
	return c.len;
}

static void add(uint64_t time_ns, const unsigned int *keys, const uint32_t *numbers, size_t count)
{
	struct imp_marks marks;
	uint8_t item[256];
	size_t len = encode(item, sizeof(item), &marks, time_ns, keys, numbers, count);
	size_t before = batch.len;

	assert_true(imp_batch_add_event(&batch, item, len, &marks));
	assert_true(batch.len - before <= len);
}

struct reader {
	struct imp_cbor_in in;
	struct imp_batch_state state;
	struct imp_event ev;
};

static void read_from(struct reader *r, size_t at)
{
	imp_cbor_in_init(&r->in, batch.bytes + IMP_BATCH_HEAD + at, batch.len - at);
	imp_batch_state_init(&r->state);
}

static void next(struct reader *r)
{
	assert_true(imp_event_decode(&r->ev, &r->in));
	imp_event_resolve(&r->ev, &r->state);
}

static int clear(void **state)
{
	(void)state;
	imp_batch_clear(&batch);
	return 0;
}

/* Whatever order they come in: what is read is what was recorded. */
static void test_round_trip(void **state)
{
	enum { EVENTS = 2003 };
	static uint64_t times[EVENTS];
	static uint32_t numbers[EVENTS][3];
	static const unsigned int keys[] = {IMP_KEY_CALL, IMP_KEY_IMPORT, IMP_KEY_PARENT};
	uint32_t x = 4711, newest = 0;
	uint64_t time_ns = 0;
	struct reader r;

	(void)state;
	for (size_t i = 0; i < EVENTS; i++) {
		x = x * 1664525 + 1013904223;
		/* Mostly a little later; sometimes earlier, much later, or between two steps. */
		time_ns += (x >> 8) % 3000 * IMP_TIME_STEP_NS;
		if (x >> 28 == 3 && time_ns > 900 * IMP_TIME_STEP_NS)
			time_ns -= 900 * IMP_TIME_STEP_NS;
		if (x >> 28 == 5)
			time_ns += 77;
		if (x >> 24 == 9)
			time_ns += UINT64_C(1) << 50;
		times[i] = time_ns;
		numbers[i][0] = x >> 28 == 7 ? x : ++newest;
		if (numbers[i][0] > newest)
			newest = numbers[i][0] = newest + (x >> 16) % 100000 + 1;
		numbers[i][1] = (x >> 4) % newest + 1;
		numbers[i][2] = newest - (newest > 20 ? (x >> 12) % 20 : 0);
		add(time_ns, keys, numbers[i], 1 + i % 3);
	}
	read_from(&r, 0);
	for (size_t i = 0; i < EVENTS; i++) {
		next(&r);
		assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_TIME_NS, 1), times[i]);
		assert_null(imp_event_get(&r.ev, IMP_KEY_LATER));
		for (size_t k = 0; k < 1 + i % 3; k++) {
			const struct imp_cbor_item *between =
				imp_event_get(&r.ev, (enum imp_key)(IMP_KEY_LINE_OF_TEST + k));

			assert_int_equal(imp_event_uint(&r.ev, (enum imp_key)keys[k], 0),
					 numbers[i][k]);
			assert_int_equal(between->len, 7);
			assert_memory_equal(between->data, "between", 7);
		}
	}
	assert_false(imp_event_decode(&r.ev, &r.in));
	assert_false(r.in.bad);
}

/* What comes one after the other is the same few bytes each time. */
static void test_short(void **state)
{
	static const unsigned int keys[] = {IMP_KEY_IMPORT};
	size_t first = 0, len;

	(void)state;
	for (uint32_t i = 0; i < 5; i++) {
		size_t before = batch.len;

		add((1000000 + i * 50) * (uint64_t)IMP_TIME_STEP_NS, keys,
		    (const uint32_t[]){i + 70000}, 1);
		len = batch.len - before;
		if (i == 1)
			first = before;
		if (i > 1)
			assert_memory_equal(batch.bytes + IMP_BATCH_HEAD + before,
					    batch.bytes + IMP_BATCH_HEAD + first, len);
	}
}

static void test_strings(void **state)
{
	static const uint32_t ids[] = {300, 301, 302, 310, 311, 7};
	struct reader r;

	(void)state;
	for (size_t i = 0; i < 6; i++)
		assert_true(imp_batch_add_string(&batch, ids[i], "text", i % 5));
	read_from(&r, 0);
	for (size_t i = 0; i < 6; i++) {
		next(&r);
		assert_int_equal(r.ev.kind, IMP_EV_STRING);
		assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_ID, 0), ids[i]);
		assert_int_equal(imp_event_get(&r.ev, IMP_KEY_TEXT)->len, i % 5);
	}
	/* A batch stands for itself. */
	imp_batch_clear(&batch);
	assert_true(imp_batch_add_string(&batch, 8, "x", 1));
	read_from(&r, 0);
	next(&r);
	assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_ID, 0), 8);
}

/* Events that are dropped take nothing along that the others refer to. */
static void test_keep_strings(void **state)
{
	static const unsigned int keys[] = {IMP_KEY_IMPORT};
	struct reader r;

	(void)state;
	assert_true(imp_batch_add_string(&batch, 20, "a", 1));
	add(9 * IMP_TIME_STEP_NS, keys, (const uint32_t[]){50}, 1);
	assert_true(imp_batch_add_string(&batch, 21, "b", 1));
	imp_batch_keep_strings(&batch);
	add(11 * IMP_TIME_STEP_NS, keys, (const uint32_t[]){51}, 1);
	assert_true(imp_batch_add_string(&batch, 22, "c", 1));
	read_from(&r, 0);
	next(&r);
	assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_ID, 0), 20);
	next(&r);
	assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_ID, 0), 21);
	next(&r);
	assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_TIME_NS, 0), 11 * IMP_TIME_STEP_NS);
	assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_IMPORT, 0), 51);
	next(&r);
	assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_ID, 0), 22);
	assert_false(imp_event_decode(&r.ev, &r.in));
}

/* A holder of the lock that was cut off may have left the state half changed. */
static void test_restart(void **state)
{
	static const unsigned int keys[] = {IMP_KEY_CALL};
	struct reader r;
	size_t at;

	(void)state;
	add(5 * IMP_TIME_STEP_NS, keys, (const uint32_t[]){9}, 1);
	assert_true(imp_batch_add_string(&batch, 1, "a", 1));
	at = batch.len;
	imp_batch_restart(&batch);
	add(6 * IMP_TIME_STEP_NS, keys, (const uint32_t[]){10}, 1);
	assert_true(imp_batch_add_string(&batch, 2, "b", 1));
	read_from(&r, at);
	next(&r);
	assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_TIME_NS, 0), 6 * IMP_TIME_STEP_NS);
	assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_CALL, 0), 10);
	next(&r);
	assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_ID, 0), 2);
}

/* Distances that lead nowhere are left as they are: no number, and no string. */
static void test_malformed(void **state)
{
	struct imp_cbor c;
	struct reader r;

	(void)state;
	imp_cbor_init(&c, batch.bytes + IMP_BATCH_HEAD, 256);
	imp_cbor_map_begin(&c);
	imp_cbor_pair(&c, IMP_KEY_KIND, IMP_EV_IMPORT_END);
	imp_cbor_uint(&c, IMP_KEY_LATER);
	imp_cbor_int(&c, INT64_MIN);
	imp_cbor_uint(&c, IMP_KEY_IMPORT);
	imp_cbor_int(&c, -3);
	imp_cbor_map_end(&c);
	imp_cbor_map_begin(&c);
	imp_cbor_pair(&c, IMP_KEY_KIND, IMP_EV_STRING);
	imp_cbor_uint(&c, IMP_KEY_TEXT);
	imp_cbor_bytes(&c, "x", 1);
	imp_cbor_map_end(&c);
	batch.len = c.len;
	read_from(&r, 0);
	next(&r);
	assert_int_equal(imp_event_uint(&r.ev, IMP_KEY_IMPORT, 99), 99);
	assert_non_null(imp_event_get(&r.ev, IMP_KEY_TIME_NS));
	next(&r);
	assert_null(imp_event_get(&r.ev, IMP_KEY_ID));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_round_trip, clear),
		cmocka_unit_test_setup(test_short, clear),
		cmocka_unit_test_setup(test_strings, clear),
		cmocka_unit_test_setup(test_keep_strings, clear),
		cmocka_unit_test_setup(test_restart, clear),
		cmocka_unit_test_setup(test_malformed, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
