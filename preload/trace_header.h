/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_TRACE_HEADER_H
#define IMP_PRELOAD_TRACE_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace_format.h"

/*
 * The first frame of a trace: it says which run the file belongs to. It is stored raw, so that a process
 * finds the run id at a fixed place, with one read and no decompressor.
 */
#define IMP_TRACE_HEADER_MAX 144 /* bytes of the frame */

struct imp_trace_header {
	uint8_t run_id[IMP_RUN_ID_SIZE];
	pid_t root_pid;	  /* the run's first process */
	uint64_t time_ns; /* CLOCK_MONOTONIC when the file was made */
};

/* imp_trace_header_make - the frame for a file that is made now; returns its length or -EMSGSIZE */
ssize_t imp_trace_header_make(const uint8_t *run_id, pid_t root_pid, uint8_t *frame, size_t size);

/*
 * imp_trace_header_read - read the header of an open file
 *
 * Returns 0; -EBADMSG where it is a trace's, though of a version whose rest we do not know; -EINVAL where it
 * is no trace; or why it can't be read.
 */
int imp_trace_header_read(int fd, struct imp_trace_header *h);

/*
 * imp_trace_header_is - does the open file begin with a header of that run?
 * @seen: IMP_TRACE_HEADER_SEEN bytes, zeros at first: the header's beginning, as it was found to be right
 */
#define IMP_TRACE_HEADER_SEEN 48
bool imp_trace_header_is(int fd, const uint8_t *run_id, uint8_t *seen);

/*
 * imp_trace_run_goes_on - is the run's first process this one, or an ancestor of it that is still alive?
 * false without /proc.
 */
bool imp_trace_run_goes_on(const struct imp_trace_header *h);

#endif
