/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_GROWING_ARRAY_H
#define IMP_PRELOAD_GROWING_ARRAY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

/*
 * An array in mmapped memory. When it grows it moves, and the old place is kept: somebody may be reading
 * there (all of them together are smaller than the last).
 */
struct imp_array {
	void *items;
	uint32_t count, room;
};

/* Room for one more; the copy is complete before it is published. False: no memory. */
static inline bool imp_array_reserve(struct imp_array *a, size_t item_size)
{
	const uint32_t room = a->room ? a->room * 2 : 128;
	void *items;

	if (a->count < a->room)
		return true;
	items = mmap(NULL, room * item_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	if (items == MAP_FAILED)
		return false;
	if (a->count)
		memcpy(items, a->items, a->count * item_size);
	__atomic_store_n(&a->items, items, __ATOMIC_RELEASE);
	a->room = room;
	return true;
}

#endif
