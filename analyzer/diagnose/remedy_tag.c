/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mends abi-tag-mismatch: a build for this Python, or the Python that the build is for. */
#include "remedy.h"

#include <string.h>

#include "../python/distribution.h"
#include "../python/environment.h"
#include "../python/installer.h"
#include "../python/module_file.h"
#include "../python/package_name.h"
#include "path_origin.h"

/* The Python that a directory belongs to, if there is one on this machine. */
static const char *interpreter_of(const struct imp_case *c, const char *dir)
{
	const struct imp_sites *sites = imp_case_sites(c, true);

	for (size_t i = 0; sites && i < sites->n; i++) {
		const char *path;
		bool importable = false;

		if (sites->v[i].interpreter && !strcmp(sites->v[i].directory, dir) &&
		    imp_environment_holds(c->host, c->a, &sites->v[i], c->module, &path,
					  &importable) == 1 &&
		    importable)
			return sites->v[i].interpreter;
	}
	return NULL;
}

/* The entry of the search path that a file of the module lies under: "pkg._native" is one directory below. */
static const char *entry_of(const struct imp_case *c, const char *file)
{
	const char *dir = imp_path_parent(c->a, file);

	if (imp_starts_with(imp_path_name(file), "__init__."))
		dir = imp_path_parent(c->a, dir);
	for (const char *dot = c->module; (dot = strchr(dot, '.')); dot++)
		dir = imp_path_parent(c->a, dir);
	return dir;
}

/*
 * A package that PYTHONPATH leads to is taken before any that is installed, and its parts come from there: only
 * without that entry does another copy count. A module that is a single file of another Python's is passed over.
 */
static void remedy_tag_in_package(struct imp_case *c, const char *entry, const char *effect)
{
	const char *drop = imp_remedy_drop_entry(c, entry), *copy = imp_remedy_copy_behind(c, entry);

	if (copy) {
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, drop,
			"takes %s from the search path: %s, which is for this Python, is then found",
			entry, copy);
		return;
	}
	imp_remedy_install(
		c, c->module, true, IMP_LIKELY, drop,
		imp_arena_printf(c->a,
				 "takes %s, which would come first, from the search path, and %s",
				 entry, effect));
}

/*
 * "pip install --target", for another Python, into a directory that the program itself puts on the path: the package
 * there comes first, so its parts have to be put right there.
 */
static bool remedy_tag_in_place(struct imp_case *c, const char *effect)
{
	const char *entry = imp_case_parent(c) ? imp_remedy_target(c) : NULL;
	struct imp_distribution dist;
	size_t before = c->f->fixes.n;

	if (entry && !imp_distribution_of_file(c->host, c->a, imp_case_directory(c, entry),
					       c->f->path, &dist))
		imp_remedy_repair(c, &dist, c->f->path, effect);
	return c->f->fixes.n != before;
}

void imp_remedy_tag(struct imp_case *c)
{
	const char *entry = entry_of(c, c->f->path), *python;
	bool from_env = imp_path_env_has(c, entry);
	char *effect = imp_arena_printf(c->a, "installs a build of it for %s", imp_case_python(c));
	bool own = c->host->enabled && !imp_package_is_translated(c->module) &&
		   !imp_remedy_is_installed(c, c->f->path);

	if (own) {
		imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL,
				"build it again from its sources, for %s", imp_case_python(c));
		imp_remedy_install_project(c, imp_path_parent(c->a, c->f->path));
	} else if (from_env && imp_case_parent(c))
		remedy_tag_in_package(c, entry, effect);
	else if (!remedy_tag_in_place(c, effect))
		imp_remedy_install(c, c->module, true, IMP_LIKELY, NULL, effect);
	python = interpreter_of(c, entry);
	if (python)
		imp_finding_fix(c->a, c->f, IMP_LIKELY, imp_remedy_run_with(c, python),
				"runs the program with %s, the Python that %s belongs to", python,
				entry);
	/* A module of somebody's own is nowhere else, unless another copy was seen. */
	if (from_env && (!own || imp_remedy_copy_behind(c, entry)))
		imp_finding_fix(
			c->a, c->f, IMP_POSSIBLE, imp_remedy_drop_entry(c, entry),
			"keeps this Python from searching %s, which holds files for another one",
			entry);
}
