/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi_expression.h"

#include <errno.h>

#include "cfi_bytes.h"
#include "raw_syscall.h"

#include "poison.h"

#define PAGE	  4096 /* the smallest that there is */
#define STACK_MAX 16   /* operands */
#define STEPS_MAX 4096 /* a loop ends somewhere */

/* ---- the stack ------------------------------------------------------------------------------------ */

/*
 * A wrong entry leads anywhere, so the kernel is asked first. rt_sigprocmask() reads the set that it is
 * given before it refuses what it does not know how to do with it: EFAULT, or EINVAL. No sandbox
 * forbids it, as they do process_vm_readv().
 */
static bool is_readable(uintptr_t page)
{
	return imp_sys(SYS_rt_sigprocmask, ~0L, (long)page, 0, 8, 0) == -EINVAL;
}

/* A stack is full of places that a sanitizer would not have anybody read. */
static uint64_t __attribute__((no_sanitize("address"))) load(uint64_t address)
{
	return *(const volatile uint64_t *)(uintptr_t)address;
}

bool imp_cfi_read_word(struct imp_cfi_cursor *c, uint64_t address, uint64_t *value)
{
	const uintptr_t page = address & ~(uintptr_t)(PAGE - 1);

	if (address % sizeof(*value) || !page)
		return false;
	if (page != c->page && !is_readable(page))
		return false;
	c->page = page;
	*value = load(address);
	return true;
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

bool imp_cfi_evaluate(struct imp_cfi_cursor *c, const uint8_t *expression, size_t len,
		      const uint64_t *cfa, uint64_t *result)
{
	struct imp_cfi_bytes b = {.at = expression, .end = expression + len};
	struct operands s = {.n = 0};
	unsigned int steps = 0;
	uint64_t a, reg;
	int64_t jump;

	if (cfa)
		push(&s, *cfa);
	while (b.at < b.end && !b.bad && !s.bad && steps++ < STEPS_MAX) {
		const unsigned int op = (unsigned int)imp_cfi_take(&b, 1);

		if (op >= 0x30 && op <= 0x4f) { /* lit0 to lit31 */
			push(&s, op - 0x30);
		} else if ((op >= 0x70 && op <= 0x8f) || op == 0x92) { /* breg0 to breg31, bregx */
			reg = op == 0x92 ? imp_cfi_take_uleb(&b) : op - 0x70;
			a = (uint64_t)imp_cfi_take_sleb(&b);
			if (reg < IMP_CFI_REGS)
				push(&s, c->reg[reg] + a);
			else
				s.bad = true;
		} else {
			switch (op) {
			case 0x03: push(&s, imp_cfi_take(&b, 8)); break; /* addr */
			case 0x06:					 /* deref */
				if (imp_cfi_read_word(c, pop(&s), &a))
					push(&s, a);
				else
					s.bad = true;
				break;
			case 0x08:
				push(&s, imp_cfi_take(&b, 1));
				break; /* const1u, 1s ... const8s */
			case 0x09: push(&s, (uint64_t)imp_cfi_take_signed(&b, 1)); break;
			case 0x0a: push(&s, imp_cfi_take(&b, 2)); break;
			case 0x0b: push(&s, (uint64_t)imp_cfi_take_signed(&b, 2)); break;
			case 0x0c: push(&s, imp_cfi_take(&b, 4)); break;
			case 0x0d: push(&s, (uint64_t)imp_cfi_take_signed(&b, 4)); break;
			case 0x0e:
			case 0x0f: push(&s, imp_cfi_take(&b, 8)); break;
			case 0x10: push(&s, imp_cfi_take_uleb(&b)); break;
			case 0x11: push(&s, (uint64_t)imp_cfi_take_sleb(&b)); break;
			case 0x12:
				a = pop(&s);
				push(&s, a);
				push(&s, a);
				break; /* dup */
			case 0x13: pop(&s); break;
			case 0x16: /* swap */
				a = pop(&s);
				reg = pop(&s);
				push(&s, a);
				push(&s, reg);
				break;
			case 0x23:
				a = imp_cfi_take_uleb(&b);
				push(&s, pop(&s) + a);
				break; /* plus_uconst */
			case 0x28:     /* bra, skip */
			case 0x2f:
				jump = imp_cfi_take_signed(&b, 2);
				if (op == 0x28 && !pop(&s))
					break;
				if (jump < expression - b.at || jump > b.end - b.at)
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
