/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_DEMANGLE_H
#define IMP_ELF_DEMANGLE_H

#include "../base/arena.h"

/*
 * imp_demangle - "shapes::Circle::named(int)" for "_ZN6shapes6Circle5namedEi"
 *
 * C++ and Rust (the scheme that rustc uses by default; the hash at its end is left out). Returns NULL where the
 * name is no mangled one, or where this machine has no libstdc++.so.6, which does it.
 */
const char *imp_demangle(struct imp_arena *a, const char *symbol);

#endif
