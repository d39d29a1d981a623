// SPDX-License-Identifier: GPL-2.0-or-later
#include "attach_ring.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "poison.h"

#define ALIGNMENT 8

_Static_assert(IMP_ATTACH_RING % ALIGNMENT == 0 && !(IMP_ATTACH_RING & (IMP_ATTACH_RING - 1)),
	       "a record's head lies in one piece");
_Static_assert(sizeof(struct imp_attach_record) == ALIGNMENT, "see the readers");

/* The bytes of the ring from position @at on; they may go on at its beginning. */
static void put(struct imp_attach_area *area, uint64_t at, const uint8_t *data, size_t len)
{
	const size_t start = at % IMP_ATTACH_RING, left = IMP_ATTACH_RING - start;

	if (len <= left) {
		memcpy(area->ring + start, data, len);
	} else {
		memcpy(area->ring + start, data, left);
		memcpy(area->ring, data + left, len - left);
	}
}

int imp_attach_ring_append(struct imp_attach_area *area, pid_t pid, const void *frame, size_t len)
{
	const uint64_t size = (sizeof(struct imp_attach_record) + len + ALIGNMENT - 1) &
			      ~(uint64_t)(ALIGNMENT - 1);
	uint64_t head = __atomic_load_n(&area->head, __ATOMIC_ACQUIRE), used;
	struct imp_attach_record *record;

	if (!len || len > IMP_ATTACH_RING / 2)
		return -EMSGSIZE;
	do {
		/* Acquire: what the reader zeroed below @tail is zero before we write there. */
		used = head - __atomic_load_n(&area->tail, __ATOMIC_ACQUIRE);
		if (used > IMP_ATTACH_RING || size > IMP_ATTACH_RING - used) {
			__atomic_fetch_add(&area->lost, 1, __ATOMIC_RELAXED);
			return -ENOBUFS;
		}
	} while (!__atomic_compare_exchange_n(&area->head, &head, head + size, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	record = (struct imp_attach_record *)(area->ring + head % IMP_ATTACH_RING);
	__atomic_store_n(&record->pid, (uint32_t)pid, __ATOMIC_RELAXED);
	put(area, head + sizeof(*record), frame, len);
	__atomic_store_n(&record->len, (uint32_t)len, __ATOMIC_RELEASE);
	return 0;
}
