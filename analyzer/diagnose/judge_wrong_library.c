/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A library was found that does not have what is needed: another copy has it, or it is too old. */
#include <string.h>

#include "../python/installer.h"
#include "../python/module_file.h"
#include "judge_loader.h"

#define OFFERED_MAX 12 /* versions that are listed */

/* What the search would have found, had nothing of that name been loaded. */
static const struct imp_ld_search *search_afresh(struct imp_load *l, const struct imp_ld_search *s)
{
	struct imp_ld_search *fresh = imp_arena_alloc(l->c->a, sizeof(*fresh));
	struct imp_ld_process alone = l->replay.process;
	struct imp_ld_request req = {
		.name = s->name, .requester = s->requester, .name_space = s->name_space};

	alone.objects = (struct imp_ld_objects){0};
	return imp_ld_search_run(&alone, &req, fresh, NULL) ? NULL : fresh;
}

static const struct imp_ld_candidate *offering(const struct imp_ld_candidates *list,
					       const struct imp_load_wanted *w,
					       const struct imp_elf_image *taken)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].image && list->v[i].image != taken &&
		    imp_load_offers(list->v[i].image, w) == 1)
			return &list->v[i];
	return NULL;
}

static enum imp_ld_origin origin_of(const struct imp_ld_object *o)
{
	const struct imp_ld_search *s = o->search;

	return s && s->tried.n ? s->tried.v[s->tried.n - 1].origin : IMP_LD_DIRECT;
}

static const char *rule_of(const struct imp_load *l, enum imp_ld_origin origin)
{
	const char *path = imp_record_env(l->c->image, "LD_LIBRARY_PATH");

	switch (origin) {
	case IMP_LD_LIBRARY_PATH:
		return imp_arena_printf(l->c->a, "LD_LIBRARY_PATH=%s", path ? path : "");
	case IMP_LD_RPATH: return "the RPATH";
	case IMP_LD_RUNPATH: return "the RUNPATH";
	case IMP_LD_CACHE: return "ld.so.cache";
	case IMP_LD_DEFAULT: return "the loader's default directories";
	case IMP_LD_DIRECT: break;
	}
	return "its path";
}

/*
 * LD_LIBRARY_PATH without the directory that led to @file. An empty entry is the working directory: it is written as ".",
 * since a value that is empty as a whole counts as none.
 */
static void fix_variable(struct imp_load *l, const char *file)
{
	const char *value = imp_record_env(l->c->image, "LD_LIBRARY_PATH"), *kept = NULL, *item;
	struct imp_arena *a = l->c->a;
	const char *dir = imp_path_parent(a, imp_case_directory(l->c, file));
	char *rest = value ? imp_arena_strndup(a, value, strlen(value)) : NULL;
	bool dropped = false;

	/* DIR/glibc-hwcaps/x86-64-v3/libfoo.so.1: what is on the path is DIR */
	if (!strcmp(imp_path_name(imp_path_parent(a, dir)), "glibc-hwcaps"))
		dir = imp_path_parent(a, imp_path_parent(a, dir));
	dir = imp_path_normalize(a, dir);
	while ((item = strsep(&rest, ":;"))) {
		if (!strcmp(imp_path_normalize(a, imp_case_directory(l->c, item)), dir)) {
			dropped = true;
			continue;
		}
		if (!*item)
			item = ".";
		kept = kept ? imp_arena_printf(a, "%s:%s", kept, item) : item;
	}
	if (!dropped)
		return; /* "$LIB", or a link: what is to be typed can't be told */
	imp_finding_fix(a, l->c->f, IMP_LIKELY,
			kept ? imp_arena_printf(a, "export LD_LIBRARY_PATH=%s",
						imp_shell_quote(a, kept)) :
			       "unset LD_LIBRARY_PATH",
			"takes %s from the path, so that the other copy is found", dir);
}

/* LD_PRELOAD without what @o was preloaded as. The recorder's own place in it is none of the program's. */
static void fix_preload(struct imp_load *l, const struct imp_ld_object *o)
{
	const char *value = imp_record_env(l->c->image, "LD_PRELOAD"), *kept = NULL, *item;
	struct imp_arena *a = l->c->a;
	char *rest = value ? imp_arena_strndup(a, value, strlen(value)) : NULL;
	bool dropped = false;

	while ((item = strsep(&rest, ": "))) {
		const char *name = imp_load_base_name(item);

		if (!*item || !strcmp(name, "libimptrace.so"))
			continue;
		if (imp_ld_process_has_name(o, item) || !strcmp(name, imp_load_base_name(o->file)))
			dropped = true;
		else
			kept = kept ? imp_arena_printf(a, "%s:%s", kept, item) : item;
	}
	if (dropped) /* else /etc/ld.so.preload names it */
		imp_finding_fix(
			a, l->c->f, IMP_LIKELY,
			kept ? imp_arena_printf(a, "export LD_PRELOAD=%s", imp_shell_quote(a, kept)) :
			       "unset LD_PRELOAD",
			"no longer loads %s before all others, so that the other copy is found",
			o->file);
}

/* What of LD_PRELOAD brought it in, itself or by what it needs; NULL: nothing */
static const struct imp_ld_object *preloaded(const struct imp_ld_object *o)
{
	while (o && !o->preload)
		o = o->loader;
	return o;
}

/* The program itself needs it, or what the program needs: no import comes before that. */
static bool is_of_the_start(const struct imp_ld_object *o)
{
	while (o && !o->program)
		o = o->loader;
	return o;
}

static void wrong_library(struct imp_load *l, const struct imp_ld_search *s,
			  const struct imp_ld_search *fresh, const struct imp_ld_candidate *right,
			  const struct imp_load_wanted *w)
{
	const struct imp_ld_object *taken = s->object;
	const char *what = w->symbol ? imp_load_readable(l, w->symbol) : w->version;
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;
	enum imp_ld_origin origin = origin_of(taken);
	const struct imp_ld_object *first = fresh ? preloaded(taken) : NULL;

	f->cause = IMP_CAUSE_WRONG_LIBRARY;
	f->path = taken->file;
	imp_load_library(l, s->name, s->requester ? s->requester->file : NULL, fresh ? NULL : s);
	f->summary = imp_arena_printf(
		c->a, "%s was taken for %s, and it has no %s; %s has it, and was passed over",
		taken->file, s->name, what, right->path);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	if (!fresh) {
		imp_finding_evidence(c->a, f, s->observed ? IMP_OBSERVED : IMP_DERIVED,
				     "%s was found first, through %s", taken->file,
				     rule_of(l, origin));
	} else {
		struct imp_library *lib = f->library;

		*imp_vec_push(c->a, &lib->searched) = (struct imp_library_path){
			taken->file, imp_ld_origin_name(origin), imp_ld_result_name(IMP_LD_OPENED)};
		for (size_t i = 0; i < fresh->tried.n; i++)
			*imp_vec_push(c->a, &lib->searched) = (struct imp_library_path){
				fresh->tried.v[i].path, imp_ld_origin_name(fresh->tried.v[i].origin),
				imp_ld_result_name(fresh->tried.v[i].result == IMP_LD_OPENED ?
							   IMP_LD_SKIPPED :
							   fresh->tried.v[i].result)};
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"%s was loaded already when %s was asked for%s%s: one object of that soname serves all",
			taken->file, s->name,
			taken->preload			     ? ", by " :
			taken->loader && taken->loader->file ? ", needed by " :
							       "",
			taken->preload			     ? "LD_PRELOAD" :
			taken->loader && taken->loader->file ? taken->loader->file :
							       "");
		if (first && first != taken)
			imp_finding_evidence(c->a, f, IMP_DERIVED,
					     "LD_PRELOAD names %s, which brought it in",
					     first->file);
	}
	imp_finding_evidence(c->a, f, IMP_DERIVED, "%s, to which %s would lead, has %s",
			     right->path, rule_of(l, right->origin), what);
	if (w->symbol && strcmp(what, w->symbol))
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "the symbol is %s", w->symbol);
	if (origin == IMP_LD_LIBRARY_PATH && !(fresh && taken->loader && taken->loader->program))
		fix_variable(l, taken->file);
	if (first)
		fix_preload(l, first);
	if (fresh && *c->module && !is_of_the_start(taken))
		imp_finding_fix(c->a, f, IMP_LIKELY, NULL, "import %s first, before what loads %s",
				c->module, taken->file);
	if (!imp_load_is_c_library(imp_load_base_name(right->path)))
		imp_finding_fix(
			c->a, f, IMP_POSSIBLE,
			imp_arena_printf(c->a, "export LD_PRELOAD=%s${LD_PRELOAD:+:$LD_PRELOAD}",
					 imp_shell_quote(c->a,
							 imp_ld_process_absolute(&l->replay.process,
										 right->path))),
			"loads the right copy before all others, whatever path leads to them");
	if (!fresh && origin != IMP_LD_LIBRARY_PATH)
		imp_finding_fix(
			c->a, f, IMP_POSSIBLE, NULL,
			"remove %s, or change the order of the directories in the RPATH or RUNPATH of %s",
			taken->file,
			s->requester && s->requester->file ? s->requester->file :
							     "the object that needs it");
}

bool imp_judge_wrong_library(struct imp_load *l, const struct imp_load_wanted *w,
			     const struct imp_ld_object *who)
{
	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 1; i < l->tree.searches.n; i++) {
			const struct imp_ld_search *s = l->tree.searches.v[i], *fresh = NULL;
			const struct imp_ld_candidate *right;

			/* What the object itself needs comes first. */
			if ((s->requester == who) == (pass == 1) || !s->object ||
			    !s->object->image || imp_load_offers(s->object->image, w) != 0)
				continue;
			if (!w->symbol && l->text.object && s->object->file &&
			    strcmp(s->object->file, l->file ? l->file : ""))
				continue;
			right = offering(&s->later, w, s->object->image);
			if (!right && s->loaded_before && (fresh = search_afresh(l, s))) {
				right = offering(&fresh->tried, w, s->object->image);
				right = right ? right : offering(&fresh->later, w, s->object->image);
			}
			if (!right)
				continue;
			wrong_library(l, s, fresh, right, w);
			return true;
		}
	return false;
}

/* ---- symbol-version-missing ------------------------------------------------------------------------------------- */

static const char *offered_by(struct imp_load *l, const struct imp_elf_image *img,
			      const char *wanted)
{
	size_t family = strcspn(wanted, "_0123456789"), first = 0, n = 0;
	const char *text = NULL;

	for (size_t i = 0; i < img->version_defs.n; i++)
		n += !strncmp(img->version_defs.v[i].version, wanted, family) &&
		     !img->version_defs.v[i].base;
	first = n > OFFERED_MAX ? n - OFFERED_MAX :
				  0; /* they are in the order in which they came to be */
	for (size_t i = 0, k = 0; i < img->version_defs.n; i++) {
		const char *v = img->version_defs.v[i].version;

		if (strncmp(v, wanted, family) || img->version_defs.v[i].base ||
		    imp_case_has(v, "PRIVATE") || k++ < first)
			continue;
		text = text ? imp_arena_printf(l->c->a, "%s, %s", text, v) : v;
	}
	return text;
}

/* Does it offer a later version of the same family (FOO_3 for FOO_2)? Then age is not what it lacks. */
static bool has_newer(const struct imp_elf_image *img, const char *wanted)
{
	size_t family = strcspn(wanted, "0123456789");

	for (size_t i = 0; wanted[family] && i < img->version_defs.n; i++) {
		const char *v = img->version_defs.v[i].version;

		if (!img->version_defs.v[i].base && !strncmp(v, wanted, family) &&
		    v[family] >= '0' && v[family] <= '9' && strverscmp(v, wanted) > 0)
			return true;
	}
	return false;
}

bool imp_judge_symbol_version(struct imp_load *l)
{
	struct imp_load_wanted w = {NULL, l->text.version};
	const char *lib = l->file	 ? l->file :
			  l->text.object ? l->text.object :
					   "?",
		   *who = l->text.required_by;
	const struct imp_ld_search *s = l->search;
	struct imp_elf_image *img = imp_load_image(l, lib);
	const char *soname = img && img->soname ? img->soname : imp_load_base_name(lib), *offered,
		   *other;
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;

	if (imp_judge_replaced(l, &w, imp_load_object_at(l, who)) ||
	    imp_judge_wrong_library(l, &w, imp_load_object_at(l, who)))
		return true;
	for (size_t i = 1; i < l->tree.searches.n; i++)
		if (l->tree.searches.v[i]->requester && l->tree.searches.v[i]->requester->file &&
		    !strcmp(l->tree.searches.v[i]->requester->file, who) &&
		    !strcmp(l->tree.searches.v[i]->name, soname))
			s = l->tree.searches.v[i];
	/* It was loaded already: how it was found then. */
	if (s && !s->tried.n && s->object && s->object->search)
		s = s->object->search;
	f->cause = IMP_CAUSE_SYMBOL_VERSION_MISSING;
	f->path = who;
	imp_load_library(l, soname, who, s);
	f->summary =
		imp_arena_printf(c->a,
				 "%s needs %s of %s, and %s does not have it: that library is %s",
				 who, w.version, soname, lib,
				 img && has_newer(img, w.version) ?
					 "another build, or a newer version that dropped it" :
					 "too old");
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	offered = img ? offered_by(l, img, w.version) : NULL;
	if (offered)
		imp_finding_evidence(c->a, f, IMP_DERIVED, "%s offers %s", lib, offered);
	if (!strncmp(w.version, "GLIBC_", 6) && c->image->libc)
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "the program runs with glibc %s",
				     c->image->libc);
	other = imp_load_exporter(l, &w);
	if (other && strcmp(imp_load_base_name(other), imp_load_base_name(lib)) == 0) {
		imp_finding_evidence(c->a, f, IMP_DERIVED, "%s offers %s", other, w.version);
		imp_load_fix_path(l, imp_path_parent(c->a, other), IMP_LIKELY,
				  "makes the loader take the newer copy");
	}
	return true;
}
