/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "recorder.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "batch.h"
#include "frame_writer.h"
#include "intern_table.h"
#include "journal.h"
#include "output.h"
#include "raw_syscall.h"
#include "remark.h"

#include "poison.h"

#define BATCH_FULL	  (IMP_BATCH_MAX / 2) /* then it is written */
#define STRINGS_KEPT_MAX  (IMP_BATCH_MAX / 4) /* of a batch that had to be dropped */
#define STORED_AT_END_MAX 32768		      /* see make_frame() */
#define SPINS		  200
#define LOCK_WAIT_NS	  20000000 /* then the event is lost: the program waits no longer for us */
#define LOCK_SLEEP_NS	  50000
#define RETRY_NS	  50000000 /* after a write that failed */

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
	_Atomic uint32_t lost; /* events of this image */
	_Atomic bool was_busy; /* to be told by IMP_NOTE_BUSY */

	_Atomic pid_t lock;  /* tid of its holder; 0: free */
	_Atomic pid_t stuck; /* a holder that was waited for in vain, until the lock is free again */

	/* Under the lock. */
	uint32_t seq;
	int failed;   /* why the last write did; the batch holds a note of it. 0: it did not */
	bool written; /* something of this process has been */
	bool told;    /* the one line on stderr */
	bool moved;   /* as output.moved was when it was last noted */
	uint64_t retry_ns;
	bool forking; /* it is held over a fork() */
	dev_t stderr_dev;
	ino_t stderr_ino;
	struct imp_frame_writer writer;
	struct imp_intern_table strings;
	struct imp_output output;
	struct imp_remark remark;
	struct imp_journal journal;
	uint64_t journal_retry_ns; /* 0: its last write did not fail */
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

/*
 * In steps of 256 ns, less than it takes to record an event: the lowest byte is noise, and noise does not
 * compress.
 */
static uint64_t event_time(void)
{
	return (imp_now_ns() - rec.image_ns) & ~(uint64_t)0xff;
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

static pid_t own_tid(void)
{
	struct imp_thread *t = imp_thread_get(false);

	return t ? t->tid : imp_sys_gettid();
}

static bool try_lock(pid_t from, pid_t tid)
{
	return atomic_compare_exchange_strong_explicit(&rec.lock, &from, tid, memory_order_acquire,
						       memory_order_relaxed);
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/*
 * Bounded, and never a wait for ourselves: a signal handler that interrupted the holder gets false. A
 * holder that was asynchronously cancelled is no more; what it left is whole items (batch.c).
 */
static bool lock(void)
{
	pid_t tid = own_tid(), owner;
	uint64_t start_ns;

	for (int i = 0; i < SPINS; i++) {
		if (try_lock(0, tid))
			return true;
		if (atomic_load_explicit(&rec.lock, memory_order_relaxed) == tid)
			return false;
		relax();
	}
	/*
	 * A holder whose signal handler left by longjmp() never gives it back: one wait for it is enough. It
	 * may also be one that writes to a slow disk.
	 */
	owner = atomic_load_explicit(&rec.stuck, memory_order_relaxed);
	if (owner && owner == atomic_load_explicit(&rec.lock, memory_order_relaxed) &&
	    imp_sys_thread_alive(rec.pid, owner))
		return false;
	/* The holder may have been descheduled, or is writing: sleep, so that it can run. */
	start_ns = imp_now_ns();
	do {
		imp_sys_sleep_ns(LOCK_SLEEP_NS);
		if (try_lock(0, tid))
			return true;
	} while (imp_now_ns() - start_ns < LOCK_WAIT_NS);
	owner = atomic_load_explicit(&rec.lock, memory_order_relaxed);
	if (owner && !imp_sys_thread_alive(rec.pid, owner) && try_lock(owner, tid)) {
		imp_frame_writer_reset(&rec.writer);
		return true;
	}
	atomic_store_explicit(&rec.stuck, owner, memory_order_relaxed);
	return false;
}

static void unlock(void)
{
	atomic_store_explicit(&rec.stuck, 0, memory_order_relaxed);
	atomic_store_explicit(&rec.lock, 0, memory_order_release);
}

static void count_lost(void)
{
	atomic_fetch_add_explicit(&rec.lost, 1, memory_order_relaxed);
	atomic_store_explicit(&rec.was_busy, true, memory_order_relaxed);
}

/* ---- the batch (under the lock) ------------------------------------------------------------------ */

static void append_note(enum imp_note note, int err)
{
	uint8_t item[48];
	struct imp_cbor c;

	imp_cbor_init(&c, item, sizeof(item));
	imp_cbor_map_begin(&c);
	imp_put_uint(&c, IMP_KEY_KIND, IMP_EV_NOTE);
	imp_put_uint(&c, IMP_KEY_TIME_NS, event_time());
	imp_put_uint(&c, IMP_KEY_NOTE, note);
	if (err)
		imp_put_uint(&c, IMP_KEY_ERRNO, (uint64_t)-err);
	imp_cbor_map_end(&c);
	if (!c.overflow && imp_batch_add(&batch, item, c.len))
		batch.notes++;
}

/*
 * There is no room, and the batch can't be written: its events are lost. Its strings stay, since events
 * to come refer to them; where they alone are too many, all numbers are given anew.
 */
static void drop_events(void)
{
	atomic_fetch_add_explicit(&rec.lost, batch.events, memory_order_relaxed);
	imp_batch_keep_strings(&batch);
	imp_journal_restart(&rec.journal);
	if (batch.len > STRINGS_KEPT_MAX) {
		imp_intern_clear(&rec.strings);
		imp_batch_clear(&batch);
	}
}

/* ---- writing (under the lock) -------------------------------------------------------------------- */

/* Only where the trace of this process can't tell, and descriptor 2 is what it was at the start. */
static void tell_once(int err)
{
	const char *name;
	struct stat st;

	if (rec.told || rec.written)
		return;
	rec.told = true;
	if (fstat(2, &st) < 0 || st.st_dev != rec.stderr_dev || st.st_ino != rec.stderr_ino)
		return;
	imp_remark_begin(&rec.remark);
	name = imp_output_name(&rec.output);
	imp_remark_add(&rec.remark, name ? name : rec.output.path);
	imp_remark_add(&rec.remark, ": ");
	imp_remark_add_error(&rec.remark, err);
	imp_remark_add(&rec.remark, "; this process is not recorded");
	imp_remark_write(&rec.remark);
}

/* A handler's own stack may be no larger than a few kilobytes: too small for the compressor. */
static bool on_signal_stack(void)
{
	stack_t stack;

	return sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_ONSTACK);
}

/* The item that begins the batch. */
static size_t make_head(uint8_t *head, uint32_t lost)
{
	struct imp_cbor c;

	imp_cbor_init(&c, head, IMP_BATCH_HEAD);
	imp_cbor_map_begin(&c);
	imp_put_uint(&c, IMP_KEY_KIND, IMP_EV_BATCH);
	imp_put_uint(&c, IMP_KEY_PID, (uint64_t)rec.pid);
	imp_put_uint(&c, IMP_KEY_IMAGE_NS, rec.image_ns);
	imp_put_uint(&c, IMP_KEY_SEQ, rec.seq);
	imp_put_uint(&c, IMP_KEY_LOST, lost);
	imp_cbor_map_end(&c);
	return c.len;
}

/*
 * The last batch of a short program is not compressed either: to make a context for it would cost more
 * than all that was recorded before.
 */
static ssize_t make_frame(bool last)
{
	bool store = on_signal_stack() ||
		     (last && !rec.writer.context && batch.len <= STORED_AT_END_MAX);
	uint8_t head[IMP_BATCH_HEAD];
	uint32_t lost = atomic_load_explicit(&rec.lost, memory_order_relaxed);
	size_t len, head_len = make_head(head, lost);
	const uint8_t *data = imp_batch_finish(&batch, head, head_len, &len);

	if (store)
		return imp_frame_store(frame, sizeof(frame), data, len);
	return imp_frame_compress(&rec.writer, frame, sizeof(frame), data, len);
}

/*
 * A batch that can't be written stays as long as there is room: the next try may do better. Returns 0
 * or a negative errno.
 */
static int write_batch(bool last)
{
	ssize_t ret;

	if (atomic_exchange_explicit(&rec.was_busy, false, memory_order_relaxed))
		append_note(IMP_NOTE_BUSY, 0);
	if (!batch.events && !batch.notes)
		return 0;
	if (!last && rec.failed && imp_now_ns() < rec.retry_ns)
		return -EAGAIN;
	ret = make_frame(last);
	if (ret > 0)
		ret = imp_output_append(&rec.output, frame, (size_t)ret);
	if (ret < 0) {
		if (!rec.failed)
			append_note(IMP_NOTE_WRITE_FAILED, (int)ret);
		rec.failed = (int)ret;
		rec.retry_ns = imp_now_ns() + RETRY_NS;
		tell_once((int)ret);
		return (int)ret;
	}
	rec.failed = 0;
	rec.written = true;
	rec.seq++;
	imp_batch_clear(&batch);
	imp_journal_restart(&rec.journal);
	if (rec.output.moved != rec.moved) {
		rec.moved = rec.output.moved;
		append_note(IMP_NOTE_MOVED, 0);
	}
	return 0;
}

static bool make_room(size_t len)
{
	if (len <= imp_batch_room(&batch))
		return true;
	if (write_batch(false) < 0) {
		drop_events();
		append_note(IMP_NOTE_WRITE_FAILED, rec.failed); /* the one that was there went too */
	}
	return len <= imp_batch_room(&batch);
}

static void flush(bool last)
{
	int saved = errno;

	if (imp_recorder_on() && lock()) {
		write_batch(last);
		unlock();
	}
	errno = saved;
}

void imp_record_flush(void)
{
	flush(false);
}

void imp_record_flush_last(void)
{
	flush(true);
}

static void write_journal(void)
{
	uint32_t lost = atomic_load_explicit(&rec.lost, memory_order_relaxed);
	uint8_t head[IMP_BATCH_HEAD];
	size_t head_len;
	int ret;

	if (!batch.events)
		return; /* strings alone mean nothing */
	if (rec.journal_retry_ns && imp_now_ns() < rec.journal_retry_ns)
		return;
	head_len = make_head(head, lost);
	ret = imp_journal_write(&rec.journal, &rec.output, &batch, head, head_len, lost, frame);
	rec.journal_retry_ns = 0;
	if (ret == -E2BIG)
		write_batch(false);
	else if (ret < 0)
		rec.journal_retry_ns = imp_now_ns() + RETRY_NS;
}

void imp_record_journal(void)
{
	int saved = errno;

	if (imp_recorder_on() && lock()) {
		write_journal();
		unlock();
	}
	errno = saved;
}

/* ---- events -------------------------------------------------------------------------------------- */

static void write_process(struct imp_thread *t)
{
	if (atomic_load_explicit(&rec.process_due, memory_order_relaxed) &&
	    atomic_exchange(&rec.process_due, false) && rec.hooks.process)
		rec.hooks.process(t);
}

void imp_recorder_catch_up(struct imp_thread *t)
{
	write_process(t);
	if (atomic_load_explicit(&rec.objects_due, memory_order_relaxed) &&
	    atomic_exchange(&rec.objects_due, false) && rec.hooks.objects)
		rec.hooks.objects(t);
}

struct imp_cbor *imp_record_begin(struct imp_thread *t, enum imp_event_kind kind)
{
	struct imp_cbor *c = &t->cbor;

	write_process(t);
	imp_cbor_init(c, t->scratch, sizeof(t->scratch));
	imp_cbor_map_begin(c);
	imp_put_uint(c, IMP_KEY_KIND, kind);
	imp_put_uint(c, IMP_KEY_TIME_NS, event_time());
	if (t->tid != rec.pid)
		imp_put_uint(c, IMP_KEY_THREAD, (uint64_t)t->tid);
	return c;
}

void imp_record_end(struct imp_thread *t)
{
	struct imp_cbor *c = &t->cbor;

	imp_cbor_map_end(c);
	if (c->overflow || c->depth) {
		atomic_fetch_add_explicit(&rec.lost, 1, memory_order_relaxed);
		return;
	}
	if (!lock()) {
		count_lost();
		return;
	}
	if (make_room(c->len)) {
		imp_batch_add(&batch, t->scratch, c->len);
		batch.events++;
		if (batch.len >= BATCH_FULL)
			write_batch(false);
	} else {
		atomic_fetch_add_explicit(&rec.lost, 1, memory_order_relaxed);
	}
	unlock();
}

void imp_record_cancel(struct imp_thread *t)
{
	imp_cbor_init(&t->cbor, t->scratch, sizeof(t->scratch));
}

uint32_t imp_record_intern(const void *text, size_t len)
{
	uint8_t head[32];
	struct imp_cbor c;
	uint32_t id = 0, place;

	if (len > IMP_TEXT_MAX || !lock())
		return 0;
	/* First, since it may clear the table. */
	if (!make_room(len + sizeof(head)))
		goto out;
	id = imp_intern_find(&rec.strings, text, len, &place);
	if (id)
		goto out;
	id = imp_intern_add(&rec.strings, text, len, place);
	if (!id)
		goto out;
	imp_cbor_init(&c, imp_batch_end(&batch), imp_batch_room(&batch));
	imp_cbor_map_begin(&c);
	imp_put_uint(&c, IMP_KEY_KIND, IMP_EV_STRING);
	imp_put_uint(&c, IMP_KEY_ID, id);
	imp_put_bytes(&c, IMP_KEY_TEXT, text, len);
	imp_cbor_map_end(&c);
	imp_batch_grow(&batch, c.len);
out:
	unlock();
	return id;
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

int imp_recorder_start(const struct imp_output *out, uint64_t image_ns,
		       const struct imp_recorder_hooks *hooks)
{
	struct stat st;
	int saved = errno;

	rec.output = *out;
	rec.moved = out->moved;
	rec.hooks = *hooks;
	rec.writer.level = imp_options.level;
	rec.pid = imp_sys_getpid();
	rec.image_ns = image_ns;
	rec.parent_image_ns = 0;
	rec.seq = 0;
	rec.written = false;
	rec.failed = 0;
	atomic_store(&rec.lost, 0);
	atomic_store(&rec.lock, 0);
	atomic_store(&rec.process_due, false);
	atomic_store(&rec.objects_due, false);
	imp_intern_clear(&rec.strings);
	imp_batch_clear(&batch);
	imp_journal_forget(&rec.journal);
	rec.journal_retry_ns = 0;
	rec.told = false;
	if (fstat(2, &st) == 0) {
		rec.stderr_dev = st.st_dev;
		rec.stderr_ino = st.st_ino;
	} else {
		rec.told = true; /* nobody to tell */
	}
	errno = saved;
	atomic_store_explicit(&rec.on, true, memory_order_release);
	return 0;
}

void imp_recorder_stay_quiet(void)
{
	rec.told = true;
}

void imp_recorder_stop(void)
{
	imp_record_flush_last();
	if (rec.pid == imp_sys_getpid())
		atomic_store(&rec.on, false);
}

/*
 * The lock is held over the fork: while another thread writes, the trace is open, and the child would
 * inherit that descriptor.
 */
void imp_recorder_fork_prepare(void)
{
	int saved = errno;

	if (imp_recorder_on() && lock()) {
		write_batch(false);
		rec.forking = true;
	}
	errno = saved;
}

void imp_recorder_fork_parent(void)
{
	if (atomic_load(&rec.lock) == own_tid() && rec.forking) {
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
	rec.image_ns = imp_now_ns();
	rec.pid = imp_sys_getpid();
	rec.seq = 0;
	rec.written = false;
	rec.failed = 0;
	atomic_store(&rec.lost, 0);
	atomic_store(&rec.was_busy, false);
	imp_batch_clear(&batch);
	imp_journal_forget(&rec.journal);
	rec.journal_retry_ns = 0;
	imp_intern_clear(&rec.strings);
	imp_frame_writer_reset(&rec.writer);
	imp_output_after_fork(&rec.output);
	imp_thread_after_fork();
	atomic_store(&rec.process_due, true);
	atomic_store(&rec.objects_due, true);
}
