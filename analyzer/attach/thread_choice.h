/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_THREAD_CHOICE_H
#define IMP_ATTACH_THREAD_CHOICE_H

#include <stddef.h>
#include <sys/types.h>

#define IMP_THREADS_MAX 64 /* candidates; a process with more has enough of them */

struct imp_thread_candidate {
	pid_t tid;
	int rank; /* 0: best */
};

/*
 * imp_thread_choice - the threads that may be held now, the best first, without stopping any
 * @avoid: this one comes last among its equals: it was not fit a moment ago; 0: none
 *
 * First those that wait in a system call which goes on as it was, then those that run, then those that have to
 * be entered again with another timeout. Not: threads that the kernel can't stop now (a vfork parent), that
 * are stopped, or are within a system call that must not be cut short.
 * Returns how many there are.
 */
size_t imp_thread_choice(pid_t pid, struct imp_thread_candidate *threads, size_t max, pid_t avoid);

#endif
