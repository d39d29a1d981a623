/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PYTHON_ENVIRONMENT_H
#define IMP_PYTHON_ENVIRONMENT_H

#include <stdbool.h>

#include "../base/arena.h"
#include "../host/host.h"
#include "../trace/record.h"

/*
 * The other Pythons of this machine, and the directories that each would search: where a module may
 * be that the failing interpreter did not find.
 */
enum imp_site_kind {
	IMP_SITE_SYSTEM, /* an interpreter's own site-packages or dist-packages */
	IMP_SITE_VENV,	 /* a virtual environment */
	IMP_SITE_USER,	 /* ~/.local/lib/pythonX.Y/site-packages */
	IMP_SITE_PYENV,
	IMP_SITE_CONDA,
	IMP_SITE_PROJECT, /* a directory near the script: its parent, src/, lib/, __pypackages__ */
};

struct imp_site {
	enum imp_site_kind kind;
	const char *directory;	 /* site-packages, dist-packages, or the project directory */
	const char *interpreter; /* a python that searches it; NULL: none known */
	const char *root;	 /* of the venv, prefix or conda environment */
	int major, minor;	 /* of that Python; 0: unknown */
	bool free_threaded;
};

IMP_VEC_TYPE(imp_sites, struct imp_site);

/*
 * imp_environment_find - sites on this machine that the image's interpreter does not search
 * @image, @py: the failing one; its PATH, HOME, VIRTUAL_ENV, CONDA_PREFIX, PYENV_ROOT, cwd, script
 * directory
 *              and prefixes say where to look
 * @searched:   the entries that it did search (compared by realpath): those are left out
 * Looks at: VIRTUAL_ENV and CONDA_PREFIX; virtual environments of any name beside the script, in the
 * working directory and in three directories above each (in /tmp, $HOME and the like by their usual
 * names alone); the project's directories; pyenv, conda, pipx, pipenv, poetry, uv, rye, asdf, mise
 * and virtualenvwrapper; the interpreter's own prefixes; /usr and /usr/local with Debian's
 * dist-packages; each python of PATH; user sites. No interpreter is run.
 * At most 256 sites. Best first: those of the same version, and among them VIRTUAL_ENV, the
 * project's environments, its directories, user sites, system installations, the rest.
 * Returns 0 or -ENODATA.
 */
int imp_environment_find(const struct imp_host *h, struct imp_arena *a,
			 const struct imp_image *image, const struct imp_interpreter *py,
			 const struct imp_strings *searched, struct imp_sites *out);

/*
 * imp_environment_holds - does a site hold a module, and as which file?
 * @module: full name; for "pkg._native" the package directory is entered
 * @path:   the file: importable by @site's own Python where one is there, else any file of that
 *          module
 * @importable: whether @site's own interpreter would accept it (ABI tag)
 * Returns 1, 0 or -ENODATA.
 */
int imp_environment_holds(const struct imp_host *h, struct imp_arena *a, const struct imp_site *site,
			  const char *module, const char **path, bool *importable);

#endif
