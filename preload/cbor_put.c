/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cbor_put.h"

#include <endian.h>
#include <string.h>

#include "poison.h"

enum {
	MAJOR_UINT = 0,
	MAJOR_NEGATIVE = 1,
	MAJOR_BYTES = 2,
	MAJOR_ARRAY = 4,
	MAJOR_MAP = 5,
};

#define ITEM_FALSE    0xf4
#define ITEM_TRUE     0xf5
#define ARRAY_2_BYTES ((MAJOR_ARRAY << 5) | 25) /* its length stands in the next two bytes */

#define MAP_ITEMS_MAX	(2 * 23) /* pairs that fit into the one-byte head */
#define ARRAY_ITEMS_MAX 65535
#define ARRAY_HEAD_MAX	3

void imp_cbor_init(struct imp_cbor *c, void *buf, size_t size)
{
	c->buf = buf;
	c->size = size;
	c->len = 0;
	c->overflow = false;
	c->depth = 0;
}

/* Room for @len bytes; NULL, and the overflow flag, where there is none. */
static uint8_t *reserve(struct imp_cbor *c, size_t len)
{
	uint8_t *to;

	if (c->overflow)
		return NULL;
	if (len > c->size - c->len) {
		c->overflow = true;
		return NULL;
	}
	to = c->buf + c->len;
	c->len += len;
	return to;
}

/* An item is about to be put into the innermost open map or array. */
static void count_item(struct imp_cbor *c)
{
	if (c->depth > 0 && c->depth <= IMP_DEPTH_MAX)
		c->open[c->depth - 1].items++;
}

/* Major type and argument in their shortest form: RFC 8949, section 4.2.1. */
static size_t head_size(uint64_t value)
{
	if (value < 24)
		return 1;
	if (value <= UINT8_MAX)
		return 2;
	if (value <= UINT16_MAX)
		return 3;
	return value <= UINT32_MAX ? 5 : 9;
}

static void head_write(uint8_t *to, unsigned int major, uint64_t value, size_t size)
{
	uint64_t big = htobe64(value);
	const size_t bytes = size - 1;

	if (!bytes) {
		*to = (uint8_t)(major << 5 | value);
		return;
	}
	*to++ = (uint8_t)(major << 5 | (24 + (unsigned int)__builtin_ctz((unsigned int)bytes)));
	switch (bytes) { /* lengths that the compiler knows */
	case 1: *to = (uint8_t)value; break;
	case 2: memcpy(to, (uint8_t *)&big + 6, 2); break;
	case 4: memcpy(to, (uint8_t *)&big + 4, 4); break;
	default: memcpy(to, &big, 8); break;
	}
}

size_t imp_cbor_head(uint8_t *to, unsigned int major, uint64_t value)
{
	const size_t size = head_size(value);

	head_write(to, major, value, size);
	return size;
}

static inline void put_head(struct imp_cbor *c, unsigned int major, uint64_t value)
{
	size_t size;
	uint8_t *to;

	count_item(c);
	/* Keys, and most of what is counted: one byte. */
	if (value < 24 && c->len < c->size && !c->overflow) {
		c->buf[c->len++] = (uint8_t)(major << 5 | value);
		return;
	}
	size = head_size(value);
	to = reserve(c, size);
	if (to)
		head_write(to, major, value, size);
}

void imp_cbor_uint(struct imp_cbor *c, uint64_t value)
{
	put_head(c, MAJOR_UINT, value);
}

void imp_cbor_wide4(struct imp_cbor *c, uint32_t value)
{
	uint8_t *to;

	count_item(c);
	to = reserve(c, 5);
	if (to)
		head_write(to, MAJOR_UINT, value, 5);
}

void imp_cbor_wide8(struct imp_cbor *c, uint64_t value)
{
	uint8_t *to;

	count_item(c);
	to = reserve(c, 9);
	if (to)
		head_write(to, MAJOR_UINT, value, 9);
}

void imp_cbor_pair(struct imp_cbor *c, unsigned int key, uint64_t value)
{
	put_head(c, MAJOR_UINT, key);
	put_head(c, MAJOR_UINT, value);
}

void imp_cbor_int(struct imp_cbor *c, int64_t value)
{
	/* -1 - value, without the overflow that negating INT64_MIN would be. */
	if (value < 0)
		put_head(c, MAJOR_NEGATIVE, ~(uint64_t)value);
	else
		put_head(c, MAJOR_UINT, (uint64_t)value);
}

void imp_cbor_bool(struct imp_cbor *c, bool value)
{
	uint8_t *to;

	count_item(c);
	to = reserve(c, 1);
	if (to)
		*to = value ? ITEM_TRUE : ITEM_FALSE;
}

void imp_cbor_bytes(struct imp_cbor *c, const void *data, size_t len)
{
	size_t head = head_size(len);
	uint8_t *to;

	count_item(c);
	/* In one piece: an item that was cut in its middle could not be taken back by its reader. */
	if (len > SIZE_MAX - head) {
		c->overflow = true;
		return;
	}
	to = reserve(c, head + len);
	if (!to)
		return;
	head_write(to, MAJOR_BYTES, len, head);
	if (len)
		memcpy(to + head, data, len);
}

/*
 * Depth goes on being counted while nothing is written any more, so that begin and end stay paired and
 * a rewind to a mark outside finds the same maps and arrays open.
 */
static void open_item(struct imp_cbor *c, size_t head)
{
	uint8_t *to;

	count_item(c);
	if (c->depth >= IMP_DEPTH_MAX)
		c->overflow = true;
	to = reserve(c, head);
	if (c->depth < IMP_DEPTH_MAX) {
		c->open[c->depth].head = to ? (size_t)(to - c->buf) : 0;
		c->open[c->depth].items = 0;
	}
	c->depth++;
}

/* Returns the innermost open item to be patched, or NULL. */
static uint8_t *close_item(struct imp_cbor *c, uint32_t *items)
{
	if (!c->depth) { /* an end without a begin: the item is no good */
		c->overflow = true;
		return NULL;
	}
	c->depth--;
	if (c->overflow || c->depth >= IMP_DEPTH_MAX)
		return NULL;
	*items = c->open[c->depth].items;
	return c->buf + c->open[c->depth].head;
}

void imp_cbor_map_begin(struct imp_cbor *c)
{
	open_item(c, 1);
}

void imp_cbor_map_end(struct imp_cbor *c)
{
	uint32_t items;
	uint8_t *head = close_item(c, &items);

	if (!head)
		return;
	if (items > MAP_ITEMS_MAX || items % 2) {
		c->overflow = true;
		return;
	}
	*head = (uint8_t)(MAJOR_MAP << 5 | items / 2);
}

void imp_cbor_array_begin(struct imp_cbor *c)
{
	open_item(c, ARRAY_HEAD_MAX);
}

/* Most are short: then what was put moves down, to where a one-byte head ends. */
void imp_cbor_array_end(struct imp_cbor *c)
{
	uint32_t items;
	uint8_t *head = close_item(c, &items);
	size_t len;

	if (!head)
		return;
	if (items > ARRAY_ITEMS_MAX) {
		c->overflow = true;
		return;
	}
	if (items < 24) {
		len = c->len - (size_t)(head - c->buf) - ARRAY_HEAD_MAX;
		*head = (uint8_t)(MAJOR_ARRAY << 5 | items);
		memmove(head + 1, head + ARRAY_HEAD_MAX, len);
		c->len -= ARRAY_HEAD_MAX - 1;
		return;
	}
	head[0] = ARRAY_2_BYTES;
	head[1] = (uint8_t)(items >> 8);
	head[2] = (uint8_t)items;
}

struct imp_cbor_mark imp_cbor_mark(const struct imp_cbor *c)
{
	struct imp_cbor_mark mark = {.len = c->len};

	/* What did not fit before the mark is not mended by going back to it. */
	if (c->overflow)
		mark.len = SIZE_MAX;
	else if (c->depth > 0 && c->depth <= IMP_DEPTH_MAX)
		mark.items = c->open[c->depth - 1].items;
	return mark;
}

void imp_cbor_rewind(struct imp_cbor *c, struct imp_cbor_mark mark)
{
	if (mark.len == SIZE_MAX)
		return;
	c->len = mark.len;
	c->overflow = false;
	if (c->depth > 0 && c->depth <= IMP_DEPTH_MAX)
		c->open[c->depth - 1].items = mark.items;
}
