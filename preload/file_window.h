/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_FILE_WINDOW_H
#define IMP_PRELOAD_FILE_WINDOW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A part of a file as memory that is shared with it. What is put there belongs to the file at once, also after
 * SIGKILL, and costs one system call where open, pwrite and close are six.
 *
 * Never touched directly: where somebody has cut the file off, or the disk is full, that is SIGBUS. The kernel
 * is asked to copy instead, and returns an error.
 */
struct imp_file_window {
	uint8_t *pages; /* as mapped; NULL: there is no window */
	size_t len;	/* of them, bytes */
	size_t skip;	/* from there to the part */
	pid_t pid;	/* of the process that opened it, and has it alone */
};

/*
 * imp_file_window_open - map @len bytes at offset @at of the file that is open as @fd, for reading and writing
 *
 * A child of fork() does not inherit it. None is opened where this process lives under a seccomp filter: it might
 * answer imp_file_window_put() with a signal.
 * Returns 0 or a negative errno (mmap(2); -EPERM: such a filter), and no window then. Async-signal-safe, as are the
 * others.
 */
int imp_file_window_open(struct imp_file_window *w, int fd, uint64_t at, size_t len);

/*
 * imp_file_window_put - copy @len bytes to @offset in the window's part
 * Returns 0 or a negative errno (process_vm_readv(2); -EFAULT: the file, or the disk, has no place for it any more);
 * some bytes may have been copied then.
 */
int imp_file_window_put(const struct imp_file_window *w, size_t offset, const void *data,
			size_t len);

void imp_file_window_close(struct imp_file_window *w);

/* imp_file_window_forget - the same in a child of fork(), where there is nothing to unmap */
void imp_file_window_forget(struct imp_file_window *w);

#endif
