/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "frame_append.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "frame_writer.h"
#include "raw_syscall.h"

#include "poison.h"

#define PAGE	  4096 /* or a part of one */
#define HEAD	  8    /* of a skippable frame: magic number, and length of what follows */
#define PARTS_MAX (IMP_FRAME_MAX / PAGE + 3)

/* What is appended: the frame, and behind it, where @total says so, an empty skippable one. */
struct content {
	const uint8_t *frame;
	size_t len, total;
	uint8_t tail[IMP_FRAME_TAIL];
};

static void make_head(uint8_t *head, size_t len)
{
	memcpy(head, "\x50\x2a\x4d\x18", 4);
	for (size_t i = 0; i < 4; i++)
		head[4 + i] = (uint8_t)((len - HEAD) >> (8 * i));
}

/* Where our own write ended, whoever has appended since. */
static int64_t position(int fd)
{
	return imp_sys(SYS_lseek, fd, 0, SEEK_CUR, 0, 0);
}

static ssize_t put(int fd, const void *data, size_t len, uint64_t at)
{
	ssize_t n;

	do
		n = imp_sys(SYS_pwrite64, fd, (long)data, (long)len, (long)at, 0);
	while (n == -EINTR);
	if (n < 0)
		return n;
	return n == (ssize_t)len ? 0 : -EIO;
}

/* With O_APPEND, Linux appends whatever offset pwrite() is given: pwrite(2), "BUGS". */
static long set_flags(int fd, int append)
{
	return imp_sys(SYS_fcntl, fd, F_SETFL, append | O_NONBLOCK, 0, 0);
}

/*
 * Make the last @len bytes that were written a skippable frame: whoever reads the trace passes over it. To overwrite
 * our own bytes disturbs nobody who appends at the same time; to cut the file off could take away what they have
 * written since the last look. It does not grow again either: on a full disk the next write fails with nothing written.
 */
static int void_part(int fd, size_t len)
{
	int64_t start = position(fd) - (int64_t)len;
	uint8_t head[HEAD];
	struct stat st;

	if (!len || start < 0 || fstat(fd, &st) < 0)
		return -ENOSPC;
	if (len < HEAD) { /* too short for one: only if nobody came after us */
		if (st.st_size == start + (int64_t)len)
			imp_sys(SYS_ftruncate, fd, start, 0, 0, 0);
	} else if (st.st_size >= start + (int64_t)len && set_flags(fd, 0) == 0) {
		make_head(head, len);
		put(fd, head, HEAD, (uint64_t)start);
	}
	return -ENOSPC;
}

static int append_at_once(int fd, const void *frame, size_t len, uint64_t *at)
{
	ssize_t n = imp_sys_write(fd, frame, len);

	if (n < 0)
		return (int)n;
	if (n < (ssize_t)len)
		return void_part(fd, (size_t)n);
	if (at)
		*at = (uint64_t)position(fd) - len;
	return 0;
}

/* ---- over a page's edge -------------------------------------------------------------------------- */

/* The bytes @from to @to of the content; one piece, or two. */
static int add_bytes(struct iovec *v, const struct content *c, size_t from, size_t to)
{
	int n = 0;

	if (from < c->len && from < to) {
		size_t end = to < c->len ? to : c->len;

		v[n].iov_base = (void *)(uintptr_t)(c->frame + from);
		v[n++].iov_len = end - from;
		from = end;
	}
	if (from < to) {
		v[n].iov_base = (void *)(uintptr_t)(c->tail + from - c->len);
		v[n++].iov_len = to - from;
	}
	return n;
}

/* The content, with a head in the place of the first bytes on each page; @room: on the first one. */
static ssize_t write_parts(int fd, const struct content *c, size_t room)
{
	struct iovec v[2 * PARTS_MAX + 2];
	uint8_t heads[PARTS_MAX][HEAD];
	size_t from = 0, to = room;
	int n = 0, part = 0;
	ssize_t ret;

	do {
		to = to < c->total ? to : c->total;
		make_head(heads[part], to - from);
		v[n].iov_base = heads[part++];
		v[n++].iov_len = HEAD;
		n += add_bytes(v + n, c, from + HEAD, to);
		from = to;
		to += PAGE;
	} while (from < c->total);
	do
		ret = imp_sys(SYS_writev, fd, (long)v, n, 0, 0);
	while (ret == -EINTR);
	return ret;
}

/*
 * Is what stands at @at the head of our first part? Not where somebody has cut the file off since, or has given our
 * descriptor's number to another one.
 */
static bool is_there(int fd, const struct content *c, size_t room, uint64_t at)
{
	uint8_t want[HEAD], head[HEAD] = {0};

	make_head(want, room < c->total ? room : c->total);
	return imp_sys(SYS_pread64, fd, (long)head, HEAD, (long)at, 0) == HEAD &&
	       memcmp(head, want, HEAD) == 0;
}

/* What the heads stand in the place of; that of the first one comes last. */
static int uncover(int fd, const struct content *c, size_t room, uint64_t at)
{
	ssize_t ret = 0;

	for (size_t from = room; ret == 0 && from < c->total; from += PAGE) {
		uint8_t bytes[HEAD];

		for (size_t i = 0; i < HEAD; i++)
			bytes[i] =
				from + i < c->len ? c->frame[from + i] : c->tail[from + i - c->len];
		ret = put(fd, bytes, HEAD, at + from);
	}
	return (int)(ret ? ret : put(fd, c->frame, HEAD, at));
}

/* Returns 0, a negative errno, or 1: nothing that counts was written, and it can't be done like this. */
static int append_in_parts(int fd, const struct content *c, size_t room, uint64_t *at)
{
	ssize_t n = write_parts(fd, c, room);
	uint8_t head[HEAD];
	int64_t start;

	if (n < 0)
		return 1;
	if (n < (ssize_t)c->total)
		return void_part(fd, (size_t)n);
	start = position(fd) - n;
	if (start < 0)
		return 1;
	if (!is_there(fd, c, room, (uint64_t)start))
		return -ESTALE;
	if (set_flags(fd, 0) < 0)
		return 1;
	make_head(head, c->total);
	if (put(fd, head, HEAD, (uint64_t)start) < 0)
		return set_flags(fd, O_APPEND) < 0 ? -EIO : 1;
	if (at)
		*at = (uint64_t)start;
	/* Where this fails it is lost: to append it once more could have it twice there. */
	return uncover(fd, c, room, (uint64_t)start);
}

int imp_frame_append(int fd, uint64_t size, const void *frame, size_t len, uint64_t *at)
{
	struct content c = {.frame = frame, .len = len, .total = len};
	size_t room = PAGE - size % PAGE, end = (size + len) % PAGE;
	int ret = 1;

	/* On the last page, too, there has to be room for a head: for the last part's, and for the next frame's. */
	if (end && (end < HEAD || end > PAGE - HEAD)) {
		make_head(c.tail, sizeof(c.tail));
		c.total += sizeof(c.tail);
	}
	if (room < HEAD)
		room += PAGE;
	if ((c.total > room || c.total > len) && len >= HEAD && len <= IMP_FRAME_MAX)
		ret = append_in_parts(fd, &c, room, at);
	return ret == 1 ? append_at_once(fd, frame, len, at) : ret;
}
