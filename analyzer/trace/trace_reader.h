/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TRACE_TRACE_READER_H
#define IMP_TRACE_TRACE_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "event.h"
#include "frame_queue.h"
#include "record.h"

/*
 * From frames to events: the header, the batches of each process image with their gaps, and its
 * strings. What is missing or damaged becomes a sentence, and reading goes on.
 */
struct imp_trace_image {
	pid_t pid;
	uint64_t image_ns;
	uint64_t next_seq;
	uint64_t missing_batches;
	uint64_t lost;		 /* events that the recorder itself counted as lost */
	struct imp_texts *texts; /* in force now; replaced where the recorder began a new table */
	struct {		 /* its journal, read at the end; NULL: none */
		const uint8_t *data;
		size_t len;
		uint64_t seq, offset;
	} slot;
	void *user; /* of the caller */
};

struct imp_trace_reader {
	const char *name;	    /* of the file, for messages; borrowed */
	struct imp_arena *arena;    /* borrowed: the strings, the sentences, the images */
	struct imp_strings *damage; /* borrowed: sentences are added */
	struct imp_frame_queue frames;
	struct imp_text_maker maker;
	struct imp_id_map image_map;
	IMP_VEC(struct imp_trace_image *) images; /* in the order of the file */
	IMP_VEC(struct imp_texts *) tables;
	bool header_seen;
	int major, minor;
	pid_t root_pid;
	uint64_t realtime_ns, start_ns;
	uint8_t run_id[IMP_RUN_ID_SIZE];
	uint64_t batches;
	uint64_t plain;		  /* bytes of all frames, decompressed */
	const char *stopped;	  /* why nothing more is read; NULL: it goes on */
	uint64_t unsaid;	  /* damages beyond those that are told one by one */
	struct imp_cbor_in batch; /* what is left of the present one */
	uint64_t batch_offset;
	struct imp_batch_state before, state; /* before and behind the item that was read last */
	struct imp_trace_image *image;	      /* whose it is; NULL: between batches */
	size_t slots_read; /* images whose slots have been looked at; the frames are all read */
};

/*
 * imp_trace_open - begin to read
 * Release with imp_trace_close(), also after an error; the strings stay with @arena.
 */
int imp_trace_open(struct imp_trace_reader *t, int fd, const char *name, struct imp_arena *arena,
		   struct imp_strings *damage, struct imp_error *err);
void imp_trace_close(struct imp_trace_reader *t);

/*
 * imp_trace_next - the next event in the order of the file
 *
 * What an image's journal holds, and no frame, comes after all frames: it is the last of that image.
 * The header comes as an event, batches and strings do not. @ev is valid until the next call.
 * Returns 1, 0 at the end, or a negative errno: of read(2), -EBADMSG where this is no trace, -EPROTO
 * where its major version is another.
 */
int imp_trace_next(struct imp_trace_reader *t, struct imp_event *ev, struct imp_error *err);

/* imp_trace_finish - add the sentences that can be said only at the end */
void imp_trace_finish(struct imp_trace_reader *t);
/* imp_trace_forget_texts - no event is looked at any more: the numbers of its strings are not needed */
void imp_trace_forget_texts(struct imp_trace_reader *t);

/* imp_trace_text - the text of an event's field; NULL: absent, or none */
const char *imp_trace_text(struct imp_trace_reader *t, const struct imp_event *ev,
			   const struct imp_cbor_item *item);

#endif
