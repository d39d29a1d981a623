/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_sink.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BATCH_FULL (IMP_BATCH_MAX - 256) /* the batch's own item goes in front */
#define KEPT_MAX   (64u << 20)
#define LEVEL	   3

/* ---- the file ------------------------------------------------------------------------------------ */

int imp_probe_sink_create(struct imp_probe_sink *s, const char *output, pid_t root, uid_t uid,
			  gid_t gid, struct imp_error *err)
{
	int ret = imp_trace_output_create(&s->output, output, root, err);
	const char *name;

	if (ret < 0)
		return ret;
	name = s->output.to_stdout ? NULL : imp_output_name(&s->output.file);
	/* Made by root for somebody else; where that fails, root can still read it. */
	if (uid != geteuid() && name && lchown(name, uid, gid) < 0)
		s->err = -errno;
	s->open = true;
	return 0;
}

static void append(struct imp_probe_sink *s, const void *frame, size_t len)
{
	int ret = imp_trace_output_append(&s->output, frame, len);

	if (ret == 0)
		s->bytes += len;
	else if (!s->err)
		s->err = ret;
}

static void keep(struct imp_probe_sink *s, const void *frame, size_t len)
{
	uint32_t size = (uint32_t)len;

	if (s->kept.len + len + sizeof(size) > KEPT_MAX) {
		s->dropped += len;
		return;
	}
	imp_strbuf_add(&s->kept, &size, sizeof(size));
	imp_strbuf_add(&s->kept, frame, len);
}

void imp_probe_sink_join(struct imp_probe_sink *s, const char *path, const uint8_t *run_id,
			 pid_t root_pid)
{
	struct imp_output *file = &s->output.file;
	size_t at = 0, n = 0;
	uint32_t size;

	memset(&s->output, 0, sizeof(s->output));
	memcpy(file->run_id, run_id, IMP_RUN_ID_SIZE);
	file->root_pid = root_pid;
	/* A file name, not a pattern: a percent sign in it stands for itself. */
	for (; *path && n + 3 < sizeof(file->path); path++) {
		file->path[n++] = *path;
		if (*path == '%')
			file->path[n++] = '%';
	}
	s->open = true;
	while (s->kept.len - at > sizeof(size)) {
		memcpy(&size, s->kept.s + at, sizeof(size));
		append(s, s->kept.s + at + sizeof(size), size);
		at += sizeof(size) + size;
	}
	imp_strbuf_clear(&s->kept);
}

void imp_probe_sink_clear(struct imp_probe_sink *s)
{
	imp_strbuf_clear(&s->kept);
	imp_frame_writer_clear(&s->writer);
}

/* ---- a stream ------------------------------------------------------------------------------------ */

void imp_probe_stream_init(struct imp_probe_stream *st, struct imp_probe_sink *sink, pid_t pid,
			   uint64_t image_ns)
{
	memset(st, 0, sizeof(*st));
	st->sink = sink;
	st->pid = pid;
	st->image_ns = image_ns;
}

void imp_probe_stream_flush(struct imp_probe_stream *st)
{
	struct imp_probe_sink *s = st->sink;
	uint8_t data[IMP_BATCH_MAX];
	struct imp_cbor c;
	ssize_t len;

	if (!st->items.len)
		return;
	imp_cbor_init(&c, data, sizeof(data));
	imp_cbor_map_begin(&c);
	imp_probe_put_uint(&c, IMP_KEY_KIND, IMP_EV_BATCH);
	imp_probe_put_uint(&c, IMP_KEY_PID, (uint64_t)st->pid);
	imp_probe_put_uint(&c, IMP_KEY_IMAGE_NS, st->image_ns);
	imp_probe_put_uint(&c, IMP_KEY_SEQ, st->seq++);
	imp_probe_put_uint(&c, IMP_KEY_LOST, st->lost);
	imp_cbor_map_end(&c);
	memcpy(data + c.len, st->items.s, st->items.len); /* BATCH_FULL leaves room */
	s->writer.level = LEVEL;
	len = imp_frame_compress(&s->writer, s->frame, sizeof(s->frame), data,
				 c.len + st->items.len);
	imp_strbuf_reset(&st->items);
	if (len < 0)
		s->err = s->err ? s->err : (int)len;
	else if (s->open)
		append(s, s->frame, (size_t)len);
	else
		keep(s, s->frame, (size_t)len);
}

struct imp_cbor *imp_probe_stream_begin(struct imp_probe_stream *st, unsigned int kind,
					uint64_t time_ns, pid_t tid)
{
	struct imp_cbor *c = &st->c;

	imp_cbor_init(c, st->sink->item, sizeof(st->sink->item));
	imp_cbor_map_begin(c);
	imp_probe_put_uint(c, IMP_KEY_KIND, kind);
	imp_probe_put_uint(c, IMP_KEY_TIME_NS, time_ns > st->image_ns ? time_ns - st->image_ns : 0);
	if (tid != st->pid)
		imp_probe_put_uint(c, IMP_KEY_THREAD, (uint64_t)tid);
	return c;
}

void imp_probe_stream_end(struct imp_probe_stream *st)
{
	imp_cbor_map_end(&st->c);
	if (st->c.overflow) {
		st->lost++;
		return;
	}
	if (st->items.len + st->c.len > BATCH_FULL)
		imp_probe_stream_flush(st);
	imp_strbuf_add(&st->items, st->sink->item, st->c.len);
}

void imp_probe_stream_clear(struct imp_probe_stream *st)
{
	imp_strbuf_clear(&st->items);
}

/* ---- values -------------------------------------------------------------------------------------- */

void imp_probe_put_uint(struct imp_cbor *c, unsigned int key, uint64_t value)
{
	imp_cbor_uint(c, key);
	imp_cbor_uint(c, value);
}

void imp_probe_put_int(struct imp_cbor *c, unsigned int key, int64_t value)
{
	imp_cbor_uint(c, key);
	imp_cbor_int(c, value);
}

void imp_probe_put_bool(struct imp_cbor *c, unsigned int key, bool value)
{
	imp_cbor_uint(c, key);
	imp_cbor_bool(c, value);
}

void imp_probe_value(struct imp_cbor *c, const char *text, size_t len)
{
	static const char cut[] = IMP_TEXT_CUT;
	size_t before = c->len;

	imp_cbor_bytes(c, text, len < IMP_TEXT_MAX ? len : IMP_TEXT_MAX);
	if (len > IMP_TEXT_MAX && !c->overflow && c->len > before)
		memcpy(c->buf + c->len - (sizeof(cut) - 1), cut, sizeof(cut) - 1);
}

void imp_probe_put_bytes(struct imp_cbor *c, unsigned int key, const char *text, size_t len)
{
	imp_cbor_uint(c, key);
	imp_probe_value(c, text, len);
}

void imp_probe_put_text(struct imp_cbor *c, unsigned int key, const char *text)
{
	if (text)
		imp_probe_put_bytes(c, key, text, strlen(text));
}
