/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_GOT_OBJECT_H
#define IMP_PRELOAD_GOT_OBJECT_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf_symbols.h"

/* One mapped object as got_patch.c needs it: its relocations, and which of its pages are read-only by now. */

struct imp_got_range {
	ElfW(Addr) low, high;
};

struct imp_got_object {
	struct imp_elf_symbols symbols;
	struct imp_got_range object;	/* its segments */
	struct imp_got_range read_only; /* whole pages, after relocation (RELRO) */
	const ElfW(Rela) * rela, *plt;
	size_t rela_count, plt_count, relative_count;
	bool writable; /* the pages of @read_only are not so, at the moment */
};

/* imp_got_extent - from an object's first to behind its last mapped byte */
struct imp_got_range imp_got_extent(ElfW(Addr) base, const ElfW(Phdr) * phdr, size_t phnum);
bool imp_got_range_has(const struct imp_got_range *r, const void *address);

/*
 * imp_got_object_open - find the tables through the program headers, as dl_iterate_phdr() gives them
 * Returns false where there are no symbols or no relocations.
 */
bool imp_got_object_open(struct imp_got_object *o, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			 size_t phnum);

/*
 * imp_got_object_symbols - how many symbols to look at for those that the object does not define
 * @all: also where the program takes a function's address by its own PLT entry
 */
uint32_t imp_got_object_symbols(const struct imp_got_object *o, bool all);

/*
 * imp_got_object_unlock - make the word at @at writable, where RELRO has it read-only; false: impossible
 * imp_got_object_lock - as it was
 */
bool imp_got_object_unlock(struct imp_got_object *o, const void *at);
void imp_got_object_lock(struct imp_got_object *o);

#endif
