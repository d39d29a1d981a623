/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "interpose_seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <string.h>

#include "dlsym_cache.h"
#include "process_event.h"
#include "real_symbols.h"
#include "recorder.h"
#include "seccomp_filter.h"
#include "thread_slot.h"

#include "poison.h"

/*
 * A program that takes system calls away from itself takes them away from us too, and a filter may answer one
 * of ours with a signal. So we look at the filter before it is installed: where it stands against the recorder,
 * what was recorded is written, with a note, and nothing is recorded from then on.
 *
 * glibc has no function for seccomp(2): programs and libseccomp call syscall(), which is entered through
 * interpose_syscall_ARCH.S; every other system call jumps straight into libc's syscall() from there.
 */
#define EXPORT __attribute__((visibility("default")))

_Static_assert(IMP_LISTING_MAX >= BPF_MAXINSNS * sizeof(struct sock_filter), "a filter fits");
/* interpose_syscall_*.S */
_Static_assert(offsetof(struct imp_real_symbols, syscall) == 0, "jumped through");

/* A filter that can't be read or is too long is refused by the kernel: no reason to stop. */
static bool stands_against_us(struct imp_thread *t, const void *given)
{
	struct sock_fprog program;

	if (imp_process_read(&program, given, sizeof(program)) < 0 || !program.len ||
	    program.len > BPF_MAXINSNS ||
	    imp_process_read(t->listing, program.filter, program.len * sizeof(struct sock_filter)) <
		    0)
		return false;
	return !imp_seccomp_lets_record((const struct sock_filter *)(void *)t->listing, program.len);
}

/* @filter: NULL: strict mode. Returns whether recording was ended. */
static bool end_recording(bool strict, const void *filter)
{
	struct imp_thread *t = imp_thread_enter();
	bool ends;

	if (!t)
		return false;
	ends = strict || stands_against_us(t, filter);
	if (ends) {
		imp_dlsym_cache_drain(t);
		imp_record_note(t, IMP_NOTE_SECCOMP, 0, NULL);
		imp_record_flush_last();
		imp_recorder_pause();
	}
	imp_thread_leave(t);
	return ends;
}

/* It was refused, and the process is as it was; errno says why. */
static void go_on(void)
{
	struct imp_thread *t;

	imp_recorder_resume();
	t = imp_thread_enter();
	if (!t)
		return;
	imp_record_note(t, IMP_NOTE_SECCOMP, t->saved_errno, NULL);
	imp_thread_leave(t);
}

long imp_interpose_seccomp(long number, long operation, long flags, long args, long d, long e,
			   long f)
{
	bool ended =
		(operation == SECCOMP_SET_MODE_STRICT || operation == SECCOMP_SET_MODE_FILTER) &&
		end_recording(operation == SECCOMP_SET_MODE_STRICT, (const void *)args);
	long ret = imp_real.syscall(number, operation, flags, args, d, e, f);

	if (ended && ret < 0)
		go_on();
	return ret;
}

/* libc's takes any number of them, and the kernel none beyond the fifth. */
EXPORT int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

EXPORT int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	bool ended;
	int ret;

	if (option != PR_SET_SECCOMP)
		return imp_real.prctl(option, a, b, c, d);
	ended = (a == SECCOMP_MODE_STRICT || a == SECCOMP_MODE_FILTER) &&
		end_recording(a == SECCOMP_MODE_STRICT, (const void *)b);
	ret = imp_real.prctl(option, a, b, c, d);
	if (ended && ret < 0)
		go_on();
	return ret;
}
