/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_HOST_HOST_H
#define IMP_HOST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "../base/arena.h"
#include "../trace/record.h"

/*
 * This machine's disk, as far as a diagnosis may look at it. With --no-host, or where the trace was
 * recorded on another machine or in another root directory, @enabled is false and every look-up
 * answers "not known" (-ENODATA), so that no code needs two ways.
 */
struct imp_host {
	bool enabled;
	struct imp_dpkg_index *dpkg;  /* borrowed; NULL: dpkg's lists are read at each question */
	struct imp_host_cache *cache; /* borrowed; NULL: the disk is asked each time */
};

/*
 * imp_host_matches - was this trace recorded here: same boot or same files, same root directory?
 * @why: filled with the reason where not (string constant)
 */
bool imp_host_matches(const struct imp_record *record, const char **why);

/*
 * imp_host_matches_image - the same question for one image: a program may have changed its root
 * (chroot, container) in the middle of a run
 */
bool imp_host_matches_image(const struct imp_image *image, const char **why);

/* imp_host_same_boot - has this machine not been started anew since? */
bool imp_host_same_boot(const struct imp_image *image);

/*
 * All paths below are absolute: a relative one is "not known" (-ENODATA), since it would be looked
 * up from our working directory and not from the program's.
 */

/* imp_host_stat, imp_host_lstat - 0, -errno, or -ENODATA */
int imp_host_stat(const struct imp_host *h, const char *path, struct stat *st);
int imp_host_lstat(const struct imp_host *h, const char *path, struct stat *st);
/* imp_host_exists - 1: stat() works; 0: it surely does not exist; -ENODATA: not known */
int imp_host_exists(const struct imp_host *h, const char *path);
/* imp_host_is_directory - surely a directory, or a link to one */
bool imp_host_is_directory(const struct imp_host *h, const char *path);

/*
 * imp_host_read - whole content of a regular file of at most @max bytes, NUL-terminated, in the
 * arena
 * Returns 0, -errno, -EFBIG or -ENODATA.
 */
int imp_host_read(const struct imp_host *h, struct imp_arena *a, const char *path, size_t max,
		  char **data, size_t *len);

/*
 * imp_host_read_into - the same into a buffer that many files use in turn
 * @b: zeroed at first; release with imp_host_buffer_clear(). @b->data is NUL-terminated.
 */
struct imp_host_buffer {
	char *data;
	size_t len, cap;
};
int imp_host_read_into(const struct imp_host *h, const char *path, size_t max,
		       struct imp_host_buffer *b);
void imp_host_buffer_clear(struct imp_host_buffer *b);

/*
 * imp_host_text - the same, for a small file that many questions need: it is read once where @h has a cache
 * @b: used where it has none, or where the file is too large to be kept
 * @text: NUL-terminated; borrowed from the cache or from @b
 */
int imp_host_text(const struct imp_host *h, const char *path, size_t max, struct imp_host_buffer *b,
		  const char **text, size_t *len);

/*
 * imp_host_contains - does a regular file of any size hold these bytes?
 * Read piece by piece; 1, 0, -errno or -ENODATA.
 */
int imp_host_contains(const struct imp_host *h, const char *path, const char *needle);

/* imp_host_list - names in a directory, sorted, without . and ..; 0, -errno or -ENODATA */
int imp_host_list(const struct imp_host *h, struct imp_arena *a, const char *path,
		  struct imp_strings *names);

/* imp_host_readlink - target of a link in the arena; 0, -errno or -ENODATA */
int imp_host_readlink(const struct imp_host *h, struct imp_arena *a, const char *path,
		      const char **target);

/* imp_host_realpath - like realpath(3); 0, -errno or -ENODATA */
int imp_host_realpath(const struct imp_host *h, struct imp_arena *a, const char *path,
		      const char **real);

#endif
