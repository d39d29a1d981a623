// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../host/host.h"

#define BLOCK	   4096U /* what is read from a disk begins and ends at a multiple of it */
#define VIEW_MAX   ((uint64_t)64 << 20) /* bytes of one view: the largest symbol tables have 20 MB */
#define TOTAL_MAX  ((size_t)256 << 20)	/* bytes that one file may take of our memory */
#define STRING_MAX 4096U

/* O_NONBLOCK: a FIFO must not hold us up before fstat() can refuse it. */
static int open_file(const char *path, struct stat *st)
{
	int ret, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) < 0)
		ret = -errno;
	else if (S_ISDIR(st->st_mode))
		ret = -EISDIR;
	else if (!S_ISREG(st->st_mode))
		ret = -EINVAL;
	else
		return fd;
	close(fd);
	return ret;
}

int imp_elf_bytes_file(struct imp_elf_bytes *b, struct imp_arena *arena, const struct imp_host *h,
		       const char *path, struct imp_error *err)
{
	struct stat st = {0};
	int fd;

	memset(b, 0, sizeof(*b));
	b->arena = arena;
	if (!h || !h->enabled || !path || path[0] != '/')
		return imp_error_set(err, -ENODATA, "the disk is not looked at");
	fd = open_file(path, &st);
	if (fd < 0)
		return imp_error_set(err, fd, "%s: %s", path, strerror(-fd));
	close(fd);
	b->size = (uint64_t)st.st_size;
	b->path = path;
	b->dev = (uint64_t)st.st_dev;
	b->ino = (uint64_t)st.st_ino;
	return 0;
}

static int by_offset(const void *one, const void *two)
{
	const struct imp_elf_chunk *a = one, *b = two;

	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return a->len < b->len ? -1 : a->len > b->len;
}

/* Chunks [first, last) touch or overlap: one copy of them, so that a table may lie across several. */
static void join(struct imp_elf_bytes *b, const struct imp_elf_chunk *sorted, size_t first,
		 size_t last, uint64_t end)
{
	struct imp_elf_chunk *to = imp_vec_push(b->arena, &b->chunks);
	uint8_t *data;
	size_t i;

	*to = sorted[first];
	if (last - first == 1)
		return;
	to->len = (size_t)(end - to->offset);
	data = imp_arena_alloc(b->arena, to->len);
	for (i = first; i < last; i++)
		memcpy(data + (sorted[i].offset - to->offset), sorted[i].data, sorted[i].len);
	to->data = data;
}

void imp_elf_bytes_recorded(struct imp_elf_bytes *b, struct imp_arena *arena, uint64_t size,
			    const struct imp_elf_chunk *chunks, size_t n)
{
	struct imp_elf_chunk *sorted;
	size_t i, first, kept = 0;
	uint64_t end;

	memset(b, 0, sizeof(*b));
	b->arena = arena;
	b->size = size;
	sorted = imp_arena_alloc(arena, n * sizeof(*sorted));
	for (i = 0; i < n; i++) {
		/* Bytes behind the end of the file would be a lie. */
		if (chunks[i].len && chunks[i].offset < size &&
		    chunks[i].len <= size - chunks[i].offset)
			sorted[kept++] = chunks[i];
	}
	qsort(sorted, kept, sizeof(*sorted), by_offset);
	for (first = 0; first < kept; first = i) {
		end = sorted[first].offset + sorted[first].len;
		for (i = first + 1; i < kept && sorted[i].offset <= end; i++) {
			if (sorted[i].offset + sorted[i].len > end)
				end = sorted[i].offset + sorted[i].len;
		}
		join(b, sorted, first, i, end);
	}
}

static const uint8_t *find_chunk(const struct imp_elf_bytes *b, uint64_t offset, uint64_t len,
				 size_t *behind)
{
	size_t i;

	for (i = b->chunks.n; i-- > 0;) {
		const struct imp_elf_chunk *c = &b->chunks.v[i];

		if (offset >= c->offset && offset - c->offset < c->len &&
		    len <= c->len - (offset - c->offset)) {
			*behind = c->len - (size_t)(offset - c->offset);
			return c->data + (offset - c->offset);
		}
	}
	return NULL;
}

static bool read_all(int fd, uint8_t *buffer, size_t len, uint64_t offset)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, buffer + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) /* it has shrunk, or can't be read */
			return false;
		done += (size_t)n;
	}
	return true;
}

/* Read what lies around [offset, offset + len), which is within the file. */
static bool read_more(struct imp_elf_bytes *b, uint64_t offset, uint64_t len)
{
	uint64_t begin = offset - offset % BLOCK, end = offset + len;
	struct imp_elf_chunk *chunk;
	struct stat st;
	uint8_t *data;
	bool ok;
	int fd;

	if (!b->path)
		return false;
	end = end % BLOCK ? end - end % BLOCK + BLOCK : end;
	if (end > b->size)
		end = b->size;
	if (end - begin > VIEW_MAX + 2 * BLOCK || b->total + (size_t)(end - begin) > TOTAL_MAX)
		return false;
	fd = open_file(b->path, &st);
	if (fd < 0)
		return false;
	ok = (uint64_t)st.st_dev == b->dev && (uint64_t)st.st_ino == b->ino;
	if (ok) {
		data = imp_arena_alloc(b->arena, (size_t)(end - begin));
		b->total += (size_t)(end - begin);
		ok = read_all(fd, data, (size_t)(end - begin), begin);
	}
	close(fd);
	if (!ok)
		return false;
	chunk = imp_vec_push(b->arena, &b->chunks);
	chunk->offset = begin;
	chunk->len = (size_t)(end - begin);
	chunk->data = data;
	return true;
}

const uint8_t *imp_elf_bytes_at(struct imp_elf_bytes *b, uint64_t offset, uint64_t len)
{
	const uint8_t *p;
	size_t behind;

	if (offset > b->size || len > b->size - offset) {
		b->beyond = true;
		return NULL;
	}
	if (!len)
		return (const uint8_t *)"";
	p = find_chunk(b, offset, len, &behind);
	if (!p && len <= VIEW_MAX && read_more(b, offset, len))
		p = find_chunk(b, offset, len, &behind);
	if (!p)
		b->unknown = true;
	return p;
}

const uint8_t *imp_elf_bytes_some(struct imp_elf_bytes *b, uint64_t offset, size_t len, size_t *got)
{
	const uint8_t *p;

	*got = 0;
	if (offset >= b->size)
		return NULL;
	if (len > b->size - offset)
		len = (size_t)(b->size - offset);
	p = find_chunk(b, offset, 1, got);
	if (!p || (*got < len && b->path)) {
		if (read_more(b, offset, len))
			p = find_chunk(b, offset, 1, got);
	}
	if (!p)
		b->unknown = true;
	if (*got > len)
		*got = len;
	return p;
}

const char *imp_elf_bytes_string(struct imp_elf_bytes *b, uint64_t offset, uint64_t end)
{
	size_t got, len, want;
	const uint8_t *p;

	if (end > b->size)
		end = b->size;
	/* Most strings are short: a block is read before the whole length that is allowed. */
	for (want = 128; want <= STRING_MAX; want *= 32) {
		if (offset >= end) {
			b->beyond = true;
			return NULL;
		}
		len = end - offset < want ? (size_t)(end - offset) : want;
		p = imp_elf_bytes_some(b, offset, len, &got);
		if (p && memchr(p, 0, got))
			return (const char *)p;
	}
	return NULL;
}
