/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The recorder's modules under many threads at once: nothing is lost, nothing is counted twice, and what is read is
 * whole. `make check-tsan` runs it under ThreadSanitizer.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dlsym_cache.h"
#include "object_table.h"
#include "output.h"
#include "recorder.h"
#include "trace_file.h"

#define RECORDERS    6
#define ROUNDS	     1201
#define NAMES	     101
#define OBJECTS	     307 /* more than an array has room for at first */
#define OBJECT_AT(i) ((ElfW(Addr))0x10000000 + (ElfW(Addr))(i)*0x100000)

static char home[] = "/tmp/imptrace-threads-XXXXXX";
static bool stop;

static void start(void)
{
	static struct imp_output out;
	const char *why;

	imp_options = (struct imp_options){
		.stacks = IMP_FAILURES, .dlsym = IMP_ALL, .follow = true, .level = 3};
	assert_non_null(mkdtemp(home));
	assert_int_equal(chdir(home), 0);
	assert_int_equal(imp_output_set_path(&out, "trace.zst"), 0);
	assert_int_equal(imp_output_create(&out, &why), 0);
	assert_int_equal(imp_recorder_start(&out, imp_now_ns(), &(struct imp_recorder_hooks){0}), 0);
	imp_recorder_stay_quiet();
}

static int clean(void **state)
{
	(void)state;
	return chdir("/");
}

/* Looks symbols up, records events with interned texts, and flushes now and then. */
static void *look_up_and_record(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct imp_thread *t = imp_thread_enter();
		char name[32], text[32];
		struct imp_lookup l = {.handle = 7, .object = 1, .name = name};
		struct imp_cbor *c;

		seed = seed * 1664525 + 1013904223;
		snprintf(name, sizeof(name), "symbol_%u", (seed >> 8) % NAMES);
		l.address = 0x1000 + (seed >> 8) % NAMES;
		if (!imp_dlsym_cache_hit(&l))
			imp_dlsym_cache_record(t, &l);
		snprintf(text, sizeof(text), "text %u", (seed >> 16) % 1009);
		c = imp_record_begin(t, IMP_EV_DLCLOSE);
		imp_put_uint(c, IMP_KEY_HANDLE, imp_record_next_id());
		imp_put_shared(c, IMP_KEY_TEXT, text, strlen(text));
		imp_record_end(t);
		imp_thread_leave(t);
		if (i % 97 == 0)
			imp_record_flush();
		if (i % 53 == 0)
			imp_record_journal();
	}
	return NULL;
}

/* Maps and unmaps: every object begins where its number says. */
static void *change_objects(void *unused)
{
	static bool there[OBJECTS];
	uint32_t seed = 3;

	(void)unused;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		uint32_t i;

		seed = seed * 1664525 + 1013904223;
		i = (seed >> 8) % OBJECTS;
		if (!imp_object_table_lock())
			continue;
		if (there[i]) {
			imp_object_table_remove(OBJECT_AT(i), i + 1);
			there[i] = false;
		} else {
			const struct imp_mapped new = {.start = OBJECT_AT(i),
						       .end = OBJECT_AT(i) + 0x80000,
						       .base = OBJECT_AT(i),
						       .id = i + 1};

			there[i] = imp_object_table_insert(&new);
		}
		imp_object_table_unlock();
		if (seed % 11 == 0)
			imp_objects_set_gadget(i + 1, (struct imp_return_gadget){0});
	}
	return NULL;
}

/* Returns how often something was found; ends the process where it does not fit together. */
static void *read_objects(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg;
	uintptr_t found = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		struct imp_mapped object;
		ElfW(Addr) address;

		seed = seed * 1664525 + 1013904223;
		address = OBJECT_AT((seed >> 8) % OBJECTS) + (seed & 0x7ffff);
		if (!imp_objects_get((void *)address, &object))
			continue;
		found++;
		if (object.start > address || object.end <= address ||
		    object.base != object.start || OBJECT_AT(object.id - 1) != object.start)
			abort();
	}
	return (void *)found;
}

static void *run_forever(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		struct imp_thread *t = imp_thread_enter();

		if (t) {
			imp_record_next_id();
			imp_thread_leave(t);
		}
	}
	return NULL;
}

/* How often a symbol was looked up in all, as a reader adds it up. */
static uint64_t looked_up(const struct trace_file *f)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < f->items; i++) {
		if (trace_kind(f->item[i]) != IMP_EV_DLSYM)
			continue;
		sum += trace_get(f->item[i], IMP_KEY_COUNT) ?
			       trace_uint(f->item[i], IMP_KEY_COUNT) :
			       1;
	}
	return sum;
}

static void test_at_once(void **state)
{
	pthread_t recorders[RECORDERS], readers[3], writer, idle;
	struct imp_thread *t;
	struct trace_file *f;
	uintptr_t found = 0;
	uint64_t lost = 0;

	(void)state;
	start();
	pthread_create(&writer, NULL, change_objects, NULL);
	pthread_create(&idle, NULL, run_forever, NULL);
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&readers[i], NULL, read_objects, (void *)(i + 5));
	for (uintptr_t i = 0; i < RECORDERS; i++)
		pthread_create(&recorders[i], NULL, look_up_and_record, (void *)(i + 17));
	for (int i = 0; i < RECORDERS; i++)
		pthread_join(recorders[i], NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(writer, NULL);
	pthread_join(idle, NULL);
	for (int i = 0; i < 3; i++) {
		void *ret;

		pthread_join(readers[i], &ret);
		found += (uintptr_t)ret;
	}
	assert_true(found > 0);
	t = imp_thread_enter();
	imp_dlsym_cache_drain(t);
	imp_thread_leave(t);
	imp_recorder_stop();
	f = trace_load("trace.zst");
	for (size_t i = 0; i < f->items; i++)
		if (trace_kind(f->item[i]) == IMP_EV_BATCH)
			lost = trace_uint(f->item[i], IMP_KEY_LOST);
	/* On a machine where a thread may wait for long, what was given up is at least counted. */
	if (lost) {
		assert_in_range(trace_count(f, IMP_EV_DLCLOSE), RECORDERS * ROUNDS - lost,
				RECORDERS * ROUNDS);
	} else {
		assert_int_equal(trace_count(f, IMP_EV_DLCLOSE), RECORDERS * ROUNDS);
		assert_int_equal(looked_up(f), RECORDERS * ROUNDS);
	}
	trace_free(f);
	unlink("trace.zst");
	rmdir(home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_at_once, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
