/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "interner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct imp_interner_slot {
	const char *s; /* NULL: free */
	uint32_t len;
	uint32_t hash;
};

static inline uint64_t word_at(const char *s)
{
	uint64_t word;

	memcpy(&word, s, sizeof(word));
	return word;
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 x = (unsigned __int128)a * b;

	return (uint64_t)x ^ (uint64_t)(x >> 64);
}

/* Seeded, since the strings may be chosen by somebody else; 16 bytes a step, the last ones may overlap. */
static uint64_t hash_bytes(uint64_t seed, const char *s, size_t len)
{
	const uint64_t k = 0x9e3779b97f4a7c15u;
	uint64_t h = seed ^ len * k, a = 0, b = 0;
	const char *end = s + len;

	if (len < 8) {
		memcpy(&a, s, len);
	} else {
		for (; end - s > 16; s += 16)
			h = mix(word_at(s) ^ seed, word_at(s + 8) ^ h) + k;
		a = end - s >= 8 ? word_at(s) : 0;
		b = word_at(end - 8);
	}
	h = mix(a ^ seed, b ^ h) + k;
	h = mix(h ^ seed, k);
	return h ^ h >> 32;
}

static struct imp_interner_slot *find(const struct imp_interner *in, const char *s, size_t len,
				      uint32_t hash)
{
	size_t i = hash & (in->cap - 1);
	struct imp_interner_slot *slot;

	for (;; i = (i + 1) & (in->cap - 1)) {
		slot = &in->slots[i];
		if (!slot->s)
			return slot;
		if (slot->hash == hash && slot->len == len && !memcmp(slot->s, s, len))
			return slot;
	}
}

static void grow(struct imp_interner *in)
{
	struct imp_interner_slot *old = in->slots;
	size_t cap = in->cap ? in->cap * 2 : 256, i, at;

	in->slots = calloc(cap, sizeof(*in->slots));
	if (!in->slots) {
		fprintf(stderr, "imptrace: out of memory: %zu strings are in use\n", in->n);
		exit(2);
	}
	if (!in->seed) {
		struct timespec now = {0, 0};

		clock_gettime(CLOCK_MONOTONIC, &now);
		in->seed = ((uint64_t)(uintptr_t)in->slots << 13) * 0x9e3779b97f4a7c15u ^
			   ((uint64_t)now.tv_nsec << 20 | 1);
	}
	for (i = 0; i < in->cap; i++) {
		if (!old[i].s)
			continue;
		at = old[i].hash & (cap - 1);
		while (in->slots[at].s)
			at = (at + 1) & (cap - 1);
		in->slots[at] = old[i];
	}
	in->cap = cap;
	free(old);
}

const char *imp_intern(struct imp_interner *in, const char *s, size_t len)
{
	struct imp_interner_slot *slot;
	uint32_t hash;

	if (len > UINT32_MAX)
		len = UINT32_MAX;
	if (in->n >= in->cap / 2)
		grow(in);
	hash = (uint32_t)hash_bytes(in->seed, s, len);
	slot = find(in, s, len, hash);
	if (!slot->s) {
		slot->s = imp_arena_strndup(in->arena, s, len);
		slot->len = (uint32_t)len;
		slot->hash = hash;
		in->n++;
	}
	return slot->s;
}

uint32_t imp_intern_hash(struct imp_interner *in, const char *s, size_t len)
{
	if (!in->cap)
		grow(in);
	return (uint32_t)hash_bytes(in->seed, s, len);
}

void imp_interner_clear(struct imp_interner *in)
{
	free(in->slots);
	in->slots = NULL;
	in->n = in->cap = 0;
}
