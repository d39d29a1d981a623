/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_INTERPOSE_SECCOMP_H
#define IMP_PRELOAD_INTERPOSE_SECCOMP_H

/*
 * imp_interpose_seccomp - syscall(SYS_seccomp, ...), called by interpose_syscall_*.S
 * Returns what the real one returns, and leaves errno as that left it.
 */
long imp_interpose_seccomp(long number, long operation, long flags, long args, long d, long e,
			   long f);

#endif
