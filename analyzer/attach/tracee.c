/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tracee.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "sleep_time.h"
#include "target.h"

#define WAIT_STEP_NS 2000000 /* a SIGCHLD that got lost costs no more than that */

/* The kernel's own error numbers: linux/errno.h, not for programs, but a tracer sees them. */
#define ERESTARTSYS	      512
#define ERESTARTNOINTR	      513
#define ERESTARTNOHAND	      514
#define ERESTART_RESTARTBLOCK 516

uint64_t imp_monotonic_ns(void)
{
	struct timespec now = {0, 0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- registers ------------------------------------------------------------------------------------------ */

int imp_tracee_get_regs(struct imp_tracee *t, struct user_regs_struct *regs)
{
	struct iovec part = {regs, sizeof(*regs)};

	return ptrace(PTRACE_GETREGSET, t->tid, (void *)NT_PRSTATUS, &part) < 0 ? -errno : 0;
}

int imp_tracee_set_regs(struct imp_tracee *t, const struct user_regs_struct *regs)
{
	struct user_regs_struct copy = *regs;
	struct iovec part = {&copy, sizeof(copy)};

	t->touched = true;
	return ptrace(PTRACE_SETREGSET, t->tid, (void *)NT_PRSTATUS, &part) < 0 ? -errno : 0;
}

int imp_tracee_set_mask(struct imp_tracee *t, uint64_t mask)
{
	t->touched = true;
	return ptrace(PTRACE_SETSIGMASK, t->tid, (void *)sizeof(mask), &mask) < 0 ? -errno : 0;
}

/* ---- stops ---------------------------------------------------------------------------------------------- */

static enum imp_stop classify(struct imp_tracee *t, int status)
{
	if (!WIFSTOPPED(status))
		return IMP_STOP_GONE;
	t->signal = WSTOPSIG(status);
	if (status >> 16 == PTRACE_EVENT_STOP)
		return IMP_STOP_EVENT;
	if (t->signal == (SIGTRAP | 0x80))
		return IMP_STOP_SYSCALL;
	return status >> 16 ? IMP_STOP_EVENT : IMP_STOP_SIGNAL;
}

enum imp_stop imp_tracee_wait(struct imp_tracee *t, int ms)
{
	const uint64_t end_ns = imp_monotonic_ns() + (uint64_t)(ms < 0 ? 0 : ms) * 1000000u;
	const struct timespec step = {0, WAIT_STEP_NS};
	sigset_t child;
	int status;
	pid_t ret;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		ret = waitpid(t->tid, &status, __WALL | WNOHANG);
		if (ret == t->tid) {
			t->stop = classify(t, status);
			if (t->stop == IMP_STOP_GONE)
				t->seized = false;
			return t->stop;
		}
		if (ret < 0 && errno != EINTR) {
			t->seized = false;
			return t->stop = IMP_STOP_GONE;
		}
		if (ms >= 0 && imp_monotonic_ns() >= end_ns)
			return t->stop = IMP_STOP_NONE;
		sigtimedwait(&child, NULL, &step);
	}
}

int imp_tracee_resume(struct imp_tracee *t, int request, int signal)
{
	if (ptrace((enum __ptrace_request)request, t->tid, NULL, (void *)(long)signal) < 0)
		return -errno;
	t->stop = IMP_STOP_NONE;
	return 0;
}

int imp_tracee_interrupt(struct imp_tracee *t)
{
	return ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL) < 0 ? -errno : 0;
}

/* ---- system calls that the stop has cut short -------------------------------------------------------------- */

#if defined __x86_64__

void imp_tracee_restart(const struct imp_tracee *t, bool resume, uint64_t *ip, uint64_t *ax)
{
	const long result = (long)t->regs.rax;

	*ip = t->regs.rip;
	*ax = t->regs.rax;
	if ((long)t->regs.orig_rax < 0)
		return;
	if (result != -ERESTARTSYS && result != -ERESTARTNOINTR && result != -ERESTARTNOHAND &&
	    result != -ERESTART_RESTARTBLOCK)
		return;
	*ip = t->regs.rip - 2; /* the length of the instruction */
	*ax = result == -ERESTART_RESTARTBLOCK && resume ? SYS_restart_syscall : t->regs.orig_rax;
}

/* Is a signal waiting for which the call would have ended anyway? */
static bool signal_waits(const struct imp_tracee *t)
{
	char file[48], text[8192];
	static const char *const names[] = {"SigPnd", "ShdPnd"};
	const char *caught;
	uint64_t waiting = 0;

	snprintf(file, sizeof(file), "task/%d/status", (int)t->tid);
	if (imp_proc_read(t->pid, file, text, sizeof(text)) <= 0)
		return true;
	for (size_t i = 0; i < 2; i++) {
		const char *value = imp_status_field(text, names[i]);

		waiting |= value ? strtoull(value, NULL, 16) : 0;
	}
	caught = imp_status_field(text, "SigCgt");
	return waiting & ~t->mask & (caught ? strtoull(caught, NULL, 16) : 0);
}

/* Those that answer a mere stop with EINTR, instead of being entered again by the kernel: signal(7). */
static bool says_eintr(long call)
{
	switch (call) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
#if defined SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_rt_sigtimedwait:
	case SYS_io_getevents:
	case SYS_read:	 /* of an inotify descriptor, before Linux 3.8 */
	case SYS_accept: /* with SO_RCVTIMEO */
	case SYS_accept4:
	case SYS_recvfrom:
	case SYS_recvmsg: return true;
	default: return false;
	}
}

static bool has_timeout(long call)
{
	return call == SYS_epoll_wait || call == SYS_epoll_pwait;
}

/* Before the stop: since when it waits, where that will be needed. */
static uint64_t waiting_since(const struct imp_tracee *t)
{
	char file[48], text[256], *at;
	long call, timeout = 0;

	snprintf(file, sizeof(file), "task/%d/syscall", (int)t->tid);
	if (imp_proc_read(t->pid, file, text, sizeof(text)) <= 0)
		return 0;
	call = strtol(text, &at, 10); /* "running" is no number */
	if (at == text || !has_timeout(call))
		return 0;
	for (int i = 0; i < 4; i++)
		timeout = (long)strtoull(at, &at, 16);
	return (int)timeout > 0 ? imp_sleep_since(t->pid, t->tid) : 0;
}

/*
 * Have the system call entered again that came back with EINTR for no other reason than our stop. Its
 * timeout, in milliseconds, is made the shorter by what is over: that one register is the caller's no more.
 */
static void mend_eintr(struct imp_tracee *t, uint64_t since_ns)
{
	const long call = (long)t->regs.orig_rax;
	int timeout = (int)t->regs.r10;
	uint64_t over_ms;

	if (call < 0 || (long)t->regs.rax != -EINTR || !says_eintr(call) || signal_waits(t))
		return;
	t->regs.rax = (unsigned long long)-ERESTARTNOINTR;
	t->touched = true;
	if (!has_timeout(call) || timeout <= 0 || !since_ns)
		return;
	over_ms = (imp_monotonic_ns() - since_ns) / 1000000u;
	timeout = over_ms >= (uint64_t)timeout ? 0 : timeout - (int)over_ms;
	t->regs.r10 = (unsigned int)timeout;
}

#else

void imp_tracee_restart(const struct imp_tracee *t, bool resume, uint64_t *ip, uint64_t *ax)
{
	(void)t;
	(void)resume;
	*ip = *ax = 0;
}

static uint64_t waiting_since(const struct imp_tracee *t)
{
	(void)t;
	return 0;
}

static void mend_eintr(struct imp_tracee *t, uint64_t since_ns)
{
	(void)t;
	(void)since_ns;
}

#endif

/* ---- holding and letting go --------------------------------------------------------------------------------- */

static int detach(struct imp_tracee *t, int signal)
{
	int ret = 0;

	if (t->seized && t->stop != IMP_STOP_NONE && t->stop != IMP_STOP_GONE &&
	    ptrace(PTRACE_DETACH, t->tid, NULL, (void *)(long)signal) < 0)
		ret = -errno;
	if (t->stopped_ns)
		t->held_ns = imp_monotonic_ns() - t->stopped_ns;
	t->stopped_ns = 0;
	t->seized = false;
	t->stop = IMP_STOP_NONE;
	return ret;
}

void imp_tracee_leave(struct imp_tracee *t)
{
	detach(t, t->stop == IMP_STOP_SIGNAL ? t->signal : 0);
}

int imp_tracee_release(struct imp_tracee *t)
{
	if (!t->seized)
		return t->stop == IMP_STOP_GONE ? -ESRCH : 0;
	/*
	 * In this order: should we be killed in between, what runs is still the code of remote_call.c, which gets
	 * back by itself.
	 */
	if (t->touched &&
	    (imp_tracee_set_mask(t, t->mask) < 0 || imp_tracee_set_regs(t, &t->regs) < 0)) {
		detach(t, 0);
		return -ESRCH;
	}
	return detach(t, 0);
}

/* A stop of ours can't be taken back: the thread has to come to it, and until then it can't be let go. */
static int wait_for_stop(struct imp_tracee *t, unsigned int wait_ms, struct imp_error *err)
{
	for (;;) {
		switch (imp_tracee_wait(t, (int)wait_ms)) {
		case IMP_STOP_GONE:
			return imp_error_set(err, -ESRCH, "thread %d has ended", (int)t->tid);
		case IMP_STOP_NONE:
			return imp_error_set(err, -ETIMEDOUT,
					     "thread %d is where the kernel cannot stop it",
					     (int)t->tid);
		case IMP_STOP_EVENT:
			if (t->signal == SIGTRAP)
				return 0;
			/* The whole process is being stopped: so it stays. */
			detach(t, 0);
			return imp_error_set(err, -EAGAIN, "process %d was stopped (kill -CONT %d)",
					     (int)t->pid, (int)t->pid);
		default: /* it gets its signal, and stops behind that */
			if (imp_tracee_resume(t, PTRACE_CONT, t->signal) < 0)
				return imp_error_set(err, -ESRCH, "thread %d has ended",
						     (int)t->tid);
		}
	}
}

int imp_tracee_stop(struct imp_tracee *t, pid_t pid, pid_t tid, unsigned long options,
		    unsigned int wait_ms, struct imp_error *err)
{
	uint64_t since_ns;
	sigset_t child;
	int ret;

	memset(t, 0, sizeof(*t));
	t->pid = pid;
	t->tid = tid;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL); /* for sigtimedwait() */
	since_ns = waiting_since(t);
	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)(options | PTRACE_O_TRACESYSGOOD)) < 0)
		return imp_error_set(err, -errno, "thread %d cannot be traced: %s", (int)tid,
				     strerror(errno));
	t->seized = true;
	t->stopped_ns = imp_monotonic_ns();
	if (imp_tracee_interrupt(t) < 0) {
		t->seized = false;
		return imp_error_set(err, -ESRCH, "thread %d has ended", (int)tid);
	}
	ret = wait_for_stop(t, wait_ms, err);
	if (ret < 0)
		return ret;
	if (imp_tracee_get_regs(t, &t->regs) < 0 ||
	    ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof(t->mask), &t->mask) < 0) {
		ret = imp_error_set(err, -errno, "thread %d cannot be read: %s", (int)tid,
				    strerror(errno));
		detach(t, 0);
		return ret;
	}
	mend_eintr(t, since_ns);
	return 0;
}
