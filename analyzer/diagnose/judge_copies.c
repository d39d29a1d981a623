/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Causes in which two files claim one name: a copy earlier on the path, or parts of two installations. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "../python/abi_tag.h"
#include "../python/distribution.h"
#include "../python/module_file.h"
#include "../python/package_name.h"
#include "from_clause.h"
#include "judge.h"
#include "path_origin.h"
#include "remedy.h"

/* "pkg/sub" of "pkg.sub" */
static const char *as_path(const struct imp_case *c, const char *module)
{
	char *path = imp_arena_strndup(c->a, module, strlen(module));

	for (char *p = path; *p; p++)
		if (*p == '.')
			*p = '/';
	return path;
}

/* The entry of sys.path that a file of a top-level module lies in: its directory, or a package's parent. */
static const char *entry_of(const struct imp_case *c, const char *file, const char *top)
{
	const struct imp_sys_path *path = imp_case_sys_path(c);
	const char *best = NULL;

	for (size_t i = 0; path && file && i < path->path.n; i++) {
		const char *entry = path->path.v[i];
		const char *prefix = imp_case_join(c, entry, top);
		size_t len = strlen(prefix);

		if (!strncmp(file, prefix, len) &&
		    (file[len] == '/' || file[len] == '.' || !file[len]) &&
		    (!best || strlen(entry) > strlen(best)))
			best = entry;
	}
	return best;
}

static bool same_name(const char *a, const char *b)
{
	for (;; a++, b++) {
		char x = *a, y = *b;

		x = x == '-' || x == '.' ? '_' : x >= 'A' && x <= 'Z' ? (char)(x + 32) : x;
		y = y == '-' || y == '.' ? '_' : y >= 'A' && y <= 'Z' ? (char)(y + 32) : y;
		if (x != y)
			return false;
		if (!x)
			return true;
	}
}

/*
 * The names of metadata directories in @entry that belong to the distribution of @top: from the
 * snapshots that listed them, else from the disk.
 */
static void metadata_of(const struct imp_case *c, const char *entry, const char *top,
			struct imp_strings *out)
{
	const char *pypi = imp_package_pypi_name(c->a, top);
	struct imp_strings names = {0};

	*out = (struct imp_strings){0};
	for (size_t i = 0; i < c->image->attempts.n && !names.n; i++) {
		const struct imp_snapshot *snap = c->image->attempts.v[i]->outcome->snapshot;

		for (size_t j = 0; snap && j < snap->entries.n; j++)
			if (!strcmp(snap->entries.v[j].entry, entry) &&
			    snap->entries.v[j].metadata.n)
				names = snap->entries.v[j].metadata;
	}
	if (!names.n)
		imp_host_list(c->host, c->a, imp_case_directory(c, entry), &names);
	for (size_t i = 0; i < names.n; i++) {
		const char *name, *version;

		if (imp_distribution_parse_name(c->a, names.v[i], &name, &version))
			continue;
		if (same_name(name, top) || (pypi && same_name(name, pypi)))
			*imp_vec_push(c->a, out) = names.v[i];
	}
}

/* A file of the module in a directory: the first that an interpreter might take; NULL: none. */
static const char *file_in(const struct imp_case *c, const char *dir, const char *tail)
{
	struct imp_strings names = {0};
	size_t len = strlen(tail);
	struct imp_abi_tag tag;

	if (imp_host_list(c->host, c->a, dir, &names))
		return NULL;
	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.v[i];
		const char *path = imp_case_join(c, dir, name);

		if (strncmp(name, tail, len))
			continue;
		if (!strcmp(name + len, ".py") ||
		    (name[len] == '.' && !imp_abi_tag_parse(&tag, c->a, name) &&
		     !strcmp(tag.module, tail))) {
			if (imp_host_is_directory(c->host, path))
				continue; /* Python takes only a file of that name */
			return path;
		}
		if (!name[len]) {
			const char *init = imp_case_join(c, path, "__init__.py");

			if (imp_host_exists(c->host, init) == 1)
				return init;
		}
	}
	return NULL;
}

/* Without the disk: a distribution beside another copy of the package lists it. */
static const char *listed_elsewhere(const struct imp_case *c, const char *winner, const char **entry)
{
	const char *base = as_path(c, c->module);

	for (size_t i = 0; !c->host->enabled && i < c->image->claims.n; i++) {
		const struct imp_claims *claims = c->image->claims.v[i];

		for (size_t j = 0; !strcmp(claims->module, c->module) && j < claims->list.n; j++) {
			const struct imp_claim *claim = &claims->list.v[j];
			const char *path, *dir;

			if (!claim->metadata || !claim->record)
				continue;
			dir = imp_path_parent(c->a, claim->metadata);
			path = imp_arena_strndup(c->a, claim->record, strcspn(claim->record, ","));
			if ((winner && !strcmp(dir, imp_case_directory(c, winner))) ||
			    !imp_module_file_is(c->a, path, base))
				continue;
			*entry = dir;
			return imp_path_join(c->a, dir, path);
		}
	}
	return NULL;
}

/* A part of a package that is itself a namespace package: it has no __init__.py, and modules in it. */
static const char *namespace_part(const struct imp_case *c, const char *dir)
{
	struct imp_strings names = {0};

	if (imp_host_list(c->host, c->a, dir, &names))
		return NULL;
	for (size_t i = 0; i < names.n; i++)
		if (imp_ends_with(names.v[i], ".py") || imp_ends_with(names.v[i], ".so") ||
		    imp_host_exists(c->host, imp_path_join(c->a, imp_path_join(c->a, dir, names.v[i]),
							   "__init__.py")) == 1)
			return dir;
	return NULL;
}

/* Where another copy of the package, further along the path, holds the module. */
static const char *other_copy(const struct imp_case *c, const char *winner, const char **entry)
{
	const char *parent = as_path(c, imp_case_parent(c));
	const struct imp_sys_path *path = imp_case_sys_path(c);
	const char *tail = imp_case_tail(c), *file;

	for (size_t i = 0; c->snapshot && i < c->snapshot->entries.n; i++) {
		const struct imp_entry *e = &c->snapshot->entries.v[i];

		for (size_t j = 0; !e->of_package && j < e->candidates.n; j++) {
			const char *name = e->candidates.v[j].name;
			size_t len = strlen(tail);
			struct imp_abi_tag tag;

			if (strncmp(name, tail, len) ||
			    (strcmp(name + len, ".py") &&
			     (imp_abi_tag_parse(&tag, c->a, name) || strcmp(tag.module, tail))))
				continue;
			len = strlen(e->entry) - strlen(parent);
			*entry = strlen(e->entry) > strlen(parent) + 1 ?
					 imp_arena_strndup(c->a, e->entry, len - 1) :
					 e->entry;
			return imp_case_join(c, e->entry, name);
		}
	}
	for (size_t i = 0; path && i < path->path.n; i++) {
		const char *dir = imp_case_join(c, path->path.v[i], parent);

		if (winner &&
		    !strcmp(imp_case_directory(c, path->path.v[i]), imp_case_directory(c, winner)))
			continue;
		file = file_in(c, dir, tail);
		if (!file)
			file = namespace_part(c, imp_path_join(c->a, dir, tail));
		if (file) {
			*entry = path->path.v[i];
			return file;
		}
	}
	return listed_elsewhere(c, winner, entry);
}

static const char *package_file(const struct imp_case *c, const char *package)
{
	const struct imp_attempt *at = imp_case_loaded(c, package);

	if (c->snapshot && c->snapshot->parent_file)
		return c->snapshot->parent_file;
	if (at && at->outcome->origin)
		return at->outcome->origin;
	return NULL;
}

static void say_metadata(struct imp_case *c, const char *entry, const struct imp_strings *names)
{
	if (!names->n)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "no metadata of an installed distribution lies beside it in %s",
				     entry);
	for (size_t i = 0; i < names->n; i++)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "its distribution in %s is %s", entry,
				     names->v[i]);
}

/*
 * "pkg.sub" was imported from @entry: pkg/__init__.py took the name, and its parts followed. Only below a namespace
 * package (it has no such file) a part may have been taken from elsewhere. Returns that file; @name: of what.
 */
static const char *first_regular(const struct imp_case *c, const char *entry, const char **name)
{
	const char *parent = imp_case_parent(c);

	for (size_t len = strcspn(parent, ".");; len += 1 + strcspn(parent + len + 1, ".")) {
		const char *init;

		*name = imp_arena_strndup(c->a, parent, len);
		init = imp_case_join(c, imp_case_join(c, entry, as_path(c, *name)), "__init__.py");
		if (imp_host_exists(c->host, init) == 1)
			return init;
		if (!parent[len])
			return NULL;
	}
}

/* A submodule that the copy of the package that was taken lacks, and another one on the path has. */
bool imp_judge_stacked_copies(struct imp_case *c)
{
	const char *parent = imp_case_parent(c), *top = imp_case_top(c);
	const char *taken, *entry, *file, *first, *name = top, *other_entry = NULL;
	struct imp_strings mine = {0}, theirs = {0};
	struct imp_distribution owner = {0};
	struct imp_finding *f = c->f;

	if (!parent)
		return false;
	taken = package_file(c, parent);
	entry = entry_of(c, taken, top);
	if (entry)
		metadata_of(c, entry, top, &mine);
	file = other_copy(c, entry, &other_entry);
	if (!file) {
		/* Two generations in one place: what one of them brings, the other has removed. */
		if (mine.n < 2)
			return false;
		f->cause = IMP_CAUSE_MIXED_INSTALLATION;
		f->path = taken;
		f->summary = imp_arena_printf(
			c->a, "Two generations of %s are mixed in %s, and %s is missing there", top,
			entry, c->module);
		say_metadata(c, entry, &mine);
		return true;
	}
	/* Without the disk, that no metadata was seen beside the first copy does not say that there is none. */
	if (!mine.n && !c->host->enabled)
		return false;
	metadata_of(c, other_entry, top, &theirs);
	if (!mine.n && entry && taken &&
	    !imp_distribution_of_file(c->host, c->a, imp_case_directory(c, entry), taken, &owner) &&
	    owner.metadata) {
		*imp_vec_push(c->a, &mine) = imp_path_name(owner.metadata);
		imp_finding_fix(
			c->a, f, IMP_LIKELY, NULL,
			"%s makes %s an ordinary package, of which one directory is searched: install what brings %s "
			"into %s as well, or take that file away if it is empty",
			taken, top, c->module, entry);
	}
	f->cause = mine.n ? IMP_CAUSE_MIXED_INSTALLATION : IMP_CAUSE_SHADOWED;
	first = entry && !mine.n ? first_regular(c, entry, &name) : NULL;
	if (!first) {
		first = taken;
		name = top;
	}
	f->path = mine.n ? file : first;
	f->summary =
		mine.n ?
			imp_arena_printf(
				c->a,
				"Two copies of %s are on the path: the one in %s was taken and lacks %s, which the one in %s has",
				top, entry, c->module, other_entry) :
			imp_arena_printf(
				c->a,
				"%s took the name %s; the package that has %s lies later on the path, in %s",
				first ? first : "another directory", name, c->module, other_entry);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s was imported from %s", parent,
			     taken ? taken : "?");
	imp_finding_evidence(c->a, f, IMP_DERIVED,
			     c->host->enabled ? "%s lies in the other copy" :
						"%s is listed for the other copy",
			     file);
	if (entry)
		say_metadata(c, entry, &mine);
	say_metadata(c, other_entry, &theirs);
	if (mine.n && entry && !f->fixes.n)
		imp_remedy_first_copy(c, entry, other_entry, file);
	else if (!mine.n && first)
		imp_remedy_namespace(c, name, first,
				     imp_case_join(c, other_entry, as_path(c, name)));
	return true;
}

/* The module that an error speaks of. */
static const char *subject(const struct imp_case *c)
{
	const struct imp_exception *e = c->exception;
	const char *name;

	if (imp_judge_not_found(c))
		return imp_case_parent(c);
	if (imp_case_has(e->message, "cannot import name"))
		return imp_from_clause_module(c);
	if (!e->type || strcmp(e->type, "AttributeError"))
		return NULL;
	/* The attribute is there, and is no capsule: 'PyCapsule_Import "datetime.datetime_CAPI" is not valid'. */
	if (imp_case_has(e->message, "PyCapsule_Import \"")) {
		name = strchr(e->message, '"') + 1;
		return imp_arena_strndup(c->a, name, strcspn(name, ".\""));
	}
	name = imp_case_quoted(c, e->message, "partially initialized module ");
	return name ? name :
	       !strncmp(e->message ? e->message : "", "module '", 8) ?
		      imp_case_quoted(c, e->message, NULL) :
		      NULL;
}

/* The file that a module's code came from, also while it is still being imported. */
static const char *file_of(const struct imp_case *c, const char *module)
{
	const struct imp_exception *e = c->exception;
	const struct imp_attempt *at = imp_case_loaded(c, module);

	if (e->path && e->name && !strcmp(e->name, module))
		return e->path;
	if (at && at->outcome->origin)
		return at->outcome->origin;
	if (e->where.module && !strcmp(e->where.module, module))
		return e->where.file;
	for (size_t i = c->image->attempts.n; i-- > 0;) {
		at = c->image->attempts.v[i];
		if (at->frame->module && at->frame->file && !strcmp(at->frame->module, module))
			return at->frame->file;
	}
	return NULL;
}

static const char *later_copy(const struct imp_case *c, const char *entry, const char *top)
{
	const struct imp_sys_path *path = imp_case_sys_path(c);
	bool after = false;

	for (size_t i = 0; path && i < path->path.n; i++) {
		const char *file;

		if (after) {
			file = file_in(c, imp_case_directory(c, path->path.v[i]), top);
			if (file)
				return file;
		}
		after |= !strcmp(path->path.v[i], entry);
	}
	return NULL;
}

/* Does the code that asked bear the name of a standard module, and lie outside of the standard library? */
static bool taken_from_elsewhere(const struct imp_case *c)
{
	const struct imp_frame *where = &c->exception->where;

	return where->file && where->file[0] == '/' && where->module &&
	       strcmp(where->module, "__main__") && imp_package_is_stdlib(where->module, NULL) &&
	       c->py && c->py->stdlib && !imp_case_stdlib(c, where->file);
}

bool imp_judge_shadowed_by(struct imp_case *c, const char *top, const char *file)
{
	const char *entry, *other;
	struct imp_strings mine = {0};
	struct imp_finding *f = c->f;
	bool stdlib;

	if (!file || file[0] != '/')
		return false;
	stdlib = imp_package_is_stdlib(top, NULL) && !imp_case_stdlib(c, file);
	entry = entry_of(c, file, top);
	other = entry ? later_copy(c, entry, top) : NULL;
	if (entry)
		metadata_of(c, entry, top, &mine);
	if (!stdlib && (!other || mine.n))
		return false;
	if (!stdlib && imp_case_stdlib(c, file))
		return false;
	f->cause = IMP_CAUSE_SHADOWED;
	f->module = top;
	f->path = file;
	f->summary =
		stdlib ?
			imp_arena_printf(c->a,
					 "%s took the name of the standard library's module %s",
					 file, top) :
			imp_arena_printf(c->a, "%s took the name %s, ahead of %s", file, top, other);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s was imported from %s", top, file);
	if (entry) {
		const char *why = imp_path_origin_phrase(imp_path_origin_of(c, entry));

		imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s comes first on sys.path%s%s",
				     *entry ? entry : "the current directory",
				     why ? ": it is " : "", why ? why : "");
	}
	if (other)
		imp_finding_evidence(c->a, f, IMP_DERIVED,
				     "%s comes after it and was never reached", other);
	else if (stdlib && c->py && c->py->stdlib)
		imp_finding_evidence(c->a, f, IMP_DERIVED, "the standard library's own lies in %s",
				     c->py->stdlib);
	return true;
}

bool imp_judge_shadowed(struct imp_case *c)
{
	const char *module = subject(c), *top;

	if (!module)
		return false;
	/* A copy of the standard library's module from elsewhere asks for what this Python's parts have not. */
	if (taken_from_elsewhere(c)) {
		module = c->exception->where.module;
		top = imp_arena_strndup(c->a, module, strcspn(module, "."));
		return imp_judge_shadowed_by(c, top,
					     c->f->path ? c->f->path : c->exception->where.file);
	}
	top = imp_arena_strndup(c->a, module, strcspn(module, "."));
	if (c->extension && !strcmp(top, imp_case_top(c)))
		return false; /* an init function that asks its own package: nothing else took that name */
	return imp_judge_shadowed_by(c, top, c->f->path ? c->f->path : file_of(c, top));
}
