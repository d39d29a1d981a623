/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TRACE_CBOR_GET_H
#define IMP_TRACE_CBOR_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A bounded pull decoder for CBOR (RFC 8949) from outside. Definite lengths only, at most
 * IMP_DEPTH_MAX arrays and maps in each other; every length is compared with what is left before it
 * is used. Integers longer than they need be are fine: the recorder writes array heads that way.
 *
 * Once something was malformed, @bad stays set, @why says what it was, and nothing more is read.
 */
struct imp_cbor_in {
	const uint8_t *p, *end; /* borrowed */
	unsigned int depth;	/* arrays and maps that are open around @p */
	bool bad;
	const char *why; /* string constant; NULL unless @bad */
};

enum imp_cbor_type {
	IMP_CBOR_UINT,
	IMP_CBOR_NEGATIVE, /* the value is -1 - @number */
	IMP_CBOR_BYTES,
	IMP_CBOR_TEXT,
	IMP_CBOR_ARRAY,
	IMP_CBOR_MAP,
	IMP_CBOR_BOOL,
	IMP_CBOR_NULL,
	IMP_CBOR_OTHER, /* a tag, a float, undefined: well-formed, but not of our format */
};

/* One whole item; a container's content is checked, too, and can be entered without a surprise. */
struct imp_cbor_item {
	enum imp_cbor_type type;
	uint64_t number;     /* UINT, NEGATIVE, BOOL (0, 1); ARRAY: items; MAP: pairs */
	const uint8_t *data; /* BYTES, TEXT: the value; ARRAY, MAP: the items; borrowed */
	size_t len;	     /* bytes of @data */
};

void imp_cbor_in_init(struct imp_cbor_in *in, const void *data, size_t len);

/* imp_cbor_get_any - imp_cbor_get() without its short cuts */
bool imp_cbor_get_any(struct imp_cbor_in *in, struct imp_cbor_item *item);

/*
 * imp_cbor_get - take the next whole item, containers included
 * Returns false at the end, and where the input is malformed (then @in->bad is set).
 */
static inline bool imp_cbor_get(struct imp_cbor_in *in, struct imp_cbor_item *item)
{
	const uint8_t *p = in->p;
	size_t left = (size_t)(in->end - p);

	/* Nearly all items of a trace are short numbers and short strings: the analyzer's time goes into these. */
	if (left > 4 && !in->bad) {
		const uint8_t first = *p;

		if (first <= 26) {
			item->type = IMP_CBOR_UINT;
			if (first < 24) {
				item->number = first;
				in->p = p + 1;
			} else if (first == 24) {
				item->number = p[1];
				in->p = p + 2;
			} else if (first == 25) {
				item->number = (uint64_t)p[1] << 8 | p[2];
				in->p = p + 3;
			} else {
				item->number = (uint64_t)p[1] << 24 | (uint64_t)p[2] << 16 |
					       (uint64_t)p[3] << 8 | p[4];
				in->p = p + 5;
			}
			item->data = in->p;
			item->len = 0;
			return true;
		}
		if (first >> 5 == 2 && (first & 0x1f) < 24 && left > (first & 0x1f)) {
			item->type = IMP_CBOR_BYTES;
			item->number = item->len = first & 0x1f;
			item->data = p + 1;
			in->p = p + 1 + item->len;
			return true;
		}
	}
	return imp_cbor_get_any(in, item);
}

/*
 * imp_cbor_open_map - go into a map that was not looked at yet
 * @pairs: how many follow in @in itself; the caller counts, and lowers @in->depth behind the last
 * Saves going over an event twice. Returns false where no map follows (nothing is taken), and where its
 * head is malformed (@in->bad).
 */
bool imp_cbor_open_map(struct imp_cbor_in *in, uint64_t *pairs);

/* imp_cbor_enter - read the items within an array or a map; empty for any other item */
static inline struct imp_cbor_in imp_cbor_enter(const struct imp_cbor_item *item)
{
	bool container = item->type == IMP_CBOR_ARRAY || item->type == IMP_CBOR_MAP;
	struct imp_cbor_in in = {.p = item->data, .end = item->data + (container ? item->len : 0)};

	return in;
}

/* imp_cbor_to_uint, imp_cbor_to_int - false where it is no such number, or does not fit */
bool imp_cbor_to_uint(const struct imp_cbor_item *item, uint64_t *value);
bool imp_cbor_to_int(const struct imp_cbor_item *item, int64_t *value);

#endif
