/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file_window.h"

#define AT  5003 /* on no page's edge */
#define LEN 9001

static struct imp_file_window window;
static int fd;

static int begin(void **state)
{
	(void)state;
	fd = memfd_create("window", 0);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, AT + LEN), 0);
	assert_int_equal(imp_file_window_open(&window, fd, AT, LEN), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	imp_file_window_close(&window);
	assert_null(window.pages);
	return close(fd);
}

static void expect(off_t at, const char *text)
{
	char bytes[64];
	size_t len = strlen(text);

	assert_int_equal(pread(fd, bytes, len, at), len);
	assert_memory_equal(bytes, text, len);
}

static bool is_mapped(const void *address)
{
	unsigned char resident;

	return mincore((void *)((uintptr_t)address & ~(uintptr_t)4095), 1, &resident) == 0;
}

/* From the first byte to the last, and none beside them. */
static void test_put(void **state)
{
	static const char zeros[AT];
	char bytes[AT];

	(void)state;
	assert_int_equal(imp_file_window_put(&window, 0, "first", 5), 0);
	assert_int_equal(imp_file_window_put(&window, LEN - 4, "last", 4), 0);
	expect(AT, "first");
	expect(AT + LEN - 4, "last");
	assert_int_equal(pread(fd, bytes, AT, 0), AT);
	assert_memory_equal(bytes, zeros, AT);
	assert_int_equal(lseek(fd, 0, SEEK_END), AT + LEN);
}

static void test_survives_its_process(void **state)
{
	struct imp_file_window own;
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		if (imp_file_window_open(&own, fd, AT, LEN) == 0)
			imp_file_window_put(&own, 17, "killed", 6);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	expect(AT + 17, "killed");
}

static void test_child_has_none(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(is_mapped(window.pages) ? 1 : 17);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 17);
	assert_true(is_mapped(window.pages));
}

/* To write there would be SIGBUS. */
static void test_file_is_cut(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(imp_file_window_put(&window, 0, "first", 5), -EFAULT);
	assert_int_equal(ftruncate(fd, AT + LEN), 0);
	assert_int_equal(imp_file_window_put(&window, 0, "again", 5), 0);
	expect(AT, "again");
}

static int fill_the_disk(void)
{
	struct imp_file_window own;
	static char bytes[65536];
	int hole, ret;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/mnt", "tmpfs", 0, "size=64k") < 0)
		return 77;
	hole = open("/mnt/hole", O_RDWR | O_CREAT, 0600);
	if (hole < 0 || ftruncate(hole, LEN) < 0 || imp_file_window_open(&own, hole, 0, LEN) < 0)
		return 1;
	fd = open("/mnt/filler", O_RDWR | O_CREAT, 0600);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	ret = imp_file_window_put(&own, 0, "first", 5);
	return ret == -EFAULT ? 0 : 2;
}

static void test_disk_is_full(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(fill_the_disk());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static int live_under_a_filter(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {1, &allow};
	struct imp_file_window own;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return 77;
	return imp_file_window_open(&own, fd, AT, LEN) == -EPERM && !own.pages ? 0 : 1;
}

static void test_seccomp_filter(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(live_under_a_filter());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void test_cannot_be_mapped(void **state)
{
	struct imp_file_window none;
	int proc = open("/proc/self/comm", O_RDWR);

	(void)state;
	assert_true(proc >= 0);
	errno = 4711;
	assert_int_equal(imp_file_window_open(&none, proc, 0, LEN), -ENODEV);
	assert_int_equal(imp_file_window_open(&none, -1, 0, LEN), -EBADF);
	assert_int_equal(errno, 4711);
	assert_null(none.pages);
	imp_file_window_close(&none);
	close(proc);
}

static void test_closed(void **state)
{
	const uint8_t *pages = window.pages;

	(void)state;
	assert_true(is_mapped(pages));
	imp_file_window_close(&window);
	assert_false(is_mapped(pages));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_put, begin, end),
		cmocka_unit_test_setup_teardown(test_survives_its_process, begin, end),
		cmocka_unit_test_setup_teardown(test_child_has_none, begin, end),
		cmocka_unit_test_setup_teardown(test_file_is_cut, begin, end),
		cmocka_unit_test_setup_teardown(test_disk_is_full, begin, end),
		cmocka_unit_test_setup_teardown(test_seccomp_filter, begin, end),
		cmocka_unit_test_setup_teardown(test_cannot_be_mapped, begin, end),
		cmocka_unit_test_setup_teardown(test_closed, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
