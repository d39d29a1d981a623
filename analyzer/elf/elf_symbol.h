/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_ELF_SYMBOL_H
#define IMP_ELF_ELF_SYMBOL_H

#include "elf_image.h"

/*
 * The dynamic symbols of a file, looked up as ld.so does: by hash table, with versions. Tables are read
 * when they are first asked for.
 */
struct imp_elf_symbol {
	const char *name;
	const char *version; /* NULL: none */
	const char *file; /* undefined ones: soname from which the version is wanted; NULL: none said */
	bool weak;
	bool hidden;  /* an old version, for programs that ask for it by name */
	uint8_t type; /* STT_* */
	uint64_t value, size;
};

IMP_VEC_TYPE(imp_elf_symbol_list, struct imp_elf_symbol);

/*
 * imp_elf_symbol_find - does the object export this symbol to one that asks for it?
 * @version: as the reference names it; NULL: the reference has none
 * @out: filled where it is found; may be NULL
 *
 * Returns 1, 0, or -ENODATA where the tables are not all there.
 * Source: glibc elf/dl-lookup.c, do_lookup_x() and check_match().
 */
int imp_elf_symbol_find(struct imp_elf_image *img, const char *name, const char *version,
			struct imp_elf_symbol *out);

/*
 * imp_elf_symbol_versions - all definitions of a name, in whatever version
 * Returns their number (added to @out), or -ENODATA.
 */
int imp_elf_symbol_versions(struct imp_elf_image *img, const char *name,
			    struct imp_elf_symbol_list *out);

/*
 * imp_elf_symbol_undefined - the symbols that others must define, in the order of the table
 * Returns 0 or -ENODATA (what could be read is in @out).
 */
int imp_elf_symbol_undefined(struct imp_elf_image *img, struct imp_elf_symbol_list *out);

/*
 * imp_elf_symbol_exported - defined symbols whose name begins with @prefix; "" for all
 * @max: at most so many; 0: no limit
 * Returns 0 or -ENODATA.
 */
int imp_elf_symbol_exported(struct imp_elf_image *img, const char *prefix, size_t max,
			    struct imp_elf_symbol_list *out);

/*
 * imp_elf_symbol_nearest - exported names that look most like one, best first
 * @max: at most so many. Two names are near where a third of the shorter one has to change at most.
 * Returns 0 or -ENODATA.
 */
int imp_elf_symbol_nearest(struct imp_elf_image *img, const char *name, size_t max,
			   struct imp_elf_symbol_list *out);

/* imp_elf_symbol_at - the exported symbol that holds @address (relative to the load address); 1 or 0 or -ENODATA */
int imp_elf_symbol_at(struct imp_elf_image *img, uint64_t address, struct imp_elf_symbol *out);

#endif
