/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Python code asks of a library by itself, and no dlopen fails: ctypes.util.find_library, a function by its name. */
#include <string.h>

#include "../python/installer.h"
#include "judge_loader.h"

/*
 * The last name that ctypes.util.find_library() looked for in vain. Where ldconfig -p does not list it, and a compiler does
 * not find it, it runs "ld -t -o /dev/null -lNAME". Source: CPython Lib/ctypes/util.py, _findLib_ld(), since 3.6.
 */
static const struct imp_image *looked_for(const struct imp_case *c, const char **name)
{
	const struct imp_images *children = c->image->children;
	uint64_t since = c->attempt ? c->attempt->begin_ns : 0;
	const struct imp_image *found = NULL;

	for (size_t i = 0; children && i < children->n; i++) {
		const struct imp_image *child = children->v[i];
		const struct imp_strings *argv = &child->argv;
		const char *last = argv->n > 4 ? argv->v[argv->n - 1] : NULL;

		if (!last || strncmp(last, "-l", 2) || !last[2] || strcmp(argv->v[0], "ld") ||
		    strcmp(argv->v[1], "-t") || strcmp(argv->v[argv->n - 2], "/dev/null") ||
		    !child->code_known || !child->code || child->image_ns < since ||
		    child->image_ns > c->time_ns)
			continue;
		found = child;
		*name = last + 2;
	}
	return found;
}

static void say_places(struct imp_load *l, const char *name)
{
	struct imp_case *c = l->c;
	const char *begin = imp_arena_printf(c->a, "lib%s.so", name);
	struct imp_load_places places;

	imp_load_places_find(l, &places);
	for (size_t i = 0; i < places.n; i++) {
		const char *dir = places.v[i].dir;
		struct imp_strings names = {0};

		if (imp_host_list(c->host, c->a, dir, &names))
			continue;
		for (size_t k = 0; k < names.n; k++) {
			const char *file = imp_arena_printf(c->a, "%s/%s", dir, names.v[k]);

			if (strncmp(names.v[k], begin, strlen(begin)) || !imp_load_fits(l, file))
				continue;
			imp_finding_evidence(
				c->a, c->f, IMP_DERIVED,
				"%s is there, in a directory that no rule of the loader leads to",
				file);
			imp_load_fix_path(l, dir, IMP_LIKELY,
					  "makes the loader, and find_library, look there");
			return;
		}
	}
}

/* missing-shared-library: @name is what find_library() was asked for. */
static void missing(struct imp_case *c, const struct imp_image *ld, const char *name)
{
	struct imp_load l = {.c = c};
	struct imp_finding *f = c->f;

	imp_ld_replay_init(&l.replay, c->a, c->image, c->host);
	f->cause = IMP_CAUSE_MISSING_SHARED_LIBRARY;
	f->path = NULL;
	imp_load_library(&l, imp_arena_printf(c->a, "lib%s.so", name), NULL, NULL);
	f->summary = imp_arena_printf(
		c->a,
		"The library %s, which %s looks for by ctypes.util.find_library(\"%s\"), is not on this machine",
		f->library->name, *c->module ? c->module : "the program", name);
	imp_finding_evidence(
		c->a, f, IMP_OBSERVED,
		"process %d (ld ... -l%s), by which find_library looks for it, ended with status %d: there is none, of whatever version",
		ld->pid, name, ld->code);
	say_places(&l, name);
	imp_ld_replay_clear(&l.replay);
}

bool imp_judge_find_library(struct imp_case *c)
{
	const struct imp_exception *e = c->exception;
	const char *name = NULL;
	const struct imp_image *ld = looked_for(c, &name);

	/* What is raised speaks of it; many ask for libraries that they can do without. */
	if (!ld || !e->message || !strcasestr(e->message, name) || strlen(name) < 3)
		return false;
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "%s: %s", e->type ? e->type : "an exception",
			     e->message);
	missing(c, ld, name);
	return true;
}

/* "FILE: undefined symbol: NAME", the text of dlerror(), as ctypes raises it when a function is asked for. */
bool imp_judge_own_symbol(struct imp_case *c)
{
	const struct imp_exception *e = c->exception;
	struct imp_finding *f = c->f;
	struct imp_loader_text text;
	const char *name = NULL;
	const struct imp_image *ld;
	struct imp_load l = {.c = c};
	bool program;

	if (strcmp(imp_case_text(e->type), "AttributeError") ||
	    !imp_case_has(e->where.file, "ctypes/__init__.py") ||
	    !imp_loader_text_parse(&text, c->a, e->message) ||
	    text.complaint != IMP_LOADER_SYMBOL || !text.object)
		return false;
	program = (c->image->exe && !strcmp(c->image->exe, text.object)) ||
		  (c->image->argv.n &&
		   !strcmp(c->image->argv.v[0], text.object)); /* the loader calls it so */
	ld = program ? looked_for(c, &name) : NULL;
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "dlsym says: %s", e->message);
	if (program)
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"%s is the program itself: that is what ctypes.CDLL(None) opens, and find_library() gives None for what it does not find",
			text.object);
	if (ld) {
		missing(c, ld, name);
		return true;
	}
	f->cause = IMP_CAUSE_UNDEFINED_SYMBOL;
	f->path = strchr(text.object, '/') ? text.object : NULL;
	imp_load_library(&l, text.object, NULL, NULL);
	if (program) {
		f->summary = imp_arena_printf(
			c->a,
			"%s was asked of the program itself, and not of a library: no library was opened for it",
			text.symbol);
		imp_finding_fix(c->a, f, IMP_POSSIBLE, NULL,
				"install the library that has %s, so that find_library() finds it",
				text.symbol);
		return true;
	}
	f->summary = imp_arena_printf(
		c->a,
		"The library %s has no %s: it is another version of the library than the program was written for",
		text.object, text.symbol);
	imp_finding_fix(c->a, f, IMP_POSSIBLE, NULL, "install the version of %s that has %s",
			imp_load_base_name(text.object), text.symbol);
	return true;
}
