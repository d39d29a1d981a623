/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_DIRECTORY_LISTING_H
#define IMP_PRELOAD_DIRECTORY_LISTING_H

#include <stddef.h>

/*
 * The names in a directory, without opendir(): that one allocates. The names stand in a buffer of the
 * caller's, which bounds how many are read at once, not how many there are.
 */
struct imp_directory {
	int fd;
	char *buf;   /* borrowed; aligned for struct linux_dirent64 */
	size_t size; /* at least 1024 */
	size_t len;  /* bytes of entries in @buf */
	size_t at;   /* of the next one */
	size_t left; /* names that may still be given */
};

/*
 * imp_directory_open - begin to list
 * @path: NUL-terminated
 * @max:  how many names at most: a directory may be endless
 * Returns 0 or a negative errno; only after 0, imp_directory_close() is due.
 */
int imp_directory_open(struct imp_directory *d, const char *path, void *buf, size_t size,
		       size_t max);

/*
 * imp_directory_next - the next name, in the order of the file system
 * "." and ".." are left out. NULL at the end, and where reading on fails. The name is valid until the
 * next call; @len is its length.
 */
const char *imp_directory_next(struct imp_directory *d, size_t *len);

void imp_directory_close(struct imp_directory *d);

#endif
