/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PYTHON_PYTHON_VERSION_H
#define IMP_PYTHON_PYTHON_VERSION_H

#include <stdbool.h>

#include "../base/arena.h"
#include "../trace/record.h"

/* Which CPython, as far as its directories are named after it. */
struct imp_python_version {
	int major, minor; /* 0: unknown */
	bool free_threaded;
};

/* imp_python_version_of - from sys.version and the ABI flags */
struct imp_python_version imp_python_version_of(const struct imp_interpreter *py);

/*
 * imp_python_version_parse - from a name: "python3.13t", "pypy3.10", "3.11.2 (main...",
 * "3.11.2.final.0"
 * Returns false where it names no version ("python3" gives 3, 0 and true).
 */
bool imp_python_version_parse(const char *name, struct imp_python_version *v);

/* imp_python_version_name - "python3.13t" */
const char *imp_python_version_name(const struct imp_python_version *v, struct imp_arena *a);

#endif
