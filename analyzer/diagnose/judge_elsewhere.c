/* SPDX-License-Identifier: GPL-2.0-or-later */
/* installed-elsewhere: the module is on this machine, and no rule leads this interpreter there. */
#include <errno.h>
#include <string.h>

#include "../python/environment.h"
#include "../python/installer.h"
#include "judge.h"
#include "path_origin.h"

/* Is the module in this directory, as a file that this interpreter could take? */
static const char *held_in(const struct imp_case *c, const char *dir)
{
	struct imp_site site = { .kind = IMP_SITE_PROJECT, .directory = dir };
	const char *path = NULL;
	bool importable = false;

	if (!dir || !*dir)
		return NULL;
	if (imp_environment_holds(c->host, c->a, &site, c->module, &path, &importable) != 1)
		return NULL;
	return path;
}

static bool tell(struct imp_case *c, const char *path, const char *dir, const char *why)
{
	struct imp_finding *f = c->f;

	f->cause = IMP_CAUSE_INSTALLED_ELSEWHERE;
	f->path = path;
	f->summary = imp_arena_printf(c->a, "%s is installed in %s, and this Python does not search there: %s",
				      c->module, dir, why);
	imp_finding_evidence(c->a, f, IMP_DERIVED, "%s exists", path);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s is not on the search path: %s", dir, why);
	return true;
}

/* A directory that would be searched, had a switch or the program not taken it away. */
static bool lost_entry(struct imp_case *c)
{
	const char *home = imp_record_env(c->image, "HOME");
	const char *entry, *path, *why;
	const struct imp_sys_path *now = imp_case_sys_path(c);
	unsigned int major, minor;
	char *user;

	if (!now)
		return false;
	for (size_t i = 0; (entry = imp_path_lost(c, i)); i++) {
		path = held_in(c, imp_case_directory(c, entry));
		if (path)
			return tell(c, path, entry, "it was on sys.path before, and the program has taken it away");
	}
	for (size_t i = 0; (entry = imp_path_env_entry(c, i)); i++) {
		if (imp_path_on(&now->path, entry))
			continue;
		path = held_in(c, imp_case_directory(c, entry));
		if (!path)
			continue;
		why = imp_case_flag(c, "isolated") ? "PYTHONPATH names it, and the option -I ignores PYTHONPATH"
		      : imp_case_flag(c, "ignore_environment")
			      ? "PYTHONPATH names it, and the option -E ignores PYTHONPATH"
			      : "PYTHONPATH names it, and this interpreter did not take PYTHONPATH into account";
		return tell(c, path, entry, why);
	}
	if (home && imp_case_version(c, &major, &minor)) {
		user = imp_arena_printf(c->a, "%s/.local/lib/python%u.%u/site-packages", home, major, minor);
		path = imp_path_on(&now->path, user) ? NULL : held_in(c, user);
		if (path) {
			why = imp_case_flag(c, "no_user_site")
				      ? imp_record_env(c->image, "PYTHONNOUSERSITE") && !imp_case_flag(c, "isolated")
						? "PYTHONNOUSERSITE switches the user's site directory off"
						: "the option -s or -I switches the user's site directory off"
			      : imp_case_flag(c, "no_site")
				      ? "the option -S switches all site directories off"
			      : c->py->prefix && c->py->base_prefix && strcmp(now->prefix ? now->prefix : c->py->prefix, c->py->base_prefix)
				      ? "a virtual environment does not search the user's site directory"
				      : "the user's site directory is switched off";
			return tell(c, path, user, why);
		}
	}
	return false;
}

/* The site directories of the interpreter itself. */
static const char *held_in_own_site(const struct imp_case *c, const char **dir)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);
	const char *const prefixes[] = { now->prefix, c->py->prefix, c->py->exec_prefix };
	unsigned int major = 0, minor = 0;
	const char *path;

	imp_case_version(c, &major, &minor);
	for (size_t i = 0; i < 3; i++) {
		const char *dirs[3];

		if (!prefixes[i])
			continue;
		dirs[0] = imp_arena_printf(c->a, "%s/lib/python%u.%u/site-packages", prefixes[i], major, minor);
		dirs[1] = imp_arena_printf(c->a, "%s/lib/python%u.%u/dist-packages", prefixes[i], major, minor);
		dirs[2] = imp_arena_printf(c->a, "%s/lib/python%u/dist-packages", prefixes[i], major);
		for (size_t k = 0; k < 3; k++) {
			path = held_in(c, dirs[k]);
			if (path) {
				*dir = dirs[k];
				return path;
			}
		}
	}
	return NULL;
}

/*
 * The parent had PYTHONPATH, and its child has not: a clean environment (env -i, sudo, a service) lost
 * it on the way.
 */
static bool lost_variable(struct imp_case *c)
{
	for (size_t i = 0; i < c->record->images.n; i++) {
		const struct imp_image *p = c->record->images.v[i];
		struct imp_case parent = *c;
		const char *entry;

		if ((p->pid != c->image->ppid && p->pid != c->image->pid) || p == c->image ||
		    p->image_ns > c->image->image_ns)
			continue;
		parent.image = p;
		for (size_t k = 0; (entry = imp_path_env_entry(&parent, k)); k++) {
			const char *path;

			if (imp_record_env(c->image, "PYTHONPATH") && imp_path_env_has(c, entry))
				continue;
			path = held_in(c, imp_case_directory(&parent, entry));
			if (path)
				return tell(c, path, entry,
					    imp_arena_printf(c->a, "PYTHONPATH of the process before it (%d) names it, and was lost on the way to this one", p->pid));
		}
	}
	return false;
}

/* With -S, the interpreter's own site-packages is not searched; with -P or -I, nor is the script's directory. */
static bool switched_off(struct imp_case *c)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);
	const char *script = NULL, *path, *dir;

	if (!now || !c->py)
		return false;
	if (imp_case_flag(c, "no_site")) {
		path = held_in_own_site(c, &dir);
		if (path)
			return tell(c, path, dir, "the option -S switches all site directories off");
	}
	if (!imp_case_flag(c, "safe_path") && !imp_case_flag(c, "isolated"))
		return false;
	/* The script is the first argument that is no option; "-c" and "-m" have the current directory. */
	for (size_t i = 1; i < c->image->argv.n && !script; i++)
		if (c->image->argv.v[i][0] != '-')
			script = c->image->argv.v[i];
	dir = script && strchr(script, '/') ? imp_arena_strndup(c->a, script, (size_t)(strrchr(script, '/') - script))
					    : "";
	dir = imp_case_directory(c, dir);
	path = imp_path_on(&now->path, dir) ? NULL : held_in(c, dir);
	if (!path)
		return false;
	return tell(c, path, dir, imp_case_flag(c, "isolated")
				? "the option -I keeps the script's directory off the path"
				: "the option -P (or PYTHONSAFEPATH) keeps the script's directory off the path");
}

static const char *why_not_site(const struct imp_case *c, const struct imp_site *site)
{
	const char *venv = imp_record_env(c->image, "VIRTUAL_ENV");
	const char *python = site->interpreter ? site->interpreter : site->root;

	switch (site->kind) {
	case IMP_SITE_VENV:
		if (venv && site->root && !strcmp(venv, site->root))
			return imp_arena_printf(c->a, "VIRTUAL_ENV names that environment, yet the program was started with another Python, %s",
						c->py && c->py->executable ? c->py->executable : "this one");
		return imp_arena_printf(c->a, "it belongs to the virtual environment %s, which was not used", site->root ? site->root : "");
	case IMP_SITE_PROJECT:
		return "it is a directory of the project that is not on the search path";
	case IMP_SITE_USER:
		return imp_arena_printf(c->a, "it is the user's site directory of Python %d.%d", site->major, site->minor);
	case IMP_SITE_SYSTEM:
	case IMP_SITE_PYENV:
	case IMP_SITE_CONDA:
		break;
	}
	return python ? imp_arena_printf(c->a, "it belongs to another Python, %s", python)
		      : imp_arena_printf(c->a, "it belongs to another Python (%d.%d)", site->major, site->minor);
}

/* A child that was started with another interpreter than its parent runs. */
static void say_exec_chain(struct imp_case *c)
{
	for (size_t i = 0; i < c->record->images.n; i++) {
		const struct imp_image *p = c->record->images.v[i];

		if (p->pid != c->image->ppid || !p->interpreters.n || !p->exe || !c->image->exe ||
		    !strcmp(p->exe, c->image->exe))
			continue;
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "process %d was started by process %d, which runs %s; it runs %s itself",
				     c->image->pid, p->pid, p->interpreters.v[0]->executable ? p->interpreters.v[0]->executable : p->exe,
				     c->py && c->py->executable ? c->py->executable : c->image->exe);
		return;
	}
}

bool imp_judge_elsewhere(struct imp_case *c)
{
	const struct imp_sites *sites;
	const struct imp_site *best = NULL;
	const char *best_path = NULL;
	bool best_importable = false;
	size_t more = 0;

	if (lost_entry(c) || lost_variable(c) || switched_off(c))
		return true;
	sites = imp_case_sites(c, false);
	for (size_t i = 0; sites && i < sites->n; i++) {
		bool importable = false;
		const char *path;

		if (imp_environment_holds(c->host, c->a, &sites->v[i], c->module, &path, &importable) != 1)
			continue;
		if (!best || (importable && !best_importable)) {
			more += best != NULL;
			best = &sites->v[i];
			best_path = path;
			best_importable = importable;
		} else {
			more++;
		}
	}
	if (!best)
		return false;
	tell(c, best_path, best->directory, why_not_site(c, best));
	c->f->optional = true;	/* an optional module that only another Python has is no damage */
	if (best->interpreter && best_importable)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%s searches %s", best->interpreter, best->directory);
	if (more)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%zu more environments of this machine hold it", more);
	say_exec_chain(c);
	if (best->interpreter && best_importable)
		imp_finding_fix(c->a, c->f, IMP_LIKELY, imp_remedy_run_with(c, best->interpreter),
				"runs the program with the Python that has it, %s", best->interpreter);
	return true;
}
