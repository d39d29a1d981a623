// SPDX-License-Identifier: GPL-2.0-or-later
#include "dlsym_cache.h"

#include <string.h>

#include "link_map_diff.h"
#include "recorder.h"
#include "poison.h"

#define SETS	   64 /* a power of two */
#define WAYS	   8  /* a hundred names find a place each */
#define NAME_MAX_  88 /* bytes of name and version together; longer ones are not cached */
#define COUNT_BITS 20
#define COUNT_MAX  ((UINT64_C(1) << COUNT_BITS) - 1)
#define TAG_BUSY   (~UINT64_C(0) << COUNT_BITS) /* somebody replaces the entry */

/*
 * A word holds the hash of the look-up above COUNT_BITS and how often it came again below, so that a hit is
 * one compare-and-swap, and whoever replaces the entry takes the exact count away. The rest is written only by
 * who has made the tag TAG_BUSY.
 */
static uint64_t words[SETS][WAYS] __attribute__((aligned(64))); /* a set: one cache line. 0: empty */

static struct entry {
	uint64_t handle, address, offset;
	uint32_t object;
	uint16_t name_len, version_len; /* both without a NUL; version_len 0: none */
	char text[NAME_MAX_];		/* name, version */
} entries[SETS][WAYS];

static uint64_t mix(uint64_t h, uint64_t value)
{
	h = (h ^ value) * 0x9e3779b97f4a7c15;
	return h ^ h >> 29;
}

static uint64_t mix_text(uint64_t h, const char *text, size_t len)
{
	uint64_t word;

	h = mix(h, len);
	for (; len >= sizeof(word); text += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		h = mix(h, word);
	}
	word = 0;
	memcpy(&word, text, len);
	return mix(h, word);
}

static uint64_t hash_of(const struct imp_lookup *l)
{
	uint64_t h = mix(l->handle, (uint64_t)imp_objects_generation() << 32 | l->object);

	h = mix(h, l->address);
	h = mix_text(h, l->name, strlen(l->name));
	if (l->version)
		h = mix_text(h, l->version, strlen(l->version));
	h = mix(h, h >> 32);
	/* Neither an empty nor a busy entry. */
	return (h & ~COUNT_MAX) == 0 || (h & ~COUNT_MAX) == TAG_BUSY ? h ^ UINT64_C(1) << 40 : h;
}

static bool has_tag(uint64_t word, uint64_t hash)
{
	return ((word ^ hash) & ~COUNT_MAX) == 0;
}

/* The low bits choose the set, the high ones are the tag. */
bool imp_dlsym_cache_hit(const struct imp_lookup *l)
{
	const uint64_t hash = hash_of(l);
	uint64_t *set = words[hash % SETS], word;

	for (unsigned int way = 0; way < WAYS; way++) {
		word = __atomic_load_n(&set[way], __ATOMIC_RELAXED);
		while (has_tag(word, hash) && (word & COUNT_MAX) < COUNT_MAX)
			if (__atomic_compare_exchange_n(&set[way], &word, word + 1, true,
							__ATOMIC_RELAXED, __ATOMIC_RELAXED))
				return true;
	}
	return false;
}

/* Where a look-up goes that is not there: where it was, to an empty place, or in the place of another. */
static unsigned int choose_way(const uint64_t *set, uint64_t hash)
{
	unsigned int chosen = (unsigned int)(hash / SETS % WAYS);

	for (unsigned int way = WAYS; way-- > 0;) {
		const uint64_t word = __atomic_load_n(&set[way], __ATOMIC_RELAXED);

		if (has_tag(word, hash))
			return way;
		if (!word)
			chosen = way;
	}
	return chosen;
}

static void write_event(struct imp_thread *t, const struct imp_lookup *l, size_t name_len,
			size_t version_len, uint64_t count)
{
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_DLSYM);

	imp_put_uint(c, IMP_KEY_HANDLE, l->handle);
	imp_put_shared(c, IMP_KEY_TEXT, l->name, name_len);
	if (l->version)
		imp_put_shared(c, IMP_KEY_SYMVER, l->version, version_len);
	imp_put_uint(c, IMP_KEY_CALLER, l->object);
	imp_put_uint(c, IMP_KEY_OFFSET, l->offset);
	imp_put_uint(c, IMP_KEY_ADDRESS, l->address);
	if (l->error)
		imp_put_text(c, IMP_KEY_ERROR, l->error, strlen(l->error));
	if (count)
		imp_put_uint(c, IMP_KEY_COUNT, count);
	imp_record_end(t);
}

static void write_count(struct imp_thread *t, const struct entry *e, uint64_t count)
{
	const struct imp_lookup l = {
		.handle = e->handle,
		.address = e->address,
		.offset = e->offset,
		.object = e->object,
		.name = e->text,
		.version = e->version_len ? e->text + e->name_len : NULL,
	};

	write_event(t, &l, e->name_len, e->version_len, count);
}

/* Makes the entry ours; false: somebody else is at it. */
static bool seize(uint64_t *place, uint64_t *count)
{
	uint64_t word = __atomic_load_n(place, __ATOMIC_RELAXED);

	do {
		if ((word & ~COUNT_MAX) == TAG_BUSY)
			return false;
	} while (!__atomic_compare_exchange_n(place, &word, TAG_BUSY, true, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	*count = word & COUNT_MAX;
	return true;
}

void imp_dlsym_cache_record(struct imp_thread *t, const struct imp_lookup *l)
{
	const size_t name_len = strlen(l->name), version_len = l->version ? strlen(l->version) : 0;
	const uint64_t hash = hash_of(l);
	const unsigned int set = hash % SETS, way = choose_way(words[set], hash);
	struct entry *e = &entries[set][way];
	uint64_t *place = &words[set][way], count;

	if (name_len <= NAME_MAX_ && version_len <= NAME_MAX_ - name_len && seize(place, &count)) {
		if (count)
			write_count(t, e, count);
		e->handle = l->handle;
		e->address = l->address;
		e->offset = l->offset;
		e->object = l->object;
		e->name_len = (uint16_t)name_len;
		e->version_len = (uint16_t)version_len;
		memcpy(e->text, l->name, name_len);
		if (version_len)
			memcpy(e->text + name_len, l->version, version_len);
		__atomic_store_n(place, hash & ~COUNT_MAX, __ATOMIC_RELEASE);
	}
	write_event(t, l, name_len, version_len, 0);
}

void imp_dlsym_cache_drain(struct imp_thread *t)
{
	unsigned int i;

	for (i = 0; i < SETS * WAYS; i++) {
		uint64_t *place = &words[i / WAYS][i % WAYS];
		const uint64_t word = __atomic_load_n(place, __ATOMIC_RELAXED);
		uint64_t count;

		if (!(word & COUNT_MAX) || !seize(place, &count))
			continue;
		if (count)
			write_count(t, &entries[i / WAYS][i % WAYS], count);
		__atomic_store_n(place, word & ~COUNT_MAX, __ATOMIC_RELEASE);
	}
}

void imp_dlsym_cache_forget(void)
{
	unsigned int i;

	for (i = 0; i < SETS * WAYS; i++)
		__atomic_store_n(&words[i / WAYS][i % WAYS], 0, __ATOMIC_RELAXED);
}
