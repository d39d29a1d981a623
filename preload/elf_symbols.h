/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_ELF_SYMBOLS_H
#define IMP_PRELOAD_ELF_SYMBOLS_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The dynamic symbol table of one mapped object, read directly: dlsym is ours, and it would replace
 * the text that dlerror() owes to the program.
 *
 * Nothing here calls a function of libc: strcmp may be a sanitizer's, which at its first call sets its
 * runtime up, and looks for the real ones through the very dlsym that we are about to resolve.
 */
struct imp_elf_symbols {
	ElfW(Addr) base; /* load bias */
	const ElfW(Sym) * symtab;
	const char *strtab;
	const uint32_t *gnu_hash; /* NULL: use @sysv_hash */
	const uint32_t *sysv_hash;
	const ElfW(Half) * versym; /* NULL: no versions */
	const ElfW(Verdef) * verdef;
	unsigned int verdef_count;
};

/*
 * imp_elf_symbols_open - find the tables through the program headers
 * @base: load bias; @phdr, @phnum: as dl_iterate_phdr() gives them
 * Returns 0, or -ENOENT where there is no usable dynamic symbol table.
 * Source: gABI chapter 5, "Dynamic Section"; glibc elf/dl-lookup.c; GNU hash section.
 */
int imp_elf_symbols_open(struct imp_elf_symbols *s, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			 size_t phnum);

/*
 * imp_elf_symbols_find - address of a defined symbol
 * @version: version name wanted; NULL: the default (not hidden) one
 * Returns NULL where it is not defined here. IFUNCs are resolved. TLS symbols are not found.
 */
void *imp_elf_symbols_find(const struct imp_elf_symbols *s, const char *name, const char *version);

/* imp_elf_same_text - are these the same? */
bool imp_elf_same_text(const char *a, const char *b);

#endif
