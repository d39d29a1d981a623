/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_WAITING_CALL_H
#define IMP_ATTACH_WAITING_CALL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The system calls in which a thread may be held without the program noticing: those that take nothing with them
 * when they are cut short. Not here: write, send, sendfile, recv with MSG_WAITALL and their like, which
 * would come back with less than was asked for; and those whose timeout can't be told.
 */
enum imp_waiting {
	IMP_WAITING_OTHER = 0, /* leave such a thread alone */
	IMP_WAITING_EXACT,     /* the kernel itself goes on with it, with the time that is left */
	IMP_WAITING_TIMED,     /* it has to be entered again with less time; second choice */
};

/* imp_waiting_call - @args: its six arguments */
enum imp_waiting imp_waiting_call(long call, const uint64_t *args);

#endif
