/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "recorder_run.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_event),	  TEST(test_cancelled),	 TEST(test_texts),
		TEST(test_too_long),	  TEST(test_unbalanced), TEST(test_batches),
		TEST(test_errno_is_kept), TEST(test_ids),	 TEST(test_process_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
