/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "recorder_run.h"

/* ---- threads and signals ------------------------------------------------------------------------- */

#define THREADS	      7
#define THREAD_EVENTS 1499

static void *record_many(void *arg)
{
	uint64_t thread = (uint64_t)(uintptr_t)arg;
	char text[32];

	for (uint64_t i = 0; i < THREAD_EVENTS; i++) {
		struct imp_thread *t = imp_thread_enter();
		struct imp_cbor *c = imp_record_begin(t, IMP_EV_DLSYM);
		int len = snprintf(text, sizeof(text), "symbol %u", (unsigned int)(i % 97));

		imp_put_uint(c, IMP_KEY_HANDLE, thread << 32 | i);
		imp_put_shared(c, IMP_KEY_TEXT, text, (size_t)len);
		imp_record_end(t);
		imp_thread_leave(t);
		if (i % 101 == 0)
			imp_record_flush();
	}
	return NULL;
}

static void test_threads(void **state)
{
	static unsigned char seen[THREADS][THREAD_EVENTS];
	pthread_t threads[THREADS];
	struct trace_file *f;
	size_t missing = 0;
	char text[64], want[64];
	uint64_t lost;

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, record_many, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	record(0, 0);
	imp_record_flush();
	f = trace_load("trace.zst");
	lost = check_batches(f, getpid());
	for (size_t i = 0; i < f->items; i++) {
		uint64_t value, n;

		if (trace_kind(f->item[i]) != IMP_EV_DLSYM)
			continue;
		value = trace_uint(f->item[i], IMP_KEY_HANDLE);
		n = value & 0xffffffff;
		assert_true(value >> 32 < THREADS && n < THREAD_EVENTS);
		assert_int_equal(seen[value >> 32][n]++, 0);
		assert_true(trace_uint(f->item[i], IMP_KEY_THREAD) != (uint64_t)getpid());
		assert_true(
			trace_text(f, i, trace_get(f->item[i], IMP_KEY_TEXT), text, sizeof(text)));
		snprintf(want, sizeof(want), "symbol %u", (unsigned int)(n % 97));
		assert_string_equal(text, want);
	}
	for (size_t i = 0; i < THREADS * (size_t)THREAD_EVENTS; i++)
		missing += !seen[i / THREAD_EVENTS][i % THREAD_EVENTS];
	assert_int_equal(missing, lost);
	trace_free(f);
}

static volatile unsigned int handler_runs, handler_events;

static void record_in_handler(int number)
{
	(void)number;
	handler_events += record(1u << 20, 0);
	imp_record_flush();
	handler_runs++;
}

static _Atomic bool pestering;

static void *pester(void *arg)
{
	while (pestering) {
		pthread_kill(*(pthread_t *)arg, SIGALRM);
		for (volatile int i = 0; i < 3000; i++)
			;
	}
	return NULL;
}

/* The handler interrupts the recorder at any place, also while the lock is held. */
static void test_signals(void **state)
{
	uint64_t start = imp_now_ns(), count = 0, next = 0;
	pthread_t main_thread = pthread_self(), thread;
	uint64_t lost, of_handler = 0;
	struct trace_file *f;

	(void)state;
	handler_runs = handler_events = 0;
	assert_true(signal(SIGALRM, record_in_handler) != SIG_ERR);
	pestering = true;
	assert_int_equal(pthread_create(&thread, NULL, pester, &main_thread), 0);
	while ((handler_runs < 1009 || count < 5003) && imp_now_ns() - start < 20000000000) {
		if (count > 5003 + 20 * handler_runs || count > TRACE_ITEMS_MAX / 4) {
			sched_yield();
			continue;
		}
		assert_true(record(count++, 5));
		if (count % 57 == 0)
			imp_record_flush();
	}
	pestering = false;
	pthread_join(thread, NULL);
	assert_true(handler_runs > 100);
	imp_record_flush(); /* in a batch of its own, the last one says how many were lost */
	record(1u << 21, 0);
	imp_record_flush();
	f = trace_load("trace.zst");
	lost = check_batches(f, getpid());
	for (size_t i = 0; i < f->items; i++) {
		if (trace_kind(f->item[i]) != IMP_EV_DLCLOSE)
			continue;
		if (trace_uint(f->item[i], IMP_KEY_HANDLE) == 1u << 20)
			of_handler++;
		else if (trace_uint(f->item[i], IMP_KEY_HANDLE) < 1u << 20)
			assert_int_equal(trace_uint(f->item[i], IMP_KEY_HANDLE), next++);
	}
	assert_int_equal(next, count);
	/* Only where a handler interrupted the flush itself, it could not wait. */
	assert_int_equal(of_handler + lost, handler_events);
	trace_free(f);
}

/* On a stack that is too small for the compressor. */
static void flush_in_handler(int number)
{
	(void)number;
	record(2, 0);
	imp_record_flush();
}

static void test_signal_stack(void **state)
{
	const size_t size = 16384;
	stack_t stack = {.ss_sp = calloc(1, size), .ss_size = size}, off = {.ss_flags = SS_DISABLE};
	struct sigaction action = {.sa_handler = flush_in_handler, .sa_flags = SA_ONSTACK};
	struct trace_file *f;
	struct stat st;

	(void)state;
	for (int i = 0; i < 1000; i++)
		record(1, 30);
	imp_record_flush(); /* now there is a context */
	for (int i = 0; i < 1000; i++)
		record(1, 30);
	assert_int_equal(stat("trace.zst", &st), 0);
	assert_true(st.st_size < 20000);
	assert_int_equal(sigaltstack(&stack, NULL), 0);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	raise(SIGUSR1);
	assert_int_equal(sigaltstack(&off, NULL), 0);
	free(stack.ss_sp);
	assert_int_equal(stat("trace.zst", &st), 0);
	assert_true(st.st_size > 40000); /* stored as it is */
	f = trace_load("trace.zst");
	assert_int_equal(trace_count(f, IMP_EV_DLCLOSE), 2001);
	trace_free(f);
}

/* ---- fork ---------------------------------------------------------------------------------------- */

static void test_fork(void **state)
{
	const cbor_item_t *process;
	struct trace_file *f;
	size_t images = 0, ones = 0, twos = 0;
	uint64_t pid_of_frame = 0;
	char text[64];
	pid_t pid;

	(void)state;
	record(1, 0);
	assert_int_not_equal(imp_record_intern("shared", 6), 0);
	imp_recorder_fork_prepare(); /* from here on nobody can record, and the trace is not open */
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		imp_recorder_fork_child();
		for (int i = 0; i < 20011; i++) {
			struct imp_thread *t = imp_thread_enter();
			struct imp_cbor *c = imp_record_begin(t, IMP_EV_DLCLOSE);

			imp_put_uint(c, IMP_KEY_HANDLE, 2);
			imp_put_shared(c, IMP_KEY_TEXT, "shared", 6);
			imp_record_end(t);
			imp_thread_leave(t);
		}
		imp_recorder_stop();
		_exit(0);
	}
	imp_recorder_fork_parent();
	wait_for(pid);
	record(1, 0);
	imp_record_flush();
	f = trace_load("trace.zst");
	assert_int_equal(check_batches(f, getpid()), 0);
	assert_int_equal(check_batches(f, pid), 0);
	for (size_t i = 0; i < f->items; i++) {
		switch (trace_kind(f->item[i])) {
		case IMP_EV_BATCH:
			pid_of_frame = trace_uint(f->item[i], IMP_KEY_PID);
			images += pid_of_frame == (uint64_t)pid;
			break;
		case IMP_EV_DLCLOSE:
			if (trace_uint(f->item[i], IMP_KEY_HANDLE) == 1) {
				assert_int_equal(pid_of_frame, getpid());
				ones++;
				break;
			}
			assert_int_equal(pid_of_frame, pid);
			assert_true(trace_text(f, i, trace_get(f->item[i], IMP_KEY_TEXT), text,
					       sizeof(text)));
			assert_string_equal(text, "shared");
			twos++;
			break;
		}
	}
	assert_true(images > 1);
	assert_int_equal(ones, 2);
	assert_int_equal(twos, 20011);
	assert_int_equal(trace_count(f, IMP_EV_STRING), 2); /* each image has its own */
	assert_int_equal(trace_count(f, IMP_EV_PROCESS), 1);
	process = trace_find(f, IMP_EV_PROCESS, 0);
	assert_int_equal(trace_uint(process, IMP_KEY_HOW), IMP_START_FORK);
	assert_int_equal(trace_uint(process, IMP_KEY_PPID), getpid());
	assert_int_equal(trace_uint(process, IMP_KEY_PARENT_IMAGE_NS), image_ns);
	trace_free(f);
}

static void test_fork_that_does_nothing(void **state)
{
	struct trace_file *f;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid) {
		imp_recorder_fork_child();
		imp_record_flush_last();
		_exit(0);
	}
	wait_for(pid);
	f = trace_load("trace.zst");
	assert_int_equal(f->frames, 1);
	trace_free(f);
}

/* clone() without the handlers, and vfork: the parent's batch must not be written by the child. */
static void test_bare_clone(void **state)
{
	struct trace_file *f;
	pid_t pid;

	(void)state;
	record(1, 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (imp_recorder_on() || record(2, 0))
			_exit(1);
		imp_record_flush_last();
		imp_recorder_stop();
		_exit(0);
	}
	wait_for(pid);
	pid = vfork();
	if (!pid) {
		imp_record_flush();
		_exit(imp_recorder_on() ? 1 : 0);
	}
	wait_for(pid);
	assert_true(imp_recorder_on());
	imp_record_flush();
	f = trace_load("trace.zst");
	assert_int_equal(f->frames, 2);
	assert_int_equal(trace_count(f, IMP_EV_DLCLOSE), 1);
	trace_free(f);
}

static void test_no_follow(void **state)
{
	struct trace_file *f;
	pid_t pid;

	(void)state;
	imp_options.follow = false;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		imp_recorder_fork_child();
		_exit(imp_recorder_on() || record(2, 0));
	}
	wait_for(pid);
	record(1, 0);
	imp_record_flush();
	f = trace_load("trace.zst");
	assert_int_equal(f->items, 3);
	trace_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_threads),
		TEST(test_signals),
		TEST(test_signal_stack),
		TEST(test_fork),
		TEST(test_fork_that_does_nothing),
		TEST(test_bare_clone),
		TEST(test_no_follow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
