/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "elf_extract.h"

#include <elf.h>
#include <string.h>

#include "poison.h"

#define STRINGS_MAX   (16 * 1024) /* a larger string table is not kept whole */
#define UNDEFINED_MAX 400
#define SCAN_MAX      (2 << 20) /* bytes of one table that are looked through */
#define INITS_MAX     8

static void put_version_names(struct imp_elf_extract *f, const struct imp_elf_place *t, bool needs)
{
	size_t got, at = 0, aux;
	unsigned int i, j;

	if (!t->address)
		return;
	got = imp_extract_read(f, f->work, IMP_EXTRACT_VERSIONS_MAX, t->offset);
	for (i = 0; i < 64 && at + sizeof(ElfW(Verdef)) <= got; i++) {
		ElfW(Verneed) need;
		ElfW(Verdef) def;
		size_t next, count;

		memcpy(&need, f->work + at, sizeof(need));
		memcpy(&def, f->work + at, sizeof(def));
		if (needs)
			imp_extract_put_string(f, need.vn_file);
		next = needs ? need.vn_next : def.vd_next;
		count = needs ? need.vn_cnt : def.vd_cnt;
		aux = at + (needs ? need.vn_aux : def.vd_aux);
		for (j = 0; j < count && j < 64 && aux < got && got - aux >= sizeof(ElfW(Vernaux));
		     j++) {
			ElfW(Vernaux) a;
			ElfW(Verdaux) d;

			memcpy(&a, f->work + aux, sizeof(a));
			memcpy(&d, f->work + aux, sizeof(d));
			imp_extract_put_string(f, needs ? a.vna_name : d.vda_name);
			if (!(needs ? a.vna_next : d.vda_next))
				break;
			aux += needs ? a.vna_next : d.vda_next;
		}
		if (!next || next > got)
			break;
		at += next;
	}
}

/* Symbols before the first hashed one are those that it needs. */
static uint32_t count_undefined(const struct imp_elf_extract *f)
{
	uint32_t header[4];

	if (!f->tables[IMP_EXTRACT_GNU_HASH].address ||
	    imp_extract_read(f, header, sizeof(header), f->tables[IMP_EXTRACT_GNU_HASH].offset) <
		    sizeof(header))
		return UNDEFINED_MAX;
	return header[1] < UNDEFINED_MAX ? header[1] : UNDEFINED_MAX;
}

static void put_symbol_names(struct imp_elf_extract *f, uint32_t count)
{
	const size_t size = sizeof(ElfW(Sym));
	size_t got = imp_extract_read(f, f->work, count * size,
				      f->tables[IMP_EXTRACT_SYMBOLS].offset),
	       i;

	for (i = 0; i + size <= got; i += size) {
		ElfW(Sym) sym;

		memcpy(&sym, f->work + i, size);
		if (sym.st_name && sym.st_shndx == SHN_UNDEF)
			imp_extract_put_string(f, sym.st_name);
	}
}

/* Where in the string table do names of init functions begin? */
static unsigned int find_inits(struct imp_elf_extract *f, uint32_t *names)
{
	static const char prefix[] = "\0PyInit";
	const size_t len = sizeof(prefix) - 1;
	const struct imp_elf_place *t = &f->tables[IMP_EXTRACT_STRINGS];
	uint64_t size = t->end - t->offset, at;
	unsigned int count = 0;

	if (f->strings_size < size)
		size = f->strings_size;
	if (size > SCAN_MAX)
		size = SCAN_MAX;
	for (at = 0; at + len < size && count < INITS_MAX; at += IMP_EXTRACT_CHUNK_MAX - len) {
		size_t part = size - at < IMP_EXTRACT_CHUNK_MAX ? (size_t)(size - at) :
								  IMP_EXTRACT_CHUNK_MAX;
		const size_t got = imp_extract_read(f, f->work, part, t->offset + at);
		const char *p = f->work, *end = f->work + got;

		while (count < INITS_MAX && (size_t)(end - p) > len) {
			p = memchr(p, 'P', (size_t)(end - p) - (len - 1));
			if (!p)
				break;
			if (p > f->work && !memcmp(p - 1, prefix, len))
				names[count++] = (uint32_t)(at + (size_t)(p - f->work));
			p++;
		}
		if (got < part)
			break;
	}
	return count;
}

static void put_inits(struct imp_elf_extract *f)
{
	const struct imp_elf_place *t = &f->tables[IMP_EXTRACT_SYMBOLS];
	const size_t size = sizeof(ElfW(Sym)),
		     window = IMP_EXTRACT_CHUNK_MAX - IMP_EXTRACT_CHUNK_MAX % size;
	uint64_t room = imp_extract_room(f, t), at;
	uint32_t names[INITS_MAX];
	unsigned int count = find_inits(f, names), i;

	for (i = 0; i < count; i++)
		imp_extract_put_string(f, names[i]);
	if (room > SCAN_MAX)
		room = SCAN_MAX;
	for (at = 0; count && at < room; at += window) {
		size_t part = room - at < window ? (size_t)(room - at) : window, j;
		const size_t got = imp_extract_read(f, f->work, part, t->offset + at);

		for (j = 0; j + size <= got; j += size) {
			ElfW(Sym) sym;

			memcpy(&sym, f->work + j, size);
			for (i = 0; i < count; i++) {
				if (sym.st_name == names[i] && sym.st_shndx != SHN_UNDEF)
					imp_extract_put(f, t->offset + at + j, f->work + j, size);
			}
		}
		if (got < part)
			break;
	}
}

void imp_extract_put_parts(struct imp_elf_extract *f)
{
	const uint32_t undefined = count_undefined(f);
	unsigned int i;

	imp_extract_want_table(f, IMP_EXTRACT_GNU_HASH, 16);
	imp_extract_want_table(f, IMP_EXTRACT_SYMBOLS, undefined * sizeof(ElfW(Sym)));
	imp_extract_want_table(f, IMP_EXTRACT_VERSYMS, undefined * sizeof(ElfW(Half)));
	if (f->strings_size <= STRINGS_MAX)
		imp_extract_want_table(f, IMP_EXTRACT_STRINGS, f->strings_size);
	imp_extract_join(f);
	imp_extract_put_wanted(f);
	if (!f->tables[IMP_EXTRACT_STRINGS].address || !f->tables[IMP_EXTRACT_SYMBOLS].address)
		return;
	if (f->strings_size > STRINGS_MAX) {
		for (i = 0; i < f->dyn_count; i++) {
			const ElfW(Sxword) tag = f->dyn[i].d_tag;

			if (tag == DT_NEEDED || tag == DT_SONAME || tag == DT_RPATH ||
			    tag == DT_RUNPATH)
				imp_extract_put_string(f, f->dyn[i].d_un.d_val);
		}
		put_version_names(f, &f->tables[IMP_EXTRACT_NEEDS], true);
		put_version_names(f, &f->tables[IMP_EXTRACT_DEFS], false);
	}
	put_inits(f);
	if (f->strings_size > STRINGS_MAX)
		put_symbol_names(f, undefined);
}
