/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "journal.h"

#include <string.h>

#ifndef __clang_analyzer__ /* version 14 goes into it, and takes a record for NULL there */
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include "raw_syscall.h"

#include "poison.h"

#define MAGIC_SIZE (sizeof(IMP_JOURNAL_MAGIC) - 1)

void imp_journal_forget(struct imp_journal *j)
{
	memset(j, 0, sizeof(*j));
}

void imp_journal_restart(struct imp_journal *j)
{
	j->items = 0;
}

static uint8_t *put_le(uint8_t *to, uint64_t value, unsigned int bytes)
{
	while (bytes--) {
		*to++ = (uint8_t)value;
		value >>= 8;
	}
	return to;
}

/* A whole new slot around its first record, which stands in @buffer already. */
static int make_slot(struct imp_journal *j, struct imp_output *out, uint8_t *buffer, size_t used)
{
	uint64_t at;
	int ret;

	put_le(put_le(buffer, IMP_JOURNAL_FRAME, 4), IMP_JOURNAL_PAYLOAD, 4);
	memcpy(buffer + IMP_JOURNAL_HEAD, IMP_JOURNAL_MAGIC, MAGIC_SIZE);
	memset(buffer + IMP_JOURNAL_HEAD + used, 0, IMP_JOURNAL_PAYLOAD - used);
	ret = imp_output_append_at(out, buffer, IMP_JOURNAL_SIZE, &at);
	if (ret == 0)
		j->payload = at + IMP_JOURNAL_HEAD;
	return ret;
}

/* Where events were lost since: that stands in the head, which is the first record's. */
bool imp_journal_begins(const struct imp_journal *j, uint32_t lost)
{
	return !j->items || lost != j->lost;
}

int imp_journal_write(struct imp_journal *j, struct imp_output *out, struct imp_batch *b,
		      const void *head, size_t head_len, uint32_t lost, uint8_t *buffer)
{
	bool first = imp_journal_begins(j, lost);
	uint64_t seed = first ? 0 : j->checksum, checksum;
	size_t used = first ? MAGIC_SIZE : j->used, len;
	const uint8_t *data;
	uint8_t *record;
	int ret;

	if (!first && j->items == b->len)
		return 0;
	if (first) {
		data = imp_batch_finish(b, head, head_len, &len);
	} else {
		data = imp_batch_end(b) - (b->len - j->items);
		len = b->len - j->items;
	}
	if (len > IMP_JOURNAL_PAYLOAD - IMP_JOURNAL_RECORD ||
	    used > IMP_JOURNAL_PAYLOAD - IMP_JOURNAL_RECORD - len)
		return -E2BIG;
	checksum = XXH64(data, len, seed);
	record = buffer + IMP_JOURNAL_HEAD + used;
	memcpy(put_le(put_le(record, len, 4), checksum, 8), data, len);
	len += IMP_JOURNAL_RECORD;
	if (j->payload)
		ret = imp_output_overwrite(out, j->payload + used, record, len);
	else
		ret = make_slot(j, out, buffer, used + len);
	if (ret < 0)
		return ret;
	j->used = used + len;
	j->items = b->len;
	j->checksum = checksum;
	j->lost = lost;
	return 0;
}
