/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The recorder and the reader, which never meet elsewhere, both have a struct of this name. */
#define imp_attempt imp_recorder_attempt
#include "journal.h"
#include "output.h"
#include "recorder.h"
#undef imp_attempt
#include "trace_maker.h"

#include "trace/trace_reader.h"

#define EVENTS_MAX 4096

static char home[] = "/tmp/imptrace-journal-XXXXXX";
static struct imp_output out;

/* What the reader makes of a trace. */
static struct {
	uint64_t handle[EVENTS_MAX]; /* of the DLCLOSE events, in order */
	pid_t pid[EVENTS_MAX];
	size_t n;
	uint64_t lost;	 /* of the last image */
	char first[256]; /* first damage */
	size_t damages;
} got;

static void read_fd(int fd)
{
	static struct imp_event ev;
	struct imp_strings damage = {0};
	struct imp_arena arena = {0};
	struct imp_trace_reader t;
	struct imp_error err = {0};
	int ret;

	memset(&got, 0, sizeof(got));
	assert_int_equal(imp_trace_open(&t, fd, "t", &arena, &damage, &err), 0);
	while ((ret = imp_trace_next(&t, &ev, &err)) > 0) {
		if (ev.kind != IMP_EV_DLCLOSE)
			continue;
		assert_true(got.n < EVENTS_MAX);
		got.handle[got.n] = imp_event_uint(&ev, IMP_KEY_HANDLE, 0);
		got.pid[got.n++] = ev.image->pid;
	}
	assert_int_equal(ret, 0);
	imp_trace_finish(&t);
	if (t.images.n)
		got.lost = t.images.v[t.images.n - 1]->lost;
	got.damages = damage.n;
	if (damage.n)
		snprintf(got.first, sizeof(got.first), "%s", damage.v[0]);
	imp_trace_close(&t);
	imp_arena_clear(&arena);
	close(fd);
}

static void read_trace(const char *path)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	read_fd(fd);
	assert_int_equal(system("zstd -tq trace.zst*"), 0);
}

/* The events are @first to @last, each once, in order; nothing is damaged. */
static void expect(uint64_t first, uint64_t last)
{
	if (got.damages)
		fail_msg("%s", got.first);
	assert_int_equal(got.n, last - first + 1);
	for (size_t i = 0; i < got.n; i++)
		assert_int_equal(got.handle[i], first + i);
}

/* Frames and slots of the file. */
static void count(const char *path, size_t *frames, size_t *slots)
{
	static uint8_t bytes[1 << 20];
	int fd = open(path, O_RDONLY);
	ssize_t len = read(fd, bytes, sizeof(bytes)), at = 0;

	*frames = *slots = 0;
	assert_true(len > 0 && len < (ssize_t)sizeof(bytes));
	close(fd);
	while (at < len) {
		size_t size = ZSTD_findFrameCompressedSize(bytes + at, (size_t)(len - at));

		assert_false(ZSTD_isError(size));
		if (bytes[at] == (IMP_JOURNAL_FRAME & 0xff)) {
			assert_int_equal(size, IMP_JOURNAL_SIZE);
			++*slots;
		} else if (bytes[at] == 0x28) {
			++*frames;
		}
		at += (ssize_t)size;
	}
}

static void expect_frames(size_t want_frames, size_t want_slots)
{
	size_t frames, slots;

	count("trace.zst", &frames, &slots);
	assert_int_equal(frames, want_frames + 1); /* the header */
	assert_int_equal(slots, want_slots);
}

static void start(void)
{
	static const struct imp_recorder_hooks hooks;

	assert_int_equal(imp_recorder_start(&out, imp_now_ns(), &hooks), 0);
	imp_recorder_stay_quiet();
}

static int begin(void **state)
{
	const char *why;

	(void)state;
	memset(&out, 0, sizeof(out));
	strcpy(strrchr(home, '-'), "-XXXXXX");
	assert_non_null(mkdtemp(home));
	assert_int_equal(chdir(home), 0);
	assert_int_equal(imp_output_set_path(&out, "trace.zst"), 0);
	assert_int_equal(imp_output_create(&out, &why), 0);
	start();
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

static void record(uint64_t value, size_t ballast)
{
	static const char zeros[IMP_ITEM_MAX];
	struct imp_thread *t = imp_thread_enter();
	struct imp_cbor *c;

	assert_non_null(t);
	c = imp_record_begin(t, IMP_EV_DLCLOSE);
	imp_put_uint(c, IMP_KEY_HANDLE, value);
	if (ballast)
		imp_put_bytes(c, IMP_KEY_BUILD_ID, zeros, ballast);
	imp_record_end(t);
	imp_thread_leave(t);
}

static int wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* ---- the recorder -------------------------------------------------------------------------------- */

/* _exit() past the interposer, and SIGKILL: what came before the journal is there, what came after is not. */
static void test_crash(void **state)
{
	(void)state;
	for (int how = 0; how < 2; how++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			imp_recorder_fork_child();
			record(1, 0);
			record(2, 100);
			imp_record_journal();
			record(3, 0);
			imp_record_journal();
			record(99, 0);
			if (how)
				raise(SIGKILL);
			syscall(SYS_exit_group, 17);
		}
		status = wait_for(pid);
		assert_true(how ? WIFSIGNALED(status) : WEXITSTATUS(status) == 17);
		read_trace("trace.zst");
		assert_int_equal(got.n, how ? 6 : 3);
		assert_int_equal(got.damages, 0);
		assert_int_equal(got.handle[got.n - 1], 3);
		assert_int_equal(got.pid[got.n - 1], pid);
		expect_frames(0, (size_t)how + 1);
	}
}

/* A process that has nothing to protect makes no slot. */
static void test_none(void **state)
{
	(void)state;
	imp_record_journal();
	record(1, 0);
	imp_record_flush();
	imp_record_journal();
	read_trace("trace.zst");
	expect(1, 1);
	expect_frames(1, 0);
}

static void test_superseded(void **state)
{
	(void)state;
	record(1, 0);
	imp_record_journal();
	record(2, 0);
	imp_record_journal();
	read_trace("trace.zst");
	expect(1, 2);
	expect_frames(0, 1);
	imp_record_flush();
	read_trace("trace.zst");
	expect(1, 2);
	expect_frames(1, 1);
	record(3, 0);
	imp_record_journal();
	read_trace("trace.zst");
	expect(1, 3); /* the slot stands before the frame */
	record(4, 0);
	imp_record_flush();
	record(5, 0);
	imp_record_flush();
	read_trace("trace.zst");
	expect(1, 5);
	expect_frames(3, 1);
}

/* Every record is shorter than the ones before it in the same place: what is left behind them means nothing. */
static void test_shorter(void **state)
{
	uint64_t value = 1;

	(void)state;
	for (size_t ballast = 3000; ballast; ballast -= 500) {
		record(value++, ballast);
		imp_record_journal();
		record(value++, ballast);
		imp_record_journal();
		read_trace("trace.zst");
		expect(1, value - 1);
		imp_record_flush();
	}
	expect_frames(6, 1);
}

static void test_oversize(void **state)
{
	(void)state;
	record(1, IMP_JOURNAL_SIZE);
	imp_record_journal();
	read_trace("trace.zst");
	expect(1, 1);
	expect_frames(1, 0);
	record(2, 0);
	imp_record_journal();
	expect_frames(1, 1);
	record(3, IMP_JOURNAL_SIZE - 50);
	imp_record_journal();
	read_trace("trace.zst");
	expect(1, 3);
	expect_frames(2, 1);
	record(4, 0);
	imp_record_journal();
	read_trace("trace.zst");
	expect(1, 4);
	expect_frames(2, 1);
}

/* The last byte of the slot can be used, and none behind it. */
static void test_edge(void **state)
{
	size_t flushed = 0;
	uint64_t value = 1;

	(void)state;
	record(value, 0);
	imp_record_journal();
	imp_record_flush();
	for (size_t ballast = IMP_JOURNAL_SIZE - 160; ballast < IMP_JOURNAL_SIZE; ballast++) {
		size_t before, after, slots;

		count("trace.zst", &before, &slots);
		record(++value, ballast);
		imp_record_journal();
		count("trace.zst", &after, &slots);
		assert_int_equal(slots, 1);
		flushed += after - before;
		assert_int_equal(after - before, flushed ? 1 : 0);
		if (ballast % 16 == 0) {
			read_trace("trace.zst");
			expect(1, value);
		}
		imp_record_flush();
	}
	assert_true(flushed > 0 && flushed < 160);
}

/* Where nothing is new, nothing is written. */
static void test_unchanged(void **state)
{
	static const uint8_t junk[4] = "junk";
	int fd;

	(void)state;
	record(1, 0);
	imp_record_journal();
	fd = open("trace.zst", O_RDWR);
	assert_int_equal(pwrite(fd, junk, 4, lseek(fd, 0, SEEK_END) - IMP_JOURNAL_PAYLOAD + 30), 4);
	close(fd);
	imp_record_journal();
	read_trace("trace.zst");
	assert_int_equal(got.n, 0);
	assert_int_equal(got.damages, 0);
	imp_record_flush();
	read_trace("trace.zst");
	expect(1, 1);
}

/* A write that was cut off takes away nothing that was there before it. */
static void test_torn(void **state)
{
	static uint8_t bytes[65536];
	size_t last = 0;
	ssize_t len;
	int fd;

	(void)state;
	for (uint64_t value = 1; value <= 7; value++) {
		record(value, 20);
		imp_record_journal();
	}
	fd = open("trace.zst", O_RDONLY);
	len = read(fd, bytes, sizeof(bytes));
	close(fd);
	for (ssize_t cut = len; cut >= len - IMP_JOURNAL_PAYLOAD; cut--) {
		if (cut < len)
			bytes[cut] ^= 0xff;
		if (cut > len - IMP_JOURNAL_PAYLOAD + 600 && cut < len)
			continue;
		read_fd(bytes_fd(bytes, (size_t)len));
		if (cut == len)
			last = 7;
		assert_true(got.n <= last);
		last = got.n;
		if (last)
			expect(1, last);
		assert_int_equal(got.damages, 0);
	}
	assert_int_equal(last, 0);
}

static void test_limit(void **state)
{
	struct rlimit limit, small;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){1000, limit.rlim_max};
	record(1, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	imp_record_journal(); /* no SIGXFSZ */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	expect_frames(0, 0);
	usleep(60000);
	imp_record_journal();
	read_trace("trace.zst");
	expect(1, 1);
	/* The slot lies before this limit, and behind the next one. */
	record(2, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	imp_record_journal();
	record(3, 0);
	small.rlim_cur = 40;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	imp_record_journal();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	read_trace("trace.zst");
	expect(1, 2);
	imp_record_flush();
	read_trace("trace.zst");
	expect(1, 3);
}

/* In a child with a file system of its own, since it needs a full one. */
static int fill_the_disk(void)
{
	size_t frames, slots;
	const char *why;
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir("disk", 0700) < 0 || mount("none", "disk", "tmpfs", 0, "size=64k") < 0 ||
	    chdir("disk") < 0)
		return 77;
	memset(&out, 0, sizeof(out));
	if (imp_output_set_path(&out, "trace.zst") < 0 || imp_output_create(&out, &why) < 0)
		return 1;
	start();
	fd = open("filler", O_WRONLY | O_CREAT, 0600);
	while (write(fd, home, sizeof(home)) > 0)
		;
	record(1, 0);
	imp_record_journal();
	if (system("zstd -tq trace.zst") != 0 || ftruncate(fd, 0) < 0)
		return 2;
	usleep(60000);
	record(2, 0);
	imp_record_journal();
	count("trace.zst", &frames, &slots);
	if (slots != 1)
		return 3;
	read_trace("trace.zst");
	return got.n == 2 && !got.lost && !got.damages ? 0 : 4;
}

static void test_full_disk(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid)
		_exit(fill_the_disk());
	status = wait_for(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

/* Another run has moved the trace away, or somebody has put another file in its place. */
static void test_moved(void **state)
{
	int fd;

	(void)state;
	record(1, 0);
	imp_record_journal();
	assert_int_equal(rename("trace.zst", "trace.zst.old"), 0);
	record(2, 0);
	imp_record_journal();
	read_trace("trace.zst.old");
	expect(1, 2);
	assert_int_equal(rename("trace.zst.old", "elsewhere"), 0);
	assert_int_equal(system("head -c 20000 /dev/zero >trace.zst.old; cp trace.zst.old same"), 0);
	record(3, 0);
	imp_record_journal();
	assert_int_equal(system("cmp -s trace.zst.old same"), 0);
	assert_int_equal(rename("elsewhere", "trace.zst"), 0);
	/* Cut off: the slot's place is no longer in the file. */
	fd = open("trace.zst", O_RDWR);
	assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - 6000), 0);
	usleep(60000);
	record(4, 6500);
	imp_record_journal();
	assert_true(lseek(fd, 0, SEEK_END) < 3000);
	close(fd);
}

/* Both append and write into their slots, and are killed; the parent has a slot, too. */
static void test_two_processes(void **state)
{
	pid_t child[2];
	uint64_t last[2] = {0};

	(void)state;
	record(5, 0);
	imp_record_journal();
	for (int i = 0; i < 2; i++) {
		imp_recorder_fork_prepare();
		child[i] = fork();
		if (child[i]) {
			imp_recorder_fork_parent();
			continue;
		}
		imp_recorder_fork_child();
		for (uint64_t value = 1; value <= 200; value++) {
			record(value, value % 7 * 100);
			imp_record_journal();
			if (value % 17 == 0)
				imp_record_flush();
		}
		raise(SIGKILL);
	}
	for (int i = 0; i < 2; i++)
		assert_true(WIFSIGNALED(wait_for(child[i])));
	read_trace("trace.zst");
	assert_int_equal(got.damages, 0);
	assert_int_equal(got.n, 401);
	for (size_t i = 0; i < got.n; i++) {
		int who = got.pid[i] == child[1];

		if (got.pid[i] != getpid())
			assert_int_equal(got.handle[i], ++last[who]);
	}
	assert_int_equal(last[0], 200);
	assert_int_equal(last[1], 200);
}

static void test_errno(void **state)
{
	(void)state;
	record(1, 0);
	errno = 4711;
	imp_record_journal();
	assert_int_equal(errno, 4711);
	assert_int_equal(unlink("trace.zst"), 0);
	record(2, 0);
	imp_record_journal();
	assert_int_equal(errno, 4711);
}

/* Events that were lost since are told with what is there: the head is written anew. */
static void test_lost(void **state)
{
	struct imp_thread *t;

	(void)state;
	record(1, 0);
	imp_record_journal();
	t = imp_thread_enter();
	imp_record_begin(t, IMP_EV_DLCLOSE);
	for (int i = 0; i < 20; i++)
		imp_put_bytes(&t->cbor, IMP_KEY_TEXT, home, 0);
	imp_cbor_map_begin(&t->cbor); /* not closed: the event is no good */
	imp_record_end(t);
	imp_thread_leave(t);
	record(2, 0);
	imp_record_journal();
	read_trace("trace.zst");
	expect(1, 2);
	assert_int_equal(got.lost, 1);
}

/* ---- the reader ---------------------------------------------------------------------------------- */

/* The frame that maker_batch() began, with its events, as a slot that nobody has superseded yet. */
static void end_slot(struct maker *m)
{
	static uint8_t buffer[IMP_JOURNAL_BUFFER];
	static struct imp_batch b;
	struct imp_journal j = {0};
	struct imp_output to;
	const char *why;
	int fd;

	imp_batch_clear(&b);
	assert_true(imp_batch_add(&b, m->plain, m->c.len));
	memset(&to, 0, sizeof(to));
	unlink("slot.zst");
	assert_int_equal(imp_output_set_path(&to, "slot.zst"), 0);
	assert_int_equal(imp_output_create(&to, &why), 0);
	assert_int_equal(imp_journal_write(&j, &to, &b, NULL, 0, 0, buffer), 0);
	fd = open("slot.zst", O_RDONLY);
	assert_int_equal(pread(fd, m->file + m->len, IMP_JOURNAL_SIZE,
			       lseek(fd, 0, SEEK_END) - IMP_JOURNAL_SIZE),
			 IMP_JOURNAL_SIZE);
	close(fd);
	m->len += IMP_JOURNAL_SIZE;
}

static void put(struct maker *m, uint64_t value)
{
	event_begin(&m->c, IMP_EV_DLCLOSE, 5);
	put_uint(&m->c, IMP_KEY_HANDLE, value);
	event_end(&m->c);
}

static void batch(struct maker *m, uint64_t pid, uint64_t seq, uint64_t value, bool slot)
{
	maker_batch(m, pid, 1000, seq, 0);
	put(m, value);
	if (slot)
		end_slot(m);
	else
		maker_end(m, 0);
}

static void test_order(void **state)
{
	struct maker *m = maker_new();

	(void)state;
	maker_header(m, 7);
	batch(m, 7, 2, 3, true); /* as it was written last */
	batch(m, 9, 0, 99, true);
	batch(m, 7, 0, 1, false);
	batch(m, 9, 0, 4, false);
	batch(m, 7, 1, 2, false);
	read_fd(maker_fd(m));
	assert_int_equal(got.damages, 0);
	assert_int_equal(got.n, 4);
	assert_int_equal(got.handle[0], 1);
	assert_int_equal(got.handle[1], 4);
	assert_int_equal(got.handle[2], 2);
	assert_int_equal(got.handle[3], 3);
	free(m);
}

/* Frames between are missing: what the slot holds is good, and the gap is told. */
static void test_gap(void **state)
{
	struct maker *m = maker_new();

	(void)state;
	maker_header(m, 7);
	batch(m, 7, 0, 1, false);
	batch(m, 7, 3, 2, true);
	read_fd(maker_fd(m));
	assert_int_equal(got.n, 2);
	assert_int_equal(got.damages, 1);
	assert_string_equal(got.first, "2 batches lost between seq 0 and 3 of process 7");
	free(m);
}

static void test_two_slots(void **state)
{
	struct maker *m = maker_new();

	(void)state;
	maker_header(m, 7);
	batch(m, 7, 0, 1, true);
	batch(m, 7, 0, 2, true);
	read_fd(maker_fd(m));
	assert_int_equal(got.damages, 0);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.handle[0], 2);
	free(m);
}

/* Whatever a slot's bytes are, nothing is said, and the frames around it are read. */
static void test_hostile(void **state)
{
	struct maker *m = maker_new();
	uint8_t *slot;

	(void)state;
	maker_header(m, 7);
	slot = m->file + m->len;
	batch(m, 7, 1, 2, true);
	batch(m, 7, 0, 1, false);
	for (size_t i = IMP_JOURNAL_HEAD; i < 90; i++) {
		for (int bit = 0; bit < 8; bit++) {
			slot[i] ^= (uint8_t)(1 << bit);
			read_fd(maker_fd(m));
			expect(1, 1);
			slot[i] ^= (uint8_t)(1 << bit);
		}
		if (i == IMP_JOURNAL_HEAD + 8 + IMP_JOURNAL_RECORD + 20)
			break; /* behind it come the record's last bytes */
	}
	read_fd(maker_fd(m));
	expect(1, 2);
	memset(slot + IMP_JOURNAL_HEAD + 8, 0xff, 4);
	read_fd(maker_fd(m));
	expect(1, 1);
	free(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_crash),     TEST(test_none),	  TEST(test_superseded),
		TEST(test_shorter),   TEST(test_edge),	  TEST(test_oversize),
		TEST(test_unchanged), TEST(test_torn),	  TEST(test_limit),
		TEST(test_full_disk), TEST(test_moved),	  TEST(test_two_processes),
		TEST(test_errno),     TEST(test_lost),	  TEST(test_order),
		TEST(test_gap),	      TEST(test_hostile), TEST(test_two_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
