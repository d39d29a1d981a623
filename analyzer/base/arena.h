/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BASE_ARENA_H
#define IMP_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Memory that is released all at once: what a trace, or its diagnosis, consists of. Allocation never
 * returns NULL: where there is no memory left the program ends with one sentence and status 2
 * (a command that reads a file has nothing better to do).
 */
struct imp_arena {
	struct imp_arena_chunk *chunks;
	size_t used;  /* of the first chunk */
	size_t total; /* bytes in all chunks */
};

void *imp_arena_alloc(struct imp_arena *a, size_t size); /* zeroed, aligned to 16 */
char *imp_arena_strndup(struct imp_arena *a, const char *s, size_t len);
char *imp_arena_printf(struct imp_arena *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
char *imp_arena_vprintf(struct imp_arena *a, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
void imp_arena_clear(struct imp_arena *a);

/*
 * A growing array in an arena: IMP_VEC(struct foo) foos; *imp_vec_push(arena, &foos) = ...;
 * imp_vec_push() gives a pointer to a new zeroed element. Elements move when the array grows, so
 * keep indexes, or make arrays of pointers. IMP_VEC_TYPE() declares one with a name, for parameters.
 */
#define IMP_VEC(type)       \
	struct {            \
		type *v;    \
		size_t n;   \
		size_t cap; \
	}
#define IMP_VEC_TYPE(name, type) \
	struct name {            \
		type *v;         \
		size_t n;        \
		size_t cap;      \
	}
#define imp_vec_push(arena, vec)                                                               \
	(imp_vec_grow((arena), (void **)&(vec)->v, &(vec)->n, &(vec)->cap, sizeof(*(vec)->v)), \
	 &(vec)->v[(vec)->n++])
/* imp_vec_room - room for so many at once, in an array that is still empty; it may hold more later */
#define imp_vec_room(arena, vec, count) \
	((vec)->v = imp_arena_alloc((arena), (count) * sizeof(*(vec)->v)), (vec)->cap = (count))
void imp_vec_grow(struct imp_arena *a, void **v, const size_t *n, size_t *cap, size_t size);

#endif
