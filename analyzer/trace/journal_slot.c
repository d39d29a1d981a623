/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "journal_slot.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../../preload/trace_format.h"

#define MAGIC_SIZE (sizeof(IMP_JOURNAL_MAGIC) - 1)

static uint64_t get_le(const uint8_t *p, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | p[bytes];
	return value;
}

size_t imp_journal_slot_read(const uint8_t *frame, size_t size, uint8_t *out, size_t room)
{
	const uint8_t *p = frame + IMP_JOURNAL_HEAD, *end = frame + size;
	uint64_t seed = 0, len, checksum;
	size_t total = 0;

	if (size < IMP_JOURNAL_HEAD + MAGIC_SIZE || get_le(frame, 4) != IMP_JOURNAL_FRAME ||
	    memcmp(p, IMP_JOURNAL_MAGIC, MAGIC_SIZE) != 0)
		return 0;
	p += MAGIC_SIZE;
	/* Behind the last record stands what older batches left there: no checksum of it continues ours. */
	while ((size_t)(end - p) > IMP_JOURNAL_RECORD) {
		len = get_le(p, 4);
		checksum = get_le(p + 4, 8);
		p += IMP_JOURNAL_RECORD;
		if (!len || len > (size_t)(end - p) || len > room - total ||
		    XXH64(p, len, seed) != checksum)
			break;
		memcpy(out + total, p, len);
		total += len;
		p += len;
		seed = checksum;
	}
	return total;
}
