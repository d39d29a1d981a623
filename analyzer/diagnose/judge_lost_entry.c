/* SPDX-License-Identifier: GPL-2.0-or-later */
/* installed-elsewhere: the directory would be searched, had not something taken it from the search path. */
#include "judge_elsewhere.h"

#include <string.h>
#include <sys/stat.h>

#include "../python/command_line.h"
#include "../python/installer.h"
#include "../python/module_file.h"
#include "judge.h"
#include "path_origin.h"

/* Which option is it? The command line may not be an interpreter's: then @letters[0], as the flag says. */
static char option_given(const struct imp_case *c, const char *letters)
{
	for (const char *l = letters; *l; l++)
		if (imp_command_line_has(&c->image->argv, *l))
			return *l;
	return letters[0];
}

/* The program itself has taken an entry away. */
static bool removed_entry(struct imp_case *c)
{
	const char *entry, *path;

	for (size_t i = 0; (entry = imp_path_lost(c, i)); i++) {
		path = imp_elsewhere_held(c, imp_case_directory(c, entry));
		if (!path)
			continue;
		imp_elsewhere_tell(c, path, entry,
				   "it was on sys.path before, and the program has taken it away");
		imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL,
				"mend the code that takes %s from sys.path", entry);
		return true;
	}
	return false;
}

/*
 * A relative entry, looked up from another working directory than the program was started in. The file
 * must be older than the run: else it may have come later.
 */
static bool left_behind(struct imp_case *c)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);
	struct stat st;

	for (size_t i = 0; i < now->path.n && c->image->cwd; i++) {
		const char *entry = now->path.v[i], *dir, *path;

		if (*entry == '/')
			continue;
		dir = imp_path_normalize(c->a, imp_case_directory(c, entry));
		path = imp_elsewhere_lies(c, dir);
		if (!path || imp_host_stat(c->host, path, &st) ||
		    st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec >= c->record->realtime_ns)
			continue;
		imp_elsewhere_tell(
			c, path, dir,
			imp_arena_printf(
				c->a,
				"sys.path names it as \"%s\", relative to the working directory, which the program has changed since it was started in %s",
				entry, c->image->cwd));
		imp_remedy_run_path(c, dir, "names the directory in full");
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, NULL,
			"put os.path.abspath(\"%s\") on sys.path, before the working directory is changed",
			entry);
		return true;
	}
	return false;
}

static bool ignored_variable(struct imp_case *c)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);
	const char *entry, *path;
	char option = 0;

	if (imp_case_flag(c, "isolated"))
		option = option_given(c, "I");
	else if (imp_case_flag(c, "ignore_environment"))
		option = option_given(c, "E");
	for (size_t i = 0; (entry = imp_path_env_entry(c, i)); i++) {
		path = imp_path_on(&now->path, entry) ?
			       NULL :
			       imp_elsewhere_held(c, imp_case_directory(c, entry));
		if (!path)
			continue;
		if (option) {
			imp_elsewhere_tell(
				c, path, entry,
				imp_arena_printf(
					c->a,
					"PYTHONPATH names it, and the option -%c ignores PYTHONPATH",
					option));
			imp_remedy_drop_option(c, option, "lets PYTHONPATH count");
		} else {
			imp_elsewhere_tell(
				c, path, entry,
				"PYTHONPATH names it, and this interpreter did not take PYTHONPATH into account");
			imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
					"put %s on sys.path in the program that embeds this Python",
					entry);
		}
		return true;
	}
	return false;
}

/* The user's site directory of this Python, as another process's variables have it; NULL: they do not tell. */
static const char *user_site_of(const struct imp_case *c, const struct imp_image *image)
{
	const char *home = imp_record_env(image, "HOME"),
		   *base = imp_record_env(image, "PYTHONUSERBASE");
	unsigned int major, minor;

	if ((!base || !*base) && home && *home)
		base = imp_arena_printf(c->a, "%s/.local", home);
	return base && *base && imp_case_version(c, &major, &minor) ?
		       imp_arena_printf(c->a, "%s/lib/python%u.%u/site-packages", base, major,
					minor) :
		       NULL;
}

/* Was @p the parent, or what this process ran before? */
static bool came_before(const struct imp_case *c, const struct imp_image *p)
{
	return p != c->image && (p->pid == c->image->ppid || p->pid == c->image->pid) &&
	       p->image_ns <= c->image->image_ns;
}

/* sudo, su, cron and services set HOME anew: the user's site directory is another one then. */
static bool lost_home(struct imp_case *c)
{
	const char *own = user_site_of(c, c->image);

	for (size_t i = 0; i < c->record->images.n; i++) {
		const struct imp_image *p = c->record->images.v[i];
		struct imp_run_change change = {0};
		const char *user, *path, *base, *command;

		user = came_before(c, p) ? user_site_of(c, p) : NULL;
		path = user && (!own || strcmp(user, own)) ? imp_elsewhere_held(c, user) : NULL;
		if (!path)
			continue;
		base = imp_path_parent(c->a, imp_path_parent(c->a, imp_path_parent(c->a, user)));
		imp_elsewhere_tell(
			c, path, user,
			imp_arena_printf(
				c->a,
				"it is the user's site directory by HOME or PYTHONUSERBASE of the process before "
				"it (%d), which were changed on the way to this one",
				p->pid));
		change.before =
			imp_arena_printf(c->a, "PYTHONUSERBASE=%s", imp_shell_quote(c->a, base));
		change.without = "sEI";
		command = imp_remedy_run(c, &change);
		imp_finding_fix(c->a, c->f, IMP_LIKELY,
				command ? command :
					  imp_arena_printf(c->a, "export %s", change.before),
				"makes it the user's site directory again");
		return true;
	}
	return false;
}

static bool user_site(struct imp_case *c)
{
	const char *user, *path;
	const char *prefix = imp_installer_prefix(c->host, c->a, c->py);
	const struct imp_sys_path *now = imp_case_sys_path(c);
	char option;

	user = user_site_of(c, c->image);
	if (!user)
		return false;
	path = imp_path_on(&now->path, user) ? NULL : imp_elsewhere_held(c, user);
	if (!path)
		return false;
	option = imp_case_flag(c, "no_site")	  ? option_given(c, "S") :
		 imp_case_flag(c, "isolated")	  ? option_given(c, "I") :
		 imp_case_flag(c, "no_user_site") ? option_given(c, "s") :
						    0;
	if (option == 's' && !imp_command_line_has(&c->image->argv, 's') &&
	    imp_record_env(c->image, "PYTHONNOUSERSITE")) {
		imp_elsewhere_tell(c, path, user,
				   "PYTHONNOUSERSITE switches the user's site directory off");
		imp_finding_fix(c->a, c->f, IMP_LIKELY, "unset PYTHONNOUSERSITE",
				"switches the user's site directory on again");
	} else if (option) {
		imp_elsewhere_tell(
			c, path, user,
			imp_arena_printf(
				c->a,
				option == 'S' ?
					"the option -%c switches all site directories off" :
					"the option -%c switches the user's site directory off",
				option));
		imp_remedy_drop_option(c, option, "switches the user's site directory on again");
	} else {
		imp_elsewhere_tell(
			c, path, user,
			c->py->base_prefix && strcmp(prefix, c->py->base_prefix) ?
				"a virtual environment does not search the user's site directory" :
				"the user's site directory is switched off");
		imp_remedy_install(c, c->module, false, IMP_LIKELY, NULL,
				   "installs it for this very interpreter");
		if (!c->f->fixes.n)
			imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
					"install it for this interpreter too");
	}
	return true;
}

/* The site directories of the interpreter itself. */
static const char *held_in_own_site(const struct imp_case *c, const char **dir)
{
	const char *const prefixes[] = {imp_installer_prefix(c->host, c->a, c->py), c->py->prefix,
					c->py->exec_prefix};
	unsigned int major = 0, minor = 0;
	const char *path;

	imp_case_version(c, &major, &minor);
	for (size_t i = 0; i < 3; i++) {
		const char *dirs[3];

		if (!prefixes[i] || !*prefixes[i])
			continue;
		dirs[0] = imp_arena_printf(c->a, "%s/lib/python%u.%u/site-packages", prefixes[i],
					   major, minor);
		dirs[1] = imp_arena_printf(c->a, "%s/lib/python%u.%u/dist-packages", prefixes[i],
					   major, minor);
		dirs[2] =
			imp_arena_printf(c->a, "%s/lib/python%u/dist-packages", prefixes[i], major);
		for (size_t k = 0; k < 3; k++) {
			path = imp_elsewhere_held(c, dirs[k]);
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

		if (!came_before(c, p))
			continue;
		parent.image = p;
		for (size_t k = 0; (entry = imp_path_env_entry(&parent, k)); k++) {
			const char *path, *dir = imp_case_directory(&parent, entry);

			if (imp_record_env(c->image, "PYTHONPATH") && imp_path_env_has(c, entry))
				continue;
			path = imp_elsewhere_held(c, dir);
			if (!path)
				continue;
			imp_elsewhere_tell(
				c, path, entry,
				imp_arena_printf(
					c->a,
					"PYTHONPATH of the process before it (%d) names it, and was lost on the way to this one",
					p->pid));
			imp_remedy_run_path(c, dir, "gives the variable back");
			return true;
		}
	}
	return false;
}

/* The directory that is searched first: the script's, or with -c and -m the current one. */
static const char *own_directory(const struct imp_case *c)
{
	struct imp_command_line line;
	const char *path, *real;

	if (!imp_remedy_line(c, &line) || line.how != IMP_RUN_SCRIPT)
		return imp_case_directory(c, "");
	path = imp_case_directory(c, line.what);
	return imp_path_parent(c->a, imp_host_realpath(c->host, c->a, path, &real) ? path : real);
}

/* With -S, the interpreter's own site-packages is not searched; with -P or -I, nor is the script's directory. */
static bool switched_off(struct imp_case *c)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);
	const char *path, *dir;
	char option;

	if (imp_case_flag(c, "no_site")) {
		path = held_in_own_site(c, &dir);
		if (path) {
			imp_elsewhere_tell(c, path, dir,
					   "the option -S switches all site directories off");
			imp_remedy_drop_option(c, 'S', "switches the site directories on again");
			return true;
		}
	}
	if (!imp_case_flag(c, "safe_path") && !imp_case_flag(c, "isolated"))
		return false;
	dir = own_directory(c);
	path = imp_path_on(&now->path, dir) ? NULL : imp_elsewhere_held(c, dir);
	if (!path)
		return false;
	option = option_given(c, imp_case_flag(c, "isolated") ? "I" : "P");
	if (option == 'P' && !imp_command_line_has(&c->image->argv, 'P') &&
	    imp_record_env(c->image, "PYTHONSAFEPATH")) {
		imp_elsewhere_tell(c, path, dir,
				   "PYTHONSAFEPATH keeps the script's directory off the path");
		imp_finding_fix(c->a, c->f, IMP_LIKELY, "unset PYTHONSAFEPATH",
				"puts the script's directory on the path again");
		return true;
	}
	imp_elsewhere_tell(
		c, path, dir,
		imp_arena_printf(c->a, "the option -%c keeps the script's directory off the path",
				 option));
	imp_remedy_drop_option(c, option, "puts the script's directory on the path again");
	return true;
}

bool imp_judge_lost_entry(struct imp_case *c)
{
	bool known = c->py && imp_case_sys_path(c);

	if (known && (removed_entry(c) || left_behind(c) || ignored_variable(c) || user_site(c)))
		return true;
	return lost_variable(c) || lost_home(c) || (known && switched_off(c));
}
