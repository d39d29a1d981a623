/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PYTHON_PACKAGE_NAME_H
#define IMP_PYTHON_PACKAGE_NAME_H

#include <stdbool.h>

#include "../base/arena.h"
#include "../host/host.h"

/*
 * imp_package_pypi_name - which distribution brings an import name
 * @module: full or top-level import name: "cv2", "PIL.Image", "_cffi_backend"
 * Returns "opencv-python", "Pillow", "cffi"; the top-level name itself where the table does not
 * know it (normalized as in PEP 503); NULL where it is a module of the standard library, of Python
 * 2's, of Debian alone, or where no distribution can have that name ("_native": nobody may be told
 * to install a guess).
 */
const char *imp_package_pypi_name(struct imp_arena *a, const char *module);

/* imp_package_same_name - "My.Package" and "my_package" are one distribution (PEP 503) */
bool imp_package_same_name(const char *one, const char *two);

/* imp_package_is_translated - does the table know the name, so that pypi_name() is no guess? */
bool imp_package_is_translated(const char *module);

/*
 * imp_package_debian_name - Debian package that ships an import name for Debian's own python3
 * "_cffi_backend" -> "python3-cffi-backend", "_tkinter" -> "python3-tk", "yaml" -> "python3-yaml".
 * Uses dpkg's and apt's own data where the host has them (/var/lib/dpkg/status, /var/lib/dpkg/info,
 * /var/lib/apt/lists/...Packages), else a table. Returns NULL where it is not known to exist.
 */
const char *imp_package_debian_name(const struct imp_host *h, struct imp_arena *a,
				    const char *module);

/*
 * imp_package_debian_find - the same, and whether dpkg's or apt's data confirmed it
 */
const char *imp_package_debian_find(const struct imp_host *h, struct imp_arena *a,
				    const char *module, bool *confirmed);

/*
 * imp_package_debian_exists - 1: dpkg or apt know the package; 0: they surely do not; -ENODATA: no
 * data, or compressed lists
 */
int imp_package_debian_exists(const struct imp_host *h, struct imp_arena *a, const char *package);

/* imp_package_debian_installed - does dpkg say "install ok installed"? */
bool imp_package_debian_installed(const struct imp_host *h, struct imp_arena *a,
				  const char *package);

/*
 * imp_package_is_stdlib - is it a top-level module of CPython's standard library (3.6 to 3.14)?
 * @module:   full or top-level name
 * @optional: set where it is an extension that a build may lack (_ssl, _sqlite3, _tkinter, ...);
 *            may be NULL
 */
bool imp_package_is_stdlib(const char *module, bool *optional);

/*
 * imp_package_stdlib_debian - Debian package that a standard module is split off into; NULL: none
 */
const char *imp_package_stdlib_debian(const char *module);

/*
 * imp_package_stdlib_range - from which 3.N on a standard module is there, and from which no more
 * @since, @removed: 0: before 3.6; never
 * "tomllib": 11, 0. "imp": 0, 12. Returns false where it is no standard module.
 */
bool imp_package_stdlib_range(const char *module, int *since, int *removed);

/*
 * imp_package_backport - distribution that brings a standard module, under that very name, to a
 * Python 3.@minor that has it not yet, or no more: "distutils" -> "setuptools"; NULL: none known
 */
const char *imp_package_backport(const char *module, int minor);

/*
 * imp_package_python2_successor - "urllib2" -> "urllib.request": what Python 2's name became; NULL:
 * no such name
 */
const char *imp_package_python2_successor(const char *module);

/*
 * imp_package_build_dependency - for an optional stdlib extension: the Debian -dev package its
 * build needs ("_sqlite3" -> "libsqlite3-dev"); NULL: none known
 */
const char *imp_package_build_dependency(const char *module);

#endif
