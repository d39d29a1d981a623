// SPDX-License-Identifier: GPL-2.0-or-later
#include "environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command_line.h"
#include "module_file.h"
#include "site_collect.h"

#define CHILDREN_MAX 512 /* names of a directory that are looked at */
#define PARENTS_MAX  3	 /* directories above the script's and the working directory */

/* ---- near the program ----------------------------------------------------------------------- */

/* The script's directory, where a script is run. */
static const char *script_directory(struct imp_site_search *s)
{
	const struct imp_image *image = s->image;
	struct imp_command_line line;
	const char *path;

	imp_command_line_parse(&image->argv, &line);
	if (line.how != IMP_RUN_SCRIPT)
		return NULL;
	path = line.what;
	if (path[0] != '/' && image->cwd)
		path = imp_path_join(s->a, image->cwd, path);
	if (path[0] != '/' || imp_host_exists(s->h, path) != 1)
		return NULL;
	/* A script that is a link is run from where the link leads to. */
	if (imp_host_realpath(s->h, s->a, path, &path) < 0)
		return NULL;
	return imp_path_parent(s->a, path);
}

static void add_project(struct imp_site_search *s, const char *dir)
{
	struct imp_site site = {
		.kind = IMP_SITE_PROJECT,
		.interpreter = s->py->executable && s->py->executable[0] ? s->py->executable : NULL,
		.major = s->version.major,
		.minor = s->version.minor,
		.free_threaded = s->version.free_threaded};

	if (strcmp(dir, "/") == 0)
		return;
	site.root = site.directory = dir;
	imp_site_add(s, site, IMP_RANK_PROJECT);
}

/*
 * Virtual environments in a directory. Where it is a large or shared one, only under their usual
 * names.
 */
static void add_venvs_in(struct imp_site_search *s, const char *dir, bool any_name)
{
	static const char *const usual[] = {".venv", "venv",	   "env",
					    ".env",  "virtualenv", ".virtualenv"};
	static const char *const nests[] = {".tox", ".nox", "envs", "venvs", ".venvs"};
	struct imp_strings names;
	size_t i;

	for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		imp_site_add_venv(s, imp_path_join(s->a, dir, usual[i]), IMP_RANK_PROJECT_VENV);
	for (i = 0; i < sizeof(nests) / sizeof(nests[0]); i++)
		imp_site_add_children(s, imp_path_join(s->a, dir, nests[i]), IMP_SITE_VENV,
				      IMP_RANK_PROJECT_VENV);
	if (!any_name || imp_host_list(s->h, s->a, dir, &names) < 0 || names.n > CHILDREN_MAX)
		return;
	for (i = 0; i < names.n; i++)
		imp_site_add_venv(s, imp_path_join(s->a, dir, names.v[i]), IMP_RANK_PROJECT_VENV);
}

static bool is_project_root(struct imp_site_search *s, const char *dir)
{
	static const char *const marks[] = {"pyproject.toml", "setup.py", "setup.cfg", ".git", NULL};

	return imp_site_first_existing(s, dir, marks) != NULL;
}

static bool is_shared(struct imp_site_search *s, const char *dir)
{
	return !strcmp(dir, "/") || !strcmp(dir, "/tmp") || !strcmp(dir, "/home") ||
	       !strcmp(dir, "/usr") || !strcmp(dir, "/usr/bin") || !strcmp(dir, "/bin") ||
	       !strcmp(dir, "/usr/local/bin") || !strcmp(dir, "/opt") ||
	       (s->home && !strcmp(dir, s->home));
}

static void add_near(struct imp_site_search *s, const char *dir)
{
	static const char *const below[] = {"src",    "lib",	     "python",
					    "vendor", "third_party", "deps",
					    "libs",   "packages",    "site-packages"};
	const char *child = NULL;
	int level;
	size_t i;

	if (!dir || dir[0] != '/' || !imp_host_is_directory(s->h, dir))
		return;
	for (level = 0; level <= PARENTS_MAX; level++) {
		bool shared = is_shared(s, dir);
		/* what holds a package that we come from is where the package is imported from */
		bool holds = child &&
			     imp_host_exists(s->h, imp_path_join(s->a, child, "__init__.py")) == 1;

		imp_site_add_venv(s, dir,
				  IMP_RANK_PROJECT_VENV); /* a script in an environment's bin */
		add_venvs_in(s, dir, !shared);
		if (holds || (!shared && (level <= 1 || is_project_root(s, dir)))) {
			add_project(s, dir);
			for (i = 0; !shared && i < sizeof(below) / sizeof(below[0]); i++)
				add_project(s, imp_path_join(s->a, dir, below[i]));
			if (!shared)
				add_project(
					s,
					imp_path_join(s->a, dir,
						      imp_arena_printf(
							      s->a, "lib/python%d.%d/site-packages",
							      s->version.major, s->version.minor)));
		}
		add_project(s, imp_path_join(s->a, dir,
					     imp_arena_printf(s->a, "__pypackages__/%d.%d/lib",
							      s->version.major, s->version.minor)));
		if (!strcmp(dir, "/"))
			break;
		child = dir;
		dir = imp_path_parent(s->a, dir);
	}
}

/* ---- the rest of the machine ---------------------------------------------------------------- */

static bool is_python_name(const char *name)
{
	struct imp_python_version v;

	if (!imp_starts_with(name, "python") && !imp_starts_with(name, "pypy"))
		return false;
	name += imp_starts_with(name, "python") ? 6 : 4;
	return !*name ||
	       (imp_python_version_parse(name, &v) && name[strspn(name, "0123456789.t")] == '\0');
}

static void add_path_directory(struct imp_site_search *s, const char *dir)
{
	struct imp_strings names;
	const char *real;
	size_t i;

	if (dir[0] != '/' || imp_host_list(s->h, s->a, dir, &names) < 0)
		return;
	for (i = 0; i < names.n; i++) {
		if (!is_python_name(names.v[i]))
			continue;
		/*
		 * The environment that it stands in, and the installation that it is a link into.
		 */
		if (!imp_site_add_venv(s, imp_path_parent(s->a, dir), IMP_RANK_OTHER))
			imp_site_add_environment(s, imp_path_parent(s->a, dir), IMP_SITE_SYSTEM,
						 IMP_RANK_SYSTEM);
		if (imp_host_realpath(s->h, s->a, imp_path_join(s->a, dir, names.v[i]), &real) == 0 &&
		    is_python_name(imp_path_name(real)))
			imp_site_add_environment(s,
						 imp_path_parent(s->a, imp_path_parent(s->a, real)),
						 IMP_SITE_SYSTEM, IMP_RANK_SYSTEM);
	}
}

static void add_path(struct imp_site_search *s)
{
	const char *path = imp_record_env(s->image, "PATH"), *end;
	int n;

	for (n = 0; path && *path && n < 64; n++) {
		end = strchrnul(path, ':');
		if (end > path)
			add_path_directory(s, imp_arena_strndup(s->a, path, (size_t)(end - path)));
		path = *end ? end + 1 : end;
	}
}

/* /usr/lib/python3/dist-packages belongs to what /usr/bin/python3 is a link to. */
static void add_debian(struct imp_site_search *s)
{
	struct imp_site site = {.kind = IMP_SITE_SYSTEM,
				.root = "/usr",
				.directory = "/usr/lib/python3/dist-packages"};
	struct imp_python_version v;
	const char *real;

	if (imp_host_realpath(s->h, s->a, "/usr/bin/python3", &real) == 0 &&
	    imp_python_version_parse(imp_path_name(real), &v)) {
		site.interpreter = real;
		site.major = v.major;
		site.minor = v.minor;
		site.free_threaded = v.free_threaded;
	}
	imp_site_add(s, site, IMP_RANK_SYSTEM);
}

/* ~/.local/lib/python3.N/site-packages, or below PYTHONUSERBASE. */
static void add_user(struct imp_site_search *s, const char *base)
{
	struct imp_site site = {.kind = IMP_SITE_USER, .root = base};
	struct imp_python_version v;
	struct imp_strings names;
	const char *lib;
	size_t i, j;

	if (!base || base[0] != '/')
		return;
	lib = imp_path_join(s->a, base, "lib");
	if (imp_host_list(s->h, s->a, lib, &names) < 0)
		return;
	for (i = 0; i < names.n; i++) {
		if (!imp_starts_with(names.v[i], "python") ||
		    !imp_python_version_parse(names.v[i], &v) || !v.minor)
			continue;
		site.directory =
			imp_path_join(s->a, imp_path_join(s->a, lib, names.v[i]), "site-packages");
		site.major = v.major;
		site.minor = v.minor;
		site.free_threaded = v.free_threaded;
		site.interpreter = NULL;
		if (v.major == s->version.major && v.minor == s->version.minor &&
		    v.free_threaded == s->version.free_threaded && s->py->base_prefix)
			site.interpreter = imp_site_interpreter_of(s, s->py->base_prefix, &v, false);
		for (j = 0; !site.interpreter && j < s->found.n; j++) {
			const struct imp_site *f = &s->found.v[j].site;

			if (f->kind != IMP_SITE_VENV && f->kind != IMP_SITE_PROJECT &&
			    f->major == v.major && f->minor == v.minor &&
			    f->free_threaded == v.free_threaded)
				site.interpreter = f->interpreter;
		}
		if (!site.interpreter)
			site.interpreter = imp_site_interpreter_of(s, "/usr", &v, false);
		imp_site_add(s, site, IMP_RANK_USER);
	}
}

static void add_managers(struct imp_site_search *s)
{
	static const char *const venvs[] = {".virtualenvs",
					    ".venvs",
					    ".local/share/virtualenvs",
					    ".local/share/pipx/venvs",
					    ".local/pipx/venvs",
					    ".cache/pypoetry/virtualenvs",
					    ".local/share/uv/tools",
					    "venvs",
					    "envs"};
	static const char *const pythons[] = {".local/share/uv/python", ".asdf/installs/python",
					      ".local/share/mise/installs/python", ".rye/py"};
	static const char *const condas[] = {"miniconda3", "anaconda3", "miniforge3", "mambaforge",
					     "micromamba", "miniconda", "anaconda"};
	const char *root = imp_record_env(s->image, "PYENV_ROOT");
	size_t i;

	imp_site_add_children(s, imp_record_env(s->image, "WORKON_HOME"), IMP_SITE_VENV,
			      IMP_RANK_OTHER);
	if (!root && s->home)
		root = imp_path_join(s->a, s->home, ".pyenv");
	if (root)
		imp_site_add_children(s, imp_path_join(s->a, root, "versions"), IMP_SITE_PYENV,
				      IMP_RANK_OTHER);
	for (i = 0; s->home && i < sizeof(venvs) / sizeof(venvs[0]); i++)
		imp_site_add_children(s, imp_path_join(s->a, s->home, venvs[i]), IMP_SITE_VENV,
				      IMP_RANK_OTHER);
	for (i = 0; s->home && i < sizeof(pythons) / sizeof(pythons[0]); i++)
		imp_site_add_children(s, imp_path_join(s->a, s->home, pythons[i]), IMP_SITE_SYSTEM,
				      IMP_RANK_OTHER);
	for (i = 0; i < sizeof(condas) / sizeof(condas[0]); i++) {
		const char *const bases[] = {s->home, "/opt"};
		size_t j;

		for (j = 0; j < 2; j++) {
			if (!bases[j])
				continue;
			root = imp_path_join(s->a, bases[j], condas[i]);
			imp_site_add_environment(s, root, IMP_SITE_CONDA, IMP_RANK_OTHER);
			imp_site_add_children(s, imp_path_join(s->a, root, "envs"), IMP_SITE_CONDA,
					      IMP_RANK_OTHER);
		}
	}
	imp_site_add_environment(s, "/opt/conda", IMP_SITE_CONDA, IMP_RANK_OTHER);
	imp_site_add_children(s, "/opt/conda/envs", IMP_SITE_CONDA, IMP_RANK_OTHER);
	if (s->home)
		imp_site_add_children(s, imp_path_join(s->a, s->home, ".conda/envs"),
				      IMP_SITE_CONDA, IMP_RANK_OTHER);
	imp_site_add_children(s, "/opt/python", IMP_SITE_SYSTEM, IMP_RANK_OTHER);
	imp_site_add_children(s, "/opt/venvs", IMP_SITE_VENV, IMP_RANK_OTHER);
}

/*
 * An environment that has lost its pyvenv.cfg is none any more to the interpreter in it. What holds the
 * standard library is no environment, but where that interpreter is at home.
 */
static void add_own_prefix(struct imp_site_search *s)
{
	const char *bin = s->py->executable && s->py->executable[0] == '/' ?
				  imp_path_parent(s->a, s->py->executable) :
				  NULL;
	const char *root, *library;

	if (!bin || strcmp(imp_path_name(bin), "bin") != 0)
		return;
	root = imp_path_parent(s->a, bin);
	library = imp_path_join(s->a, imp_path_join(s->a, root, "lib"),
				imp_python_version_name(&s->version, s->a));
	if (imp_host_exists(s->h, imp_path_join(s->a, library, "os.py")) != 1)
		imp_site_add_environment(s, root, IMP_SITE_VENV, IMP_RANK_ACTIVE);
}

static int compare(const void *one, const void *two, void *data)
{
	const struct imp_site_found *f = one, *g = two;
	const struct imp_python_version *v = data;
	bool same_f = f->site.major == v->major && f->site.minor == v->minor &&
		      f->site.free_threaded == v->free_threaded;
	bool same_g = g->site.major == v->major && g->site.minor == v->minor &&
		      g->site.free_threaded == v->free_threaded;

	if (same_f != same_g)
		return same_f ? -1 : 1;
	if (f->rank != g->rank)
		return f->rank < g->rank ? -1 : 1;
	return f->order < g->order ? -1 : 1;
}

int imp_environment_find(const struct imp_host *h, struct imp_arena *a,
			 const struct imp_image *image, const struct imp_interpreter *py,
			 const struct imp_strings *searched, struct imp_sites *out)
{
	struct imp_site_search s = {.h = h, .a = a, .image = image, .py = py};
	const char *real;
	size_t i;

	if (!h->enabled)
		return -ENODATA;
	s.version = imp_python_version_of(py);
	s.home = imp_record_env(image, "HOME");
	for (i = 0; i < searched->n; i++) {
		const char *entry = searched->v[i];

		if (!entry[0] && image->cwd)
			entry = image->cwd;
		else if (entry[0] != '/' && image->cwd)
			entry = imp_path_join(a, image->cwd, entry);
		if (imp_host_realpath(h, a, entry, &real) == 0)
			*imp_vec_push(a, &s.searched) = real;
	}
	imp_site_add_environment(&s, imp_record_env(image, "VIRTUAL_ENV"), IMP_SITE_VENV,
				 IMP_RANK_ACTIVE);
	imp_site_add_environment(&s, imp_record_env(image, "CONDA_PREFIX"), IMP_SITE_CONDA,
				 IMP_RANK_ACTIVE);
	add_own_prefix(&s);
	add_near(&s, script_directory(&s));
	add_near(&s, image->cwd);
	/* Before PATH: what is pyenv's or conda's is called so. */
	add_managers(&s);
	if (py->prefix)
		imp_site_add_environment(&s, py->prefix, IMP_SITE_SYSTEM, IMP_RANK_SYSTEM);
	if (py->base_prefix)
		imp_site_add_environment(&s, py->base_prefix, IMP_SITE_SYSTEM, IMP_RANK_SYSTEM);
	add_debian(&s);
	imp_site_add_prefix(&s, "/usr", IMP_SITE_SYSTEM, IMP_RANK_SYSTEM);
	imp_site_add_prefix(&s, "/usr/local", IMP_SITE_SYSTEM, IMP_RANK_SYSTEM);
	add_path(&s);
	add_user(&s, imp_record_env(image, "PYTHONUSERBASE"));
	add_user(&s, s.home ? imp_path_join(a, s.home, ".local") : NULL);
	if (s.found.n)
		qsort_r(s.found.v, s.found.n, sizeof(*s.found.v), compare, &s.version);
	for (i = 0; i < s.found.n; i++)
		*imp_vec_push(a, out) = s.found.v[i].site;
	return 0;
}
