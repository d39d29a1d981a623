/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_CBOR_PUT_H
#define IMP_PRELOAD_CBOR_PUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace_format.h"

/*
 * A bounded CBOR encoder (RFC 8949) into a buffer of the caller's. It allocates nothing. Once
 * something did not fit, @overflow stays set, nothing more is written, and the caller drops the item.
 *
 * Maps and arrays have definite lengths, though their length is known only at their end: the
 * encoder counts what is put into them and fills the length in when they are closed. A map has at most
 * 23 pairs, an array at most 65535 items. A closed array of few items moves: no offset into it stays true.
 */
struct imp_cbor {
	uint8_t *buf; /* borrowed */
	size_t size;  /* bytes of @buf */
	size_t len;   /* bytes written */
	bool overflow;
	unsigned int depth; /* open maps and arrays */
	struct {
		size_t head;	/* where the head is, to be patched */
		uint32_t items; /* put so far; a pair counts two */
	} open[IMP_DEPTH_MAX];
};

/*
 * imp_cbor_head - write an item's head, in its shortest form
 * @major: 0: an unsigned integer; 1: the negative one -1 - @value
 * Returns its length, up to 9 bytes.
 */
size_t imp_cbor_head(uint8_t *to, unsigned int major, uint64_t value);

void imp_cbor_init(struct imp_cbor *c, void *buf, size_t size);
void imp_cbor_uint(struct imp_cbor *c, uint64_t value);
/* The same, not in its shortest form: five bytes, or nine. For what is made short later. */
void imp_cbor_wide4(struct imp_cbor *c, uint32_t value);
void imp_cbor_wide8(struct imp_cbor *c, uint64_t value);
/* A key and its value, in a map. */
void imp_cbor_pair(struct imp_cbor *c, unsigned int key, uint64_t value);
void imp_cbor_int(struct imp_cbor *c, int64_t value);
void imp_cbor_bool(struct imp_cbor *c, bool value);
/* A byte string of @len bytes (major type 2). */
void imp_cbor_bytes(struct imp_cbor *c, const void *data, size_t len);
void imp_cbor_map_begin(struct imp_cbor *c);
void imp_cbor_map_end(struct imp_cbor *c);
void imp_cbor_array_begin(struct imp_cbor *c);
void imp_cbor_array_end(struct imp_cbor *c);

/*
 * imp_cbor_mark, imp_cbor_rewind - take back what was put since the mark
 *
 * For optional parts (a long list) that turn out not to fit: rewind also clears @overflow. The same
 * maps and arrays must be open at both calls.
 */
struct imp_cbor_mark {
	size_t len;
	uint32_t items;
};
struct imp_cbor_mark imp_cbor_mark(const struct imp_cbor *c);
void imp_cbor_rewind(struct imp_cbor *c, struct imp_cbor_mark mark);

#endif
