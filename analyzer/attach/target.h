/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_TARGET_H
#define IMP_ATTACH_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../base/error.h"
#include "memory.h"
#include "proc_maps.h"

/* The process that is to be recorded, and whether that can be done. */
struct imp_target {
	pid_t pid;
	pid_t own_pid; /* as it calls itself: in the innermost of its pid namespaces */
	int pidfd;     /* -1: the kernel has none (before 5.3) */
	char name[64]; /* for people: its program file's name, else what the kernel calls it */
	bool seccomp;  /* it runs under a filter, which is to be suspended */
	struct imp_memory mem;
	struct imp_maps maps;		       /* as they were at the check */
	const struct imp_mapped_object *libc;  /* in @maps */
	const struct imp_mapped_object *libdl; /* NULL: glibc 2.34 and later, or not loaded */
};

#define IMP_TARGET_INIT                             \
	{                                           \
		.pidfd = -1, .mem = IMP_MEMORY_INIT \
	}

/*
 * imp_target_open - look at a process, and say whether its inside can be recorded
 * @t:   IMP_TARGET_INIT; filled; release with imp_target_clear(), also after a failure
 * @pid: as we see it
 * @err: where it can't be: one sentence with the remedy
 *
 * Nothing is done to the process: it does not even notice. Returns 0, or a negative errno.
 */
int imp_target_open(struct imp_target *t, pid_t pid, struct imp_error *err);

/* imp_target_read_maps - read its mappings again, and find libc among them */
int imp_target_read_maps(struct imp_target *t, struct imp_error *err);

/* imp_target_gone - has it ended? (a zombie has) */
bool imp_target_gone(const struct imp_target *t);

/*
 * imp_target_why_refused - the reason for which the kernel would not let us trace @pid, and what helps
 */
int imp_target_why_refused(pid_t pid, struct imp_error *err);

void imp_target_clear(struct imp_target *t);

/*
 * imp_status_field - a line of /proc/PID/status: what follows "NAME:" and its blanks
 * @text: all of the file. Returns NULL where there is no such line; the value ends at the line's end.
 */
const char *imp_status_field(const char *text, const char *name);

/* imp_proc_read - a small file below /proc/PID into a buffer, with a NUL; its length or a negative errno */
ssize_t imp_proc_read(pid_t pid, const char *name, char *buf, size_t size);

#endif
