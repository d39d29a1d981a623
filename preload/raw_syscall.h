/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_RAW_SYSCALL_H
#define IMP_PRELOAD_RAW_SYSCALL_H

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/*
 * System calls without what libc puts around them. libc's open(), write(), close() and nanosleep() are
 * cancellation points: a thread with a pending pthread_cancel() would be unwound out of the middle of
 * ours, with our lock held. Another preloaded object may also have its own idea of them.
 *
 * All return the result or a negative errno, and leave errno alone.
 */
static inline long imp_sys(long number, long a, long b, long c, long d, long e)
{
	int saved = errno;
	long ret = syscall(number, a, b, c, d, e);

	if (ret == -1) {
		ret = -errno;
		errno = saved;
	}
	return ret;
}

static inline int imp_sys_open(const char *path, int flags, mode_t mode)
{
	return (int)imp_sys(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC | O_NOCTTY, mode, 0);
}

static inline void imp_sys_close(int fd)
{
	imp_sys(SYS_close, fd, 0, 0, 0, 0);
}

/* Goes on after a signal; a short count otherwise stays one. */
static inline ssize_t imp_sys_write(int fd, const void *data, size_t len)
{
	ssize_t ret;

	do
		ret = imp_sys(SYS_write, fd, (long)data, (long)len, 0, 0);
	while (ret == -EINTR);
	return ret;
}

static inline ssize_t imp_sys_read(int fd, void *data, size_t len)
{
	ssize_t ret;

	do
		ret = imp_sys(SYS_read, fd, (long)data, (long)len, 0, 0);
	while (ret == -EINTR);
	return ret;
}

static inline pid_t imp_sys_getpid(void)
{
	return (pid_t)imp_sys(SYS_getpid, 0, 0, 0, 0, 0);
}

static inline pid_t imp_sys_gettid(void)
{
	return (pid_t)imp_sys(SYS_gettid, 0, 0, 0, 0, 0);
}

static inline void imp_sys_sleep_ns(long ns)
{
	struct timespec wait = {.tv_nsec = ns};

	imp_sys(SYS_nanosleep, (long)&wait, 0, 0, 0, 0);
}

/* Is there still a thread of this number in this process? */
static inline int imp_sys_thread_alive(pid_t pid, pid_t tid)
{
	return imp_sys(SYS_tgkill, pid, tid, 0, 0, 0) != -ESRCH;
}

/*
 * A small file, or as much of it as there is room for; a NUL follows it. Returns its length, or a
 * negative errno.
 */
static inline ssize_t imp_sys_read_file(const char *path, char *buf, size_t size)
{
	int fd = imp_sys_open(path, O_RDONLY | O_NONBLOCK, 0);
	size_t len = 0;
	ssize_t ret;

	if (fd < 0)
		return fd;
	do {
		ret = imp_sys_read(fd, buf + len, size - 1 - len);
		if (ret > 0)
			len += (size_t)ret;
	} while (ret > 0 && len < size - 1);
	imp_sys_close(fd);
	buf[len] = '\0';
	return ret < 0 ? ret : (ssize_t)len;
}

#endif
