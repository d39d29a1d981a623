/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_BATCH_H
#define IMP_PRELOAD_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace_format.h"

#define IMP_BATCH_HEAD \
	64 /* bytes kept free for IMP_EV_BATCH, which is known when the batch is written */

/*
 * What has been recorded and not been written yet: encoded items, one behind the other. Times and numbers are
 * spelled by their distance to those before them in the batch (trace_format.h): that is shorter, and much the
 * same from event to event, which compresses well.
 */
struct imp_batch {
	size_t len;	 /* bytes of items */
	uint32_t events; /* strings and notes not counted */
	uint32_t notes;
	uint64_t time_ns; /* of the last item with a time; UINT64_MAX: there is none */
	uint32_t newest;  /* the greatest number of an attempt or call; 0: none */
	uint32_t string;  /* the last string's; 0: none */
	uint8_t bytes[IMP_BATCH_MAX];
};

size_t imp_batch_room(const struct imp_batch *b);

/* imp_batch_add - append an item; false where there is no room */
bool imp_batch_add(struct imp_batch *b, const void *item, size_t len);

/* Where in an event, as it was encoded, something stands whose spelling depends on the batch. */
#define IMP_MARKS_MAX 4
struct imp_marks {
	uint32_t time; /* IMP_KEY_TIME_NS and nine bytes */
	uint32_t count;
	uint32_t number[IMP_MARKS_MAX]; /* five bytes each, in the order in which they stand */
};

/* imp_batch_add_event - the same; what @marks names is spelled anew, never longer than it was */
bool imp_batch_add_event(struct imp_batch *b, const uint8_t *item, size_t len,
			 const struct imp_marks *marks);

/* imp_batch_add_string - an IMP_EV_STRING; false where there is no room */
bool imp_batch_add_string(struct imp_batch *b, uint32_t id, const void *text, size_t len);

/* imp_batch_restart - the next items shall not refer to what stands before them */
void imp_batch_restart(struct imp_batch *b);

/* imp_batch_end, imp_batch_grow - the same for an item that is encoded in its place */
uint8_t *imp_batch_end(struct imp_batch *b);
void imp_batch_grow(struct imp_batch *b, size_t len);

void imp_batch_clear(struct imp_batch *b);

/* imp_batch_finish - put the IMP_EV_BATCH item before the others; returns all, of @len bytes, to be written */
const uint8_t *imp_batch_finish(struct imp_batch *b, const void *head, size_t head_len, size_t *len);

/* imp_batch_keep_strings - drop all but the IMP_EV_STRING items, which later events refer to */
void imp_batch_keep_strings(struct imp_batch *b);

#endif
