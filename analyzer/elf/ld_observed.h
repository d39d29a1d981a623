/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_LD_OBSERVED_H
#define IMP_ELF_LD_OBSERVED_H

#include "ld_replay.h"

/*
 * imp_ld_observed_apply - put what rtld-audit saw in the place of what was derived
 * @r: whose trace it is
 * @d: the dlopen; NULL: the program's start
 * @tree: as derived for it; changed
 *
 * Each search of @tree that ld.so was seen to make gets the paths that were tried, in their order, and is
 * marked as observed. What lies at a path, and which rule led there (la_objsearch() has one word for RPATH
 * and RUNPATH), is taken from the derived search where that has the path. A search that was seen and not
 * derived, since a file could not be read, is added at the end. Nothing changes where nothing was seen.
 *
 * Source: rtld-audit(7); glibc elf/dl-load.c, open_verify() and _dl_map_object().
 */
void imp_ld_observed_apply(struct imp_ld_replay *r, const struct imp_dlopen *d,
			   struct imp_ld_tree *tree);

#endif
