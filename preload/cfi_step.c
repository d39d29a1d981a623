/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi_step.h"

#include <errno.h>
#include <string.h>

#include "cfi_entry.h"
#include "cfi_expression.h"

#include "poison.h"

#define STATES_MAX 4	/* nested DW_CFA_remember_state */
#define STEPS_MAX  4096 /* instructions of one entry */

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

static struct rule take_expression(struct imp_cfi_bytes *b, enum how how)
{
	const struct imp_cfi_bytes part = imp_cfi_take_part(b, imp_cfi_take_uleb(b));

	return (struct rule){.how = (uint8_t)how,
			     .expression = part.at,
			     .len = part.bad ? 0 : (uint32_t)(part.end - part.at)};
}

static void extended(struct imp_cfi_bytes *b, struct machine *m, const struct imp_cfi_entry *e,
		     unsigned int op)
{
	struct rule rule;
	uint64_t reg;

	switch (op) {
	case 0x00: /* nop */ return;
	case 0x01: /* set_loc */ m->location = imp_cfi_take_pointer(b, e->encoding); return;
	case 0x02: /* advance_loc1, 2, 4 */
		m->location += imp_cfi_take(b, 1) * e->code_align;
		return;
	case 0x03: m->location += imp_cfi_take(b, 2) * e->code_align; return;
	case 0x04: m->location += imp_cfi_take(b, 4) * e->code_align; return;
	case 0x05: /* offset_extended */
		reg = imp_cfi_take_uleb(b);
		set_offset(m, reg, AT_OFFSET, (int64_t)imp_cfi_take_uleb(b) * e->data_align);
		return;
	case 0x06: /* restore_extended */
		reg = imp_cfi_take_uleb(b);
		if (reg < IMP_CFI_REGS)
			m->row.reg[reg] = m->initial.reg[reg];
		return;
	case 0x07: /* undefined */ set_plain(m, imp_cfi_take_uleb(b), UNDEFINED); return;
	case 0x08: /* same_value */ set_plain(m, imp_cfi_take_uleb(b), SAME); return;
	case 0x09: /* register */
		reg = imp_cfi_take_uleb(b);
		set_offset(m, reg, IN_REGISTER, (int64_t)imp_cfi_take_uleb(b));
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
		m->row.cfa = (struct rule){.how = IN_REGISTER, .reg = imp_cfi_take_uleb(b)};
		m->row.cfa_offset = op == 0x0c ? (int64_t)imp_cfi_take_uleb(b) :
						 imp_cfi_take_sleb(b) * e->data_align;
		return;
	case 0x0d: /* def_cfa_register */
		m->row.cfa = (struct rule){.how = IN_REGISTER, .reg = imp_cfi_take_uleb(b)};
		return;
	case 0x0e: /* def_cfa_offset */ m->row.cfa_offset = (int64_t)imp_cfi_take_uleb(b); return;
	case 0x13: /* def_cfa_offset_sf */
		m->row.cfa_offset = imp_cfi_take_sleb(b) * e->data_align;
		return;
	case 0x0f: /* def_cfa_expression */ m->row.cfa = take_expression(b, IS_EXPRESSION); return;
	case 0x10: /* expression */
	case 0x16: /* val_expression */
		reg = imp_cfi_take_uleb(b);
		rule = take_expression(b, op == 0x10 ? AT_EXPRESSION : IS_EXPRESSION);
		if (reg < IMP_CFI_REGS)
			m->row.reg[reg] = rule;
		return;
	case 0x11: /* offset_extended_sf */
		reg = imp_cfi_take_uleb(b);
		set_offset(m, reg, AT_OFFSET, imp_cfi_take_sleb(b) * e->data_align);
		return;
	case 0x14: /* val_offset */
		reg = imp_cfi_take_uleb(b);
		set_offset(m, reg, IS_OFFSET, (int64_t)imp_cfi_take_uleb(b) * e->data_align);
		return;
	case 0x15: /* val_offset_sf */
		reg = imp_cfi_take_uleb(b);
		set_offset(m, reg, IS_OFFSET, imp_cfi_take_sleb(b) * e->data_align);
		return;
	case 0x2d: /* AARCH64_negate_ra_state: signed addresses are recognized by themselves */
		return;
	case 0x2e: /* GNU_args_size */ imp_cfi_take_uleb(b); return;
	default: b->bad = true; return;
	}
}

/* Runs until the row that holds for @pc is complete. */
static bool run(struct imp_cfi_bytes b, struct machine *m, const struct imp_cfi_entry *e,
		uint64_t pc)
{
	unsigned int steps;

	for (steps = 0; b.at < b.end && !b.bad && m->location <= pc; steps++) {
		const unsigned int op = (unsigned int)imp_cfi_take(&b, 1), low = op & 0x3f;

		if (steps == STEPS_MAX)
			return false;
		switch (op >> 6) {
		case 1: m->location += low * e->code_align; break;
		case 2:
			set_offset(m, low, AT_OFFSET,
				   (int64_t)imp_cfi_take_uleb(&b) * e->data_align);
			break;
		case 3:
			if (low < IMP_CFI_REGS)
				m->row.reg[low] = m->initial.reg[low];
			break;
		default: extended(&b, m, e, op); break;
		}
	}
	return !b.bad;
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

static int recover(struct imp_cfi_cursor *c, const struct row *row, unsigned int reg, uint64_t cfa,
		   uint64_t *value)
{
	const struct rule *rule = &row->reg[reg];
	uint64_t address;

	switch (rule->how) {
	case SAME: *value = c->reg[reg]; return 0;
	case AT_OFFSET:
		return imp_cfi_read_word(c, cfa + (uint64_t)rule->offset, value) ? 0 : -EFAULT;
	case IS_OFFSET: *value = cfa + (uint64_t)rule->offset; return 0;
	case IN_REGISTER:
		if (rule->reg >= IMP_CFI_REGS)
			return -ENOENT;
		*value = c->reg[rule->reg];
		return 0;
	case AT_EXPRESSION:
		if (!imp_cfi_evaluate(c, rule->expression, rule->len, &cfa, &address))
			return -ENOENT;
		return imp_cfi_read_word(c, address, value) ? 0 : -EFAULT;
	case IS_EXPRESSION:
		return imp_cfi_evaluate(c, rule->expression, rule->len, &cfa, value) ? 0 : -ENOENT;
	default: return -ENOENT;
	}
}

/* How to leave the function that holds an address, from there. */
struct way_out {
	uint64_t address; /* 0: empty */
	struct row row;
	unsigned int ra;
	bool exact;
};

static bool find_way_out(const struct imp_mapped *o, uint64_t address, struct way_out *w)
{
	struct imp_cfi_entry e;
	struct machine m;

	w->address = 0;
	if (!imp_cfi_entry_find(o, address, &e) || e.ra >= IMP_CFI_REGS)
		return false;
	memset(&m.row, 0, sizeof(m.row));
	m.depth = 0;
	m.location = 0;
	if (!run(e.initial, &m, &e, 0))
		return false;
	m.initial = m.row;
	m.location = e.begin;
	if (!run(e.program, &m, &e, address))
		return false;
	*w = (struct way_out){.address = address, .row = m.row, .ra = e.ra, .exact = e.exact};
	return true;
}

#define WAYS_KEPT 64 /* an interpreter calls itself in the same few places again and again */
_Static_assert(WAYS_KEPT * sizeof(struct way_out) <= IMP_CFI_MEMORY, "see cfi_step.h");

void imp_cfi_use_memory(struct imp_cfi_cursor *c, void *memory)
{
	struct way_out *kept = memory;
	unsigned int i;

	for (i = 0; i < WAYS_KEPT; i++)
		kept[i].address = 0;
	c->memory = memory;
}

int imp_cfi_step(struct imp_cfi_cursor *c, const struct imp_mapped *o)
{
	const uint64_t pc = c->reg[IMP_CFI_PC], look = pc - !c->exact;
	uint64_t next[IMP_CFI_REGS], cfa;
	struct way_out found, *w = &found;
	const struct row *row = &w->row;
	unsigned int i;
	int ret;

	if (c->memory) {
		w = (struct way_out *)c->memory + (look ^ look >> 5 ^ look >> 11) % WAYS_KEPT;
		row = &w->row;
	}
	if ((!c->memory || w->address != look) && !find_way_out(o, look, w))
		return -ENOENT;
	if (row->cfa.how == IN_REGISTER && row->cfa.reg < IMP_CFI_REGS)
		cfa = c->reg[row->cfa.reg] + (uint64_t)row->cfa_offset;
	else if (row->cfa.how != IS_EXPRESSION ||
		 !imp_cfi_evaluate(c, row->cfa.expression, row->cfa.len, NULL, &cfa))
		return -ENOENT;
	for (i = 0; i < IMP_CFI_REGS; i++) {
		ret = recover(c, row, i, cfa, &next[i]);
		if (ret < 0) {
			if (i == w->ra) /* in _start and its like it is undefined: there stacks end */
				return ret;
			next[i] = 0;
		}
	}
	if (row->reg[IMP_CFI_SP].how == SAME)
		next[IMP_CFI_SP] = cfa;
	next[IMP_CFI_PC] = plain_address(next[w->ra]);
	/* Nothing was called, or the frame leads to itself. */
	if (!next[IMP_CFI_PC] || (next[IMP_CFI_PC] == pc && next[IMP_CFI_SP] == c->reg[IMP_CFI_SP]))
		return -ENOENT;
	memcpy(c->reg, next, sizeof(next));
	c->exact = w->exact;
	return 0;
}
