/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "intern_table.h"

#include <string.h>
#include <sys/mman.h>

#include "poison.h"

#define PLACES 32768 /* a power of two, more than twice IMP_INTERN_STRINGS_MAX: chains stay short */

_Static_assert(IMP_INTERN_STRINGS_MAX < UINT16_MAX, "an index counts from 1 in two bytes");
_Static_assert(PLACES > 2 * IMP_INTERN_STRINGS_MAX, "there is always an empty place");

struct string {
	uint32_t hash;
	uint32_t offset;
	uint32_t len;
};

/* Strings and texts are filled from the front, so that a short process touches few pages of this. */
struct imp_intern_memory {
	uint16_t index[PLACES]; /* 0: empty; else a string's place in @strings, plus 1 */
	struct string strings[IMP_INTERN_STRINGS_MAX];
	char text[IMP_INTERN_BYTES_MAX];
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

/* A word at a time: most are paths. */
static uint32_t hash_of(const char *text, size_t len)
{
	uint64_t hash = mix(0, len), word;

	for (; len >= sizeof(word); text += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, text, len);
	hash = mix(hash, word);
	return (uint32_t)(hash ^ hash >> 32);
}

static int make_memory(struct imp_intern_table *table)
{
	void *memory = mmap(NULL, sizeof(*table->memory), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -1;
	table->memory = memory;
	return 0;
}

uint32_t imp_intern_find(struct imp_intern_table *table, const void *text, size_t len,
			 uint32_t *place)
{
	uint32_t hash = hash_of(text, len), at = hash & (PLACES - 1);
	const struct imp_intern_memory *m;

	table->hash = hash;
	*place = at;
	if (!table->memory && make_memory(table) < 0)
		return 0;
	m = table->memory;
	for (; m->index[at]; at = (at + 1) & (PLACES - 1)) {
		uint32_t n = m->index[at] - 1u;
		const struct string *s = &m->strings[n];

		if (s->hash == hash && s->len == len && memcmp(m->text + s->offset, text, len) == 0)
			return table->base + n + 1;
	}
	*place = at;
	return 0;
}

uint32_t imp_intern_add(struct imp_intern_table *table, const void *text, size_t len, uint32_t place)
{
	struct imp_intern_memory *m = table->memory;
	uint32_t n = table->count;

	if (!m || n >= IMP_INTERN_STRINGS_MAX || len > IMP_INTERN_BYTES_MAX - table->bytes)
		return 0;
	m->strings[n] = (struct string){
		.hash = table->hash,
		.offset = table->bytes,
		.len = (uint32_t)len,
	};
	memcpy(m->text + table->bytes, text, len);
	m->index[place] = (uint16_t)(n + 1);
	table->bytes += (uint32_t)len;
	table->count++;
	return table->base + n + 1;
}

void imp_intern_clear(struct imp_intern_table *table)
{
	/* To give the pages back costs less than to write zeros to them, above all in a fork child. */
	if (table->memory && table->count &&
	    madvise(table->memory, sizeof(*table->memory), MADV_DONTNEED) < 0)
		memset(table->memory->index, 0, sizeof(table->memory->index));
	__atomic_store_n(&table->base, table->base + table->count, __ATOMIC_RELAXED);
	table->count = 0;
	table->bytes = 0;
}
