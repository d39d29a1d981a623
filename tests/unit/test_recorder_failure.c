/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "recorder_run.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_write_fails_for_a_while),
		TEST(test_write_fails_for_long),
		TEST(test_strings_are_dropped),
		TEST(test_moved),
		TEST(test_note),
		TEST(test_complaints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
