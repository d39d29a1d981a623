/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cbor_get.h"

#include "../../preload/trace_format.h"

struct head {
	unsigned int major, info;
	uint64_t number;
};

void imp_cbor_in_init(struct imp_cbor_in *in, const void *data, size_t len)
{
	in->p = data;
	in->end = in->p + len;
	in->depth = 0;
	in->bad = false;
	in->why = NULL;
}

static bool fail(struct imp_cbor_in *in, const char *why)
{
	in->bad = true;
	in->why = why;
	return false;
}

static inline bool get_head(struct imp_cbor_in *in, struct head *h)
{
	size_t need, i;
	uint64_t number = 0;
	uint8_t first;

	if (in->p == in->end)
		return fail(in, "it ends in the middle of an item");
	first = *in->p++;
	h->major = first >> 5;
	h->info = first & 0x1f;
	h->number = h->info;
	if (h->info < 24)
		return true;
	if (h->info > 27)
		return fail(in, h->info == 31 ? "an item has no definite length" :
						"an item's head is malformed");
	need = (size_t)1 << (h->info - 24);
	if ((size_t)(in->end - in->p) < need)
		return fail(in, "it ends in the middle of an item");
	for (i = 0; i < need; i++)
		number = number << 8 | in->p[i];
	in->p += need;
	h->number = number;
	return true;
}

/* How many items follow a head and belong to it; their bytes are compared with what is left. */
static inline bool content(struct imp_cbor_in *in, const struct head *h, uint64_t *items)
{
	size_t left = (size_t)(in->end - in->p);

	*items = 0;
	switch (h->major) {
	case 2:
	case 3:
		if (h->number > left)
			return fail(in, "a string is longer than what is left");
		in->p += h->number;
		return true;
	case 4:
		if (h->number > left)
			return fail(in, "an array is longer than what is left");
		*items = h->number;
		return true;
	case 5:
		if (h->number > left / 2)
			return fail(in, "a map is longer than what is left");
		*items = h->number * 2;
		return true;
	case 6: *items = 1; return true;
	case 7:
		if (h->info == 24 && h->number < 32)
			return fail(in, "an item's head is malformed");
		return true;
	default: return true;
	}
}

/* Goes over @items items with all that is in them. The stack is as deep as the format allows. */
static bool skip(struct imp_cbor_in *in, uint64_t items)
{
	const unsigned int outermost = in->depth;
	const uint8_t *p = in->p, *const safe = in->end - in->p > 26 ? in->end - 26 : in->p;
	uint64_t left[IMP_DEPTH_MAX];
	unsigned int depth = outermost;
	struct head h;

	if (depth >= IMP_DEPTH_MAX)
		return fail(in, "arrays and maps are nested too deeply");
	left[depth] = items;
	for (;;) {
		while (left[depth] == 0) {
			if (depth == outermost) {
				in->p = p;
				return true;
			}
			depth--;
		}
		left[depth]--;
		/* Most are numbers of up to three bytes, short strings and short arrays: none of them reaches the end. */
		if (p < safe) {
			const uint8_t first = *p;

			if (first < 26) {
				p += first < 24 ? 1 : first - 22;
				continue;
			}
			if (first >= 0x40 && first < 0x58) {
				p += first - 0x3f;
				continue;
			}
		}
		in->p = p;
		if (!get_head(in, &h) || !content(in, &h, &items))
			return false;
		p = in->p;
		if (h.major < 4 || h.major == 7)
			continue;
		if (++depth == IMP_DEPTH_MAX)
			return fail(in, "arrays and maps are nested too deeply");
		left[depth] = items;
	}
}

bool imp_cbor_get_any(struct imp_cbor_in *in, struct imp_cbor_item *item)
{
	static const enum imp_cbor_type types[] = {IMP_CBOR_UINT,  IMP_CBOR_NEGATIVE,
						   IMP_CBOR_BYTES, IMP_CBOR_TEXT,
						   IMP_CBOR_ARRAY, IMP_CBOR_MAP,
						   IMP_CBOR_OTHER, IMP_CBOR_OTHER};
	struct head h;
	uint64_t items;

	if (in->bad || in->p == in->end || !get_head(in, &h))
		return false;
	item->type = types[h.major];
	item->number = h.number;
	item->data = in->p;
	if (!content(in, &h, &items) || (items && !skip(in, items)))
		return false;
	item->len = (size_t)(in->p - item->data);
	if (h.major == 7 && h.info < 24) {
		if (h.info == 20 || h.info == 21) {
			item->type = IMP_CBOR_BOOL;
			item->number = h.info - 20;
		} else if (h.info == 22) {
			item->type = IMP_CBOR_NULL;
		}
	}
	return true;
}

bool imp_cbor_open_map(struct imp_cbor_in *in, uint64_t *pairs)
{
	struct head h;
	uint64_t items;

	if (in->bad || in->p == in->end || *in->p >> 5 != 5 || !get_head(in, &h) ||
	    !content(in, &h, &items))
		return false;
	*pairs = items / 2;
	in->depth++;
	return true;
}

bool imp_cbor_to_uint(const struct imp_cbor_item *item, uint64_t *value)
{
	if (item->type != IMP_CBOR_UINT)
		return false;
	*value = item->number;
	return true;
}

bool imp_cbor_to_int(const struct imp_cbor_item *item, int64_t *value)
{
	if ((item->type != IMP_CBOR_UINT && item->type != IMP_CBOR_NEGATIVE) ||
	    item->number > INT64_MAX)
		return false;
	*value = item->type == IMP_CBOR_UINT ? (int64_t)item->number : -1 - (int64_t)item->number;
	return true;
}
