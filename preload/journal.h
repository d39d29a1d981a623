/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_JOURNAL_H
#define IMP_PRELOAD_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batch.h"
#include "output.h"
#include "trace_format.h"

/*
 * What must survive a crash: one slot in the trace file, a skippable frame, that is written again and again
 * with what the batch holds. trace_format.h says how it looks.
 *
 * A batch only grows until it is written as a frame. So each write adds a record with what is new, and one
 * that is cut off by SIGKILL takes nothing of what was there before.
 */
struct imp_journal {
	uint64_t payload;  /* its offset in the file; 0: there is no slot yet */
	size_t used;	   /* bytes of the payload, up to the last record's end */
	size_t items;	   /* bytes of the batch's items that are in it; 0: nothing of this batch */
	uint64_t checksum; /* of the last record */
	uint32_t lost;	   /* IMP_KEY_LOST that was written with the batch's head */
};

#define IMP_JOURNAL_BUFFER IMP_JOURNAL_SIZE /* bytes of imp_journal_write()'s @buffer */

/* imp_journal_forget - there is no slot yet: the start of an image */
void imp_journal_forget(struct imp_journal *j);

/* imp_journal_restart - the batch was written or dropped: begin anew */
void imp_journal_restart(struct imp_journal *j);

/* imp_journal_begins - will the next record be a batch's first? @lost: of this image, up to now */
bool imp_journal_begins(const struct imp_journal *j, uint32_t lost);

/*
 * imp_journal_write - put what the batch holds beyond the last time into the slot
 * @head:   where imp_journal_begins(): the IMP_EV_BATCH item that would begin the batch's frame
 * @lost:   what it says of lost events
 *
 * Makes the slot where there is none. Async-signal-safe.
 * Returns 0, -E2BIG where the slot is too small for the batch, or a negative errno of
 * imp_output_append().
 */
int imp_journal_write(struct imp_journal *j, struct imp_output *out, struct imp_batch *b,
		      const void *head, size_t head_len, uint32_t lost, uint8_t *buffer);

#endif
