/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What another LD_LIBRARY_PATH would do: to this load, and to each other program that is started with it. */
#include <string.h>

#include "../python/installer.h"
#include "judge_loader.h"

bool imp_load_is_c_library(const char *name)
{
	/* Parts of one build of glibc: any of them beside the libc.so.6 of another build ends the program. */
	static const char *const parts[] = {
		"libc.so.6",   "libm.so.6",	    "libpthread.so.0", "libdl.so.2",
		"librt.so.1",  "libresolv.so.2",    "libutil.so.1",    "libmvec.so.1",
		"libanl.so.1", "libnss_files.so.2", "libnss_dns.so.2", "libBrokenLocale.so.1",
		"libc.so.6.1", "libm.so.6.1"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(name, parts[i]))
			return true;
	return !strncmp(name, "ld-linux", 8) || !strncmp(name, "ld64.so.", 8);
}

const char *imp_load_c_library_in(struct imp_load *l, const char *dir)
{
	const struct imp_object *own = imp_load_mapped(l, "libc.so.6");
	const char *own_dir = own ? imp_load_parent(l->c->a, own->path) : NULL, *a, *b;
	struct imp_strings names = {0};

	if (own_dir && !imp_host_realpath(l->c->host, l->c->a, own_dir, &a) &&
	    !imp_host_realpath(l->c->host, l->c->a, dir, &b) && !strcmp(a, b))
		return NULL;
	if (imp_host_list(l->c->host, l->c->a, dir, &names))
		return NULL;
	for (size_t i = 0; i < names.n; i++)
		if (imp_load_is_c_library(names.v[i]))
			return names.v[i];
	return NULL;
}

bool imp_load_fix_path(struct imp_load *l, const char *dir, enum imp_confidence confidence,
		       const char *effect)
{
	const char *part = imp_load_c_library_in(l, dir);
	struct imp_case *c = l->c;

	if (part) {
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"%s/%s is a part of another C library: with that directory in LD_LIBRARY_PATH no program of this system would start",
			dir, part);
		return false;
	}
	imp_finding_fix(
		c->a, c->f, confidence,
		imp_arena_printf(c->a,
				 "export LD_LIBRARY_PATH=%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}",
				 imp_shell_quote(c->a, dir)),
		"%s", effect);
	return true;
}

/* The same load, with one more directory that is searched first. */
static bool open_with(struct imp_load *l, const char *dir, struct imp_ld_tree *tree)
{
	const char *now = imp_record_env(l->c->image, "LD_LIBRARY_PATH");
	struct imp_ld_tree_options options = {.symbols = true, .keep_going = true};
	const struct imp_ld_search *first = l->tree.searches.n ? l->tree.searches.v[0] : NULL;
	struct imp_ld_process trial = l->replay.process;
	struct imp_ld_request req;

	if (!first || !first->name)
		return false;
	req = (struct imp_ld_request){.name = first->name,
				      .requester = first->requester,
				      .name_space = first->name_space};
	trial.objects = (struct imp_ld_objects){0};
	for (size_t i = 0; i < l->replay.process.objects.n; i++)
		*imp_vec_push(l->c->a, &trial.objects) = l->replay.process.objects.v[i];
	trial.library_path = now && *now ? imp_arena_printf(l->c->a, "%s:%s", dir, now) : dir;
	trial.environment = imp_ld_process_dirs(&trial, NULL, trial.library_path, ":;");
	return !imp_ld_tree_open(&trial, &req, &options, tree, NULL);
}

const char *imp_load_still_missing(struct imp_load *l, const char *dir, const char *name)
{
	struct imp_ld_tree tree;

	if (!open_with(l, dir, &tree))
		return NULL;
	for (size_t i = 0; i < tree.searches.n; i++) {
		const struct imp_ld_search *s = tree.searches.v[i];

		if (s == tree.failed && s->name && strcmp(s->name, name))
			return s->name;
	}
	return NULL;
}

const char *imp_load_lacks(struct imp_load *l, const char *dir, const char *name)
{
	const char *file = imp_arena_printf(l->c->a, "%s/%s", dir, name);
	struct imp_ld_tree tree;

	if (!open_with(l, dir, &tree))
		return NULL;
	for (size_t i = 0; i < tree.versions.n; i++) {
		const struct imp_ld_unmet_version *v = &tree.versions.v[i];

		if (!v->weak && !v->no_versions && v->of && v->of->file &&
		    !strcmp(v->of->file, file))
			return v->version;
	}
	/* With a library still missing, its symbols are missing as well. */
	if (tree.failed || tree.unknown || !tree.undefined_known)
		return NULL;
	for (size_t i = 0; i < tree.undefined.n; i++) {
		const struct imp_ld_object *who = tree.undefined.v[i].object;

		for (size_t k = 0; who && who->image && k < who->image->needed.n; k++)
			if (!strcmp(who->image->needed.v[k], name))
				return imp_load_readable(l, tree.undefined.v[i].symbol.name);
	}
	return NULL;
}
