// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "dl_events.h"
#include "preload/dlsym_cache.h"
#include "preload/link_map_diff.h"

static struct imp_thread thread;
static uint32_t generation;

uint32_t imp_objects_generation(void)
{
	return generation;
}

static int reset(void **state)
{
	(void)state;
	event_count = 0;
	imp_dlsym_cache_forget();
	return 0;
}

static void look_up(const struct imp_lookup *l)
{
	if (!imp_dlsym_cache_hit(l))
		imp_dlsym_cache_record(&thread, l);
}

static const struct imp_lookup usual = {
	.handle = 0x5555,
	.name = "some_function",
	.object = 3,
	.offset = 0x99,
	.address = 0x7777,
};

static void test_counts(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 1009; i++)
		look_up(&usual);
	assert_int_equal(event_count, 1);
	assert_string_equal(events[0].text, "some_function");
	assert_int_equal(events[0].uint[IMP_KEY_HANDLE], 0x5555);
	assert_int_equal(events[0].uint[IMP_KEY_ADDRESS], 0x7777);
	assert_int_equal(events[0].uint[IMP_KEY_CALLER], 3);
	assert_int_equal(events[0].uint[IMP_KEY_OFFSET], 0x99);
	assert_int_equal(events[0].has >> IMP_KEY_COUNT & 1, 0);
	imp_dlsym_cache_drain(&thread);
	assert_int_equal(event_count, 2);
	assert_string_equal(events[1].text, "some_function");
	assert_int_equal(events[1].uint[IMP_KEY_COUNT], 1008);
	assert_int_equal(events[1].uint[IMP_KEY_ADDRESS], 0x7777);
	/* It is counted anew, and is still known. */
	look_up(&usual);
	imp_dlsym_cache_drain(&thread);
	assert_int_equal(event_count, 3);
	assert_int_equal(events[2].uint[IMP_KEY_COUNT], 1);
	imp_dlsym_cache_drain(&thread);
	assert_int_equal(event_count, 3);
}

/* A program that asks for a hundred names in turn has each recorded once. */
static void test_hundred(void **state)
{
	enum { NAMES = 101, ROUNDS = 7 };
	struct imp_lookup l = usual;
	unsigned int round, i;
	char name[20];

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < NAMES; i++) {
			snprintf(name, sizeof(name), "PyObject_%u", i * 7);
			l.name = name;
			l.address = 0x7000 + i * 16;
			look_up(&l);
		}
	}
	assert_int_equal(event_count, NAMES);
}

/* Whatever is different makes it another look-up. */
static void test_what_is_the_same(void **state)
{
	struct imp_lookup l = usual;

	(void)state;
	look_up(&l);
	l.handle++;
	assert_false(imp_dlsym_cache_hit(&l));
	l = usual;
	l.name = "some_functio";
	assert_false(imp_dlsym_cache_hit(&l));
	l.name = "some_function_";
	assert_false(imp_dlsym_cache_hit(&l));
	l = usual;
	l.version = "V1";
	assert_false(imp_dlsym_cache_hit(&l));
	l.version = "";
	assert_false(imp_dlsym_cache_hit(&l));
	l = usual;
	l.object++;
	assert_false(imp_dlsym_cache_hit(&l));
	l = usual;
	l.address = 0;
	assert_false(imp_dlsym_cache_hit(&l));
	l = usual;
	generation++;
	assert_false(imp_dlsym_cache_hit(&l));
	generation--;
	l.offset++; /* another place in the same object */
	l.error = "irrelevant";
	assert_true(imp_dlsym_cache_hit(&l));
}

static void test_errors_and_versions(void **state)
{
	struct imp_lookup l = {
		.handle = 1, .name = "missing", .version = "V_1", .error = "no such thing"};

	(void)state;
	look_up(&l);
	look_up(&l);
	assert_int_equal(event_count, 1);
	assert_string_equal(events[0].error, "no such thing");
	assert_int_equal(events[0].uint[IMP_KEY_SYMVER], 3);
	imp_dlsym_cache_drain(&thread);
	assert_int_equal(event_count, 2);
	assert_int_equal(events[1].uint[IMP_KEY_SYMVER], 3);
	assert_int_equal(events[1].uint[IMP_KEY_ADDRESS], 0);
	assert_int_equal(events[1].uint[IMP_KEY_COUNT], 1);
}

/* More names than the cache has room for, and longer ones: nothing is lost, nothing counted twice. */
static void test_many(void **state)
{
	enum { NAMES = 1201, ROUNDS = 2 };
	static uint64_t counted[NAMES];
	struct imp_lookup l = usual;
	char name[200];
	unsigned int round, i;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < NAMES; i++) {
			memset(name, 'n', sizeof(name));
			/* The address tells which it is, in the events. */
			snprintf(name + (i % 2 ? 0 : 120), 40, "_%u", i);
			l.name = name;
			l.address = i;
			look_up(&l);
			look_up(&l);
		}
	}
	imp_dlsym_cache_drain(&thread);
	assert_true(event_count < EVENTS_MAX - 1);
	for (i = 0; i < event_count; i++) {
		const uint64_t count =
			events[i].has >> IMP_KEY_COUNT & 1 ? events[i].uint[IMP_KEY_COUNT] : 1;

		counted[events[i].uint[IMP_KEY_ADDRESS]] += count;
	}
	for (i = 0; i < NAMES; i++)
		assert_int_equal(counted[i], ROUNDS * 2);
}

static void *hit_often(void *arg)
{
	unsigned long i, hits = 0;

	(void)arg;
	for (i = 0; i < 300007; i++)
		hits += imp_dlsym_cache_hit(&usual);
	return (void *)hits;
}

/* Not one count is lost between threads. */
static void test_threads(void **state)
{
	unsigned long total = 0;
	pthread_t threads[3];
	void *hits;
	size_t i;

	(void)state;
	look_up(&usual);
	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hit_often, NULL), 0);
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], &hits);
		total += (unsigned long)hits;
	}
	imp_dlsym_cache_drain(&thread);
	assert_int_equal(event_count, 2);
	assert_int_equal(events[1].uint[IMP_KEY_COUNT], total);
	assert_int_equal(total, 3 * 300007);
}

/* A counter that is full says so, and begins again. */
static void test_overflow(void **state)
{
	const unsigned int calls = (1 << 20) + 1000;
	uint64_t sum = 0;
	unsigned int i;

	(void)state;
	for (i = 0; i < calls; i++)
		look_up(&usual);
	imp_dlsym_cache_drain(&thread);
	assert_in_range(event_count, 3, 5);
	for (i = 0; i < event_count; i++)
		sum += events[i].has >> IMP_KEY_COUNT & 1 ? events[i].uint[IMP_KEY_COUNT] : 1;
	assert_int_equal(sum, calls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_hundred, reset),
		cmocka_unit_test_setup(test_counts, reset),
		cmocka_unit_test_setup(test_what_is_the_same, reset),
		cmocka_unit_test_setup(test_errors_and_versions, reset),
		cmocka_unit_test_setup(test_many, reset),
		cmocka_unit_test_setup(test_threads, reset),
		cmocka_unit_test_setup(test_overflow, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
