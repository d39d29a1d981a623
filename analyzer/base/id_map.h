/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BASE_ID_MAP_H
#define IMP_BASE_ID_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"

/*
 * A hash table from one or two numbers to a pointer, in an arena. The numbers may come from a trace
 * that somebody made up: the hash is seeded, so that they can't be chosen to collide.
 */
struct imp_id_map {
	struct imp_id_slot *slots;
	size_t n;
	size_t cap; /* a power of two, or 0 */
	uint64_t seed;
};

/* imp_id_map_get - the value of (@a, @b); NULL: it is not there */
void *imp_id_map_get(const struct imp_id_map *m, uint64_t a, uint64_t b);

/* imp_id_map_put - set the value of (@a, @b); @value is not NULL */
void imp_id_map_put(struct imp_arena *arena, struct imp_id_map *m, uint64_t a, uint64_t b,
		    void *value);

/* imp_id_map_remove - forget (@a, @b) */
void imp_id_map_remove(struct imp_id_map *m, uint64_t a, uint64_t b);

#endif
