// SPDX-License-Identifier: GPL-2.0-or-later
#include "environment.h"

#include <errno.h>
#include <string.h>

#include "abi_tag.h"
#include "module_file.h"

#define PTH_MAX	      (1U << 20)
#define PTH_FILES_MAX 64
#define PTH_LINES_MAX 256

/* Would the site's own Python take a file of this tag? Its platform is this machine's. */
static bool accepts(const struct imp_site *site, const struct imp_abi_tag *t)
{
	bool threaded = strchr(t->flags, 't') != NULL;

	if (t->windows || t->darwin)
		return false;
	if (t->abi3 || t->abi3t)
		return site->major != 2 && site->free_threaded == t->abi3t;
	if (!t->implementation[0]) /* "foo.so"; "foo.x86_64-linux-gnu.so" is Python 2's */
		return !t->tag[0] || (t->platform[0] && site->major == 2);
	if (!site->major)
		return true;
	return t->major == site->major && t->minor == site->minor &&
	       threaded == site->free_threaded && !strchr(t->flags, 'd');
}

/* A directory or a FIFO of that name is none: the finder passes over it. */
static bool is_file(const struct imp_host *h, const char *path)
{
	struct stat st;

	return imp_host_stat(h, path, &st) == 0 && S_ISREG(st.st_mode);
}

/*
 * A file of the module in one directory, the one that its Python would take first: package,
 * extension, source. @names is the directory's listing.
 */
static bool find_in(const struct imp_host *h, struct imp_arena *a, const struct imp_site *site,
		    const char *dir, const char *tail, const char **path, bool *importable)
{
	static const char *const inits[] = {"__init__.py", "__init__.pyc"};
	const char *sub = imp_path_join(a, dir, tail), *file, *other = NULL;
	struct imp_strings names;
	struct imp_abi_tag tag;
	size_t i, len = strlen(tail);

	*importable = true;
	for (i = 0; i < sizeof(inits) / sizeof(inits[0]); i++) {
		*path = imp_path_join(a, sub, inits[i]);
		if (is_file(h, *path))
			return true;
	}
	if (imp_host_list(h, a, dir, &names) < 0)
		return false;
	for (i = 0; i < names.n; i++) {
		if (strncmp(names.v[i], tail, len) != 0 || names.v[i][len] != '.' ||
		    imp_abi_tag_parse(&tag, a, names.v[i]) < 0)
			continue;
		file = imp_path_join(a, dir, names.v[i]);
		if (!imp_ends_with(file, ".so") || !is_file(h, file))
			continue;
		*path = file;
		if (accepts(site, &tag))
			return true;
		other = file;
	}
	for (i = 0; i < 2; i++) {
		*path = imp_arena_printf(a, "%s%s", sub, i ? ".pyc" : ".py");
		if (is_file(h, *path))
			return true;
	}
	*path = other;
	*importable = false;
	return other != NULL;
}

/* A directory without __init__ that holds modules: a portion of a namespace package. */
static bool is_namespace(const struct imp_host *h, struct imp_arena *a, const char *dir)
{
	struct imp_strings names;
	size_t i;

	if (imp_host_list(h, a, dir, &names) < 0)
		return false;
	for (i = 0; i < names.n && i < 512; i++) {
		if (imp_ends_with(names.v[i], ".py") || imp_ends_with(names.v[i], ".so") ||
		    imp_host_exists(h, imp_path_join(a, imp_path_join(a, dir, names.v[i]),
						     "__init__.py")) == 1)
			return true;
	}
	return false;
}

static bool holds(const struct imp_host *h, struct imp_arena *a, const struct imp_site *site,
		  const char *entry, const char *module, const char **path, bool *importable)
{
	const char *relative = imp_module_path(a, module), *slash = strrchr(relative, '/');
	const char *dir = entry, *tail = relative;

	if (slash) {
		dir = imp_path_join(a, entry,
				    imp_arena_strndup(a, relative, (size_t)(slash - relative)));
		tail = slash + 1;
		if (!imp_host_is_directory(h, dir))
			return false;
	}
	if (!*tail)
		return false;
	if (find_in(h, a, site, dir, tail, path, importable))
		return true;
	/*
	 * Any directory of a project may bear the name; one in site-packages was put there to be
	 * imported.
	 */
	*path = imp_path_join(a, dir, tail);
	*importable = true;
	return site->kind != IMP_SITE_PROJECT && imp_host_is_directory(h, *path) &&
	       is_namespace(h, a, *path);
}

/* Directories that the site's .pth files add (site.py: a line that is no comment and no code). */
static bool holds_through_pth(const struct imp_host *h, struct imp_arena *a,
			      const struct imp_site *site, const char *module, const char **path,
			      bool *importable)
{
	size_t i, n, len, files = 0;
	struct imp_strings names;
	const char *line, *entry;
	char *text;

	if (imp_host_list(h, a, site->directory, &names) < 0)
		return false;
	for (i = 0; i < names.n && files < PTH_FILES_MAX; i++) {
		if (!imp_ends_with(names.v[i], ".pth") || names.v[i][0] == '.' ||
		    imp_host_read(h, a, imp_path_join(a, site->directory, names.v[i]), PTH_MAX,
				  &text, &len) < 0)
			continue;
		files++;
		for (n = 0; *text && n < PTH_LINES_MAX; n++, text += len + (text[len] != '\0')) {
			len = strcspn(text, "\r\n");
			line = imp_arena_strndup(a, text, len);
			if (!len || line[0] == '#' || imp_starts_with(line, "import ") ||
			    imp_starts_with(line, "import\t"))
				continue;
			entry = imp_path_join(a, site->directory, line);
			if (imp_host_is_directory(h, entry) &&
			    holds(h, a, site, entry, module, path, importable))
				return true;
		}
	}
	return false;
}

int imp_environment_holds(const struct imp_host *h, struct imp_arena *a, const struct imp_site *site,
			  const char *module, const char **path, bool *importable)
{
	*path = NULL;
	*importable = false;
	if (!h->enabled)
		return -ENODATA;
	if (!module[0] || strchr(module, '/'))
		return 0;
	if (holds(h, a, site, site->directory, module, path, importable) ||
	    (site->kind != IMP_SITE_PROJECT &&
	     holds_through_pth(h, a, site, module, path, importable)))
		return 1;
	*path = NULL;
	*importable = false;
	return 0;
}
