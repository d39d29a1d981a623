/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record_build.h"

#include <limits.h>
#include <string.h>

/* Processes, objects and the dynamic loader. */

#define NEW(b, type) ((type *)imp_arena_alloc(&(b)->r->arena, sizeof(type)))

static void take_ids(struct imp_image *image, const struct imp_cbor_item *list)
{
	uint32_t *const to[] = {&image->uid, &image->euid, &image->gid, &image->egid};
	struct imp_cbor_item one;
	struct imp_cbor_in in;
	size_t i;

	if (!list || list->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(list);
	for (i = 0; i < 4; i++) {
		if (!imp_cbor_get(&in, &one) || one.type != IMP_CBOR_UINT || one.number > UINT32_MAX)
			return;
		*to[i] = (uint32_t)one.number;
	}
	image->ids_known = true;
}

static void take_host(struct imp_builder *b, struct imp_image *image, const struct imp_event *ev)
{
	const struct imp_cbor_item *list = imp_event_get(ev, IMP_KEY_HOST);
	struct imp_cbor_item one;
	struct imp_strings uname;
	struct imp_cbor_in in;

	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_MACHINE), &uname);
	image->machine = uname.n > 0 ? uname.v[0] : NULL;
	image->release = uname.n > 1 ? uname.v[1] : NULL;
	if (!list || list->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(list);
	if (imp_cbor_get(&in, &one))
		image->boot_id = imp_build_item_text(b, ev, &one);
	if (imp_cbor_get(&in, &one))
		imp_cbor_to_uint(&one, &image->root_dev);
	if (imp_cbor_get(&in, &one))
		imp_cbor_to_uint(&one, &image->root_ino);
}

static void take_process(struct imp_builder *b, struct imp_image_state *s,
			 const struct imp_event *ev)
{
	struct imp_image *image = s->image;
	uint64_t how = imp_event_uint(ev, IMP_KEY_HOW, IMP_START_FIRST);
	uint64_t ppid = imp_event_uint(ev, IMP_KEY_PPID, 0);
	const struct imp_trace_image *parent;

	image->started = true;
	if (how >= IMP_START_FIRST && how <= IMP_START_ATTACH)
		image->how = (enum imp_start)how;
	image->ppid = ppid <= INT_MAX ? (pid_t)ppid : 0;
	image->parent_image_ns = imp_event_uint(ev, IMP_KEY_PARENT_IMAGE_NS, 0);
	if (image->parent_image_ns && image->how == IMP_START_FORK) {
		parent = imp_id_map_get(&b->t.image_map, ppid, image->parent_image_ns);
		if (parent && parent->user != s)
			s->parent = parent->user;
	}
	image->exe = imp_build_text(b, ev, IMP_KEY_EXE);
	image->cwd = imp_build_text(b, ev, IMP_KEY_CWD);
	image->libc = imp_build_text(b, ev, IMP_KEY_LIBC);
	image->page_size = imp_event_uint(ev, IMP_KEY_PAGE_SIZE, 0);
	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_ARGV), &image->argv);
	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_ENV), &image->env);
	take_ids(image, imp_event_get(ev, IMP_KEY_IDS));
	take_host(b, image, ev);
}

static void take_object(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	const struct imp_cbor_item *id = imp_event_get(ev, IMP_KEY_BUILD_ID);
	uint64_t number = imp_event_uint(ev, IMP_KEY_OBJECT, 0);
	struct imp_object *o;

	if (!number)
		return;
	o = NEW(b, struct imp_object);
	o->number = number;
	o->path = imp_build_text(b, ev, IMP_KEY_TEXT);
	o->address = imp_event_uint(ev, IMP_KEY_ADDRESS, 0);
	o->size = imp_event_uint(ev, IMP_KEY_SIZE, 0);
	o->name_space = imp_event_int(ev, IMP_KEY_NAMESPACE, 0);
	o->mapped_ns = ev->time_ns;
	if (id && id->type == IMP_CBOR_BYTES && id->len) {
		o->build_id =
			(const uint8_t *)imp_intern(&b->shared, (const char *)id->data, id->len);
		o->build_id_len = id->len;
	}
	*imp_vec_push(&b->r->arena, &s->image->objects) = o;
	/* Their numbers count up: those that do are found by their place. */
	if (s->image->objects.n != number)
		imp_id_map_put(&b->scratch, &s->objects, number, 0, o);
}

static struct imp_object *find_object(const struct imp_image_state *s, uint64_t number)
{
	struct imp_object *o = s->objects.n ? imp_id_map_get(&s->objects, number, 0) : NULL;

	if (!o && number && number <= s->image->objects.n &&
	    s->image->objects.v[number - 1]->number == number)
		o = s->image->objects.v[number - 1];
	return o;
}

static void take_object_gone(struct imp_image_state *s, const struct imp_event *ev)
{
	struct imp_object *o = find_object(s, imp_event_uint(ev, IMP_KEY_OBJECT, 0));

	if (o && !o->gone_ns)
		o->gone_ns = ev->time_ns;
}

static void take_exec(struct imp_builder *b, struct imp_image *image, const struct imp_event *ev)
{
	struct imp_exec *e = NEW(b, struct imp_exec);

	e->path = imp_build_text(b, ev, IMP_KEY_EXE);
	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_ARGV), &e->argv);
	e->time_ns = ev->time_ns;
	*imp_vec_push(&b->r->arena, &image->execs) = e;
}

/* One that failed comes back before the same thread can try another. */
static void take_exec_failed(struct imp_image *image, const struct imp_event *ev)
{
	uint64_t err = imp_event_uint(ev, IMP_KEY_ERRNO, 0);

	if (image->execs.n && !image->execs.v[image->execs.n - 1]->failed_errno)
		image->execs.v[image->execs.n - 1]->failed_errno =
			err && err <= INT_MAX ? (int)err : -1;
}

static void take_end(struct imp_image *image, const struct imp_event *ev)
{
	uint64_t how = imp_event_uint(ev, IMP_KEY_HOW, IMP_END_EXIT);
	int64_t code = imp_event_int(ev, IMP_KEY_CODE, INT64_MAX);

	image->ended = true;
	image->end_how =
		how >= IMP_END_EXIT && how <= IMP_END_DETACHED ? (enum imp_end)how : IMP_END_EXIT;
	image->end_ns = ev->time_ns;
	if (code >= INT_MIN && code <= INT_MAX) {
		image->code = (int)code;
		image->code_known = true;
	}
}

static void take_dlopen_enter(struct imp_builder *b, struct imp_image_state *s,
			      const struct imp_event *ev)
{
	struct imp_loader_thread *thread = imp_build_loader_thread(b, s, ev);
	struct imp_dlopen *d = NEW(b, struct imp_dlopen);

	d->outer = thread->call;
	thread->call = d;
	d->call = imp_event_uint(ev, IMP_KEY_CALL, 0);
	d->name = imp_build_text(b, ev, IMP_KEY_TEXT);
	d->flags = imp_event_uint(ev, IMP_KEY_FLAGS, 0);
	d->caller = imp_event_uint(ev, IMP_KEY_CALLER, 0);
	d->offset = imp_event_uint(ev, IMP_KEY_OFFSET, 0);
	d->name_space = imp_event_int(ev, IMP_KEY_NAMESPACE, 0);
	d->thread = ev->thread;
	d->begin_ns = ev->time_ns;
	*imp_vec_push(&b->r->arena, &s->image->dlopens) = d;
	imp_open_put(b, &s->dlopens, d->call, d);
}

static void take_dlopen_leave(struct imp_builder *b, struct imp_image_state *s,
			      const struct imp_event *ev)
{
	struct imp_dlopen *d = imp_open_get(&s->dlopens, imp_event_uint(ev, IMP_KEY_CALL, 0));

	struct imp_loader_thread *thread = imp_build_loader_thread(b, s, ev);

	if (!d || d->ended)
		return;
	thread->call = d->outer; /* of those within it that did not come back, too */
	d->ended = true;
	d->end_ns = ev->time_ns;
	d->handle = imp_event_uint(ev, IMP_KEY_HANDLE, 0);
	d->object = imp_event_uint(ev, IMP_KEY_OBJECT, 0);
	d->error = imp_build_text(b, ev, IMP_KEY_ERROR);
	imp_open_end(b, &s->dlopens, d->call, false);
}

static void take_note(struct imp_builder *b, struct imp_image *image, const struct imp_event *ev)
{
	struct imp_recorder_note *note = imp_vec_push(&b->r->arena, &image->notes);
	uint64_t err = imp_event_uint(ev, IMP_KEY_ERRNO, 0);

	note->note = imp_event_uint(ev, IMP_KEY_NOTE, 0);
	if (note->note == IMP_NOTE_KERNEL_LOST)
		image->kernel_events++; /* it may be all that the kernel has of this image */
	note->err = err <= INT_MAX ? (int)err : 0;
	note->text = imp_build_text(b, ev, IMP_KEY_TEXT);
}

bool imp_build_native(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	switch (ev->kind) {
	case IMP_EV_NOTE: take_note(b, s->image, ev); return true;
	case IMP_EV_PROCESS: take_process(b, s, ev); return true;
	case IMP_EV_OBJECT: take_object(b, s, ev); return true;
	case IMP_EV_OBJECT_GONE: take_object_gone(s, ev); return true;
	case IMP_EV_EXEC: take_exec(b, s->image, ev); return true;
	case IMP_EV_EXEC_FAILED: take_exec_failed(s->image, ev); return true;
	case IMP_EV_PROCESS_END: take_end(s->image, ev); return true;
	case IMP_EV_DLOPEN_ENTER: take_dlopen_enter(b, s, ev); return true;
	case IMP_EV_DLOPEN_LEAVE: take_dlopen_leave(b, s, ev); return true;
	case IMP_EV_DLSYM:
	case IMP_EV_DLCLOSE:
	case IMP_EV_DLERROR: return true; /* for "imptrace dump" */
	default: return false;
	}
}
