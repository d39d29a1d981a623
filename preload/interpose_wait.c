/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "real_symbols.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "recorder.h"
#include "thread_slot.h"

#include "poison.h"

/*
 * How a child was ended by a signal: that child could not write it down itself, and its parent is told. Whoever
 * reads the trace can tell a worker that was terminated from one that crashed. All other ends are told by the
 * child. Handlers of SIGCHLD call these functions: no look at the loader's list of objects, whose lock the
 * interrupted code may hold (imp_thread_enter_bare()).
 */
#define EXPORT __attribute__((visibility("default")))

static void record(pid_t pid, int signo)
{
	struct imp_thread *t = imp_thread_enter_bare();
	struct imp_cbor *c;

	if (!t)
		return;
	c = imp_record_begin(t, IMP_EV_WAIT);
	imp_put_uint(c, IMP_KEY_PID, (uint64_t)pid);
	imp_put_uint(c, IMP_KEY_SIGNAL, (uint64_t)signo);
	imp_record_end(t);
	imp_thread_leave(t);
}

static pid_t look(pid_t ret, int status)
{
	if (ret > 0 && WIFSIGNALED(status))
		record(ret, WTERMSIG(status));
	return ret;
}

/*
 * The caller's own pointer is passed on: a bad one is its EFAULT. It may be NULL; the kernel then tells
 * nobody, so that it writes to us.
 */
EXPORT pid_t wait(int *status)
{
	int mine = 0;
	pid_t ret = imp_real.wait(status ? status : &mine);

	return look(ret, ret > 0 && status ? *status : mine);
}

EXPORT pid_t waitpid(pid_t pid, int *status, int options)
{
	int mine = 0;
	pid_t ret = imp_real.waitpid(pid, status ? status : &mine, options);

	return look(ret, ret > 0 && status ? *status : mine);
}

EXPORT pid_t wait3(int *status, int options, struct rusage *usage)
{
	int mine = 0;
	pid_t ret = imp_real.wait3(status ? status : &mine, options, usage);

	return look(ret, ret > 0 && status ? *status : mine);
}

EXPORT pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	int mine = 0;
	pid_t ret = imp_real.wait4(pid, status ? status : &mine, options, usage);

	return look(ret, ret > 0 && status ? *status : mine);
}

EXPORT int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	int ret = imp_real.waitid(type, id, info, options);

	/* With WNOWAIT somebody asks again: then it is told. */
	if (ret == 0 && info && info->si_pid > 0 && !(options & WNOWAIT) &&
	    (info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED))
		record(info->si_pid, info->si_status);
	return ret;
}
