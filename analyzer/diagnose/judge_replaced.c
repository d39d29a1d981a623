/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A library that was upgraded under a running program: what it has mapped is the old one, and the file is the new one. */
#include <string.h>

#include "judge_loader.h"

/* The object of the trace that was mapped from @file, and is there still; NULL: none */
static const struct imp_object *mapped_from(const struct imp_load *l, const char *file)
{
	for (size_t i = l->c->image->objects.n; i-- > 0;) {
		const struct imp_object *o = l->c->image->objects.v[i];

		if (o->path && !strcmp(o->path, file) && o->mapped_ns < l->d->begin_ns &&
		    (!o->gone_ns || o->gone_ns > l->d->begin_ns))
			return o;
	}
	return NULL;
}

static const char *hex(struct imp_arena *a, const uint8_t *id, size_t len)
{
	const char *text = "";

	for (size_t i = 0; i < len; i++)
		text = imp_arena_printf(a, "%s%02x", text, id[i]);
	return text;
}

/* Only a build id tells one build from another: no size, no time of a file that may have been copied. */
static const struct imp_object *replaced(const struct imp_load *l, const struct imp_ld_search *s)
{
	const struct imp_elf_image *img = s->object ? s->object->image : NULL;
	const struct imp_object *o =
		img && s->loaded_before && s->object->file ? mapped_from(l, s->object->file) : NULL;

	if (!o || !o->build_id_len || !img->build_id_len ||
	    (o->build_id_len == img->build_id_len &&
	     !memcmp(o->build_id, img->build_id, img->build_id_len)))
		return NULL;
	return o;
}

bool imp_judge_replaced(struct imp_load *l, const struct imp_load_wanted *w,
			const struct imp_ld_object *who)
{
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;

	for (size_t i = 1; i < l->tree.searches.n; i++) {
		const struct imp_ld_search *s = l->tree.searches.v[i];
		const struct imp_object *o = s->requester == who ? replaced(l, s) : NULL;
		const char *what;

		if (!o || imp_load_offers(s->object->image, w) != 1)
			continue;
		what = w->symbol ? imp_load_readable(l, w->symbol) : w->version;
		f->cause = IMP_CAUSE_WRONG_LIBRARY;
		f->path = s->object->file;
		imp_load_library(l, s->name, s->requester ? s->requester->file : NULL, s);
		f->summary = imp_arena_printf(
			c->a,
			"%s was replaced after the process had loaded it: the earlier build, with which it runs, has no %s",
			f->path, what);
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "the dynamic loader says: %s",
				     l->d->error);
		imp_finding_evidence(c->a, f, IMP_OBSERVED,
				     "the build that the process had loaded is %s",
				     hex(c->a, o->build_id, o->build_id_len));
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"the file that lies there is another build, %s, and has %s",
			hex(c->a, s->object->image->build_id, s->object->image->build_id_len), what);
		imp_finding_fix(
			c->a, f, IMP_LIKELY, NULL,
			"start the program again: it then loads the library that lies there now");
		return true;
	}
	return false;
}
