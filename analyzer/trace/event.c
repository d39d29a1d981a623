/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event.h"

#include <ctype.h>
#include <string.h>

/* The pairs of the event's map; those beyond IMP_FIELDS_MAX are passed over. */
static bool decode_fields(struct imp_event *ev, struct imp_cbor_in *in, uint64_t pairs)
{
	struct imp_cbor_item key, value;

	for (; pairs; pairs--) {
		if (!imp_cbor_get(in, &key) || !imp_cbor_get(in, &value)) {
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
		ev->fields[ev->n].key = key.number;
		ev->fields[ev->n].value = value;
		ev->n++;
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

const struct imp_cbor_item *imp_event_get(const struct imp_event *ev, enum imp_key key)
{
	unsigned int i = ev->index[key];

	return i ? &ev->fields[i - 1].value : NULL;
}

uint64_t imp_event_uint(const struct imp_event *ev, enum imp_key key, uint64_t otherwise)
{
	const struct imp_cbor_item *item = imp_event_get(ev, key);

	if (item)
		imp_cbor_to_uint(item, &otherwise);
	return otherwise;
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

static const char *look_up(struct imp_texts *t, uint64_t id)
{
	const char *s = imp_id_map_get(&t->map, id, 0);

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

const char *imp_text_get(struct imp_texts *t, struct imp_interner *strings,
			 struct imp_strbuf *scratch, const struct imp_cbor_item *item)
{
	if (item->type == IMP_CBOR_UINT)
		return look_up(t, item->number);
	imp_strbuf_reset(scratch);
	scratch->limit = IMP_JOINED_MAX;
	if (!add_text(scratch, t, item))
		return NULL;
	return imp_intern(strings, scratch->s, scratch->len);
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
	imp_id_map_put(arena, &t->map, id, 0, (void *)(uintptr_t)s);
}
