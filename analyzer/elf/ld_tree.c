// SPDX-License-Identifier: GPL-2.0-or-later
#include "ld_tree.h"

#include <errno.h>
#include <string.h>

#define OBJECTS_MAX  20000U
#define SEARCHES_MAX 100000U

static struct imp_ld_search *search(struct imp_ld_process *p, struct imp_ld_tree *t,
				    const struct imp_ld_request *req, struct imp_error *err,
				    int *ret)
{
	struct imp_ld_search *s = imp_arena_alloc(p->arena, sizeof(*s));
	size_t before = p->objects.n;

	*ret = imp_ld_search_run(p, req, s, err);
	if (*ret < 0)
		return s;
	*imp_vec_push(p->arena, &t->searches) = s;
	if (p->objects.n > before)
		*imp_vec_push(p->arena, &t->objects) = s->object;
	if (!s->object) {
		t->unknown |= s->unknown;
		if (!t->failed)
			t->failed = s;
	}
	return s;
}

static void add_to_scope(struct imp_ld_process *p, struct imp_ld_tree *t, struct imp_ld_object *o)
{
	size_t i;

	for (i = 0; i < t->scope.n; i++) {
		if (t->scope.v[i] == o)
			return;
	}
	if (t->scope.n < OBJECTS_MAX)
		*imp_vec_push(p->arena, &t->scope) = o;
}

/* _dl_map_object_deps(): everything in @t->scope, and what comes to it, is asked for what it needs. */
static void follow_needed(struct imp_ld_process *p, struct imp_ld_tree *t, bool keep_going)
{
	struct imp_ld_request req = {0};
	struct imp_ld_search *s;
	struct imp_ld_object *o;
	size_t i, j;
	int ret;

	for (i = 0; i < t->scope.n; i++) {
		o = t->scope.v[i];
		req.requester = o;
		req.name_space = o->name_space;
		for (j = 0; o->image && j < o->image->needed.n && t->searches.n < SEARCHES_MAX; j++) {
			req.name = o->image->needed.v[j];
			s = search(p, t, &req, NULL, &ret);
			if (ret < 0)
				continue; /* an empty DT_NEEDED: the loader takes it for the program itself */
			if (s->object)
				add_to_scope(p, t, s->object);
			else if (!keep_going && !s->unknown)
				return;
		}
		o->dependencies_done = true;
	}
}

static void undo(struct imp_ld_process *p, struct imp_ld_tree *t)
{
	size_t i;

	for (i = 0; i < t->objects.n; i++)
		imp_ld_process_remove(p, t->objects.v[i]);
	t->object = NULL;
}

/* ---- symbols --------------------------------------------------------------------------------------- */

static void check_versions(struct imp_ld_process *p, struct imp_ld_object *o, struct imp_ld_tree *t)
{
	struct imp_ld_unmet_version *unmet;
	const struct imp_ld_object *of;
	size_t i, j;

	for (i = 0; i < o->image->version_needs.n; i++) {
		const struct imp_elf_version_need *need = &o->image->version_needs.v[i];

		of = imp_ld_process_match(p, need->file, o->name_space, NULL);
		if (!of || !of->image || !of->image->header || of->image->partial)
			continue;
		for (j = 0; j < of->image->version_defs.n; j++) {
			if (strcmp(of->image->version_defs.v[j].version, need->version) == 0)
				break;
		}
		if (j < of->image->version_defs.n)
			continue;
		unmet = imp_vec_push(p->arena, &t->versions);
		unmet->object = o;
		unmet->of = of;
		unmet->soname = need->file;
		unmet->version = need->version;
		unmet->weak = need->weak;
		unmet->no_versions = !of->image->version_defs.n;
	}
}

/* 1, 0, or -ENODATA: not here, as far as the symbols of all could be read */
static int find_symbol(const struct imp_ld_objects *scope, const struct imp_elf_symbol *symbol)
{
	bool unknown = false;
	size_t i;
	int ret;

	for (i = 0; i < scope->n; i++) {
		struct imp_ld_object *o = scope->v[i];

		ret = o->image ?
			      imp_elf_symbol_find(o->image, symbol->name, symbol->version, NULL) :
			      -ENODATA;
		if (ret == 1)
			return 1;
		/* An object without a dynamic section has no symbols, and that is no gap. */
		unknown |= ret < 0 && !(o->image && o->image->header && !o->image->dynamic);
	}
	return unknown ? -ENODATA : 0;
}

static struct imp_ld_object *other_version(const struct imp_ld_objects *scope, const char *name,
					   struct imp_arena *a)
{
	size_t i;

	(void)a;
	for (i = 0; i < scope->n; i++) {
		struct imp_elf_symbol_list all = {0};

		if (scope->v[i]->image &&
		    imp_elf_symbol_versions(scope->v[i]->image, name, &all) > 0)
			return scope->v[i];
	}
	return NULL;
}

static void check_symbols(struct imp_ld_process *p, struct imp_ld_object *o,
			  const struct imp_ld_objects *scope, struct imp_ld_tree *t)
{
	struct imp_elf_symbol_list wanted = {0};
	struct imp_ld_undefined *u;
	size_t i;
	int ret;

	if (imp_elf_symbol_undefined(o->image, &wanted) < 0)
		t->undefined_known &= !o->image->dynamic;
	for (i = 0; i < wanted.n; i++) {
		if (wanted.v[i].weak)
			continue;
		ret = find_symbol(scope, &wanted.v[i]);
		if (ret < 0)
			t->undefined_known = false;
		if (ret)
			continue;
		u = imp_vec_push(p->arena, &t->undefined);
		u->object = o;
		u->symbol = wanted.v[i];
		u->other_version = other_version(scope, wanted.v[i].name, p->arena);
	}
}

void imp_ld_tree_check(struct imp_ld_process *p, const struct imp_ld_objects *objects,
		       struct imp_ld_tree *out)
{
	int64_t name_space = objects->n ? objects->v[0]->name_space : 0;
	struct imp_ld_tree all = {0};
	size_t i;

	out->undefined_known = true;
	/* Everybody sees the program, what came with it, and what was opened with RTLD_GLOBAL. */
	for (i = 0; i < p->objects.n; i++) {
		if (p->objects.v[i]->global && p->objects.v[i]->name_space == name_space)
			add_to_scope(p, &all, p->objects.v[i]);
	}
	for (i = 0; i < out->scope.n; i++)
		add_to_scope(p, &all, out->scope.v[i]);
	for (i = 0; i < objects->n; i++) {
		if (!objects->v[i]->image) {
			out->undefined_known = false;
			continue;
		}
		check_versions(p, objects->v[i], out);
		check_symbols(p, objects->v[i], &all.scope, out);
	}
}

/* ---- dlopen and start ------------------------------------------------------------------------------ */

static void finish(struct imp_ld_process *p, struct imp_ld_tree *t,
		   const struct imp_ld_tree_options *options, bool global)
{
	size_t i;

	if (options->symbols)
		imp_ld_tree_check(p, &t->objects, t);
	if (t->failed && !t->failed->unknown) {
		undo(p, t);
		return;
	}
	for (i = 0; global && i < t->scope.n; i++)
		t->scope.v[i]->global = true;
}

int imp_ld_tree_open(struct imp_ld_process *p, const struct imp_ld_request *req,
		     const struct imp_ld_tree_options *options, struct imp_ld_tree *out,
		     struct imp_error *err)
{
	struct imp_ld_request own = *req;
	struct imp_ld_search *s;
	int ret;

	memset(out, 0, sizeof(*out));
	own.dlopen = true;
	s = search(p, out, &own, err, &ret);
	if (ret < 0)
		return ret;
	out->object = s->object;
	if (!s->object)
		return 0;
	add_to_scope(p, out, s->object);
	/* What was opened before has all that it needs. */
	if (!s->object->dependencies_done)
		follow_needed(p, out, options->keep_going);
	finish(p, out, options, options->global);
	return 0;
}

int imp_ld_tree_start(struct imp_ld_process *p, const char *program,
		      const struct imp_strings *preload, const struct imp_ld_tree_options *options,
		      struct imp_ld_tree *out, struct imp_error *err)
{
	struct imp_ld_request req = {0};
	struct imp_ld_object *o;
	struct imp_ld_search *s;
	size_t i;
	int ret;

	memset(out, 0, sizeof(*out));
	if (p->program)
		return imp_error_set(err, -EINVAL, "the process has a program already");
	o = imp_ld_process_add(p, "", program, NULL, 0);
	if (!o->image)
		return imp_error_set(err, -ENOENT, "%s: nothing is known of it", program);
	*imp_vec_push(p->arena, &out->objects) = o;
	add_to_scope(p, out, o);
	out->object = o;
	if (o->image->interpreter)
		*imp_vec_push(p->arena, &out->objects) =
			imp_ld_process_add(p, o->image->interpreter, o->image->interpreter, NULL, 0);
	for (i = 0; preload && i < preload->n; i++) {
		req.name = preload->v[i];
		req.requester = o;
		s = search(p, out, &req, NULL, &ret);
		/* One that is not found is only told of. */
		if (ret == 0 && s->object) {
			s->object->preload = !s->loaded_before;
			add_to_scope(p, out, s->object);
		}
		out->failed = NULL;
	}
	follow_needed(p, out, options->keep_going);
	finish(p, out, options, true);
	return 0;
}
