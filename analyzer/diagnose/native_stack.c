/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "native_stack.h"

#include <string.h>

#include "../elf/elf_symbol.h"

/*
 * An object's file, and a place in it. Both are kept for the whole diagnosis, under the path (a string of the record: one
 * address for one text): the failures of a program have most frames of their stacks in common.
 */
struct opened {
	struct imp_elf_image image;
	bool readable;
};

struct place {
	const char *symbol; /* NULL: none is known */
	uint64_t offset;
};

static const struct place *find_place(struct imp_case *c, const char *path, uint64_t offset)
{
	const uint64_t key = (uint64_t)(uintptr_t)path;
	struct imp_elf_symbol symbol;
	struct opened *o;
	struct place *p;

	if (!c->host->enabled || !offset)
		return NULL;
	p = imp_id_map_get(c->code_places, key, offset);
	if (p)
		return p;
	o = imp_id_map_get(c->code_places, key, 0);
	if (!o) {
		o = imp_arena_alloc(c->a, sizeof(*o));
		o->readable = !imp_elf_image_open(&o->image, c->a, c->host, path, NULL);
		imp_id_map_put(c->a, c->code_places, key, 0, o);
	}
	p = imp_arena_alloc(c->a, sizeof(*p));
	/* A return address: the call before it is what was executed. */
	if (o->readable && imp_elf_symbol_at(&o->image, offset - 1, &symbol) == 1) {
		p->symbol = symbol.name;
		p->offset = offset - symbol.value;
	}
	imp_id_map_put(c->a, c->code_places, key, offset, p);
	return p;
}

static void add_frame(struct imp_case *c, const struct imp_code_place *code)
{
	const struct imp_object *object = imp_record_object(c->image, code->object);
	struct imp_native_frame *frame = imp_vec_push(c->a, &c->f->native_stack);
	const struct place *place;

	frame->object = object ? object->path : NULL;
	frame->offset = code->offset;
	frame->offset_known = true;
	if (!object || !object->path)
		return;
	place = find_place(c, object->path, code->offset);
	if (!place || !place->symbol)
		return;
	frame->symbol = place->symbol;
	frame->offset = place->offset;
}

static bool fill_recorded(struct imp_case *c)
{
	const struct imp_native_stack *found = NULL;

	for (size_t i = 0; c->attempt && i < c->image->native_stacks.n && !found; i++)
		if (c->image->native_stacks.v[i]->attempt == c->attempt)
			found = c->image->native_stacks.v[i];
	for (size_t i = 0; found && i < found->frames.n; i++)
		add_frame(c, &found->frames.v[i]);
	return found && found->frames.n;
}

/*
 * The outermost frame in a module that was being created is its init function, also where no symbol
 * table can be had.
 */
static void name_init(struct imp_case *c, const struct imp_extension_call *ext, const char *symbol)
{
	for (size_t i = c->f->native_stack.n; i-- > 0;) {
		struct imp_native_frame *frame = &c->f->native_stack.v[i];

		if (!frame->object || strcmp(frame->object, ext->path))
			continue;
		if (!frame->symbol) {
			frame->symbol = symbol;
			frame->offset_known = false;
		}
		return;
	}
}

/* What CPython calls to initialize @module; NULL: a name that is not ASCII has another one, in punycode. */
static const char *init_symbol(const struct imp_case *c, const char *module)
{
	const char *dot = strrchr(module, '.');
	char *symbol = imp_arena_printf(c->a, "PyInit_%s", dot ? dot + 1 : module);

	for (char *p = symbol; *p; p++) {
		if (*p & 0x80)
			return NULL;
		*p = *p == '-' ? '_' : *p;
	}
	return symbol;
}

void imp_native_stack_fill(struct imp_case *c)
{
	bool recorded = fill_recorded(c);

	for (const struct imp_attempt *at = c->attempt ? c->attempt->parent : NULL; at;
	     at = at->parent)
		for (size_t i = 0; i < c->image->extensions.n; i++) {
			const struct imp_extension_call *ext = c->image->extensions.v[i];
			const char *symbol;
			struct imp_native_frame *frame;

			if (ext->attempt != at || ext->begin_ns > c->attempt->begin_ns ||
			    (ext->ended && ext->end_ns < c->attempt->begin_ns) || !ext->path)
				continue;
			symbol = init_symbol(c, at->name);
			imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
					     "it was asked for while %s was being initialized (%s)",
					     at->name, ext->path);
			if (recorded) {
				if (ext->step == IMP_STEP_CREATE)
					name_init(c, ext, symbol);
				continue;
			}
			frame = imp_vec_push(c->a, &c->f->native_stack);
			frame->object = ext->path;
			if (ext->step == IMP_STEP_CREATE)
				frame->symbol = symbol;
		}
}
