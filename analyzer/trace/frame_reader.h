/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TRACE_FRAME_READER_H
#define IMP_TRACE_FRAME_READER_H

struct ZSTD_DCtx_s;

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/error.h"

/*
 * Reads a concatenation of zstd frames (RFC 8878) from a descriptor, pipes included, one whole frame
 * at a time, in fixed memory. A frame must decompress to at most IMP_BATCH_MAX bytes and carry a
 * content checksum. Behind one that is damaged it goes on at the next frame's magic number.
 * A recorder that is at work writes a frame in steps (preload/frame_append.h): in a regular file it looks twice before
 * it calls something damaged.
 * Of the skippable frames only those are told that are a journal slot with something in it.
 */
struct imp_frame_reader {
	int fd; /* borrowed */
	struct ZSTD_DCtx_s *dctx;
	uint8_t *in; /* what was read and not used yet: @in_len bytes from @in_pos */
	size_t in_pos, in_len;
	bool eof;
	bool any;	 /* a frame was read */
	uint64_t begin;	 /* where in the file reading began, where that is a regular one */
	uint64_t looked; /* up to where what could not be read has been looked at twice */
	int looks;	 /* how often that may still be done */
	uint64_t offset; /* in the file, of in[in_pos] */
	uint8_t *out;
	unsigned int failed; /* places tried in a row where no frame could be read */
};

enum imp_frame_kind {
	IMP_FRAME_END, /* of the file */
	IMP_FRAME_DATA,
	IMP_FRAME_SLOT,	   /* a journal slot: what a batch's frame would hold */
	IMP_FRAME_DAMAGED, /* bytes that are no readable frame; a frame, or the end, follows */
};

struct imp_zframe {
	enum imp_frame_kind kind;
	const uint8_t *data; /* DATA, SLOT: decompressed; valid until the next call */
	size_t len;
	uint64_t offset, size; /* where it stands in the file */
	const char *why;       /* DAMAGED: string constant */
	bool cut;	       /* DAMAGED: the file ends in the middle of a frame */
};

/* imp_frame_reader_open - release with imp_frame_reader_close(), also after an error */
int imp_frame_reader_open(struct imp_frame_reader *r, int fd, struct imp_error *err);
void imp_frame_reader_close(struct imp_frame_reader *r);

/*
 * imp_frame_reader_next - the next frame, or the next damaged stretch
 * Returns 0, or -errno of read(2).
 */
int imp_frame_reader_next(struct imp_frame_reader *r, struct imp_zframe *f, struct imp_error *err);

#endif
