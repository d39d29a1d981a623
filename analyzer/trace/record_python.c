/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record_build.h"

#include <string.h>

/* Interpreters, imports and extension modules. */

#define NEW(b, type)	 ((type *)imp_arena_alloc(&(b)->r->arena, sizeof(type)))
#define INTERPRETERS_MAX 4096 /* of one image; they are looked for one by one */

static struct imp_interpreter *get_interpreter(struct imp_builder *b, struct imp_image *image,
					       const struct imp_event *ev)
{
	uint64_t number = imp_event_uint(ev, IMP_KEY_INTERP, 0);
	struct imp_interpreter *py;
	size_t i;

	for (i = image->interpreters.n; i-- > 0;)
		if (image->interpreters.v[i]->number == number)
			return image->interpreters.v[i];
	if (image->interpreters.n >= INTERPRETERS_MAX)
		return image->interpreters.v[0];
	py = NEW(b, struct imp_interpreter);
	py->number = number;
	*imp_vec_push(&b->r->arena, &image->interpreters) = py;
	return py;
}

static void take_flags(struct imp_builder *b, struct imp_interpreter *py, const struct imp_event *ev)
{
	const struct imp_cbor_item *map = imp_event_get(ev, IMP_KEY_FLAGS);
	struct imp_cbor_item key, value;
	struct imp_flag *flag;
	struct imp_cbor_in in;
	const char *name;
	int64_t number;

	if (!map || map->type != IMP_CBOR_MAP)
		return;
	in = imp_cbor_enter(map);
	while (imp_cbor_get(&in, &key) && imp_cbor_get(&in, &value)) {
		name = imp_build_item_text(b, ev, &key);
		if (!name || !imp_cbor_to_int(&value, &number))
			continue;
		flag = imp_vec_push(&b->r->arena, &py->flags);
		flag->name = name;
		flag->value = number;
	}
}

static void take_interpreter(struct imp_builder *b, struct imp_image *image,
			     const struct imp_event *ev)
{
	struct imp_interpreter *py = get_interpreter(b, image, ev);

	py->version = imp_build_text(b, ev, IMP_KEY_VERSION);
	py->implementation = imp_build_text(b, ev, IMP_KEY_IMPLEMENTATION);
	py->cache_tag = imp_build_text(b, ev, IMP_KEY_CACHE_TAG);
	py->abiflags = imp_build_text(b, ev, IMP_KEY_ABIFLAGS);
	py->executable = imp_build_text(b, ev, IMP_KEY_EXECUTABLE);
	py->prefix = imp_build_text(b, ev, IMP_KEY_PREFIX);
	py->base_prefix = imp_build_text(b, ev, IMP_KEY_BASE_PREFIX);
	py->exec_prefix = imp_build_text(b, ev, IMP_KEY_EXEC_PREFIX);
	py->base_exec_prefix = imp_build_text(b, ev, IMP_KEY_BASE_EXEC_PREFIX);
	py->stdlib = imp_build_text(b, ev, IMP_KEY_STDLIB);
	py->platform = imp_build_text(b, ev, IMP_KEY_PLATFORM);
	py->object = imp_event_uint(ev, IMP_KEY_OBJECT, 0);
	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_SUFFIXES), &py->suffixes);
	py->flags.n = 0;
	take_flags(b, py, ev);
}

static struct imp_attempt *find_attempt(struct imp_image_state *s, const struct imp_event *ev,
					enum imp_key key)
{
	return imp_id_map_get(&s->attempts, imp_event_uint(ev, key, 0), 0);
}

static void take_sys_path(struct imp_builder *b, struct imp_image_state *s,
			  const struct imp_event *ev)
{
	struct imp_interpreter *py = get_interpreter(b, s->image, ev);
	struct imp_sys_path *p = imp_vec_push(&b->r->arena, &py->paths);
	uint64_t phase = imp_event_uint(ev, IMP_KEY_PHASE, IMP_PHASE_RUN);

	p->phase = phase >= IMP_PHASE_START && phase <= IMP_PHASE_RUN ? (enum imp_phase)phase :
									IMP_PHASE_RUN;
	p->prefix = imp_build_text(b, ev, IMP_KEY_PREFIX);
	p->exec_prefix = imp_build_text(b, ev, IMP_KEY_EXEC_PREFIX);
	/* In a virtual environment, site sets them (before 3.14), after INTERPRETER was written. */
	if (p->prefix)
		py->prefix = p->prefix;
	if (p->exec_prefix)
		py->exec_prefix = p->exec_prefix;
	p->time_ns = ev->time_ns;
	p->attempt = find_attempt(s, ev, IMP_KEY_IMPORT);
	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_PATH), &p->path);
}

static void take_meta_path(struct imp_builder *b, struct imp_image *image,
			   const struct imp_event *ev)
{
	struct imp_interpreter *py = get_interpreter(b, image, ev);
	struct imp_meta_path *m = imp_vec_push(&b->r->arena, &py->meta_paths);

	m->time_ns = ev->time_ns;
	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_META_PATH), &m->meta_path);
	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_PATH_HOOKS), &m->path_hooks);
}

static void take_import_begin(struct imp_builder *b, struct imp_image_state *s,
			      const struct imp_event *ev)
{
	struct imp_attempt *a;
	uint64_t id = imp_event_uint(ev, IMP_KEY_IMPORT, 0);

	if (!id)
		return;
	a = NEW(b, struct imp_attempt);
	a->id = id;
	a->name = imp_build_text(b, ev, IMP_KEY_TEXT);
	if (!a->name)
		a->name = "?";
	/* Only an older one: no circle can come up, whatever the trace says. */
	a->parent = find_attempt(s, ev, IMP_KEY_PARENT);
	a->thread = ev->thread;
	a->interp = imp_event_uint(ev, IMP_KEY_INTERP, 0);
	a->begin_ns = ev->time_ns;
	imp_build_frame(b, ev, imp_event_get(ev, IMP_KEY_FRAME), &a->frame);
	*imp_vec_push(&b->r->arena, &s->image->attempts) = a;
	imp_id_map_put(&b->scratch, &s->attempts, id, 0, a);
}

static void take_searched(struct imp_builder *b, struct imp_attempt *a, const struct imp_event *ev)
{
	const struct imp_cbor_item *list = imp_event_get(ev, IMP_KEY_SEARCHED);
	struct imp_cbor_item one, part;
	struct imp_cbor_in in, inner;
	struct imp_searched *found;

	if (!list || list->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(list);
	while (imp_cbor_get(&in, &one)) {
		if (one.type != IMP_CBOR_ARRAY)
			continue;
		found = imp_vec_push(&b->r->arena, &a->searched);
		inner = imp_cbor_enter(&one);
		if (imp_cbor_get(&inner, &part))
			found->entry = imp_build_item_text(b, ev, &part);
		if (imp_cbor_get(&inner, &part))
			found->finder = imp_build_item_text(b, ev, &part);
		if (imp_cbor_get(&inner, &part) && part.type == IMP_CBOR_UINT &&
		    part.number <= IMP_SEARCH_ERROR)
			found->result = (enum imp_search_result)part.number;
		if (!found->entry)
			found->entry = "?";
	}
}

static void take_stack(struct imp_builder *b, const struct imp_event *ev, struct imp_frames *out)
{
	const struct imp_cbor_item *stack = imp_event_get(ev, IMP_KEY_STACK);
	struct imp_cbor_item one;
	struct imp_cbor_in in;

	if (!stack || stack->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(stack);
	while (imp_cbor_get(&in, &one))
		imp_build_frame(b, ev, &one, imp_vec_push(&b->r->arena, out));
}

static void take_import_end(struct imp_builder *b, struct imp_image_state *s,
			    const struct imp_event *ev)
{
	struct imp_attempt *a = find_attempt(s, ev, IMP_KEY_IMPORT);

	if (!a || a->ended)
		return;
	a->ended = true;
	a->end_ns = ev->time_ns;
	a->origin = imp_build_text(b, ev, IMP_KEY_ORIGIN);
	a->loader = imp_build_text(b, ev, IMP_KEY_LOADER);
	a->exception = imp_build_exception(b, ev, imp_event_get(ev, IMP_KEY_EXCEPTION));
	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_SUBMODULE_PATH), &a->submodule_path);
	take_searched(b, a, ev);
	take_stack(b, ev, &a->stack);
}

static void take_extension_begin(struct imp_builder *b, struct imp_image_state *s,
				 const struct imp_event *ev)
{
	struct imp_extension_call *e = NEW(b, struct imp_extension_call);

	e->call = imp_event_uint(ev, IMP_KEY_CALL, 0);
	e->step = imp_event_uint(ev, IMP_KEY_STEP, 0) == IMP_STEP_EXEC ? IMP_STEP_EXEC :
									 IMP_STEP_CREATE;
	e->name = imp_build_text(b, ev, IMP_KEY_TEXT);
	if (!e->name)
		e->name = "?";
	e->path = imp_build_text(b, ev, IMP_KEY_ORIGIN);
	e->attempt = find_attempt(s, ev, IMP_KEY_IMPORT);
	e->thread = ev->thread;
	e->begin_ns = ev->time_ns;
	*imp_vec_push(&b->r->arena, &s->image->extensions) = e;
	imp_id_map_put(&b->scratch, &s->extensions, e->call, 0, e);
}

static void take_extension_end(struct imp_builder *b, struct imp_image_state *s,
			       const struct imp_event *ev)
{
	struct imp_extension_call *e =
		imp_id_map_get(&s->extensions, imp_event_uint(ev, IMP_KEY_CALL, 0), 0);

	if (!e || e->ended)
		return;
	e->ended = true;
	e->end_ns = ev->time_ns;
	e->exception = imp_build_exception(b, ev, imp_event_get(ev, IMP_KEY_EXCEPTION));
}

static void take_snapshot(struct imp_builder *b, struct imp_image_state *s,
			  const struct imp_event *ev)
{
	struct imp_attempt *a = find_attempt(s, ev, IMP_KEY_IMPORT);

	if (a)
		a->snapshot = imp_build_snapshot(b, s, ev);
}

static void take_claims(struct imp_builder *b, struct imp_image *image, const struct imp_event *ev)
{
	const struct imp_cbor_item *list = imp_event_get(ev, IMP_KEY_CLAIMS);
	struct imp_claims *claims = NEW(b, struct imp_claims);
	struct imp_cbor_item one, part;
	struct imp_cbor_in in, inner;
	struct imp_claim *claim;

	claims->module = imp_build_text(b, ev, IMP_KEY_TEXT);
	if (!claims->module)
		return;
	*imp_vec_push(&b->r->arena, &image->claims) = claims;
	if (!list || list->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(list);
	while (imp_cbor_get(&in, &one)) {
		if (one.type != IMP_CBOR_ARRAY)
			continue;
		claim = imp_vec_push(&b->r->arena, &claims->list);
		inner = imp_cbor_enter(&one);
		if (imp_cbor_get(&inner, &part))
			claim->metadata = imp_build_item_text(b, ev, &part);
		if (imp_cbor_get(&inner, &part))
			claim->record = imp_build_item_text(b, ev, &part);
		if (imp_cbor_get(&inner, &part))
			claim->wheel_tag = imp_build_item_text(b, ev, &part);
	}
}

static void take_uncaught(struct imp_builder *b, struct imp_image *image, const struct imp_event *ev)
{
	struct imp_uncaught_event *u = NEW(b, struct imp_uncaught_event);

	u->how = imp_event_uint(ev, IMP_KEY_HOW, 0) == IMP_UNCAUGHT_THREAD ? IMP_UNCAUGHT_THREAD :
									     IMP_UNCAUGHT_MAIN;
	u->exception = imp_build_exception(b, ev, imp_event_get(ev, IMP_KEY_EXCEPTION));
	take_stack(b, ev, &u->stack);
	u->interp = imp_event_uint(ev, IMP_KEY_INTERP, 0);
	u->thread = ev->thread;
	u->time_ns = ev->time_ns;
	*imp_vec_push(&b->r->arena, &image->uncaught) = u;
}

static void take_sys_exit(struct imp_builder *b, struct imp_image *image, const struct imp_event *ev)
{
	const struct imp_cbor_item *code = imp_event_get(ev, IMP_KEY_CODE);
	struct imp_sys_exit *x = NEW(b, struct imp_sys_exit);

	x->message = imp_build_text(b, ev, IMP_KEY_MESSAGE);
	x->code_known = code && imp_cbor_to_int(code, &x->code);
	x->handled = imp_build_exception(b, ev, imp_event_get(ev, IMP_KEY_EXCEPTION));
	imp_build_frame(b, ev, imp_event_get(ev, IMP_KEY_FRAME), &x->frame);
	x->thread = ev->thread;
	x->time_ns = ev->time_ns;
	*imp_vec_push(&b->r->arena, &image->sys_exits) = x;
}

bool imp_build_python(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	switch (ev->kind) {
	case IMP_EV_INTERPRETER: take_interpreter(b, s->image, ev); return true;
	case IMP_EV_SYS_PATH: take_sys_path(b, s, ev); return true;
	case IMP_EV_META_PATH: take_meta_path(b, s->image, ev); return true;
	case IMP_EV_IMPORT_BEGIN: take_import_begin(b, s, ev); return true;
	case IMP_EV_IMPORT_END: take_import_end(b, s, ev); return true;
	case IMP_EV_EXT_BEGIN: take_extension_begin(b, s, ev); return true;
	case IMP_EV_EXT_END: take_extension_end(b, s, ev); return true;
	case IMP_EV_SNAPSHOT: take_snapshot(b, s, ev); return true;
	case IMP_EV_CLAIMS: take_claims(b, s->image, ev); return true;
	case IMP_EV_UNCAUGHT: take_uncaught(b, s->image, ev); return true;
	case IMP_EV_SYS_EXIT: take_sys_exit(b, s->image, ev); return true;
	default: return false;
	}
}
