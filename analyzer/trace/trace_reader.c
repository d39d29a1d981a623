/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trace_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DAMAGES_MAX 50 /* sentences; a file can be damaged in a million places */

static void damage(struct imp_trace_reader *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void damage(struct imp_trace_reader *t, const char *format, ...)
{
	va_list args;

	if (t->damage->n >= DAMAGES_MAX) {
		t->unsaid++;
		return;
	}
	va_start(args, format);
	*imp_vec_push(t->arena, t->damage) = imp_arena_vprintf(t->arena, format, args);
	va_end(args);
}

int imp_trace_open(struct imp_trace_reader *t, int fd, const char *name, struct imp_arena *arena,
		   struct imp_strings *sentences, struct imp_error *err)
{
	int ret;

	memset(t, 0, sizeof(*t));
	t->name = name;
	t->arena = arena;
	t->damage = sentences;
	t->maker.strings.arena = arena;
	t->maker.paths = calloc(IMP_PATH_SLOTS,
				sizeof(*t->maker.paths)); /* does without where there is no memory */
	ret = imp_frame_queue_open(&t->frames, fd, err);
	if (ret < 0)
		imp_error_wrap(err, "%s", name);
	return ret;
}

void imp_trace_forget_texts(struct imp_trace_reader *t)
{
	size_t i;

	for (i = 0; i < t->tables.n; i++)
		imp_texts_clear(t->tables.v[i]);
}

void imp_trace_close(struct imp_trace_reader *t)
{
	imp_frame_queue_close(&t->frames);
	imp_trace_forget_texts(t);
	imp_interner_clear(&t->maker.strings);
	imp_strbuf_clear(&t->maker.scratch);
	free(t->maker.paths);
	t->maker.paths = NULL;
}

/* Returns 1 where the event is a header that can be used. */
static int take_header(struct imp_trace_reader *t, struct imp_event *ev, struct imp_error *err)
{
	const struct imp_cbor_item *magic = imp_event_get(ev, IMP_KEY_MAGIC);
	const struct imp_cbor_item *version = imp_event_get(ev, IMP_KEY_VERSION);
	const struct imp_cbor_item *run_id = imp_event_get(ev, IMP_KEY_RUN_ID);
	struct imp_cbor_item major, minor;
	struct imp_cbor_in in;

	if (!magic || magic->type != IMP_CBOR_BYTES || magic->len != strlen(IMP_FORMAT_MAGIC) ||
	    memcmp(magic->data, IMP_FORMAT_MAGIC, magic->len) || !version)
		return 0;
	in = imp_cbor_enter(version);
	if (!imp_cbor_get(&in, &major) || !imp_cbor_get(&in, &minor) ||
	    major.type != IMP_CBOR_UINT || minor.type != IMP_CBOR_UINT || minor.number > INT_MAX)
		return 0;
	if (major.number != IMP_FORMAT_MAJOR)
		return imp_error_set(
			err, -EPROTO,
			"%s: it has format %" PRIu64 ", and this imptrace reads format %d; use a%s",
			t->name, major.number, IMP_FORMAT_MAJOR,
			major.number > IMP_FORMAT_MAJOR ? " newer imptrace" : "n older imptrace");
	ev->image = NULL;
	ev->time_ns = imp_event_uint(ev, IMP_KEY_TIME_NS, 0);
	ev->thread = imp_event_uint(ev, IMP_KEY_PID, 0);
	if (t->header_seen)
		return 1; /* two traces, one behind the other: images keep their processes apart */
	t->header_seen = true;
	t->major = (int)major.number;
	t->minor = (int)minor.number;
	t->root_pid = (pid_t)(ev->thread <= INT_MAX ? ev->thread : 0);
	t->realtime_ns = imp_event_uint(ev, IMP_KEY_REALTIME_NS, 0);
	t->start_ns = ev->time_ns;
	if (run_id && run_id->type == IMP_CBOR_BYTES && run_id->len == sizeof(t->run_id))
		memcpy(t->run_id, run_id->data, run_id->len);
	return 1;
}

/*
 * What a small file can make of itself is bounded; what a large run has recorded is not. In the file, a batch has a third to
 * a thirtieth of its size; in memory, its events take two to five times that size.
 */
#define PLAIN_FREE    ((uint64_t)32 << 20) /* bytes of decompressed batches */
#define PLAIN_RATIO   100		   /* and so many for each byte of the file */
#define MEMORY_FREE   ((uint64_t)160 << 20)
#define MEMORY_RATIO  100
#define PROCESSES_MAX 100000

static void check_limits(struct imp_trace_reader *t)
{
	const uint64_t file = t->frames.offset;

	if (t->plain > PLAIN_FREE && t->plain - PLAIN_FREE > PLAIN_RATIO * file)
		t->stopped = "it decompresses to more than any program's record does";
	else if (t->arena->total > MEMORY_FREE &&
		 t->arena->total - MEMORY_FREE > MEMORY_RATIO * file)
		t->stopped = "what it holds takes more memory than any program's record does";
	else if (t->images.n >= PROCESSES_MAX)
		t->stopped = "it names more processes than imptrace looks at (100000)";
	/* Always told, however much was damaged before. */
	if (t->stopped)
		*imp_vec_push(t->arena, t->damage) = imp_arena_printf(
			t->arena, "reading ended at byte %" PRIu64 ": %s", file, t->stopped);
}

static struct imp_texts *new_table(struct imp_trace_reader *t)
{
	struct imp_texts *texts = imp_arena_alloc(t->arena, sizeof(*texts));

	*imp_vec_push(t->arena, &t->tables) = texts;
	return texts;
}

static struct imp_trace_image *get_image(struct imp_trace_reader *t, pid_t pid, uint64_t image_ns)
{
	struct imp_trace_image *image = imp_id_map_get(&t->image_map, (uint64_t)pid, image_ns);

	if (image)
		return image;
	image = imp_arena_alloc(t->arena, sizeof(*image));
	image->pid = pid;
	image->image_ns = image_ns;
	image->texts = new_table(t);
	imp_id_map_put(t->arena, &t->image_map, (uint64_t)pid, image_ns, image);
	*imp_vec_push(t->arena, &t->images) = image;
	return image;
}

static void tell_gap(struct imp_trace_reader *t, struct imp_trace_image *image, uint64_t seq)
{
	uint64_t gap = seq - image->next_seq;

	image->missing_batches += gap;
	if (image->next_seq == 0)
		damage(t, "%" PRIu64 " batch%s lost at the start of process %d", gap,
		       gap == 1 ? "" : "es", (int)image->pid);
	else
		damage(t,
		       "%" PRIu64 " batch%s lost between seq %" PRIu64 " and %" PRIu64
		       " of process %d",
		       gap, gap == 1 ? "" : "es", image->next_seq - 1, seq, (int)image->pid);
}

/* Whose batch it is; NULL where it does not say. */
static struct imp_trace_image *batch_image(struct imp_trace_reader *t, const struct imp_event *ev,
					   uint64_t *seq)
{
	uint64_t pid = imp_event_uint(ev, IMP_KEY_PID, UINT64_MAX);
	const struct imp_cbor_item *ns = imp_event_get(ev, IMP_KEY_IMAGE_NS);

	*seq = imp_event_uint(ev, IMP_KEY_SEQ, UINT64_MAX);
	if (pid > INT_MAX || *seq == UINT64_MAX || !ns || ns->type != IMP_CBOR_UINT)
		return NULL;
	return get_image(t, (pid_t)pid, ns->number);
}

/* Starts a batch; nothing is left of it where it can't be used. */
static void take_batch(struct imp_trace_reader *t, const struct imp_event *ev)
{
	uint64_t seq, lost;
	struct imp_trace_image *image = batch_image(t, ev, &seq);

	if (!image) {
		damage(t, "a batch at byte %" PRIu64 " does not say whose it is, and was left out",
		       t->batch_offset);
		return;
	}
	if (seq < image->next_seq) {
		damage(t,
		       "batch %" PRIu64 " of process %d comes again at byte %" PRIu64
		       ", and was left out",
		       seq, (int)image->pid, t->batch_offset);
		return;
	}
	if (seq > image->next_seq)
		tell_gap(t, image, seq);
	image->next_seq = seq + 1;
	lost = imp_event_uint(ev, IMP_KEY_LOST, 0); /* in all, not since the last batch */
	if (lost > image->lost)
		image->lost = lost;
	t->batches++;
	t->image = image;
	imp_batch_state_init(&t->state);
}

/*
 * A slot is made once and written again later: frames that stand behind it may be older than what it holds,
 * or have superseded it. So it is kept until all are read. Of two of one image the second one counts.
 */
static void keep_slot(struct imp_trace_reader *t, const struct imp_zframe *f, struct imp_event *ev)
{
	struct imp_trace_image *image;
	uint8_t *copy;
	uint64_t seq;

	imp_cbor_in_init(&t->batch, f->data, f->len);
	if (!imp_event_decode(ev, &t->batch) || ev->kind != IMP_EV_BATCH)
		return;
	image = batch_image(t, ev, &seq);
	if (!image || seq < image->next_seq)
		return;
	copy = imp_arena_alloc(t->arena, f->len);
	memcpy(copy, f->data, f->len);
	image->slot.data = copy;
	image->slot.len = f->len;
	image->slot.seq = seq;
	image->slot.offset = f->offset;
}

/* The next slot that no frame has superseded, as a batch. Returns 2, or 0 at the end. */
static int next_slot(struct imp_trace_reader *t, struct imp_event *ev)
{
	while (t->slots_read < t->images.n) {
		struct imp_trace_image *image = t->images.v[t->slots_read++];

		if (!image->slot.data || image->slot.seq < image->next_seq)
			continue;
		t->batch_offset = image->slot.offset;
		imp_cbor_in_init(&t->batch, image->slot.data, image->slot.len);
		if (imp_event_decode(ev, &t->batch))
			take_batch(t, ev);
		if (t->image)
			return 2;
	}
	return 0;
}

/* Looks for the next batch. Returns 1 for a header, 2 for a batch, 0 at the end. */
static int next_frame(struct imp_trace_reader *t, struct imp_event *ev, struct imp_error *err)
{
	struct imp_zframe f;
	int ret;

	if (t->stopped)
		return next_slot(t, ev);
	for (;;) {
		ret = imp_frame_queue_next(&t->frames, &f, err);
		if (ret < 0) {
			imp_error_wrap(err, "%s", t->name);
			return ret;
		}
		if (f.kind == IMP_FRAME_END)
			return next_slot(t, ev);
		t->plain += f.len;
		check_limits(t);
		if (t->stopped)
			return next_slot(t, ev);
		if (f.kind == IMP_FRAME_SLOT) {
			keep_slot(t, &f, ev);
			continue;
		}
		if (f.kind == IMP_FRAME_DAMAGED) {
			damage(t, "%" PRIu64 " byte%s at byte %" PRIu64 " cannot be read: %s",
			       f.size, f.size == 1 ? "" : "s", f.offset, f.why);
			continue;
		}
		t->batch_offset = f.offset;
		imp_cbor_in_init(&t->batch, f.data, f.len);
		if (imp_event_decode(ev, &t->batch)) {
			if (ev->kind == IMP_EV_HEADER) {
				ret = take_header(t, ev, err);
				if (ret)
					return ret;
			} else if (ev->kind == IMP_EV_BATCH) {
				take_batch(t, ev);
				if (t->image)
					return 2;
				continue;
			}
		}
		damage(t, "the frame at byte %" PRIu64 " is none of imptrace's, and was left out",
		       f.offset);
	}
}

static int check_trace(const struct imp_trace_reader *t, struct imp_error *err)
{
	if (t->header_seen || t->batches)
		return 0;
	if (!t->frames.offset)
		return imp_error_set(err, -EBADMSG,
				     "%s: it is empty; record a trace with: imptrace run COMMAND",
				     t->name);
	return imp_error_set(err, -EBADMSG, "%s: it is no trace of imptrace (%s)", t->name,
			     t->damage->n ? t->damage->v[0] : "it holds nothing");
}

static void define_string(struct imp_trace_reader *t, const struct imp_event *ev)
{
	const struct imp_cbor_item *id = imp_event_get(ev, IMP_KEY_ID);
	const struct imp_cbor_item *text = imp_event_get(ev, IMP_KEY_TEXT);

	if (!id || id->type != IMP_CBOR_UINT || !text)
		return;
	/*
	 * The recorder clears its table when a batch of its could not be written, and counts from 1 again.
	 * Events that were kept undecoded still mean the old one.
	 */
	if (imp_texts_has(t->image->texts, id->number))
		t->image->texts = new_table(t);
	imp_texts_define(t->image->texts, t->arena, &t->maker.strings, id->number, text);
}

/* Every item is a map that begins with its kind; one that does not was written by nobody. */
static bool check_kind(struct imp_trace_reader *t, const struct imp_event *ev)
{
	if (ev->kind)
		return true;
	t->batch.bad = true;
	t->batch.why = "an item is no event";
	return false;
}

int imp_trace_next(struct imp_trace_reader *t, struct imp_event *ev, struct imp_error *err)
{
	int ret;

	for (;;) {
		if (!t->image) {
			ret = next_frame(t, ev, err);
			if (ret < 0 || ret == 1)
				return ret;
			if (ret == 0)
				return check_trace(t, err);
		}
		if (!imp_event_decode(ev, &t->batch) || !check_kind(t, ev)) {
			if (t->batch.bad)
				damage(t,
				       "a batch of process %d at byte %" PRIu64 " is malformed: %s",
				       (int)t->image->pid, t->batch_offset, t->batch.why);
			t->image = NULL;
			continue;
		}
		t->before = t->state;
		imp_event_resolve(ev, &t->state);
		if (ev->kind == IMP_EV_STRING) {
			define_string(t, ev);
			continue;
		}
		ev->image = t->image;
		ev->time_ns = t->image->image_ns + imp_event_uint(ev, IMP_KEY_TIME_NS, 0);
		ev->thread = imp_event_uint(ev, IMP_KEY_THREAD, (uint64_t)t->image->pid);
		return 1;
	}
}

void imp_trace_finish(struct imp_trace_reader *t)
{
	uint64_t missing = 0;
	size_t i;

	for (i = 0; i < t->tables.n; i++)
		missing += t->tables.v[i]->missing;
	if (!t->header_seen && t->batches)
		damage(t, "the header is missing");
	if (missing)
		damage(t, "%" PRIu64 " name%s that a lost part had given %s shown as \"?\"",
		       missing, missing == 1 ? "" : "s", missing == 1 ? "is" : "are");
	if (t->unsaid)
		*imp_vec_push(t->arena, t->damage) =
			imp_arena_printf(t->arena, "and %" PRIu64 " more place%s", t->unsaid,
					 t->unsaid == 1 ? "" : "s");
	t->unsaid = 0;
}

const char *imp_trace_text(struct imp_trace_reader *t, const struct imp_event *ev,
			   const struct imp_cbor_item *item)
{
	if (!item || !ev->image)
		return NULL;
	return imp_text_get(ev->image->texts, &t->maker, item);
}
