/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_OUTPUT_H
#define IMP_PRELOAD_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace_format.h"
#include "trace_header.h"

/*
 * The trace file: where it is, whether it is ours, and how something is appended to it.
 *
 * No descriptor is kept: the program may close, inherit or reuse any. Each append opens the file anew,
 * compares the run id in its header, writes one whole frame and closes it.
 */
#define IMP_OUTPUT_PATH_MAX 4096
#define IMP_OUTPUT_OLD	    ".old" /* what an older trace's name gets */
#define IMP_OUTPUT_DEFAULT  "trace.zst"

/* The run that this process belongs to, handed down in the environment: ID:ROOT PID:PATH */
#define IMP_RUN_VARIABLE   "IMPTRACE_RUN"
#define IMP_RUN_OFF	   "off" /* the first process could not make a trace: its children are quiet */
#define IMP_RUN_MARKER_MAX (2 * IMP_RUN_ID_SIZE + 16 + IMP_OUTPUT_PATH_MAX)

struct imp_attach_area; /* attach_area.h */

struct imp_output {
	uint8_t run_id[IMP_RUN_ID_SIZE];
	/* Where frames go after an attach; nothing else of this counts then. NULL: to the file. */
	struct imp_attach_area *area;
	pid_t root_pid;	  /* the run's first process */
	bool per_process; /* the path holds %p: each process its own file */
	bool known;	  /* @dev and @ino are those of our file */
	bool moved;	  /* it has become NAME.old */
	bool foreign;	  /* it is not this process's user who owns it */
	dev_t dev;
	ino_t ino;
	uint8_t head[IMP_TRACE_HEADER_SEEN]; /* the file's, once it was found to be ours */
	char path[IMP_OUTPUT_PATH_MAX]; /* absolute; "%p": the process id, "%%": a percent sign */
	/* File names while they are used: the stack of a signal handler is small. */
	char scratch[IMP_OUTPUT_PATH_MAX + 32];
	char old[IMP_OUTPUT_PATH_MAX + 32];
};

/*
 * imp_output_set_path - where the trace shall go
 * @path: absolute, or relative to the working directory
 * Returns 0, -ENAMETOOLONG, or why there is no working directory (-ENOENT).
 */
int imp_output_set_path(struct imp_output *out, const char *path);

/*
 * imp_output_create - begin a run: make the trace with its header
 * @out: its path is set
 * @why: set to a sentence's end for people, where there is one beyond the error's name; else NULL
 *
 * An older trace is renamed to NAME.old. Only a regular file that this user owns, and that is a trace or
 * empty, is moved, and only such a one is replaced. Nothing goes through a symbolic link; mode 0600
 * whatever the umask.
 *
 * Where the file that is there belongs to a run whose first process is this one or a live ancestor of it,
 * the variable was lost on the way (env -i), and @out joins that run.
 *
 * Returns 0, 1 (joined), or a negative errno.
 */
int imp_output_create(struct imp_output *out, const char **why);

/* imp_output_create_for - the same for a run whose first process is another one; joins no other run */
int imp_output_create_for(struct imp_output *out, pid_t root_pid, const char **why);

/* imp_output_name - the file's name as this process sees it, for messages; NULL: too long */
const char *imp_output_name(struct imp_output *out);
/* imp_output_old_name - the same with IMP_OUTPUT_OLD behind it */
const char *imp_output_old_name(struct imp_output *out);

/*
 * imp_output_join - take part in the run that the variable's value names
 * The file is looked at when something is appended. Returns 0 or -EINVAL.
 */
int imp_output_join(struct imp_output *out, const char *marker);

/* imp_output_marker - the variable's value, with a NUL; its length, or 0 where @size is too small */
size_t imp_output_marker(const struct imp_output *out, char *marker, size_t size);

/* imp_output_after_fork - the child of a run with %p has a file of its own, made at its first append */
void imp_output_after_fork(struct imp_output *out);

/*
 * imp_output_append - append one whole frame
 *
 * All or nothing: what a full disk or SIGKILL cut short is a skippable frame, so that the trace stays
 * valid, also while other processes append to it (frame_append.h says how far). Never raises SIGXFSZ.
 * Sets @out->moved where the file has been moved to NAME.old and was followed there.
 *
 * Async-signal-safe. Returns 0 or a negative errno: -ESTALE where another file is in the trace's place,
 * -EFBIG where RLIMIT_FSIZE stands against it. Of an attach: as imp_attach_ring_append().
 */
int imp_output_append(struct imp_output *out, const void *frame, size_t len);

/* imp_output_append_at - the same; @at is set to the frame's offset in the file */
int imp_output_append_at(struct imp_output *out, const void *frame, size_t len, uint64_t *at);

/*
 * imp_output_overwrite - write a part of a frame of this process anew
 * @at: where in the file, inside of what imp_output_append_at() has appended
 *
 * Looks at the file as imp_output_append() does. Of a write that is cut short, a part is done.
 * Async-signal-safe. Returns 0 or a negative errno.
 */
int imp_output_overwrite(struct imp_output *out, uint64_t at, const void *data, size_t len);

#endif
