/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "recorder.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "batch.h"
#include "intern_table.h"
#include "raw_syscall.h"
#include "recorder_lock.h"
#include "trace_writer.h"

#include "poison.h"

#define BATCH_FULL	 (IMP_BATCH_MAX / 2) /* then it is written */
#define STRING_HEAD	 32		     /* of an IMP_EV_STRING, at most */
#define STRINGS_KEPT_MAX (IMP_BATCH_MAX / 4) /* of a batch that had to be dropped */

_Static_assert(STRINGS_KEPT_MAX + IMP_BATCH_HEAD + IMP_ITEM_MAX < IMP_BATCH_MAX,
	       "an event fits after a drop");

struct imp_options imp_options = {
	.stacks = IMP_FAILURES,
	.dlsym = IMP_ALL,
	.follow = true,
	.level = 3,
};

/* All mutable state of the process, but for the threads' blocks. */
static struct {
	/* Read without the lock. */
	_Atomic bool on;
	_Atomic bool process_due; /* this image's IMP_EV_PROCESS is still to be written */
	_Atomic bool objects_due;
	pid_t pid; /* of the image; a vfork child has another */
	uint64_t image_ns;
	uint64_t parent_image_ns;
	struct imp_recorder_hooks hooks;
	_Atomic uint32_t next_id;
	_Atomic uint32_t lost;	/* events of this image */
	_Atomic bool was_busy;	/* to be told by IMP_NOTE_BUSY */
	_Atomic bool unsettled; /* see imp_record_journal_soon() */

	struct imp_recorder_lock lock;

	/* Under the lock. */
	bool forking; /* it is held over a fork() */
	struct imp_intern_table strings;
	struct imp_trace_writer writer;
} rec = {.next_id = 1};

/* Apart, so that what is used in every process lies on few pages. */
static struct imp_batch batch;
static uint8_t frame[IMP_FRAME_MAX];

uint64_t imp_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t event_time(void)
{
	return (imp_now_ns() - rec.image_ns) / IMP_TIME_STEP_NS * IMP_TIME_STEP_NS;
}

bool imp_recorder_on(void)
{
	return atomic_load_explicit(&rec.on, memory_order_acquire) && imp_sys_getpid() == rec.pid;
}

uint64_t imp_recorder_image_ns(void)
{
	return rec.image_ns;
}

uint64_t imp_recorder_parent_image_ns(void)
{
	return rec.parent_image_ns;
}

pid_t imp_recorder_pid(void)
{
	return rec.pid;
}

/* ---- the lock ------------------------------------------------------------------------------------ */

static bool lock(void)
{
	enum imp_lock_result ret = imp_recorder_lock_take(&rec.lock, rec.pid);

	if (ret == IMP_LOCK_ORPHAN) {
		imp_frame_writer_reset(&rec.writer.frames);
		imp_batch_restart(&batch);
	}
	return ret != IMP_LOCK_BUSY;
}

static void unlock(void)
{
	imp_recorder_lock_give(&rec.lock);
}

static void count_lost(void)
{
	atomic_fetch_add_explicit(&rec.lost, 1, memory_order_relaxed);
	atomic_store_explicit(&rec.was_busy, true, memory_order_relaxed);
}

/* ---- the batch (under the lock) ------------------------------------------------------------------ */

/*
 * There is no room, and the batch can't be written: its events are lost. Its strings stay, since events
 * to come refer to them; where they alone are too many, all numbers are given anew.
 */
static void drop_events(void)
{
	atomic_fetch_add_explicit(&rec.lost, batch.events, memory_order_relaxed);
	imp_batch_keep_strings(&batch);
	imp_journal_restart(&rec.writer.journal);
	if (batch.len > STRINGS_KEPT_MAX) {
		imp_intern_clear(&rec.strings);
		imp_batch_clear(&batch);
	}
}

/* ---- writing (under the lock) -------------------------------------------------------------------- */

static uint32_t lost_now(void)
{
	return atomic_load_explicit(&rec.lost, memory_order_relaxed);
}

static int write_batch(enum imp_write_why why)
{
	if (atomic_load_explicit(&rec.was_busy, memory_order_relaxed) &&
	    atomic_exchange_explicit(&rec.was_busy, false, memory_order_relaxed))
		imp_trace_writer_note(&rec.writer, &batch, IMP_NOTE_BUSY, 0);
	return imp_trace_writer_write(&rec.writer, &batch, lost_now(), why);
}

static bool make_room(size_t len)
{
	if (len <= imp_batch_room(&batch))
		return true;
	if (write_batch(IMP_WRITE_FULL) < 0) {
		drop_events();
		/* The note that was there went too. */
		imp_trace_writer_note(&rec.writer, &batch, IMP_NOTE_WRITE_FAILED, rec.writer.failed);
	}
	return len <= imp_batch_room(&batch);
}

static void flush(enum imp_write_why why)
{
	int saved = errno;

	if (imp_recorder_on() && lock()) {
		write_batch(why);
		unlock();
	}
	errno = saved;
}

void imp_record_flush(void)
{
	flush(IMP_WRITE_NOW);
}

void imp_record_flush_last(void)
{
	flush(IMP_WRITE_LAST);
}

void imp_record_keep(void)
{
	int saved = errno;

	if (atomic_load_explicit(&rec.on, memory_order_relaxed) && lock()) {
		atomic_store_explicit(&rec.unsettled, false, memory_order_relaxed);
		imp_trace_writer_keep(&rec.writer, &batch, lost_now());
		unlock();
	}
	errno = saved;
}

void imp_record_journal(void)
{
	int saved = errno;

	if (atomic_load_explicit(&rec.on, memory_order_relaxed) && lock()) {
		atomic_store_explicit(&rec.unsettled, false, memory_order_relaxed);
		imp_trace_writer_journal(&rec.writer, &batch, lost_now());
		unlock();
	}
	errno = saved;
}

void imp_record_journal_soon(void)
{
	atomic_store_explicit(&rec.unsettled, true, memory_order_relaxed);
}

void imp_record_settle(void)
{
	if (atomic_load_explicit(&rec.unsettled, memory_order_relaxed))
		imp_record_journal();
}

/* ---- events -------------------------------------------------------------------------------------- */

static void write_process(struct imp_thread *t)
{
	if (atomic_load_explicit(&rec.process_due, memory_order_relaxed) &&
	    atomic_exchange(&rec.process_due, false) && rec.hooks.process)
		rec.hooks.process(t);
}

bool imp_recorder_catch_up(struct imp_thread *t)
{
	if (rec.hooks.stay && !rec.hooks.stay(t))
		return false;
	write_process(t);
	if (atomic_load_explicit(&rec.objects_due, memory_order_relaxed) &&
	    atomic_exchange(&rec.objects_due, false) && rec.hooks.objects)
		rec.hooks.objects(t);
	return true;
}

struct imp_cbor *imp_record_begin(struct imp_thread *t, enum imp_event_kind kind)
{
	struct imp_cbor *c = &t->cbor;

	write_process(t);
	imp_cbor_init(c, t->scratch, sizeof(t->scratch));
	imp_cbor_map_begin(c);
	imp_put_uint(c, IMP_KEY_KIND, kind);
	t->marks.time = (uint32_t)c->len;
	t->marks.count = 0;
	imp_cbor_uint(c, IMP_KEY_TIME_NS);
	imp_cbor_wide8(c, event_time());
	t->event_image_ns = rec.image_ns;
	if (t->tid != rec.pid)
		imp_put_uint(c, IMP_KEY_THREAD, (uint64_t)t->tid);
	return c;
}

void imp_record_end(struct imp_thread *t)
{
	struct imp_cbor *c = &t->cbor;

	imp_cbor_map_end(c);
	if (t->event_image_ns != rec.image_ns)
		return; /* imptrace has left and come again in between: its numbers mean nothing now */
	if (c->overflow || c->depth) {
		atomic_fetch_add_explicit(&rec.lost, 1, memory_order_relaxed);
		return;
	}
	if (!lock()) {
		count_lost();
		return;
	}
	if (make_room(c->len)) {
		imp_batch_add_event(&batch, t->scratch, c->len, &t->marks);
		batch.events++;
		if (batch.len >= BATCH_FULL)
			write_batch(IMP_WRITE_FULL);
	} else {
		atomic_fetch_add_explicit(&rec.lost, 1, memory_order_relaxed);
	}
	unlock();
}

void imp_record_cancel(struct imp_thread *t)
{
	imp_cbor_init(&t->cbor, t->scratch, sizeof(t->scratch));
}

void imp_record_lost(uint32_t count)
{
	atomic_fetch_add_explicit(&rec.lost, count, memory_order_relaxed);
}

uint32_t imp_record_intern(const void *text, size_t len)
{
	uint32_t id = 0, place;

	if (len > IMP_TEXT_MAX || !lock())
		return 0;
	/* First, since it may clear the table. */
	if (!make_room(len + STRING_HEAD))
		goto out;
	id = imp_intern_find(&rec.strings, text, len, &place);
	if (id)
		goto out;
	id = imp_intern_add(&rec.strings, text, len, place);
	if (!id)
		goto out;
	imp_batch_add_string(&batch, id, text, len);
out:
	unlock();
	return id;
}

uint32_t imp_record_strings_gone(void)
{
	return __atomic_load_n(&rec.strings.base, __ATOMIC_RELAXED);
}

uint32_t imp_record_next_id(void)
{
	uint32_t id;

	do
		id = atomic_fetch_add_explicit(&rec.next_id, 1, memory_order_relaxed);
	while (!id);
	return id;
}

void imp_record_note(struct imp_thread *t, enum imp_note note, int err, const char *text)
{
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_NOTE);

	imp_put_uint(c, IMP_KEY_NOTE, note);
	if (err)
		imp_put_uint(c, IMP_KEY_ERRNO, (uint64_t)(err < 0 ? -err : err));
	if (text)
		imp_put_text(c, IMP_KEY_TEXT, text, strlen(text));
	imp_record_end(t);
}

/* ---- the image's life ---------------------------------------------------------------------------- */

static void begin_image(pid_t pid, uint64_t image_ns)
{
	rec.pid = pid;
	rec.image_ns = image_ns;
	atomic_store(&rec.lost, 0);
	atomic_store(&rec.was_busy, false);
	atomic_store(&rec.unsettled, false);
	imp_intern_clear(&rec.strings);
	imp_batch_clear(&batch);
	imp_trace_writer_begin(&rec.writer, pid, image_ns);
}

int imp_recorder_start(const struct imp_output *out, uint64_t image_ns,
		       const struct imp_recorder_hooks *hooks)
{
	int saved = errno;

	if (out->area) { /* not the first image, perhaps: other threads may be here still */
		rec.pid = imp_sys_getpid();
		if (!lock())
			return -EAGAIN;
	}
	imp_trace_writer_start(&rec.writer, out, imp_options.level, frame);
	rec.hooks = *hooks;
	rec.parent_image_ns = 0;
	atomic_store(&rec.process_due, false);
	atomic_store(&rec.objects_due, false);
	begin_image(imp_sys_getpid(), image_ns);
	unlock();
	errno = saved;
	atomic_store_explicit(&rec.on, true, memory_order_release);
	return 0;
}

struct imp_attach_area *imp_recorder_take_area(void)
{
	struct imp_attach_area *area = NULL;

	if (!atomic_load(&rec.on) && lock()) {
		area = rec.writer.output.area;
		rec.writer.output.area = NULL;
		rec.writer.output.path[0] = '\0'; /* whatever comes yet finds no place */
		unlock();
	}
	return area;
}

void imp_recorder_stay_quiet(void)
{
	rec.writer.told = true;
}

void imp_recorder_stop(void)
{
	imp_record_flush_last();
	if (rec.pid == imp_sys_getpid())
		atomic_store(&rec.on, false);
}

void imp_recorder_pause(void)
{
	atomic_store(&rec.on, false);
}

void imp_recorder_resume(void)
{
	atomic_store(&rec.on, true);
}

/*
 * The lock is held over the fork: while another thread writes, the trace is open, and the child would
 * inherit that descriptor.
 */
void imp_recorder_fork_prepare(void)
{
	int saved = errno;

	if (imp_recorder_on() && lock()) {
		write_batch(IMP_WRITE_NOW);
		rec.forking = true;
	}
	errno = saved;
}

void imp_recorder_fork_parent(void)
{
	if (rec.forking && imp_recorder_lock_mine(&rec.lock)) {
		rec.forking = false;
		unlock();
	}
}

void imp_recorder_fork_child(void)
{
	if (!atomic_load(&rec.on))
		return;
	rec.forking = false;
	unlock();
	if (!imp_options.follow) {
		atomic_store(&rec.on, false);
		return;
	}
	rec.parent_image_ns = rec.image_ns;
	begin_image(imp_sys_getpid(), imp_now_ns());
	imp_output_after_fork(&rec.writer.output);
	imp_thread_after_fork();
	atomic_store(&rec.process_due, true);
	atomic_store(&rec.objects_due, true);
}
