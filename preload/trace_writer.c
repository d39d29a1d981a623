/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trace_writer.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "cbor_put.h"
#include "raw_syscall.h"
#include "recorder.h"

#include "poison.h"

#define STORED_MAX	  1024 /* see make_frame(), also for the next */
#define STORED_AT_END_MAX 32768
#define SHORT_MAX	  12288	   /* bytes of items: see imp_trace_writer_keep() */
#define RETRY_NS	  50000000 /* after a write that failed */

void imp_trace_writer_start(struct imp_trace_writer *w, const struct imp_output *out, int level,
			    uint8_t *frame)
{
	struct stat st;

	w->output = *out;
	w->moved = out->moved;
	w->frames.level = level;
	w->frame = frame;
	w->told = false;
	if (fstat(2, &st) == 0) {
		w->stderr_dev = st.st_dev;
		w->stderr_ino = st.st_ino;
	} else {
		w->told = true; /* nobody to tell */
	}
}

void imp_trace_writer_begin(struct imp_trace_writer *w, pid_t pid, uint64_t image_ns)
{
	w->pid = pid;
	w->image_ns = image_ns;
	w->seq = 0;
	w->bytes = 0;
	w->written = false;
	w->failed = 0;
	w->journal_retry_ns = 0;
	imp_journal_forget(&w->journal);
	imp_frame_writer_reset(&w->frames);
}

void imp_trace_writer_note(struct imp_trace_writer *w, struct imp_batch *b, enum imp_note note,
			   int err)
{
	uint64_t after_ns = imp_now_ns() - w->image_ns;
	struct imp_marks marks = {0};
	uint8_t item[48];
	struct imp_cbor c;

	imp_cbor_init(&c, item, sizeof(item));
	imp_cbor_map_begin(&c);
	imp_put_uint(&c, IMP_KEY_KIND, IMP_EV_NOTE);
	marks.time = (uint32_t)c.len;
	imp_cbor_uint(&c, IMP_KEY_TIME_NS);
	imp_cbor_wide8(&c, after_ns - after_ns % IMP_TIME_STEP_NS);
	imp_put_uint(&c, IMP_KEY_NOTE, note);
	if (err)
		imp_put_uint(&c, IMP_KEY_ERRNO, (uint64_t)-err);
	imp_cbor_map_end(&c);
	if (!c.overflow && imp_batch_add_event(b, item, c.len, &marks))
		b->notes++;
}

/* Only where the trace of this process can't tell, and descriptor 2 is what it was at the start. */
static void tell_once(struct imp_trace_writer *w, int err)
{
	const char *name;
	struct stat st;

	if (w->told || w->written)
		return;
	w->told = true;
	if (fstat(2, &st) < 0 || st.st_dev != w->stderr_dev || st.st_ino != w->stderr_ino)
		return;
	imp_remark_begin(&w->remark);
	name = imp_output_name(&w->output);
	imp_remark_add(&w->remark, name ? name : w->output.path);
	imp_remark_add(&w->remark, ": ");
	imp_remark_add_error(&w->remark, err);
	imp_remark_add(&w->remark, "; this process is not recorded");
	imp_remark_write(&w->remark);
}

/* A handler's own stack may be no larger than a few kilobytes: too small for the compressor. */
static bool on_signal_stack(void)
{
	stack_t stack;

	return sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_ONSTACK);
}

/* The item that begins the batch. */
static size_t make_head(const struct imp_trace_writer *w, uint8_t *head, uint32_t lost)
{
	struct imp_cbor c;

	imp_cbor_init(&c, head, IMP_BATCH_HEAD);
	imp_cbor_map_begin(&c);
	imp_put_uint(&c, IMP_KEY_KIND, IMP_EV_BATCH);
	imp_put_uint(&c, IMP_KEY_PID, (uint64_t)w->pid);
	imp_put_uint(&c, IMP_KEY_IMAGE_NS, w->image_ns);
	imp_put_uint(&c, IMP_KEY_SEQ, w->seq);
	imp_put_uint(&c, IMP_KEY_LOST, lost);
	imp_cbor_map_end(&c);
	return c.len;
}

/*
 * The last batch of a short program is not compressed either: to make a context for it would cost more
 * than all that was recorded before. One that fills a batch or a slot, or in which an import failed, is no
 * short one; but what is small hardly gets smaller.
 */
static ssize_t make_frame(struct imp_trace_writer *w, struct imp_batch *b, uint32_t lost,
			  enum imp_write_why why)
{
	bool store = on_signal_stack() || (why == IMP_WRITE_KEEP && b->len <= STORED_MAX) ||
		     (why == IMP_WRITE_LAST && !w->frames.context && b->len <= STORED_AT_END_MAX);
	uint8_t head[IMP_BATCH_HEAD];
	size_t len, head_len = make_head(w, head, lost);
	const uint8_t *data = imp_batch_finish(b, head, head_len, &len);

	if (store)
		return imp_frame_store(w->frame, IMP_FRAME_MAX, data, len);
	if (why != IMP_WRITE_NOW)
		imp_frame_writer_hurry(&w->frames);
	return imp_frame_compress(&w->frames, w->frame, IMP_FRAME_MAX, data, len);
}

int imp_trace_writer_write(struct imp_trace_writer *w, struct imp_batch *b, uint32_t lost,
			   enum imp_write_why why)
{
	ssize_t ret;

	if (!b->events && !b->notes)
		return 0;
	if (why != IMP_WRITE_LAST && w->failed && imp_now_ns() < w->retry_ns)
		return -EAGAIN;
	ret = make_frame(w, b, lost, why);
	if (ret > 0)
		ret = imp_output_append(&w->output, w->frame, (size_t)ret);
	if (ret < 0) {
		if (!w->failed)
			imp_trace_writer_note(w, b, IMP_NOTE_WRITE_FAILED, (int)ret);
		w->failed = (int)ret;
		w->retry_ns = imp_now_ns() + RETRY_NS;
		tell_once(w, (int)ret);
		return (int)ret;
	}
	w->failed = 0;
	w->written = true;
	w->seq++;
	w->bytes += b->len;
	imp_batch_clear(b);
	imp_journal_restart(&w->journal);
	if (w->output.moved != w->moved) {
		w->moved = w->output.moved;
		imp_trace_writer_note(w, b, IMP_NOTE_MOVED, 0);
	}
	return 0;
}

int imp_trace_writer_journal(struct imp_trace_writer *w, struct imp_batch *b, uint32_t lost)
{
	uint8_t head[IMP_BATCH_HEAD];
	size_t head_len = 0;
	int ret;

	if (!b->events)
		return 0;   /* strings alone mean nothing */
	if (w->output.area) /* a frame in the ring survives this process */
		return imp_trace_writer_write(w, b, lost, IMP_WRITE_NOW);
	if (w->journal_retry_ns && imp_now_ns() < w->journal_retry_ns)
		return -EAGAIN;
	if (imp_journal_begins(&w->journal, lost))
		head_len = make_head(w, head, lost);
	ret = imp_journal_write(&w->journal, &w->output, b, head, head_len, lost, w->frame);
	w->journal_retry_ns = 0;
	if (ret == -E2BIG)
		return imp_trace_writer_write(w, b, lost, IMP_WRITE_FULL);
	if (ret < 0)
		w->journal_retry_ns = imp_now_ns() + RETRY_NS;
	return ret;
}

void imp_trace_writer_keep(struct imp_trace_writer *w, struct imp_batch *b, uint32_t lost)
{
	bool is_short = !w->journal.payload && w->bytes + b->len <= SHORT_MAX;

	if (is_short || imp_trace_writer_journal(w, b, lost) < 0)
		imp_trace_writer_write(w, b, lost, IMP_WRITE_KEEP);
}
