// SPDX-License-Identifier: GPL-2.0-or-later
/* Which Python it is that something shall be installed for. */
#include "installer.h"

#include <string.h>

#include "module_file.h"
#include "python_version.h"

static bool is_interpreter_name(const char *path)
{
	const char *name = imp_path_name(path);

	return imp_starts_with(name, "python") || imp_starts_with(name, "pypy") ||
	       imp_starts_with(name, "graalpy");
}

bool imp_installer_is_guessed(const struct imp_host *h, struct imp_arena *a,
			      const struct imp_image *image, const struct imp_interpreter *py)
{
	struct imp_python_version own = imp_python_version_of(py), v;
	const char *real = py->executable;

	if (!image->exe || is_interpreter_name(image->exe) || !real || real[0] != '/' ||
	    !is_interpreter_name(real))
		return false;
	if (imp_host_realpath(h, a, real, &real))
		real = py->executable;
	if (!strcmp(real, image->exe))
		return false;
	/* "python3" names no minor version: what it would run is not known. */
	return !imp_python_version_parse(imp_path_name(real), &v) || v.major != own.major ||
	       v.minor != own.minor || v.free_threaded != own.free_threaded;
}

const char *imp_installer_python(const struct imp_host *h, struct imp_arena *a,
				 const struct imp_image *image, const struct imp_interpreter *py)
{
	struct imp_python_version v = imp_python_version_of(py);
	const char *const prefixes[] = {py->prefix, py->base_prefix};
	bool guessed = imp_installer_is_guessed(h, a, image, py);
	const char *path;
	size_t i;

	if (py->executable && py->executable[0] == '/' && is_interpreter_name(py->executable) &&
	    !guessed && imp_host_exists(h, py->executable) != 0)
		return py->executable;
	/* Embedded, in a program that sys.executable names or that left it empty. */
	for (i = 0; i < 2; i++) {
		if (!prefixes[i] || prefixes[i][0] != '/' || !v.major)
			continue;
		/* What the base installs is not found from within the virtual environment that the guess led to. */
		if (guessed && strcmp(imp_installer_prefix(h, a, py), prefixes[i]))
			continue;
		path = imp_arena_printf(a, "%s/bin/%s", strcmp(prefixes[i], "/") ? prefixes[i] : "",
					imp_python_version_name(&v, a));
		if (imp_host_exists(h, path) == 1)
			return path;
	}
	return NULL;
}

const char *imp_installer_prefix(const struct imp_host *h, struct imp_arena *a,
				 const struct imp_interpreter *py)
{
	const char *base = py->base_prefix ? py->base_prefix : py->prefix, *dir;
	size_t i;
	int up;

	if (!base)
		base = "";
	for (i = py->paths.n; i-- > 0;) {
		if (py->paths.v[i].prefix && strcmp(py->paths.v[i].prefix, base) != 0)
			return py->paths.v[i].prefix;
	}
	if (py->prefix && strcmp(py->prefix, base) != 0)
		return py->prefix;
	/* With -S nobody looked for it; site.py does beside the interpreter and one directory above. */
	dir = py->executable && py->executable[0] == '/' ? py->executable : NULL;
	for (up = 0; dir && up < 2; up++) {
		dir = imp_path_parent(a, dir);
		if (imp_host_exists(h, imp_path_join(a, dir, "pyvenv.cfg")) == 1)
			return dir;
	}
	return py->prefix ? py->prefix : "";
}

const char *imp_installer_stdlib(struct imp_arena *a, const struct imp_interpreter *py)
{
	struct imp_python_version v = imp_python_version_of(py);

	if (py->stdlib && py->stdlib[0] == '/')
		return py->stdlib;
	if (!py->base_prefix || !v.major)
		return NULL;
	return imp_arena_printf(a, "%s/lib/%s", py->base_prefix, imp_python_version_name(&v, a));
}

/* Debian's interpreter, or a venv that is made from it: its standard library is dpkg's. */
bool imp_installer_is_debian(const struct imp_host *h, const struct imp_interpreter *py)
{
	struct imp_python_version v = imp_python_version_of(py);
	struct imp_arena a = {0};
	const char *stdlib = imp_installer_stdlib(&a, py);
	struct imp_strings names;
	bool debian = false;
	size_t i, j;

	if (!stdlib || !imp_starts_with(stdlib, "/usr/lib/python") || v.major != 3)
		goto out;
	if (h->enabled) {
		const char *const minimal = imp_arena_printf(&a, "python3.%d-minimal.list", v.minor);

		debian = imp_host_exists(h, imp_path_join(&a, "/var/lib/dpkg/info", minimal)) == 1;
		if (!debian && imp_host_list(h, &a, "/var/lib/dpkg/info", &names) == 0) {
			const char *lib = imp_arena_printf(&a, "libpython3.%d-minimal:", v.minor);

			for (i = 0; i < names.n && !debian; i++)
				debian = imp_starts_with(names.v[i], lib);
		}
		goto out;
	}
	/* No disk to ask: Debian alone searches this directory by itself. */
	for (i = 0; i < py->paths.n && !debian; i++) {
		for (j = 0; j < py->paths.v[i].path.n && !debian; j++)
			debian = strcmp(py->paths.v[i].path.v[j],
					"/usr/lib/python3/dist-packages") == 0;
	}
out:
	imp_arena_clear(&a);
	return debian;
}
