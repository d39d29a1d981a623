// SPDX-License-Identifier: GPL-2.0-or-later
#include "installer.h"

#include <errno.h>
#include <string.h>

#include "module_file.h"
#include "package_name.h"
#include "python_version.h"

/* What is known about the place to install into. */
struct place {
	const struct imp_host *h;
	struct imp_arena *a;
	const struct imp_image *image;
	const struct imp_interpreter *py;
	struct imp_python_version version;
	const char *python; /* quoted; NULL: there is none */
	const char *prefix, *base_prefix, *stdlib;
	bool venv, debian, managed, conda;
	struct imp_install_command *out;
	int n, max;
};

/*
 * ---- the place --------------------------------------------------------------------------------
 */

/*
 * Is it the version that Debian's packages hold extensions for? A second one (python3.12 of another
 * archive) searches the same dist-packages, and apt has nothing for it.
 */
static bool is_default_python(const struct place *p)
{
	struct imp_python_version v;
	const char *real;
	int ret;

	if (p->version.free_threaded)
		return false;
	ret = imp_host_realpath(p->h, p->a, "/usr/bin/python3", &real);
	if (ret == -ENODATA)
		return true;
	return ret == 0 && imp_python_version_parse(imp_path_name(real), &v) &&
	       v.major == p->version.major && v.minor == p->version.minor;
}

static const char *own_site(const struct place *p, const char *prefix)
{
	return imp_arena_printf(p->a, "%s/lib/%s/site-packages", prefix,
				imp_python_version_name(&p->version, p->a));
}

static bool named_by_pythonpath(const struct place *p, const char *entry)
{
	const char *path = imp_record_env(p->image, "PYTHONPATH"), *end;
	size_t len = strlen(entry);

	for (; path && *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		if ((size_t)(end - path) == len && strncmp(path, entry, len) == 0)
			return true;
	}
	return false;
}

/* Is there a pip that this interpreter finds also without PYTHONPATH? 1, 0, -ENODATA. */
static int has_pip(const struct place *p)
{
	const struct imp_strings *path;
	size_t i;
	int ret;

	if (!p->h->enabled)
		return -ENODATA;
	ret = imp_host_exists(p->h, imp_path_join(p->a, own_site(p, p->prefix), "pip/__main__.py"));
	if (ret == 1 || !p->py->paths.n)
		return ret;
	/* What the program itself added, "-m pip" will not have. */
	for (i = p->py->paths.n; i > 1 && p->py->paths.v[i - 1].phase == IMP_PHASE_RUN;)
		i--;
	path = &p->py->paths.v[i - 1].path;
	for (i = 0; i < path->n; i++) {
		if (!named_by_pythonpath(p, path->v[i]) &&
		    imp_host_exists(p->h, imp_path_join(p->a, path->v[i], "pip/__main__.py")) == 1)
			return 1;
	}
	return 0;
}

static void init_place(struct place *p)
{
	const char *python = imp_installer_python(p->h, p->a, p->image, p->py);
	const char *conda = imp_record_env(p->image, "CONDA_PREFIX");
	int ret;

	p->version = imp_python_version_of(p->py);
	p->python = python ? imp_shell_quote(p->a, python) : NULL;
	p->prefix = imp_installer_prefix(p->h, p->a, p->py);
	p->base_prefix = p->py->base_prefix ? p->py->base_prefix :
			 p->py->prefix	    ? p->py->prefix :
					      "";
	p->stdlib = imp_installer_stdlib(p->a, p->py);
	p->venv = strcmp(p->prefix, p->base_prefix) != 0;
	p->debian = imp_installer_is_debian(p->h, p->py);
	ret = imp_host_exists(p->h, imp_path_join(p->a, p->prefix, "conda-meta"));
	p->conda = ret == 1 || (ret < 0 && conda && strcmp(conda, p->prefix) == 0);
	/* PEP 668: the marker lies in the standard library; a venv is never managed. */
	if (!p->venv && p->stdlib) {
		ret = imp_host_exists(p->h, imp_path_join(p->a, p->stdlib, "EXTERNALLY-MANAGED"));
		p->managed = ret == 1 || (ret < 0 && p->debian && p->version.minor >= 11);
	}
}

/* ---- commands ------------------------------------------------------------------------------- */

static void add(struct place *p, const char *command, const char *package, bool certain)
{
	if (p->n >= p->max)
		return;
	p->out[p->n].command = command;
	p->out[p->n].package = package;
	p->out[p->n].certain = certain;
	p->out[p->n].guessed = false;
	p->out[p->n].environment = NULL;
	p->n++;
}

static const char *sudo(const struct place *p)
{
	return p->image->ids_known && p->image->euid == 0 ? "" : "sudo ";
}

static void add_apt(struct place *p, const char *package, bool reinstall, bool certain)
{
	if (!reinstall) /* "apt install" does nothing where it is there and damaged */
		reinstall = imp_package_debian_installed(p->h, p->a, package);
	add(p,
	    imp_arena_printf(p->a, "%sapt install %s%s", sudo(p), reinstall ? "--reinstall " : "",
			     imp_shell_quote(p->a, package)),
	    package, certain);
}

/*
 * Outside of a venv, pip takes all that sys.path holds for its own: with
 * PYTHONPATH=/usr/lib/python3/dist-packages it would find Debian's package "already satisfied", and
 * with --force-reinstall uninstall it.
 */
static const char *without_pythonpath(const struct place *p)
{
	const char *value = imp_record_env(p->image, "PYTHONPATH");

	return value && value[0] ? "env -u PYTHONPATH " : "";
}

/* What gives this interpreter a pip, with "&& " behind it; "" where it has one. */
static const char *get_pip(const struct place *p)
{
	const char *apt = "";

	if (has_pip(p) != 0)
		return "";
	if (p->stdlib &&
	    imp_host_exists(p->h, imp_path_join(p->a, p->stdlib, "ensurepip/__main__.py")) == 0) {
		if (!p->debian)
			return NULL;
		apt = imp_arena_printf(p->a, "%sapt install python3.%d-venv && ", sudo(p),
				       p->version.minor);
	}
	return imp_arena_printf(p->a, "%s%s%s -m ensurepip --upgrade && ", apt,
				without_pythonpath(p), p->python);
}

/* uv makes environments without pip. */
static bool is_uv_venv(const struct place *p)
{
	size_t len;
	char *text;

	return p->venv &&
	       imp_host_read(p->h, p->a, imp_path_join(p->a, p->prefix, "pyvenv.cfg"), 65536, &text,
			     &len) == 0 &&
	       (imp_starts_with(text, "uv = ") || strstr(text, "\nuv = "));
}

/* A virtual environment's name that is free in the program's working directory. */
static const char *new_environment(const struct place *p)
{
	const char *dir = p->image->cwd;

	if (!dir || imp_host_exists(p->h, imp_path_join(p->a, dir, ".venv")) != 1)
		return ".venv";
	return imp_arena_printf(p->a, ".venv-%d.%d", p->version.major, p->version.minor);
}

static void add_in_environment(struct place *p, const char *what, const char *options)
{
	const char *apt = "", *name = new_environment(p);
	int first = p->n;

	if (p->debian &&
	    imp_host_exists(p->h, imp_path_join(p->a, p->stdlib, "ensurepip/__main__.py")) == 0)
		apt = imp_arena_printf(p->a, "%sapt install python3.%d-venv && ", sudo(p),
				       p->version.minor);
	/* What the program has from the system stays visible to it. */
	add(p,
	    imp_arena_printf(p->a,
			     "%s%s -m venv --system-site-packages %s && "
			     "%s%s/bin/python -m pip install %s%s",
			     apt, p->python, name, without_pythonpath(p), name, options,
			     imp_shell_quote(p->a, what)),
	    what, false);
	if (p->n > first)
		p->out[first].environment = name;
}

static void add_pip(struct place *p, const char *what, const char *options)
{
	const char *env = without_pythonpath(p), *before;
	const char *name = imp_shell_quote(p->a, what);
	int pip;

	if (!p->python)
		return;
	if (p->managed) {
		add_in_environment(p, what, options);
		return;
	}
	pip = has_pip(p);
	if (pip == 0 && is_uv_venv(p))
		add(p,
		    imp_arena_printf(p->a, "uv pip install %s--python %s %s%s",
				     imp_starts_with(options, "--force") ? "--reinstall " : "",
				     p->python, strcmp(options, "-e ") ? "" : "-e ", name),
		    what, false);
	before = get_pip(p);
	if (before)
		add(p,
		    imp_arena_printf(p->a, "%s%s%s -m pip install %s%s", before, env, p->python,
				     options, name),
		    what, pip == 1);
}

/* pip may fill such a directory also where the system manages the Python. */
static void add_target(struct place *p, const char *what, const char *dir)
{
	const char *before = p->python ? get_pip(p) : NULL;

	if (before)
		add(p,
		    imp_arena_printf(
			    p->a,
			    "%s%s%s -m pip install --upgrade --force-reinstall --no-deps --target %s %s",
			    before, without_pythonpath(p), p->python, imp_shell_quote(p->a, dir),
			    imp_shell_quote(p->a, what)),
		    what, has_pip(p) == 1);
}

/* conda's names are mostly those of PyPI, in lower case. */
static const char *conda_name(const struct place *p, const char *pypi)
{
	static const char *const names[][2] = {{"opencv-python", "opencv"},
					       {"torch", "pytorch"},
					       {"faiss-cpu", "faiss-cpu"},
					       {"tables", "pytables"},
					       {"graphviz", "python-graphviz"},
					       {"GDAL", "gdal"},
					       {"PyQt5", "pyqt"},
					       {"msgpack", "msgpack-python"}};
	char *name = imp_arena_strndup(p->a, pypi, strlen(pypi));
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(pypi, names[i][0]) == 0)
			return names[i][1];
	}
	for (i = 0; name[i]; i++) {
		if (name[i] >= 'A' && name[i] <= 'Z')
			name[i] = (char)(name[i] - 'A' + 'a');
	}
	return name;
}

static void add_conda(struct place *p, const char *name, bool reinstall)
{
	if (!p->conda)
		return;
	name = conda_name(p, name);
	add(p,
	    imp_arena_printf(p->a, "conda install -p %s %s%s", imp_shell_quote(p->a, p->prefix),
			     reinstall ? "--force-reinstall " : "", imp_shell_quote(p->a, name)),
	    name, false);
}

/* ---- what is asked for ---------------------------------------------------------------------- */

/* A standard module that Debian ships apart, or that PyPI has for a version without it. */
static const char *stdlib_backport(struct place *p, const char *module)
{
	const char *backport = NULL, *package;
	bool confirmed;

	if (p->version.major == 3)
		backport = imp_package_backport(module, p->version.minor);
	if (!p->debian || !is_default_python(p))
		return backport;
	if (!backport) {
		package = imp_package_debian_find(p->h, p->a, module, &confirmed);
		if (package)
			add_apt(p, package, false, confirmed);
		return NULL;
	}
	package = p->venv ? NULL : imp_package_debian_find(p->h, p->a, backport, &confirmed);
	if (package)
		add_apt(p, package, false, confirmed);
	return backport;
}

int imp_installer_install(const struct imp_host *h, struct imp_arena *a,
			  const struct imp_image *image, const struct imp_interpreter *py,
			  const char *module, bool reinstall, struct imp_install_command *out,
			  int max)
{
	struct place p = {.h = h, .a = a, .image = image, .py = py, .out = out, .max = max};
	const char *name, *package;
	bool confirmed;

	init_place(&p);
	if (imp_package_is_stdlib(module, NULL)) {
		name = stdlib_backport(&p, module);
	} else {
		name = imp_package_pypi_name(a, module);
		if (p.debian && !p.venv && is_default_python(&p)) {
			package = imp_package_debian_find(h, a, module, &confirmed);
			if (package)
				add_apt(&p, package, reinstall, confirmed);
		}
	}
	if (name) {
		int first = p.n;

		add_pip(&p, name, reinstall ? "--force-reinstall " : "");
		add_conda(&p, name, reinstall);
		for (; first < p.n; first++)
			out[first].guessed = !imp_package_is_translated(module) &&
					     !imp_package_is_stdlib(module, NULL);
	}
	return p.n;
}

int imp_installer_editable(const struct imp_host *h, struct imp_arena *a,
			   const struct imp_image *image, const struct imp_interpreter *py,
			   const char *dir, struct imp_install_command *out, int max)
{
	struct place p = {.h = h, .a = a, .image = image, .py = py, .out = out, .max = max};

	init_place(&p);
	add_pip(&p, dir, "-e ");
	return p.n;
}

/* "1.15.1", and not "1.15.1+cpu" or "4.0.2+dfsg", which PyPI has not. */
static bool is_public_version(const char *version)
{
	return version && *version &&
	       !version[strspn(version, "0123456789abcdefghijklmnopqrstuvwxyz.!")];
}

int imp_installer_repair(const struct imp_host *h, struct imp_arena *a,
			 const struct imp_image *image, const struct imp_interpreter *py,
			 const struct imp_distribution *dist, const char *path, const char *dir,
			 struct imp_install_command *out, int max)
{
	struct place p = {.h = h, .a = a, .image = image, .py = py, .out = out, .max = max};
	const char *package = NULL, *name = dist->name, *what = name;

	init_place(&p);
	if (dist->editable || !name)
		return 0;
	if (dist->installer && strcmp(dist->installer, "dpkg") == 0)
		package = name;
	if (!package && path)
		imp_distribution_dpkg_owner(h, a, path, &package);
	if (!package && dist->metadata)
		imp_distribution_dpkg_owner(h, a, dist->metadata, &package);
	if (package) {
		add_apt(&p, package, true, imp_package_debian_installed(h, a, package));
		return p.n;
	}
	if (is_public_version(dist->version))
		what = imp_arena_printf(a, "%s==%s", name, dist->version);
	if (dir) {
		add_target(&p, what, dir);
		return p.n;
	}
	if (dist->installer && strcmp(dist->installer, "conda") == 0)
		add_conda(&p, name, true);
	add_pip(&p, what, "--force-reinstall --no-deps ");
	return p.n;
}
