/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Causes that show after a module was found: in its init function, its code, or what was asked of it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "../python/distribution.h"
#include "../python/module_file.h"
#include "from_clause.h"
#include "judge.h"
#include "vain_loads.h"

/*
 * Texts with which extensions refuse to be initialized again. Sources: PyO3 (impl_/pymodule.rs),
 * CPython (Objects/moduleobject.c, Python/import.c), Cython (ModuleSetupCode.c), numpy, pybind11 (detail/class.h).
 */
static const struct {
	const char *text;
	bool again; /* it only tells of the same extension if an earlier attempt is known */
} refusals[] = {
	{"may only be initialized once per interpreter process", false},
	{"do not yet support subinterpreters", false},
	{"does not support loading in subinterpreters", false},
	{"Interpreter change detected - this module can only be loaded into one interpreter per process",
	 false},
	{"cannot load module more than once per process", false},
	{"does not support per-interpreter GIL", false},
	{"is already registered!", true},
};

bool imp_judge_refusal(const char *message)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (imp_case_has(message, refusals[i].text))
			return true;
	return false;
}

/* Is it the failing extension itself that was initialized before, or another one that has the same types? */
static bool refused(const struct imp_case *c)
{
	const char *message = c->exception->message;
	bool sure = false;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		sure |= imp_case_has(message, refusals[i].text) && !refusals[i].again;
	for (size_t i = 0; i < c->image->extensions.n && !sure && imp_judge_refusal(message); i++) {
		const struct imp_extension_call *e = c->image->extensions.v[i];

		sure = e != c->extension && e->begin_ns < c->extension->begin_ns &&
		       e->step == IMP_STEP_CREATE &&
		       !strcmp(imp_case_text(e->path), imp_case_text(c->extension->path));
	}
	return sure;
}

/* The load itself failed: the text is dlerror()'s. */
static const struct imp_dlopen *failed_load(const struct imp_case *c)
{
	const struct imp_extension_call *ext = c->extension;

	for (size_t i = 0; i < c->image->dlopens.n; i++) {
		const struct imp_dlopen *d = c->image->dlopens.v[i];

		if (d->thread == ext->thread && d->begin_ns >= ext->begin_ns &&
		    (!ext->ended || d->end_ns <= ext->end_ns) && d->error && d->name && ext->path &&
		    !strcmp(d->name, ext->path))
			return d;
	}
	return NULL;
}

static void say_earlier(struct imp_case *c)
{
	if (c->attempt && c->attempt->interp)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "it was asked for in a subinterpreter (number %llu)",
				     (unsigned long long)c->attempt->interp);
	for (size_t i = 0; i < c->image->extensions.n; i++) {
		const struct imp_extension_call *e = c->image->extensions.v[i];

		if (e == c->extension || e->begin_ns >= c->extension->begin_ns || !e->path ||
		    !c->extension->path || strcmp(e->path, c->extension->path) ||
		    e->step != IMP_STEP_CREATE)
			continue;
		if (!e->ended)
			imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
					     "an earlier initialization of it never ended");
		else if (e->exception)
			imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
					     "an earlier initialization of it ended with %s: %s",
					     e->exception->type ? e->exception->type :
								  "an exception",
					     e->exception->message ? e->exception->message : "");
		else
			imp_finding_evidence(
				c->a, c->f, IMP_OBSERVED,
				"it had been initialized in this process before, successfully%s",
				e->attempt && c->attempt && e->attempt->interp != c->attempt->interp ?
					", in another interpreter" :
					"");
		return;
	}
}

/* What its code asked for and did not get: it may have replaced that error by one of its own. */
static void say_imports_within(struct imp_case *c)
{
	int told = 0;

	for (size_t i = 0; c->attempt && i < c->image->attempts.n && told < 3; i++) {
		const struct imp_attempt *at = c->image->attempts.v[i];

		if (at->parent != c->attempt || !at->ended || !at->exception ||
		    at->begin_ns < c->extension->begin_ns)
			continue;
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "before that, its import of %s had failed, and it went on: %s",
				     at->name, imp_case_text(at->exception->message));
		told++;
	}
}

bool imp_judge_extension(struct imp_case *c)
{
	const struct imp_extension_call *ext = c->extension;
	const char *message = c->exception->message;
	const struct imp_dlopen *load;
	struct imp_finding *f = c->f;

	if (!ext)
		return false;
	f->path = ext->path;
	if (refused(c)) {
		f->cause = IMP_CAUSE_REINITIALIZATION_REFUSED;
		f->summary = imp_arena_printf(
			c->a,
			imp_case_has(message, "subinterpreter") ||
					imp_case_has(message, "per-interpreter GIL") ?
				"%s cannot be imported in a subinterpreter" :
				"%s may be initialized once in a process, and this was not the first time",
			c->module);
		say_earlier(c);
		return true;
	}
	if (imp_judge_missing_init(c))
		return true;
	load = failed_load(c);
	if (load && imp_judge_dlopen_error(c, load))
		return true;
	if (load) {
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "the dynamic loader refused %s: %s",
				     ext->path, message);
		return false;
	}
	if (imp_judge_version(c) || imp_judge_hidden(c) || imp_judge_circular(c))
		return true;
	f->cause = IMP_CAUSE_INIT_FAILED;
	f->summary = imp_arena_printf(
		c->a, "%s was found and loaded, and its init function failed: %s: %s", c->module,
		c->exception->type ? c->exception->type : "exception", message ? message : "");
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s of %s ended with %s: %s",
			     ext->step == IMP_STEP_EXEC ? "the Py_mod_exec slot" : "PyInit",
			     ext->path, c->exception->type ? c->exception->type : "an exception",
			     message ? message : "");
	for (const struct imp_exception *e = c->exception->cause ? c->exception->cause :
								   c->exception->context;
	     e; e = e->cause ? e->cause : e->context)
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "below it: %s: %s",
				     e->type ? e->type : "an exception",
				     e->message ? e->message : "");
	say_imports_within(c);
	imp_vain_loads_say(c);
	return true;
}

/* The module's own file was found and could not be opened. */
bool imp_judge_denied(struct imp_case *c)
{
	const struct imp_exception *e = c->exception;
	struct imp_finding *f = c->f;
	struct stat st;

	if (!e->type || strcmp(e->type, "PermissionError") || e->where.file || !c->attempt)
		return false;
	f->path = imp_case_quoted(c, e->message, "Permission denied: ");
	if (!f->path)
		return false;
	f->cause = IMP_CAUSE_PERMISSION_DENIED;
	f->summary = imp_arena_printf(c->a, "%s is there, and the process may not read it", f->path);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "opening %s failed with: %s", f->path,
			     e->message);
	if (!imp_host_stat(c->host, f->path, &st))
		imp_finding_evidence(c->a, f, IMP_DERIVED, "it has mode %04o, owner %u, group %u",
				     (unsigned int)st.st_mode & 07777, st.st_uid, st.st_gid);
	if (c->image->ids_known)
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "the process ran as user %u, group %u",
				     c->image->euid, c->image->egid);
	return true;
}

/* Is the file one that its distribution does not list, or are there two generations of the metadata? */
static bool foreign_part(struct imp_case *c, const char *file)
{
	const struct imp_sys_path *path = imp_case_sys_path(c);
	struct imp_finding *f = c->f;
	struct imp_distribution dist;

	for (size_t i = 0; path && i < path->path.n; i++) {
		const char *entry = path->path.v[i];
		struct imp_distributions all = {0};
		size_t len = strlen(entry), top;
		const char *name;

		if (!len || strncmp(file, entry, len) || file[len] != '/')
			continue;
		name = imp_arena_strndup(c->a, file + len + 1, strcspn(file + len + 1, "/."));
		top = 0;
		if (imp_distribution_list(c->host, c->a, entry, &all))
			return false;
		for (size_t j = 0; j < all.n; j++) {
			char *dashed = imp_arena_strndup(c->a, all.v[j].name, strlen(all.v[j].name));

			for (char *p = dashed; *p; p++)
				*p = *p == '-' ? '_' : *p;
			if (!strcasecmp(dashed, name) && top++) {
				f->path = file;
				imp_finding_evidence(
					c->a, f, IMP_DERIVED,
					"%s holds two generations of it: %s and %s", entry,
					all.v[j - 1].metadata ? all.v[j - 1].metadata : "?",
					all.v[j].metadata ? all.v[j].metadata : "?");
				return true;
			}
			if (top == 1 && !strcasecmp(dashed, name) &&
			    imp_distribution_of_file(c->host, c->a, entry, file, &dist) == -ENOENT &&
			    all.v[j].metadata && !all.v[j].editable) {
				struct imp_owned_files own = {0};
				struct imp_strings one = {.v = &entry, .n = 1, .cap = 1};

				if (imp_distribution_claims(c->host, c->a, &one, name, &own) ||
				    !own.n)
					continue;
				imp_finding_evidence(
					c->a, f, IMP_DERIVED,
					"%s does not list %s: it is left over from another installation",
					all.v[j].metadata, file);
				return true;
			}
		}
		return false;
	}
	return false;
}

/* A directory that may not be read looks like a package with nothing in it. */
static const char *unreadable_package(struct imp_case *c, const char *module)
{
	const struct imp_sys_path *path = imp_case_sys_path(c);
	struct stat st;

	if (strchr(module, '.'))
		return NULL;
	for (size_t i = 0; path && i < path->path.n; i++) {
		const char *dir = imp_case_join(c, path->path.v[i], module);
		bool owner, group;

		if (imp_host_stat(c->host, dir, &st) || !S_ISDIR(st.st_mode) ||
		    !c->image->ids_known || !c->image->euid)
			continue;
		owner = st.st_uid == c->image->euid;
		group = st.st_gid == c->image->egid;
		if (!(st.st_mode & (owner ? S_IXUSR : group ? S_IXGRP : S_IXOTH)))
			return dir;
	}
	return NULL;
}

/* A directory without __init__.py that the finder took for a namespace package. */
static const char *namespace_directory(const struct imp_case *c, const char *module)
{
	const struct imp_attempt *at = imp_case_loaded(c, module);
	const char *dot = strrchr(module, '.');

	for (size_t i = 0; at && i < at->outcome->searched.n; i++)
		if (at->outcome->searched.v[i].result == IMP_SEARCH_NAMESPACE)
			return imp_case_join(c, at->outcome->searched.v[i].entry,
					     dot ? dot + 1 : module);
	return NULL;
}

/* A directory whose __init__.py is a link to nothing counts as one that has none. */
static bool lost_init(struct imp_case *c, const char *dir)
{
	const char *init = imp_path_join(c->a, dir, "__init__.py"), *target = NULL;
	struct stat st;

	if (imp_host_lstat(c->host, init, &st) || !S_ISLNK(st.st_mode) ||
	    imp_host_exists(c->host, init) != 0)
		return false;
	imp_host_readlink(c->host, c->a, init, &target);
	c->f->cause = IMP_CAUSE_DANGLING_SYMLINK;
	c->f->path = init;
	c->f->summary = imp_arena_printf(
		c->a, "%s is a symbolic link that leads to nothing, so that the package %s is empty",
		init, c->f->module);
	imp_finding_evidence(c->a, c->f, IMP_DERIVED,
			     "%s is a symbolic link to %s, and that does not exist", init,
			     target ? target : "?");
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
			     "so the directory %s was taken for a namespace package", dir);
	return true;
}

/* "_init_.py", "__int__.py": what was to be the package's __init__.py. */
static void say_misnamed_init(struct imp_case *c, const char *dir)
{
	struct imp_strings names = {0};

	if (imp_host_list(c->host, c->a, dir, &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.v[i];

		if (name[0] != '_' || strcspn(name, ".") > 9 || !strstr(name, "in") ||
		    !imp_case_has(name, "t_") || !imp_case_has(name, ".py") ||
		    !strcmp(name, "__init__.py"))
			continue;
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "%s lies there; a package's file has to be called __init__.py",
				     name);
		imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
				"give %s the name __init__.py, if that is what it is",
				imp_path_join(c->a, dir, name));
	}
}

/* A repository that was cloned beside the script: pkg/pkg/__init__.py */
static void say_further_down(struct imp_case *c, const char *dir)
{
	const char *init =
		imp_path_join(c->a, imp_path_join(c->a, dir, imp_path_name(dir)), "__init__.py");

	if (imp_host_exists(c->host, init) != 1)
		return;
	imp_finding_evidence(c->a, c->f, IMP_DERIVED,
			     "%s exists: the package lies one directory further down", init);
	imp_remedy_run_path(
		c, dir,
		imp_arena_printf(c->a, "puts %s, which holds the package, on the search path", dir));
	imp_remedy_install_project(c, dir);
}

/* "import yaml; yaml.load()", where yaml is no more than a directory that was left behind. */
static const char *empty_package(struct imp_case *c, const char **name)
{
	const struct imp_exception *e = c->exception;
	const char *module;

	if (!e->type || strcmp(e->type, "AttributeError") ||
	    strncmp(imp_case_text(e->message), "module '", 8))
		return NULL;
	module = imp_case_quoted(c, e->message, NULL);
	*name = imp_case_quoted(c, e->message, "has no attribute ");
	return module && *name && namespace_directory(c, module) ? module : NULL;
}

static const char *origin_of(const struct imp_case *c, const char *module)
{
	const struct imp_attempt *at = module ? imp_case_loaded(c, module) : NULL;

	return at ? at->outcome->origin : NULL;
}

bool imp_judge_attribute(struct imp_case *c)
{
	const struct imp_exception *e = c->exception;
	struct imp_finding *f = c->f;
	const char *name, *file, *dir, *module;
	struct imp_case of_module = *c;

	name = imp_from_clause_name(c);
	module = name ? imp_from_clause_module(c) : empty_package(c, &name);
	if (!module)
		return false;
	f->module = module;
	file = e->path ? e->path : origin_of(c, f->module);
	f->path = file;
	dir = file ? NULL : unreadable_package(c, f->module);
	if (dir) {
		f->cause = IMP_CAUSE_PERMISSION_DENIED;
		f->path = dir;
		f->summary = imp_arena_printf(
			c->a, "The package %s is in a directory that the process may not enter",
			f->module);
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"%s may not be entered by user %u, so Python took it for an empty namespace package",
			dir, c->image->euid);
		return true;
	}
	if (file && foreign_part(c, file)) {
		f->cause = IMP_CAUSE_MIXED_INSTALLATION;
		f->summary =
			imp_arena_printf(c->a,
					 "Parts of two installations of %s are mixed: %s has no %s",
					 f->module, file, name ? name : "such name");
		return true;
	}
	if (file && imp_judge_passed_over(c, file, name))
		return true;
	dir = file ? NULL : namespace_directory(c, f->module);
	of_module.module = f->module;
	if (dir && lost_init(c, dir))
		return true;
	if (dir && imp_judge_foreign_init(c, dir, name))
		return true;
	if (dir && imp_judge_claims(&of_module)) {
		imp_finding_evidence(
			c->a, f, IMP_OBSERVED,
			"so the directory %s was taken for a namespace package, which has no %s",
			dir, name);
		return true;
	}
	f->cause = IMP_CAUSE_MISSING_ATTRIBUTE;
	f->path = file ? file : dir;
	f->summary = imp_arena_printf(
		c->a,
		dir ? "%s is only a directory without __init__.py here, and has no %s" :
		      "%s is there, and has no %s",
		f->module, name ? name : "such name");
	if (dir) {
		imp_finding_evidence(
			c->a, f, IMP_OBSERVED,
			"the directory %s was taken for the package: no %s.py and no package of that name is on the search path",
			dir, f->module);
		imp_judge_say_empty(c, dir);
		say_misnamed_init(c, dir);
		say_further_down(c, dir);
	}
	if (file)
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s was imported from %s", f->module,
				     file);
	for (size_t i = 0; file && imp_case_sys_path(c) && i < imp_case_sys_path(c)->path.n; i++) {
		struct imp_distribution dist;

		if (imp_distribution_of_file(c->host, c->a, imp_case_sys_path(c)->path.v[i], file,
					     &dist))
			continue;
		imp_finding_evidence(c->a, f, IMP_DERIVED, "it belongs to %s %s", dist.name,
				     dist.version ? dist.version : "(version unknown)");
		break;
	}
	return true;
}
