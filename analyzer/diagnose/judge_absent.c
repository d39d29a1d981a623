/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Causes in which nothing of the module is on the search path: it was left out, blocked, or never installed. */
#include <string.h>

#include "../python/module_file.h"
#include "../python/package_name.h"
#include "judge.h"
#include "judge_elsewhere.h"

/* "audioop" of 3.13: no build of that version has it. */
static bool is_of_another_version(const struct imp_case *c)
{
	unsigned int major, minor;
	int since, removed;

	return imp_package_stdlib_range(c->module, &since, &removed) &&
	       imp_case_version(c, &major, &minor) && major == 3 &&
	       ((int)minor < since || (removed && (int)minor >= removed));
}

bool imp_judge_stdlib(struct imp_case *c)
{
	struct imp_finding *f = c->f;
	bool optional = false;
	const char *dir = NULL;

	if (c->snapshot && c->snapshot->frozen) {
		f->cause = IMP_CAUSE_FROZEN_BUNDLE_INCOMPLETE;
		f->summary = imp_arena_printf(c->a, "%s was not put into this frozen program",
					      c->module);
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "this is a frozen program: %s",
				     c->snapshot->frozen);
		return true;
	}
	if (imp_case_parent(c) || !imp_package_is_stdlib(c->module, &optional) || !optional ||
	    is_of_another_version(c))
		return false;
	for (size_t i = 0; c->snapshot && i < c->snapshot->entries.n; i++) {
		const struct imp_entry *e = &c->snapshot->entries.v[i];

		if (imp_case_has(e->entry, "lib-dynload") && e->state == IMP_PATH_DIRECTORY)
			dir = e->entry;
	}
	if (!dir)
		return false;
	f->cause = IMP_CAUSE_STDLIB_EXTENSION_NOT_BUILT;
	f->summary = imp_arena_printf(
		c->a, "%s is an optional part of the standard library, and this %s came without it",
		c->module, imp_case_python(c));
	imp_finding_evidence(
		c->a, f, IMP_OBSERVED,
		"%s, where the standard library's extensions are, was searched and has no %s", dir,
		c->module);
	for (size_t i = 0, shown = 0; i < c->image->attempts.n && shown < 2; i++) {
		const struct imp_attempt *at = c->image->attempts.v[i];

		if (at->ended && !at->exception && at->outcome->origin &&
		    !strncmp(at->outcome->origin, dir, strlen(dir))) {
			imp_finding_evidence(c->a, f, IMP_OBSERVED,
					     "its sibling %s was loaded from there", at->name);
			shown++;
		}
	}
	for (size_t i = 0; i < c->snapshot->entries.n; i++)
		if (c->snapshot->entries.v[i].entry == dir && c->snapshot->entries.v[i].finder_names)
			imp_finding_evidence(
				c->a, f, IMP_OBSERVED, "%llu other files are there",
				(unsigned long long)c->snapshot->entries.v[i].finder_names);
	return true;
}

bool imp_judge_blocked(struct imp_case *c)
{
	static const char *const hooks[] = {"find_spec",	 "find_module",	  "find_loader",
					    "load_module",	 "create_module", "exec_module",
					    "find_distributions"};
	const struct imp_exception *e = c->exception;
	struct imp_finding *f = c->f;
	bool none = imp_case_has(e->message, "None in sys.modules") ||
		    (imp_judge_not_found(c) && c->snapshot &&
		     c->snapshot->sys_modules == IMP_MODULE_NONE);
	bool hook = false;

	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
		hook |= e->where.function && !strcmp(e->where.function, hooks[i]);
	if (!none && !(hook && e->type &&
		       (!strcmp(e->type, "ImportError") || !strcmp(e->type, "ModuleNotFoundError"))))
		return false;
	f->cause = IMP_CAUSE_BLOCKED;
	if (none) {
		f->summary =
			imp_arena_printf(c->a,
					 "%s was blocked on purpose: sys.modules[\"%s\"] is None",
					 c->module, c->module);
		imp_finding_evidence(c->a, f, IMP_OBSERVED,
				     "sys.modules[\"%s\"] is None, so no directory was searched",
				     c->module);
		return true;
	}
	f->path = e->where.file;
	f->summary = imp_arena_printf(c->a, "%s was refused by an import hook, %s in %s", c->module,
				      e->where.function, e->where.file);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s:%u, in %s, raised %s: %s", e->where.file,
			     e->where.line, e->where.function, e->type,
			     e->message ? e->message : "");
	return true;
}

/* PYTHONHOME sends an interpreter to a standard library that is not its own, or is none. */
bool imp_judge_home(struct imp_case *c)
{
	const char *home = imp_record_env(c->image, "PYTHONHOME"), *exe = c->image->exe, *own, *real;
	struct imp_finding *f = c->f;
	unsigned int major, minor;
	const char *slash = exe ? strrchr(exe, '/') : NULL;

	if (!home || !*home || imp_case_parent(c) || !imp_package_is_stdlib(c->module, NULL) ||
	    imp_case_flag(c, "ignore_environment") || !slash || !imp_case_version(c, &major, &minor))
		return false;
	own = imp_arena_printf(c->a, "%.*s/../lib/python%u.%u", (int)(slash - exe), exe, major,
			       minor);
	if (!imp_host_realpath(c->host, c->a, own, &real))
		own = real;
	f->cause = IMP_CAUSE_INSTALLED_ELSEWHERE;
	f->path = imp_case_join(c, own, imp_arena_printf(c->a, "%s/__init__.py", c->module));
	if (imp_host_exists(c->host, f->path) != 1)
		f->path = imp_case_join(c, own, imp_arena_printf(c->a, "%s.py", c->module));
	if (imp_host_exists(c->host, f->path) != 1)
		f->path = NULL;
	f->summary = imp_arena_printf(
		c->a,
		"%s is a part of the standard library, and PYTHONHOME (%s) sends this Python to a place that has it not",
		c->module, home);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "PYTHONHOME is %s", home);
	if (f->path)
		imp_finding_evidence(c->a, f, IMP_DERIVED, "%s exists", f->path);
	return true;
}

static bool was_seen(const struct imp_entry *e, const char *name)
{
	for (size_t i = 0; i < e->candidates.n; i++)
		if (!strcmp(e->candidates.v[i].name, name))
			return true;
	return false;
}

/* A file that lies here in a directory that was searched, and that the process has not seen. */
static void say_unseen(struct imp_case *c)
{
	struct imp_case part = *c;
	struct stat st;

	part.module = imp_case_tail(c);
	for (size_t i = 0; c->snapshot && !c->image->derived && i < c->snapshot->entries.n; i++) {
		const struct imp_entry *e = &c->snapshot->entries.v[i];
		const char *path;

		if (imp_case_parent(c) && !e->of_package)
			continue;
		path = imp_elsewhere_lies(&part, e->entry);
		if (!path || imp_host_stat(c->host, path, &st) ||
		    was_seen(e, imp_path_name(path)) || was_seen(e, part.module))
			continue;
		if (st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec >= c->record->realtime_ns) {
			imp_finding_evidence(
				c->a, c->f, IMP_DERIVED,
				"%s is there now: it came, or was changed, after the program had been started",
				path);
			imp_finding_fix(
				c->a, c->f, IMP_POSSIBLE, NULL,
				"run the program again, if %s was installed only after this run",
				path);
			return;
		}
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"%s is there, as this analysis sees it, and %s was searched: the process saw another file system there (a mount of its own, a container)",
			path, e->entry);
		imp_finding_fix(
			c->a, c->f, IMP_POSSIBLE, NULL,
			"see what is mounted over %s where the program runs; what is installed there has to be in that mount",
			e->entry);
		return;
	}
}

void imp_judge_absent(struct imp_case *c)
{
	struct imp_finding *f = c->f;
	const char *parent = imp_case_parent(c);
	size_t searched = 0;

	f->cause = IMP_CAUSE_NOT_INSTALLED;
	f->optional = true;
	for (size_t i = 0; c->snapshot && i < c->snapshot->entries.n; i++)
		searched++;
	if (parent) {
		const struct imp_attempt *at = imp_case_loaded(c, parent);
		const char *from = c->snapshot && c->snapshot->parent_file ?
					   c->snapshot->parent_file :
				   at ? at->outcome->origin :
					NULL;

		f->summary = imp_arena_printf(c->a, "The package %s is there, and has no module %s",
					      parent, imp_case_tail(c));
		if (from)
			imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s was imported from %s",
					     parent, from);
	} else {
		f->summary = imp_arena_printf(c->a, "%s is not installed for this %s", c->module,
					      imp_case_python(c));
	}
	imp_judge_say_name(c);
	if (searched)
		imp_finding_evidence(c->a, f, IMP_OBSERVED,
				     "%zu place%s searched, and none holds a file that could be %s",
				     searched, searched == 1 ? " was" : "s were", imp_case_tail(c));
	say_unseen(c);
	if (!parent)
		imp_judge_say_pth_lines(c);
	imp_judge_say_finders(c);
	if (c->host->enabled)
		imp_finding_evidence(c->a, f, IMP_DERIVED,
				     "no installed distribution there lists a file of it");
}
