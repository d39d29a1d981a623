/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_DRAIN_H
#define IMP_ATTACH_DRAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../preload/attach_area.h"
#include "../base/error.h"
#include "../trace/trace_output.h"

/* Takes frames out of the memory that a recorded process shares with us, and appends them to the trace. */
struct imp_drain {
	struct imp_trace_output output;
	bool open;
	uint64_t frames, bytes; /* what was written */
	uint32_t torn;		/* records that a process began and never ended */
	int error;		/* the first write that failed: a negative errno */
};

/*
 * imp_drain_open - begin a trace: its header is written
 * @path: as imp_trace_output_create() takes it
 * @pid:  the process that is recorded, as it calls itself
 * Returns 0 or a negative errno.
 */
int imp_drain_open(struct imp_drain *d, const char *path, pid_t pid, struct imp_error *err);

/* imp_drain_take - write what is in the ring; returns how many frames that were */
unsigned int imp_drain_take(struct imp_drain *d, struct imp_attach_area *area);

/*
 * imp_drain_finish - the same where nobody writes any more: a record that was begun and never ended, by a
 * process that was killed in the middle, is passed over as far as that can be done
 */
void imp_drain_finish(struct imp_drain *d, struct imp_attach_area *area);

/* imp_drain_abandon - nothing was recorded: the file is removed */
void imp_drain_abandon(struct imp_drain *d);

#endif
