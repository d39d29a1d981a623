/* SPDX-License-Identifier: GPL-2.0-or-later */
/* installed-elsewhere: the module is on this machine, and no rule leads this interpreter there. */
#include <string.h>
#include <sys/stat.h>

#include "../python/environment.h"
#include "../python/installer.h"
#include "../python/module_file.h"
#include "../python/package_name.h"
#include "judge_elsewhere.h"
#include "judge.h"

const char *imp_elsewhere_lies(const struct imp_case *c, const char *dir)
{
	struct imp_site site = {.kind = IMP_SITE_PROJECT, .directory = dir};
	const char *path = NULL;
	bool importable = false;

	if (!dir || !*dir)
		return NULL;
	if (imp_environment_holds(c->host, c->a, &site, c->module, &path, &importable) != 1)
		return NULL;
	return path;
}

/* The same directory, by name (made absolute) or by what is there. */
static bool same_directory(const struct imp_case *c, const char *one, const char *other)
{
	struct stat x, y;

	one = imp_path_normalize(c->a, imp_case_directory(c, one));
	other = imp_path_normalize(c->a, imp_case_directory(c, other));
	return !strcmp(one, other) ||
	       (!imp_host_stat(c->host, one, &x) && !imp_host_stat(c->host, other, &y) &&
		x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

bool imp_elsewhere_searched(const struct imp_case *c, const char *path)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);
	const char *dir = imp_path_parent(c->a, path), *top;

	if (imp_starts_with(imp_path_name(path), "__init__."))
		dir = imp_path_parent(c->a, dir);
	top = dir;
	for (const char *dot = strchr(c->module, '.'); dot; dot = strchr(dot + 1, '.'))
		top = imp_path_parent(c->a, top);
	for (size_t i = 0; now && i < now->path.n; i++)
		if (same_directory(c, top, now->path.v[i]))
			return true;
	for (size_t i = 0; imp_case_parent(c) && c->snapshot && i < c->snapshot->entries.n; i++)
		if (c->snapshot->entries.v[i].of_package &&
		    same_directory(c, dir, c->snapshot->entries.v[i].entry))
			return true;
	return false;
}

const char *imp_elsewhere_held(const struct imp_case *c, const char *dir)
{
	const char *path = imp_elsewhere_lies(c, dir);

	return path && !imp_elsewhere_searched(c, path) ? path : NULL;
}

void imp_elsewhere_tell(struct imp_case *c, const char *path, const char *dir, const char *why)
{
	struct imp_finding *f = c->f;

	f->cause = IMP_CAUSE_INSTALLED_ELSEWHERE;
	f->path = path;
	f->summary = imp_arena_printf(
		c->a, "%s %s %s, and this Python does not search there: %s", c->module,
		imp_remedy_is_installed(c, path) ? "is installed in" : "lies in", dir, why);
	imp_finding_evidence(c->a, f, IMP_DERIVED, "%s exists", path);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s is not on the search path: %s", dir, why);
}

/* The interpreter of an environment may be a link to a Python that was removed since. */
static const char *broken_interpreter(const struct imp_case *c, const struct imp_site *site)
{
	const char *link = site->root ? imp_path_join(c->a, site->root, "bin/python") : NULL;
	struct stat st;

	return site->kind == IMP_SITE_VENV && !site->interpreter &&
			       !imp_host_lstat(c->host, link, &st) && S_ISLNK(st.st_mode) &&
			       imp_host_exists(c->host, link) == 0 ?
		       link :
		       NULL;
}

/* Is it the very interpreter that runs? Then it does not search the site, for a reason that lies in its environment. */
static bool is_own(const struct imp_case *c, const struct imp_site *site)
{
	const char *own = c->py ? c->py->executable : NULL;

	return site->kind == IMP_SITE_VENV && own && site->root &&
	       !imp_installer_is_guessed(c->host, c->a, c->image, c->py) &&
	       !strcmp(imp_path_parent(c->a, own), imp_path_join(c->a, site->root, "bin"));
}

static bool lost_config(const struct imp_case *c, const struct imp_site *site)
{
	return is_own(c, site) &&
	       imp_host_exists(c->host, imp_path_join(c->a, site->root, "pyvenv.cfg")) == 0;
}

/* PYTHONHOME sends the very interpreter, to which the site belongs, to another prefix. */
static const char *home_of(const struct imp_case *c, const struct imp_site *site)
{
	const char *home = imp_record_env(c->image, "PYTHONHOME"), *mine, *theirs;

	if (!home || !*home || !site->interpreter || !c->image->exe ||
	    imp_case_flag(c, "ignore_environment") || imp_case_flag(c, "isolated") ||
	    imp_host_realpath(c->host, c->a, site->interpreter, &theirs) ||
	    imp_host_realpath(c->host, c->a, c->image->exe, &mine) || strcmp(mine, theirs))
		return NULL;
	return home;
}

static bool is_of_this_version(const struct imp_case *c, const struct imp_site *site)
{
	unsigned int major, minor;

	return imp_case_version(c, &major, &minor) && (int)major == site->major &&
	       (int)minor == site->minor;
}

/* Copied from an image whose Python was built into /usr/local; Debian's has dist-packages in its place. */
static bool is_nobodys(const struct imp_case *c, const struct imp_site *site)
{
	return site->kind == IMP_SITE_SYSTEM && !site->interpreter && c->py &&
	       is_of_this_version(c, site) && imp_ends_with(site->directory, "/site-packages") &&
	       imp_installer_is_debian(c->host, c->py);
}

static const char *why_not_site(const struct imp_case *c, const struct imp_site *site)
{
	const char *venv = imp_record_env(c->image, "VIRTUAL_ENV");
	const char *python = site->interpreter ? site->interpreter :
			     site->minor       ? NULL :
						 site->root;
	const char *broken = broken_interpreter(c, site);

	if (site->kind != IMP_SITE_VENV && home_of(c, site))
		return imp_arena_printf(
			c->a,
			"it belongs to this very Python, and PYTHONHOME (%s) sends it to another one's directories",
			home_of(c, site));
	switch (site->kind) {
	case IMP_SITE_VENV:
		if (lost_config(c, site))
			return imp_arena_printf(
				c->a,
				"%s has no pyvenv.cfg, so that it is no virtual environment any more",
				site->root);
		if (is_own(c, site) && is_of_this_version(c, site))
			return "the interpreter of that environment searches another one";
		if (is_own(c, site))
			return imp_arena_printf(
				c->a,
				"it was made for Python %d.%d, and the interpreter of %s is %s now",
				site->major, site->minor, site->root, imp_case_python(c));
		if (broken)
			return imp_arena_printf(
				c->a,
				"it belongs to the virtual environment %s, whose interpreter, %s, is a link to nothing",
				site->root, broken);
		if (venv && site->root && !strcmp(venv, site->root) && c->py &&
		    imp_installer_is_guessed(c->host, c->a, c->image, c->py))
			return imp_arena_printf(
				c->a,
				"VIRTUAL_ENV names that environment, which is Python %d.%d's, yet the program embeds a Python of its own, %s",
				site->major, site->minor, imp_case_python(c));
		if (venv && site->root && !strcmp(venv, site->root))
			return imp_arena_printf(
				c->a,
				"VIRTUAL_ENV names that environment, yet the program was started with another Python, %s",
				c->py && c->py->executable ? c->py->executable : "this one");
		return imp_arena_printf(
			c->a, "it belongs to the virtual environment %s, which was not used",
			site->root ? site->root : "");
	case IMP_SITE_PROJECT:
		return "it is a directory of the project, and nothing puts it on the search path";
	case IMP_SITE_USER:
		return imp_arena_printf(c->a, "it is the user's site directory of Python %d.%d",
					site->major, site->minor);
	case IMP_SITE_SYSTEM:
		if (is_nobodys(c, site))
			return "Debian's Python searches dist-packages, and no site-packages below /usr";
		break;
	case IMP_SITE_PYENV:
	case IMP_SITE_CONDA: break;
	}
	return python ? imp_arena_printf(c->a, "it belongs to another Python, %s", python) :
			imp_arena_printf(c->a, "it belongs to another Python (%d.%d)%s%s",
					 site->major, site->minor, site->root ? ", of " : "",
					 imp_case_text(site->root));
}

/*
 * Do two images run different Pythons? A virtual environment's is a link to the base's: the same file, and
 * another prefix.
 */
static bool other_python(const struct imp_case *c, const struct imp_image *p)
{
	const struct imp_interpreter *theirs = p->interpreters.v[0];

	if (!p->exe || !c->image->exe || !c->py)
		return false;
	return strcmp(p->exe, c->image->exe) || strcmp(imp_installer_prefix(c->host, c->a, theirs),
						       imp_installer_prefix(c->host, c->a, c->py));
}

/* A program that was started with another interpreter than its parent, or what ran in this process before. */
static void say_exec_chain(struct imp_case *c, const struct imp_site *site)
{
	for (size_t i = c->record->images.n; i-- > 0;) {
		const struct imp_image *p = c->record->images.v[i];
		const char *theirs,
			*own = c->py && c->py->executable ? c->py->executable : c->image->exe;

		if ((p->pid != c->image->ppid && p->pid != c->image->pid) || p == c->image ||
		    p->image_ns > c->image->image_ns || !p->interpreters.n || !other_python(c, p))
			continue;
		theirs = p->interpreters.v[0]->executable ? p->interpreters.v[0]->executable :
							    p->exe;
		if (p->pid == c->image->pid)
			imp_finding_evidence(
				c->a, c->f, IMP_OBSERVED,
				"process %d ran %s before, and then executed %s in its place",
				p->pid, theirs, own);
		else
			imp_finding_evidence(
				c->a, c->f, IMP_OBSERVED,
				"process %d was started by process %d, which runs %s; it runs %s itself",
				c->image->pid, p->pid, theirs, own);
		if (site->root &&
		    !strcmp(imp_installer_prefix(c->host, c->a, p->interpreters.v[0]), site->root))
			imp_finding_fix(
				c->a, c->f, IMP_LIKELY, NULL,
				"let the program that starts it name sys.executable, which was %s, in place of %s",
				theirs, c->image->argv.n ? c->image->argv.v[0] : own);
		return;
	}
}

static void mend_project(struct imp_case *c, const struct imp_site *site)
{
	imp_remedy_run_as_module(c, site->directory, imp_case_top(c));
	imp_remedy_run_path(c, site->directory,
			    imp_arena_printf(c->a, "puts %s on the search path", site->directory));
	imp_remedy_install_project(c, site->directory);
	/* A distribution of that name is somebody else's, unless it is a well-known one. */
	if (imp_package_is_translated(c->module))
		imp_remedy_install(
			c, c->module, false, IMP_POSSIBLE, NULL,
			"installs the distribution of that name, if that is what is meant");
}

/* Its interpreter's links are made anew; what is installed in it stays. */
static void mend_environment(struct imp_case *c, const struct imp_site *site)
{
	const char *bin = imp_path_join(c->a, site->root, "bin"), *rm = "rm", *again, *option = "";
	struct imp_strings names = {0};
	size_t len;
	char *text;
	unsigned int major, minor;

	if (!imp_case_version(c, &major, &minor) || (int)major != site->major ||
	    (int)minor != site->minor || imp_host_list(c->host, c->a, bin, &names)) {
		imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL,
				"make the virtual environment %s anew: its interpreter is gone",
				site->root);
		return;
	}
	for (size_t i = 0; i < names.n; i++) {
		const char *name = imp_path_join(c->a, bin, names.v[i]);

		if (imp_starts_with(names.v[i], "python") && imp_host_exists(c->host, name) == 0)
			rm = imp_arena_printf(c->a, "%s %s", rm, imp_shell_quote(c->a, name));
	}
	if (!imp_host_read(c->host, c->a, imp_path_join(c->a, site->root, "pyvenv.cfg"), 65536,
			   &text, &len) &&
	    strstr(text, "include-system-site-packages = true"))
		option = "--system-site-packages ";
	again = imp_remedy_run_with(c, imp_path_join(c->a, bin, "python"));
	imp_finding_fix(c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a, "%s && %s -m venv --upgrade --without-pip %s%s%s%s",
					 rm, imp_shell_quote(c->a, imp_remedy_python(c)), option,
					 imp_shell_quote(c->a, site->root), again ? " && " : "",
					 again ? again : ""),
			"gives the environment an interpreter again, and runs the program with it");
}

/* What is installed in the environment stays; its interpreter's links do as well. */
static void mend_config(struct imp_case *c, const struct imp_site *site)
{
	const char *again = imp_remedy_run_with(c, c->py->executable);

	imp_finding_fix(c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a, "%s -m venv --without-pip %s%s%s",
					 imp_shell_quote(c->a, c->py->executable),
					 imp_shell_quote(c->a, site->root), again ? " && " : "",
					 again ? again : ""),
			"makes it a virtual environment again; what is installed in it stays");
}

/* The program with another interpreter, less the options that would keep it from its own directories. */
static void mend_with(struct imp_case *c, const struct imp_site *site)
{
	struct imp_run_change change = {.interpreter = site->interpreter,
					.without = site->kind == IMP_SITE_USER ? "SsI" : "S"};
	const char *home = imp_record_env(c->image, "PYTHONHOME"), *command;
	unsigned int major = 0, minor;

	imp_case_version(c, &major, &minor);
	if (home_of(c, site))
		imp_finding_fix(c->a, c->f, IMP_LIKELY, "unset PYTHONHOME",
				"lets this Python find its own directories");
	if (home && *home)
		change.before = "env -u PYTHONHOME";
	command = imp_remedy_run(c, &change);
	if (command)
		imp_finding_fix(c->a, c->f, (int)major == site->major ? IMP_LIKELY : IMP_POSSIBLE,
				command, "runs the program with the Python that has it, %s",
				site->interpreter);
}

static void mend(struct imp_case *c, const struct imp_site *site, bool importable)
{
	if (site->kind == IMP_SITE_PROJECT) {
		mend_project(c, site);
		return;
	}
	if (lost_config(c, site))
		mend_config(c, site);
	else if (broken_interpreter(c, site))
		mend_environment(c, site);
	else if (importable &&
		 (is_nobodys(c, site) || (is_own(c, site) && is_of_this_version(c, site))))
		imp_remedy_run_path(c, site->directory,
				    imp_arena_printf(c->a, "puts %s on the search path",
						     site->directory));
	else if (is_own(c, site))
		; /* the same interpreter would do the same */
	else if (site->interpreter && importable)
		mend_with(c, site);
	say_exec_chain(c, site);
	if (home_of(c, site))
		return; /* it is installed, for this very interpreter */
	imp_remedy_install(c, c->module, false, IMP_LIKELY, NULL,
			   "installs it for this very interpreter");
	if (!c->f->fixes.n && c->py && imp_installer_is_guessed(c->host, c->a, c->image, c->py))
		imp_finding_fix(
			c->a, c->f, IMP_POSSIBLE, NULL,
			"start the program with another PATH: it took %s, the first python3 of that, for the place of its own Python, %s",
			c->py->executable, imp_case_python(c));
	else if (!c->f->fixes.n)
		imp_finding_fix(
			c->a, c->f, IMP_POSSIBLE, NULL,
			"install it for this interpreter too, or run the program with the Python that has it");
}

static bool lies_elsewhere(struct imp_case *c)
{
	const struct imp_sites *sites;
	const struct imp_site *best = NULL;
	const char *best_path = NULL;
	bool best_importable = false;
	size_t more = 0;

	if (imp_judge_behind_pth_line(c) || imp_judge_lost_entry(c) || imp_judge_mistaken_entry(c))
		return true;
	sites = imp_case_sites(c, false);
	for (size_t i = 0; sites && i < sites->n; i++) {
		bool importable = false;
		const char *path;

		if (imp_environment_holds(c->host, c->a, &sites->v[i], c->module, &path,
					  &importable) != 1 ||
		    imp_elsewhere_searched(c, path))
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
		return imp_judge_below(c);
	imp_elsewhere_tell(c, best_path, best->directory, why_not_site(c, best));
	c->f->optional = true; /* an optional module that only another Python has is no damage */
	if (best->interpreter && best_importable && best->kind != IMP_SITE_PROJECT &&
	    !is_own(c, best))
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%s searches %s", best->interpreter,
				     best->directory);
	if (more)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "%zu more environments of this machine hold it", more);
	mend(c, best, best_importable);
	return true;
}

bool imp_judge_elsewhere(struct imp_case *c)
{
	if (!lies_elsewhere(c))
		return false;
	if (!imp_case_parent(c))
		imp_judge_say_no_strs(c);
	return true;
}
