/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PYTHON_INSTALLER_H
#define IMP_PYTHON_INSTALLER_H

#include <stdbool.h>

#include "../base/arena.h"
#include "../host/host.h"
#include "../trace/record.h"

/* Command lines that install something for the very interpreter that failed. */

/* imp_shell_quote - @word as one word of a POSIX shell; unchanged where that is safe */
const char *imp_shell_quote(struct imp_arena *a, const char *word);

/* imp_installer_is_debian - is this Debian's own python3 (its stdlib belongs to a Debian package)? */
bool imp_installer_is_debian(const struct imp_host *h, const struct imp_interpreter *py);

struct imp_install_command {
	const char *command;	/* NULL: there is no way that can be typed */
	const char *package;	/* what it installs: "cffi", "python3-cffi-backend" */
	bool certain;		/* all that it needs was seen (pip is there; the Debian package exists) */
};

/*
 * imp_installer_install - how to get @module for @py
 * @reinstall: it is there but broken: --force-reinstall --no-deps, or apt install --reinstall
 *
 * Debian's own interpreter: "apt install python3-cffi-backend" (sudo where the process was not root) where such a package exists; else a venv
 * ("python3 -m venv .venv && .venv/bin/python -m pip install NAME") since PEP 668 forbids pip there.
 * Others: "EXECUTABLE -m pip install NAME"; where pip is not there: "EXECUTABLE -m ensurepip --upgrade && ...".
 * conda environments (conda-meta beside the prefix): "conda install -p PREFIX NAME" is offered second.
 * Modules of the standard library give command NULL.
 * Returns how many commands were filled in @out, best first, at most @max.
 */
int imp_installer_install(const struct imp_host *h, struct imp_arena *a, const struct imp_image *image,
			  const struct imp_interpreter *py, const char *module, bool reinstall,
			  struct imp_install_command *out, int max);

#endif
