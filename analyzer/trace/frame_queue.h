/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TRACE_FRAME_QUEUE_H
#define IMP_TRACE_FRAME_QUEUE_H

#include <pthread.h>

#include "frame_reader.h"

/*
 * The frames of a trace in their order. In a long file a second thread reads and decompresses ahead: that is a quarter
 * of all the work. It never waits for data that is still to come: what is no regular file is read without it.
 */
#define IMP_QUEUE_SLOTS 16

struct imp_queue_slot {
	struct imp_zframe frame;
	uint8_t *data;	 /* IMP_BATCH_MAX bytes; NULL: not needed so far */
	uint64_t offset; /* in the file, behind this frame */
	int ret;
	struct imp_error err;
};

struct imp_frame_queue {
	struct imp_frame_reader reader; /* of the thread, while it runs */
	struct imp_queue_slot slots[IMP_QUEUE_SLOTS];
	unsigned int frames; /* read before there was a thread */
	bool regular, running, failed;
	bool taken;	 /* the frame that was given last lies in the slot at @first */
	uint64_t offset; /* in the file, behind the last frame that was given */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int first, n; /* under the lock: filled slots */
	bool stop;	       /* the same */
};

/* imp_frame_queue_open - release with imp_frame_queue_close(), also after an error */
int imp_frame_queue_open(struct imp_frame_queue *q, int fd, struct imp_error *err);
void imp_frame_queue_close(struct imp_frame_queue *q);

/* imp_frame_queue_next - as imp_frame_reader_next() */
int imp_frame_queue_next(struct imp_frame_queue *q, struct imp_zframe *f, struct imp_error *err);

#endif
