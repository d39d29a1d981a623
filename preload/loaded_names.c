// SPDX-License-Identifier: GPL-2.0-or-later
#include "loaded_names.h"

#include "poison.h"

#define NAMES 2048 /* a power of two */

static uint64_t names[NAMES];

/* FNV-1a */
uint64_t imp_loaded_names_hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3;
	return h | 1; /* 0: an empty place */
}

bool imp_loaded_names_has(uint64_t hash)
{
	return __atomic_load_n(&names[(hash >> 20) % NAMES], __ATOMIC_RELAXED) == hash;
}

void imp_loaded_names_add(uint64_t hash)
{
	__atomic_store_n(&names[(hash >> 20) % NAMES], hash, __ATOMIC_RELAXED);
}
