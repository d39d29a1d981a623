/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record_build.h"

#include <string.h>

/* Where a number is among the few; IMP_OPEN_MAX: it is not. */
static inline size_t position(const struct imp_open *o, uint64_t id)
{
	size_t i;

	for (i = o->n; i-- > 0;)
		if (o->few->id[i] == id)
			return i;
	return IMP_OPEN_MAX;
}

static void drop(struct imp_open *o, size_t i)
{
	o->n--;
	memmove(o->few->id + i, o->few->id + i + 1, (o->n - i) * sizeof(o->few->id[0]));
	memmove(o->few->v + i, o->few->v + i + 1, (o->n - i) * sizeof(o->few->v[0]));
}

void imp_open_put(struct imp_builder *b, struct imp_open *o, uint64_t id, void *value)
{
	size_t i = position(o, id);

	if (!o->few)
		o->few = imp_arena_alloc(&b->scratch, sizeof(*o->few));
	if (i < IMP_OPEN_MAX)
		drop(o, i); /* the same number again: the last one counts */
	if (o->n == IMP_OPEN_MAX) {
		imp_id_map_put(&b->scratch, &o->rest, o->few->id[0], 0, o->few->v[0]);
		drop(o, 0);
	}
	o->few->id[o->n] = id;
	o->few->v[o->n++] = value;
}

void *imp_open_get(const struct imp_open *o, uint64_t id)
{
	size_t i = position(o, id);

	if (i < IMP_OPEN_MAX)
		return o->few->v[i];
	return o->rest.n ? imp_id_map_get(&o->rest, id, 0) : NULL;
}

void imp_open_end(struct imp_builder *b, struct imp_open *o, uint64_t id, bool keep)
{
	size_t i = position(o, id);

	if (i == IMP_OPEN_MAX) {
		if (!keep)
			imp_id_map_remove(&o->rest, id, 0);
		return;
	}
	if (keep)
		imp_id_map_put(&b->scratch, &o->rest, id, 0, o->few->v[i]);
	drop(o, i);
}
