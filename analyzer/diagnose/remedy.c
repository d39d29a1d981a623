/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mends it: for each cause, the commands that the evidence allows, best first. */
#include <string.h>
#include <sys/stat.h>

#include "../python/abi_tag.h"
#include "../python/distribution.h"
#include "../python/environment.h"
#include "../python/installer.h"
#include "../python/package_name.h"
#include "judge.h"
#include "path_origin.h"

#define COMMAND_MAX 300		/* bytes of a command line that a person would still type */

static const char *quote(const struct imp_case *c, const char *word)
{
	return imp_shell_quote(c->a, word);
}

static const char *sudo(const struct imp_case *c)
{
	return c->image->ids_known && c->image->euid ? "sudo " : "";
}

const char *imp_remedy_run_with(const struct imp_case *c, const char *interpreter)
{
	char *line = imp_arena_printf(c->a, "%s", quote(c, interpreter));

	for (size_t i = 1; i < c->image->argv.n; i++) {
		if (strchr(c->image->argv.v[i], '\n'))
			return NULL;	/* a program given with -c: nobody types that again */
		line = imp_arena_printf(c->a, "%s %s", line, quote(c, c->image->argv.v[i]));
	}
	return c->image->argv.n && strlen(line) <= COMMAND_MAX ? line : NULL;
}

static void install(struct imp_case *c, const char *module, bool reinstall,
		    enum imp_confidence confidence, const char *effect)
{
	struct imp_install_command commands[4];
	int n;

	if (!c->py)
		return;
	n = imp_installer_install(c->host, c->a, c->image, c->py, module, reinstall, commands, 4);
	for (int i = 0; i < n; i++)
		imp_finding_fix(c->a, c->f, commands[i].certain && !i ? confidence : IMP_POSSIBLE,
				commands[i].command, "%s (%s)", effect, commands[i].package);
}

void imp_remedy_repair(struct imp_case *c, const struct imp_distribution *dist, const char *path,
		       const char *effect)
{
	struct imp_install_command commands[4];
	int n;

	if (!c->py)
		return;
	n = imp_installer_repair(c->host, c->a, c->image, c->py, dist, path, commands, 4);
	for (int i = 0; i < n; i++)
		imp_finding_fix(c->a, c->f, commands[i].certain && !i ? IMP_LIKELY : IMP_POSSIBLE,
				commands[i].command, "%s (%s)", effect, commands[i].package);
}

static const char *python_command(const struct imp_case *c)
{
	const char *command = c->py ? imp_installer_python(c->host, c->a, c->py) : NULL;

	return command ? command : "python3";
}

/* The Python that a directory belongs to, if there is one on this machine. */
static const char *interpreter_of(const struct imp_case *c, const char *dir)
{
	const struct imp_sites *sites = imp_case_sites(c, true);

	for (size_t i = 0; sites && i < sites->n; i++) {
		const char *path;
		bool importable = false;

		if (sites->v[i].interpreter && !strcmp(sites->v[i].directory, dir) &&
		    imp_environment_holds(c->host, c->a, &sites->v[i], c->module, &path, &importable) == 1 &&
		    importable)
			return sites->v[i].interpreter;
	}
	return NULL;
}

static void remedy_tag(struct imp_case *c)
{
	const char *slash = strrchr(c->f->path, '/'), *dir, *python;
	char *effect = imp_arena_printf(c->a, "installs a build of it for %s", imp_case_python(c));

	install(c, c->module, true, IMP_LIKELY, effect);
	dir = imp_arena_strndup(c->a, c->f->path, slash ? (size_t)(slash - c->f->path) : 0);
	python = interpreter_of(c, dir);
	if (python)
		imp_finding_fix(c->a, c->f, IMP_LIKELY, imp_remedy_run_with(c, python),
				"runs the program with %s, the Python that %s belongs to", python, dir);
	if (imp_path_origin_of(c, dir) == IMP_ORIGIN_PYTHONPATH)
		imp_finding_fix(c->a, c->f, IMP_POSSIBLE, "unset PYTHONPATH",
				"keeps this Python from searching %s, which holds files for another one", dir);
}

static void remedy_absent(struct imp_case *c)
{
	const char *parent = imp_case_parent(c), *successor;

	if (parent) {
		install(c, imp_case_top(c), true, IMP_POSSIBLE,
			"installs the package again, in case this copy is incomplete");
		imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
				"install the version of %s that has %s, or change the program to what this version offers",
				imp_case_top(c), c->module);
		return;
	}
	if (!imp_package_is_stdlib(c->module, NULL) && !imp_package_python2_successor(c->module)) {
		install(c, c->module, false, IMP_LIKELY, "installs it for this very interpreter");
		return;
	}
	if (!strcmp(c->module, "encodings") && imp_record_env(c->image, "PYTHONHOME")) {
		imp_finding_fix(c->a, c->f, IMP_LIKELY, "unset PYTHONHOME",
				"lets this Python find its own standard library");
		return;
	}
	install(c, c->module, false, IMP_LIKELY, "installs what this Python's standard library has not");
	successor = imp_package_python2_successor(c->module);
	imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
			"%s %s", successor ? "import Python 3's name for it," :
			"run the program with a Python that has it, or change it to do without",
			successor ? successor : c->module);
}

static void remedy_stdlib(struct imp_case *c)
{
	const char *debian = c->py && imp_installer_is_debian(c->host, c->py)
				     ? imp_package_debian_name(c->host, c->a, c->module) : NULL;
	const char *needs = imp_package_build_dependency(c->module);
	const char *version = c->py ? imp_case_has(c->py->base_prefix, "/.pyenv/versions/")
					      ? strstr(c->py->base_prefix, "/versions/") + 10 : NULL : NULL;

	if (debian) {
		imp_finding_fix(c->a, c->f, IMP_LIKELY,
				imp_arena_printf(c->a, "%sapt install %s", sudo(c), quote(c, debian)),
				"installs the part of the standard library that Debian ships separately");
		return;
	}
	if (version && needs)
		imp_finding_fix(c->a, c->f, IMP_LIKELY,
				imp_arena_printf(c->a, "%sapt install %s && pyenv install --force %s", sudo(c), needs,
						 quote(c, version)),
				"builds this Python again, with what %s needs", c->module);
	else
		imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL, "build this Python again with %s installed, or use another build of it",
				needs ? needs : "the library that it needs");
}

static void remedy_shadowed(struct imp_case *c)
{
	const char *file = c->f->path, *slash = file ? strrchr(file, '/') : NULL;
	enum imp_path_origin origin;
	const char *dir, *what;

	if (!slash)
		return;
	dir = imp_arena_strndup(c->a, file, (size_t)(slash - file));
	what = file;
	if (!strncmp(slash + 1, "__init__.", 9)) {	/* the directory is what took the name */
		what = dir;
		slash = strrchr(dir, '/');
		if (!slash)
			return;
		dir = imp_arena_strndup(c->a, dir, (size_t)(slash - dir));
	}
	origin = imp_path_origin_of(c, dir);
	if (origin == IMP_ORIGIN_SITE || origin == IMP_ORIGIN_USER_SITE) {
		struct imp_distribution dist;

		if (!imp_distribution_of_file(c->host, c->a, dir, file, &dist) && dist.name)
			imp_finding_fix(c->a, c->f, IMP_LIKELY,
					imp_arena_printf(c->a, "%s%s -m pip uninstall %s",
							 imp_record_env(c->image, "PYTHONPATH") ? "env -u PYTHONPATH " : "",
							 quote(c, python_command(c)), quote(c, dist.name)),
					"removes the distribution that took the name");
	}
	imp_finding_fix(c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a, "mv %s %s", quote(c, what),
					 quote(c, imp_arena_printf(c->a, "%s/my_%s", dir, slash + 1))),
			"gives it a name of its own, so that %s is found again; change what imports it under the old name",
			c->f->module);
	if (origin == IMP_ORIGIN_PYTHONPATH)
		imp_finding_fix(c->a, c->f, IMP_LIKELY, "unset PYTHONPATH", "takes %s from the search path", dir);
}

static void remedy_permission(struct imp_case *c)
{
	bool directory = false;
	struct stat st;

	if (!c->f->path)
		return;
	for (size_t i = 0; c->snapshot && i < c->snapshot->entries.n; i++)
		directory |= !strcmp(c->snapshot->entries.v[i].entry, c->f->path);
	if (!imp_host_stat(c->host, c->f->path, &st))
		directory = S_ISDIR(st.st_mode);
	imp_finding_fix(c->a, c->f, IMP_LIKELY,
			imp_arena_printf(c->a, "%schmod %s %s", sudo(c), directory ? "a+rx" : "a+r", quote(c, c->f->path)),
			"lets every user read it");
}

static void remedy_elsewhere(struct imp_case *c)
{
	const char *why = c->f->summary;

	if (imp_case_has(why, "PYTHONNOUSERSITE"))
		imp_finding_fix(c->a, c->f, IMP_LIKELY, "unset PYTHONNOUSERSITE", "switches the user's site directory on again");
	else if (imp_case_has(why, "the option -"))
		imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL, "start %s without that option", python_command(c));
	else if (imp_case_has(why, "the program has taken it away"))
		imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL, "mend the code that takes the directory from sys.path");
	install(c, c->module, false, IMP_LIKELY, "installs it for this very interpreter");
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
	if (archive)
		imp_finding_fix(c->a, c->f, IMP_LIKELY,
				imp_arena_printf(c->a, "%s -m zipfile -e %s %s", quote(c, python_command(c)), quote(c, archive),
						 quote(c, imp_arena_printf(c->a, "%s.d", archive))),
				"unpacks the archive; then put %s.d on the path in its place", archive);
	install(c, c->module, false, IMP_POSSIBLE, "installs it as files");
}

static void remedy_dangling(struct imp_case *c)
{
	struct imp_distribution dist;
	struct imp_strings path;

	imp_case_path(c, &path);
	for (size_t i = 0; i < path.n; i++)
		if (!imp_distribution_of_file(c->host, c->a, path.v[i], c->f->path, &dist)) {
			install(c, c->module, true, IMP_LIKELY, "installs its file again");
			break;
		}
	imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL, "restore the link's target, or remove the link and install the module again");
}

void imp_remedy(struct imp_case *c)
{
	struct imp_arena *a = c->a;
	struct imp_finding *f = c->f;

	switch (f->cause) {
	case IMP_CAUSE_NOT_INSTALLED:
		remedy_absent(c);
		break;
	case IMP_CAUSE_INSTALLED_ELSEWHERE:
		remedy_elsewhere(c);
		break;
	case IMP_CAUSE_ABI_TAG_MISMATCH:
		remedy_tag(c);
		break;
	case IMP_CAUSE_BROKEN_INSTALLATION:
		if (!f->fixes.n)
			install(c, c->module, true, IMP_LIKELY, "puts the missing file back");
		break;
	case IMP_CAUSE_MIXED_INSTALLATION:
		install(c, imp_case_top(c), true, IMP_LIKELY, "installs one whole copy in place of the mixed one");
		imp_finding_fix(a, f, IMP_POSSIBLE, NULL, "remove the copy that is not wanted");
		break;
	case IMP_CAUSE_STDLIB_EXTENSION_NOT_BUILT:
		remedy_stdlib(c);
		break;
	case IMP_CAUSE_FROZEN_BUNDLE_INCOMPLETE:
		imp_finding_fix(a, f, IMP_LIKELY, NULL, "freeze the program again and name %s among the modules to include (PyInstaller: --hidden-import %s)",
				c->module, c->module);
		break;
	case IMP_CAUSE_VERSION_MISMATCH:
		install(c, f->module, true, IMP_LIKELY, "installs both parts anew, in versions that belong together");
		break;
	case IMP_CAUSE_SHADOWED:
		remedy_shadowed(c);
		break;
	case IMP_CAUSE_BLOCKED:
		imp_finding_fix(a, f, IMP_POSSIBLE, NULL, "%s", f->path ? "change the hook, if the module is wanted"
								  : "find what sets that entry to None, and remove it if the module is wanted");
		break;
	case IMP_CAUSE_STALE_FINDER_CACHE:
		imp_finding_fix(a, f, IMP_LIKELY, NULL, "call importlib.invalidate_caches() after the file has been written and before it is imported");
		break;
	case IMP_CAUSE_NOT_IMPORTABLE_FROM_ARCHIVE:
		remedy_archive(c);
		break;
	case IMP_CAUSE_CASE_MISMATCH:
		imp_finding_fix(a, f, IMP_LIKELY, NULL, "write the name as the file has it, where it is imported");
		break;
	case IMP_CAUSE_DANGLING_SYMLINK:
		remedy_dangling(c);
		break;
	case IMP_CAUSE_PERMISSION_DENIED:
		remedy_permission(c);
		break;
	case IMP_CAUSE_REINITIALIZATION_REFUSED:
		imp_finding_fix(a, f, IMP_LIKELY, NULL, "import it once, in the main interpreter, and keep it; or use a process of its own for each use");
		break;
	case IMP_CAUSE_CIRCULAR_IMPORT:
		imp_finding_fix(a, f, IMP_LIKELY, NULL, "break the circle: move what both need into a third module, or import it within the function that uses it");
		break;
	case IMP_CAUSE_MISSING_ATTRIBUTE:
		if (f->path && (imp_case_has(f->path, "/site-packages/") || imp_case_has(f->path, "/dist-packages/")))
			install(c, imp_arena_strndup(a, f->module, strcspn(f->module, ".")), true, IMP_POSSIBLE,
				"installs the package's current version, which may have it");
		imp_finding_fix(a, f, IMP_POSSIBLE, NULL, "use what this version of %s offers, or install the version that the program was written for",
				f->module);
		break;
	case IMP_CAUSE_MISSING_INIT_FUNCTION:
		imp_finding_fix(a, f, IMP_POSSIBLE, NULL, "build the module under the name that it is imported by, or give the file the name that it was built for");
		break;
	case IMP_CAUSE_INIT_FAILED:
		install(c, imp_case_top(c), true, IMP_POSSIBLE, "installs it again, in case it and what it uses do not fit");
		break;
	default:
		break;
	}
}
