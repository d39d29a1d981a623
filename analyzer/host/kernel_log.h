/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_HOST_KERNEL_LOG_H
#define IMP_HOST_KERNEL_LOG_H

#include <stdint.h>

#include "host.h"

/* A line that the kernel wrote when a signal of its own making ended a process (x86, arch/x86/kernel/traps.c and mm/fault.c). */
struct imp_kernel_death {
	int signal;
	const char *line; /* without level and time, in the arena */
};

/*
 * imp_kernel_death_find - what the kernel's log says of the end of a process of this boot
 * @image: the program that the process ran
 * @tid: the thread that may have died; the process's own number is its first one
 * @after_ns: on CLOCK_MONOTONIC; a line that is older speaks of another process of that number
 *
 * Returns 0, -ENOENT where the log says nothing of it (nor does it of abort() and kill()), or -ENODATA
 * where it may not be read: no permission, another boot or pid namespace, a host that is not to be looked at.
 */
int imp_kernel_death_find(const struct imp_host *h, struct imp_arena *a,
			  const struct imp_image *image, pid_t tid, uint64_t after_ns,
			  struct imp_kernel_death *out);

/*
 * imp_kernel_death_parse - the same, from the text of a log (lines as syslog(2) gives them: "<4>[  12.345678] text")
 * @comm: the thread's name; the kernel keeps 15 bytes of it; NULL: any
 */
int imp_kernel_death_parse(struct imp_arena *a, const char *log, pid_t tid, const char *comm,
			   uint64_t after_ns, struct imp_kernel_death *out);

#endif
