/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_DEMANGLE_H
#define IMP_ELF_DEMANGLE_H

#include "../base/arena.h"

/*
 * imp_demangle - "shapes::Circle::named(int)" for "_ZN6shapes6Circle5namedEi"
 *
 * C++, and Rust in both its schemes: the legacy one, whose hash at the end is left out, and v0 (demangle_rust.h).
 * Returns NULL where the name is no mangled one. C++ and legacy Rust need this machine's libstdc++.so.6; NULL
 * where there is none.
 */
const char *imp_demangle(struct imp_arena *a, const char *symbol);

#endif
