// SPDX-License-Identifier: GPL-2.0-or-later
#include "object_table.h"

#include <string.h>

#include "growing_array.h"
#include "poison.h"

#define LOCK_SPINS 2000
#define READ_TRIES 1000

/*
 * Two copies of the table, so that a reader always has a whole one, also under a signal handler that
 * interrupted the writer, or while the writer is not scheduled: with @sequence even, readers use the
 * first copy and the writer changes the second; with @sequence odd the other way round.
 */
static struct {
	uint32_t lock;
	uint32_t sequence;
	struct imp_array sorted[2]; /* of struct imp_mapped, by address; same contents outside a write */
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

/* Sends the readers to the copy that is not about to change. */
static void next_sequence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&table.sequence, table.sequence + 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Index of the first entry that begins behind @address. */
static uint32_t first_behind(const struct imp_mapped *items, uint32_t count, ElfW(Addr) address)
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

static void insert_at(struct imp_array *sorted, uint32_t at, const struct imp_mapped *new)
{
	struct imp_mapped *items = sorted->items;

	memmove(items + at + 1, items + at, (sorted->count - at) * sizeof(*items));
	items[at] = *new;
	__atomic_store_n(&sorted->count, sorted->count + 1, __ATOMIC_RELEASE);
}

bool imp_object_table_insert(const struct imp_mapped *new)
{
	uint32_t at;

	if (!imp_array_reserve(&table.sorted[0], sizeof(*new)) ||
	    !imp_array_reserve(&table.sorted[1], sizeof(*new)))
		return false;
	at = first_behind(table.sorted[0].items, table.sorted[0].count, new->start);
	next_sequence();
	insert_at(&table.sorted[0], at, new);
	next_sequence();
	insert_at(&table.sorted[1], at, new);
	return true;
}

static void remove_at(struct imp_array *sorted, uint32_t at)
{
	struct imp_mapped *items = sorted->items;

	memmove(items + at, items + at + 1, (sorted->count - at - 1) * sizeof(*items));
	__atomic_store_n(&sorted->count, sorted->count - 1, __ATOMIC_RELAXED);
}

void imp_object_table_remove(ElfW(Addr) start, uint32_t id)
{
	const struct imp_mapped *items = table.sorted[0].items;
	uint32_t at = first_behind(items, table.sorted[0].count, start);

	/* Another object may have been mapped there before it was seen that this one is gone. */
	while (at && items[at - 1].start == start && items[at - 1].id != id)
		at--;
	if (!at || items[at - 1].start != start)
		return;
	next_sequence();
	remove_at(&table.sorted[0], at - 1);
	next_sequence();
	remove_at(&table.sorted[1], at - 1);
}

void imp_object_table_set_id(ElfW(Addr) start, uint32_t id)
{
	const uint32_t at = first_behind(table.sorted[0].items, table.sorted[0].count, start);

	for (int i = 0; i < 2; i++) {
		struct imp_mapped *items = table.sorted[i].items;

		if (at && items[at - 1].start == start)
			__atomic_store_n(&items[at - 1].id, id, __ATOMIC_RELAXED);
	}
}

bool imp_objects_get(const void *address, struct imp_mapped *copy)
{
	unsigned int i;

	/* Another round is needed only where a whole write went by since the last. */
	for (i = 0; i < READ_TRIES; i++) {
		const uint32_t before = __atomic_load_n(&table.sequence, __ATOMIC_ACQUIRE);
		const struct imp_array *sorted = &table.sorted[before & 1];
		/* First the count: the array that is read after it has room for as many. */
		const uint32_t count = __atomic_load_n(&sorted->count, __ATOMIC_ACQUIRE);
		const struct imp_mapped *items = __atomic_load_n(&sorted->items, __ATOMIC_ACQUIRE);
		uint32_t at;

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
	struct imp_mapped object;

	if (offset)
		*offset = 0;
	if (!imp_objects_get(address, &object) || !object.id)
		return 0;
	if (offset)
		*offset = (ElfW(Addr))address - object.base;
	return object.id;
}

static void set_gadget(struct imp_array *sorted, uint32_t id, struct imp_return_gadget gadget)
{
	struct imp_mapped *items = sorted->items;
	uint32_t i;

	for (i = 0; i < sorted->count; i++) {
		if (items[i].id == id) {
			items[i].gadget = gadget;
			items[i].gadget_known = true;
		}
	}
}

void imp_objects_set_gadget(uint32_t id, struct imp_return_gadget gadget)
{
	if (!imp_object_table_lock())
		return; /* it will be looked for again */
	next_sequence();
	set_gadget(&table.sorted[0], id, gadget);
	next_sequence();
	set_gadget(&table.sorted[1], id, gadget);
	imp_object_table_unlock();
}

bool imp_object_table_forget(void)
{
	const bool whole = !table.lock;
	uint32_t i;
	int k;

	table.sequence += table.sequence & 1;
	for (k = 0; k < 2; k++) {
		struct imp_mapped *items = table.sorted[k].items;

		if (!whole)
			table.sorted[k].count = 0;
		for (i = 0; i < table.sorted[k].count; i++)
			items[i].id = 0;
	}
	table.lock = 0;
	return whole;
}
