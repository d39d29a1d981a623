/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "frame_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "../../preload/trace_format.h"
#include "journal_slot.h"

/* A frame of at most IMP_BATCH_MAX bytes that does not compress is this long, headers included. */
#define FRAME_MAX    ((size_t)IMP_BATCH_MAX + 4096)
#define BUFFER_SIZE  (FRAME_MAX * 4)
#define MAGIC_SIZE   4
#define HAS_CHECKSUM 0x04 /* in the frame header descriptor, which follows the magic number */
#define PATIENCE     64	  /* false starts before the search takes larger steps */
#define LEAD_MAX \
	(64u << 20) /* bytes before the first frame: then it is no trace, also of a device without end */
#define LOOKS 16 /* of a trace that is being written only the end changes */

int imp_frame_reader_open(struct imp_frame_reader *r, int fd, struct imp_error *err)
{
	struct stat st;
	off_t begin;

	memset(r, 0, sizeof(*r));
	r->fd = fd;
	begin = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
	if (begin >= 0) {
		r->begin = (uint64_t)begin;
		r->looks = LOOKS;
	}
	r->dctx = ZSTD_createDCtx();
	r->in = malloc(BUFFER_SIZE);
	r->out = malloc(IMP_BATCH_MAX);
	if (!r->dctx || !r->in || !r->out)
		return imp_error_set(err, -ENOMEM, "out of memory");
	return 0;
}

void imp_frame_reader_close(struct imp_frame_reader *r)
{
	ZSTD_freeDCtx(r->dctx);
	free(r->in);
	free(r->out);
	memset(r, 0, sizeof(*r));
}

/* Makes a whole frame available, unless the file ends before. */
static int fill(struct imp_frame_reader *r, struct imp_error *err)
{
	if (r->in_len >= FRAME_MAX || r->eof)
		return 0;
	memmove(r->in, r->in + r->in_pos, r->in_len);
	r->in_pos = 0;
	while (r->in_len < BUFFER_SIZE) {
		ssize_t n = read(r->fd, r->in + r->in_len, BUFFER_SIZE - r->in_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return imp_error_set(err, -errno, "cannot be read: %s", strerror(errno));
		if (n == 0) {
			r->eof = true;
			break;
		}
		r->in_len += (size_t)n;
	}
	return 0;
}

static void consume(struct imp_frame_reader *r, size_t n)
{
	r->in_pos += n;
	r->in_len -= n;
	r->offset += n;
}

static uint32_t magic_at(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool is_skippable(uint32_t magic)
{
	return (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

/* Does a frame (or the end of the file) follow after @n bytes? Then they may be passed over as one. */
static bool frame_follows(const struct imp_frame_reader *r, size_t n)
{
	uint32_t magic;

	if (n == r->in_len)
		return r->eof;
	if (r->in_len - n < MAGIC_SIZE)
		return false;
	magic = magic_at(r->in + r->in_pos + n);
	return magic == ZSTD_MAGICNUMBER || is_skippable(magic);
}

static const char *why_unreadable(size_t code)
{
	switch (ZSTD_getErrorCode(code)) {
	case ZSTD_error_checksum_wrong: return "a frame's checksum is wrong";
	case ZSTD_error_dstSize_tooSmall: return "a frame holds more than imptrace writes";
	default: return "a frame is malformed";
	}
}

/*
 * The frame at the start of the buffer. Returns its size; 0 where there is none that can be read (@f->why
 * says why; @extent tells how much of it belongs together, 0: unknown).
 */
static size_t read_frame(struct imp_frame_reader *r, struct imp_zframe *f, size_t *extent)
{
	const uint8_t *p = r->in + r->in_pos;
	size_t avail = r->in_len < FRAME_MAX ? r->in_len : FRAME_MAX, size, n;

	*extent = 0;
	f->cut = false;
	if (r->in_len < MAGIC_SIZE) {
		f->why = "the file ends in the middle of a frame";
		f->cut = true;
		return 0;
	}
	if (magic_at(p) != ZSTD_MAGICNUMBER && !is_skippable(magic_at(p))) {
		f->why = "no zstd frame begins here";
		return 0;
	}
	size = ZSTD_findFrameCompressedSize(p, avail);
	if (ZSTD_isError(size)) {
		f->cut = ZSTD_getErrorCode(size) == ZSTD_error_srcSize_wrong && avail == r->in_len;
		f->why = f->cut ? "the file ends in the middle of a frame" :
				  "a frame is malformed, or larger than imptrace writes them";
		return 0;
	}
	*extent = size;
	if (is_skippable(magic_at(p))) {
		n = imp_journal_slot_read(p, size, r->out, IMP_BATCH_MAX);
		if (n) {
			f->kind = IMP_FRAME_SLOT;
			f->data = r->out;
			f->len = n;
		}
		return size;
	}
	if (!(p[MAGIC_SIZE] & HAS_CHECKSUM)) {
		f->why = "a frame has no checksum";
		return 0;
	}
	n = ZSTD_decompressDCtx(r->dctx, r->out, IMP_BATCH_MAX, p, size);
	if (ZSTD_isError(n)) {
		f->why = why_unreadable(n);
		return 0;
	}
	f->kind = IMP_FRAME_DATA;
	f->data = r->out;
	f->len = n;
	return size;
}

/* Goes to the next magic number behind the place that could not be read. */
static int resynchronise(struct imp_frame_reader *r, size_t extent, struct imp_error *err)
{
	size_t step = 1;

	/*
	 * Each false start costs up to FRAME_MAX bytes of looking. Real damage has few; a file that was
	 * made to have one every few bytes is gone through in ever larger steps.
	 */
	if (++r->failed > PATIENCE)
		step += (size_t)(r->failed - PATIENCE) * 64;
	if (extent && frame_follows(r, extent)) {
		consume(r, extent);
		return 0;
	}
	consume(r, step < r->in_len ? step : r->in_len);
	for (;;) {
		static const uint8_t magic[MAGIC_SIZE] = {0x28, 0xb5, 0x2f, 0xfd};
		const uint8_t *p = r->in + r->in_pos, *hit = memmem(p, r->in_len, magic, MAGIC_SIZE);
		int ret;

		if (hit) {
			consume(r, (size_t)(hit - p));
			return 0;
		}
		if (r->eof || (!r->any && r->offset > LEAD_MAX)) {
			r->eof = true;
			consume(r, r->in_len);
			return 0;
		}
		/* The last bytes may be the start of one. */
		if (r->in_len >= MAGIC_SIZE)
			consume(r, r->in_len - (MAGIC_SIZE - 1));
		ret = fill(r, err);
		if (ret < 0)
			return ret;
	}
}

/*
 * Once for each place, what was passed over since the frame at @from is read anew: what could not be read may be the
 * second part of a frame that was being written, its first part a skippable one a moment ago. The recorder had
 * gone on from there before, so the second look finds the whole frame, or a skippable one in its place.
 */
static bool look_again(struct imp_frame_reader *r, uint64_t from)
{
	if (!r->looks || r->offset < r->looked || r->offset - from > BUFFER_SIZE ||
	    lseek(r->fd, (off_t)(r->begin + from), SEEK_SET) < 0)
		return false;
	r->looks--;
	r->looked = r->offset + 1;
	r->in_pos = r->in_len = 0;
	r->offset = from;
	r->eof = false;
	return true;
}

int imp_frame_reader_next(struct imp_frame_reader *r, struct imp_zframe *f, struct imp_error *err)
{
	struct imp_zframe tried;
	uint64_t from = r->offset, start = 0;
	bool damaged = false;
	size_t size, extent;
	int ret;

	memset(f, 0, sizeof(*f));
	for (;;) {
		ret = fill(r, err);
		if (ret < 0)
			return ret;
		if (!r->in_len)
			break;
		memset(&tried, 0, sizeof(tried));
		tried.kind = IMP_FRAME_DAMAGED;
		size = read_frame(r, &tried, &extent);
		if (size && damaged)
			break; /* told first; the frame is read again at the next call */
		if (size) {
			tried.offset = r->offset;
			tried.size = size;
			consume(r, size);
			if (tried.kind == IMP_FRAME_DAMAGED)
				continue; /* a skippable frame */
			r->failed = 0;
			r->any = true;
			*f = tried;
			return 0;
		}
		if (!damaged) {
			if (look_again(r, from))
				continue;
			damaged = true;
			start = r->offset;
			*f = tried;
			f->offset = start;
		}
		ret = resynchronise(r, extent, err);
		if (ret < 0)
			return ret;
	}
	if (!damaged)
		return 0;
	f->size = r->offset - start;
	if (f->cut && r->in_len) {
		f->cut = false; /* it is not the last one */
		f->why = "a frame is malformed";
	}
	return 0;
}
