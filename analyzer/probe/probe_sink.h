/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_SINK_H
#define IMP_PROBE_PROBE_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../preload/cbor_put.h"
#include "../../preload/frame_writer.h"
#include "../base/error.h"
#include "../base/strbuf.h"
#include "../trace/trace_output.h"

/*
 * Where the probe's events go: one batch after the other of each process image (a stream), in the recorder's
 * format, into one trace file.
 *
 * Beside a preloaded recorder, that one makes the file. Until it has done so, frames are kept here.
 */
struct imp_probe_sink {
	struct imp_trace_output output;
	bool open;		/* @output is known: append */
	uint64_t bytes;		/* written */
	struct imp_strbuf kept; /* frames that wait for the file, each with its length in front */
	uint64_t dropped;	/* bytes of frames that found no room there */
	struct imp_frame_writer writer;
	int err; /* of the first frame that could not be written */
	uint8_t frame[IMP_FRAME_MAX];
	uint8_t item[IMP_ITEM_MAX];
};

struct imp_probe_stream {
	struct imp_probe_sink *sink; /* borrowed */
	pid_t pid;
	uint64_t image_ns; /* CLOCK_MONOTONIC */
	uint64_t seq, lost;
	struct imp_strbuf items;
	struct imp_cbor c; /* the event that is being put together */
};

/*
 * imp_probe_sink_create - make the trace file; an older one becomes NAME.old
 * @output: "-" is standard output
 * @root: the run's first process; 0: this one
 * @uid, @gid: whose it is to be
 */
int imp_probe_sink_create(struct imp_probe_sink *s, const char *output, pid_t root, uid_t uid,
			  gid_t gid, struct imp_error *err);

/* imp_probe_sink_join - the trace file is there: append what was kept, and from now on directly */
void imp_probe_sink_join(struct imp_probe_sink *s, const char *path, const uint8_t *run_id,
			 pid_t root_pid);
void imp_probe_sink_clear(struct imp_probe_sink *s);

void imp_probe_stream_init(struct imp_probe_stream *st, struct imp_probe_sink *sink, pid_t pid,
			   uint64_t image_ns);

/*
 * imp_probe_stream_begin - begin an event; its keys are put into the encoder that is returned
 * imp_probe_stream_end - it is complete; what is too large for the format counts as lost
 */
struct imp_cbor *imp_probe_stream_begin(struct imp_probe_stream *st, unsigned int kind,
					uint64_t time_ns, pid_t tid);
void imp_probe_stream_end(struct imp_probe_stream *st);
void imp_probe_stream_flush(struct imp_probe_stream *st);
void imp_probe_stream_clear(struct imp_probe_stream *st);

/* One pair of an event, or of a map within it; a text is cut at IMP_TEXT_MAX. */
void imp_probe_put_uint(struct imp_cbor *c, unsigned int key, uint64_t value);
void imp_probe_put_int(struct imp_cbor *c, unsigned int key, int64_t value);
void imp_probe_put_bool(struct imp_cbor *c, unsigned int key, bool value);
void imp_probe_put_text(struct imp_cbor *c, unsigned int key, const char *text);
void imp_probe_put_bytes(struct imp_cbor *c, unsigned int key, const char *text, size_t len);
/* A value alone: of a list. */
void imp_probe_value(struct imp_cbor *c, const char *text, size_t len);

#endif
