/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "elf_chunks.h"

#include <elf.h>
#include <string.h>

#include "cbor_put.h"
#include "elf_extract.h"
#include "raw_syscall.h"

#include "poison.h"

#define SNIFF	 256 /* bytes of what is no ELF file */
#define NOTE_MAX 512

_Static_assert(IMP_EXTRACT_HEAD_SIZE + IMP_EXTRACT_DYNAMIC_SIZE + IMP_EXTRACT_CHUNK_MAX <=
		       IMP_CHUNKS_BUFFER,
	       "see struct imp_elf_extract");

static bool read_dynamic(struct imp_elf_extract *f)
{
	static const struct {
		ElfW(Sxword) tag;
		unsigned int table;
	} tags[] = {{DT_STRTAB, IMP_EXTRACT_STRINGS}, {DT_SYMTAB, IMP_EXTRACT_SYMBOLS},
		    {DT_VERSYM, IMP_EXTRACT_VERSYMS}, {DT_VERNEED, IMP_EXTRACT_NEEDS},
		    {DT_VERDEF, IMP_EXTRACT_DEFS},    {DT_GNU_HASH, IMP_EXTRACT_GNU_HASH},
		    {DT_HASH, IMP_EXTRACT_SYSV_HASH}};
	unsigned int i, j;
	size_t got = 0;

	for (i = 0; i < f->phnum && !got; i++) {
		if (f->phdr[i].p_type != PT_DYNAMIC)
			continue;
		got = f->phdr[i].p_filesz < IMP_EXTRACT_DYNAMIC_SIZE ? f->phdr[i].p_filesz :
								       IMP_EXTRACT_DYNAMIC_SIZE;
		got = imp_extract_read(f, f->dyn, got, f->phdr[i].p_offset);
		imp_extract_want(f, f->phdr[i].p_offset, got);
	}
	while ((f->dyn_count + 1) * sizeof(*f->dyn) <= got && f->dyn[f->dyn_count].d_tag != DT_NULL)
		f->dyn_count++;
	for (i = 0; i < f->dyn_count; i++) {
		if (f->dyn[i].d_tag == DT_STRSZ)
			f->strings_size = f->dyn[i].d_un.d_val;
		for (j = 0; j < sizeof(tags) / sizeof(tags[0]); j++) {
			if (f->dyn[i].d_tag == tags[j].tag &&
			    !imp_extract_find(f, f->dyn[i].d_un.d_ptr, &f->tables[tags[j].table]))
				f->tables[tags[j].table] = (struct imp_elf_place){.address = 0};
		}
	}
	return f->dyn_count > 0;
}

/* What every answer needs, whatever the size of the tables. */
static void want_basics(struct imp_elf_extract *f)
{
	unsigned int i, notes = 0;

	for (i = 0; i < f->phnum; i++) {
		const ElfW(Phdr) *p = &f->phdr[i];

		if (p->p_type == PT_INTERP || (p->p_type == PT_NOTE && notes++ < 4))
			imp_extract_want(f, p->p_offset,
					 p->p_filesz < NOTE_MAX ? p->p_filesz : NOTE_MAX);
	}
	for (i = IMP_EXTRACT_NEEDS; i <= IMP_EXTRACT_DEFS; i++) {
		const uint64_t room = f->tables[i].address ? imp_extract_room(f, &f->tables[i]) : 0;

		imp_extract_want_table(
			f, i, room < IMP_EXTRACT_VERSIONS_MAX ? room : IMP_EXTRACT_VERSIONS_MAX);
	}
}

/* Do all tables fit, each of them whole? Then they are wanted. */
static bool want_tables(struct imp_elf_extract *f)
{
	const unsigned int before = f->range_count;
	struct imp_elf_range kept[IMP_EXTRACT_RANGES_MAX];
	unsigned int i;

	memcpy(kept, f->ranges, before * sizeof(kept[0]));
	imp_extract_want_table(f, IMP_EXTRACT_STRINGS, f->strings_size);
	for (i = 0; i < IMP_EXTRACT_TABLES; i++) {
		const uint64_t room = f->tables[i].address ? imp_extract_room(f, &f->tables[i]) : 0;

		if (i == IMP_EXTRACT_STRINGS || i == IMP_EXTRACT_NEEDS || i == IMP_EXTRACT_DEFS)
			continue;
		if (room > IMP_EXTRACT_CHUNK_MAX)
			goto too_large;
		imp_extract_want_table(f, i, room);
	}
	if (f->strings_size <= IMP_EXTRACT_CHUNK_MAX && imp_extract_join(f) <= f->left)
		return true;
too_large:
	memcpy(f->ranges, kept, before * sizeof(kept[0]));
	f->range_count = before;
	return false;
}

/* Its program headers, wherever they are; false: not a file to be read further. */
static bool read_headers(struct imp_elf_extract *f, size_t got)
{
	const unsigned char *ident = (const unsigned char *)f->head;
	ElfW(Ehdr) header;
	uint64_t len;

	if (got < EI_NIDENT || memcmp(ident, ELFMAG, SELFMAG) != 0) {
		imp_extract_want(f, 0, SNIFF);
		return false;
	}
	memcpy(&header, f->head, sizeof(header));
	if (got < sizeof(header) ||
	    ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
	    ident[EI_DATA] != (__BYTE_ORDER == __LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB) ||
	    header.e_phentsize != sizeof(ElfW(Phdr))) {
		imp_extract_want(f, 0, 2 * SNIFF);
		return false;
	}
	imp_extract_want(f, 0, sizeof(header));
	len = (uint64_t)header.e_phnum * sizeof(ElfW(Phdr));
	if (len > IMP_EXTRACT_HEAD_SIZE)
		len = IMP_EXTRACT_HEAD_SIZE;
	imp_extract_want(f, header.e_phoff, len);
	len = imp_extract_read(f, f->head, (size_t)len, header.e_phoff);
	f->phdr = (const ElfW(Phdr) *)f->head;
	f->phnum = (unsigned int)(len / sizeof(ElfW(Phdr)));
	return f->phnum > 0;
}

void imp_elf_chunks_put(struct imp_cbor *c, int fd, uint64_t size, size_t max, char *buf,
			struct imp_time_budget *budget)
{
	struct imp_elf_extract f = {.c = c,
				    .fd = fd,
				    .size = size,
				    .budget = budget,
				    .left = max < IMP_CHUNKS_MAX ? max : IMP_CHUNKS_MAX,
				    .head = buf,
				    .dyn = (ElfW(Dyn) *)(buf + IMP_EXTRACT_HEAD_SIZE),
				    .work = buf + IMP_EXTRACT_HEAD_SIZE + IMP_EXTRACT_DYNAMIC_SIZE};
	const size_t got = imp_extract_read(&f, f.head, sizeof(ElfW(Ehdr)), 0);

	if (read_headers(&f, got)) {
		const bool dynamic = read_dynamic(&f);

		want_basics(&f);
		if (dynamic && !want_tables(&f)) {
			imp_extract_put_parts(&f);
			return;
		}
	}
	imp_extract_join(&f);
	imp_extract_put_wanted(&f);
}

bool imp_elf_is_cut(int fd, uint64_t size, char *buf)
{
	const ElfW(Phdr) *p = (const ElfW(Phdr) *)buf;
	ElfW(Ehdr) header;
	long got, i;

	if (imp_sys(SYS_pread64, fd, (long)&header, sizeof(header), 0, 0) != sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(*p))
		return false;
	got = (long)header.e_phnum * (long)sizeof(*p);
	if (got > IMP_EXTRACT_HEAD_SIZE)
		got = IMP_EXTRACT_HEAD_SIZE;
	got = imp_sys(SYS_pread64, fd, (long)buf, got, (long)header.e_phoff, 0);
	for (i = 0; i < got / (long)sizeof(*p); i++) {
		if (p[i].p_type == PT_LOAD &&
		    (p[i].p_offset > size || p[i].p_filesz > size - p[i].p_offset))
			return true;
	}
	return false;
}
