/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct imp_frame imp_no_frame;
const struct imp_outcome imp_no_outcome;

static struct imp_image_state *get_state(struct imp_builder *b, struct imp_trace_image *from)
{
	struct imp_image_state *s = from->user;

	if (s)
		return s;
	s = imp_arena_alloc(&b->scratch, sizeof(*s));
	s->image = imp_arena_alloc(&b->r->arena, sizeof(*s->image));
	s->image->pid = from->pid;
	s->image->image_ns = from->image_ns;
	s->image->how = IMP_START_FIRST;
	*imp_vec_push(&b->r->arena, &b->r->images) = s->image;
	from->user = s;
	return s;
}

/* "imptrace run", which writes one too, is no process of the program: it makes no image. */
static void take_wait(struct imp_builder *b, const struct imp_event *ev)
{
	struct imp_wait *w = imp_vec_push(&b->scratch, &b->waits);
	uint64_t pid = imp_event_uint(ev, IMP_KEY_PID, 0);
	uint64_t signal = imp_event_uint(ev, IMP_KEY_SIGNAL, 0);
	int64_t code = imp_event_int(ev, IMP_KEY_CODE, -1);

	w->by = ev->image;
	w->pid = pid <= INT32_MAX ? (pid_t)pid : 0;
	w->signal = signal <= 128 ? (int)signal : 0;
	w->code_known = code >= 0 && code <= 255;
	w->code = w->code_known ? (int)code : 0;
	w->time_ns = ev->time_ns;
}

static void take_event(struct imp_builder *b, const struct imp_event *ev)
{
	struct imp_image_state *s;

	if (ev->kind == IMP_EV_HEADER)
		return;
	b->r->events++;
	if (ev->kind == IMP_EV_WAIT) {
		take_wait(b, ev);
		return;
	}
	s = get_state(b, ev->image);
	s->image->events++;
	if (ev->time_ns > s->image->last_ns)
		s->image->last_ns = ev->time_ns;
	if (!imp_build_native(b, s, ev) && !imp_build_python(b, s, ev) &&
	    !imp_build_evidence(b, s, ev) && !imp_build_search(b, s, ev) &&
	    !imp_build_kernel(b, s, ev))
		b->r->unknown_events++;
}

int imp_record_read(struct imp_record *r, int fd, const char *name, struct imp_error *err)
{
	static const struct imp_watch nobody;

	return imp_record_read_watched(r, fd, name, &nobody, err);
}

int imp_record_read_watched(struct imp_record *r, int fd, const char *name,
			    const struct imp_watch *watch, struct imp_error *err)
{
	struct imp_event *ev;
	uint64_t batches = 0;
	struct imp_builder *b;
	int ret;

	memset(r, 0, sizeof(*r));
	r->watch = *watch;
	b = calloc(1, sizeof(*b));
	if (!b)
		return imp_error_set(err, -ENOMEM, "out of memory");
	b->r = r;
	b->shared.arena = &r->arena;
	ev = imp_arena_alloc(&b->scratch, sizeof(*ev));
	ret = imp_trace_open(&b->t, fd, name, &r->arena, &r->damage, err);
	if (ret < 0)
		goto out;
	while ((ret = imp_trace_next(&b->t, ev, err)) > 0) {
		take_event(b, ev);
		if (watch->step && b->t.batches != batches) {
			batches = b->t.batches;
			watch->step(watch->data, IMP_WATCH_READING, b->t.frames.offset, 0);
		}
	}
	if (ret < 0)
		goto out;
	imp_trace_finish(&b->t);
	imp_trace_forget_texts(&b->t);
	imp_build_finish(b);
out:
	imp_interner_clear(&b->shared);
	imp_trace_close(&b->t);
	imp_arena_clear(&b->scratch);
	free(b);
	if (ret < 0)
		imp_record_clear(r);
	return ret;
}

void imp_record_clear(struct imp_record *r)
{
	imp_arena_clear(&r->arena);
	memset(r, 0, sizeof(*r));
}

const char *imp_record_env(const struct imp_image *image, const char *name)
{
	size_t len = strlen(name), i;

	for (i = 0; i < image->env.n; i++)
		if (!strncmp(image->env.v[i], name, len) && image->env.v[i][len] == '=')
			return image->env.v[i] + len + 1;
	return NULL;
}

static int compare_number(const void *key, const void *member)
{
	const uint64_t *number = key;
	const struct imp_object *const *o = member;

	return *number < (*o)->number ? -1 : *number > (*o)->number;
}

const struct imp_object *imp_record_object(const struct imp_image *image, uint64_t number)
{
	struct imp_object **found;

	/* A forked image has the objects of the one that forked it, under the same numbers. */
	for (; image; image = image->how == IMP_START_FORK ? image->parent : NULL) {
		if (!image->objects.n)
			continue;
		found = bsearch(&number, image->objects.v, image->objects.n,
				sizeof(*image->objects.v), compare_number);
		if (found)
			return *found;
	}
	return NULL;
}

const struct imp_interpreter *imp_record_interpreter(const struct imp_image *image, uint64_t number)
{
	size_t i;

	for (i = 0; i < image->interpreters.n; i++)
		if (image->interpreters.v[i]->number == number)
			return image->interpreters.v[i];
	return NULL;
}
