/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi_step.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/uio.h>

#include "raw_syscall.h"

#include "poison.h"

#define PAGE	    4096 /* the smallest that there is */
#define STATES_MAX  4	 /* nested DW_CFA_remember_state */
#define STACK_MAX   16	 /* of a DWARF expression */
#define STEPS_MAX   4096 /* instructions of one entry, and of one expression */

/* ---- the stack ------------------------------------------------------------------------------------ */

/*
 * A wrong entry leads anywhere. So the kernel copies, which tells where nothing is mapped; page by page, since
 * what lies behind the end of the stack need not be.
 */
static void move_window(struct imp_cfi_cursor *c, uintptr_t address)
{
	const struct iovec local = {.iov_base = c->bytes, .iov_len = IMP_CFI_WINDOW};
	struct iovec pages[IMP_CFI_WINDOW / PAGE + 1];
	const size_t first = PAGE - address % PAGE;
	int saved = errno;
	ssize_t ret;

	pages[0] = (struct iovec){.iov_base = (void *)address, .iov_len = first};
	pages[1] = (struct iovec){.iov_base = (void *)(address + first), .iov_len = IMP_CFI_WINDOW - first};
	ret = process_vm_readv(imp_sys_getpid(), &local, 1, pages, 1 + (first < IMP_CFI_WINDOW), 0);
	errno = saved;
	c->window = address;
	c->window_len = ret < 0 ? 0 : (size_t)ret;
}

static bool read_word(struct imp_cfi_cursor *c, uint64_t address, uint64_t *value)
{
	if (address % sizeof(*value))
		return false;
	if (address < c->window || address - c->window >= c->window_len)
		move_window(c, address);
	if (c->window_len < sizeof(*value) || address - c->window > c->window_len - sizeof(*value))
		return false;
	memcpy(value, c->bytes + (address - c->window), sizeof(*value));
	return true;
}

/* ---- the object's tables -------------------------------------------------------------------------- */

/* Bytes that may be read: one segment, or one entry of .eh_frame within it. */
struct bytes {
	const uint8_t *at, *end;
	bool bad; /* sticky: something went past @end, or is not known here */
};

static struct bytes segment_of(const struct imp_object *o, ElfW(Addr) address)
{
	size_t i;

	for (i = 0; i < o->phnum; i++) {
		const ElfW(Phdr) *p = &o->phdr[i];

		if (p->p_type == PT_LOAD && p->p_flags & PF_R &&
		    address - o->base - p->p_vaddr < p->p_filesz)
			return (struct bytes){.at = (const uint8_t *)address,
					      .end = (const uint8_t *)o->base + p->p_vaddr +
						     p->p_filesz};
	}
	return (struct bytes){.bad = true};
}

static uint64_t take(struct bytes *b, size_t size)
{
	uint64_t value = 0;

	if (b->bad || (size_t)(b->end - b->at) < size) {
		b->bad = true;
		return 0;
	}
	memcpy(&value, b->at, size); /* little endian */
	b->at += size;
	return value;
}

static int64_t take_signed(struct bytes *b, size_t size)
{
	const unsigned int shift = 64 - 8 * (unsigned int)size;

	return (int64_t)(take(b, size) << shift) >> shift;
}

static uint64_t take_leb(struct bytes *b, bool is_signed)
{
	unsigned int shift = 0;
	uint64_t value = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)take(b, 1);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80 && !b->bad);
	if (is_signed && byte & 0x40 && shift < 64)
		value |= ~(uint64_t)0 << shift;
	return value;
}

static uint64_t take_uleb(struct bytes *b)
{
	return take_leb(b, false);
}

static int64_t take_sleb(struct bytes *b)
{
	return (int64_t)take_leb(b, true);
}

static void skip(struct bytes *b, uint64_t len)
{
	if (b->bad || len > (uint64_t)(b->end - b->at))
		b->bad = true;
	else
		b->at += len;
}

/* The next @len bytes as a range of their own. */
static struct bytes take_part(struct bytes *b, uint64_t len)
{
	struct bytes part = *b;

	skip(b, len);
	part.bad = b->bad;
	part.end = b->at;
	return part;
}

/* DW_EH_PE_*: absolute or relative to where it stands. */
static uint64_t take_pointer(struct bytes *b, unsigned int encoding)
{
	const uint64_t at = (uint64_t)(uintptr_t)b->at;
	uint64_t value;

	switch (encoding & 0x0f) {
	case 0x00:
	case 0x04:
	case 0x0c: value = take(b, 8); break;
	case 0x02: value = take(b, 2); break;
	case 0x03: value = take(b, 4); break;
	case 0x0a: value = (uint64_t)take_signed(b, 2); break;
	case 0x0b: value = (uint64_t)take_signed(b, 4); break;
	default: b->bad = true; return 0;
	}
	switch (encoding & 0x70) {
	case 0x00: return value;
	case 0x10: return value + at;
	default: b->bad = true; return 0;
	}
}

static bool open_record(struct bytes *b)
{
	const uint64_t length = take(b, 4);

	/* 0 ends the section; 0xffffffff begins a 64-bit record, which no linker writes here. */
	if (b->bad || !length || length > (uint64_t)(b->end - b->at))
		return false;
	b->end = b->at + length;
	return true;
}

struct entry { /* a frame description entry, with what its CIE says */
	struct bytes initial, program;
	uint64_t begin, code_align;
	int64_t data_align;
	unsigned int ra; /* the return address's column */
	unsigned int encoding;
	bool augmented, exact; /* @exact: the frame above was interrupted (a signal handler's) */
};

static bool read_cie(const struct imp_object *o, uint64_t address, struct entry *e)
{
	struct bytes b = segment_of(o, address);
	const char *augmentation;
	uint64_t version;
	struct bytes data;

	if (b.bad || !open_record(&b) || take(&b, 4) != 0)
		return false;
	version = take(&b, 1);
	augmentation = (const char *)b.at;
	while (take(&b, 1))
		;
	if (b.bad || (version != 1 && version != 3) || (*augmentation && *augmentation != 'z'))
		return false;
	e->code_align = take_uleb(&b);
	e->data_align = take_sleb(&b);
	e->ra = version == 1 ? (unsigned int)take(&b, 1) : (unsigned int)take_uleb(&b);
	e->encoding = 0;
	e->augmented = *augmentation == 'z';
	e->exact = false;
	if (e->augmented) {
		data = take_part(&b, take_uleb(&b));
		for (augmentation++; *augmentation; augmentation++) {
			switch (*augmentation) {
			case 'R': e->encoding = (unsigned int)take(&data, 1); break;
			case 'L': take(&data, 1); break;
			case 'P': {
				const unsigned int how = (unsigned int)take(&data, 1);

				take_pointer(&data, how & 0x0f); /* only skipped: what it is relative to does not matter */
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

static bool read_fde(const struct imp_object *o, uint64_t address, uint64_t pc, struct entry *e)
{
	struct bytes b = segment_of(o, address);
	uint64_t at, delta, range;

	if (b.bad || !open_record(&b))
		return false;
	at = (uint64_t)(uintptr_t)b.at;
	delta = take(&b, 4);
	if (!delta || !read_cie(o, at - delta, e))
		return false;
	e->begin = take_pointer(&b, e->encoding);
	range = take_pointer(&b, e->encoding & 0x0f);
	if (e->augmented)
		skip(&b, take_uleb(&b));
	e->program = b;
	return !b.bad && pc - e->begin < range;
}

/* By the sorted table of .eh_frame_hdr. */
static bool find_entry(const struct imp_object *o, uint64_t pc, struct entry *e)
{
	uint64_t header = 0, low = 0, high;
	struct bytes b;
	size_t i;

	for (i = 0; i < o->phnum; i++) {
		if (o->phdr[i].p_type == PT_GNU_EH_FRAME)
			header = o->base + o->phdr[i].p_vaddr;
	}
	if (!header)
		return false;
	b = segment_of(o, header);
	/* Version; encodings of: the address of .eh_frame, the count, and the table. */
	if (take(&b, 1) != 1 || (take(&b, 1) & 0x0f) != 0x0b || take(&b, 1) != 0x03 || take(&b, 1) != 0x3b)
		return false;
	take(&b, 4);
	high = take(&b, 4);
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
	skip(&b, 8 * (low - 1) + 4);
	return read_fde(o, header + (uint64_t)take_signed(&b, 4), pc, e);
}

/* ---- call frame instructions ---------------------------------------------------------------------- */

enum how { SAME, UNDEFINED, AT_OFFSET, IS_OFFSET, IN_REGISTER, AT_EXPRESSION, IS_EXPRESSION };

struct rule {
	uint8_t how; /* enum how */
	union {
		int64_t offset;
		uint64_t reg;
		const uint8_t *expression; /* behind its length */
	};
	uint32_t len;
};

struct row {
	struct rule cfa; /* IN_REGISTER: @cfa_offset added; IS_EXPRESSION */
	int64_t cfa_offset;
	struct rule reg[IMP_CFI_REGS];
};

struct machine {
	struct row row, initial, states[STATES_MAX];
	unsigned int depth;
	uint64_t location;
};

static void set_offset(struct machine *m, uint64_t reg, enum how how, int64_t offset)
{
	if (reg < IMP_CFI_REGS)
		m->row.reg[reg] = (struct rule){.how = (uint8_t)how, .offset = offset};
}

static void set_plain(struct machine *m, uint64_t reg, enum how how)
{
	set_offset(m, reg, how, 0);
}

static struct rule take_expression(struct bytes *b, enum how how)
{
	const struct bytes part = take_part(b, take_uleb(b));

	return (struct rule){.how = (uint8_t)how,
			     .expression = part.at,
			     .len = part.bad ? 0 : (uint32_t)(part.end - part.at)};
}

static void extended(struct bytes *b, struct machine *m, const struct entry *e, unsigned int op)
{
	struct rule rule;
	uint64_t reg;

	switch (op) {
	case 0x00: /* nop */ return;
	case 0x01: /* set_loc */ m->location = take_pointer(b, e->encoding); return;
	case 0x02: /* advance_loc1, 2, 4 */ m->location += take(b, 1) * e->code_align; return;
	case 0x03: m->location += take(b, 2) * e->code_align; return;
	case 0x04: m->location += take(b, 4) * e->code_align; return;
	case 0x05: /* offset_extended */
		reg = take_uleb(b);
		set_offset(m, reg, AT_OFFSET, (int64_t)take_uleb(b) * e->data_align);
		return;
	case 0x06: /* restore_extended */
		reg = take_uleb(b);
		if (reg < IMP_CFI_REGS)
			m->row.reg[reg] = m->initial.reg[reg];
		return;
	case 0x07: /* undefined */ set_plain(m, take_uleb(b), UNDEFINED); return;
	case 0x08: /* same_value */ set_plain(m, take_uleb(b), SAME); return;
	case 0x09: /* register */
		reg = take_uleb(b);
		set_offset(m, reg, IN_REGISTER, (int64_t)take_uleb(b));
		return;
	case 0x0a: /* remember_state */
		if (m->depth == STATES_MAX)
			b->bad = true;
		else
			m->states[m->depth++] = m->row;
		return;
	case 0x0b: /* restore_state */
		if (!m->depth)
			b->bad = true;
		else
			m->row = m->states[--m->depth];
		return;
	case 0x0c: /* def_cfa */
	case 0x12: /* def_cfa_sf */
		m->row.cfa = (struct rule){.how = IN_REGISTER, .reg = take_uleb(b)};
		m->row.cfa_offset = op == 0x0c ? (int64_t)take_uleb(b) : take_sleb(b) * e->data_align;
		return;
	case 0x0d: /* def_cfa_register */
		m->row.cfa = (struct rule){.how = IN_REGISTER, .reg = take_uleb(b)};
		return;
	case 0x0e: /* def_cfa_offset */ m->row.cfa_offset = (int64_t)take_uleb(b); return;
	case 0x13: /* def_cfa_offset_sf */ m->row.cfa_offset = take_sleb(b) * e->data_align; return;
	case 0x0f: /* def_cfa_expression */ m->row.cfa = take_expression(b, IS_EXPRESSION); return;
	case 0x10: /* expression */
	case 0x16: /* val_expression */
		reg = take_uleb(b);
		rule = take_expression(b, op == 0x10 ? AT_EXPRESSION : IS_EXPRESSION);
		if (reg < IMP_CFI_REGS)
			m->row.reg[reg] = rule;
		return;
	case 0x11: /* offset_extended_sf */
		reg = take_uleb(b);
		set_offset(m, reg, AT_OFFSET, take_sleb(b) * e->data_align);
		return;
	case 0x14: /* val_offset */
		reg = take_uleb(b);
		set_offset(m, reg, IS_OFFSET, (int64_t)take_uleb(b) * e->data_align);
		return;
	case 0x15: /* val_offset_sf */
		reg = take_uleb(b);
		set_offset(m, reg, IS_OFFSET, take_sleb(b) * e->data_align);
		return;
	case 0x2d: /* AARCH64_negate_ra_state: signed addresses are recognized by themselves */ return;
	case 0x2e: /* GNU_args_size */ take_uleb(b); return;
	default: b->bad = true; return;
	}
}

/* Runs until the row that holds for @pc is complete. */
static bool run(struct bytes b, struct machine *m, const struct entry *e, uint64_t pc)
{
	unsigned int steps;

	for (steps = 0; b.at < b.end && !b.bad && m->location <= pc; steps++) {
		const unsigned int op = (unsigned int)take(&b, 1), low = op & 0x3f;

		if (steps == STEPS_MAX)
			return false;
		switch (op >> 6) {
		case 1: m->location += low * e->code_align; break;
		case 2: set_offset(m, low, AT_OFFSET, (int64_t)take_uleb(&b) * e->data_align); break;
		case 3:
			if (low < IMP_CFI_REGS)
				m->row.reg[low] = m->initial.reg[low];
			break;
		default: extended(&b, m, e, op); break;
		}
	}
	return !b.bad;
}

/* ---- expressions ---------------------------------------------------------------------------------- */

struct operands {
	uint64_t v[STACK_MAX];
	unsigned int n;
	bool bad;
};

static void push(struct operands *s, uint64_t value)
{
	if (s->n == STACK_MAX)
		s->bad = true;
	else
		s->v[s->n++] = value;
}

static uint64_t pop(struct operands *s)
{
	if (!s->n) {
		s->bad = true;
		return 0;
	}
	return s->v[--s->n];
}

static void apply(struct operands *s, unsigned int op)
{
	const uint64_t b = pop(s), a = pop(s);
	const int64_t sa = (int64_t)a, sb = (int64_t)b;

	switch (op) {
	case 0x1a: push(s, a & b); break;
	case 0x1c: push(s, a - b); break;
	case 0x1e: push(s, a * b); break;
	case 0x21: push(s, a | b); break;
	case 0x22: push(s, a + b); break;
	case 0x24: push(s, b < 64 ? a << b : 0); break;
	case 0x25: push(s, b < 64 ? a >> b : 0); break;
	case 0x27: push(s, a ^ b); break;
	case 0x29: push(s, a == b); break;
	case 0x2a: push(s, sa >= sb); break;
	case 0x2b: push(s, sa > sb); break;
	case 0x2c: push(s, sa <= sb); break;
	case 0x2d: push(s, sa < sb); break;
	case 0x2e: push(s, a != b); break;
	default: s->bad = true; break;
	}
}

/* As far as compilers and libcs use them in .eh_frame: PLT entries, signal frames, realigned stacks. */
static bool evaluate(struct imp_cfi_cursor *c, const struct rule *rule, const uint64_t *cfa, uint64_t *result)
{
	struct bytes b = {.at = rule->expression, .end = rule->expression + rule->len};
	struct operands s = {.n = 0};
	unsigned int steps = 0;
	uint64_t a, reg;
	int64_t jump;

	if (cfa)
		push(&s, *cfa);
	while (b.at < b.end && !b.bad && !s.bad && steps++ < STEPS_MAX) {
		const unsigned int op = (unsigned int)take(&b, 1);

		if (op >= 0x30 && op <= 0x4f) { /* lit0 to lit31 */
			push(&s, op - 0x30);
		} else if ((op >= 0x70 && op <= 0x8f) || op == 0x92) { /* breg0 to breg31, bregx */
			reg = op == 0x92 ? take_uleb(&b) : op - 0x70;
			a = (uint64_t)take_sleb(&b);
			if (reg < IMP_CFI_REGS)
				push(&s, c->reg[reg] + a);
			else
				s.bad = true;
		} else {
			switch (op) {
			case 0x03: push(&s, take(&b, 8)); break; /* addr */
			case 0x06: /* deref */
				if (read_word(c, pop(&s), &a))
					push(&s, a);
				else
					s.bad = true;
				break;
			case 0x08: push(&s, take(&b, 1)); break; /* const1u, 1s ... const8s */
			case 0x09: push(&s, (uint64_t)take_signed(&b, 1)); break;
			case 0x0a: push(&s, take(&b, 2)); break;
			case 0x0b: push(&s, (uint64_t)take_signed(&b, 2)); break;
			case 0x0c: push(&s, take(&b, 4)); break;
			case 0x0d: push(&s, (uint64_t)take_signed(&b, 4)); break;
			case 0x0e:
			case 0x0f: push(&s, take(&b, 8)); break;
			case 0x10: push(&s, take_uleb(&b)); break;
			case 0x11: push(&s, (uint64_t)take_sleb(&b)); break;
			case 0x12: a = pop(&s); push(&s, a); push(&s, a); break; /* dup */
			case 0x13: pop(&s); break;
			case 0x16: /* swap */
				a = pop(&s);
				reg = pop(&s);
				push(&s, a);
				push(&s, reg);
				break;
			case 0x23: a = take_uleb(&b); push(&s, pop(&s) + a); break; /* plus_uconst */
			case 0x28: /* bra, skip */
			case 0x2f:
				jump = take_signed(&b, 2);
				if (op == 0x28 && !pop(&s))
					break;
				if (jump < rule->expression - b.at || jump > b.end - b.at)
					b.bad = true;
				else
					b.at += jump;
				break;
			case 0x96: break; /* nop */
			default: apply(&s, op); break;
			}
		}
	}
	*result = pop(&s);
	return !b.bad && !s.bad && b.at >= b.end;
}

/* ---- one frame ------------------------------------------------------------------------------------ */

/* A return address without what pointer authentication put into it. */
static uint64_t plain_address(uint64_t address)
{
#if defined __aarch64__
	register uint64_t x30 __asm__("x30") = address;

	__asm__("hint #7" : "+r"(x30)); /* xpaclri */
	return x30;
#else
	return address;
#endif
}

static int recover(struct imp_cfi_cursor *c, const struct row *row, unsigned int reg, uint64_t cfa, uint64_t *value)
{
	const struct rule *rule = &row->reg[reg];
	uint64_t address;

	switch (rule->how) {
	case SAME: *value = c->reg[reg]; return 0;
	case AT_OFFSET:
		return read_word(c, cfa + (uint64_t)rule->offset, value) ? 0 : -EFAULT;
	case IS_OFFSET: *value = cfa + (uint64_t)rule->offset; return 0;
	case IN_REGISTER:
		if (rule->reg >= IMP_CFI_REGS)
			return -ENOENT;
		*value = c->reg[rule->reg];
		return 0;
	case AT_EXPRESSION:
		if (!evaluate(c, rule, &cfa, &address))
			return -ENOENT;
		return read_word(c, address, value) ? 0 : -EFAULT;
	case IS_EXPRESSION: return evaluate(c, rule, &cfa, value) ? 0 : -ENOENT;
	default: return -ENOENT;
	}
}

int imp_cfi_step(struct imp_cfi_cursor *c, const struct imp_object *o)
{
	const uint64_t pc = c->reg[IMP_CFI_PC], look = pc - !c->exact;
	uint64_t next[IMP_CFI_REGS], cfa;
	struct machine m;
	struct entry e;
	unsigned int i;
	int ret;

	if (!find_entry(o, look, &e) || e.ra >= IMP_CFI_REGS)
		return -ENOENT;
	memset(&m.row, 0, sizeof(m.row));
	m.depth = 0;
	m.location = 0;
	if (!run(e.initial, &m, &e, 0))
		return -ENOENT;
	m.initial = m.row;
	m.location = e.begin;
	if (!run(e.program, &m, &e, look))
		return -ENOENT;

	if (m.row.cfa.how == IN_REGISTER && m.row.cfa.reg < IMP_CFI_REGS)
		cfa = c->reg[m.row.cfa.reg] + (uint64_t)m.row.cfa_offset;
	else if (m.row.cfa.how != IS_EXPRESSION || !evaluate(c, &m.row.cfa, NULL, &cfa))
		return -ENOENT;
	for (i = 0; i < IMP_CFI_REGS; i++) {
		ret = recover(c, &m.row, i, cfa, &next[i]);
		if (ret < 0) {
			if (i == e.ra) /* in _start and its like it is undefined: there stacks end */
				return ret;
			next[i] = 0;
		}
	}
	if (m.row.reg[IMP_CFI_SP].how == SAME)
		next[IMP_CFI_SP] = cfa;
	next[IMP_CFI_PC] = plain_address(next[e.ra]);
	/* Nothing was called, or the frame leads to itself. */
	if (!next[IMP_CFI_PC] || (next[IMP_CFI_PC] == pc && next[IMP_CFI_SP] == c->reg[IMP_CFI_SP]))
		return -ENOENT;
	memcpy(c->reg, next, sizeof(next));
	c->exact = e.exact;
	return 0;
}
