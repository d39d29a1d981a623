// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf_symbols.h"

#include <errno.h>
#include <stdint.h>

#include "poison.h"

#define VERSION_HIDDEN 0x8000

bool imp_elf_same_text(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* Where the object's segments lie. */
struct extent {
	ElfW(Addr) low, high;
};

static struct extent extent_of(ElfW(Addr) base, const ElfW(Phdr) * phdr, size_t phnum)
{
	struct extent e = {.low = ~(ElfW(Addr))0};
	size_t i;

	for (i = 0; i < phnum; i++) {
		if (phdr[i].p_type != PT_LOAD)
			continue;
		if (base + phdr[i].p_vaddr < e.low)
			e.low = base + phdr[i].p_vaddr;
		if (base + phdr[i].p_vaddr + phdr[i].p_memsz > e.high)
			e.high = base + phdr[i].p_vaddr + phdr[i].p_memsz;
	}
	return e;
}

/*
 * A d_ptr as an address. glibc adds the load bias to the entries in memory, musl does not, and nobody
 * does for the vDSO. NULL where neither reading falls into the object.
 */
static const void *dynamic_pointer(const struct extent *e, ElfW(Addr) base, ElfW(Addr) value)
{
	if (value >= e->low && value < e->high)
		return (const void *)value;
	if (base + value >= e->low && base + value < e->high)
		return (const void *)(base + value);
	return NULL;
}

int imp_elf_symbols_open(struct imp_elf_symbols *s, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			 size_t phnum)
{
	const struct extent e = extent_of(base, phdr, phnum);
	const ElfW(Dyn) *dyn = NULL;
	size_t i, count = 0;

	*s = (struct imp_elf_symbols){.base = base};
	for (i = 0; i < phnum; i++) {
		if (phdr[i].p_type == PT_DYNAMIC) {
			dyn = (const ElfW(Dyn) *)(base + phdr[i].p_vaddr);
			count = phdr[i].p_memsz / sizeof(*dyn);
		}
	}
	for (i = 0; dyn && i < count && dyn[i].d_tag != DT_NULL; i++) {
		const void *p = dynamic_pointer(&e, base, dyn[i].d_un.d_ptr);

		switch (dyn[i].d_tag) {
		case DT_SYMTAB: s->symtab = p; break;
		case DT_STRTAB: s->strtab = p; break;
		case DT_GNU_HASH: s->gnu_hash = p; break;
		case DT_HASH: s->sysv_hash = p; break;
		case DT_VERSYM: s->versym = p; break;
		case DT_VERDEF: s->verdef = p; break;
		case DT_VERDEFNUM: s->verdef_count = (unsigned int)dyn[i].d_un.d_val; break;
		default: break;
		}
	}
	if (!s->symtab || !s->strtab || (!s->gnu_hash && !s->sysv_hash))
		return -ENOENT;
	return 0;
}

/* The name of a version index; NULL: the object defines no such version. */
static const char *version_name(const struct imp_elf_symbols *s, unsigned int index)
{
	const ElfW(Verdef) *def = s->verdef;
	unsigned int i;

	for (i = 0; def && i < s->verdef_count; i++) {
		const ElfW(Verdaux) *aux = (const void *)((const char *)def + def->vd_aux);

		if (def->vd_ndx == index)
			return s->strtab + aux->vda_name;
		if (!def->vd_next)
			break;
		def = (const void *)((const char *)def + def->vd_next);
	}
	return NULL;
}

static bool version_fits(const struct imp_elf_symbols *s, uint32_t symbol, const char *version)
{
	unsigned int raw, index;
	const char *have;

	if (!s->versym)
		return true; /* an object without versions answers for any, as in ld.so */
	raw = s->versym[symbol];
	index = raw & ~(unsigned int)VERSION_HIDDEN;
	if (index == VER_NDX_LOCAL)
		return false;
	if (!version)
		return !(raw & VERSION_HIDDEN);
	if (index == VER_NDX_GLOBAL)
		return true;
	have = version_name(s, index);
	return have && imp_elf_same_text(have, version);
}

static bool symbol_fits(const struct imp_elf_symbols *s, uint32_t index, const char *name,
			const char *version)
{
	const ElfW(Sym) *sym = &s->symtab[index];

	if (sym->st_shndx == SHN_UNDEF || ELF64_ST_TYPE(sym->st_info) == STT_TLS ||
	    ELF64_ST_TYPE(sym->st_info) > STT_TLS + 0 /* sections, files... */) {
		if (ELF64_ST_TYPE(sym->st_info) != STT_GNU_IFUNC || sym->st_shndx == SHN_UNDEF)
			return false;
	}
	if (ELF64_ST_BIND(sym->st_info) == STB_LOCAL)
		return false;
	return imp_elf_same_text(s->strtab + sym->st_name, name) && version_fits(s, index, version);
}

static uint32_t gnu_hash(const char *name)
{
	uint32_t h = 5381;

	for (; *name; name++)
		h = h * 33 + (unsigned char)*name;
	return h;
}

/*
 * Header: bucket count, number of the first hashed symbol, words of the Bloom filter, its shift.
 * A chain's last value has bit 0 set.
 */
static const ElfW(Sym) *
	find_gnu(const struct imp_elf_symbols *s, const char *name, const char *version)
{
	const uint32_t *table = s->gnu_hash;
	const uint32_t buckets = table[0], first = table[1], bloom_words = table[2];
	const ElfW(Addr) *bloom = (const ElfW(Addr) *)(table + 4);
	const uint32_t *bucket = (const uint32_t *)(bloom + bloom_words);
	const uint32_t *chain = bucket + buckets;
	const unsigned int bits = 8 * sizeof(ElfW(Addr));
	const uint32_t h = gnu_hash(name);
	ElfW(Addr) word;
	uint32_t i;

	if (!buckets || !bloom_words)
		return NULL;
	word = bloom[h / bits % bloom_words];
	if (!(word >> (h % bits) & word >> ((h >> table[3]) % bits) & 1))
		return NULL;
	i = bucket[h % buckets];
	if (i < first)
		return NULL;
	for (;; i++) {
		const uint32_t value = chain[i - first];

		if ((value | 1) == (h | 1) && symbol_fits(s, i, name, version))
			return &s->symtab[i];
		if (value & 1)
			return NULL;
	}
}

static const ElfW(Sym) *
	find_sysv(const struct imp_elf_symbols *s, const char *name, const char *version)
{
	const uint32_t *table = s->sysv_hash;
	const uint32_t buckets = table[0], symbols = table[1];
	const uint32_t *bucket = table + 2, *chain = bucket + buckets;
	const char *p;
	uint32_t h = 0, i, steps;

	for (p = name; *p; p++) {
		h = (h << 4) + (unsigned char)*p;
		h = (h ^ (h >> 24 & 0xf0)) & 0x0fffffff;
	}
	if (!buckets)
		return NULL;
	for (i = bucket[h % buckets], steps = 0; i && i < symbols && steps < symbols;
	     i = chain[i], steps++) {
		if (symbol_fits(s, i, name, version))
			return &s->symtab[i];
	}
	return NULL;
}

void *imp_elf_symbols_find(const struct imp_elf_symbols *s, const char *name, const char *version)
{
	const ElfW(Sym) *sym =
		s->gnu_hash ? find_gnu(s, name, version) : find_sysv(s, name, version);
	ElfW(Addr) address;

	if (!sym)
		return NULL;
	address = sym->st_shndx == SHN_ABS ? sym->st_value : s->base + sym->st_value;
#if defined __x86_64__
	if (ELF64_ST_TYPE(sym->st_info) == STT_GNU_IFUNC)
		return ((void *(*)(void))address)();
#else
	/* Elsewhere a resolver is owed hwcap arguments; nothing that we look for is one. */
	if (ELF64_ST_TYPE(sym->st_info) == STT_GNU_IFUNC)
		return NULL;
#endif
	return (void *)address;
}
