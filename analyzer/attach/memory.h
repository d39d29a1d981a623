/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_MEMORY_H
#define IMP_ATTACH_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The memory of another process, through /proc/PID/mem: one descriptor, opened at a time when it is known that
 * the number is still that process's, so it can't come to mean another one.
 */
struct imp_memory {
	int fd; /* -1: not open */
};

#define IMP_MEMORY_INIT  \
	{                \
		.fd = -1 \
	}

/*
 * imp_memory_open - Returns 0 or a negative errno: -EACCES or -EPERM where the kernel does not let us trace the
 * process (PTRACE_MODE_ATTACH_FSCREDS, ptrace(2)).
 */
int imp_memory_open(struct imp_memory *m, pid_t pid);
void imp_memory_close(struct imp_memory *m);

/* imp_memory_read, _write - all of it, or -EFAULT. Writing needs no write permission of the mapping. */
int imp_memory_read(const struct imp_memory *m, uint64_t address, void *data, size_t len);
int imp_memory_write(const struct imp_memory *m, uint64_t address, const void *data, size_t len);

/* imp_memory_read_text - a string, cut to @size; -EFAULT where not even its first byte can be read */
int imp_memory_read_text(const struct imp_memory *m, uint64_t address, char *text, size_t size);

#endif
