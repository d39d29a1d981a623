/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_SECCOMP_FILTER_H
#define IMP_PRELOAD_SECCOMP_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock_filter;
struct seccomp_data;

/*
 * imp_seccomp_run - what a seccomp filter answers to one system call
 * @filter, @count: the program, as it is given to seccomp(2)
 *
 * Returns the whole SECCOMP_RET_* value. One that the kernel would refuse, or that runs out of its end, comes to
 * SECCOMP_RET_KILL_PROCESS; no program runs longer than @count steps, since jumps only lead forward.
 * Source: seccomp(2); Linux Documentation/networking/filter.rst; kernel/seccomp.c, seccomp_check_filter().
 */
uint32_t imp_seccomp_run(const struct sock_filter *filter, size_t count,
			 const struct seccomp_data *call);

/*
 * imp_seccomp_lets_record - may the recorder go on under this filter?
 *
 * Not where one of its system calls would be answered by a signal, a tracer or a supervisor, since the program
 * or somebody else would notice; and not where those that write the trace are refused, which would be in vain.
 */
bool imp_seccomp_lets_record(const struct sock_filter *filter, size_t count);

#endif
