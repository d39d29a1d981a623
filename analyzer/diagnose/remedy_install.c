/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Remedies that install something. */
#include "remedy.h"

#include <string.h>

#include "../python/command_line.h"
#include "../python/installer.h"
#include "../python/module_file.h"
#include "../python/package_name.h"
#include "path_origin.h"
#include "requirement.h"

#define PROJECT_MAX (1U << 20) /* bytes of a pyproject.toml */

const char *imp_remedy_python(const struct imp_case *c)
{
	const char *command = c->py ? imp_installer_python(c->host, c->a, c->image, c->py) : NULL;

	return command ? command : "python3";
}

const char *imp_remedy_foreign_home(const struct imp_case *c)
{
	const char *home = imp_record_env(c->image, "PYTHONHOME"), *exe = c->image->exe, *own,
		   *theirs;
	unsigned int major, minor;

	if (!home || !*home || !exe || imp_case_flag(c, "ignore_environment") ||
	    imp_case_flag(c, "isolated") || !imp_case_version(c, &major, &minor))
		return NULL;
	own = imp_arena_printf(c->a, "%s/lib/python%u.%u",
			       imp_path_parent(c->a, imp_path_parent(c->a, exe)), major, minor);
	theirs = imp_arena_printf(c->a, "%.*s/lib/python%u.%u", (int)strcspn(home, ":"), home,
				  major, minor);
	if (imp_host_exists(c->host, imp_path_join(c->a, own, "os.py")) != 1 ||
	    imp_host_realpath(c->host, c->a, own, &own))
		return NULL; /* a program that embeds Python, or one that was moved */
	return !imp_host_realpath(c->host, c->a, theirs, &theirs) && !strcmp(own, theirs) ? NULL :
											    home;
}

static bool has_metadata(const struct imp_case *c, const char *dir, const char *distribution)
{
	struct imp_strings names = {0};
	const char *name, *version;

	if (imp_host_list(c->host, c->a, dir, &names))
		return false;
	for (size_t i = 0; i < names.n; i++)
		if (!imp_distribution_parse_name(c->a, names.v[i], &name, &version) &&
		    imp_package_same_name(name, distribution))
			return true;
	return false;
}

/* Does an installed distribution bear that name: on the search path, or where the module was found? */
static bool is_known(const struct imp_case *c, const char *distribution)
{
	const struct imp_sys_path *path = imp_case_sys_path(c);
	const char *dir = c->f->path;

	for (size_t i = 0; path && i < path->path.n; i++)
		if (has_metadata(c, imp_case_directory(c, path->path.v[i]), distribution))
			return true;
	for (int up = 0; dir && up < 3 && strcmp(dir, "/") && strcmp(dir, "."); up++) {
		dir = imp_path_parent(c->a, dir);
		if (has_metadata(c, dir, distribution))
			return true;
	}
	return false;
}

static void add(struct imp_case *c, const struct imp_install_command *command,
		enum imp_confidence confidence, const char *before, const char *effect)
{
	const char *text = command->command;
	struct imp_command_line line;
	const char *again = NULL;
	unsigned int major, minor;

	if (before && text)
		text = imp_arena_printf(c->a, "%s && %s", before, text);
	if (!command->environment) {
		imp_finding_fix(c->a, c->f, confidence, text, "%s (%s)", effect, command->package);
		return;
	}
	/* A host program that embeds Python: no interpreter runs it, yet it may look into the environment. */
	if (!imp_remedy_line(c, &line) && imp_case_version(c, &major, &minor)) {
		const char *site = imp_arena_printf(c->a, "%s/lib/python%u.%u/site-packages",
						    command->environment, major, minor);

		if (c->image->cwd)
			site = imp_path_join(c->a, c->image->cwd, site);
		imp_finding_fix(
			c->a, c->f, confidence, text,
			"makes a virtual environment, %s, and installs %s there, since the system manages this Python; "
			"then start the program with PYTHONPATH=%s",
			command->environment, command->package, imp_shell_quote(c->a, site));
		return;
	}
	again = imp_remedy_run_with(c,
				    imp_arena_printf(c->a, "%s/bin/python", command->environment));
	imp_finding_fix(
		c->a, c->f, confidence, text,
		"makes a virtual environment, %s, and installs %s there, since the system manages this Python; "
		"then run the program with it%s%s",
		command->environment, command->package, again ? ": " : "", again ? again : "");
}

void imp_remedy_install(struct imp_case *c, const char *module, bool reinstall,
			enum imp_confidence confidence, const char *before, const char *effect)
{
	struct imp_install_command commands[4];
	struct imp_image bare = *c->image;
	const char *who, *entry;
	int n;

	if (!c->py)
		return;
	if (!reinstall && imp_remedy_foreign_home(c)) {
		imp_finding_fix(
			c->a, c->f, IMP_POSSIBLE, "unset PYTHONHOME",
			"lets this Python find its own directories; only what is missing then has to be installed");
		return;
	}
	entry = reinstall && !before ? imp_remedy_copy_entry(c) : NULL;
	if (entry) { /* else that copy would be taken again, whatever is installed */
		const char *copy = imp_remedy_copy_behind(c, entry);

		before = imp_remedy_drop_entry(c, entry);
		if (copy)
			imp_finding_fix(
				c->a, c->f, confidence, before,
				"takes %s from the search path, so that the copy behind it is taken (%s)",
				entry, copy);
		effect = imp_arena_printf(
			c->a, "takes %s, which would come first, from the search path, and %s",
			entry, effect);
	}
	if (before &&
	    !strcmp(before, "unset PYTHONPATH")) { /* then there is nothing to keep from pip */
		memset(&bare.env, 0, sizeof(bare.env));
		for (size_t i = 0; i < c->image->env.n; i++)
			if (strncmp(c->image->env.v[i], "PYTHONPATH=", 11))
				*imp_vec_push(c->a, &bare.env) = c->image->env.v[i];
	}
	n = imp_installer_install(c->host, c->a, &bare, c->py, module, reinstall, commands, 4);
	for (int i = 0; i < n; i++) {
		bool sure = commands[i].certain && !i &&
			    (!commands[i].guessed || is_known(c, commands[i].package) ||
			     imp_requirement_of(c, commands[i].package, &who));

		add(c, &commands[i], sure ? confidence : IMP_POSSIBLE, before, effect);
	}
}

void imp_remedy_repair(struct imp_case *c, const struct imp_distribution *dist, const char *path,
		       const char *effect)
{
	struct imp_install_command commands[4];
	const char *entry;
	int n;

	if (!c->py)
		return;
	entry = imp_remedy_target(c);
	n = imp_installer_repair(c->host, c->a, c->image, c->py, dist, path,
				 entry ? imp_case_directory(c, entry) : NULL, commands, 4);
	for (int i = 0; i < n; i++)
		add(c, &commands[i], commands[i].certain && !i ? IMP_LIKELY : IMP_POSSIBLE, NULL,
		    effect);
}

/* Can pip install what lies here? A pyproject.toml may also hold the settings of tools alone. */
static bool is_project(const struct imp_case *c, const char *dir)
{
	char *text;
	size_t len;

	if (imp_host_exists(c->host, imp_path_join(c->a, dir, "setup.py")) == 1)
		return true;
	return !imp_host_read(c->host, c->a, imp_path_join(c->a, dir, "pyproject.toml"),
			      PROJECT_MAX, &text, &len) &&
	       (strstr(text, "[project]") || strstr(text, "[build-system]"));
}

void imp_remedy_install_project(struct imp_case *c, const char *dir)
{
	struct imp_install_command commands[2];
	bool here;
	int n;

	for (int up = 0; up < 3; up++, dir = imp_path_parent(c->a, dir)) {
		if (dir[0] != '/' || !dir[1])
			return;
		if (is_project(c, dir))
			break;
		if (up == 2)
			return;
	}
	if (!c->py)
		return;
	here = c->image->cwd && !strcmp(c->image->cwd, dir);
	n = imp_installer_editable(c->host, c->a, c->image, c->py, here ? "." : dir, commands, 2);
	for (int i = 0; i < n; i++) {
		commands[i].package = here ? "this project" : dir;
		add(c, &commands[i], commands[i].certain && !i ? IMP_LIKELY : IMP_POSSIBLE, NULL,
		    "installs the project in such a way that its sources are used");
	}
}

bool imp_remedy_is_installed(const struct imp_case *c, const char *path)
{
	struct imp_distribution dist;
	struct imp_strings entries;

	if (!path)
		return false;
	if (strstr(path, "/site-packages/") || strstr(path, "/dist-packages/"))
		return true;
	imp_case_path(c, &entries);
	for (size_t i = 0; i < entries.n; i++)
		if (!imp_distribution_of_file(c->host, c->a, imp_case_directory(c, entries.v[i]),
					      path, &dist))
			return true;
	if (imp_case_sys_path(c))
		entries = imp_case_sys_path(c)->path;
	for (size_t i = 0; i < entries.n; i++)
		if (!imp_distribution_of_file(c->host, c->a, imp_case_directory(c, entries.v[i]),
					      path, &dist))
			return true;
	return false;
}
