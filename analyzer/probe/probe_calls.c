/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_calls.h"

#if IMP_HAVE_BPF

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "probe_insn.h"

#define INSTRUCTIONS_MAX 20000
#define STARTS_MAX	 4096 /* branches that are still to be followed */
#define STUB_MAX	 4    /* instructions of an entry of the procedure linkage table */
#define LANDING_MAX	 8    /* instructions behind a call */

struct walk {
	const char *data;
	size_t len;
	Elf64_Ehdr head;
	csh handle;
	cs_insn *insn;
	const char *callee_name;
	uint64_t callee, stub; /* addresses; @stub: the PLT entry that was found to lead to it */
	uint64_t starts[STARTS_MAX];
	size_t n_starts;
	uint64_t *seen; /* addresses of instructions: a hash table */
	size_t n_seen;
	uint64_t argument; /* address in the second argument's register; 0: not known */
};

#define SEEN_SIZE 65536 /* a power of two, more than twice INSTRUCTIONS_MAX */

/* ---- the file ------------------------------------------------------------------------------------ */

static bool read_at(const struct walk *w, uint64_t offset, void *to, size_t size)
{
	if (offset > w->len || size > w->len - offset)
		return false;
	memcpy(to, w->data + offset, size);
	return true;
}

/* Where an address lies in the file, and how many bytes of its segment follow; 0: nowhere. */
static size_t find_address(const struct walk *w, uint64_t address, uint64_t *offset)
{
	Elf64_Phdr p;

	for (unsigned int i = 0; i < w->head.e_phnum; i++) {
		if (!read_at(w, w->head.e_phoff + (uint64_t)i * sizeof(p), &p, sizeof(p)))
			return 0;
		if (p.p_type != PT_LOAD || address < p.p_vaddr || address - p.p_vaddr >= p.p_filesz)
			continue;
		*offset = p.p_offset + (address - p.p_vaddr);
		if (*offset >= w->len || p.p_filesz - (address - p.p_vaddr) > w->len - *offset)
			return 0;
		return p.p_filesz - (address - p.p_vaddr);
	}
	return 0;
}

/* Does the relocation of the GOT entry at @address name the callee? */
static bool got_is_callee(const struct walk *w, uint64_t address)
{
	Elf64_Shdr s, symbols, strings;
	size_t len = strlen(w->callee_name) + 1;
	Elf64_Sym symbol;
	Elf64_Rela rela;

	for (unsigned int i = 0; i < w->head.e_shnum; i++) {
		if (!read_at(w, w->head.e_shoff + (uint64_t)i * sizeof(s), &s, sizeof(s)))
			return false;
		if (s.sh_type != SHT_RELA)
			continue;
		for (uint64_t at = 0; at + sizeof(rela) <= s.sh_size; at += sizeof(rela)) {
			if (!read_at(w, s.sh_offset + at, &rela, sizeof(rela)))
				return false;
			if (rela.r_offset != address)
				continue;
			return read_at(w, w->head.e_shoff + (uint64_t)s.sh_link * sizeof(s),
				       &symbols, sizeof(s)) &&
			       read_at(w, w->head.e_shoff + (uint64_t)symbols.sh_link * sizeof(s),
				       &strings, sizeof(s)) &&
			       read_at(w,
				       symbols.sh_offset + ELF64_R_SYM(rela.r_info) * sizeof(symbol),
				       &symbol, sizeof(symbol)) &&
			       strings.sh_offset + symbol.st_name < w->len &&
			       len <= w->len - (strings.sh_offset + symbol.st_name) &&
			       !memcmp(w->data + strings.sh_offset + symbol.st_name, w->callee_name,
				       len);
		}
	}
	return false;
}

/* ---- instructions -------------------------------------------------------------------------------- */

static bool decode(struct walk *w, uint64_t address)
{
	uint64_t offset;
	size_t left = find_address(w, address, &offset);
	const uint8_t *code = left ? (const uint8_t *)w->data + offset : NULL;

	return code && cs_disasm_iter(w->handle, &code, &left, &address, w->insn);
}

/* The address that a direct call or branch leads to. */
static bool target_of(const cs_insn *insn, uint64_t *target)
{
#if defined __x86_64__
	const cs_x86 *x = &insn->detail->x86;

	if (x->op_count != 1 || x->operands[0].type != X86_OP_IMM)
		return false;
	*target = (uint64_t)x->operands[0].imm;
	return true;
#else
	const cs_arm64 *x = &insn->detail->arm64;

	for (int i = x->op_count; i-- > 0;)
		if (x->operands[i].type == ARM64_OP_IMM) {
			*target = (uint64_t)x->operands[i].imm;
			return true;
		}
	return false;
#endif
}

static bool in_group(const struct walk *w, uint8_t group)
{
	return cs_insn_group(w->handle, w->insn, group);
}

/* jmp or b, and no condition: what stands behind it is not reached from here. */
static bool is_plain_jump(const cs_insn *insn)
{
#if defined __x86_64__
	return insn->id == X86_INS_JMP;
#else
	return (insn->id == ARM64_INS_B && insn->detail->arm64.cc <= ARM64_CC_INVALID) ||
	       insn->id == ARM64_INS_BR;
#endif
}

/* An entry of the procedure linkage table that jumps through the callee's entry of the GOT. Decodes anew. */
static bool is_stub(struct walk *w, uint64_t address)
{
#if defined __x86_64__
	for (int i = 0; i < STUB_MAX && decode(w, address); i++) {
		const cs_x86 *x = &w->insn->detail->x86;

		if (w->insn->id == X86_INS_JMP)
			return x->op_count == 1 && x->operands[0].type == X86_OP_MEM &&
			       x->operands[0].mem.base == X86_REG_RIP &&
			       got_is_callee(w, address + w->insn->size +
							(uint64_t)x->operands[0].mem.disp);
		address += w->insn->size;
	}
#else
	uint64_t page = 0;

	/* adrp x16, page; ldr x17, [x16, #low]; add; br x17 */
	for (int i = 0; i < STUB_MAX && decode(w, address); i++, address += 4) {
		const cs_arm64 *x = &w->insn->detail->arm64;

		if (w->insn->id == ARM64_INS_ADRP && x->op_count == 2)
			page = (uint64_t)x->operands[1].imm;
		else if (w->insn->id == ARM64_INS_LDR && page && x->op_count == 2)
			return got_is_callee(w, page + (uint64_t)x->operands[1].mem.disp);
	}
#endif
	return false;
}

/* ---- the walk ------------------------------------------------------------------------------------ */

static bool add_start(struct walk *w, uint64_t address)
{
	if (w->n_starts == STARTS_MAX)
		return false;
	w->starts[w->n_starts++] = address;
	return true;
}

/* Returns 1 where the address is new, 0 where it was seen, < 0 where there are too many. */
static int see(struct walk *w, uint64_t address)
{
	size_t at = (address * 0x9e3779b97f4a7c15u) >> 48;

	for (; w->seen[at]; at = (at + 1) % SEEN_SIZE)
		if (w->seen[at] == address)
			return 0;
	if (w->n_seen == INSTRUCTIONS_MAX)
		return -1;
	w->seen[at] = address;
	w->n_seen++;
	return 1;
}

/* Does the instruction leave the result and the stack pointer as they are? */
static bool keeps_result(const struct walk *w)
{
#if defined __x86_64__
	cs_regs read, written;
	uint8_t n_read, n_written;

	if (cs_regs_access(w->handle, w->insn, read, &n_read, written, &n_written) != CS_ERR_OK)
		return false;
	for (uint8_t i = 0; i < n_written; i++)
		switch (written[i]) {
		case X86_REG_RAX:
		case X86_REG_EAX:
		case X86_REG_AX:
		case X86_REG_AH:
		case X86_REG_AL:
		case X86_REG_RSP:
		case X86_REG_ESP:
		case X86_REG_SP: return false;
		}
	return true;
#else
	(void)w;
	return false;
#endif
}

/*
 * Where a probe behind the call is best put: it moves on to an instruction that the kernel emulates, as long as the
 * result is still in its register, the stack is as it was, and nothing branches away. Decodes anew.
 */
static uint64_t find_landing(struct walk *w, uint64_t next)
{
	uint64_t address = next, offset = 0;

	for (int i = 0; i < LANDING_MAX; i++) {
		size_t left = find_address(w, address, &offset);

		if (imp_probe_is_emulated((const uint8_t *)w->data + offset, left))
			return address;
		if (!decode(w, address) || in_group(w, CS_GRP_CALL) || in_group(w, CS_GRP_JUMP) ||
		    in_group(w, CS_GRP_RET) || in_group(w, CS_GRP_INT) || !keeps_result(w))
			break;
		address += w->insn->size;
	}
	return next;
}

static bool add_site(struct walk *w, uint64_t address, unsigned int size,
		     struct imp_probe_call_site *sites, size_t *n)
{
	if (*n == IMP_PROBE_CALLS_MAX || !find_address(w, address, &sites[*n].call) ||
	    !find_address(w, find_landing(w, address + size), &sites[*n].next))
		return false;
	sites[*n].argument = 0;
	if (w->argument && !find_address(w, w->argument, &sites[*n].argument))
		sites[*n].argument = 0;
	(*n)++;
	return true;
}

/* Follows what the register of the second argument holds, as far as it is a constant. */
static void track_argument(struct walk *w)
{
#if defined __x86_64__
	const cs_x86 *x = &w->insn->detail->x86;
	const cs_x86_op *to = &x->operands[0], *from = &x->operands[1];

	if (in_group(w, CS_GRP_CALL)) {
		w->argument = 0;
		return;
	}
	if (!x->op_count || to->type != X86_OP_REG ||
	    (to->reg != X86_REG_RSI && to->reg != X86_REG_ESI))
		return;
	if (w->insn->id == X86_INS_LEA && from->mem.base == X86_REG_RIP &&
	    from->mem.index == X86_REG_INVALID)
		w->argument = w->insn->address + w->insn->size + (uint64_t)from->mem.disp;
	else if ((w->insn->id == X86_INS_MOV || w->insn->id == X86_INS_MOVABS) &&
		 from->type == X86_OP_IMM)
		w->argument = (uint64_t)from->imm;
	else if (w->insn->id != X86_INS_CMP && w->insn->id != X86_INS_TEST)
		w->argument = 0;
#else
	w->argument = 0;
#endif
}

/* From one address up to where the code does not go on. Returns false where something can't be read. */
static bool follow(struct walk *w, uint64_t address, struct imp_probe_call_site *sites, size_t *n)
{
	uint64_t target;
	uint64_t argument;
	unsigned int size;
	int fresh;

	w->argument = 0;
	while ((fresh = see(w, address)) > 0) {
		if (!decode(w, address))
			return false;
		size = w->insn->size;
		argument = w->argument;
		track_argument(w);
		if (in_group(w, CS_GRP_CALL)) {
			if (target_of(w->insn, &target) &&
			    (target == w->callee || target == w->stub ||
			     (!w->stub && is_stub(w, target)))) {
				if (target != w->callee)
					w->stub = target;
				w->argument = argument;
				if (!add_site(w, address, size, sites, n))
					return false;
			}
		} else if (in_group(w, CS_GRP_RET) || in_group(w, CS_GRP_INT)) {
			return true;
		} else if (in_group(w, CS_GRP_JUMP)) {
			const bool plain = is_plain_jump(w->insn);

			if (target_of(w->insn, &target) && !add_start(w, target))
				return false;
			if (plain)
				return true;
		}
		address += size;
	}
	return fresh == 0;
}

size_t imp_probe_calls(const char *data, size_t len, uint64_t caller, uint64_t callee,
		       const char *name, struct imp_probe_call_site sites[IMP_PROBE_CALLS_MAX])
{
	struct walk *w = calloc(1, sizeof(*w));
	bool good = w != NULL;
	size_t n = 0;

	if (!w)
		return 0;
	w->data = data;
	w->len = len;
	w->callee = callee;
	w->callee_name = name;
	w->seen = calloc(SEEN_SIZE, sizeof(*w->seen));
	good = w->seen && read_at(w, 0, &w->head, sizeof(w->head)) &&
	       w->head.e_phentsize == sizeof(Elf64_Phdr) &&
	       cs_open(IMP_PROBE_ARCH, IMP_PROBE_MODE, &w->handle) == CS_ERR_OK;
	if (good) {
		cs_option(w->handle, CS_OPT_DETAIL, CS_OPT_ON);
		w->insn = cs_malloc(w->handle);
		good = w->insn && add_start(w, caller);
		while (good && w->n_starts)
			good = follow(w, w->starts[--w->n_starts], sites, &n);
		if (w->insn)
			cs_free(w->insn, 1);
		cs_close(&w->handle);
	}
	free(w->seen);
	free(w);
	return good ? n : 0;
}

#else /* built without probes */

size_t imp_probe_calls(const char *data, size_t len, uint64_t caller, uint64_t callee,
		       const char *name, struct imp_probe_call_site sites[IMP_PROBE_CALLS_MAX])
{
	(void)data, (void)len, (void)caller, (void)callee, (void)name, (void)sites;
	return 0;
}

#endif
