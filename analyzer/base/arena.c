/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST ((size_t)4 << 10) /* many arenas are for one question */
#define LARGE	    ((size_t)32 << 10)
#define CHUNK_MAX   ((size_t)4 << 20)
#define ALIGN	    ((size_t)16)

struct imp_arena_chunk {
	struct imp_arena_chunk *next;
	size_t size; /* of @data */
	_Alignas(16) unsigned char data[];
};

static void __attribute__((noreturn)) no_memory(size_t size, size_t total)
{
	fprintf(stderr, "imptrace: out of memory: %zu bytes are in use and %zu more were refused\n",
		total, size);
	exit(2);
}

static struct imp_arena_chunk *new_chunk(struct imp_arena *a, size_t size)
{
	struct imp_arena_chunk *c;

	if (size > SIZE_MAX / 2)
		no_memory(size, a->total);
	/* calloc: fresh pages from the kernel are zero already. */
	c = calloc(1, sizeof(*c) + size);
	if (!c)
		no_memory(size, a->total);
	c->size = size;
	a->total += size;
	return c;
}

void *imp_arena_alloc(struct imp_arena *a, size_t size)
{
	struct imp_arena_chunk *c = a->chunks;
	void *p;

	if (size > SIZE_MAX / 4)
		no_memory(size, a->total);
	size = size ? (size + ALIGN - 1) & ~(ALIGN - 1) : ALIGN;
	if (c && c->size - a->used >= size) {
		p = c->data + a->used;
		a->used += size;
		return p;
	}
	if (size >= LARGE && c) {
		/* A large one gets a chunk of its own; the small ones go on in the first. */
		struct imp_arena_chunk *own = new_chunk(a, size);

		own->next = c->next;
		c->next = own;
		return own->data;
	}
	{
		size_t want = c ? c->size * 2 : CHUNK_FIRST;

		if (want > CHUNK_MAX)
			want = CHUNK_MAX;
		if (want < size)
			want = size;
		c = new_chunk(a, want);
	}
	c->next = a->chunks;
	a->chunks = c;
	a->used = size;
	return c->data;
}

char *imp_arena_strndup(struct imp_arena *a, const char *s, size_t len)
{
	char *p = imp_arena_alloc(a, len + 1);

	if (len)
		memcpy(p, s, len);
	return p;
}

char *imp_arena_vprintf(struct imp_arena *a, const char *format, va_list args)
{
	va_list again;
	char *p;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0)
		n = 0;
	p = imp_arena_alloc(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, format, args);
	return p;
}

char *imp_arena_printf(struct imp_arena *a, const char *format, ...)
{
	va_list args;
	char *p;

	va_start(args, format);
	p = imp_arena_vprintf(a, format, args);
	va_end(args);
	return p;
}

void imp_arena_clear(struct imp_arena *a)
{
	struct imp_arena_chunk *c = a->chunks, *next;

	for (; c; c = next) {
		next = c->next;
		free(c);
	}
	memset(a, 0, sizeof(*a));
}

void imp_vec_grow(struct imp_arena *a, void **v, const size_t *n, size_t *cap, size_t size)
{
	size_t want;
	void *p;

	if (*n < *cap) {
		memset((char *)*v + *n * size, 0, size); /* it may have been popped */
		return;
	}
	want = *cap ? *cap * 2 : 4;
	if (want > SIZE_MAX / 4 / size)
		no_memory(SIZE_MAX / 4, a->total);
	p = imp_arena_alloc(a, want * size);
	if (*n)
		memcpy(p, *v, *n * size);
	*v = p;
	*cap = want;
}
