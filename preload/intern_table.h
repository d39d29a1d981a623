/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_INTERN_TABLE_H
#define IMP_PRELOAD_INTERN_TABLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Strings that an image has numbered (IMP_EV_STRING). Bounded, open addressing, in one mmap that is made
 * at the first use. Not locked: the recorder's lock is held.
 *
 * A number is used once in a process, also after the table was cleared: an event that still holds an old
 * one names a string that its reader does not know, never a wrong one.
 */
#define IMP_INTERN_STRINGS_MAX 16000
#define IMP_INTERN_BYTES_MAX   (1 << 20)

struct imp_intern_memory;

struct imp_intern_table {
	struct imp_intern_memory *memory;
	uint32_t base; /* the first string here has the number base + 1 */
	uint32_t count;
	uint32_t bytes;
	uint32_t hash; /* of the string that was looked for last */
};

/*
 * imp_intern_find - number of a string
 * @place: filled for imp_intern_add(), which must be the next call
 * Returns 0 where the table does not hold it.
 */
uint32_t imp_intern_find(struct imp_intern_table *table, const void *text, size_t len,
			 uint32_t *place);

/* imp_intern_add - give the string that imp_intern_find() did not find the next number; 0: full */
uint32_t imp_intern_add(struct imp_intern_table *table, const void *text, size_t len,
			uint32_t place);

/* imp_intern_clear - forget all strings; numbers go on */
void imp_intern_clear(struct imp_intern_table *table);

#endif
