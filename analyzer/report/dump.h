/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_REPORT_DUMP_H
#define IMP_REPORT_DUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../trace/trace_reader.h"

/*
 * "imptrace dump": an event as it stands in the trace, with names for its numbers and its strings
 * resolved. One walk over the event feeds either of two sinks, so both show the same.
 */
struct imp_dump_sink {
	void (*key)(struct imp_dump_sink *s, const char *name);
	void (*string)(struct imp_dump_sink *s, const char *text);
	void (*number)(struct imp_dump_sink *s, uint64_t value, bool address);
	void (*negative)(struct imp_dump_sink *s, int64_t value);
	void (*boolean)(struct imp_dump_sink *s, bool value);
	void (*null)(struct imp_dump_sink *s);
	void (*open)(struct imp_dump_sink *s, bool object);
	void (*close)(struct imp_dump_sink *s, bool object);
};

/* What of an event does not stand in its own bytes. */
struct imp_dump_context {
	struct imp_texts *texts; /* of its image, as they were when it was read; NULL: the header */
	struct imp_text_maker *maker;
	uint64_t image_ns;
	pid_t pid;
	uint64_t start_ns; /* of the whole trace */
	size_t pid_width;  /* columns, for the text */
};

/* imp_dump_fields - all keys but KIND, TIME_NS, THREAD and PID (dump_walk.c) */
void imp_dump_fields(struct imp_dump_sink *sink, const struct imp_dump_context *c,
		     const struct imp_event *ev);

/* imp_dump_kind - "import_begin"; "kind_77" where it is not known */
const char *imp_dump_kind(const struct imp_event *ev, char *buf, size_t size);
/* imp_dump_pid - the process that the event is about */
pid_t imp_dump_pid(const struct imp_dump_context *c, const struct imp_event *ev);

/* imp_dump_text, imp_dump_json - one line; write errors stay in @out */
void imp_dump_text(FILE *out, const struct imp_dump_context *c, const struct imp_event *ev);
void imp_dump_json(FILE *out, const struct imp_dump_context *c, const struct imp_event *ev);

#endif
