/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../preload/cbor_put.h"
#include "../../preload/frame_writer.h"
#include "../../preload/output.h"
#include "../base/fd.h"
#include "../trace/trace_reader.h"

/* Reads the header of the file at t->path; 0 where it begins a trace that is no older than @since_ns. */
static int read_header(struct imp_run_trace *t, uint64_t since_ns)
{
	struct imp_strings damage = {0};
	struct imp_arena arena = {0};
	struct imp_trace_reader reader;
	struct imp_event *ev;
	struct stat st;
	int fd, ret;

	fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -ENOENT;
	/* The recorder writes into no other; to read from a terminal would take what was typed. */
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOENT;
	}
	ev = imp_arena_alloc(&arena, sizeof(*ev));
	ret = imp_trace_open(&reader, fd, t->path, &arena, &damage, NULL);
	if (ret == 0)
		ret = imp_trace_next(&reader, ev, NULL);
	ret = ret == 1 && reader.header_seen && reader.realtime_ns >= since_ns ? 0 : -ENOENT;
	if (ret == 0) {
		memcpy(t->run_id, reader.run_id, sizeof(t->run_id));
		t->root_pid = reader.root_pid;
	}
	imp_trace_close(&reader);
	imp_arena_clear(&arena);
	close(fd);
	return ret;
}

static int expand(struct imp_run_trace *t, const char *pattern, pid_t pid, const char *suffix)
{
	size_t len = 0, room = sizeof(t->path);
	int n;

	for (; *pattern && len + 1 < room; pattern++) {
		if (pattern[0] == '%' && pattern[1] == 'p') {
			n = snprintf(t->path + len, room - len, "%d", (int)pid);
			len += (size_t)n;
			pattern++;
		} else {
			t->path[len++] = *pattern;
		}
	}
	if (len + strlen(suffix) >= room)
		return -ENAMETOOLONG;
	memcpy(t->path + len, suffix, strlen(suffix) + 1);
	return 0;
}

int imp_run_trace_find(struct imp_run_trace *t, const char *pattern, pid_t pid, uint64_t since_ns)
{
	int ret;

	memset(t, 0, sizeof(*t));
	ret = expand(t, pattern, pid, "");
	if (ret == 0)
		ret = read_header(t, since_ns);
	if (ret == 0)
		return 0;
	/* Another run that began meanwhile has moved it. */
	ret = expand(t, pattern, pid, IMP_OUTPUT_OLD);
	return ret == 0 ? read_header(t, since_ns) : ret;
}

static uint64_t now_ns(void)
{
	struct timespec now = {0, 0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void put(struct imp_cbor *c, enum imp_key key, uint64_t value)
{
	imp_cbor_uint(c, key);
	imp_cbor_uint(c, value);
}

int imp_run_trace_add_end(const struct imp_run_trace *t, const struct imp_run_result *result,
			  uint64_t began_ns)
{
	uint8_t items[256], frame[sizeof(items) + IMP_FRAME_OVERHEAD];
	struct imp_output out;
	struct imp_cbor c;
	ssize_t len;
	size_t i, n = 0;

	imp_cbor_init(&c, items, sizeof(items));
	imp_cbor_map_begin(&c);
	put(&c, IMP_KEY_KIND, IMP_EV_BATCH);
	put(&c, IMP_KEY_PID, (uint64_t)getpid());
	put(&c, IMP_KEY_IMAGE_NS, began_ns);
	put(&c, IMP_KEY_SEQ, 0);
	put(&c, IMP_KEY_LOST, 0);
	imp_cbor_map_end(&c);
	imp_cbor_map_begin(&c);
	put(&c, IMP_KEY_KIND, IMP_EV_WAIT);
	put(&c, IMP_KEY_TIME_NS, now_ns() - began_ns);
	put(&c, IMP_KEY_PID, (uint64_t)result->pid);
	if (result->signal)
		put(&c, IMP_KEY_SIGNAL, (uint64_t)result->signal);
	else
		put(&c, IMP_KEY_CODE, (uint64_t)result->code);
	imp_cbor_map_end(&c);
	if (c.overflow)
		return -EMSGSIZE;
	len = imp_frame_store(frame, sizeof(frame), items, c.len);
	if (len < 0)
		return (int)len;
	memset(&out, 0, sizeof(out));
	memcpy(out.run_id, t->run_id, sizeof(out.run_id));
	out.root_pid = t->root_pid;
	/* A file name, not a pattern: a percent sign in it stands for itself. */
	for (i = 0; t->path[i] && n + 2 < sizeof(out.path); i++) {
		out.path[n++] = t->path[i];
		if (t->path[i] == '%')
			out.path[n++] = '%';
	}
	if (t->path[i])
		return -ENAMETOOLONG;
	return imp_output_append(&out, frame, (size_t)len);
}

int imp_run_trace_copy(const struct imp_run_trace *t, int fd, struct imp_error *err)
{
	char buf[65536];
	ssize_t n;
	int from = open(t->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), ret = 0;

	if (from < 0)
		return imp_error_set(err, -errno, "%s: cannot be opened: %s", t->path,
				     strerror(errno));
	while (ret == 0 && (n = read(from, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			ret = imp_error_set(err, -errno, "%s: cannot be read: %s", t->path,
					    strerror(errno));
			break;
		}
		ret = imp_fd_write(fd, buf, (size_t)n);
		if (ret < 0)
			imp_error_set(err, ret, "the trace cannot be written: %s", strerror(-ret));
	}
	close(from);
	return ret;
}
