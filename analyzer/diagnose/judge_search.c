/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Causes that a failed search shows: what lay on the search path, and what claims the module. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "../python/abi_tag.h"
#include "../python/distribution.h"
#include "../python/module_file.h"
#include "../python/package_name.h"
#include "judge.h"
#include "path_origin.h"

enum near_miss { /* by rank: what explains more comes first */
		 NEAR_NONE = 0,
		 NEAR_OTHER_CASE,
		 NEAR_IN_ARCHIVE,
		 NEAR_TAG,
		 NEAR_STALE,
		 NEAR_DENIED,
		 NEAR_DANGLING,
};

static const char *const source_suffixes[] = {".py", ".pyc"};

bool imp_judge_is_file_of(const struct imp_case *c, const char *name, const char *tail,
			  bool *extension)
{
	size_t len = strlen(tail);
	struct imp_abi_tag tag;

	*extension = false;
	if (strncmp(name, tail, len))
		return false;
	for (size_t i = 0; i < 2; i++)
		if (!strcmp(name + len, source_suffixes[i]))
			return true;
	if (name[len] != '.' || imp_abi_tag_parse(&tag, c->a, name))
		return false;
	*extension = true;
	return !strcmp(tag.module, tail);
}

static bool is_link(const struct imp_candidate *cand)
{
	return cand->stat.known && S_ISLNK(cand->stat.mode);
}

/* A link into a directory that may not be entered leads to something that this process cannot see. */
static bool is_denied(const struct imp_candidate *cand)
{
	return cand->err == EACCES || cand->access_err == EACCES || cand->target_err == EACCES;
}

static bool in_archive(const struct imp_entry *e, const struct imp_candidate *cand)
{
	return !cand->on_disk && (e->state == IMP_PATH_FILE ||
				  imp_case_has(e->finder, "zipimporter") || e->err == ENOTDIR);
}

static enum near_miss classify(const struct imp_case *c, const struct imp_entry *e,
			       const struct imp_candidate *cand)
{
	const char *tail = imp_case_tail(c);
	size_t len = strlen(tail);
	bool extension, accepted, directory;

	directory = cand->stat.known && S_ISDIR(cand->stat.mode);
	if (strncmp(cand->name, tail, len)) {
		if (strncasecmp(cand->name, tail, len))
			return NEAR_NONE;
		if (!cand->name[len])
			return directory || cand->inside.n ? NEAR_OTHER_CASE : NEAR_NONE;
		if (!directory &&
		    imp_judge_is_file_of(c, cand->name, imp_arena_strndup(c->a, cand->name, len),
					 &extension))
			return NEAR_OTHER_CASE;
		return NEAR_NONE;
	}
	if (!cand->name[len]) { /* a package's directory, or a link to one */
		if (is_denied(cand))
			return NEAR_DENIED;
		if (is_link(cand) && cand->target_err)
			return NEAR_DANGLING;
		if (cand->inside.n && cand->in_cache_known && !cand->in_cache)
			return NEAR_STALE;
		return NEAR_NONE;
	}
	if (!imp_judge_is_file_of(c, cand->name, tail, &extension) ||
	    (cand->stat.known && !S_ISREG(cand->stat.mode) && !is_link(cand)))
		return NEAR_NONE;
	if (in_archive(e, cand))
		return extension ? NEAR_IN_ARCHIVE : NEAR_NONE;
	accepted = !extension || !c->py || imp_abi_tag_accepted(cand->name, tail, &c->py->suffixes);
	if (!accepted)
		return NEAR_TAG;
	if (is_denied(cand))
		return NEAR_DENIED;
	if (is_link(cand) && cand->target_err)
		return NEAR_DANGLING;
	if (cand->on_disk && cand->in_cache_known && !cand->in_cache)
		return NEAR_STALE;
	return NEAR_NONE;
}

static const char *owner_phrase(const struct imp_case *c, const struct imp_stat *st)
{
	if (!st->known)
		return "mode and owner not known";
	return imp_arena_printf(c->a, "mode %04o, owner %u, group %u", st->mode & 07777, st->uid,
				st->gid);
}

static void say_ids(struct imp_case *c)
{
	if (c->image->ids_known)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "the process ran as user %u, group %u", c->image->euid,
				     c->image->egid);
}

static void say_entry(struct imp_case *c, const char *entry)
{
	const char *why = imp_path_origin_phrase(imp_path_origin_of(c, entry));

	if (why)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%s was searched: it is %s", entry,
				     why);
}

static void say_suffixes(struct imp_case *c)
{
	char *list = imp_arena_printf(c->a, "%s", "");

	for (size_t i = 0; c->py && i < c->py->suffixes.n; i++)
		list = imp_arena_printf(c->a, "%s%s%s", list, i ? ", " : "", c->py->suffixes.v[i]);
	if (*list)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "%s accepts extension modules named %s*, with one of: %s",
				     imp_case_python(c), imp_case_tail(c), list);
}

static void say_embedding(struct imp_case *c)
{
	const char *base = c->image->exe ? strrchr(c->image->exe, '/') : NULL;
	const struct imp_object *holder;

	if (!base || !strncmp(base, "/python", 7) || !strncmp(base, "/pypy", 5) || !c->py)
		return;
	holder = imp_record_object(c->image, c->py->object);
	imp_finding_evidence(
		c->a, c->f, IMP_OBSERVED,
		"the host program %s embeds this Python%s%s: the files must be for the Python "
		"that is embedded, not for the one in PATH",
		c->image->exe, holder && holder->path ? ", from " : "",
		holder && holder->path ? holder->path : "");
}

static void tell_tag(struct imp_case *c, const struct imp_entry *e, const struct imp_candidate *cand)
{
	struct imp_finding *f = c->f;
	struct imp_abi_tag tag;
	const char *built;

	f->cause = IMP_CAUSE_ABI_TAG_MISMATCH;
	imp_abi_tag_parse(&tag, c->a, cand->name);
	built = imp_abi_tag_describe(&tag, c->a);
	f->summary = imp_arena_printf(c->a, "%s is there, but built for %s: %s skips it", c->module,
				      built, imp_case_python(c));
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s lies in %s, a directory that was searched",
			     cand->name, imp_case_directory(c, e->entry));
	say_suffixes(c);
	imp_finding_evidence(c->a, f, IMP_DERIVED, "the name of the file says: %s",
			     imp_abi_tag_difference(&tag, c->py, c->a));
	say_entry(c, e->entry);
	say_embedding(c);
}

static void tell_case(struct imp_case *c, const struct imp_entry *e,
		      const struct imp_candidate *cand)
{
	struct imp_finding *f = c->f;
	size_t len = strlen(imp_case_tail(c));
	const char *right = imp_arena_strndup(c->a, cand->name, len);
	const char *parent = imp_case_parent(c);
	const char *full = parent ? imp_arena_printf(c->a, "%s.%s", parent, right) : right;

	f->cause = IMP_CAUSE_CASE_MISMATCH;
	f->summary = imp_arena_printf(c->a,
				      "There is no %s, only %s: names of modules are case-sensitive",
				      c->module, full);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s lies in %s, which was searched for \"%s\"",
			     cand->name, imp_case_directory(c, e->entry), imp_case_tail(c));
	/* "try: import Queue; except ImportError: import queue" is a healthy program. */
	for (size_t i = 0; i < c->image->attempts.n; i++) {
		const struct imp_attempt *at = c->image->attempts.v[i];

		if (at->ended && !at->exception && !strcmp(at->name, full))
			f->optional = true;
	}
	if (!parent && imp_package_is_stdlib(right, NULL))
		f->optional = true;
}

static void tell(struct imp_case *c, enum near_miss kind, const struct imp_entry *e,
		 const struct imp_candidate *cand)
{
	struct imp_finding *f = c->f;

	f->path = imp_case_join(c, e->entry, cand->name);
	switch (kind) {
	case NEAR_TAG: tell_tag(c, e, cand); break;
	case NEAR_OTHER_CASE: tell_case(c, e, cand); break;
	case NEAR_DANGLING:
		f->cause = IMP_CAUSE_DANGLING_SYMLINK;
		f->summary = imp_arena_printf(
			c->a, "%s is there only as a symbolic link that leads to nothing",
			c->module);
		imp_finding_evidence(c->a, f, IMP_OBSERVED,
				     "%s is a symbolic link to %s, and that does not exist (%s)",
				     f->path, cand->target ? cand->target : "?",
				     strerror(cand->target_err));
		break;
	case NEAR_DENIED:
		f->cause = IMP_CAUSE_PERMISSION_DENIED;
		f->summary = imp_arena_printf(c->a, "%s is there, and the process may not read it",
					      c->module);
		if (cand->target_err == EACCES)
			imp_finding_evidence(
				c->a, f, IMP_OBSERVED,
				"%s is a symbolic link to %s, and the process may not go there (%s)",
				f->path, cand->target ? cand->target : "?",
				strerror(cand->target_err));
		else
			imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s may not be read: %s",
					     f->path, owner_phrase(c, &cand->stat));
		say_ids(c);
		break;
	case NEAR_STALE:
		f->cause = IMP_CAUSE_STALE_FINDER_CACHE;
		f->summary = imp_arena_printf(
			c->a,
			"%s is there now, but the finder's list of that directory is older than the file",
			c->module);
		imp_finding_evidence(
			c->a, f, IMP_OBSERVED,
			"%s exists, and the %s for %s has no such name in its cached listing (%llu names)",
			f->path, e->finder ? e->finder : "finder", e->entry,
			(unsigned long long)e->finder_names);
		if (e->finder_mtime_known && e->stat.known)
			imp_finding_evidence(
				c->a, f, IMP_OBSERVED,
				e->finder_mtime_ns / 1000 == e->stat.mtime_ns / 1000 ?
					"the directory's modification time is still the one of that listing, so the finder took its cache for good" :
					"the directory has been modified since that listing");
		break;
	case NEAR_IN_ARCHIVE:
		f->cause = IMP_CAUSE_NOT_IMPORTABLE_FROM_ARCHIVE;
		f->summary = imp_arena_printf(
			c->a,
			"%s lies in an archive, and Python cannot load native code from within one",
			c->module);
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "the archive %s holds %s", e->entry,
				     cand->name);
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"zipimport loads .py and .pyc files only: the dynamic loader needs a file of its own");
		break;
	case NEAR_NONE: break;
	}
}

/* A directory of the search path that may not be listed: what it holds, nobody knows. */
static bool unreadable_entry(struct imp_case *c)
{
	const struct imp_entry *denied = NULL;
	const char *tail = imp_case_tail(c), *inside = NULL;
	struct imp_strings names = {0};
	struct imp_finding *f = c->f;
	bool extension;

	for (size_t i = 0; i < c->snapshot->entries.n && !denied; i++) {
		const struct imp_entry *e = &c->snapshot->entries.v[i];

		if ((e->state == IMP_PATH_UNREADABLE || e->state == IMP_PATH_OTHER) &&
		    (e->err == EACCES || e->err == EPERM))
			denied = e;
	}
	if (!denied)
		return false;
	f->optional = true; /* whether the module is in there is not known to the process */
	if (!imp_host_list(c->host, c->a, denied->entry, &names)) {
		for (size_t i = 0; i < names.n && !inside; i++)
			if (!strcmp(names.v[i], tail) ||
			    imp_judge_is_file_of(c, names.v[i], tail, &extension))
				inside = names.v[i];
		if (!inside)
			return false; /* whoever analyzes may list it: the module is not in there */
		f->optional = false;
		imp_finding_evidence(c->a, f, IMP_DERIVED, "it holds %s, as this analysis may see",
				     inside);
	}
	f->cause = IMP_CAUSE_PERMISSION_DENIED;
	f->path = denied->entry;
	f->summary = imp_arena_printf(
		c->a,
		"%s is in no directory that could be searched, and %s may not be listed by this process",
		c->module, denied->entry);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s cannot be listed (%s): %s", denied->entry,
			     strerror(denied->err), owner_phrase(c, &denied->stat));
	say_ids(c);
	say_entry(c, denied->entry);
	return true;
}

bool imp_judge_candidates(struct imp_case *c)
{
	enum near_miss best = NEAR_NONE;
	const struct imp_entry *entry = NULL;
	const struct imp_candidate *candidate = NULL;

	if (!c->snapshot || strchr(c->module, '/'))
		return false;
	for (size_t i = 0; i < c->snapshot->entries.n; i++) {
		const struct imp_entry *e = &c->snapshot->entries.v[i];

		if (imp_case_parent(c) && !e->of_package)
			continue; /* another copy of the package: imp_judge_stacked_copies() */
		for (size_t j = 0; j < e->candidates.n; j++) {
			enum near_miss kind = classify(c, e, &e->candidates.v[j]);

			if (kind > best) {
				best = kind;
				entry = e;
				candidate = &e->candidates.v[j];
			}
		}
	}
	if (best == NEAR_NONE)
		return unreadable_entry(c);
	tell(c, best, entry, candidate);
	return true;
}

/* Is it the file that the program was started with? */
static bool is_script(const struct imp_case *c, const char *path)
{
	for (size_t i = 1; i < c->image->argv.n; i++)
		if (c->image->argv.v[i][0] != '-')
			return !strcmp(imp_case_directory(c, c->image->argv.v[i]), path);
	return false;
}

bool imp_judge_not_a_package(struct imp_case *c)
{
	const char *parent = imp_case_parent(c);
	const struct imp_attempt *at;

	if (!parent || !imp_case_has(c->exception->message, "is not a package"))
		return false;
	at = imp_case_loaded(c, parent);
	c->f->path = c->snapshot && c->snapshot->parent_file ? c->snapshot->parent_file :
		     at					     ? at->outcome->origin :
							       NULL;
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "%s is no package but a single module%s%s",
			     parent, c->f->path ? ", from " : "", c->f->path ? c->f->path : "");
	if (imp_judge_shadowed(c))
		return true;
	if (!c->f->path || (!is_script(c, c->f->path) && !imp_package_is_translated(parent)))
		return false;
	/* requests.py, which wants requests.adapters: the package was meant, though it is not there either. */
	c->f->cause = IMP_CAUSE_SHADOWED;
	c->f->module = parent;
	c->f->summary =
		imp_arena_printf(c->a, "%s took the name of the package %s", c->f->path, parent);
	imp_finding_evidence(c->a, c->f, IMP_DERIVED,
			     "the package itself is in no directory of the search path");
	return true;
}
