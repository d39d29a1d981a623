// SPDX-License-Identifier: GPL-2.0-or-later
#include "return_gadget.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "poison.h"

#if defined __x86_64__

/* Pointer encodings that GNU ld, gold and lld write. */
#define ENC_UDATA4	   0x03
#define ENC_PCREL_SDATA4   0x1b
#define ENC_DATAREL_SDATA4 0x3b

enum { REG_RBP = 6, REG_RSP = 7, REG_RA = 16 }; /* DWARF's numbers */

#define MINUS_8	   0x78 /* as SLEB128 */
#define STATES_MAX 8	/* nested DW_CFA_remember_state */

/* Bytes that may be read: one segment, or one entry of .eh_frame within it. */
struct cursor {
	const uint8_t *at, *end;
	bool bad; /* sticky: something went past @end */
};

/* How the canonical frame address is computed; @reg 0 (rax): in a way that we do not follow. */
struct cfa {
	unsigned int reg;
	uint64_t offset;
};

struct object {
	ElfW(Addr) base;
	const ElfW(Phdr) * phdr;
	size_t phnum;
};

struct entry { /* a frame description entry, with what its CIE says */
	const uint8_t *code, *code_end;
	struct cursor initial; /* the CIE's instructions */
	struct cursor program; /* its own */
	uint64_t code_align, data_align;
};

static uint64_t take(struct cursor *c, size_t size)
{
	uint64_t value = 0;

	if (c->bad || (size_t)(c->end - c->at) < size) {
		c->bad = true;
		return 0;
	}
	memcpy(&value, c->at, size); /* little endian */
	c->at += size;
	return value;
}

static uint64_t take_uleb(struct cursor *c)
{
	uint64_t value = 0;
	unsigned int shift = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)take(c, 1);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80 && !c->bad);
	return value;
}

/* The readable segment that an address is in; an empty cursor where it is in none. */
static struct cursor segment_of(const struct object *o, ElfW(Addr) address, ElfW(Word) flags)
{
	size_t i;

	for (i = 0; i < o->phnum; i++) {
		const ElfW(Phdr) *p = &o->phdr[i];

		if (p->p_type == PT_LOAD && (p->p_flags & flags) == flags &&
		    address - o->base - p->p_vaddr < p->p_filesz)
			return (struct cursor){.at = (const uint8_t *)address,
					       .end = (const uint8_t *)o->base + p->p_vaddr +
						      p->p_filesz};
	}
	return (struct cursor){.bad = true};
}

/* Bounds of the length-prefixed record at the cursor, which is left behind the prefix. */
static bool open_record(struct cursor *c)
{
	const uint64_t length = take(c, 4);

	/* 0 ends the section; 0xffffffff begins a 64-bit record, which no linker writes here. */
	if (c->bad || !length || length > (uint64_t)(c->end - c->at))
		return false;
	c->end = c->at + length;
	return true;
}

/* A CIE without personality, signal frame flag or pointer encodings other than the usual one. */
static bool read_cie(const struct object *o, ElfW(Addr) address, struct entry *e)
{
	struct cursor c = segment_of(o, address, PF_R);
	uint64_t version, skip;
	char augmentation[4];
	size_t i;

	if (c.bad || !open_record(&c) || take(&c, 4) != 0)
		return false;
	version = take(&c, 1);
	for (i = 0; i < sizeof(augmentation); i++) {
		augmentation[i] = (char)take(&c, 1);
		if (!augmentation[i])
			break;
	}
	if (c.bad || i == sizeof(augmentation) || strcmp(augmentation, "zR") != 0 ||
	    (version != 1 && version != 3))
		return false;
	e->code_align = take_uleb(&c);
	e->data_align = take_uleb(&c); /* signed; compared as it is written */
	if (version == 1)
		take(&c, 1);
	else
		take_uleb(&c); /* the return address's column */
	skip = take_uleb(&c);
	if (skip != 1 || take(&c, 1) != ENC_PCREL_SDATA4 || c.bad)
		return false;
	e->initial = c;
	return true;
}

static bool read_fde(const struct object *o, ElfW(Addr) address, struct entry *e)
{
	struct cursor c = segment_of(o, address, PF_R), code;
	const uint8_t *at;
	uint64_t delta, range, skip;

	if (c.bad || !open_record(&c))
		return false;
	at = c.at;
	delta = take(&c, 4);
	if (!delta || !read_cie(o, (ElfW(Addr))at - delta, e))
		return false;
	at = c.at;
	e->code = at + (int32_t)take(&c, 4);
	range = take(&c, 4);
	skip = take_uleb(&c);
	if (c.bad || skip > (uint64_t)(c.end - c.at))
		return false;
	c.at += skip;
	e->program = c;
	code = segment_of(o, (ElfW(Addr))e->code, PF_R | PF_X);
	if (code.bad || range > (uint64_t)(code.end - code.at))
		return false;
	e->code_end = e->code + range;
	return true;
}

/*
 * An epilogue at @p that takes @bytes from the stack and returns: "add $N, %rsp", then "pop"s, each of
 * which there may be none of. Not a pop of rax, the result, nor of rsp. Sets where the "ret" stands.
 */
static bool is_epilogue(const uint8_t *p, const uint8_t *end, uint64_t bytes, uint8_t *ret)
{
	const uint8_t *at = p;
	uint64_t taken = 0;
	int32_t wide;

	if (end - at > 4 && at[0] == 0x48 && at[1] == 0x83 && at[2] == 0xc4) {
		taken = at[3] < 0x80 ? at[3] : 0;
		at += 4;
	} else if (end - at > 7 && at[0] == 0x48 && at[1] == 0x81 && at[2] == 0xc4) {
		memcpy(&wide, at + 3, sizeof(wide));
		taken = wide > 0 ? (uint64_t)wide : 0;
		at += 7;
	}
	while (at < end && taken < bytes) {
		const bool extended = *at == 0x41; /* r8 to r15 */

		if (extended && ++at == end)
			return false;
		if (*at < 0x58 || *at > 0x5f || (!extended && (*at == 0x58 || *at == 0x5c)))
			return false;
		taken += 8;
		at++;
	}
	if (at == end || taken != bytes || *at != 0xc3)
		return false;
	*ret = (uint8_t)(at - p);
	return true;
}

/*
 * Looks for a gadget among the bytes in which @cfa holds. Both the byte before it, which is what unwinders
 * look up, and its own must be there. Where an instruction of the function begins does not matter: what is
 * executed begins at the gadget.
 */
static bool find_in_row(const uint8_t *from, const uint8_t *to, const uint8_t *code_end,
			struct cfa cfa, struct imp_return_gadget *g)
{
	const bool by_rsp = cfa.reg == REG_RSP && cfa.offset >= 8 && cfa.offset % 8 == 0 &&
			    cfa.offset <= 8 + 8 * IMP_GADGET_WORDS_MAX;
	const bool by_rbp = cfa.reg == REG_RBP && cfa.offset == 16;
	const uint8_t *p;
	uint8_t ret;

	for (p = from + 1; (by_rsp || by_rbp) && p < to; p++) {
		if (by_rsp && is_epilogue(p, code_end, cfa.offset - 8, &ret)) {
			*g = (struct imp_return_gadget){
				.address = p, .ret = ret, .words = (uint8_t)(cfa.offset / 8 - 1)};
			return true;
		}
		if (by_rbp && p + 1 < code_end && (p[0] == 0xc9 || p[0] == 0x5d) && p[1] == 0xc3) {
			*g = (struct imp_return_gadget){
				.address = p, .ret = 1, .words = 1, .framed = true};
			return true;
		}
	}
	return false;
}

/* One run through call frame instructions. */
struct machine {
	struct cfa cfa, states[STATES_MAX];
	bool ra_saved; /* the return address is at CFA - 8; not so in _start, where stacks end */
	unsigned int depth;
	const uint8_t *row; /* where the current row begins */
};

/* Returns how far the row goes on, where the instruction ends one; 0 where not, -1 where we give up. */
static int64_t step(struct cursor *c, struct machine *m, const struct entry *e)
{
	const unsigned int op = (unsigned int)take(c, 1);
	uint64_t reg;

	switch (op >> 6) {
	case 1: /* DW_CFA_advance_loc */ return (int64_t)((op & 0x3f) * e->code_align);
	case 2: /* DW_CFA_offset */
		reg = take_uleb(c);
		if ((op & 0x3f) == REG_RA)
			m->ra_saved = reg == 1 && e->data_align == MINUS_8;
		return 0;
	case 3: /* DW_CFA_restore */ return (op & 0x3f) == REG_RA ? -1 : 0;
	default: break;
	}
	switch (op) {
	case 0x00: /* DW_CFA_nop */ return 0;
	case 0x02: /* DW_CFA_advance_loc1, 2, 4 */ return (int64_t)(take(c, 1) * e->code_align);
	case 0x03: return (int64_t)(take(c, 2) * e->code_align);
	case 0x04: return (int64_t)(take(c, 4) * e->code_align);
	case 0x05: /* DW_CFA_offset_extended, register, val_offset (+ _sf) */
	case 0x09:
	case 0x11:
	case 0x14:
	case 0x15:
		reg = take_uleb(c);
		take_uleb(c);
		return reg == REG_RA ? -1 : 0;
	case 0x06: /* DW_CFA_restore_extended, undefined, same_value */
	case 0x07:
	case 0x08: return take_uleb(c) == REG_RA ? -1 : 0;
	case 0x2e: /* DW_CFA_GNU_args_size */ take_uleb(c); return 0;
	case 0x0a: /* DW_CFA_remember_state */
		if (m->depth == STATES_MAX)
			return -1;
		m->states[m->depth++] = m->cfa;
		return 0;
	case 0x0b: /* DW_CFA_restore_state */
		if (!m->depth)
			return -1;
		m->cfa = m->states[--m->depth];
		return 0;
	case 0x0c: /* DW_CFA_def_cfa */
		m->cfa.reg = (unsigned int)take_uleb(c);
		m->cfa.offset = take_uleb(c);
		return 0;
	case 0x0d: /* DW_CFA_def_cfa_register */ m->cfa.reg = (unsigned int)take_uleb(c); return 0;
	case 0x0e: /* DW_CFA_def_cfa_offset */ m->cfa.offset = take_uleb(c); return 0;
	default: /* expressions and whatever else */ return -1;
	}
}

static bool find_in_function(const struct entry *e, struct imp_return_gadget *g)
{
	struct cursor c = e->initial;
	struct machine m = {.row = e->code};

	while (!c.bad && c.at < c.end) {
		if (step(&c, &m, e) != 0)
			return false; /* a CIE has no locations */
	}
	if (!m.ra_saved)
		return false;
	c = e->program;
	while (!c.bad && c.at < c.end) {
		const struct cfa cfa = m.cfa;
		const int64_t advance = step(&c, &m, e);

		if (advance < 0 || advance > e->code_end - m.row)
			return false;
		if (advance > 0) {
			if (m.ra_saved && find_in_row(m.row, m.row + advance, e->code_end, cfa, g))
				return true;
			m.row += advance;
		}
	}
	return !c.bad && m.ra_saved && find_in_row(m.row, e->code_end, e->code_end, m.cfa, g);
}

/* The sorted table of .eh_frame_hdr: the cursor at its first pair, and how many there are. */
static uint64_t open_table(const struct object *o, ElfW(Addr) * header, struct cursor *c)
{
	size_t i;

	*header = 0;
	for (i = 0; i < o->phnum; i++) {
		if (o->phdr[i].p_type == PT_GNU_EH_FRAME)
			*header = o->base + o->phdr[i].p_vaddr;
	}
	if (!*header)
		return 0;
	*c = segment_of(o, *header, PF_R);
	if (take(c, 1) != 1 || take(c, 1) != ENC_PCREL_SDATA4 || take(c, 1) != ENC_UDATA4 ||
	    take(c, 1) != ENC_DATAREL_SDATA4)
		return 0;
	take(c, 4); /* where .eh_frame begins */
	return take(c, 4);
}

/* The next pair: a function, and its entry in .eh_frame. */
static bool next_pair(struct cursor *c, ElfW(Addr) header, ElfW(Addr) * function, ElfW(Addr) * fde)
{
	*function = header + (ElfW(Addr))(int32_t)take(c, 4);
	*fde = header + (ElfW(Addr))(int32_t)take(c, 4);
	return !c->bad;
}

static bool find_with_cfi(const struct object *o, struct imp_return_gadget *g)
{
	ElfW(Addr) header, function, fde;
	struct cursor c;
	uint64_t count = open_table(o, &header, &c);
	struct entry e;

	for (; count && next_pair(&c, header, &function, &fde); count--) {
		if (read_fde(o, fde, &e) && find_in_function(&e, g))
			return true;
	}
	return false;
}

static int find_any(const struct object *o, struct imp_return_gadget *g)
{
	size_t i;

	for (i = 0; i < o->phnum; i++) {
		const ElfW(Phdr) *p = &o->phdr[i];
		const void *found;

		if (p->p_type != PT_LOAD || (p->p_flags & (PF_R | PF_X)) != (PF_R | PF_X))
			continue;
		found = memchr((const void *)(o->base + p->p_vaddr), 0xc3, p->p_filesz);
		if (found) {
			*g = (struct imp_return_gadget){.address = found, .blind = true};
			return 0;
		}
	}
	return -ENOENT;
}

int imp_return_gadget_find(struct imp_return_gadget *g, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			   size_t phnum)
{
	const struct object o = {.base = base, .phdr = phdr, .phnum = phnum};

	*g = (struct imp_return_gadget){.address = NULL};
	return find_with_cfi(&o, g) ? 0 : find_any(&o, g);
}

bool imp_return_gadget_unwinds(ElfW(Addr) address, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			       size_t phnum)
{
	const struct object o = {.base = base, .phdr = phdr, .phnum = phnum};
	ElfW(Addr) header, function, fde, last = 0;
	struct cursor c;
	uint64_t count = open_table(&o, &header, &c), length;

	for (; count && next_pair(&c, header, &function, &fde) && function < address; count--)
		last = fde;
	if (!last)
		return false;
	/* Length, CIE, beginning, range: as read_fde(), without a look at what kind of CIE it is. */
	c = segment_of(&o, last, PF_R);
	if (!open_record(&c))
		return false;
	take(&c, 4);
	function = (ElfW(Addr))c.at;
	function += (ElfW(Addr))(int32_t)take(&c, 4);
	length = take(&c, 4);
	return !c.bad && address - 1 - function < length;
}

#else

int imp_return_gadget_find(struct imp_return_gadget *g, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			   size_t phnum)
{
	(void)base;
	(void)phdr;
	(void)phnum;
	*g = (struct imp_return_gadget){.address = NULL};
	return -ENOENT;
}

bool imp_return_gadget_unwinds(ElfW(Addr) address, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			       size_t phnum)
{
	(void)address;
	(void)base;
	(void)phdr;
	(void)phnum;
	return true;
}

#endif
