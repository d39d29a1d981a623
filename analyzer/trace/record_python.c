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
	image->derived |= imp_event_get(ev, IMP_KEY_DERIVED) != NULL;
	py->flags.n = 0;
	take_flags(b, py, ev);
}

static struct imp_attempt *find_attempt(struct imp_image_state *s, const struct imp_event *ev,
					enum imp_key key)
{
	return imp_open_get(&s->attempts, imp_event_uint(ev, key, 0));
}

static void take_sys_path(struct imp_builder *b, struct imp_image_state *s,
			  const struct imp_event *ev)
{
	struct imp_interpreter *py = get_interpreter(b, s->image, ev);
	struct imp_sys_path *p = imp_vec_push(&b->r->arena, &py->paths);
	uint64_t phase = imp_event_uint(ev, IMP_KEY_PHASE, IMP_PHASE_RUN);

	p->phase = phase >= IMP_PHASE_START && phase <= IMP_PHASE_ATTACH ? (enum imp_phase)phase :
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
	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_NO_STRS), &p->no_strs);
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

static void take_module(struct imp_builder *b, struct imp_image *image, const struct imp_event *ev)
{
	const char *name = imp_build_text(b, ev, IMP_KEY_TEXT);
	struct imp_present_module *m;

	if (!name)
		return;
	m = imp_vec_push(&b->r->arena, &image->modules);
	m->name = name;
	m->origin = imp_build_text(b, ev, IMP_KEY_ORIGIN);
	m->loader = imp_build_text(b, ev, IMP_KEY_LOADER);
	m->interp = imp_event_uint(ev, IMP_KEY_INTERP, 0);
}

#define BLOCK_MAX 256 /* attempts that are allocated at once */

static struct imp_attempt *new_attempt(struct imp_builder *b, struct imp_image_state *s)
{
	struct imp_attempt_block *block = s->last;
	size_t size = block ? block->size * 2 : 8;

	if (!block || block->n == block->size) {
		size = size < BLOCK_MAX ? size : BLOCK_MAX;
		block = imp_arena_alloc(&b->r->arena, sizeof(*block) + size * sizeof(block->v[0]));
		block->size = size;
		if (s->last)
			s->last->next = block;
		else
			s->first = block;
		s->last = block;
	}
	s->n_attempts++;
	return &block->v[block->n++];
}

/*
 * One copy of what many have in common. Padding is zeroed and strings are interned: equal ones have equal bytes. Most
 * are found where an equal one was put lately, the others by all their bytes.
 */
static size_t shared_slot(const void *key, size_t more)
{
	return ((uintptr_t)key / 16 * 0x9e3779b1u + more * 0x85ebca77u) >> 7 &
	       (IMP_SHARED_SLOTS - 1);
}

static const struct imp_frame *share_frame(struct imp_builder *b, const struct imp_event *ev,
					   const struct imp_cbor_item *item)
{
	const struct imp_frame **known;
	struct imp_frame frame;

	if (!item || item->type != IMP_CBOR_ARRAY)
		return &imp_no_frame;
	imp_build_frame(b, ev, item, &frame);
	known = &b->frames[shared_slot(frame.file, frame.line)];
	/* imp_build_frame() has cleared what lies between the members. */
	// NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
	if (!*known || memcmp(*known, &frame, sizeof(frame)) != 0)
		*known = (const void *)imp_intern(&b->shared, (const char *)&frame, sizeof(frame));
	return *known;
}

static bool same_outcome(const struct imp_outcome *a, const struct imp_outcome *b)
{
	return a && a->origin == b->origin && a->loader == b->loader &&
	       a->searched.n == b->searched.n &&
	       (!a->searched.n ||
		!memcmp(a->searched.v, b->searched.v, a->searched.n * sizeof(a->searched.v[0])));
}

static const struct imp_outcome *share_outcome(struct imp_builder *b, struct imp_outcome *o)
{
	const struct imp_outcome **known = &b->outcomes[shared_slot(o->origin, 0)];

	if (same_outcome(*known, o))
		return *known;
	o->searched.cap = o->searched.n;
	if (o->searched.n)
		o->searched.v =
			(void *)(uintptr_t)imp_intern(&b->shared, (const char *)o->searched.v,
						      o->searched.n * sizeof(o->searched.v[0]));
	else
		o->searched.v = NULL;
	*known = (const void *)imp_intern(&b->shared, (const char *)o, sizeof(*o));
	return *known;
}

static void take_import_begin(struct imp_builder *b, struct imp_image_state *s,
			      const struct imp_event *ev)
{
	uint64_t interp = imp_event_uint(ev, IMP_KEY_INTERP, 0);
	struct imp_attempt *a;
	uint64_t id = imp_event_uint(ev, IMP_KEY_IMPORT, 0);

	if (!id)
		return;
	a = new_attempt(b, s);
	a->id = (uint32_t)(id < UINT32_MAX ? id : UINT32_MAX);
	a->name = imp_build_text(b, ev, IMP_KEY_TEXT);
	if (!a->name)
		a->name = "?";
	/* Only an older one: no circle can come up, whatever the trace says. */
	a->parent = find_attempt(s, ev, IMP_KEY_PARENT);
	a->thread = (uint32_t)(ev->thread < UINT32_MAX ? ev->thread : UINT32_MAX);
	a->interp = (uint16_t)(interp < UINT16_MAX ? interp : UINT16_MAX);
	a->begin_ns = ev->time_ns;
	a->outcome = &imp_no_outcome;
	a->frame = share_frame(b, ev, imp_event_get(ev, IMP_KEY_FRAME));
	imp_open_put(b, &s->attempts, id, a);
}

static void take_searched(struct imp_builder *b, struct imp_outcome *o, const struct imp_event *ev)
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
		found = imp_vec_push(&b->r->arena, &o->searched);
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
	struct imp_outcome o, *own;
	const struct imp_cbor_item *searched;

	s->image->derived |= imp_event_get(ev, IMP_KEY_DERIVED) != NULL;
	if (!a || a->ended)
		return;
	a->ended = true;
	a->end_ns = ev->time_ns;
	a->exception = imp_build_exception(b, ev, imp_event_get(ev, IMP_KEY_EXCEPTION));
	memset(&o, 0, sizeof(o));
	o.origin = imp_build_text(b, ev, IMP_KEY_ORIGIN);
	o.loader = imp_build_text(b, ev, IMP_KEY_LOADER);
	if (!a->exception && !a->own_outcome && !imp_event_get(ev, IMP_KEY_STACK) &&
	    !imp_event_get(ev, IMP_KEY_SUBMODULE_PATH)) {
		o.searched.v = b->searched;
		o.searched.cap = IMP_SEARCHED_MANY;
		take_searched(b, &o, ev);
		a->outcome = share_outcome(b, &o);
		/* It went well: nothing more is said of it. */
		imp_open_end(b, &s->attempts, imp_event_uint(ev, IMP_KEY_IMPORT, 0), false);
		return;
	}
	o.snapshot = a->outcome->snapshot;
	searched = imp_event_get(ev, IMP_KEY_SEARCHED);
	if (searched && searched->type == IMP_CBOR_ARRAY)
		imp_vec_room(&b->r->arena, &o.searched, searched->number);
	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_SUBMODULE_PATH), &o.submodule_path);
	take_searched(b, &o, ev);
	take_stack(b, ev, &o.stack);
	own = NEW(b, struct imp_outcome);
	*own = o;
	a->outcome = own;
	a->own_outcome = true;
	imp_open_end(b, &s->attempts, imp_event_uint(ev, IMP_KEY_IMPORT, 0), true);
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
	imp_open_put(b, &s->extensions, e->call, e);
}

static void take_extension_end(struct imp_builder *b, struct imp_image_state *s,
			       const struct imp_event *ev)
{
	struct imp_extension_call *e =
		imp_open_get(&s->extensions, imp_event_uint(ev, IMP_KEY_CALL, 0));

	if (!e || e->ended)
		return;
	e->ended = true;
	e->end_ns = ev->time_ns;
	e->exception = imp_build_exception(b, ev, imp_event_get(ev, IMP_KEY_EXCEPTION));
	imp_open_end(b, &s->extensions, e->call, false);
}

static void take_snapshot(struct imp_builder *b, struct imp_image_state *s,
			  const struct imp_event *ev)
{
	struct imp_attempt *a = find_attempt(s, ev, IMP_KEY_IMPORT);
	struct imp_outcome *own;

	if (!a)
		return;
	own = NEW(b, struct imp_outcome);
	*own = *a->outcome;
	own->snapshot = imp_build_snapshot(b, s, ev);
	a->outcome = own;
	a->own_outcome = true;
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
	case IMP_EV_MODULE: take_module(b, s->image, ev); return true;
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
