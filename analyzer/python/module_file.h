/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PYTHON_MODULE_FILE_H
#define IMP_PYTHON_MODULE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/arena.h"

/*
 * Names of files that a module may be. A full name "pkg._native" stands for the path "pkg/_native"
 * below an entry of the search path.
 */

/* imp_module_path - "pkg._native" -> "pkg/_native", in the arena */
const char *imp_module_path(struct imp_arena *a, const char *module);

/*
 * imp_module_file_is - is @path, relative to an entry of the search path, a file of that very
 * module?
 * @base: what imp_module_path() gave
 * True for BASE.py, BASE.pyc, BASE[.TAG].so and BASE/__init__ with the same endings.
 */
bool imp_module_file_is(struct imp_arena *a, const char *path, const char *base);

/* imp_path_join - "dir/name"; @name alone where it is absolute */
const char *imp_path_join(struct imp_arena *a, const char *dir, const char *name);

/* imp_path_normalize - without "//", "/./" and "x/.."; by the letters, no disk is asked */
const char *imp_path_normalize(struct imp_arena *a, const char *path);

/* imp_path_parent - what stands before the last '/'; "/" for "/x", "." where there is none */
const char *imp_path_parent(struct imp_arena *a, const char *path);

/* imp_path_name - what stands behind the last '/' */
const char *imp_path_name(const char *path);

bool imp_starts_with(const char *s, const char *start);
bool imp_ends_with(const char *s, const char *end);

#endif
