/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_FRAME_WRITER_H
#define IMP_PRELOAD_FRAME_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace_format.h"

/*
 * One batch -> one whole zstd frame: content size in the header, single segment, content checksum.
 *
 * A frame of raw blocks is as good a frame as a compressed one (RFC 8878, section 3.1.1.2), and needs no
 * compression context. That is what short processes write: a third of the start-up cost of a traced program
 * would otherwise be the first touch of zstd's tables (400 kB at level 3).
 */
#define IMP_FRAME_RAW_MAX  12288 /* bytes of a process, in all its batches, before it compresses */
#define IMP_FRAME_OVERHEAD 16	 /* at most: magic 4, descriptor 1, size 4, block 3, checksum 4 */
/* Room for the frame of any batch: ZSTD_COMPRESSBOUND(IMP_BATCH_MAX), rounded up. */
#define IMP_FRAME_MAX (IMP_BATCH_MAX + IMP_BATCH_MAX / 256 + 64)

struct imp_frame_writer {
	int level;	 /* zstd's, 1 to 19 */
	size_t stored;	 /* bytes that imp_frame_compress() has not compressed */
	void *context;	 /* ZSTD_CCtx in @workspace; NULL: none yet */
	void *workspace; /* mmapped */
	size_t workspace_size;
};

#define IMP_FRAME_WRITER_INIT(level_) \
	{                             \
		.level = (level_)     \
	}

/*
 * imp_frame_store - a frame that holds the data as they are
 * @frame, @size: where it goes
 * @data, @len:   1 to IMP_BATCH_MAX bytes
 *
 * Needs no memory beyond @frame and little stack: also for a signal handler's small one.
 * Returns the frame's length, or -EMSGSIZE.
 * Source: RFC 8878, section 3.1.1.
 */
ssize_t imp_frame_store(void *frame, size_t size, const void *data, size_t len);

/*
 * imp_frame_compress - a frame that holds the data compressed
 * @w: its context is made at the first call (one mmap; no malloc)
 *
 * The first IMP_FRAME_RAW_MAX bytes are stored instead: `python3 -c pass` stays below that. So is everything
 * where there is no memory for a context.
 * Returns the frame's length, or -EMSGSIZE.
 */
ssize_t imp_frame_compress(struct imp_frame_writer *w, void *frame, size_t size, const void *data,
			   size_t len);

/* imp_frame_writer_hurry - compress from now on: there will be more than IMP_FRAME_RAW_MAX bytes */
void imp_frame_writer_hurry(struct imp_frame_writer *w);

/*
 * imp_frame_writer_reset - after fork, or when the work was cut off in its middle
 * The context is built anew in the same memory at the next use.
 */
void imp_frame_writer_reset(struct imp_frame_writer *w);

/* imp_frame_writer_clear - give the memory back; @w can be used again */
void imp_frame_writer_clear(struct imp_frame_writer *w);

#endif
