/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the audit object hands over: what it kept until there was a recorder, and what comes then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <link.h>

#include "trace_file.h"

#include "audit_events.h"
#include "audit_link.h"
#include "output.h"
#include "recorder.h"

extern struct imp_audit_link *IMP_AUDIT_POINTER;

static char home[] = "/tmp/imptrace-audit-XXXXXX";
static struct imp_audit_link to_recorder;

static int begin(void **state)
{
	static const struct imp_recorder_hooks hooks;
	static struct imp_output out;
	const char *why;

	(void)state;
	memset(&out, 0, sizeof(out));
	memset(&to_recorder, 0, sizeof(to_recorder));
	IMP_AUDIT_POINTER = &to_recorder;
	strcpy(strrchr(home, '-'), "-XXXXXX");
	assert_non_null(mkdtemp(home));
	assert_int_equal(chdir(home), 0);
	assert_int_equal(imp_output_set_path(&out, "trace.zst"), 0);
	assert_int_equal(imp_output_create(&out, &why), 0);
	assert_int_equal(imp_recorder_start(&out, imp_now_ns(), &hooks), 0);
	imp_recorder_stay_quiet();
	return 0;
}

static int end(void **state)
{
	char command[64];

	(void)state;
	imp_recorder_stop();
	IMP_AUDIT_POINTER = NULL;
	assert_int_equal(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", home);
	return system(command);
}

static void start(void)
{
	struct imp_thread *t = imp_thread_enter();

	assert_non_null(t);
	imp_audit_events_start(t);
	imp_thread_leave(t);
}

/* As the audit object does it. */
static void keep(enum imp_event_kind kind, uint32_t flag, const char *path, const char *requester)
{
	struct imp_audit_kept *to = (struct imp_audit_kept *)(to_recorder.kept + to_recorder.used);

	to->kind = kind;
	to->flag = flag;
	to->requester = (uint32_t)strlen(path) + 1;
	to->name_space = 0;
	memcpy(to->texts, path, strlen(path) + 1);
	memcpy(to->texts + to->requester, requester, strlen(requester) + 1);
	to->size = (uint32_t)((sizeof(*to) + strlen(path) + strlen(requester) + 2 + 7) & ~(size_t)7);
	to_recorder.used += to->size;
}

static void test_kept_and_live(void **state)
{
	const struct imp_audit_event live = {.kind = IMP_EV_SEARCH_PATH,
					     .flag = LA_SER_ORIG,
					     .path = "liblive.so",
					     .requester = "/a/b.so"};
	const struct imp_audit_event elsewhere = {
		.kind = IMP_EV_SEARCH_OPEN, .name_space = 3, .path = "/n/x.so", .requester = ""};
	const cbor_item_t *e;
	struct trace_file *f;

	(void)state;
	keep(IMP_EV_SEARCH_PATH, LA_SER_ORIG, "libkept.so", "");
	keep(IMP_EV_SEARCH_PATH, LA_SER_CONFIG, "/lib/libkept.so", "");
	keep(IMP_EV_SEARCH_OPEN, 0, "/lib/libkept.so", "");
	to_recorder.lost = 13;
	start();
	assert_non_null(to_recorder.handler);
	to_recorder.handler(&live);
	to_recorder.handler(&elsewhere);
	imp_record_flush();
	f = trace_load("trace.zst");
	assert_int_equal(trace_count(f, IMP_EV_SEARCH_PATH), 3);
	assert_int_equal(trace_count(f, IMP_EV_SEARCH_OPEN), 2);
	assert_int_equal(trace_count(f, IMP_EV_BATCH), 1);
	e = trace_find(f, IMP_EV_SEARCH_PATH, 0);
	assert_int_equal(trace_uint(e, IMP_KEY_FLAGS), LA_SER_ORIG);
	assert_null(trace_get(e, IMP_KEY_REQUESTER));
	e = trace_find(f, IMP_EV_SEARCH_PATH, 1);
	assert_int_equal(trace_uint(e, IMP_KEY_FLAGS), LA_SER_CONFIG);
	e = trace_find(f, IMP_EV_SEARCH_PATH, 2);
	assert_non_null(trace_get(e, IMP_KEY_REQUESTER));
	e = trace_find(f, IMP_EV_SEARCH_OPEN, 0);
	assert_null(trace_get(e, IMP_KEY_NAMESPACE));
	assert_null(trace_get(e, IMP_KEY_FLAGS));
	e = trace_find(f, IMP_EV_SEARCH_OPEN, 1);
	assert_int_equal(trace_uint(e, IMP_KEY_NAMESPACE), 3);
	e = trace_find(f, IMP_EV_BATCH, 0);
	assert_int_equal(trace_uint(e, IMP_KEY_LOST), 13);
	trace_free(f);
}

/* While the recorder itself is at work, what is searched is for it. */
static void test_our_own(void **state)
{
	const struct imp_audit_event ours = {.kind = IMP_EV_SEARCH_PATH,
					     .flag = LA_SER_ORIG,
					     .path = "libunwind.so.8",
					     .requester = ""};
	struct imp_thread *t;
	struct trace_file *f;

	(void)state;
	start();
	to_recorder.handler(&ours);
	t = imp_thread_enter();
	assert_non_null(t);
	to_recorder.handler(&ours);
	imp_thread_leave(t);
	imp_record_flush();
	f = trace_load("trace.zst");
	assert_int_equal(trace_count(f, IMP_EV_SEARCH_PATH), 1);
	trace_free(f);
}

static void test_refused(void **state)
{
	const struct imp_audit_event event = {
		.kind = IMP_EV_SEARCH_PATH, .flag = LA_SER_ORIG, .path = "libx.so", .requester = ""};

	(void)state;
	imp_audit_events_refuse();
	assert_non_null(to_recorder.handler);
	to_recorder.handler(&event);
	IMP_AUDIT_POINTER = NULL;
	imp_audit_events_refuse();
	start();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept_and_live, begin, end),
		cmocka_unit_test_setup_teardown(test_our_own, begin, end),
		cmocka_unit_test_setup_teardown(test_refused, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
