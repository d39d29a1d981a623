/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mends it: for each cause, the commands that the evidence allows, best first. */
#include <string.h>
#include <sys/stat.h>

#include "../python/abi_tag.h"
#include "../python/command_line.h"
#include "../python/distribution.h"
#include "../python/environment.h"
#include "../python/installer.h"
#include "../python/module_file.h"
#include "../python/package_name.h"
#include "judge.h"
#include "path_origin.h"

static const char *quote(const struct imp_case *c, const char *word)
{
	return imp_shell_quote(c->a, word);
}

static const char *sudo(const struct imp_case *c)
{
	return c->image->ids_known && c->image->euid ? "sudo " : "";
}

/* Where the parent package came from; NULL: not known (a namespace package has no file). */
static const char *parent_file(const struct imp_case *c)
{
	const struct imp_attempt *at = imp_case_loaded(c, imp_case_parent(c));

	return c->snapshot && c->snapshot->parent_file ? c->snapshot->parent_file :
	       at				       ? at->outcome->origin :
							 NULL;
}

static bool parent_is_installed(const struct imp_case *c)
{
	const char *file = parent_file(c);
	struct imp_strings path;

	if (file)
		return imp_remedy_is_installed(c, file);
	imp_case_path(c, &path); /* the parent's __path__ */
	for (size_t i = 0; i < path.n; i++)
		if (imp_remedy_is_installed(c, path.v[i]))
			return true;
	return false;
}

/* tkinter, distutils, ensurepip and more are packages of their own in Debian; a part of them may be there all the same. */
static bool remedy_debian_stdlib(struct imp_case *c)
{
	const char *debian = c->py && imp_installer_is_debian(c->host, c->py) &&
					     imp_package_is_stdlib(imp_case_top(c), NULL) ?
				     imp_package_debian_name(c->host, c->a, imp_case_top(c)) :
				     NULL;

	if (!debian || (imp_case_parent(c) && imp_package_debian_installed(c->host, c->a, debian)))
		return false;
	imp_finding_fix(c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a, "%sapt install %s", sudo(c), quote(c, debian)),
			"installs the part of the standard library that Debian ships separately");
	return true;
}

/* The parent is there, and lacks a part. What pip would bring has to do with it only if pip brought the parent. */
static void remedy_absent_part(struct imp_case *c)
{
	const char *file = parent_file(c), *top = imp_case_top(c), *parent = imp_case_parent(c);
	struct imp_run_change change = {.module = parent};
	struct imp_command_line line;

	if (file && imp_case_stdlib(c, file) && remedy_debian_stdlib(c))
		return;
	/* "plug.py" is the file's name, not the module's */
	if (!strcmp(imp_case_tail(c), "py") && file &&
	    imp_ends_with(file, imp_arena_printf(c->a, "/%s.py",
						 imp_path_name(imp_module_path(c->a, parent))))) {
		bool named = imp_remedy_line(c, &line) && line.how == IMP_RUN_MODULE &&
			     !strcmp(line.what, c->module);

		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, named ? imp_remedy_run(c, &change) : NULL,
			"%s is the name of the file, and %s that of the module: leave .py out",
			c->module, parent);
		return;
	}
	if (parent_is_installed(c)) {
		imp_remedy_install(c, top, true, IMP_POSSIBLE, NULL,
				   "installs the package again, in case this copy is incomplete");
		imp_finding_fix(
			c->a, c->f, IMP_POSSIBLE, NULL,
			"install the version of %s that has %s, or change the program to what this version offers",
			top, c->module);
		return;
	}
	/* "_native": the part of a project that has to be built first */
	if (imp_case_tail(c)[0] == '_' && file)
		imp_remedy_install_project(c, imp_path_parent(c->a, file));
	imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
			"%s%s has no %s: add it, or change what is imported", parent,
			file ? imp_arena_printf(c->a, " (%s)", file) : "", imp_case_tail(c));
}

/* Would this version of the standard library have it, were it found? */
static bool stdlib_has(const struct imp_case *c)
{
	unsigned int major, minor;
	int since, removed;

	return imp_package_is_stdlib(c->module, NULL) &&
	       imp_package_stdlib_range(c->module, &since, &removed) &&
	       imp_case_version(c, &major, &minor) && major == 3 && (int)minor >= since &&
	       (!removed || (int)minor < removed);
}

static bool home_is_set(const struct imp_case *c)
{
	const char *home = imp_record_env(c->image, "PYTHONHOME");

	return home && *home && !imp_case_flag(c, "ignore_environment") &&
	       !imp_case_flag(c, "isolated");
}

static void remedy_home(struct imp_case *c, enum imp_confidence confidence)
{
	imp_finding_fix(c->a, c->f, confidence, "unset PYTHONHOME",
			"lets this Python find its own standard library");
}

static void remedy_absent(struct imp_case *c)
{
	const char *successor = imp_package_python2_successor(c->module);

	if (imp_case_parent(c)) {
		remedy_absent_part(c);
		return;
	}
	if (!imp_package_is_stdlib(c->module, NULL) && !successor) {
		imp_remedy_install(c, c->module, false, IMP_LIKELY, NULL,
				   "installs it for this very interpreter");
		if (!c->f->fixes.n)
			imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
					"find out which distribution brings %s, and install that; "
					"its name is not always the module's",
					c->module);
		return;
	}
	if (stdlib_has(c) && home_is_set(c)) {
		remedy_home(c, IMP_LIKELY);
		return;
	}
	imp_remedy_install(c, c->module, false, IMP_LIKELY, NULL,
			   "installs what this Python's standard library has not");
	imp_finding_fix(
		c->a, c->f, IMP_POSSIBLE, NULL, "%s %s",
		successor ? "import Python 3's name for it," :
			    "run the program with a Python that has it, or change it to do without",
		successor ? successor : c->module);
}

static void remedy_stdlib(struct imp_case *c)
{
	const char *needs = imp_package_build_dependency(c->module);
	const char *version = c->py ? imp_case_has(c->py->base_prefix, "/.pyenv/versions/") ?
				      strstr(c->py->base_prefix, "/versions/") + 10 :
				      NULL :
				      NULL;

	if (remedy_debian_stdlib(c))
		return;
	if (version && needs)
		imp_finding_fix(c->a, c->f, IMP_LIKELY,
				imp_arena_printf(c->a,
						 "%sapt install %s && pyenv install --force %s",
						 sudo(c), needs, quote(c, version)),
				"builds this Python again, with what %s needs", c->module);
	else
		imp_finding_fix(
			c->a, c->f, IMP_POSSIBLE, NULL,
			"build this Python again with %s installed, or use another build of it",
			needs ? needs : "the library that it needs");
	if (home_is_set(c))
		remedy_home(c, IMP_POSSIBLE);
}

/* Is what was meant there at all, once @dir no longer holds a file of its name? */
static bool is_behind(const struct imp_case *c, const char *dir)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);
	struct imp_site site = {.kind = IMP_SITE_SYSTEM};

	if (!now || !c->host->enabled || imp_package_is_stdlib(c->f->module, NULL))
		return true;
	for (size_t i = 0; i < now->path.n; i++) {
		const char *path;
		bool importable;

		site.directory = imp_case_directory(c, now->path.v[i]);
		if (strcmp(site.directory, dir) &&
		    imp_environment_holds(c->host, c->a, &site, c->f->module, &path, &importable) ==
			    1)
			return true;
	}
	return false;
}

static const char *after_renaming(const struct imp_case *c, const char *dir, const char *file)
{
	struct imp_install_command command;
	struct imp_command_line line;
	const char *script = "";

	if (imp_remedy_line(c, &line) && line.how == IMP_RUN_SCRIPT &&
	    !strcmp(imp_path_normalize(c->a, imp_case_directory(c, line.what)), file))
		script = " (the program has a new name then)";
	if (is_behind(c, dir))
		return imp_arena_printf(c->a, "%s, so that %s is found again", script, c->f->module);
	if (!c->py || imp_installer_install(c->host, c->a, c->image, c->py, c->f->module, false,
					    &command, 1) < 1)
		return script;
	return imp_arena_printf(c->a, "%s; then install the package that is meant (%s)", script,
				command.command);
}

static void remedy_shadowed(struct imp_case *c)
{
	const char *file = c->f->path, *slash = file ? strrchr(file, '/') : NULL;
	enum imp_path_origin origin;
	const char *dir, *what, *then;

	if (!slash)
		return;
	dir = imp_arena_strndup(c->a, file, (size_t)(slash - file));
	what = file;
	if (!strncmp(slash + 1, "__init__.", 9)) { /* the directory is what took the name */
		what = dir;
		slash = strrchr(dir, '/');
		if (!slash)
			return;
		dir = imp_arena_strndup(c->a, dir, (size_t)(slash - dir));
	}
	origin = imp_path_origin_of(c, dir);
	then = after_renaming(c, dir, what);
	if (origin == IMP_ORIGIN_SITE || origin == IMP_ORIGIN_USER_SITE) {
		struct imp_distribution dist;

		if (!imp_distribution_of_file(c->host, c->a, dir, file, &dist) && dist.name)
			imp_finding_fix(c->a, c->f, IMP_LIKELY,
					imp_arena_printf(c->a, "%s%s -m pip uninstall %s",
							 imp_record_env(c->image, "PYTHONPATH") ?
								 "env -u PYTHONPATH " :
								 "",
							 quote(c, imp_remedy_python(c)),
							 quote(c, dist.name)),
					"removes the distribution that took the name");
	}
	/* An extension that was built from the very source which it hides: its name is the right one. */
	if (imp_ends_with(file, ".so") &&
	    imp_host_exists(c->host,
			    imp_arena_printf(c->a, "%s/%s.py", dir,
					     imp_path_name(imp_module_path(c->a, c->f->module)))) ==
		    1) {
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a, "mv %s %s", quote(c, file),
					 quote(c, imp_arena_printf(c->a, "%s.old", file))),
			"puts that build out of the way, so that the source beside it is taken; or build it again");
		return;
	}
	/* A whole standard library, of another Python: nobody may take that apart. */
	if (imp_host_exists(c->host, imp_path_join(c->a, dir, "os.py")) != 1)
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a, "mv %s %s", quote(c, what),
					 quote(c,
					       imp_arena_printf(c->a, "%s/my_%s", dir, slash + 1))),
			"gives it a name of its own%s; change what imports it under the old name",
			then);
	if (origin == IMP_ORIGIN_PYTHONPATH && is_behind(c, dir))
		imp_finding_fix(c->a, c->f, IMP_LIKELY, imp_remedy_drop_entry(c, dir),
				"takes %s from the search path", dir);
	if (!c->f->fixes.n)
		imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL, "take %s from the search path", dir);
}

/* A build for another Python would not be taken from a directory either. */
static bool is_accepted(const struct imp_case *c, const char *path)
{
	return !c->py ||
	       imp_abi_tag_accepted(imp_path_name(path), imp_case_tail(c), &c->py->suffixes);
}

static void unpack(struct imp_case *c, const char *archive)
{
	const char *dir = imp_arena_printf(c->a, "%s.d", archive), *again = NULL;
	const char *command =
		imp_arena_printf(c->a, "%s -m zipfile -e %s %s", quote(c, imp_remedy_python(c)),
				 quote(c, archive), quote(c, dir));
	struct imp_run_change change = {0};
	struct imp_command_line line;

	if (imp_remedy_line(c, &line) && line.how == IMP_RUN_SCRIPT &&
	    !strcmp(imp_path_normalize(c->a, imp_case_directory(c, line.what)),
		    imp_path_normalize(c->a, archive)))
		change.script = dir;
	else if (imp_path_origin_of(c, archive) == IMP_ORIGIN_PYTHONPATH)
		change.before = imp_arena_printf(
			c->a, "PYTHONPATH=%s",
			quote(c, imp_arena_printf(
					 c->a, "%s:%s", dir,
					 imp_case_text(imp_record_env(c->image, "PYTHONPATH")))));
	if (change.script || change.before)
		again = imp_remedy_run(c, &change);
	imp_finding_fix(c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a, "%s%s%s", command, again ? " && " : "",
					 imp_case_text(again)),
			again ? "unpacks the archive, and runs the program with %s" :
				"unpacks the archive; then put %s on the path in its place",
			dir);
}

static void remedy_archive(struct imp_case *c)
{
	const char *path = c->f->path, *end = path ? strstr(path, ".zip/") : NULL;
	const char *archive = NULL;

	for (size_t i = 0; !end && c->snapshot && i < c->snapshot->entries.n; i++) {
		size_t len = strlen(c->snapshot->entries.v[i].entry);

		if (c->snapshot->entries.v[i].state == IMP_PATH_FILE && path &&
		    !strncmp(path, c->snapshot->entries.v[i].entry, len))
			archive = c->snapshot->entries.v[i].entry;
	}
	if (end)
		archive = imp_arena_strndup(c->a, path, (size_t)(end - path) + 4);
	if (archive && is_accepted(c, path))
		unpack(c, archive);
	imp_remedy_install(c, c->module, false, IMP_POSSIBLE, NULL, "installs it as files");
}

/* Somebody's own module, that no installer brought: a stranger's distribution of that name is no remedy. */
static bool remedy_own(struct imp_case *c, const char *effect)
{
	if (!c->host->enabled || !c->f->path || imp_package_is_translated(imp_case_top(c)) ||
	    imp_remedy_is_installed(c, c->f->path))
		return false;
	imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
			imp_ends_with(c->f->path, ".py") ?
				"%s, in %s" :
				"%s: build %s again from its sources, for %s",
			effect, c->f->path, imp_case_python(c));
	return true;
}

static void remedy_dangling(struct imp_case *c)
{
	struct imp_distribution dist;
	struct imp_strings path;

	imp_case_path(c, &path);
	for (size_t i = 0; i < path.n; i++)
		if (!imp_distribution_of_file(c->host, c->a, path.v[i], c->f->path, &dist)) {
			imp_remedy_repair(c, &dist, c->f->path, "installs its file again");
			break;
		}
	imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL,
			"restore the link's target, or remove the link and install the module again");
}

void imp_remedy(struct imp_case *c)
{
	struct imp_arena *a = c->a;
	struct imp_finding *f = c->f;

	switch (f->cause) {
	case IMP_CAUSE_NOT_INSTALLED: remedy_absent(c); break;
	case IMP_CAUSE_INSTALLED_ELSEWHERE:
		/* judge_elsewhere.c knows why, and what helps; here is what is left */
		if (!f->fixes.n && home_is_set(c))
			remedy_home(c, IMP_LIKELY);
		break;
	case IMP_CAUSE_ABI_TAG_MISMATCH: imp_remedy_tag(c); break;
	case IMP_CAUSE_BROKEN_INSTALLATION:
		if (!f->fixes.n)
			imp_remedy_install(c, c->module, true, IMP_LIKELY, NULL,
					   "puts the missing file back");
		break;
	case IMP_CAUSE_MIXED_INSTALLATION:
		if (f->fixes.n)
			break;
		imp_remedy_install(c, imp_case_top(c), true, IMP_LIKELY, NULL,
				   "installs one whole copy in place of the mixed one");
		imp_finding_fix(a, f, IMP_POSSIBLE, NULL, "remove the copy that is not wanted");
		break;
	case IMP_CAUSE_STDLIB_EXTENSION_NOT_BUILT: remedy_stdlib(c); break;
	case IMP_CAUSE_FROZEN_BUNDLE_INCOMPLETE:
		imp_finding_fix(
			a, f, IMP_LIKELY, NULL,
			"freeze the program again and name %s among the modules to include (PyInstaller: --hidden-import %s)",
			c->module, c->module);
		break;
	case IMP_CAUSE_VERSION_MISMATCH:
		if (f->library)
			break; /* of a libpython: judge_other_python.c */
		if (f->path && imp_ends_with(f->path, ".pyc"))
			break; /* judge_compiled.c has said it */
		if (remedy_own(c, "fit it to the versions that are installed"))
			break;
		imp_remedy_install(c, f->module, true, IMP_LIKELY, NULL,
				   "installs both parts anew, in versions that belong together");
		break;
	case IMP_CAUSE_SHADOWED:
		if (!f->fixes.n) /* else the name is that of a namespace package: judge_copies.c */
			remedy_shadowed(c);
		break;
	case IMP_CAUSE_BLOCKED:
		if (!f->fixes.n) /* else judge_finder.c knows what is in the way */
			imp_finding_fix(
				a, f, IMP_POSSIBLE, NULL, "%s",
				f->path ?
					"change the hook, if the module is wanted" :
					"find what sets that entry to None, and remove it if the module is wanted");
		break;
	case IMP_CAUSE_STALE_FINDER_CACHE:
		if (!f->fixes.n)
			imp_finding_fix(
				a, f, IMP_LIKELY, NULL,
				"call importlib.invalidate_caches() after the file has been written and before it is imported");
		break;
	case IMP_CAUSE_NOT_IMPORTABLE_FROM_ARCHIVE: remedy_archive(c); break;
	case IMP_CAUSE_CASE_MISMATCH:
		imp_finding_fix(a, f, IMP_LIKELY, NULL,
				"write the name as the file has it, where it is imported");
		break;
	case IMP_CAUSE_DANGLING_SYMLINK:
		if (f->library)
			imp_remedy_loader(c);
		else
			remedy_dangling(c);
		break;
	case IMP_CAUSE_PERMISSION_DENIED:
		if (!f->fixes.n) /* else the dynamic loader refused it: judge_loader.c */
			imp_remedy_permission(c);
		break;
	case IMP_CAUSE_REINITIALIZATION_REFUSED:
		imp_finding_fix(
			a, f, IMP_LIKELY, NULL,
			"import it once, in the main interpreter, and keep it; or use a process of its own for each use");
		break;
	case IMP_CAUSE_CIRCULAR_IMPORT:
		imp_finding_fix(
			a, f, IMP_LIKELY, NULL,
			"break the circle: move what both need into a third module, or import it within the function that uses it");
		break;
	case IMP_CAUSE_MISSING_ATTRIBUTE:
		if (f->path && (imp_case_has(f->path, "/site-packages/") ||
				imp_case_has(f->path, "/dist-packages/")))
			imp_remedy_install(
				c, imp_arena_strndup(a, f->module, strcspn(f->module, ".")), true,
				IMP_POSSIBLE, NULL,
				"installs the package's current version, which may have it");
		if (f->path && imp_host_is_directory(c->host, f->path)) {
			imp_remedy_namespace_directory(c);
			break;
		}
		imp_finding_fix(
			a, f, IMP_POSSIBLE, NULL,
			"use what this version of %s offers, or install the version that the program was written for",
			f->module);
		break;
	case IMP_CAUSE_MISSING_INIT_FUNCTION:
		imp_remedy_loader(c);
		imp_finding_fix(
			a, f, IMP_POSSIBLE, NULL,
			"build the module under the name that it is imported by, or give the file the name that it was built for");
		break;
	case IMP_CAUSE_INIT_FAILED:
		if (remedy_own(c, "mend what its own code complains of"))
			break;
		imp_remedy_install(c, imp_case_top(c), true, IMP_POSSIBLE, NULL,
				   "installs it again, in case it and what it uses do not fit");
		break;
	default: imp_remedy_loader(c); break;
	}
}
