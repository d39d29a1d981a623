// SPDX-License-Identifier: GPL-2.0-or-later
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host_cache.h"

#define LIST_MAX  200000      /* names of one directory */
#define TEXT_KEEP (4U << 20)  /* bytes of one file that is kept in the cache */
#define TEXTS_MAX (64U << 20) /* bytes of all of them */
#define PIECE	  (1U << 20)  /* bytes of a file that are searched at a time */

/*
 * A path is looked up only where it means here what it meant there: a relative one would be taken
 * from our own working directory.
 */
static bool lookup_allowed(const struct imp_host *h, const char *path)
{
	return h && h->enabled && path && path[0] == '/';
}

int imp_host_stat(const struct imp_host *h, const char *path, struct stat *st)
{
	struct imp_host_answer *answer;

	if (!lookup_allowed(h, path))
		return -ENODATA;
	answer = imp_host_cache_get(h, path, IMP_HOST_STAT);
	if (!answer)
		return stat(path, st) < 0 ? -errno : 0;
	if (!answer->known) {
		answer->ret = stat(path, &answer->st) < 0 ? -errno : 0;
		answer->known = true;
	}
	if (answer->ret == 0)
		*st = answer->st;
	return answer->ret;
}

int imp_host_lstat(const struct imp_host *h, const char *path, struct stat *st)
{
	if (!lookup_allowed(h, path))
		return -ENODATA;
	return lstat(path, st) < 0 ? -errno : 0;
}

int imp_host_exists(const struct imp_host *h, const char *path)
{
	struct stat st;
	int ret = imp_host_stat(h, path, &st);

	if (ret == 0)
		return 1;
	/* EACCES and the like say nothing about the file itself. */
	return ret == -ENOENT || ret == -ENOTDIR || ret == -ELOOP ? 0 : -ENODATA;
}

bool imp_host_is_directory(const struct imp_host *h, const char *path)
{
	struct stat st;

	return imp_host_stat(h, path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* O_NONBLOCK: a FIFO must not hold us up before fstat() can refuse it. */
#define PROC_MAX (1U << 20)

static int open_regular(const char *path, size_t max, size_t *size)
{
	struct stat st;
	int ret, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		ret = -errno;
	else if (!S_ISREG(st.st_mode))
		ret = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	else if ((uint64_t)st.st_size > max)
		ret = -EFBIG;
	else
		ret = 0;
	if (ret < 0) {
		close(fd);
		return ret;
	}
	/* Files of procfs say that they are empty, and are not. */
	*size = st.st_size || max > PROC_MAX ? (size_t)st.st_size : max;
	return fd;
}

/* A file may grow or shrink meanwhile: at most @size bytes, and as many as there are. */
static int read_fully(int fd, char *buffer, size_t size, size_t *len)
{
	ssize_t n;

	*len = 0;
	while (*len < size) {
		n = read(fd, buffer + *len, size - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	buffer[*len] = '\0';
	return 0;
}

int imp_host_read(const struct imp_host *h, struct imp_arena *a, const char *path, size_t max,
		  char **data, size_t *len)
{
	struct imp_host_buffer b = {0};
	const char *text;
	size_t size;
	int ret, fd;

	*data = NULL;
	*len = 0;
	if (!lookup_allowed(h, path))
		return -ENODATA;
	if (h->cache && max <= TEXT_KEEP) {
		ret = imp_host_text(h, path, max, &b, &text, len);
		if (ret == 0)
			*data = imp_arena_strndup(a, text, *len);
		imp_host_buffer_clear(&b);
		return ret;
	}
	fd = open_regular(path, max, &size);
	if (fd < 0)
		return fd;
	*data = imp_arena_alloc(a, size + 1);
	ret = read_fully(fd, *data, size, len);
	close(fd);
	return ret;
}

int imp_host_read_into(const struct imp_host *h, const char *path, size_t max,
		       struct imp_host_buffer *b)
{
	size_t size;
	char *data;
	int ret, fd;

	b->len = 0;
	if (!lookup_allowed(h, path))
		return -ENODATA;
	fd = open_regular(path, max, &size);
	if (fd < 0)
		return fd;
	if (!b->data || size >= b->cap) {
		data = realloc(b->data, size + size / 2 + 4096);
		if (!data) {
			close(fd);
			return -ENOMEM;
		}
		b->data = data;
		b->cap = size + size / 2 + 4096;
	}
	ret = read_fully(fd, b->data, size, &b->len);
	close(fd);
	return ret;
}

int imp_host_text(const struct imp_host *h, const char *path, size_t max, struct imp_host_buffer *b,
		  const char **text, size_t *len)
{
	struct imp_host_answer *answer;
	int ret;

	*text = NULL;
	*len = 0;
	if (!lookup_allowed(h, path))
		return -ENODATA;
	answer = imp_host_cache_get(h, path, IMP_HOST_TEXT);
	if (answer && answer->known) {
		*text = answer->text;
		*len = answer->len;
		return answer->ret;
	}
	ret = imp_host_read_into(h, path, max, b);
	if (ret == 0) {
		*text = b->data;
		*len = b->len;
	}
	if (!answer || (ret == 0 && (b->len > TEXT_KEEP || h->cache->bytes + b->len > TEXTS_MAX)))
		return ret; /* not kept */
	if (ret == 0) {
		*text = answer->text = imp_arena_strndup(&h->cache->arena, b->data, b->len);
		answer->len = b->len;
		h->cache->bytes += b->len;
	}
	answer->known = true;
	answer->ret = ret;
	return ret;
}

void imp_host_buffer_clear(struct imp_host_buffer *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

int imp_host_contains(const struct imp_host *h, const char *path, const char *needle)
{
	size_t n = strlen(needle), kept = 0, len = 0, size;
	int fd, ret = 0;
	char *piece;

	if (!lookup_allowed(h, path))
		return -ENODATA;
	fd = open_regular(path, SIZE_MAX, &size);
	if (fd < 0)
		return fd;
	piece = malloc(PIECE + n + 1);
	if (!piece) {
		close(fd);
		return -ENOMEM;
	}
	while (n && (ret = read_fully(fd, piece + kept, PIECE, &len)) == 0 && len) {
		if (memmem(piece, kept + len, needle, n)) {
			ret = 1;
			break;
		}
		len += kept; /* the needle may lie across two pieces */
		kept = len < n - 1 ? len : n - 1;
		memmove(piece, piece + len - kept, kept);
	}
	free(piece);
	close(fd);
	return ret;
}

static int by_name(const void *one, const void *two)
{
	return strcmp(*(const char *const *)one, *(const char *const *)two);
}

static int list(struct imp_arena *a, const char *path, struct imp_strings *names)
{
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return -errno;
	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			ret = -errno;
			break;
		}
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (names->n >= LIST_MAX) {
			ret = -EFBIG;
			break;
		}
		*imp_vec_push(a, names) = imp_arena_strndup(a, entry->d_name, strlen(entry->d_name));
	}
	closedir(dir);
	if (ret < 0)
		memset(names, 0, sizeof(*names));
	else if (names->n)
		qsort(names->v, names->n, sizeof(*names->v), by_name);
	return ret;
}

int imp_host_list(const struct imp_host *h, struct imp_arena *a, const char *path,
		  struct imp_strings *names)
{
	struct imp_host_answer *answer;

	memset(names, 0, sizeof(*names));
	if (!lookup_allowed(h, path))
		return -ENODATA;
	answer = imp_host_cache_get(h, path, IMP_HOST_LIST);
	if (!answer)
		return list(a, path, names);
	if (!answer->known) {
		answer->ret = list(&h->cache->arena, path, &answer->names);
		answer->known = true;
	}
	*names = answer->names;
	names->cap = names->n; /* who adds to it gets a copy */
	return answer->ret;
}

int imp_host_readlink(const struct imp_host *h, struct imp_arena *a, const char *path,
		      const char **target)
{
	char buffer[4097];
	ssize_t n;

	*target = NULL;
	if (!lookup_allowed(h, path))
		return -ENODATA;
	n = readlink(path, buffer, sizeof(buffer));
	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof(buffer))
		return -ENAMETOOLONG;
	*target = imp_arena_strndup(a, buffer, (size_t)n);
	return 0;
}

int imp_host_realpath(const struct imp_host *h, struct imp_arena *a, const char *path,
		      const char **real)
{
	struct imp_host_answer *answer, own = {0};
	char *resolved;

	*real = NULL;
	if (!lookup_allowed(h, path))
		return -ENODATA;
	answer = imp_host_cache_get(h, path, IMP_HOST_REALPATH);
	if (!answer)
		answer = &own;
	if (!answer->known) {
		resolved = realpath(path, NULL);
		answer->ret = resolved ? 0 : -errno;
		if (resolved)
			answer->text = imp_arena_strndup(answer == &own ? a : &h->cache->arena,
							 resolved, strlen(resolved));
		free(resolved);
		answer->known = true;
	}
	*real = answer->text;
	return answer->ret;
}

/* ---- is the trace from here? ---------------------------------------------------------------- */

bool imp_host_same_boot(const struct imp_image *image)
{
	char id[64];
	size_t len;
	int ret, fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || !image->boot_id)
		ret = -1;
	else
		ret = read_fully(fd, id, sizeof(id) - 1, &len);
	if (fd >= 0)
		close(fd);
	if (ret < 0)
		return false;
	id[strcspn(id, "\n")] = '\0';
	return id[0] && strcmp(id, image->boot_id) == 0;
}

/*
 * How many of the directories that an image searched are still as they were: same time of last
 * change, to the nanosecond. @known counts those that could be compared at all.
 */
static size_t unchanged_directories(const struct imp_image *image, size_t *known)
{
	size_t i, j, same = 0;
	struct stat st;

	*known = 0;
	for (i = 0; i < image->attempts.n; i++) {
		const struct imp_snapshot *s = image->attempts.v[i]->outcome->snapshot;

		for (j = 0; s && j < s->entries.n; j++) {
			const struct imp_entry *e = &s->entries.v[j];

			if (!e->stat.known || e->state != IMP_PATH_DIRECTORY || e->entry[0] != '/')
				continue;
			++*known;
			if (stat(e->entry, &st) == 0 &&
			    st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec ==
				    e->stat.mtime_ns)
				same++;
		}
		if (*known >= 64) /* enough to judge by */
			break;
	}
	return same;
}

bool imp_host_matches_image(const struct imp_image *image, const char **why)
{
	const char *unused;
	struct stat root;
	size_t known;

	if (!why)
		why = &unused;
	*why = NULL;
	if (!image->started || (!image->root_dev && !image->root_ino)) {
		*why = "it does not say on which machine it was recorded";
		return false;
	}
	if (stat("/", &root) < 0 || (uint64_t)root.st_dev != image->root_dev ||
	    (uint64_t)root.st_ino != image->root_ino) {
		*why = imp_host_same_boot(image) ?
			       "it was recorded in another root directory (a container or chroot)" :
			       "it was recorded on another machine";
		return false;
	}
	if (imp_host_same_boot(image))
		return true;
	/*
	 * Another boot. Numbers of device and inode are much alike everywhere (an ext4 root is
	 * inode 2), so that the files have to tell: this machine's directories keep their times
	 * over a reboot.
	 */
	if (!image->exe || access(image->exe, F_OK) < 0 ||
	    (unchanged_directories(image, &known) == 0 && known)) {
		*why = "it was recorded on another machine, or before much has changed here";
		return false;
	}
	return true;
}

bool imp_host_matches(const struct imp_record *record, const char **why)
{
	size_t i;

	for (i = 0; i < record->images.n; i++) {
		if (record->images.v[i]->started)
			return imp_host_matches_image(record->images.v[i], why);
	}
	if (why)
		*why = "it does not say on which machine it was recorded";
	return false;
}
