/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ld.so told rtld-audit: each path that it tried, and what it opened. */
#include "record_build.h"

#include <link.h>

struct imp_loader_thread *imp_build_loader_thread(struct imp_builder *b, struct imp_image_state *s,
						  const struct imp_event *ev)
{
	struct imp_loader_thread *t = imp_id_map_get(&s->threads, ev->thread, 0);

	if (!t) {
		t = imp_arena_alloc(&b->scratch, sizeof(*t));
		imp_id_map_put(&b->scratch, &s->threads, ev->thread, 0, t);
	}
	return t;
}

static void begin(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	struct imp_loader_thread *thread = imp_build_loader_thread(b, s, ev);
	struct imp_ld_lookup_seen *l = imp_arena_alloc(&b->r->arena, sizeof(*l));

	l->name = imp_build_text(b, ev, IMP_KEY_TEXT);
	l->requester = imp_build_text(b, ev, IMP_KEY_REQUESTER);
	l->call = thread->call;
	l->thread = ev->thread;
	l->time_ns = ev->time_ns;
	thread->lookup = l;
	*imp_vec_push(&b->r->arena, &s->image->lookups) = l;
}

static void take_path(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	uint64_t flag = imp_event_uint(ev, IMP_KEY_FLAGS, 0);
	struct imp_loader_thread *thread;
	struct imp_tried_path *tried;

	if (flag == LA_SER_ORIG) {
		begin(b, s, ev);
		return;
	}
	thread = imp_build_loader_thread(b, s, ev);
	if (!thread->lookup) /* its beginning was lost */
		return;
	tried = imp_vec_push(&b->r->arena, &thread->lookup->tried);
	tried->path = imp_build_text(b, ev, IMP_KEY_TEXT);
	tried->flag = flag;
}

/* What is opened without a look-up of its own is a path that dlmopen() was given. */
static void take_open(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	struct imp_loader_thread *thread = imp_build_loader_thread(b, s, ev);

	if (thread->lookup)
		thread->lookup->opened = imp_build_text(b, ev, IMP_KEY_TEXT);
	thread->lookup = NULL;
}

bool imp_build_search(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	switch (ev->kind) {
	case IMP_EV_SEARCH_PATH: take_path(b, s, ev); return true;
	case IMP_EV_SEARCH_OPEN: take_open(b, s, ev); return true;
	default: return false;
	}
}
