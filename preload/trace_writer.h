/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_TRACE_WRITER_H
#define IMP_PRELOAD_TRACE_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "batch.h"
#include "frame_writer.h"
#include "journal.h"
#include "output.h"
#include "remark.h"

/*
 * How an image's batches get into its trace: as frames, and before that into the journal slot. What could not
 * be written stays in the batch, and is tried again later. Not locked: the recorder's lock is held.
 */
struct imp_trace_writer {
	pid_t pid; /* with @image_ns: whose batches these are */
	uint64_t image_ns;
	uint32_t seq;
	uint64_t bytes; /* of items, in the frames written so far */
	int failed; /* why the last frame was not written; the batch holds a note of it. 0: it was */
	bool written; /* something of this process has been */
	bool told;    /* the one line on stderr */
	bool moved;   /* as output.moved was when it was last noted */
	uint64_t retry_ns;
	uint64_t journal_retry_ns; /* 0: its last write did not fail */
	dev_t stderr_dev;
	ino_t stderr_ino;
	struct imp_frame_writer frames;
	struct imp_output output;
	struct imp_remark remark;
	struct imp_journal journal;
	uint8_t *frame; /* IMP_FRAME_MAX bytes */
};

/* Why a batch is written. */
enum imp_write_why {
	IMP_WRITE_NOW,	/* what was recorded is to be in the trace */
	IMP_WRITE_KEEP, /* something failed: there will be more of that */
	IMP_WRITE_FULL, /* there is no room for more, in the batch or in the slot */
	IMP_WRITE_LAST, /* there is no later: no waiting after a failure */
};

/*
 * imp_trace_writer_start - the first image of this process
 * @out:   copied
 * @level: zstd's
 * @frame: IMP_FRAME_MAX bytes, for as long as the writer is used
 */
void imp_trace_writer_start(struct imp_trace_writer *w, const struct imp_output *out, int level,
			    uint8_t *frame);

/* imp_trace_writer_begin - a new image: the first one, or that of a child after fork */
void imp_trace_writer_begin(struct imp_trace_writer *w, pid_t pid, uint64_t image_ns);

/* imp_trace_writer_note - put an IMP_EV_NOTE of the recorder's own into the batch */
void imp_trace_writer_note(struct imp_trace_writer *w, struct imp_batch *b, enum imp_note note,
			   int err);

/*
 * imp_trace_writer_write - write the batch as a frame, and clear it
 * @lost: events of this image that were lost up to now
 * Async-signal-safe. Returns 0, also where the batch is empty, or a negative errno: -EAGAIN where a write
 * failed a moment ago.
 */
int imp_trace_writer_write(struct imp_trace_writer *w, struct imp_batch *b, uint32_t lost,
			   enum imp_write_why why);

/*
 * imp_trace_writer_journal - put what the batch holds into the slot
 * A batch that the slot can't hold is written as a frame instead. Async-signal-safe. Returns 0 or a
 * negative errno.
 */
int imp_trace_writer_journal(struct imp_trace_writer *w, struct imp_batch *b, uint32_t lost);

/*
 * imp_trace_writer_keep - what the batch holds is to survive whatever comes
 *
 * In the slot where there is one. A process that has recorded little so far, which may well be all that it
 * ever does, writes a frame instead: that is shorter than a slot.
 */
void imp_trace_writer_keep(struct imp_trace_writer *w, struct imp_batch *b, uint32_t lost);

#endif
