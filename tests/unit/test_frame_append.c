/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "frame_append.h"
#include "frame_writer.h"
#include "trace/frame_reader.h"

#define LEN_MAX 20000
#define PAGE	4096

static uint8_t frame[IMP_FRAME_MAX], content[IMP_BATCH_MAX];

/* A stored frame of @len bytes; its content depends on @mark. */
static size_t make_frame(size_t len, uint8_t mark)
{
	ssize_t made;

	for (size_t i = 0; i < len; i++)
		content[i] = (uint8_t)(mark + i * 7);
	for (size_t size = len - 9;; size--) {
		made = imp_frame_store(frame, sizeof(frame), content, size);
		assert_true(made > 0);
		if ((size_t)made <= len)
			return (size_t)made;
	}
}

static int open_new(const char *name)
{
	int fd;

	unlink(name);
	fd = open(name, O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK, 0600);
	assert_true(fd >= 0);
	return fd;
}

static uint64_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

/* From @at on the file is a row of whole frames; returns how many of them are not skippable. */
static size_t count_frames(int fd, size_t at)
{
	static uint8_t bytes[8 << 20], out[IMP_BATCH_MAX];
	ssize_t len = pread(fd, bytes, sizeof(bytes), 0);
	size_t frames = 0;

	assert_true(len >= 0 && len < (ssize_t)sizeof(bytes));
	while (at < (size_t)len) {
		size_t size = ZSTD_findFrameCompressedSize(bytes + at, (size_t)len - at);

		if (ZSTD_isError(size))
			fail_msg("at %zu of %zd: %s", at, len, ZSTD_getErrorName(size));
		if (bytes[at] == 0x28) {
			assert_false(
				ZSTD_isError(ZSTD_decompress(out, sizeof(out), bytes + at, size)));
			frames++;
		}
		at += size;
	}
	return frames;
}

/* ---- where it begins and ends -------------------------------------------------------------------- */

static void check(size_t before, size_t len)
{
	static uint8_t back[IMP_FRAME_MAX];
	int fd = open_new("one.zst");
	uint64_t at = 0, size;

	/* What stands before it is no frame here: only its length matters. */
	assert_int_equal(ftruncate(fd, (off_t)before), 0);
	len = make_frame(len, 2);
	assert_int_equal(imp_frame_append(fd, before, frame, len, &at), 0);
	assert_int_equal(at, before);
	assert_int_equal(pread(fd, back, len, (off_t)at), len);
	assert_memory_equal(back, frame, len);
	size = size_of(fd);
	if (size != before + len) {
		assert_int_equal(size, before + len + IMP_FRAME_TAIL);
		assert_int_equal(pread(fd, back, 16, (off_t)(before + len)), 16);
		assert_memory_equal(back, "\x50\x2a\x4d\x18\x08\0\0\0\0\0\0\0\0\0\0\0", 16);
	}
	/* The next one has room for a head. */
	assert_true(size % PAGE <= PAGE - 8);
	assert_int_equal(count_frames(fd, before), 1);
	close(fd);
}

/* Wherever it begins on its page, and wherever it ends on another. */
static void test_places(void **state)
{
	static const size_t begins[] = {0, 8, 4000, 4072, 4087, 4088, 4089, 4092, 4095};

	(void)state;
	for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++)
		for (size_t end = PAGE - 25; end <= PAGE + 25; end++)
			for (size_t pages = 0; pages < 3; pages++)
				if (pages * PAGE + end >= begins[i] + 20)
					check(begins[i], pages * PAGE + end - begins[i]);
	for (size_t begin = PAGE - 30; begin < PAGE; begin++) {
		check(begin, 20);
		check(begin, LEN_MAX);
		check(begin, IMP_BATCH_MAX - 8);
	}
}

/* Somebody else appended between the look at the size and the write: it is written all the same. */
static void test_size_is_old(void **state)
{
	int fd = open_new("old.zst");
	size_t len = make_frame(6000, 1);
	uint64_t at = 0;

	(void)state;
	assert_int_equal(imp_frame_append(fd, 0, frame, len, NULL), 0);
	close(fd);
	fd = open("old.zst", O_RDWR | O_APPEND);
	assert_int_equal(imp_frame_append(fd, 17, frame, len, &at), 0);
	assert_int_equal(at, len);
	assert_int_equal(count_frames(fd, 0), 2);
	close(fd);
}

/* ---- cut short, refused -------------------------------------------------------------------------- */

/* @n bytes beyond @before are all that the file may grow by. */
static int append_within(int fd, uint64_t before, size_t len, size_t n)
{
	struct rlimit limit = {.rlim_cur = before + n, .rlim_max = RLIM_INFINITY};
	uint64_t size;
	int ret;

	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	ret = imp_frame_append(fd, size_of(fd), frame, len, NULL);
	close(fd);
	if (ret != (n ? -ENOSPC : -EFBIG))
		return 2;
	/* It does not grow by further tries. */
	fd = open("cut.zst", O_RDWR | O_APPEND | O_NONBLOCK);
	size = size_of(fd);
	for (int i = 0; i < 3; i++)
		if (imp_frame_append(fd, size, frame, len, NULL) >= 0)
			return 3;
	if (size_of(fd) != size || size > before + n)
		return 4;
	limit.rlim_cur = RLIM_INFINITY;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || imp_frame_append(fd, size, frame, len, NULL) != 0)
		return 5;
	return 0;
}

/* Wherever the disk ends, whole frames are what is left, and later ones follow. */
static void test_cut_short(void **state)
{
	size_t len = make_frame(9001, 3), step;

	(void)state;
	for (size_t n = 0; n < len; n += step) {
		int fd = open_new("cut.zst"), status;
		uint64_t before;
		pid_t pid;

		assert_int_equal(imp_frame_append(fd, 0, frame, len, NULL), 0);
		close(fd);
		fd = open("cut.zst", O_RDWR | O_APPEND | O_NONBLOCK);
		before = size_of(fd);
		pid = fork();
		if (!pid)
			_exit(append_within(fd, before, len, n));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status)
			fail_msg("%zu bytes: status %x", n, status);
		assert_int_equal(count_frames(fd, 0), 2);
		close(fd);
		step = (before + n) % PAGE > PAGE - 12 || (before + n) % PAGE < 12 || n < 12 ? 1 :
											       397;
	}
}

struct stop {
	uint32_t number, answer;
	int arg; /* which argument decides; -1: none */
	uint32_t value;
};

/* Returns what imp_frame_append() did in a process of its own, or -1 where it was killed. */
static int append_under(const char *name, size_t len, const struct stop *stop)
{
	const struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, stop->number, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 stop->arg < 0 ?
				 offsetof(struct seccomp_data, nr) :
				 offsetof(struct seccomp_data, args) + 8 * (size_t)stop->arg),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, stop->arg < 0 ? stop->number : stop->value, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, stop->answer),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(filter) / sizeof(*filter),
					   (void *)(uintptr_t)filter};
	pid_t pid = fork();
	int status;

	if (!pid) {
		int fd = open(name, O_RDWR | O_APPEND | O_NONBLOCK);
		uint64_t size = size_of(fd);

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
			_exit(77);
		_exit(-imp_frame_append(fd, size, frame, len, NULL));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return -1;
	}
	if (WEXITSTATUS(status) == 77)
		skip();
	return WEXITSTATUS(status);
}

/* Ended before any of its steps: whole frames are there, and before the last step not this one. */
static void test_ended_between_steps(void **state)
{
	const uint32_t killed = SECCOMP_RET_KILL_PROCESS;
	const struct stop stops[] = {
		{SYS_writev, killed, -1, 0},
		{SYS_lseek, killed, -1, 0},
		{SYS_pread64, killed, -1, 0},
		{SYS_fcntl, killed, -1, 0},
		{SYS_pwrite64, killed, 3, 0},
		{SYS_pwrite64, killed, 3, PAGE},
		{SYS_pwrite64, killed, 3, 2 * PAGE},
		{SYS_pwrite64, killed, 1, (uint32_t)(uintptr_t)frame},
	};
	static const size_t lengths[] = {PAGE + 100, 2 * PAGE - 3, 2 * PAGE + 2, 9000};

	(void)state;
	for (size_t i = 0; i < sizeof(stops) / sizeof(*stops); i++)
		for (size_t k = 0; k < sizeof(lengths) / sizeof(*lengths); k++) {
			size_t len = make_frame(lengths[k], (uint8_t)i);
			int fd = open_new("ended.zst"),
			    ret = append_under("ended.zst", len, &stops[i]);

			/* The shortest one has no third page. */
			assert_int_equal(ret, stops[i].value == 2 * PAGE && !k ? 0 : -1);
			assert_int_equal(count_frames(fd, 0), ret == 0);
			close(fd);
		}
}

/* A filter that refuses one of the steps: it is written as far as that can be done without. */
static void test_refused(void **state)
{
	const uint32_t refused = SECCOMP_RET_ERRNO | EPERM;
	static const struct {
		uint32_t number, value;
		int arg;
		bool written;
	} cases[] = {
		{SYS_writev, 0, -1, true},	{SYS_lseek, 0, -1, true},
		{SYS_fcntl, 0, -1, true},	{SYS_pwrite64, 0, -1, true},
		{SYS_pwrite64, PAGE, 3, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct stop stop = {cases[i].number, refused, cases[i].arg, cases[i].value};
		size_t len = make_frame(9000, (uint8_t)i);
		int fd = open_new("refused.zst"), ret = append_under("refused.zst", len, &stop);

		assert_int_equal(ret, cases[i].written ? 0 : EPERM);
		assert_int_equal(count_frames(fd, 0), cases[i].written);
		assert_true(size_of(fd) <= 2 * (len + IMP_FRAME_TAIL));
		close(fd);
	}
}

/* ---- others, and SIGKILL ------------------------------------------------------------------------- */

static void append_for_ever(const char *name, unsigned int n)
{
	static const size_t lengths[] = {41, 703, 3001, 8192, 9005, 4090, 30011};

	for (;; n++) {
		size_t len = make_frame(lengths[n % 7], (uint8_t)n);
		int own = open(name, O_RDWR | O_APPEND | O_NONBLOCK);
		uint64_t size = size_of(own);

		if (size > 1 << 20)
			pause();
		imp_frame_append(own, size, frame, len, NULL);
		close(own);
	}
}

static void test_killed(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);

	(void)state;
	for (unsigned int i = 0; i < 300; i++) {
		struct timespec wait = {.tv_nsec = rand_r(&seed) % 2000000};
		int fd = open_new("killed.zst"), status;
		pid_t pid = fork();

		if (!pid)
			append_for_ever("killed.zst", i);
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		count_frames(fd, 0);
		close(fd);
	}
}

/*
 * Several append; meanwhile the analyzer's reader finds nothing damaged. But the last frame may be on its way: where
 * another process was faster, its parts do not end at the edges.
 */
static void test_others_append(void **state)
{
	int fd = open_new("many.zst"), ended = 0;
	struct imp_frame_reader r;
	struct imp_zframe f;
	pid_t pids[3];

	(void)state;
	for (int k = 0; k < 3; k++) {
		pids[k] = fork();
		if (pids[k])
			continue;
		for (unsigned int n = 0; n < 100; n++) {
			size_t len = make_frame(40 + n * 97, (uint8_t)n);
			int own = open("many.zst", O_RDWR | O_APPEND | O_NONBLOCK);

			if (imp_frame_append(own, size_of(own), frame, len, NULL))
				_exit(1);
			close(own);
		}
		_exit(0);
	}
	while (ended < 3) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		assert_true(pid >= 0);
		if (pid > 0) {
			assert_int_equal(status, 0);
			ended++;
		}
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(imp_frame_reader_open(&r, fd, NULL), 0);
		do {
			assert_int_equal(imp_frame_reader_next(&r, &f, NULL), 0);
			if (f.kind == IMP_FRAME_DAMAGED && !f.cut)
				fail_msg("%zu bytes at %zu: %s", (size_t)f.size, (size_t)f.offset,
					 f.why);
		} while (f.kind != IMP_FRAME_END);
		imp_frame_reader_close(&r);
	}
	assert_int_equal(count_frames(fd, 0), 300);
	close(fd);
}

static char home[] = "/tmp/imptrace-append-XXXXXX";

static int begin(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(home));
	return chdir(home);
}

static int end(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", home);
	return chdir("/") || system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),	      cmocka_unit_test(test_size_is_old),
		cmocka_unit_test(test_cut_short),     cmocka_unit_test(test_ended_between_steps),
		cmocka_unit_test(test_refused),	      cmocka_unit_test(test_killed),
		cmocka_unit_test(test_others_append),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
