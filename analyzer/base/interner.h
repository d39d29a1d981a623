/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BASE_INTERNER_H
#define IMP_BASE_INTERNER_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"

/* Keeps one copy of each string: equal strings have equal pointers. */
struct imp_interner {
	struct imp_arena *arena;	 /* borrowed: of the copies */
	struct imp_interner_slot *slots; /* owned */
	size_t n, cap;
	uint64_t seed;
};

/*
 * imp_intern - the one copy of @len bytes that hold no NUL; NUL-terminated, lives as long as the arena
 */
const char *imp_intern(struct imp_interner *in, const char *s, size_t len);
/* imp_intern_hash - the hash of some bytes, with this one's seed */
uint32_t imp_intern_hash(struct imp_interner *in, const char *s, size_t len);
void imp_interner_clear(struct imp_interner *in); /* the copies stay */

#endif
