/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record_build.h"

#include <limits.h>
#include <string.h>

const char *imp_build_item_text(struct imp_builder *b, const struct imp_event *ev,
				const struct imp_cbor_item *item)
{
	return imp_trace_text(&b->t, ev, item);
}

const char *imp_build_text(struct imp_builder *b, const struct imp_event *ev, enum imp_key key)
{
	return imp_trace_text(&b->t, ev, imp_event_get(ev, key));
}

void imp_build_texts(struct imp_builder *b, const struct imp_event *ev,
		     const struct imp_cbor_item *item, struct imp_strings *out)
{
	struct imp_cbor_item one;
	struct imp_cbor_in in;
	const char *s;

	memset(out, 0, sizeof(*out));
	if (!item || item->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(item);
	/* No more than there are bytes: the number was compared with them. */
	if (item->number)
		imp_vec_room(&b->r->arena, out, item->number);
	while (imp_cbor_get(&in, &one)) {
		s = imp_build_item_text(b, ev, &one);
		if (s)
			*imp_vec_push(&b->r->arena, out) = s;
	}
}

void imp_build_frame(struct imp_builder *b, const struct imp_event *ev,
		     const struct imp_cbor_item *item, struct imp_frame *out)
{
	struct imp_cbor_item part;
	struct imp_cbor_in in;

	memset(out, 0, sizeof(*out));
	if (!item || item->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(item);
	if (imp_cbor_get(&in, &part))
		out->file = imp_build_item_text(b, ev, &part);
	if (imp_cbor_get(&in, &part) && part.type == IMP_CBOR_UINT && part.number <= UINT_MAX)
		out->line = (unsigned int)part.number;
	if (imp_cbor_get(&in, &part))
		out->function = imp_build_item_text(b, ev, &part);
	if (imp_cbor_get(&in, &part))
		out->module = imp_build_item_text(b, ev, &part);
}

void imp_build_map(struct imp_small_map *m, const struct imp_cbor_item *item)
{
	struct imp_cbor_item key, value;
	struct imp_cbor_in in;

	memset(m->present, 0, sizeof(m->present));
	if (!item || item->type != IMP_CBOR_MAP)
		return;
	in = imp_cbor_enter(item);
	while (imp_cbor_get(&in, &key) && imp_cbor_get(&in, &value)) {
		if (key.type != IMP_CBOR_UINT || key.number >= IMP_SMALL_MAP_KEYS)
			continue;
		m->v[key.number] = value;
		m->present[key.number] = true;
	}
}

const struct imp_cbor_item *imp_build_map_get(const struct imp_small_map *m, unsigned int key)
{
	return m->present[key] ? &m->v[key] : NULL;
}

uint64_t imp_build_map_uint(const struct imp_small_map *m, unsigned int key, uint64_t otherwise)
{
	if (m->present[key])
		imp_cbor_to_uint(&m->v[key], &otherwise);
	return otherwise;
}

static const char *map_text(struct imp_builder *b, const struct imp_event *ev,
			    const struct imp_small_map *m, unsigned int key)
{
	return imp_build_item_text(b, ev, imp_build_map_get(m, key));
}

static bool map_bool(const struct imp_small_map *m, unsigned int key, bool otherwise)
{
	if (!m->present[key] || m->v[key].type != IMP_CBOR_BOOL)
		return otherwise;
	return m->v[key].number != 0;
}

static int map_errno(const struct imp_small_map *m, unsigned int key)
{
	uint64_t value = imp_build_map_uint(m, key, 0);

	return value <= INT_MAX ? (int)value : 0;
}

/* The depth is bounded: the decoder refuses what is nested deeper than IMP_DEPTH_MAX. */
struct imp_exception *imp_build_exception(struct imp_builder *b, const struct imp_event *ev,
					  const struct imp_cbor_item *item)
{
	const struct imp_cbor_item *members;
	struct imp_exception *e, *member;
	struct imp_cbor_item one;
	struct imp_small_map m;
	struct imp_cbor_in in;

	if (!item || item->type != IMP_CBOR_MAP)
		return NULL;
	imp_build_map(&m, item);
	e = imp_arena_alloc(&b->r->arena, sizeof(*e));
	e->type = map_text(b, ev, &m, IMP_EXC_TYPE);
	e->message = map_text(b, ev, &m, IMP_EXC_MESSAGE);
	e->id = imp_build_map_uint(&m, IMP_EXC_ID, 0);
	e->name = map_text(b, ev, &m, IMP_EXC_NAME);
	e->path = map_text(b, ev, &m, IMP_EXC_PATH);
	e->name_from = map_text(b, ev, &m, IMP_EXC_NAME_FROM);
	e->suppress_context = map_bool(&m, IMP_EXC_SUPPRESS, false);
	imp_build_frame(b, ev, imp_build_map_get(&m, IMP_EXC_WHERE), &e->where);
	e->cause = imp_build_exception(b, ev, imp_build_map_get(&m, IMP_EXC_CAUSE));
	e->context = imp_build_exception(b, ev, imp_build_map_get(&m, IMP_EXC_CONTEXT));
	members = imp_build_map_get(&m, IMP_EXC_MEMBERS);
	if (!members || members->type != IMP_CBOR_ARRAY)
		return e;
	in = imp_cbor_enter(members);
	while (imp_cbor_get(&in, &one)) {
		member = imp_build_exception(b, ev, &one);
		if (member)
			*imp_vec_push(&b->r->arena, &e->members) = member;
	}
	return e;
}

void imp_build_stat(const struct imp_cbor_item *item, struct imp_stat *out)
{
	uint64_t number[4];
	struct imp_cbor_item part;
	struct imp_cbor_in in;
	int64_t mtime;
	size_t i;

	memset(out, 0, sizeof(*out));
	if (!item || item->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(item);
	for (i = 0; i < 4; i++)
		if (!imp_cbor_get(&in, &part) || !imp_cbor_to_uint(&part, &number[i]))
			return;
	if (!imp_cbor_get(&in, &part) || !imp_cbor_to_int(&part, &mtime))
		return;
	if (number[0] > UINT32_MAX || number[1] > UINT32_MAX || number[2] > UINT32_MAX)
		return;
	out->known = true;
	out->mode = (uint32_t)number[0];
	out->uid = (uint32_t)number[1];
	out->gid = (uint32_t)number[2];
	out->size = number[3];
	out->mtime_ns = mtime;
}

/* How many entries or candidates there are: room for one takes a hundred times the bytes that it may have in the trace. */
static size_t count_maps(const struct imp_cbor_item *list)
{
	struct imp_cbor_in in = imp_cbor_enter(list);
	struct imp_cbor_item one;
	size_t n = 0;

	while (imp_cbor_get(&in, &one))
		n += one.type == IMP_CBOR_MAP;
	return n;
}

static void build_candidate(struct imp_builder *b, const struct imp_event *ev,
			    const struct imp_cbor_item *item, struct imp_candidate *c)
{
	struct imp_small_map m;

	imp_build_map(&m, item);
	c->name = map_text(b, ev, &m, IMP_CAND_NAME);
	if (!c->name)
		c->name = "?";
	imp_build_stat(imp_build_map_get(&m, IMP_CAND_STAT), &c->stat);
	c->err = map_errno(&m, IMP_CAND_ERRNO);
	c->target = map_text(b, ev, &m, IMP_CAND_TARGET);
	c->target_err = map_errno(&m, IMP_CAND_TARGET_ERRNO);
	c->on_disk = map_bool(&m, IMP_CAND_ON_DISK, true);
	c->in_cache_known = m.present[IMP_CAND_IN_CACHE];
	c->in_cache = map_bool(&m, IMP_CAND_IN_CACHE, false);
	c->access_err = map_errno(&m, IMP_CAND_ACCESS);
	imp_build_texts(b, ev, imp_build_map_get(&m, IMP_CAND_INSIDE), &c->inside);
}

/*
 * The recorder lists a directory's metadata once; a forked child knows what its parent has listed.
 * Entries are interned, so equal ones have equal addresses.
 */
static void share_listing(struct imp_builder *b, struct imp_image_state *s, struct imp_entry *e,
			  bool listed)
{
	const uint64_t key = (uint64_t)(uintptr_t)e->entry;
	const struct imp_strings *known = NULL;
	struct imp_strings *own;
	unsigned int generations;

	if (listed) {
		own = imp_arena_alloc(&b->scratch, sizeof(*own));
		*own = e->metadata;
		imp_id_map_put(&b->scratch, &s->listings, key, 0, own);
		return;
	}
	for (generations = 0; s && !known && generations < 64; s = s->parent, generations++)
		known = imp_id_map_get(&s->listings, key, 0);
	if (known)
		e->metadata = *known;
}

static void build_entry(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev,
			const struct imp_cbor_item *item, struct imp_entry *e)
{
	const struct imp_cbor_item *list;
	struct imp_small_map m;
	struct imp_cbor_item one;
	struct imp_cbor_in in;

	imp_build_map(&m, item);
	e->entry = map_text(b, ev, &m, IMP_ENTRY_ENTRY);
	if (!e->entry)
		e->entry = "?";
	e->finder = map_text(b, ev, &m, IMP_ENTRY_FINDER);
	e->state = (enum imp_path_state)imp_build_map_uint(&m, IMP_ENTRY_STATE, IMP_PATH_OTHER);
	if (e->state < IMP_PATH_DIRECTORY || e->state > IMP_PATH_OTHER)
		e->state = IMP_PATH_OTHER;
	e->err = map_errno(&m, IMP_ENTRY_ERRNO);
	imp_build_stat(imp_build_map_get(&m, IMP_ENTRY_STAT), &e->stat);
	if (m.present[IMP_ENTRY_FINDER_MTIME])
		e->finder_mtime_known =
			imp_cbor_to_int(&m.v[IMP_ENTRY_FINDER_MTIME], &e->finder_mtime_ns);
	e->finder_names = imp_build_map_uint(&m, IMP_ENTRY_FINDER_NAMES, 0);
	e->cut = map_bool(&m, IMP_ENTRY_CUT, false);
	e->of_package = map_bool(&m, IMP_ENTRY_HOOKED, false);
	imp_build_texts(b, ev, imp_build_map_get(&m, IMP_ENTRY_METADATA), &e->metadata);
	share_listing(b, s, e, m.present[IMP_ENTRY_METADATA]);
	list = imp_build_map_get(&m, IMP_ENTRY_CANDIDATES);
	if (!list || list->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(list);
	imp_vec_room(&b->r->arena, &e->candidates, count_maps(list));
	while (imp_cbor_get(&in, &one))
		if (one.type == IMP_CBOR_MAP)
			build_candidate(b, ev, &one, imp_vec_push(&b->r->arena, &e->candidates));
}

struct imp_snapshot *imp_build_snapshot(struct imp_builder *b, struct imp_image_state *state,
					const struct imp_event *ev)
{
	struct imp_snapshot *s = imp_arena_alloc(&b->r->arena, sizeof(*s));
	const struct imp_cbor_item *list = imp_event_get(ev, IMP_KEY_ENTRIES);
	uint64_t module = imp_event_uint(ev, IMP_KEY_SYS_MODULES, IMP_MODULE_ABSENT);
	struct imp_cbor_item one;
	struct imp_cbor_in in;

	s->time_ns = ev->time_ns;
	s->sys_modules =
		module <= IMP_MODULE_PRESENT ? (enum imp_module_state)module : IMP_MODULE_ABSENT;
	s->frozen = imp_build_text(b, ev, IMP_KEY_FROZEN);
	s->parent_file = imp_build_text(b, ev, IMP_KEY_MODULE_FILE);
	imp_build_texts(b, ev, imp_event_get(ev, IMP_KEY_META_PATH), &s->meta_path);
	if (!list || list->type != IMP_CBOR_ARRAY)
		return s;
	in = imp_cbor_enter(list);
	imp_vec_room(&b->r->arena, &s->entries, count_maps(list));
	while (imp_cbor_get(&in, &one))
		if (one.type == IMP_CBOR_MAP)
			build_entry(b, state, ev, &one, imp_vec_push(&b->r->arena, &s->entries));
	return s;
}
