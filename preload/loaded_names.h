/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_LOADED_NAMES_H
#define IMP_PRELOAD_LOADED_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Names whose load has come back to us before, in this process: of what was loaded once (also as another's
 * dependency), by path or soname, it is known that its constructors do not crash. A bounded table of hashes:
 * it may forget.
 */
uint64_t imp_loaded_names_hash(const char *name); /* never 0 */
bool imp_loaded_names_has(uint64_t hash);
void imp_loaded_names_add(uint64_t hash);

#endif
