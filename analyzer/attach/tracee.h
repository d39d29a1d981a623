/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_TRACEE_H
#define IMP_ATTACH_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "../base/error.h"

/*
 * One thread of another process, held with ptrace(2): seized, interrupted, and let go again as if nothing had
 * happened. All others run on.
 *
 * A signal that arrives meanwhile is delivered by the kernel afterwards; a system call that the stop cut short is
 * entered again, also one of those that would say EINTR for a mere stop (signal(7), "Interruption of system
 * calls ... by stop signals": epoll_wait, semop, sigtimedwait and others).
 */
enum imp_stop {			   /* how a wait ended */
		IMP_STOP_NONE = 0, /* not stopped */
		IMP_STOP_EVENT, /* by us, or by a stop of the whole process: within the kernel's signal handling */
		IMP_STOP_SYSCALL, /* at the entry or exit of a system call */
		IMP_STOP_SIGNAL,  /* before a signal is delivered */
		IMP_STOP_GONE,	  /* the thread is no more */
};

struct imp_tracee {
	pid_t pid, tid;
	bool seized;
	bool touched; /* its registers or its mask are not as it was stopped */
	enum imp_stop stop;
	int signal;	     /* of an IMP_STOP_SIGNAL */
	uint64_t stopped_ns; /* CLOCK_MONOTONIC when it was stopped */
	uint64_t held_ns;    /* set when it is let go: for how long it was stopped */
	/* As it was stopped; what it is let go with. */
	struct user_regs_struct regs;
	uint64_t mask; /* of its blocked signals */
};

/*
 * imp_tracee_stop - stop a thread
 * @t:       filled
 * @options: PTRACE_O_*
 * @wait_ms: for how long to wait until it stops: a thread may be where the kernel can't stop it
 *
 * Returns 0; -ESRCH (it ended); -EPERM; -EAGAIN: the process is being stopped; -ETIMEDOUT: it did not stop
 * in time. That can't be taken back: it will stop when it can, unless imptrace ends before. SIGCHLD is blocked.
 */
int imp_tracee_stop(struct imp_tracee *t, pid_t pid, pid_t tid, unsigned long options,
		    unsigned int wait_ms, struct imp_error *err);

/*
 * imp_tracee_release - let it go on with the registers and the signal mask that it had
 * Safe on a thread that is not held. Returns 0, or -ESRCH where the thread is gone.
 */
int imp_tracee_release(struct imp_tracee *t);

/* imp_tracee_leave - let it go on as it stands: where it has got by itself to where it was */
void imp_tracee_leave(struct imp_tracee *t);

/*
 * For remote_call.c: one step of a thread that is held.
 * imp_tracee_resume - @request: PTRACE_CONT or PTRACE_SYSCALL; 0 or a negative errno
 * imp_tracee_wait   - until it stops; @ms: at most so long, -1: forever
 * imp_tracee_interrupt - have it stop as soon as it can
 */
int imp_tracee_resume(struct imp_tracee *t, int request, int signal);
enum imp_stop imp_tracee_wait(struct imp_tracee *t, int ms);
int imp_tracee_interrupt(struct imp_tracee *t);
int imp_tracee_set_regs(struct imp_tracee *t, const struct user_regs_struct *regs);
int imp_tracee_get_regs(struct imp_tracee *t, struct user_regs_struct *regs);
int imp_tracee_set_mask(struct imp_tracee *t, uint64_t mask);

/*
 * imp_tracee_restart - how the interrupted system call is entered again without the kernel's help
 * @ip, @ax: the registers to go on with; unchanged where none was interrupted
 * @resume:  true: restart_syscall(2) may be used
 */
void imp_tracee_restart(const struct imp_tracee *t, bool resume, uint64_t *ip, uint64_t *ax);

uint64_t imp_monotonic_ns(void);

#endif
