/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_DEMANGLE_RUST_H
#define IMP_ELF_DEMANGLE_RUST_H

#include "../base/arena.h"

/*
 * imp_demangle_rust - "core::ptr::drop_in_place::<i32>" for "_RINvNtCs..._4core3ptr13drop_in_placelEBc_"
 *
 * Rust's v0 scheme, which rustc uses with -C symbol-mangling-version=v0. Written as rustc's own tools do in their
 * short form: no hashes of crates, no types of constants. Returns NULL where the symbol is no such name; a name in
 * which a constant has another type than an integer, bool or char is left as it is too.
 *
 * Takes bounded time and memory, whatever the symbol says. Source: Rust RFC 2603, and "v0 Symbol Format" of the
 * rustc book.
 */
const char *imp_demangle_rust(struct imp_arena *a, const char *symbol);

#endif
