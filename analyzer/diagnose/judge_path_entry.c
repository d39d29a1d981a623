/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * installed-elsewhere, by a slip of the pen: an entry of the search path that was to lead to the module, and does not as
 * it is written (~, $HOME, quotes, ';', the module itself), or that has what only site directories make use of.
 */
#include <ctype.h>
#include <string.h>

#include "../python/command_line.h"
#include "../python/module_file.h"
#include "../python/package_name.h"
#include "judge.h"
#include "judge_elsewhere.h"
#include "path_origin.h"

#define BELOW_MAX 256 /* names of a directory that are looked at */

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
	return value ? imp_arena_printf(c->a, "%.*s%s%s", (int)(dollar - entry), entry, value, rest) :
		       NULL;
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
	const char *path = imp_path_normalize(c->a, imp_case_directory(c, entry)),
		   *top = imp_case_top(c);
	const char *name = imp_path_name(path);

	if (strcmp(name, top) && strcmp(name, imp_arena_printf(c->a, "%s.py", top)))
		return NULL;
	return imp_path_parent(c->a, path);
}

static bool tell(struct imp_case *c, const char *where, const char *entry, const char *meant,
		 const char *why)
{
	const char *dir, *path;

	if (!meant)
		return false;
	dir = imp_path_normalize(c->a, imp_case_directory(c, meant));
	path = imp_path_on(&imp_case_sys_path(c)->path, dir) ? NULL : imp_elsewhere_held(c, dir);
	if (!path)
		return false;
	imp_elsewhere_tell(c, path, dir,
			   imp_arena_printf(c->a, "%s names it as \"%s\", and %s", where, entry,
					    why));
	imp_remedy_run_path(c, dir, imp_arena_printf(c->a, "names %s as Python reads it", dir));
	imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL, "write %s in place of \"%s\" where %s is set",
			dir, entry, where);
	return true;
}

static bool mistaken(struct imp_case *c, const char *where, const char *entry)
{
	static const char marks[] = ";,|";

	if (tell(c, where, entry, expand_home(c, entry),
		 "only a shell makes a home directory of \"~\"; to Python it is a name") ||
	    tell(c, where, entry, expand_variable(c, entry),
		 "only a shell puts in a variable's value; to Python it is a name") ||
	    tell(c, where, entry, without_quotes(c, entry),
		 "the quotes or blanks at its ends are a part of that name"))
		return true;
	/* On sys.path, that is where a script lies in its package: judge_elsewhere.c tells how to run it. */
	if (!strcmp(where, "PYTHONPATH") &&
	    tell(c, where, entry, holder(c, entry),
		 "that is the module itself: what has to be there is the directory that holds it"))
		return true;
	for (const char *part = entry; strpbrk(entry, marks) && *part;
	     part += strcspn(part, marks), part += *part != '\0')
		if (tell(c, where, entry, imp_arena_strndup(c->a, part, strcspn(part, marks)),
			 "entries are parted by ':'; to Python it is a single name"))
			return true;
	return false;
}

/* .pth files and eggs count in site directories alone. */
static bool through_pth(struct imp_case *c, const char *entry)
{
	struct imp_site site = {.kind = IMP_SITE_SYSTEM, .directory = imp_case_directory(c, entry)};
	enum imp_path_origin origin = imp_path_origin_of(c, entry);
	struct imp_strings names = {0};
	unsigned int major = 0, minor = 0;
	const char *path = NULL, *egg;
	bool importable;

	if (origin == IMP_ORIGIN_SITE || origin == IMP_ORIGIN_USER_SITE ||
	    origin == IMP_ORIGIN_DEFAULT)
		return false;
	imp_case_version(c, &major, &minor);
	site.major = (int)major;
	site.minor = (int)minor;
	imp_host_list(c->host, c->a, site.directory, &names);
	for (size_t i = 0; i < names.n; i++) {
		egg = imp_path_join(c->a, site.directory, names.v[i]);
		path = imp_ends_with(egg, ".egg") && imp_host_is_directory(c->host, egg) ?
			       imp_elsewhere_held(c, egg) :
			       NULL;
		if (!path)
			continue;
		imp_elsewhere_tell(
			c, path, egg,
			imp_arena_printf(
				c->a,
				"an egg has to be on sys.path itself; a .pth file sees to that in site directories alone, and %s is none",
				site.directory));
		imp_remedy_run_path(c, egg, "names the egg itself");
		return true;
	}
	if (!c->host->enabled || imp_elsewhere_lies(c, site.directory) ||
	    imp_environment_holds(c->host, c->a, &site, c->module, &path, &importable) != 1 ||
	    !importable || imp_starts_with(path, imp_arena_printf(c->a, "%s/", site.directory)) ||
	    imp_elsewhere_searched(c, path))
		return false;
	egg = imp_path_parent(c->a, path);
	if (imp_ends_with(path, "/__init__.py"))
		egg = imp_path_parent(c->a, egg);
	imp_elsewhere_tell(
		c, path, egg,
		imp_arena_printf(
			c->a,
			"a .pth file in %s names it, and Python reads those in site directories alone",
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

/* "mod-1.0", "mod-main", "mod" itself; any directory of a project, if no distribution has the name */
static bool may_hold(const struct imp_case *c, const char *name, bool shared)
{
	static const char *const others[] = {"build",	     "dist", "doc",   "docs",
					     "node_modules", "test", "tests", "__pycache__"};
	const char *top = imp_case_top(c);
	size_t len = strlen(top);

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(name, others[i]))
			return false;
	if (imp_starts_with(name, top) && (!name[len] || name[len] == '-'))
		return true;
	return name[0] != '.' && !shared && !imp_package_is_translated(c->module) &&
	       !imp_package_is_stdlib(c->module, NULL);
}

static bool tell_below(struct imp_case *c, const char *path, const char *dir, const char *why)
{
	imp_elsewhere_tell(c, path, dir, why);
	c->f->optional = true; /* nobody said that it was to be found there */
	imp_remedy_run_path(c, dir, imp_arena_printf(c->a, "puts %s on the search path", dir));
	imp_remedy_install_project(c, dir);
	return true;
}

static bool below(struct imp_case *c, const char *entry)
{
	const char *home = imp_record_env(c->image, "HOME"),
		   *dir = imp_path_normalize(c->a, imp_case_directory(c, entry));
	bool shared = !strcmp(dir, "/") || !strcmp(dir, "/tmp") || (home && !strcmp(dir, home)) ||
		      imp_starts_with(dir, "/usr/");
	struct imp_strings names = {0};

	if (imp_host_list(c->host, c->a, dir, &names))
		return false;
	for (size_t i = 0; i < names.n && i < BELOW_MAX; i++) {
		const char *child = imp_path_join(c->a, dir, names.v[i]), *path;

		if (!may_hold(c, names.v[i], shared) || !imp_host_is_directory(c->host, child))
			continue;
		path = imp_elsewhere_held(c, child);
		if (!path) {
			child = imp_path_join(c->a, child, "src");
			path = imp_elsewhere_held(c, child);
		}
		if (path)
			return tell_below(
				c, path, child,
				imp_arena_printf(c->a,
						 "%s is, and not what lies in a directory below it",
						 dir));
	}
	return false;
}

/* The directory that is searched is the one that the link leads to. */
static bool beside_link(struct imp_case *c)
{
	struct imp_command_line line;
	const char *script, *real, *dir, *path;

	if (!imp_remedy_line(c, &line) || line.how != IMP_RUN_SCRIPT)
		return false;
	script = imp_path_normalize(c->a, imp_case_directory(c, line.what));
	dir = imp_path_parent(c->a, script);
	if (imp_host_realpath(c->host, c->a, script, &real) ||
	    !strcmp(imp_path_parent(c->a, real), dir) ||
	    imp_path_on(&imp_case_sys_path(c)->path, dir))
		return false;
	path = imp_elsewhere_held(c, dir);
	return path &&
	       tell_below(c, path, dir,
			  imp_arena_printf(
				  c->a, "%s is a link, and what is searched is the directory of %s",
				  script, real));
}

bool imp_judge_below(struct imp_case *c)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);

	if (!c->py || !now || !c->host->enabled)
		return false;
	for (size_t i = 0; i < now->path.n; i++) {
		enum imp_path_origin origin = imp_path_origin_of(c, now->path.v[i]);

		if ((origin == IMP_ORIGIN_SCRIPT || origin == IMP_ORIGIN_PYTHONPATH) &&
		    below(c, now->path.v[i]))
			return true;
	}
	return beside_link(c);
}
