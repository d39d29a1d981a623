// SPDX-License-Identifier: GPL-2.0-or-later
#include "object_table.h"

#include <string.h>

#include "growing_array.h"
#include "poison.h"

#define LOCK_SPINS 2000
#define READ_TRIES 1000

static struct {
	uint32_t lock;
	uint32_t sequence;	 /* odd while @sorted changes */
	struct imp_array sorted; /* of struct imp_object, by address */
} table;

bool imp_object_table_lock(void)
{
	unsigned int i;

	for (i = 0; i < LOCK_SPINS; i++) {
		if (!__atomic_exchange_n(&table.lock, 1, __ATOMIC_ACQUIRE))
			return true;
#if defined __x86_64__
		__builtin_ia32_pause();
#endif
	}
	return false;
}

void imp_object_table_unlock(void)
{
	__atomic_store_n(&table.lock, 0, __ATOMIC_RELEASE);
}

static void write_begin(void)
{
	__atomic_store_n(&table.sequence, table.sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void write_end(void)
{
	__atomic_store_n(&table.sequence, table.sequence + 1, __ATOMIC_RELEASE);
}

/* Index of the first entry that begins behind @address. */
static uint32_t first_behind(const struct imp_object *items, uint32_t count, ElfW(Addr) address)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool imp_object_table_insert(const struct imp_object *new)
{
	struct imp_object *items;
	uint32_t at;

	if (!imp_array_reserve(&table.sorted, sizeof(*items)))
		return false;
	items = table.sorted.items;
	at = first_behind(items, table.sorted.count, new->start);
	write_begin();
	memmove(items + at + 1, items + at, (table.sorted.count - at) * sizeof(*items));
	items[at] = *new;
	__atomic_store_n(&table.sorted.count, table.sorted.count + 1, __ATOMIC_RELAXED);
	write_end();
	return true;
}

void imp_object_table_remove(ElfW(Addr) start, uint32_t id)
{
	struct imp_object *items = table.sorted.items;
	uint32_t at = first_behind(items, table.sorted.count, start);

	/* Another object may have been mapped there before it was seen that this one is gone. */
	while (at && items[at - 1].start == start && items[at - 1].id != id)
		at--;
	if (!at || items[at - 1].start != start)
		return;
	write_begin();
	memmove(items + at - 1, items + at, (table.sorted.count - at) * sizeof(*items));
	__atomic_store_n(&table.sorted.count, table.sorted.count - 1, __ATOMIC_RELAXED);
	write_end();
}

void imp_object_table_set_id(ElfW(Addr) start, uint32_t id)
{
	struct imp_object *items = table.sorted.items;
	const uint32_t at = first_behind(items, table.sorted.count, start);

	if (at && items[at - 1].start == start)
		__atomic_store_n(&items[at - 1].id, id, __ATOMIC_RELAXED);
}

bool imp_objects_get(const void *address, struct imp_object *copy)
{
	unsigned int i;

	for (i = 0; i < READ_TRIES; i++) {
		const uint32_t before = __atomic_load_n(&table.sequence, __ATOMIC_ACQUIRE);
		const struct imp_object *items =
			__atomic_load_n(&table.sorted.items, __ATOMIC_ACQUIRE);
		const uint32_t count = __atomic_load_n(&table.sorted.count, __ATOMIC_RELAXED);
		uint32_t at;

		/* An odd number under a signal handler stays odd until it returns: give up then. */
		if (before & 1)
			continue;
		at = items ? first_behind(items, count, (ElfW(Addr))address) : 0;
		if (at)
			*copy = items[at - 1];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&table.sequence, __ATOMIC_RELAXED) == before)
			return at && (ElfW(Addr))address < copy->end;
	}
	return false;
}

uint32_t imp_objects_find(const void *address, uint64_t *offset)
{
	struct imp_object object;

	if (offset)
		*offset = 0;
	if (!imp_objects_get(address, &object) || !object.id)
		return 0;
	if (offset)
		*offset = (ElfW(Addr))address - object.base;
	return object.id;
}

void imp_objects_set_gadget(uint32_t id, struct imp_return_gadget gadget)
{
	struct imp_object *items;
	uint32_t i;

	if (!imp_object_table_lock())
		return; /* it will be looked for again */
	items = table.sorted.items;
	for (i = 0; i < table.sorted.count; i++) {
		if (items[i].id == id) {
			write_begin();
			items[i].gadget = gadget;
			items[i].gadget_known = true;
			write_end();
		}
	}
	imp_object_table_unlock();
}

bool imp_object_table_forget(void)
{
	struct imp_object *items = table.sorted.items;
	const bool whole = !table.lock;
	uint32_t i;

	if (!whole) {
		table.sorted.count = 0;
		table.sequence += table.sequence & 1;
	}
	for (i = 0; i < table.sorted.count; i++)
		items[i].id = 0;
	table.lock = 0;
	return whole;
}
