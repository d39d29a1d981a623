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
 * System calls without libc. Its open(), write(), close() and nanosleep() are cancellation points: a thread
 * with a pending pthread_cancel() would be unwound out of the middle of ours, with our lock held. Another
 * preloaded object may also have its own idea of them. And syscall() is a function that we interpose
 * (interpose_seccomp.c).
 *
 * All return the result or a negative errno, and leave errno alone.
 */
static inline long imp_sys(long number, long a, long b, long c, long d, long e)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = 0;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = 0;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
	int saved = errno;
	long ret = syscall(number, a, b, c, d, e, 0L);

	if (ret == -1) {
		ret = -errno;
		errno = saved;
	}
	return ret;
#endif
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

	/* Not nanosleep(): it has the kernel forget how an interrupted call, during which we are called by
	 * `imptrace attach`, is to be gone on with (restart_syscall(2)). */
	imp_sys(SYS_ppoll, 0, 0, (long)&wait, 0, 8);
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
