/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_RECORDER_LOCK_H
#define IMP_PRELOAD_RECORDER_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The recorder's one lock: bounded, and never a wait for oneself. Held while something is copied, compressed
 * or written; never while ld.so or CPython is called.
 */
struct imp_recorder_lock {
	_Atomic pid_t holder; /* tid; 0: free */
	_Atomic pid_t stuck; /* a holder that was waited for in vain, until the lock is free again */
	_Atomic uint32_t turns; /* how often it was given back */
};

enum imp_lock_result {
	IMP_LOCK_BUSY, /* not taken: a signal handler that interrupted the holder, or waited too long */
	IMP_LOCK_TAKEN, /* and what it guards is as its last holder meant to leave it */
	IMP_LOCK_ORPHAN /* taken from a thread that is no more: it was cut off in the middle of something */
};

/* imp_recorder_lock_take - @pid: this process */
enum imp_lock_result imp_recorder_lock_take(struct imp_recorder_lock *l, pid_t pid);

void imp_recorder_lock_give(struct imp_recorder_lock *l);

/* imp_recorder_lock_mine - does this thread hold it? */
bool imp_recorder_lock_mine(struct imp_recorder_lock *l);

#endif
