/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "output.h"
#include "recorder.h"
#include "thread_slot.h"

static int objects_runs;

static void count_objects(struct imp_thread *t)
{
	(void)t;
	objects_runs++;
}

/* Nothing is written here: the path leads nowhere, and no batch gets full. */
static int start(void **state)
{
	static const struct imp_recorder_hooks hooks = {.objects = count_objects};
	static struct imp_output out;

	(void)state;
	assert_int_equal(imp_output_set_path(&out, "/nonexistent/trace.zst"), 0);
	assert_int_equal(imp_recorder_start(&out, imp_now_ns(), &hooks), 0);
	imp_recorder_stay_quiet();
	return 0;
}

static void test_errno(void **state)
{
	struct imp_thread *t;

	(void)state;
	errno = EDOM;
	t = imp_thread_enter();
	assert_non_null(t);
	assert_int_equal(errno, EDOM);
	assert_int_equal(t->saved_errno, EDOM);
	assert_int_equal(t->tid, gettid());
	errno = ERANGE;
	imp_thread_leave(t);
	assert_int_equal(errno, EDOM);
}

static void test_nested(void **state)
{
	struct imp_thread *t = imp_thread_enter();

	(void)state;
	assert_non_null(t);
	errno = EDOM;
	assert_null(imp_thread_enter());
	assert_null(imp_thread_enter_bare());
	assert_int_equal(errno, EDOM);
	assert_ptr_equal(imp_thread_get(false), t);
	imp_thread_leave(t);
	assert_ptr_equal(imp_thread_enter(), t);
	imp_thread_leave(t);
}

static struct imp_thread *volatile in_handler;

static void handler(int number)
{
	(void)number;
	in_handler = imp_thread_enter();
	if (in_handler)
		imp_thread_leave(in_handler);
}

static void test_signal_handler(void **state)
{
	struct imp_thread *t;

	(void)state;
	assert_true(signal(SIGUSR1, handler) != SIG_ERR);
	t = imp_thread_enter();
	assert_non_null(t);
	in_handler = t;
	raise(SIGUSR1);
	assert_null(in_handler);
	imp_thread_leave(t);
	raise(SIGUSR1);
	assert_ptr_equal(in_handler, t);
	assert_int_equal(t->depth, 0);
}

static void test_recorder_off(void **state)
{
	(void)state;
	imp_recorder_stop();
	errno = EDOM;
	assert_null(imp_thread_enter());
	assert_int_equal(errno, EDOM);
	start(NULL);
	assert_non_null(imp_thread_enter());
	imp_thread_leave(imp_thread_get(false));
}

/* Its memory is ours: nothing of it may be touched. */
static void test_vfork_child(void **state)
{
	struct imp_thread *volatile seen = (void *)1;
	int status;
	pid_t pid;

	(void)state;
	pid = vfork();
	assert_true(pid >= 0);
	if (!pid) {
		seen = imp_thread_enter();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_null(seen);
	assert_int_equal(imp_thread_get(false)->depth, 0);
}

static void *get_block(void *unused)
{
	struct imp_thread *t;

	(void)unused;
	assert_null(imp_thread_get(false));
	t = imp_thread_get(true);
	assert_non_null(t);
	assert_int_equal(t->tid, gettid());
	assert_int_equal(t->depth, 0);
	assert_false(t->dlerror_kept);
	/* What a thread leaves behind must not reach the next one. */
	t->dlerror_kept = true;
	t->attempt_depth = 3;
	t->depth = 1;
	return t;
}

static void test_blocks_are_used_again(void **state)
{
	void *seen[16];
	size_t count = 0;

	(void)state;
	for (int i = 0; i < 211; i++) {
		pthread_t thread;
		void *block;
		size_t at;

		assert_int_equal(pthread_create(&thread, NULL, get_block, NULL), 0);
		assert_int_equal(pthread_join(thread, &block), 0);
		assert_non_null(block);
		for (at = 0; at < count && seen[at] != block; at++)
			;
		if (at == count) {
			assert_true(count < 16);
			seen[count++] = block;
		}
	}
	assert_in_range(count, 1, 4);
}

static pthread_barrier_t barrier;

static void *hold_block(void *arg)
{
	struct imp_thread *t = imp_thread_enter();

	*(struct imp_thread **)arg = t;
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	if (t)
		imp_thread_leave(t);
	return NULL;
}

static void test_a_block_each(void **state)
{
	struct imp_thread *blocks[61];
	pthread_t threads[61];

	(void)state;
	assert_int_equal(pthread_barrier_init(&barrier, NULL, 62), 0);
	for (int i = 0; i < 61; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hold_block, &blocks[i]), 0);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 61; i++) {
		assert_non_null(blocks[i]);
		for (int k = 0; k < i; k++)
			assert_ptr_not_equal(blocks[i], blocks[k]);
	}
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 61; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
}

/* The child's only thread has a new number; what was owed to the program still is. */
static void test_fork(void **state)
{
	struct imp_thread *t = imp_thread_get(true);
	int status;
	pid_t pid;

	(void)state;
	t->dlerror_kept = true;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (imp_thread_enter()) /* no atfork handler has run: as after a bare clone() */
			_exit(1);
		imp_recorder_fork_child();
		if (t->tid != getpid() || !t->dlerror_kept || imp_thread_get(false) != t)
			_exit(2);
		if (imp_thread_enter_bare() != t || objects_runs)
			_exit(3);
		imp_thread_leave(t);
		if (imp_thread_enter() != t || objects_runs != 1) /* the objects are recorded again */
			_exit(4);
		imp_thread_leave(t);
		imp_thread_enter();
		_exit(objects_runs == 1 ? 0 : 5);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	t->dlerror_kept = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errno),	       cmocka_unit_test(test_nested),
		cmocka_unit_test(test_signal_handler), cmocka_unit_test(test_recorder_off),
		cmocka_unit_test(test_vfork_child),    cmocka_unit_test(test_blocks_are_used_again),
		cmocka_unit_test(test_a_block_each),   cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
