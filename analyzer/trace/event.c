/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* imp_cbor_get() for a key; nearly all are small numbers */
static inline bool get_key(struct imp_cbor_in *in, struct imp_cbor_item *key)
{
	const uint8_t *p = in->p;

	if (in->end - p < 3 || *p > 24 || in->bad)
		return imp_cbor_get(in, key);
	key->type = IMP_CBOR_UINT;
	key->number = *p < 24 ? *p : p[1];
	in->p = p + (*p < 24 ? 1 : 2);
	return true;
}

/* The pairs of the event's map; those beyond IMP_FIELDS_MAX are passed over. */
static bool decode_fields(struct imp_event *ev, struct imp_cbor_in *in, uint64_t pairs)
{
	struct imp_cbor_item key, rest, *value;

	for (; pairs; pairs--) {
		/* Where it will stand, unless it turns out to be none of ours. */
		// cppcheck-suppress uninitvar
		value = ev->n < IMP_FIELDS_MAX ? &ev->fields[ev->n].value : &rest;
		if (!get_key(in, &key) || !imp_cbor_get(in, value)) {
			if (!in->bad) {
				in->bad = true;
				in->why = "it ends in the middle of an event";
			}
			return false;
		}
		if (key.type != IMP_CBOR_UINT || ev->n == IMP_FIELDS_MAX)
			continue;
		if (key.number < IMP_KEY_LIMIT)
			ev->index[key.number] = (uint8_t)(ev->n + 1);
		ev->fields[ev->n++].key = key.number;
	}
	return true;
}

bool imp_event_decode(struct imp_event *ev, struct imp_cbor_in *in)
{
	struct imp_cbor_item other;
	uint64_t pairs;

	ev->kind = 0;
	ev->n = 0;
	memset(ev->index, 0, sizeof(ev->index));
	ev->raw = in->p;
	if (imp_cbor_open_map(in, &pairs)) {
		if (!decode_fields(ev, in, pairs))
			return false;
		in->depth--;
	} else if (in->bad || !imp_cbor_get(in, &other)) {
		return false;
	}
	ev->raw_len = (size_t)(in->p - ev->raw);
	if (ev->raw_len > IMP_ITEM_MAX) {
		in->bad = true;
		in->why = "an event is larger than imptrace writes them";
		return false;
	}
	ev->kind = imp_event_uint(ev, IMP_KEY_KIND, 0);
	return true;
}

int64_t imp_event_int(const struct imp_event *ev, enum imp_key key, int64_t otherwise)
{
	const struct imp_cbor_item *item = imp_event_get(ev, key);

	if (item)
		imp_cbor_to_int(item, &otherwise);
	return otherwise;
}

const char *imp_event_lower(const char *name, char *buf, size_t size)
{
	size_t i;

	for (i = 0; name[i] && i + 1 < size; i++)
		buf[i] = (char)tolower((unsigned char)name[i]);
	buf[i] = '\0';
	return buf;
}

const char *imp_event_kind_name(uint64_t kind, char *buf, size_t size)
{
	switch (kind) {
#define X(name, number, about) \
	case number: return imp_event_lower(#name, buf, size);
		IMP_KINDS(X)
#undef X
	default: return NULL;
	}
}

const char *imp_event_key_name(uint64_t key, char *buf, size_t size)
{
	switch (key) {
#define X(name, number, type, about) \
	case number: return imp_event_lower(#name, buf, size);
		IMP_KEYS(X)
#undef X
	default: return NULL;
	}
}

/* Adds bytes, and "\0" for a NUL. */
static void add_bytes(struct imp_strbuf *out, const uint8_t *data, size_t len)
{
	const uint8_t *nul;

	while (len && (nul = memchr(data, 0, len))) {
		imp_strbuf_add(out, data, (size_t)(nul - data));
		imp_strbuf_puts(out, "\\0");
		len -= (size_t)(nul - data) + 1;
		data = nul + 1;
	}
	imp_strbuf_add(out, data, len);
}

static const char *find_text(const struct imp_texts *t, uint64_t id)
{
	if (id < t->n && t->v[id])
		return t->v[id];
	return t->map.n ? imp_id_map_get(&t->map, id, 0) : NULL;
}

bool imp_texts_has(const struct imp_texts *t, uint64_t id)
{
	return find_text(t, id) != NULL;
}

/* Ids that count up stand in an array; its size is bounded by how many strings there are, not by a number. */
static void put_text(struct imp_texts *t, struct imp_arena *arena, uint64_t id, const char *s)
{
	size_t cap;
	const char **v;

	t->defined++;
	if (id >= t->cap && id < 4 * t->defined + 16) {
		cap = (size_t)id + (size_t)id / 2 + 16;
		v = realloc(t->v, cap * sizeof(*v));
		if (v) {
			memset(v + t->cap, 0, (cap - t->cap) * sizeof(*v));
			t->v = v;
			t->cap = cap;
		}
	}
	if (id >= t->cap) {
		imp_id_map_put(arena, &t->map, id, 0, (void *)(uintptr_t)s);
		return;
	}
	t->v[id] = s;
	if (id >= t->n)
		t->n = (size_t)id + 1;
}

void imp_texts_clear(struct imp_texts *t)
{
	free(t->v);
	t->v = NULL;
	t->n = t->cap = 0;
}

static const char *look_up(struct imp_texts *t, uint64_t id)
{
	const char *s = find_text(t, id);

	if (s)
		return s;
	t->missing++;
	return "?";
}

/* The depth is bounded: the decoder has refused what is nested deeper than IMP_DEPTH_MAX. */
static bool add_text(struct imp_strbuf *out, struct imp_texts *t, const struct imp_cbor_item *item)
{
	struct imp_cbor_in in;
	struct imp_cbor_item part;

	switch (item->type) {
	case IMP_CBOR_BYTES:
	case IMP_CBOR_TEXT: add_bytes(out, item->data, item->len); return true;
	case IMP_CBOR_UINT: imp_strbuf_puts(out, look_up(t, item->number)); return true;
	case IMP_CBOR_ARRAY:
		if (item->number != 2)
			return false;
		in = imp_cbor_enter(item);
		if (!imp_cbor_get(&in, &part) || !add_text(out, t, &part))
			return false;
		imp_strbuf_puts(out, "/");
		return imp_cbor_get(&in, &part) && add_text(out, t, &part);
	default: return false;
	}
}

/* The usual path, [number of a directory, name]: is it the one that this slot holds? */
static const char *known_path(const struct imp_path_slot *slot, const char *dir,
			      const uint8_t *name, size_t len)
{
	if (slot->dir != dir || slot->name_len != len ||
	    memcmp(slot->path + slot->dir_len + 1, name, len) != 0)
		return NULL;
	return slot->path;
}

static struct imp_path_slot *path_slot(struct imp_text_maker *m, const char *dir,
				       const uint8_t *name, size_t len)
{
	return &m->paths[(imp_intern_hash(&m->strings, (const char *)name, len) ^
			  (uintptr_t)dir / 16 * 0x9e3779b1u) &
			 (IMP_PATH_SLOTS - 1)];
}

const char *imp_text_get(struct imp_texts *t, struct imp_text_maker *m,
			 const struct imp_cbor_item *item)
{
	struct imp_path_slot *slot = NULL;
	struct imp_cbor_item dir, name;
	const char *path, *directory;
	struct imp_cbor_in in;

	if (item->type == IMP_CBOR_UINT)
		return look_up(t, item->number);
	if (item->type == IMP_CBOR_ARRAY && item->number == 2 && m->paths) {
		in = imp_cbor_enter(item);
		if (imp_cbor_get(&in, &dir) && dir.type == IMP_CBOR_UINT &&
		    imp_cbor_get(&in, &name) && name.type == IMP_CBOR_BYTES &&
		    (directory = find_text(t, dir.number))) {
			slot = path_slot(m, directory, name.data, name.len);
			path = known_path(slot, directory, name.data, name.len);
			if (path)
				return path;
		}
	}
	imp_strbuf_reset(&m->scratch);
	m->scratch.limit = IMP_JOINED_MAX;
	if (!add_text(&m->scratch, t, item))
		return NULL;
	path = imp_intern(&m->strings, m->scratch.s, m->scratch.len);
	/* Not what was cut, or holds a NUL: that stands there differently. */
	if (slot && m->scratch.len == strlen(directory) + 1 + name.len) {
		slot->dir = directory;
		slot->path = path;
		slot->dir_len = (uint32_t)strlen(directory);
		slot->name_len = (uint32_t)name.len;
	}
	return path;
}

void imp_texts_define(struct imp_texts *t, struct imp_arena *arena, struct imp_interner *strings,
		      uint64_t id, const struct imp_cbor_item *text)
{
	struct imp_strbuf scratch = {.limit = IMP_JOINED_MAX};
	const char *s;

	if (text->type != IMP_CBOR_BYTES && text->type != IMP_CBOR_TEXT)
		return;
	if (text->len <= IMP_JOINED_MAX && !memchr(text->data, 0, text->len)) {
		s = imp_intern(strings, (const char *)text->data, text->len);
	} else {
		add_bytes(&scratch, text->data, text->len);
		s = imp_intern(strings, scratch.s, scratch.len);
		imp_strbuf_clear(&scratch);
	}
	put_text(t, arena, id, s);
}
