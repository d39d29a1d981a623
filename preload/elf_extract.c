/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "elf_extract.h"

#include <elf.h>
#include <string.h>

#include "cbor_put.h"
#include "raw_syscall.h"
#include "time_budget.h"

#include "poison.h"

#define STRING_MAX 512

size_t imp_extract_read(const struct imp_elf_extract *f, void *to, size_t len, uint64_t offset)
{
	size_t done = 0;
	long ret;

	if (offset >= f->size || imp_time_budget_over(f->budget))
		return 0;
	if (len > f->size - offset)
		len = f->size - offset;
	while (done < len) {
		ret = imp_sys(SYS_pread64, f->fd, (long)((char *)to + done), (long)(len - done),
			      (long)(offset + done), 0);
		if (ret == -EINTR)
			continue;
		if (ret <= 0)
			break;
		done += (size_t)ret;
	}
	return done;
}

void imp_extract_put(struct imp_elf_extract *f, uint64_t offset, const void *data, size_t len)
{
	struct imp_cbor_mark mark = imp_cbor_mark(f->c);

	if (!len || len > f->left)
		return;
	imp_cbor_array_begin(f->c);
	imp_cbor_uint(f->c, offset);
	imp_cbor_bytes(f->c, data, len);
	imp_cbor_array_end(f->c);
	if (f->c->overflow)
		imp_cbor_rewind(f->c, mark);
	else
		f->left -= len;
}

void imp_extract_want(struct imp_elf_extract *f, uint64_t offset, uint64_t len)
{
	if (offset >= f->size || !len || f->range_count == IMP_EXTRACT_RANGES_MAX)
		return;
	if (len > f->size - offset)
		len = f->size - offset;
	if (len > IMP_EXTRACT_CHUNK_MAX)
		len = IMP_EXTRACT_CHUNK_MAX;
	f->ranges[f->range_count++] = (struct imp_elf_range){.begin = offset, .end = offset + len};
}

uint64_t imp_extract_join(struct imp_elf_extract *f)
{
	struct imp_elf_range *r = f->ranges;
	unsigned int i, j, kept = 0;
	uint64_t total = 0;

	for (i = 1; i < f->range_count; i++) {
		struct imp_elf_range moved = r[i];

		for (j = i; j && r[j - 1].begin > moved.begin; j--)
			r[j] = r[j - 1];
		r[j] = moved;
	}
	for (i = 0; i < f->range_count; i++) {
		struct imp_elf_range *last = kept ? &r[kept - 1] : NULL;
		uint64_t end = last && last->end > r[i].end ? last->end : r[i].end;

		if (last && r[i].begin <= last->end && end - last->begin <= IMP_EXTRACT_CHUNK_MAX)
			last->end = end;
		else
			r[kept++] = r[i];
	}
	f->range_count = kept;
	for (i = 0; i < kept; i++)
		total += r[i].end - r[i].begin;
	return total;
}

void imp_extract_put_wanted(struct imp_elf_extract *f)
{
	unsigned int i;

	for (i = 0; i < f->range_count; i++) {
		const struct imp_elf_range *r = &f->ranges[i];

		imp_extract_put(f, r->begin, f->work,
				imp_extract_read(f, f->work, (size_t)(r->end - r->begin), r->begin));
	}
	f->range_count = 0;
}

void imp_extract_put_string(struct imp_elf_extract *f, uint64_t index)
{
	const struct imp_elf_place *t = &f->tables[IMP_EXTRACT_STRINGS];
	char text[STRING_MAX];
	size_t len, got;

	if (!t->address || index >= t->end - t->offset || f->left < 2 * STRING_MAX)
		return;
	got = imp_extract_read(f, text, sizeof(text), t->offset + index);
	len = strnlen(text, got);
	imp_extract_put(f, t->offset + index, text, len < got ? len + 1 : len);
}

void imp_extract_want_table(struct imp_elf_extract *f, unsigned int table, uint64_t size)
{
	const struct imp_elf_place *t = &f->tables[table];

	if (t->address)
		imp_extract_want(f, t->offset,
				 size < t->end - t->offset ? size : t->end - t->offset);
}

bool imp_extract_find(const struct imp_elf_extract *f, uint64_t address, struct imp_elf_place *t)
{
	unsigned int i;

	for (i = 0; i < f->phnum; i++) {
		const ElfW(Phdr) *p = &f->phdr[i];

		if (p->p_type != PT_LOAD || address < p->p_vaddr ||
		    address - p->p_vaddr >= p->p_filesz || p->p_offset >= f->size)
			continue;
		*t = (struct imp_elf_place){.address = address,
					    .offset = p->p_offset + (address - p->p_vaddr),
					    .end = p->p_filesz > f->size - p->p_offset ?
							   f->size :
							   p->p_offset + p->p_filesz};
		return t->offset < t->end;
	}
	return false;
}

uint64_t imp_extract_room(const struct imp_elf_extract *f, const struct imp_elf_place *t)
{
	uint64_t next = t->address + (t->end - t->offset);
	unsigned int i;

	for (i = 0; i < f->dyn_count; i++) {
		const uint64_t value = f->dyn[i].d_un.d_ptr;

		switch (f->dyn[i].d_tag) {
		case DT_STRTAB:
		case DT_SYMTAB:
		case DT_HASH:
		case DT_GNU_HASH:
		case DT_VERSYM:
		case DT_VERNEED:
		case DT_VERDEF:
		case DT_RELA:
		case DT_REL:
		case DT_RELR:
		case DT_JMPREL:
		case DT_INIT:
		case DT_FINI:
		case DT_INIT_ARRAY:
		case DT_FINI_ARRAY:
		case DT_PLTGOT:
			if (value > t->address && value < next)
				next = value;
			break;
		default: break;
		}
	}
	return next - t->address;
}
