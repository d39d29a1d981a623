/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recorder that runs, and its trace in a directory of its own. Included by one test program each. */
#ifndef RECORDER_RUN_H
#define RECORDER_RUN_H

#include <sys/wait.h>

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

static inline int begin(void **state)
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

static inline int end(void **state)
{
	char command[64];

	(void)state;
	imp_recorder_stop();
	assert_int_equal(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", home);
	return system(command);
}

/* An event that says @value, with so many bytes of ballast. */
static inline bool record(uint64_t value, size_t ballast)
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
static inline uint64_t check_batches(const struct trace_file *f, pid_t pid)
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

static inline void wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
