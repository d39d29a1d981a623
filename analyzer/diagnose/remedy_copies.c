/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two copies of a module on the path: what lets the right one be taken. */
#include "remedy.h"

#include <string.h>

#include "../python/abi_tag.h"
#include "../python/environment.h"
#include "../python/installer.h"
#include "../python/module_file.h"
#include "path_origin.h"

#define INIT_MAX 4096 /* bytes of an __init__.py in which there may be comments alone */

const char *imp_remedy_copy_behind(const struct imp_case *c, const char *entry)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);
	struct imp_site site = {.kind = IMP_SITE_PROJECT};
	unsigned int major, minor;

	if (!now || !imp_case_version(c, &major, &minor))
		return NULL;
	site.major = (int)major;
	site.minor = (int)minor;
	for (size_t i = 0; i < now->path.n; i++) {
		const char *path = NULL;
		bool importable = false;

		site.directory = imp_case_directory(c, now->path.v[i]);
		if (strcmp(site.directory, entry) && !imp_path_env_has(c, now->path.v[i]) &&
		    imp_environment_holds(c->host, c->a, &site, c->module, &path, &importable) == 1 &&
		    importable)
			return path;
	}
	return NULL;
}

/* The item of sys.path from which the finding's file came. */
static const char *entry_of_file(const struct imp_case *c)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);
	const char *file = c->f->path, *top = c->f->module;
	size_t len = top ? strcspn(top, ".") : 0;

	for (size_t i = 0; now && file && len && i < now->path.n; i++) {
		const char *entry = now->path.v[i], *dir = imp_case_directory(c, entry);
		size_t n = strlen(dir);

		while (n > 1 && dir[n - 1] == '/')
			n--;
		if (!strncmp(file, dir, n) && file[n] == '/' && !strncmp(file + n + 1, top, len) &&
		    (file[n + 1 + len] == '/' || file[n + 1 + len] == '.'))
			return entry;
	}
	return NULL;
}

const char *imp_remedy_copy_entry(const struct imp_case *c)
{
	const char *entry = entry_of_file(c);

	return entry && imp_path_origin_of(c, entry) == IMP_ORIGIN_PYTHONPATH ? entry : NULL;
}

const char *imp_remedy_target(const struct imp_case *c)
{
	const char *entry = entry_of_file(c);

	switch (entry ? imp_path_origin_of(c, entry) : IMP_ORIGIN_UNKNOWN) {
	case IMP_ORIGIN_PYTHONPATH: return entry;
	case IMP_ORIGIN_SCRIPT:
	case IMP_ORIGIN_RUN_TIME: break;
	default: return NULL;
	}
	/* Those of another Python are for its own installer to fill. */
	return strstr(entry, "/site-packages") || strstr(entry, "/dist-packages") ? NULL : entry;
}

void imp_remedy_first_copy(struct imp_case *c, const char *entry, const char *other,
			   const char *file)
{
	enum imp_path_origin origin = imp_path_origin_of(c, entry);

	if (origin == IMP_ORIGIN_SITE || origin == IMP_ORIGIN_USER_SITE)
		return; /* an installer brought it, and puts it right */
	if (c->py && imp_ends_with(file, ".so") &&
	    !imp_abi_tag_accepted(imp_path_name(file), imp_case_tail(c), &c->py->suffixes))
		return;
	if (origin == IMP_ORIGIN_PYTHONPATH)
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, imp_remedy_drop_entry(c, entry),
			"takes %s from the search path, so that the whole copy in %s is taken",
			entry, other);
	imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
			"remove the copy of %s in %s, which lacks %s, or copy it there anew",
			imp_case_top(c), *entry ? entry : "the current directory", c->module);
}

static bool is_empty(const struct imp_case *c, const char *path)
{
	char *text, *line;
	size_t len;

	if (imp_host_read(c->host, c->a, path, INIT_MAX, &text, &len) || strlen(text) != len)
		return false;
	while ((line = strsep(&text, "\n"))) {
		line += strspn(line, " \t\r\f");
		if (*line && *line != '#')
			return false;
	}
	return true;
}

/* Has a part of the package been taken from the directory of @init, beside that file itself? */
static bool is_used(const struct imp_case *c, const char *init)
{
	const char *dir = imp_arena_printf(c->a, "%s/", imp_path_parent(c->a, init));

	for (size_t i = 0; i < c->image->attempts.n; i++) {
		const struct imp_attempt *at = c->image->attempts.v[i];
		const char *origin = at->outcome->origin;

		if (at->ended && !at->exception && origin && imp_starts_with(origin, dir) &&
		    strcmp(origin, init))
			return true;
	}
	return false;
}

void imp_remedy_namespace(struct imp_case *c, const char *name, const char *init, const char *other)
{
	if (!imp_ends_with(init, "/__init__.py") || !imp_host_is_directory(c->host, other))
		return;
	if (!is_empty(c, init)) {
		/* Both halves are wanted: neither may lose its name, or its place on the path. */
		if (is_used(c, init))
			imp_finding_fix(
				c->a, c->f, IMP_LIKELY,
				imp_arena_printf(
					c->a,
					"printf '\\n__path__ = __import__(\"pkgutil\").extend_path(__path__, __name__)\\n' >> %s",
					imp_shell_quote(c->a, init)),
				"makes one package of the parts of %s that lie in several directories of the path",
				name);
		return;
	}
	if (imp_host_exists(c->host, imp_path_join(c->a, other, "__init__.py")) != 0 ||
	    imp_host_exists(c->host, imp_path_join(c->a, other, "__init__.pyc")) != 0)
		return;
	imp_finding_fix(
		c->a, c->f, IMP_LIKELY, imp_arena_printf(c->a, "rm %s", imp_shell_quote(c->a, init)),
		"removes an empty file: %s is a namespace package, spread over several directories, and all of them are "
		"searched where none has an __init__.py",
		name);
}
