// SPDX-License-Identifier: GPL-2.0-or-later
#include "site_collect.h"

#include <string.h>

#include "module_file.h"

#define SITES_MAX    256
#define CHILDREN_MAX 512 /* names of a directory that are looked at */

static bool holds_string(const struct imp_strings *list, const char *s)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (strcmp(list->v[i], s) == 0)
			return true;
	}
	return false;
}

void imp_site_add(struct imp_site_search *s, struct imp_site site, enum imp_site_rank rank)
{
	struct imp_site_found *f;
	const char *real;
	size_t i;

	if (s->found.n >= SITES_MAX || !imp_host_is_directory(s->h, site.directory) ||
	    imp_host_realpath(s->h, s->a, site.directory, &real) < 0 ||
	    holds_string(&s->searched, real))
		return;
	for (i = 0; i < s->found.n; i++) {
		if (strcmp(s->found.v[i].real, real) == 0)
			return;
	}
	f = imp_vec_push(s->a, &s->found);
	f->site = site;
	f->real = real;
	f->rank = rank;
	f->order = s->found.n;
}

/* The first of some files that exists; NULL: none. */
const char *imp_site_first_existing(struct imp_site_search *s, const char *dir,
				    const char *const *names)
{
	const char *path;

	for (; *names; names++) {
		path = imp_path_join(s->a, dir, *names);
		if (imp_host_exists(s->h, path) == 1)
			return path;
	}
	return NULL;
}

/* The interpreter of a prefix for one version: bin/python3.11, else bin/python3, bin/python. */
const char *imp_site_interpreter_of(struct imp_site_search *s, const char *root,
				    const struct imp_python_version *v, bool environment)
{
	const char *exact = v->major ? imp_python_version_name(v, s->a) : "python3";
	const char *const environment_names[] = {"python", "python3", exact, NULL};
	const char *const names[] = {exact, "python3", "python", NULL};
	struct imp_python_version is;
	const char *path, *real;

	/* "python3" of a whole system may be of another version. */
	if (!environment && v->major)
		return imp_site_first_existing(s, imp_path_join(s->a, root, "bin"),
					       (const char *[]){exact, NULL});
	path = imp_site_first_existing(s, imp_path_join(s->a, root, "bin"),
				       environment ? environment_names : names);
	/* So may an environment's, whose link was set anew, or whose base was upgraded in place. */
	if (path && v->minor && imp_host_realpath(s->h, s->a, path, &real) == 0 &&
	    imp_python_version_parse(imp_path_name(real), &is) && is.minor &&
	    (is.major != v->major || is.minor != v->minor))
		return NULL;
	return path;
}

/* Debian's Python searches dist-packages alone: site-packages below /usr is for one that was built there. */
static bool is_not_debians(struct imp_site_search *s, const char *root, const char *packages)
{
	return strcmp(packages, "site-packages") == 0 &&
	       (strcmp(root, "/usr") == 0 || strcmp(root, "/usr/local") == 0) &&
	       imp_host_is_directory(s->h, "/usr/lib/python3/dist-packages");
}

/* LIB/python3.N/{site,dist}-packages of one prefix. */
static void add_lib(struct imp_site_search *s, const char *root, const char *lib,
		    struct imp_site site, bool environment, enum imp_site_rank rank)
{
	static const char *const packages[] = {"site-packages", "dist-packages"};
	const char *dir = imp_path_join(s->a, root, lib);
	struct imp_python_version v;
	struct imp_strings names;
	size_t i, j;

	if (imp_host_list(s->h, s->a, dir, &names) < 0)
		return;
	for (i = 0; i < names.n; i++) {
		if ((!imp_starts_with(names.v[i], "python") && !imp_starts_with(names.v[i], "pypy")) ||
		    !imp_python_version_parse(names.v[i], &v) || !v.minor)
			continue;
		for (j = 0; j < 2; j++) {
			struct imp_site one = site;

			one.directory = imp_path_join(s->a, imp_path_join(s->a, dir, names.v[i]),
						      packages[j]);
			if (!imp_host_is_directory(s->h, one.directory))
				continue;
			one.major = v.major;
			one.minor = v.minor;
			one.free_threaded = v.free_threaded;
			if (is_not_debians(s, root, packages[j])) {
				one.root = "/usr/local";
				one.interpreter =
					imp_site_interpreter_of(s, one.root, &v, environment);
				imp_site_add(s, one, rank);
				continue;
			}
			if (!one.interpreter)
				one.interpreter = imp_site_interpreter_of(s, root, &v, environment);
			/* Debian: what lies in /usr/local belongs to /usr/bin/python3.N */
			if (!one.interpreter && strcmp(root, "/usr/local") == 0)
				one.interpreter = imp_site_interpreter_of(s, "/usr", &v, false);
			imp_site_add(s, one, rank);
		}
	}
}

/* Is it a place to look at, and the first time? */
static bool visit(struct imp_site_search *s, const char *root)
{
	const char *real;

	if (!root || root[0] != '/' || imp_host_realpath(s->h, s->a, root, &real) < 0 ||
	    holds_string(&s->visited, real))
		return false;
	*imp_vec_push(s->a, &s->visited) = real;
	return true;
}

void imp_site_add_prefix(struct imp_site_search *s, const char *root, enum imp_site_kind kind,
			 enum imp_site_rank rank)
{
	struct imp_site site = {.kind = kind, .root = root};
	bool environment = kind == IMP_SITE_VENV || kind == IMP_SITE_CONDA;

	if (!visit(s, root))
		return;
	add_lib(s, root, "lib", site, environment, rank);
	add_lib(s, root, "lib64", site, environment, rank);
	if (kind == IMP_SITE_CONDA)
		return;
	add_lib(s, root, "local/lib", site, environment, rank); /* Debian's "posix_local" scheme */
}

/* A virtual environment, where pyvenv.cfg is there. */
bool imp_site_add_venv(struct imp_site_search *s, const char *root, enum imp_site_rank rank)
{
	if (imp_host_exists(s->h, imp_path_join(s->a, root, "pyvenv.cfg")) != 1)
		return false;
	imp_site_add_prefix(s, root, IMP_SITE_VENV, rank);
	return true;
}

/* An environment of any kind: what lies in it decides. */
bool imp_site_add_environment(struct imp_site_search *s, const char *root, enum imp_site_kind kind,
			      enum imp_site_rank rank)
{
	if (!root || imp_site_add_venv(s, root, rank))
		return root != NULL;
	if (imp_host_exists(s->h, imp_path_join(s->a, root, "conda-meta")) == 1)
		kind = IMP_SITE_CONDA;
	else if (!imp_host_is_directory(s->h, imp_path_join(s->a, root, "lib")) &&
		 !imp_host_is_directory(s->h, imp_path_join(s->a, root, "lib64")))
		return false;
	imp_site_add_prefix(s, root, kind, rank);
	return true;
}

/* Each directory in @dir. */
void imp_site_add_children(struct imp_site_search *s, const char *dir, enum imp_site_kind kind,
			   enum imp_site_rank rank)
{
	struct imp_strings names;
	size_t i;

	if (!dir || imp_host_list(s->h, s->a, dir, &names) < 0)
		return;
	for (i = 0; i < names.n && i < CHILDREN_MAX; i++)
		imp_site_add_environment(s, imp_path_join(s->a, dir, names.v[i]), kind, rank);
}
