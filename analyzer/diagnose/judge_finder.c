/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file lies in a directory of the search path, and the import system's own state kept it from being looked at: no
 * PathFinder, a finder of somebody else's, or none because the directory came later. Source: importlib's PathFinder.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "../python/abi_tag.h"
#include "../python/module_file.h"
#include "judge.h"

static bool is_plain(const struct imp_candidate *cand)
{
	return cand->on_disk && !cand->err && !cand->target_err && !cand->access_err &&
	       cand->stat.known;
}

/* Would the standard finder take this very file (or package)? */
static bool would_be_taken(const struct imp_case *c, const struct imp_candidate *cand)
{
	const char *tail = imp_case_tail(c), *rest;
	size_t len = strlen(tail);

	if (!is_plain(cand) || strncmp(cand->name, tail, len))
		return false;
	rest = cand->name + len;
	if (!*rest)
		return S_ISDIR(cand->stat.mode) && cand->inside.n;
	if (!S_ISREG(cand->stat.mode) && !S_ISLNK(cand->stat.mode))
		return false;
	return !strcmp(rest, ".py") || !strcmp(rest, ".pyc") ||
	       (c->py && imp_abi_tag_accepted(cand->name, tail, &c->py->suffixes));
}

static bool any_has(const struct imp_strings *names, const char *part)
{
	for (size_t i = 0; i < names->n; i++)
		if (imp_case_has(names->v[i], part))
			return true;
	return false;
}

/* sys.path_hooks as it was last seen before the failure; NULL: not recorded */
static const struct imp_strings *path_hooks(const struct imp_case *c)
{
	const struct imp_strings *last = NULL;

	for (size_t i = 0; c->py && i < c->py->meta_paths.n; i++)
		if (c->py->meta_paths.v[i].time_ns <= c->time_ns)
			last = &c->py->meta_paths.v[i].path_hooks;
	return last;
}

static void blocked(struct imp_case *c, const char *summary)
{
	c->f->cause = IMP_CAUSE_BLOCKED;
	c->f->summary = summary;
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
			     "%s is there, in a directory of the search path", c->f->path);
}

/* An empty sys.meta_path is one that was emptied, where the trace tells of it at all. */
static bool lacks_path_finder(const struct imp_case *c)
{
	return !any_has(&c->snapshot->meta_path, "PathFinder") &&
	       (c->snapshot->meta_path.n || (c->py && c->py->meta_paths.n));
}

static bool no_path_finder(struct imp_case *c)
{
	if (!lacks_path_finder(c))
		return false;
	blocked(c,
		imp_arena_printf(
			c->a,
			"%s is there, and no directory was searched: sys.meta_path has no PathFinder",
			c->module));
	imp_finding_evidence(
		c->a, c->f, IMP_OBSERVED,
		"sys.meta_path has %zu finders, and PathFinder, which searches sys.path, is none of them",
		c->snapshot->meta_path.n);
	imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL,
			"mend the code that removes PathFinder from sys.meta_path");
	return true;
}

static void tell_entry(struct imp_case *c, const struct imp_entry *e)
{
	const struct imp_strings *hooks = path_hooks(c);

	if (e->finder) {
		blocked(c,
			imp_arena_printf(
				c->a,
				"%s is there, and %s, which an entry of sys.path_hooks put in charge of that directory, did not find it",
				c->module, e->finder));
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "the finder of %s is a %s, and not Python's FileFinder",
				     e->entry, e->finder);
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, NULL,
			"mend or remove what puts %s into sys.path_hooks (or into sys.path_importer_cache)",
			e->finder);
	} else if (hooks && !any_has(hooks, "FileFinder")) {
		blocked(c,
			imp_arena_printf(
				c->a,
				"%s is there, and no directory can be searched: sys.path_hooks has no entry for directories",
				c->module));
		imp_finding_evidence(
			c->a, c->f, IMP_OBSERVED,
			"sys.path_hooks has %zu entries, and FileFinder's is none of them",
			hooks->n);
		imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL,
				"mend the code that removes FileFinder's entry from sys.path_hooks");
	} else {
		c->f->cause = IMP_CAUSE_STALE_FINDER_CACHE;
		c->f->summary = imp_arena_printf(
			c->a,
			"%s is there now, and %s was not when the import system first looked at it",
			c->module, e->entry);
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "sys.path_importer_cache has no finder for %s: "
				     "what could not be searched once is not looked at again",
				     e->entry);
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, NULL,
			"call importlib.invalidate_caches() after %s has been made and before "
			"it is imported from (before Python 3.7: sys.path_importer_cache.clear())",
			e->entry);
	}
}

/* The group may be a supplementary one, which was not recorded: then it is not said. */
static bool may_not_read(const struct imp_case *c, const struct imp_stat *st)
{
	if (!c->image->ids_known || !c->image->euid || !st->known)
		return false;
	if (st->uid == c->image->euid)
		return !(st->mode & S_IRUSR);
	return !(st->mode & (S_IRGRP | S_IROTH));
}

/* An archive on the search path that the process may not open looks like one that holds nothing. */
static bool closed_archive(struct imp_case *c, const struct imp_entry *e)
{
	struct imp_finding *f = c->f;
	int inside;

	if (e->state != IMP_PATH_FILE || e->finder || !may_not_read(c, &e->stat))
		return false;
	inside = imp_host_contains(c->host, e->entry,
				   imp_arena_printf(c->a, "%s.py", imp_case_tail(c)));
	if (inside != 1)
		inside = imp_host_contains(c->host, e->entry,
					   imp_arena_printf(c->a, "%s/__init__.py",
							    imp_case_tail(c)));
	if (!inside)
		return false; /* whoever analyzes may read it: the module is not in there */
	f->optional = inside < 0;
	f->cause = IMP_CAUSE_PERMISSION_DENIED;
	f->path = e->entry;
	f->summary = imp_arena_printf(
		c->a,
		"%s is in no directory that could be searched, and %s may not be read by this process",
		c->module, e->entry);
	if (inside == 1)
		imp_finding_evidence(c->a, f, IMP_DERIVED, "it holds %s, as this analysis may see",
				     imp_case_tail(c));
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s has mode %04o, owner %u, group %u",
			     e->entry, e->stat.mode & 07777, e->stat.uid, e->stat.gid);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "the process ran as user %u, group %u",
			     c->image->euid, c->image->egid);
	return true;
}

/* An archive that is whole, holds the module, and has no finder: it was not there when it was first looked at. */
static bool late_archive(struct imp_case *c, const struct imp_entry *e)
{
	const char *tail = imp_case_tail(c);

	if (e->state != IMP_PATH_FILE || e->finder || may_not_read(c, &e->stat) ||
	    imp_host_contains(c->host, e->entry, "PK\005\006") != 1 ||
	    (imp_host_contains(c->host, e->entry, imp_arena_printf(c->a, "%s.py", tail)) != 1 &&
	     imp_host_contains(c->host, e->entry, imp_arena_printf(c->a, "%s/__init__.py", tail)) !=
		     1))
		return false;
	c->f->path = e->entry;
	tell_entry(c, e);
	return true;
}

bool imp_judge_finders(struct imp_case *c)
{
	if (!c->snapshot || c->image->derived || strchr(c->module, '/'))
		return false;
	for (size_t i = 0; i < c->snapshot->entries.n; i++) {
		const struct imp_entry *e = &c->snapshot->entries.v[i];

		if (imp_case_parent(c) && !e->of_package)
			continue;
		for (size_t k = 0; e->state == IMP_PATH_DIRECTORY && k < e->candidates.n; k++) {
			if (!would_be_taken(c, &e->candidates.v[k]))
				continue;
			c->f->path = imp_case_join(c, e->entry, e->candidates.v[k].name);
			if (no_path_finder(c))
				return true;
			if (!e->finder || strcmp(e->finder, "FileFinder")) {
				tell_entry(c, e);
				return true;
			}
			c->f->path = NULL;
		}
		if (closed_archive(c, e) || late_archive(c, e))
			return true;
	}
	return false;
}

/* "_speed.pyx", "_speed.c": what an extension is built from, and it was not */
static bool is_source_of_extension(const char *name, const char *tail)
{
	static const char *const endings[] = {".pyx", ".c", ".cc", ".cpp", ".cxx", ".rs", ".f90"};
	size_t len = strlen(tail);

	for (size_t i = 0; !strncmp(name, tail, len) && i < sizeof(endings) / sizeof(endings[0]);
	     i++)
		if (!strcmp(name + len, endings[i]))
			return true;
	return false;
}

static void say_not_built(struct imp_case *c, const char *dir, const char *name)
{
	imp_finding_evidence(
		c->a, c->f, IMP_OBSERVED,
		"%s lies in %s: that is what an extension module is built from, and no build of it is there",
		name, dir);
	if (c->f->fixes.n)
		return;
	imp_remedy_install_project(c, dir);
	imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL,
			"build the extension from %s, or install the package from a build of it",
			imp_path_join(c->a, dir, name));
}

/* "mod.so.bak", "mod.pyx", "libmod.so": what people take for the module, and Python does not. */
static bool looks_like_it(const char *name, const char *tail)
{
	size_t len = strlen(tail);
	const char *rest = name + len;

	if (strncmp(name, tail, len) || *rest != '.')
		return false;
	return !strncasecmp(rest, ".py", 3) || !strcmp(rest, ".ipynb") || strstr(rest, ".so") ||
	       strstr(rest, ".dll");
}

/* What lies under a name that Python would take a file of; NULL: a file, or not known. */
static const char *no_file(const struct imp_case *c, const struct imp_entry *e,
			   const struct imp_candidate *cand)
{
	unsigned int mode = cand->stat.known ? cand->stat.mode : 0;
	struct stat st;

	if (S_ISLNK(mode))
		mode = imp_host_stat(c->host, imp_case_join(c, e->entry, cand->name), &st) ?
			       0 :
			       st.st_mode;
	return S_ISDIR(mode)		      ? "a directory" :
	       S_ISFIFO(mode)		      ? "a FIFO" :
	       S_ISSOCK(mode)		      ? "a socket" :
	       S_ISCHR(mode) || S_ISBLK(mode) ? "a device" :
						NULL;
}

static void say_candidate(struct imp_case *c, const struct imp_entry *e,
			  const struct imp_candidate *cand, const char *dir)
{
	const char *what = no_file(c, e, cand);

	if (!what) {
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "%s lies in %s: that is no name which Python takes for a module",
				     cand->name, dir);
		return;
	}
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
			     "%s lies in %s, and is %s: Python takes only a file of that name",
			     cand->name, dir, what);
	imp_finding_fix(
		c->a, c->f, IMP_POSSIBLE, NULL,
		"if %s is to be that module: it is %s; remove it, and install the file in its place",
		imp_case_join(c, e->entry, cand->name), what);
}

static void say_library(struct imp_case *c, const char *dir)
{
	const char *name = imp_arena_printf(c->a, "lib%s.so", imp_case_tail(c));

	if (imp_host_exists(c->host, imp_path_join(c->a, dir, name)) == 1)
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"%s lies in %s: were it an extension module, it would have to be called %s",
			name, dir, name + 3);
}

/* sys.path.insert(0, Path(__file__).parent) */
void imp_judge_say_no_strs(struct imp_case *c)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);

	for (size_t i = 0; now && i < now->no_strs.n; i++) {
		const char *type = now->no_strs.v[i];
		const char *as = !strcmp(type, "bytes")	    ? "os.fsdecode(...)" :
				 imp_case_has(type, "Path") ? "str(...)" :
							      "a string in place";

		imp_finding_evidence(
			c->a, c->f, IMP_OBSERVED,
			"sys.path has an item that is no string, but of type %s: %s", type,
			imp_judge_not_found(c) ? "imports pass over it" : "the import came to it");
		if (!i)
			imp_finding_fix(
				c->a, c->f, IMP_LIKELY, NULL,
				"put %s of that %s on sys.path%s; else what lies there has to be installed",
				as, type, as[0] == 'a' ? "" : " in its place");
	}
}

void imp_judge_say_finders(struct imp_case *c)
{
	if (!c->snapshot || c->image->derived)
		return;
	if (lacks_path_finder(c))
		imp_finding_evidence(
			c->a, c->f, IMP_OBSERVED,
			"sys.meta_path has no PathFinder: no directory was searched at all");
	if (!imp_case_parent(c))
		imp_judge_say_no_strs(c);
	for (size_t i = 0; i < c->snapshot->entries.n; i++) {
		const struct imp_entry *e = &c->snapshot->entries.v[i];
		const char *dir = imp_case_directory(c, e->entry);

		if (e->state == IMP_PATH_FILE && !e->finder)
			imp_finding_evidence(
				c->a, c->f, IMP_OBSERVED,
				"%s is on the search path, and is a file that Python did not take for an archive",
				dir);
		if (e->state == IMP_PATH_DIRECTORY)
			say_library(c, dir);
		for (size_t k = 0; k < e->candidates.n; k++) {
			const struct imp_candidate *cand = &e->candidates.v[k];

			if (is_source_of_extension(cand->name, imp_case_tail(c)))
				say_not_built(c, dir, cand->name);
			else if (looks_like_it(cand->name, imp_case_tail(c)))
				say_candidate(c, e, cand, dir);
		}
	}
}
