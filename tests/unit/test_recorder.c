/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "output.h"
#include "process_event.h"
#include "recorder.h"
#include "trace_file.h"

static char home[] = "/tmp/imptrace-recorder-XXXXXX";
static struct imp_output out;
static uint64_t image_ns;

static void write_process(struct imp_thread *t)
{
	imp_process_event_write(t, IMP_START_FORK, NULL);
}

static int begin(void **state)
{
	static const struct imp_recorder_hooks hooks = {.process = write_process};
	const char *why;

	(void)state;
	memset(&out, 0, sizeof(out));
	imp_options = (struct imp_options){
		.stacks = IMP_FAILURES, .dlsym = IMP_ALL, .follow = true, .level = 3};
	strcpy(strrchr(home, '-'), "-XXXXXX");
	assert_non_null(mkdtemp(home));
	assert_int_equal(chdir(home), 0);
	assert_int_equal(imp_output_set_path(&out, "trace.zst"), 0);
	assert_int_equal(imp_output_create(&out, &why), 0);
	image_ns = imp_now_ns();
	assert_int_equal(imp_recorder_start(&out, image_ns, &hooks), 0);
	imp_recorder_stay_quiet();
	return 0;
}

static int end(void **state)
{
	char command[64];

	(void)state;
	imp_recorder_stop();
	assert_int_equal(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", home);
	return system(command);
}

/* An event that says @value, with so many bytes of ballast. */
static bool record(uint64_t value, size_t ballast)
{
	static const char zeros[IMP_ITEM_MAX];
	struct imp_thread *t = imp_thread_enter();
	struct imp_cbor *c;

	if (!t)
		return false;
	c = imp_record_begin(t, IMP_EV_DLCLOSE);
	imp_put_uint(c, IMP_KEY_HANDLE, value);
	if (ballast)
		imp_put_bytes(c, IMP_KEY_BUILD_ID, zeros, ballast);
	imp_record_end(t);
	imp_thread_leave(t);
	return true;
}

/* Batches are numbered without gaps in each image, and carry its identity. Returns the last LOST. */
static uint64_t check_batches(const struct trace_file *f, pid_t pid)
{
	uint64_t seq = 0, lost = 0;

	assert_int_equal(trace_kind(f->item[0]), IMP_EV_HEADER);
	for (size_t i = 1; i < f->items; i++) {
		bool first = f->frame_of[i] != f->frame_of[i - 1];

		assert_int_equal(trace_kind(f->item[i]) == IMP_EV_BATCH, first);
		if (!first || trace_uint(f->item[i], IMP_KEY_PID) != (uint64_t)pid)
			continue;
		assert_int_equal(trace_uint(f->item[i], IMP_KEY_SEQ), seq++);
		assert_true(trace_uint(f->item[i], IMP_KEY_LOST) >= lost);
		lost = trace_uint(f->item[i], IMP_KEY_LOST);
	}
	return lost;
}

/* ---- events -------------------------------------------------------------------------------------- */

static void test_event(void **state)
{
	struct imp_thread *t = imp_thread_enter();
	const cbor_item_t *e, *b;
	struct trace_file *f;
	struct imp_cbor *c;

	(void)state;
	c = imp_record_begin(t, IMP_EV_DLOPEN_ENTER);
	imp_put_uint(c, IMP_KEY_CALL, 70000);
	imp_put_int(c, IMP_KEY_CODE, -3);
	imp_put_bool(c, 99, true);
	imp_put_bytes(c, IMP_KEY_BUILD_ID, "\x00\xff", 2);
	imp_put_text(c, IMP_KEY_TEXT, "n\xff", 2);
	imp_put_array(c, IMP_KEY_IDS);
	imp_value_text(c, "", 0);
	imp_cbor_array_end(c);
	imp_put_map(c, IMP_KEY_EXCEPTION);
	imp_cbor_map_end(c);
	imp_record_end(t);
	imp_thread_leave(t);
	imp_record_flush();
	f = trace_load("trace.zst");
	check_batches(f, getpid());
	assert_int_equal(f->items, 3);
	b = f->item[1];
	assert_int_equal(trace_uint(b, IMP_KEY_PID), getpid());
	assert_int_equal(trace_uint(b, IMP_KEY_IMAGE_NS), image_ns);
	assert_int_equal(trace_uint(b, IMP_KEY_SEQ), 0);
	assert_int_equal(trace_uint(b, IMP_KEY_LOST), 0);
	e = f->item[2];
	assert_int_equal(trace_kind(e), IMP_EV_DLOPEN_ENTER);
	assert_int_equal(trace_uint(e, IMP_KEY_CALL), 70000);
	assert_true(trace_uint(e, IMP_KEY_TIME_NS) <= imp_now_ns() - image_ns);
	assert_null(trace_get(e, IMP_KEY_THREAD)); /* the main thread */
	assert_true(cbor_isa_negint(trace_get(e, IMP_KEY_CODE)));
	assert_true(cbor_get_bool(trace_get(e, 99)));
	assert_int_equal(cbor_bytestring_length(trace_get(e, IMP_KEY_BUILD_ID)), 2);
	assert_memory_equal(cbor_bytestring_handle(trace_get(e, IMP_KEY_TEXT)), "n\xff", 2);
	assert_int_equal(cbor_array_size(trace_get(e, IMP_KEY_IDS)), 1);
	assert_int_equal(cbor_map_size(trace_get(e, IMP_KEY_EXCEPTION)), 0);
	trace_free(f);
}

static void test_cancelled(void **state)
{
	struct imp_thread *t = imp_thread_enter();
	struct trace_file *f;

	(void)state;
	imp_put_uint(imp_record_begin(t, IMP_EV_DLERROR), IMP_KEY_CALL, 1);
	imp_record_cancel(t);
	imp_thread_leave(t);
	imp_record_flush();
	f = trace_load("trace.zst");
	assert_int_equal(f->items, 1); /* no empty batch either */
	trace_free(f);
}

static void test_texts(void **state)
{
	/* A text, and how it is spelled as a path. */
	static const struct {
		const char *text;
		bool is_pair;
	} paths[] = {
		{"/usr/lib/a.so", true},
		{"/usr/lib/b.cpython-311-x86_64-linux-gnu.so", true},
		{"/opt/b.cpython-311-x86_64-linux-gnu.so", true},
		{"/a", true},
		{"plain", false},
		{"", false},
		{"dir/", true},
		{"/", true},
	};
	static char lengthy[IMP_TEXT_MAX + 2];
	char text[2 * IMP_TEXT_MAX];
	struct imp_thread *t = imp_thread_enter();
	struct trace_file *f;
	struct imp_cbor *c;

	(void)state;
	memset(lengthy, 'x', sizeof(lengthy));
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		c = imp_record_begin(t, IMP_EV_OBJECT);
		imp_put_path(c, IMP_KEY_TEXT, paths[i].text, strlen(paths[i].text));
		imp_put_shared(c, IMP_KEY_ORIGIN, "/usr/lib", 8);
		imp_record_end(t);
	}
	for (size_t len = IMP_TEXT_MAX; len <= sizeof(lengthy); len++) {
		c = imp_record_begin(t, IMP_EV_DLERROR);
		imp_put_text(c, IMP_KEY_TEXT, lengthy, len);
		imp_put_shared(c, IMP_KEY_ORIGIN, lengthy, len);
		imp_record_end(t);
	}
	imp_thread_leave(t);
	imp_record_flush();
	f = trace_load("trace.zst");
	for (size_t i = 0, n = 0; i < f->items; i++) {
		if (trace_kind(f->item[i]) != IMP_EV_OBJECT)
			continue;
		assert_int_equal(cbor_isa_array(trace_get(f->item[i], IMP_KEY_TEXT)),
				 paths[n].is_pair);
		assert_true(
			trace_text(f, i, trace_get(f->item[i], IMP_KEY_TEXT), text, sizeof(text)));
		assert_string_equal(text, paths[n].text);
		assert_true(cbor_isa_uint(trace_get(f->item[i], IMP_KEY_ORIGIN)));
		assert_true(trace_text(f, i, trace_get(f->item[i], IMP_KEY_ORIGIN), text,
				       sizeof(text)));
		assert_string_equal(text, "/usr/lib");
		n++;
	}
	/* "/usr/lib", "/opt", "b.cpython-...so", "", "dir", and the long one that is not too long: each once. */
	assert_int_equal(trace_count(f, IMP_EV_STRING), 6);
	for (size_t i = 0; i < 3; i++) {
		cbor_item_t *value = trace_get(trace_find(f, IMP_EV_DLERROR, i), IMP_KEY_TEXT);

		assert_int_equal(cbor_bytestring_length(value), IMP_TEXT_MAX);
		assert_int_equal(memcmp(cbor_bytestring_handle(value) + IMP_TEXT_MAX - 5,
					IMP_TEXT_CUT, 5) == 0,
				 i > 0);
	}
	trace_free(f);
}

static void test_too_long(void **state)
{
	struct trace_file *f;

	(void)state;
	record(1, 0);
	record(2, IMP_ITEM_MAX - 10);
	record(3, IMP_ITEM_MAX - 40);
	imp_record_flush();
	f = trace_load("trace.zst");
	assert_int_equal(trace_count(f, IMP_EV_DLCLOSE), 2);
	assert_int_equal(trace_uint(trace_find(f, IMP_EV_DLCLOSE, 1), IMP_KEY_HANDLE), 3);
	assert_int_equal(check_batches(f, getpid()), 1);
	trace_free(f);
}

static void test_unbalanced(void **state)
{
	struct imp_thread *t = imp_thread_enter();
	struct trace_file *f;

	(void)state;
	imp_put_array(imp_record_begin(t, IMP_EV_DLERROR), IMP_KEY_IDS); /* never closed */
	imp_record_end(t);
	imp_thread_leave(t);
	record(1, 0);
	imp_record_flush();
	f = trace_load("trace.zst");
	assert_int_equal(trace_count(f, IMP_EV_DLERROR), 0);
	assert_int_equal(check_batches(f, getpid()), 1);
	trace_free(f);
}

/* Full batches are written without being asked; none is larger than its reader expects. */
static void test_batches(void **state)
{
	struct trace_file *f;
	size_t count = 0;

	(void)state;
	for (uint64_t i = 0; i < 4001; i++)
		record(i, i % 601);
	record(4001, IMP_ITEM_MAX - 40);
	record(4002, IMP_ITEM_MAX - 40);
	f = trace_load("trace.zst"); /* asserts the sizes */
	assert_in_range(f->frames, 10, 40);
	trace_free(f);
	imp_record_flush();
	f = trace_load("trace.zst");
	assert_int_equal(check_batches(f, getpid()), 0);
	for (size_t i = 0; i < f->items; i++)
		if (trace_kind(f->item[i]) == IMP_EV_DLCLOSE)
			assert_int_equal(trace_uint(f->item[i], IMP_KEY_HANDLE), count++);
	assert_int_equal(count, 4003);
	trace_free(f);
}

static void test_errno_is_kept(void **state)
{
	(void)state;
	errno = EDOM;
	record(1, 0);
	assert_int_equal(errno, EDOM);
	imp_record_flush();
	assert_int_equal(errno, EDOM);
	assert_int_equal(unlink("trace.zst"), 0);
	record(1, 0);
	errno = EDOM;
	imp_record_flush_last();
	assert_int_equal(errno, EDOM);
}

static void test_ids(void **state)
{
	uint32_t first = imp_record_next_id();

	(void)state;
	assert_true(first > 0);
	assert_int_equal(imp_record_next_id(), first + 1);
}

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

static void wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

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

/* ---- when it can't be written -------------------------------------------------------------------- */

static void assert_note(const struct trace_file *f, size_t n, enum imp_note note, int err)
{
	const cbor_item_t *item = trace_find(f, IMP_EV_NOTE, n);

	assert_non_null(item);
	assert_int_equal(trace_uint(item, IMP_KEY_NOTE), note);
	if (err)
		assert_int_equal(trace_uint(item, IMP_KEY_ERRNO), err);
	else
		assert_null(trace_get(item, IMP_KEY_ERRNO));
}

static void test_write_fails_for_a_while(void **state)
{
	struct trace_file *f;

	(void)state;
	record(1, 0);
	imp_record_flush();
	assert_int_equal(rename("trace.zst", "away"), 0);
	record(2, 0);
	imp_record_flush();
	record(3, 0);
	imp_record_flush();
	assert_int_equal(rename("away", "trace.zst"), 0);
	imp_record_flush(); /* too soon: what fails is not tried again at each event */
	f = trace_load("trace.zst");
	assert_int_equal(trace_count(f, IMP_EV_DLCLOSE), 1);
	trace_free(f);
	imp_record_flush_last();
	f = trace_load("trace.zst");
	assert_int_equal(check_batches(f, getpid()), 0);
	assert_int_equal(trace_count(f, IMP_EV_DLCLOSE), 3);
	assert_int_equal(trace_count(f, IMP_EV_NOTE), 1);
	assert_note(f, 0, IMP_NOTE_WRITE_FAILED, ENOENT);
	trace_free(f);
}

/* Events are lost and counted; the strings that later ones refer to are not. */
static void test_write_fails_for_long(void **state)
{
	const uint64_t all = 9001;
	struct trace_file *f;
	uint64_t lost;
	char text[64], want[64];

	(void)state;
	assert_int_equal(rename("trace.zst", "away"), 0);
	for (uint64_t i = 0; i < all; i++) {
		struct imp_thread *t = imp_thread_enter();
		struct imp_cbor *c = imp_record_begin(t, IMP_EV_DLCLOSE);
		int len = snprintf(text, sizeof(text), "string %u", (unsigned int)(i % 211));

		imp_put_uint(c, IMP_KEY_HANDLE, i);
		imp_put_shared(c, IMP_KEY_TEXT, text, (size_t)len);
		imp_put_bytes(c, IMP_KEY_BUILD_ID, want, 40);
		imp_record_end(t);
		imp_thread_leave(t);
	}
	assert_int_equal(rename("away", "trace.zst"), 0);
	imp_record_flush_last();
	f = trace_load("trace.zst");
	lost = check_batches(f, getpid());
	assert_true(lost > 0);
	assert_int_equal(trace_count(f, IMP_EV_DLCLOSE) + lost, all);
	assert_note(f, 0, IMP_NOTE_WRITE_FAILED, ENOENT);
	for (size_t i = 0; i < f->items; i++) {
		if (trace_kind(f->item[i]) != IMP_EV_DLCLOSE)
			continue;
		assert_true(
			trace_text(f, i, trace_get(f->item[i], IMP_KEY_TEXT), text, sizeof(text)));
		snprintf(want, sizeof(want), "string %u",
			 (unsigned int)(trace_uint(f->item[i], IMP_KEY_HANDLE) % 211));
		assert_string_equal(text, want);
	}
	trace_free(f);
}

/* So many strings that even they have to go: numbers are given anew, none names another string. */
static void test_strings_are_dropped(void **state)
{
	struct trace_file *f;
	char text[64], got[64];
	size_t known = 0;

	(void)state;
	assert_int_equal(rename("trace.zst", "away"), 0);
	for (unsigned int i = 0; i < 12007; i++) {
		struct imp_thread *t = imp_thread_enter();
		struct imp_cbor *c = imp_record_begin(t, IMP_EV_DLCLOSE);
		int len = snprintf(text, sizeof(text), "some string %u", i / 2);

		imp_put_uint(c, IMP_KEY_HANDLE, i / 2);
		imp_put_shared(c, IMP_KEY_TEXT, text, (size_t)len);
		imp_record_end(t);
		imp_thread_leave(t);
	}
	assert_int_equal(rename("away", "trace.zst"), 0);
	imp_record_flush_last();
	f = trace_load("trace.zst");
	assert_int_equal(trace_count(f, IMP_EV_DLCLOSE) + check_batches(f, getpid()), 12007);
	for (size_t i = 0; i < f->items; i++) {
		if (trace_kind(f->item[i]) != IMP_EV_DLCLOSE ||
		    !trace_text(f, i, trace_get(f->item[i], IMP_KEY_TEXT), got, sizeof(got)))
			continue;
		snprintf(text, sizeof(text), "some string %u",
			 (unsigned int)trace_uint(f->item[i], IMP_KEY_HANDLE));
		assert_string_equal(got, text);
		known++;
	}
	assert_true(known > 100);
	assert_true(trace_count(f, IMP_EV_DLCLOSE) - known <= 1);
	trace_free(f);
}

static void test_moved(void **state)
{
	struct trace_file *f;

	(void)state;
	record(1, 0);
	imp_record_flush();
	assert_int_equal(rename("trace.zst", "trace.zst.old"), 0);
	record(2, 0);
	imp_record_flush();
	record(3, 0);
	imp_record_flush();
	f = trace_load("trace.zst.old");
	assert_int_equal(check_batches(f, getpid()), 0);
	assert_int_equal(trace_count(f, IMP_EV_DLCLOSE), 3);
	assert_int_equal(trace_count(f, IMP_EV_NOTE), 1);
	assert_note(f, 0, IMP_NOTE_MOVED, 0);
	trace_free(f);
}

static void test_note(void **state)
{
	struct imp_thread *t = imp_thread_enter();
	struct trace_file *f;
	char text[16];

	(void)state;
	imp_record_note(t, IMP_NOTE_HOOKS_FAILED, -EIO, "why");
	imp_record_note(t, IMP_NOTE_NO_GADGET, 0, NULL);
	imp_thread_leave(t);
	imp_record_flush();
	f = trace_load("trace.zst");
	assert_note(f, 0, IMP_NOTE_HOOKS_FAILED, EIO);
	assert_note(f, 1, IMP_NOTE_NO_GADGET, 0);
	assert_true(trace_text(f, 2, trace_get(f->item[2], IMP_KEY_TEXT), text, sizeof(text)));
	assert_string_equal(text, "why");
	trace_free(f);
}

/* What a process says on stderr when nothing of it can be written: one line, once. */
static size_t complaints(int (*run)(void))
{
	char text[4096];
	int ends[2];
	ssize_t len, total = 0;
	size_t lines = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(ends[1], 2);
		close(ends[0]);
		close(ends[1]);
		_exit(run());
	}
	close(ends[1]);
	while ((len = read(ends[0], text + total, sizeof(text) - (size_t)total)) > 0)
		total += len;
	close(ends[0]);
	wait_for(pid);
	for (ssize_t i = 0; i < total; i++)
		lines += text[i] == '\n';
	if (total)
		assert_memory_equal(text, "imptrace: ", 10);
	return lines;
}

static int fail_from_the_start(void)
{
	static const struct imp_recorder_hooks none;

	unlink("trace.zst");
	imp_recorder_start(&out, imp_now_ns(), &none);
	for (int i = 0; i < 5; i++) {
		record(1, 0);
		imp_record_flush_last();
	}
	return 0;
}

static int fail_later(void)
{
	static const struct imp_recorder_hooks none;

	imp_recorder_start(&out, imp_now_ns(), &none);
	record(1, 0);
	imp_record_flush_last();
	unlink("trace.zst");
	record(1, 0);
	imp_record_flush_last();
	return 0;
}

/* Descriptor 2 may have become the program's own file. */
static int fail_with_another_stderr(void)
{
	static const struct imp_recorder_hooks none;
	struct stat st;

	unlink("trace.zst");
	imp_recorder_start(&out, imp_now_ns(), &none);
	close(2);
	if (open("data", O_RDWR | O_CREAT, 0600) != 2)
		return 1;
	record(1, 0);
	imp_record_flush_last();
	return stat("data", &st) == 0 && st.st_size == 0 ? 0 : 2;
}

static int fail_with_nobody_listening(void)
{
	static const struct imp_recorder_hooks none;
	int ends[2];

	unlink("trace.zst");
	if (pipe(ends) != 0)
		return 1;
	dup2(ends[1], 2);
	close(ends[0]);
	imp_recorder_start(&out, imp_now_ns(), &none);
	record(1, 0);
	imp_record_flush_last(); /* SIGPIPE would end it */
	return 0;
}

static void test_complaints(void **state)
{
	(void)state;
	assert_int_equal(complaints(fail_later), 0);
	end(NULL);
	begin(NULL);
	assert_int_equal(complaints(fail_from_the_start), 1);
	assert_int_equal(complaints(fail_with_another_stderr), 0);
	assert_int_equal(complaints(fail_with_nobody_listening), 0);
}

/* ---- what a process is --------------------------------------------------------------------------- */

static void test_process_event(void **state)
{
	static char lengthy[20000];
	char *argv[] = {"program", "",	    "b\xff", lengthy, lengthy,
			lengthy,   lengthy, lengthy, "last",  NULL};
	static const char *const kept[] = {"PATH=/bin",	     "PYTHONPATH=x",	  "VIRTUAL_ENV=v",
					   "CONDA_PREFIX=c", "LD_LIBRARY_PATH=l", "HOME=h"};
	struct imp_thread *t = imp_thread_enter();
	struct trace_file *f;
	const cbor_item_t *e;
	cbor_item_t *list;
	char text[IMP_TEXT_MAX + 1];

	(void)state;
	memset(lengthy, 'a', sizeof(lengthy) - 1);
	clearenv();
	setenv("SECRET", "s", 1);
	setenv("HOMER", "x", 1);
	setenv("PATHS", "x", 1);
	setenv("VIRTUAL_ENV_PROMPT", "x", 1);
	setenv("XPATH", "x", 1);
	for (size_t i = 0; i < 6; i++)
		putenv((char *)kept[i]);
	imp_process_event_write(t, IMP_START_FIRST, argv);
	imp_process_event_end(t, IMP_END_EXIT, -1);
	imp_thread_leave(t);
	imp_record_flush();
	f = trace_load("trace.zst");
	assert_int_equal(f->items, 4);
	e = f->item[2];
	assert_int_equal(trace_kind(e), IMP_EV_PROCESS);
	assert_int_equal(trace_uint(e, IMP_KEY_HOW), IMP_START_FIRST);
	assert_int_equal(trace_uint(e, IMP_KEY_PPID), getppid());
	assert_null(trace_get(e, IMP_KEY_PARENT_IMAGE_NS));
	assert_true(trace_text(f, 2, trace_get(e, IMP_KEY_EXE), text, sizeof(text)));
	assert_non_null(strstr(text, "/test_recorder"));
	assert_true(trace_text(f, 2, trace_get(e, IMP_KEY_CWD), text, sizeof(text)));
	assert_string_equal(text, home);
	assert_int_equal(trace_uint(e, IMP_KEY_PAGE_SIZE), sysconf(_SC_PAGESIZE));
	assert_int_equal(cbor_get_int(cbor_array_handle(trace_get(e, IMP_KEY_IDS))[0]), getuid());
	list = trace_get(e, IMP_KEY_ARGV);
	assert_int_equal(cbor_array_size(list), 7); /* three, three long ones cut, and the sign */
	assert_true(trace_text(f, 2, cbor_array_handle(list)[2], text, sizeof(text)));
	assert_string_equal(text, "b\xff");
	assert_int_equal(cbor_bytestring_length(cbor_array_handle(list)[3]), IMP_TEXT_MAX);
	assert_true(trace_text(f, 2, cbor_array_handle(list)[6], text, sizeof(text)));
	assert_string_equal(text, IMP_TEXT_CUT);
	list = trace_get(e, IMP_KEY_ENV);
	assert_int_equal(cbor_array_size(list), 6);
	for (size_t i = 0; i < 6; i++) {
		assert_true(trace_text(f, 2, cbor_array_handle(list)[i], text, sizeof(text)));
		assert_string_equal(text, kept[i]);
	}
	e = f->item[3];
	assert_int_equal(trace_kind(e), IMP_EV_PROCESS_END);
	assert_int_equal(trace_uint(e, IMP_KEY_HOW), IMP_END_EXIT);
	assert_int_equal(trace_uint(e, IMP_KEY_CODE), 255);
	trace_free(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_event),
		TEST(test_cancelled),
		TEST(test_texts),
		TEST(test_too_long),
		TEST(test_unbalanced),
		TEST(test_batches),
		TEST(test_errno_is_kept),
		TEST(test_ids),
		TEST(test_threads),
		TEST(test_signals),
		TEST(test_signal_stack),
		TEST(test_fork),
		TEST(test_fork_that_does_nothing),
		TEST(test_bare_clone),
		TEST(test_no_follow),
		TEST(test_write_fails_for_a_while),
		TEST(test_write_fails_for_long),
		TEST(test_strings_are_dropped),
		TEST(test_moved),
		TEST(test_note),
		TEST(test_complaints),
		TEST(test_process_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
