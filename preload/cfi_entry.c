/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi_entry.h"

#include <link.h>

#include "poison.h"

static struct imp_cfi_bytes segment_of(const struct imp_mapped *o, ElfW(Addr) address)
{
	size_t i;

	for (i = 0; i < o->phnum; i++) {
		const ElfW(Phdr) *p = &o->phdr[i];

		if (p->p_type == PT_LOAD && p->p_flags & PF_R &&
		    address - o->base - p->p_vaddr < p->p_filesz)
			return (struct imp_cfi_bytes){.at = (const uint8_t *)address,
						      .end = (const uint8_t *)o->base + p->p_vaddr +
							     p->p_filesz};
	}
	return (struct imp_cfi_bytes){.bad = true};
}

static bool open_record(struct imp_cfi_bytes *b)
{
	const uint64_t length = imp_cfi_take(b, 4);

	/* 0 ends the section; 0xffffffff begins a 64-bit record, which no linker writes here. */
	if (b->bad || !length || length > (uint64_t)(b->end - b->at))
		return false;
	b->end = b->at + length;
	return true;
}

static bool read_cie(const struct imp_mapped *o, uint64_t address, struct imp_cfi_entry *e)
{
	struct imp_cfi_bytes b = segment_of(o, address);
	const char *augmentation;
	uint64_t version;
	struct imp_cfi_bytes data;

	if (b.bad || !open_record(&b) || imp_cfi_take(&b, 4) != 0)
		return false;
	version = imp_cfi_take(&b, 1);
	augmentation = (const char *)b.at;
	while (imp_cfi_take(&b, 1))
		;
	if (b.bad || (version != 1 && version != 3) || (*augmentation && *augmentation != 'z'))
		return false;
	e->code_align = imp_cfi_take_uleb(&b);
	e->data_align = imp_cfi_take_sleb(&b);
	e->ra = version == 1 ? (unsigned int)imp_cfi_take(&b, 1) :
			       (unsigned int)imp_cfi_take_uleb(&b);
	e->encoding = 0;
	e->augmented = *augmentation == 'z';
	e->exact = false;
	if (e->augmented) {
		data = imp_cfi_take_part(&b, imp_cfi_take_uleb(&b));
		for (augmentation++; *augmentation; augmentation++) {
			switch (*augmentation) {
			case 'R': e->encoding = (unsigned int)imp_cfi_take(&data, 1); break;
			case 'L': imp_cfi_take(&data, 1); break;
			case 'P': {
				const unsigned int how = (unsigned int)imp_cfi_take(&data, 1);

				imp_cfi_take_pointer(
					&data,
					how & 0x0f); /* only skipped: what it is relative to does not matter */
				break;
			}
			case 'S': e->exact = true; break;
			case 'B': break;
			default: return false;
			}
		}
		if (data.bad)
			return false;
	}
	e->initial = b;
	return !b.bad;
}

static bool read_fde(const struct imp_mapped *o, uint64_t address, uint64_t pc,
		     struct imp_cfi_entry *e)
{
	struct imp_cfi_bytes b = segment_of(o, address);
	uint64_t at, delta, range;

	if (b.bad || !open_record(&b))
		return false;
	at = (uint64_t)(uintptr_t)b.at;
	delta = imp_cfi_take(&b, 4);
	if (!delta || !read_cie(o, at - delta, e))
		return false;
	e->begin = imp_cfi_take_pointer(&b, e->encoding);
	range = imp_cfi_take_pointer(&b, e->encoding & 0x0f);
	if (e->augmented)
		imp_cfi_skip(&b, imp_cfi_take_uleb(&b));
	e->program = b;
	return !b.bad && pc - e->begin < range;
}

bool imp_cfi_entry_find(const struct imp_mapped *o, uint64_t pc, struct imp_cfi_entry *e)
{
	uint64_t header = 0, low = 0, high;
	struct imp_cfi_bytes b;
	size_t i;

	for (i = 0; i < o->phnum; i++) {
		if (o->phdr[i].p_type == PT_GNU_EH_FRAME)
			header = o->base + o->phdr[i].p_vaddr;
	}
	if (!header)
		return false;
	b = segment_of(o, header);
	/* Version; encodings of: the address of .eh_frame, the count, and the table. */
	if (imp_cfi_take(&b, 1) != 1 || (imp_cfi_take(&b, 1) & 0x0f) != 0x0b ||
	    imp_cfi_take(&b, 1) != 0x03 || imp_cfi_take(&b, 1) != 0x3b)
		return false;
	imp_cfi_take(&b, 4);
	high = imp_cfi_take(&b, 4);
	if (b.bad || high > (uint64_t)(b.end - b.at) / 8)
		return false;
	while (low < high) {
		const uint64_t middle = low + (high - low) / 2;
		int32_t begin;

		memcpy(&begin, b.at + 8 * middle, sizeof(begin));
		if (header + (uint64_t)(int64_t)begin <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return false;
	imp_cfi_skip(&b, 8 * (low - 1) + 4);
	return read_fde(o, header + (uint64_t)imp_cfi_take_signed(&b, 4), pc, e);
}
