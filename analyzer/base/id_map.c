/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "id_map.h"

#include <time.h>

struct imp_id_slot {
	uint64_t a, b;
	void *value; /* NULL: free */
};

/* Multiply, fold, multiply: each bit of the numbers and of the seed reaches each bit of the result. */
static uint64_t hash(const struct imp_id_map *m, uint64_t a, uint64_t b)
{
	unsigned __int128 x = (unsigned __int128)(a ^ m->seed) * (b ^ 0x9e3779b97f4a7c15u);
	uint64_t h = (uint64_t)x ^ (uint64_t)(x >> 64) ^ a;

	x = (unsigned __int128)(h ^ m->seed) * 0xd6e8feb86659fd93u;
	return (uint64_t)x ^ (uint64_t)(x >> 64);
}

static struct imp_id_slot *find(const struct imp_id_map *m, uint64_t a, uint64_t b)
{
	size_t i = hash(m, a, b) & (m->cap - 1);

	while (m->slots[i].value && (m->slots[i].a != a || m->slots[i].b != b))
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

void *imp_id_map_get(const struct imp_id_map *m, uint64_t a, uint64_t b)
{
	return m->cap ? find(m, a, b)->value : NULL;
}

static void grow(struct imp_arena *arena, struct imp_id_map *m)
{
	struct imp_id_map bigger = {.n = m->n, .cap = m->cap ? m->cap * 2 : 16, .seed = m->seed};
	size_t i;

	bigger.slots = imp_arena_alloc(arena, bigger.cap * sizeof(*bigger.slots));
	if (!bigger.seed) {
		struct timespec now = {0, 0};

		/* Where the heap lies, and the time: nothing that the author of a trace can know. */
		clock_gettime(CLOCK_MONOTONIC, &now);
		bigger.seed = ((uint64_t)(uintptr_t)bigger.slots >> 4) * 0x9e3779b97f4a7c15u ^
			      ((uint64_t)now.tv_nsec << 17 | 1);
	}
	for (i = 0; i < m->cap; i++)
		if (m->slots[i].value)
			*find(&bigger, m->slots[i].a, m->slots[i].b) = m->slots[i];
	*m = bigger;
}

void imp_id_map_put(struct imp_arena *arena, struct imp_id_map *m, uint64_t a, uint64_t b,
		    void *value)
{
	struct imp_id_slot *slot;

	if (m->n >= m->cap / 2)
		grow(arena, m);
	slot = find(m, a, b);
	if (!slot->value)
		m->n++;
	slot->a = a;
	slot->b = b;
	slot->value = value;
}

void imp_id_map_remove(struct imp_id_map *m, uint64_t a, uint64_t b)
{
	const size_t mask = m->cap - 1;
	struct imp_id_slot *hole, *next;
	size_t i, home;

	if (!m->cap)
		return;
	hole = find(m, a, b);
	if (!hole->value)
		return;
	m->n--;
	/* What follows without a gap moves up, unless that would put it before its own place. */
	for (i = (size_t)(hole - m->slots);;) {
		i = (i + 1) & mask;
		next = &m->slots[i];
		if (!next->value)
			break;
		home = hash(m, next->a, next->b) & mask;
		if (((i - home) & mask) < ((i - (size_t)(hole - m->slots)) & mask))
			continue;
		*hole = *next;
		hole = next;
	}
	hole->value = NULL;
}
