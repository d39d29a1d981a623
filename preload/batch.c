/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "batch.h"

#include <stdatomic.h>
#include <string.h>

#include "cbor_put.h"

#include "poison.h"

size_t imp_batch_room(const struct imp_batch *b)
{
	return IMP_BATCH_MAX - IMP_BATCH_HEAD - b->len;
}

uint8_t *imp_batch_end(struct imp_batch *b)
{
	return b->bytes + IMP_BATCH_HEAD + b->len;
}

void imp_batch_grow(struct imp_batch *b, size_t len)
{
	/* The item is complete before it counts: whoever takes over from a dead thread finds whole items. */
	atomic_signal_fence(memory_order_seq_cst);
	b->len += len;
}

bool imp_batch_add(struct imp_batch *b, const void *item, size_t len)
{
	if (len > imp_batch_room(b))
		return false;
	memcpy(imp_batch_end(b), item, len);
	imp_batch_grow(b, len);
	return true;
}

void imp_batch_restart(struct imp_batch *b)
{
	b->time_ns = UINT64_MAX;
	b->newest = 0;
	b->string = 0;
}

void imp_batch_clear(struct imp_batch *b)
{
	b->len = 0;
	b->events = 0;
	b->notes = 0;
	imp_batch_restart(b);
}

static uint64_t get_be(const uint8_t *from, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | *from++;
	return value;
}

static uint8_t *put_time(const struct imp_batch *b, uint8_t *to, uint64_t time_ns)
{
	int64_t steps = (int64_t)(time_ns - b->time_ns) / IMP_TIME_STEP_NS;

	if (b->time_ns == UINT64_MAX || (time_ns - b->time_ns) % IMP_TIME_STEP_NS ||
	    steps != (int32_t)steps) {
		*to++ = IMP_KEY_TIME_NS;
		return to + imp_cbor_head(to, 0, time_ns);
	}
	to += imp_cbor_head(to, 0, IMP_KEY_LATER);
	return to + (steps < 0 ? imp_cbor_head(to, 1, ~(uint64_t)steps) :
				 imp_cbor_head(to, 0, (uint64_t)steps));
}

static uint8_t *put_number(const struct imp_batch *b, uint8_t *to, uint32_t number)
{
	const uint64_t next = (uint64_t)b->newest + 1;

	if (!b->newest || number > next)
		return to + imp_cbor_head(to, 0, number);
	return to + imp_cbor_head(to, 1, next - number);
}

static uint8_t *copy(uint8_t *to, const uint8_t *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

bool imp_batch_add_event(struct imp_batch *b, const uint8_t *item, size_t len,
			 const struct imp_marks *marks)
{
	uint64_t time_ns = get_be(item + marks->time + 2, 8);
	uint8_t *start = imp_batch_end(b), *to = start;
	size_t at = marks->time + 10;

	if (len > imp_batch_room(b))
		return false;
	to = put_time(b, copy(to, item, marks->time), time_ns);
	for (uint32_t i = 0; i < marks->count; i++) {
		uint32_t number = (uint32_t)get_be(item + marks->number[i] + 1, 4);

		to = put_number(b, copy(to, item + at, marks->number[i] - at), number);
		at = marks->number[i] + 5;
		if (number > b->newest)
			b->newest = number;
	}
	to = copy(to, item + at, len - at);
	b->time_ns = time_ns;
	imp_batch_grow(b, (size_t)(to - start));
	return true;
}

bool imp_batch_add_string(struct imp_batch *b, uint32_t id, const void *text, size_t len)
{
	struct imp_cbor c;

	imp_cbor_init(&c, imp_batch_end(b), imp_batch_room(b));
	imp_cbor_map_begin(&c);
	imp_cbor_pair(&c, IMP_KEY_KIND, IMP_EV_STRING);
	if (!b->string || id != b->string + 1)
		imp_cbor_pair(&c, IMP_KEY_ID, id);
	imp_cbor_uint(&c, IMP_KEY_TEXT);
	imp_cbor_bytes(&c, text, len);
	imp_cbor_map_end(&c);
	if (c.overflow)
		return false;
	b->string = id;
	imp_batch_grow(b, c.len);
	return true;
}

const uint8_t *imp_batch_finish(struct imp_batch *b, const void *head, size_t head_len, size_t *len)
{
	uint8_t *start = b->bytes + IMP_BATCH_HEAD - head_len;

	if (head_len)
		memcpy(start, head, head_len);
	*len = head_len + b->len;
	return start;
}

/* Length of one item that we have encoded ourselves; @is_string: an IMP_EV_STRING. */
static size_t item_length(const uint8_t *item, bool *is_string)
{
	const uint8_t *at = item;
	size_t items = 1;

	*is_string = at[1] == IMP_KEY_KIND && at[2] == IMP_EV_STRING;
	while (items--) {
		unsigned int major = *at >> 5, info = *at & 31;
		uint64_t value = info;

		at++;
		if (info >= 24) {
			size_t bytes = (size_t)1 << (info - 24);

			for (value = 0; bytes; bytes--)
				value = value << 8 | *at++;
		}
		if (major == 2)
			at += value;
		else if (major == 4)
			items += value;
		else if (major == 5)
			items += 2 * value;
	}
	return (size_t)(at - item);
}

void imp_batch_keep_strings(struct imp_batch *b)
{
	uint8_t *start = b->bytes + IMP_BATCH_HEAD, *to = start;
	const uint8_t *end = start + b->len;
	size_t len;

	for (const uint8_t *at = start; at < end; at += len) {
		bool is_string;

		len = item_length(at, &is_string);
		if (is_string) {
			memmove(to, at, len);
			to += len;
		}
	}
	len = b->string;
	imp_batch_clear(b);
	b->string = (uint32_t)len;
	b->len = (size_t)(to - start);
}
