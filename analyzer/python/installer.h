/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PYTHON_INSTALLER_H
#define IMP_PYTHON_INSTALLER_H

#include <stdbool.h>

#include "../base/arena.h"
#include "../host/host.h"
#include "../trace/record.h"
#include "distribution.h"

/* Command lines that install something for the very interpreter that failed. */

/*
 * imp_shell_quote - @word as one word of a POSIX shell; unchanged where that is safe
 * Bytes that a terminal can't show as they are (control characters, what is no UTF-8) are written
 * as $'\ooo', which POSIX has since 2024, and bash, zsh and ksh for long.
 */
const char *imp_shell_quote(struct imp_arena *a, const char *word);

/*
 * imp_installer_is_debian - is this Debian's own python3 (its stdlib belongs to a Debian package)?
 */
bool imp_installer_is_debian(const struct imp_host *h, const struct imp_interpreter *py);

/*
 * imp_installer_is_guessed - is sys.executable another program than the one that ran, and not known to be of the same
 * version? A host program that embeds Python has none of its own: Python takes the first python3 of PATH for it.
 */
bool imp_installer_is_guessed(const struct imp_host *h, struct imp_arena *a,
			      const struct imp_image *image, const struct imp_interpreter *py);

/*
 * imp_installer_python - the command that stands for this interpreter: sys.executable, or its
 * prefix's python where a host program embeds it; NULL: none that can be typed
 * @image: the program that ran
 */
const char *imp_installer_python(const struct imp_host *h, struct imp_arena *a,
				 const struct imp_image *image, const struct imp_interpreter *py);

/*
 * imp_installer_prefix - sys.prefix as the program saw it: that of the virtual environment, which
 * site sets (CPython before 3.14), so that what was recorded at the start is the base's; "" where
 * it is not known
 */
const char *imp_installer_prefix(const struct imp_host *h, struct imp_arena *a,
				 const struct imp_interpreter *py);

/* imp_installer_stdlib - directory of its standard library, where that can be told; else NULL */
const char *imp_installer_stdlib(struct imp_arena *a, const struct imp_interpreter *py);

struct imp_install_command {
	const char *command; /* NULL: there is no way that can be typed */
	const char *package; /* what it installs: "cffi", "python3-cffi-backend"; never NULL */
	bool certain; /* all that it needs was seen (pip is there; the Debian package exists) */
	bool guessed; /* the distribution's name is the module's own, for want of a better one */
	const char *environment; /* a virtual environment that it makes in the working directory and
				    installs into; NULL: it installs for @py itself */
};

/*
 * imp_installer_install - how to get @module for @py
 * @reinstall: it is there, for another Python or damaged: pip's --force-reinstall, apt's
 *             --reinstall
 *
 * Debian's own interpreter: "apt install python3-cffi-backend" (sudo where the process was not
 * root) where such a package exists; else a venv ("python3 -m venv --system-site-packages .venv &&
 * .venv/bin/python -m pip install NAME"; another name where that one is taken) since PEP 668 forbids
 * pip there. A virtual environment is never managed, whatever its base is.
 * Others: "EXECUTABLE -m pip install NAME"; where pip is not there: "EXECUTABLE -m ensurepip
 * --upgrade && ...". Where PYTHONPATH was set, "env -u PYTHONPATH" stands before pip: outside of a
 * venv, pip would take what lies there for its own, call it "already satisfied", or uninstall it.
 * conda environments (conda-meta beside the prefix): "conda install -p PREFIX NAME" is offered
 * second. Of the standard library only what Debian ships apart (python3-tk), and what PyPI has for
 * versions that lack it.
 * Returns how many commands were filled in @out, best first, at most @max; 0 where none is known.
 */
int imp_installer_install(const struct imp_host *h, struct imp_arena *a,
			  const struct imp_image *image, const struct imp_interpreter *py,
			  const char *module, bool reinstall, struct imp_install_command *out,
			  int max);

/*
 * imp_installer_editable - how to install the project in @dir so that its sources are used: pip's -e
 * @dir: absolute, or "."
 */
int imp_installer_editable(const struct imp_host *h, struct imp_arena *a,
			   const struct imp_image *image, const struct imp_interpreter *py,
			   const char *dir, struct imp_install_command *out, int max);

/*
 * imp_installer_repair - how to put an installed distribution's files back, in the same version
 * @dist: as imp_distribution_claims() or ..._dpkg_claims() told it
 * @path: a file of it that is missing or damaged; may be NULL
 * @dir:  where it lies, if PYTHONPATH names that directory: "pip install --target" has filled it, and has to do
 *        so again, or the damaged copy would still be taken first; NULL: where this interpreter installs to
 *
 * dpkg's: "apt install --reinstall PACKAGE"; pip's: "... --force-reinstall --no-deps
 * NAME==VERSION". An editable one gives nothing: its files are somebody's sources.
 */
int imp_installer_repair(const struct imp_host *h, struct imp_arena *a,
			 const struct imp_image *image, const struct imp_interpreter *py,
			 const struct imp_distribution *dist, const char *path, const char *dir,
			 struct imp_install_command *out, int max);

#endif
