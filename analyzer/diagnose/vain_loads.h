/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_VAIN_LOADS_H
#define IMP_DIAGNOSE_VAIN_LOADS_H

#include "case.h"

IMP_VEC_TYPE(imp_loads, const struct imp_dlopen *);

/*
 * imp_load_stem - "vips" of "/usr/lib/libvips-42.so.1": what people call it; "" where nothing is left
 */
const char *imp_load_stem(struct imp_arena *a, const char *name);

/*
 * imp_vain_loads - the libraries that the failing code opened in vain, before it failed
 * @out: in the order of time; those of modules that it imported are left out, and so is what a later load made up for
 *
 * Of an init function: within its call. Else since the import began, or within no import where none is known.
 */
void imp_vain_loads(const struct imp_case *c, struct imp_loads *out);

/* imp_vain_loads_say - evidence: each of them, with the loader's text */
void imp_vain_loads_say(struct imp_case *c);

/* imp_load_opener - the path of the library or extension whose own code called dlopen; NULL: another program's, ctypes */
const char *imp_load_opener(const struct imp_image *image, const struct imp_dlopen *d);

/* imp_load_is_foreign_name - is it what macOS or Windows calls a library (".dylib", ".dll")? */
bool imp_load_is_foreign_name(const char *name);

#endif
