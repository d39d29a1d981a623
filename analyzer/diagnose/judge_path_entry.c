/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * installed-elsewhere, by a slip of the pen: an entry of the search path that was to lead to the module, and does not as
 * it is written (~, $HOME, quotes, ';', the module itself), or that has what only site directories make use of.
 */
#include <ctype.h>
#include <string.h>

#include "../python/module_file.h"
#include "judge.h"
#include "judge_elsewhere.h"
#include "path_origin.h"

/* "$HOME/lib", "${HOME}/lib" */
static const char *expand_variable(const struct imp_case *c, const char *entry)
{
	const char *dollar = strchr(entry, '$'), *name, *rest, *value;
	bool braces;
	size_t len;

	if (!dollar)
		return NULL;
	braces = dollar[1] == '{';
	name = dollar + 1 + braces;
	for (len = 0; isalnum((unsigned char)name[len]) || name[len] == '_'; len++)
		;
	rest = name + len;
	if (!len || (braces && *rest++ != '}'))
		return NULL;
	value = imp_record_env(c->image, imp_arena_strndup(c->a, name, len));
	return value ? imp_arena_printf(c->a, "%.*s%s%s", (int)(dollar - entry), entry, value, rest) : NULL;
}

static const char *expand_home(const struct imp_case *c, const char *entry)
{
	const char *home = imp_record_env(c->image, "HOME");

	if (entry[0] != '~' || (entry[1] && entry[1] != '/') || !home)
		return NULL;
	return imp_arena_printf(c->a, "%s%s", home, entry + 1);
}

static const char *without_quotes(const struct imp_case *c, const char *entry)
{
	size_t start = strspn(entry, " \t\r\n\"'"), end = strlen(entry);

	while (end > start && strchr(" \t\r\n\"'", entry[end - 1]))
		end--;
	if (!start && !entry[end])
		return NULL;
	return imp_arena_strndup(c->a, entry + start, end - start);
}

/* The entry names the package, or the file, and not the directory that holds it. */
static const char *holder(const struct imp_case *c, const char *entry)
{
	const char *path = imp_path_normalize(c->a, imp_case_directory(c, entry)), *top = imp_case_top(c);
	const char *name = imp_path_name(path);

	if (strcmp(name, top) && strcmp(name, imp_arena_printf(c->a, "%s.py", top)))
		return NULL;
	return imp_path_parent(c->a, path);
}

static bool tell(struct imp_case *c, const char *where, const char *entry, const char *meant, const char *why)
{
	const char *dir, *path;

	if (!meant)
		return false;
	dir = imp_path_normalize(c->a, imp_case_directory(c, meant));
	path = imp_path_on(&imp_case_sys_path(c)->path, dir) ? NULL : imp_elsewhere_held(c, dir);
	if (!path)
		return false;
	imp_elsewhere_tell(c, path, dir, imp_arena_printf(c->a, "%s names it as \"%s\", and %s", where, entry, why));
	imp_remedy_run_path(c, dir, imp_arena_printf(c->a, "names %s as Python reads it", dir));
	imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL, "write %s in place of \"%s\" where %s is set", dir, entry, where);
	return true;
}

static bool mistaken(struct imp_case *c, const char *where, const char *entry)
{
	static const char marks[] = ";,|";

	if (tell(c, where, entry, expand_home(c, entry), "only a shell makes a home directory of \"~\"; to Python it is a name") ||
	    tell(c, where, entry, expand_variable(c, entry), "only a shell puts in a variable's value; to Python it is a name") ||
	    tell(c, where, entry, without_quotes(c, entry), "the quotes or blanks at its ends are a part of that name"))
		return true;
	/* On sys.path, that is where a script lies in its package: judge_elsewhere.c tells how to run it. */
	if (!strcmp(where, "PYTHONPATH") &&
	    tell(c, where, entry, holder(c, entry), "that is the module itself: what has to be there is the directory that holds it"))
		return true;
	for (const char *part = entry; strpbrk(entry, marks) && *part; part += strcspn(part, marks), part += *part != '\0')
		if (tell(c, where, entry, imp_arena_strndup(c->a, part, strcspn(part, marks)),
			 "entries are parted by ':'; to Python it is a single name"))
			return true;
	return false;
}

/* .pth files and eggs count in site directories alone. */
static bool through_pth(struct imp_case *c, const char *entry)
{
	struct imp_site site = { .kind = IMP_SITE_SYSTEM, .directory = imp_case_directory(c, entry) };
	enum imp_path_origin origin = imp_path_origin_of(c, entry);
	struct imp_strings names = { 0 };
	unsigned int major = 0, minor = 0;
	const char *path = NULL, *egg;
	bool importable;

	if (origin == IMP_ORIGIN_SITE || origin == IMP_ORIGIN_USER_SITE || origin == IMP_ORIGIN_DEFAULT)
		return false;
	imp_case_version(c, &major, &minor);
	site.major = (int)major;
	site.minor = (int)minor;
	imp_host_list(c->host, c->a, site.directory, &names);
	for (size_t i = 0; i < names.n; i++) {
		egg = imp_path_join(c->a, site.directory, names.v[i]);
		path = imp_ends_with(egg, ".egg") && imp_host_is_directory(c->host, egg) ? imp_elsewhere_held(c, egg) : NULL;
		if (!path)
			continue;
		imp_elsewhere_tell(c, path, egg, imp_arena_printf(c->a, "an egg has to be on sys.path itself; a .pth file sees to that in site directories alone, and %s is none",
								  site.directory));
		imp_remedy_run_path(c, egg, "names the egg itself");
		return true;
	}
	if (!c->host->enabled || imp_elsewhere_held(c, site.directory) ||
	    imp_environment_holds(c->host, c->a, &site, c->module, &path, &importable) != 1 || !importable ||
	    imp_starts_with(path, imp_arena_printf(c->a, "%s/", site.directory)))
		return false;
	egg = imp_path_parent(c->a, path);
	if (imp_ends_with(path, "/__init__.py"))
		egg = imp_path_parent(c->a, egg);
	imp_elsewhere_tell(c, path, egg, imp_arena_printf(c->a, "a .pth file in %s names it, and Python reads those in site directories alone",
							  site.directory));
	imp_remedy_run_path(c, egg, imp_arena_printf(c->a, "puts %s on the search path", egg));
	return true;
}

bool imp_judge_mistaken_entry(struct imp_case *c)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);
	const char *entry;

	if (!c->py || !now || imp_case_parent(c))
		return false;
	for (size_t i = 0; (entry = imp_path_env_entry(c, i)); i++)
		if (!imp_case_flag(c, "ignore_environment") && mistaken(c, "PYTHONPATH", entry))
			return true;
	for (size_t i = 0; i < now->path.n; i++)
		if (mistaken(c, "sys.path", now->path.v[i]) || through_pth(c, now->path.v[i]))
			return true;
	return false;
}
