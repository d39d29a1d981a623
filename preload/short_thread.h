/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_SHORT_THREAD_H
#define IMP_PRELOAD_SHORT_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>

#include "raw_syscall.h"

#define IMP_SHORT_THREAD_STACK (512 * 1024)

/*
 * imp_short_thread_start - have a thread of our own do something that must wait, and then end
 *
 * Only after an attach, in a process that is known to be up. It takes none of the program's signals. The
 * two that libc uses between threads (32 and 33) stay open, or else setuid() would wait for it; and so do
 * those that a fault raises. Returns 0 or a negative errno.
 */
static inline int imp_short_thread_start(void *(*run)(void *), void *arg)
{
	const uint64_t open = 1ull << 31 | 1ull << 32 | 1ull << (SIGSEGV - 1) |
			      1ull << (SIGBUS - 1) | 1ull << (SIGFPE - 1) | 1ull << (SIGILL - 1) |
			      1ull << (SIGTRAP - 1) | 1ull << (SIGSYS - 1);
	const uint64_t blocked = ~open;
	pthread_attr_t attr;
	uint64_t before;
	pthread_t thread;
	int ret;

	ret = (int)imp_sys(SYS_rt_sigprocmask, SIG_BLOCK, (long)&blocked, (long)&before,
			   sizeof(before), 0);
	if (ret < 0)
		return ret;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, IMP_SHORT_THREAD_STACK);
	ret = pthread_create(&thread, &attr, run, arg);
	if (ret == EINVAL) { /* much static TLS: it is taken from the stack */
		pthread_attr_setstacksize(&attr, 64 * IMP_SHORT_THREAD_STACK);
		ret = pthread_create(&thread, &attr, run, arg);
	}
	pthread_attr_destroy(&attr);
	imp_sys(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before), 0);
	return -ret;
}

/* imp_short_thread_name - what `ps -L` and debuggers call this thread */
static inline void imp_short_thread_name(const char *name)
{
	imp_sys(SYS_prctl, PR_SET_NAME, (long)name, 0, 0, 0);
}

#endif
