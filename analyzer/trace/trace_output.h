/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TRACE_TRACE_OUTPUT_H
#define IMP_TRACE_TRACE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../../preload/output.h"
#include "../base/error.h"

/* A trace that the command itself writes: into a file, as the recorder would, or to standard output. */
struct imp_trace_output {
	struct imp_output file; /* its run id is the trace's, also on standard output */
	bool to_stdout;
};

/*
 * imp_trace_output_create - begin a trace: its header is written
 * @path: may hold "%p"; "-": standard output. An older trace of that name is moved to NAME.old.
 * @root: the run's first process; 0: this one, which may join a run that goes on (imp_output_create())
 * Returns 0 or a negative errno, with @err set.
 */
int imp_trace_output_create(struct imp_trace_output *o, const char *path, pid_t root,
			    struct imp_error *err);

/* imp_trace_output_append - one whole frame. Returns 0 or a negative errno. */
int imp_trace_output_append(struct imp_trace_output *o, const void *frame, size_t len);

#endif
