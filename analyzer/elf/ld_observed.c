// SPDX-License-Identifier: GPL-2.0-or-later
#include "ld_observed.h"

#include <errno.h>
#include <link.h>
#include <string.h>

#define TRIED_MAX \
	10000U /* paths of one search; more of them are made up, and would take long to compare */

/* One search that was seen, beside the derived one. */
struct pair {
	struct imp_ld_replay *r;
	const struct imp_ld_lookup_seen *seen;
	struct imp_ld_search *s;
	bool failed; /* the loader gave up on it */
};

/* ---- which is which -------------------------------------------------------------------------------- */

static struct imp_ld_search *derived_search(const struct imp_ld_tree *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->searches.n; i++) {
		if (!t->searches.v[i]->observed && strcmp(t->searches.v[i]->name, name) == 0)
			return t->searches.v[i];
	}
	return NULL;
}

/* An object of the dlopen may be gone from the process again, since that failed. */
static struct imp_ld_object *object_at(const struct pair *p, const struct imp_ld_tree *t,
				       const char *path)
{
	const char *absolute = imp_ld_process_absolute(&p->r->process, path);
	struct imp_ld_object *o;
	size_t i;

	for (i = 0; i < t->objects.n; i++) {
		if (strcmp(t->objects.v[i]->name, path) == 0)
			return t->objects.v[i];
	}
	o = absolute ? imp_ld_process_find(&p->r->process, absolute, p->s->name_space) : NULL;
	if (o)
		return o;
	o = imp_arena_alloc(p->r->arena, sizeof(*o));
	o->name = path;
	o->file = absolute ? absolute : path;
	o->name_space = p->s->name_space;
	return o;
}

/* Only the trace knows of it. */
static struct imp_ld_search *new_search(struct pair *p, struct imp_ld_tree *t, int64_t name_space)
{
	struct imp_ld_search *s = imp_arena_alloc(p->r->arena, sizeof(*s));

	p->s = s;
	s->name = p->seen->name;
	s->name_space = name_space;
	s->requester =
		p->seen->requester ? object_at(p, t, p->seen->requester) : p->r->process.program;
	*imp_vec_push(p->r->arena, &t->searches) = s;
	return s;
}

static bool starts_with(const char *s, const char *start)
{
	return strncmp(s, start, strlen(start)) == 0;
}

/* "libfoo.so.1: cannot open shared object file: ..." */
static bool ended_in_nothing(const struct imp_dlopen *d, const char *name)
{
	const char *error = d ? d->error : NULL;
	size_t len = strlen(name);

	return error && strncmp(error, name, len) == 0 &&
	       starts_with(error + len, ": cannot open shared object file");
}

/* ---- one path ----------------------------------------------------------------------------------------- */

static const struct imp_ld_candidate *find(const struct imp_ld_candidates *list, const char *path)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (strcmp(list->v[i].path, path) == 0)
			return &list->v[i];
	}
	return NULL;
}

static enum imp_ld_origin origin_of(const struct imp_ld_search *s, uint64_t flag)
{
	const struct imp_elf_image *image = s->requester ? s->requester->image : NULL;

	switch (flag) {
	case LA_SER_ORIG: return IMP_LD_DIRECT;
	case LA_SER_LIBPATH: return IMP_LD_LIBRARY_PATH;
	case LA_SER_CONFIG: return IMP_LD_CACHE;
	case 0: /* the kernel saw it, and cannot know */
	case LA_SER_DEFAULT:
	case LA_SER_SECURE: return IMP_LD_DEFAULT;
	default: /* LA_SER_RUNPATH, for both; an object that has a RUNPATH has no RPATH */
		return image && !image->runpath ? IMP_LD_RPATH : IMP_LD_RUNPATH;
	}
}

/* What is found there now, where nothing was derived for the path. */
static void look(const struct pair *p, struct imp_ld_candidate *c)
{
	struct imp_ld_process *process = &p->r->process;
	const char *absolute = imp_ld_process_absolute(process, c->path);
	struct imp_ld_file file = {.err = -ENODATA};

	if (absolute)
		process->lookup.file(process->lookup.data, absolute, &file);
	c->err = file.err;
	c->image = file.image;
	c->dev = file.dev;
	c->ino = file.ino;
	if (file.err == -EACCES || file.err == -EPERM) {
		c->result = IMP_LD_DENIED;
		c->reason = "it may not be read";
	} else if (file.err) {
		c->reason = "no such file";
	} else {
		c->result = IMP_LD_OPENED;
	}
}

/* The trace is right: what was passed over was not taken, and what was opened was there. */
static void correct(struct imp_ld_candidate *c, bool opened, bool passed_over)
{
	if (opened) {
		c->result = IMP_LD_OPENED;
		c->reason = NULL;
		c->err = 0;
	} else if (c->result == IMP_LD_SKIPPED || (passed_over && c->result == IMP_LD_OPENED)) {
		c->result = IMP_LD_ABSENT;
		c->reason = "it was not there";
		c->err = -ENOENT;
	}
}

static void add_path(const struct pair *p, struct imp_ld_candidates *list, const char *path,
		     uint64_t flag, bool last)
{
	const struct imp_ld_candidate *derived = find(&p->s->tried, path);
	bool opened = last && p->seen->opened && strcmp(p->seen->opened, path) == 0;
	struct imp_ld_candidate *c = imp_vec_push(p->r->arena, list);

	if (!derived)
		derived = find(&p->s->later, path);
	if (derived) {
		*c = *derived;
	} else {
		c->path = path;
		c->origin = origin_of(p->s, flag);
		look(p, c);
	}
	correct(c, opened, !last || p->failed);
}

/* ---- one search --------------------------------------------------------------------------------------- */

/* What was tried has not been passed over. */
static void drop_tried(struct imp_ld_candidates *later, const struct imp_ld_candidates *tried)
{
	size_t i, n = 0;

	for (i = 0; i < later->n; i++) {
		if (!find(tried, later->v[i].path))
			later->v[n++] = later->v[i];
	}
	later->n = n;
}

static void apply(const struct pair *p, const struct imp_ld_tree *t)
{
	const struct imp_ld_lookup_seen *seen = p->seen;
	struct imp_ld_candidates tried = {0};
	struct imp_ld_search *s = p->s;
	size_t i;

	s->observed = true;
	if (strchr(s->name, '/')) /* the one path; the derived one has its $ORIGIN replaced */
		add_path(p, &tried, s->tried.n ? s->tried.v[0].path : s->name, LA_SER_ORIG, true);
	for (i = 0; i < seen->tried.n; i++) {
		if (seen->tried.v[i].path)
			add_path(p, &tried, seen->tried.v[i].path, seen->tried.v[i].flag,
				 i + 1 == seen->tried.n);
	}
	s->tried = tried;
	drop_tried(&s->later, &s->tried);
	s->unknown = false;
	s->loaded_before = s->loaded_before && !seen->opened;
	if (p->failed)
		s->object = NULL;
	else if (seen->opened && (!s->object || !imp_ld_process_has_name(s->object, seen->opened)))
		s->object = object_at(p, t, seen->opened);
}

void imp_ld_observed_apply(struct imp_ld_replay *r, const struct imp_dlopen *d,
			   struct imp_ld_tree *tree)
{
	const struct imp_image *image = r->image;
	size_t i;

	for (i = 0; i < image->lookups.n; i++) {
		struct pair p = {.r = r, .seen = image->lookups.v[i]};

		/* Without a call it is of the start, or of one that came before the recorder, or past it. */
		if (p.seen->call != d || !p.seen->name || p.seen->tried.n > TRIED_MAX)
			continue;
		p.s = derived_search(tree, p.seen->name);
		if (!p.s && !d)
			continue;
		if (!p.s)
			new_search(&p, tree, d->name_space);
		p.failed = ended_in_nothing(d, p.s->name);
		apply(&p, tree);
	}
}
