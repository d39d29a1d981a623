/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trace_output.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../../preload/trace_header.h"
#include "../base/fd.h"

static int begin_stdout(struct imp_trace_output *o, pid_t root, struct imp_error *err)
{
	uint8_t frame[IMP_TRACE_HEADER_MAX];
	ssize_t len;
	int ret;

	o->to_stdout = true;
	if (getrandom(o->file.run_id, sizeof(o->file.run_id), 0) != (ssize_t)sizeof(o->file.run_id))
		return imp_error_set(err, -errno, "no random number: %s", strerror(errno));
	len = imp_trace_header_make(o->file.run_id, root, frame, sizeof(frame));
	ret = len < 0 ? (int)len : imp_fd_write(STDOUT_FILENO, frame, (size_t)len);
	if (ret < 0)
		return imp_error_set(err, ret, "standard output cannot be written: %s",
				     strerror(-ret));
	return 0;
}

int imp_trace_output_create(struct imp_trace_output *o, const char *path, pid_t root,
			    struct imp_error *err)
{
	const char *why = NULL;
	int ret;

	memset(o, 0, sizeof(*o));
	if (strcmp(path, "-") == 0)
		return begin_stdout(o, root ? root : getpid(), err);
	ret = imp_output_set_path(&o->file, path);
	if (ret == 0)
		ret = root ? imp_output_create_for(&o->file, root, &why) :
			     imp_output_create(&o->file, &why);
	if (ret < 0)
		return imp_error_set(err, ret, "%s: the trace cannot be made: %s", path,
				     why ? why : strerror(-ret));
	return 0;
}

int imp_trace_output_append(struct imp_trace_output *o, const void *frame, size_t len)
{
	return o->to_stdout ? imp_fd_write(STDOUT_FILENO, frame, len) :
			      imp_output_append(&o->file, frame, len);
}
