/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TESTS_ELF_MAKER_H
#define IMP_TESTS_ELF_MAKER_H

/*
 * Makes a small ELF object in memory, of either class and byte order: program headers, a dynamic section,
 * symbols with a SysV hash table, versions. No section headers. For tests of what reads them.
 */
#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ELF_MAKER_MAX	16384U
#define ELF_MAKER_ITEMS 8U

struct elf_maker_symbol {
	const char *name;
	const char *version; /* with defined: one of the object's own; else one that it needs */
	const char *file;    /* undefined: from where */
	bool defined, weak, hidden;
};

struct elf_maker {
	unsigned int bits; /* 0: 64 */
	bool big_endian;
	uint16_t machine, type; /* 0: x86-64, ET_DYN */
	const char *needed[ELF_MAKER_ITEMS];
	const char *soname, *rpath, *runpath, *interpreter;
	uint32_t flags, flags_1, stack_flags;
	bool stack;
	uint32_t tls_size;
	const uint8_t *build_id;
	size_t build_id_len;
	struct elf_maker_symbol symbols[ELF_MAKER_ITEMS];
	const char *versions[ELF_MAKER_ITEMS]; /* defined ones, behind the base */

	/* result */
	uint8_t data[ELF_MAKER_MAX];
	size_t len, dynamic_at, strings_at, symbols_at, hash_at;
};

static inline void elf_put(struct elf_maker *m, size_t at, uint64_t v, unsigned int bytes)
{
	unsigned int i;

	if (at + bytes > sizeof(m->data))
		abort();
	for (i = 0; i < bytes; i++)
		m->data[at + i] = (uint8_t)(v >> 8 * (m->big_endian ? bytes - 1 - i : i));
	if (at + bytes > m->len)
		m->len = at + bytes;
}

static inline size_t elf_add(struct elf_maker *m, uint64_t v, unsigned int bytes)
{
	size_t at = m->len;

	elf_put(m, at, v, bytes);
	return at;
}

static inline void elf_align(struct elf_maker *m)
{
	while (m->len % 8)
		elf_add(m, 0, 1);
}

static inline size_t elf_text(struct elf_maker *m, const void *text, size_t len)
{
	size_t at = m->len, i;

	for (i = 0; i < len; i++)
		elf_add(m, ((const uint8_t *)text)[i], 1);
	return at;
}

/* Offset in the string table, which is filled first. */
static inline uint32_t elf_string(struct elf_maker *m, const char *s)
{
	return s ? (uint32_t)(elf_text(m, s, strlen(s) + 1) - m->strings_at) : 0;
}

static inline void elf_segment(struct elf_maker *m, size_t at, uint32_t type, uint32_t flags,
			       uint64_t offset, uint64_t size, uint64_t align)
{
	unsigned int w = m->bits / 8;

	elf_put(m, at, type, 4);
	if (w == 8) {
		elf_put(m, at + 4, flags, 4);
		at += 8;
	} else {
		elf_put(m, at + 24, flags, 4);
		at += 4;
	}
	elf_put(m, at, offset, w);
	elf_put(m, at + w, offset, w); /* address and offset are the same */
	elf_put(m, at + 2 * w, offset, w);
	elf_put(m, at + 3 * w, type == PT_TLS ? 0 : size, w);
	elf_put(m, at + 4 * w, size, w);
	elf_put(m, at + (w == 8 ? 40 : 24), align, w);
}

static inline void elf_dynamic(struct elf_maker *m, uint64_t tag, uint64_t value)
{
	elf_add(m, tag, m->bits / 8);
	elf_add(m, value, m->bits / 8);
}

static inline uint32_t elf_sysv_hash(const char *name)
{
	uint32_t h = 0, g;

	for (; *name; name++) {
		h = (h << 4) + (unsigned char)*name;
		g = h & 0xf0000000;
		h ^= g >> 24;
		h &= ~g;
	}
	return h;
}

static inline void elf_symbol(struct elf_maker *m, uint32_t name, const struct elf_maker_symbol *s,
			      unsigned int n)
{
	unsigned int info = s ? ((s->weak ? STB_WEAK : STB_GLOBAL) << 4 | STT_FUNC) : 0;
	uint64_t value = s && s->defined ? 0x100 + 16 * n : 0;

	elf_add(m, name, 4);
	if (m->bits == 64) {
		elf_add(m, info, 1);
		elf_add(m, 0, 1);
		elf_add(m, s && s->defined ? 1 : 0, 2);
		elf_add(m, value, 8);
		elf_add(m, 16, 8);
	} else {
		elf_add(m, value, 4);
		elf_add(m, 16, 4);
		elf_add(m, info, 1);
		elf_add(m, 0, 1);
		elf_add(m, s && s->defined ? 1 : 0, 2);
	}
}

static inline unsigned int elf_version_index(const struct elf_maker *m,
					     const struct elf_maker_symbol *s, unsigned int n)
{
	unsigned int i;

	if (!s->version)
		return VER_NDX_GLOBAL;
	if (!s->defined)
		return 100 + n; /* each undefined symbol has a Vernaux of its own */
	for (i = 0; i < ELF_MAKER_ITEMS && m->versions[i]; i++) {
		if (strcmp(m->versions[i], s->version) == 0)
			return (2 + i) | (s->hidden ? 0x8000 : 0);
	}
	abort();
}

static inline void elf_make(struct elf_maker *m)
{
	uint32_t needed[ELF_MAKER_ITEMS], names[ELF_MAKER_ITEMS], versions[ELF_MAKER_ITEMS + 1];
	uint32_t symbol_versions[ELF_MAKER_ITEMS], files[ELF_MAKER_ITEMS], soname, rpath, runpath;
	unsigned int w, n_symbols = 0, n_versions = 0, n_needs = 0, i, n = 0, phdrs;
	size_t ehdr, phdr, interp = 0, notes = 0, versym, verdef, verneed, strings_end;

	m->bits = m->bits ? m->bits : 64;
	m->machine = m->machine ? m->machine : EM_X86_64;
	w = m->bits / 8;
	ehdr = w == 8 ? 64 : 52;
	phdr = w == 8 ? 56 : 32;
	memset(m->data, 0, sizeof(m->data));
	m->len = 0;
	elf_put(m, ehdr + 6 * phdr - 1, 0, 1);
	memcpy(m->data, "\177ELF", 4);
	m->data[EI_CLASS] = w == 8 ? ELFCLASS64 : ELFCLASS32;
	m->data[EI_DATA] = m->big_endian ? ELFDATA2MSB : ELFDATA2LSB;
	m->data[EI_VERSION] = EV_CURRENT;

	m->strings_at = elf_add(m, 0, 1);
	for (i = 0; i < ELF_MAKER_ITEMS; i++)
		needed[i] = elf_string(m, m->needed[i]);
	soname = elf_string(m, m->soname);
	rpath = elf_string(m, m->rpath);
	runpath = elf_string(m, m->runpath);
	versions[0] = elf_string(m, "base");
	for (i = 0; i < ELF_MAKER_ITEMS; i++) {
		names[i] = elf_string(m, m->symbols[i].name);
		symbol_versions[i] = elf_string(m, m->symbols[i].version);
		files[i] = elf_string(m, m->symbols[i].file);
		versions[i + 1] = elf_string(m, m->versions[i]);
		n_symbols += m->symbols[i].name != NULL;
		n_versions += m->versions[i] != NULL;
	}
	strings_end = m->len;

	elf_align(m);
	m->symbols_at = m->len;
	elf_symbol(m, 0, NULL, 0);
	for (i = 0; i < n_symbols; i++)
		elf_symbol(m, names[i], &m->symbols[i], i);
	elf_align(m);
	m->hash_at = elf_add(m, 1, 4); /* one bucket, one chain through all */
	elf_add(m, n_symbols + 1, 4);
	elf_add(m, n_symbols ? 1 : 0, 4);
	elf_add(m, 0, 4);
	for (i = 1; i <= n_symbols; i++)
		elf_add(m, i < n_symbols ? i + 1 : 0, 4);
	elf_align(m);
	versym = elf_add(m, 0, 2);
	for (i = 0; i < n_symbols; i++)
		elf_add(m, elf_version_index(m, &m->symbols[i], i), 2);
	elf_align(m);
	verdef = m->len;
	for (i = 0; n_versions && i <= n_versions; i++) {
		elf_add(m, 1, 2);
		elf_add(m, i ? 0 : VER_FLG_BASE, 2);
		elf_add(m, i + 1, 2);
		elf_add(m, 1, 2);
		elf_add(m, 0, 4);
		elf_add(m, 20, 4);
		elf_add(m, i < n_versions ? 28 : 0, 4);
		elf_add(m, versions[i], 4);
		elf_add(m, 0, 4);
	}
	elf_align(m);
	verneed = m->len;
	for (i = 0; i < n_symbols; i++)
		n_needs += m->symbols[i].version && !m->symbols[i].defined;
	for (i = 0, n = 0; i < n_symbols; i++) {
		if (!m->symbols[i].version || m->symbols[i].defined)
			continue;
		elf_add(m, 1, 2);
		elf_add(m, 1, 2);
		elf_add(m, files[i], 4);
		elf_add(m, 16, 4);
		elf_add(m, ++n < n_needs ? 32 : 0, 4);
		elf_add(m, elf_sysv_hash(m->symbols[i].version), 4);
		elf_add(m, m->symbols[i].weak ? VER_FLG_WEAK : 0, 2);
		elf_add(m, 100 + i, 2);
		elf_add(m, symbol_versions[i], 4);
		elf_add(m, 0, 4);
	}
	if (m->interpreter)
		interp = elf_text(m, m->interpreter, strlen(m->interpreter) + 1);
	elf_align(m);
	if (m->build_id) {
		notes = elf_add(m, 4, 4);
		elf_add(m, m->build_id_len, 4);
		elf_add(m, NT_GNU_BUILD_ID, 4);
		elf_text(m, "GNU", 4);
		elf_text(m, m->build_id, m->build_id_len);
	}

	elf_align(m);
	m->dynamic_at = m->len;
	for (i = 0; i < ELF_MAKER_ITEMS; i++) {
		if (m->needed[i])
			elf_dynamic(m, DT_NEEDED, needed[i]);
	}
	if (m->soname)
		elf_dynamic(m, DT_SONAME, soname);
	if (m->rpath)
		elf_dynamic(m, DT_RPATH, rpath);
	if (m->runpath)
		elf_dynamic(m, DT_RUNPATH, runpath);
	elf_dynamic(m, DT_STRTAB, m->strings_at);
	elf_dynamic(m, DT_STRSZ, strings_end - m->strings_at);
	elf_dynamic(m, DT_SYMTAB, m->symbols_at);
	elf_dynamic(m, DT_HASH, m->hash_at);
	if (n_versions || n_needs)
		elf_dynamic(m, DT_VERSYM, versym);
	if (n_versions) {
		elf_dynamic(m, DT_VERDEF, verdef);
		elf_dynamic(m, DT_VERDEFNUM, n_versions + 1);
	}
	if (n_needs) {
		elf_dynamic(m, DT_VERNEED, verneed);
		elf_dynamic(m, DT_VERNEEDNUM, n_needs);
	}
	if (m->flags)
		elf_dynamic(m, DT_FLAGS, m->flags);
	if (m->flags_1)
		elf_dynamic(m, DT_FLAGS_1, m->flags_1);
	elf_dynamic(m, DT_NULL, 0);

	phdrs = 0;
	elf_segment(m, ehdr + phdr * phdrs++, PT_LOAD, PF_R, 0, m->len, 0x1000);
	elf_segment(m, ehdr + phdr * phdrs++, PT_DYNAMIC, PF_R, m->dynamic_at,
		    m->len - m->dynamic_at, 8);
	if (m->interpreter)
		elf_segment(m, ehdr + phdr * phdrs++, PT_INTERP, PF_R, interp,
			    strlen(m->interpreter) + 1, 1);
	if (m->build_id)
		elf_segment(m, ehdr + phdr * phdrs++, PT_NOTE, PF_R, notes, 16 + m->build_id_len, 4);
	if (m->stack)
		elf_segment(m, ehdr + phdr * phdrs++, PT_GNU_STACK, m->stack_flags, 0, 0, 16);
	if (m->tls_size)
		elf_segment(m, ehdr + phdr * phdrs++, PT_TLS, PF_R, 0, m->tls_size, 64);
	elf_put(m, 16, m->type ? m->type : ET_DYN, 2);
	elf_put(m, 18, m->machine, 2);
	elf_put(m, 20, EV_CURRENT, 4);
	elf_put(m, 24 + w, ehdr, w);
	elf_put(m, 24 + 3 * w + 4, ehdr, 2);
	elf_put(m, 24 + 3 * w + 6, phdr, 2);
	elf_put(m, 24 + 3 * w + 8, phdrs, 2);
}

#endif
