/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "batch.h"

#include <stdatomic.h>
#include <string.h>

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

void imp_batch_clear(struct imp_batch *b)
{
	b->len = 0;
	b->events = 0;
	b->notes = 0;
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
	imp_batch_clear(b);
	b->len = (size_t)(to - start);
}
