// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe_return.h"

#if IMP_HAVE_BPF

#include <stdbool.h>

#include "probe_insn.h"

/* A branch, and what has come behind it so far: nothing but an epilogue. */
struct epilogue {
	bool open;
	bool popped; /* registers are the caller's again */
	uint64_t branch, target;
	enum imp_bpf_result result;
};

#if defined __x86_64__

#define RETURN X86_INS_RET

static enum imp_bpf_result result_in(x86_reg reg)
{
	switch (reg) {
	case X86_REG_RBX: return IMP_BPF_IN_BX;
	case X86_REG_RBP: return IMP_BPF_IN_BP;
	case X86_REG_R12: return IMP_BPF_IN_R12;
	case X86_REG_R13: return IMP_BPF_IN_R13;
	case X86_REG_R14: return IMP_BPF_IN_R14;
	case X86_REG_R15: return IMP_BPF_IN_R15;
	default: return IMP_BPF_IN_RETURN;
	}
}

/* @left: bytes from the instruction on that are known */
static void follow(struct epilogue *e, csh handle, const cs_insn *insn, size_t left)
{
	const cs_x86 *x = &insn->detail->x86;
	const cs_x86_op *to = &x->operands[0], *from = &x->operands[1];

	if (cs_insn_group(handle, insn, CS_GRP_JUMP) && insn->id != X86_INS_JMP &&
	    to->type == X86_OP_IMM) {
		e->open = imp_probe_is_emulated(insn->bytes, left);
		e->popped = false;
		e->branch = insn->address;
		e->target = (uint64_t)to->imm;
		e->result = IMP_BPF_IN_RETURN;
	} else if (insn->id == X86_INS_POP && to->type == X86_OP_REG && to->reg != X86_REG_RAX) {
		e->popped = true;
	} else if (insn->id == X86_INS_MOV && to->type == X86_OP_REG && to->reg == X86_REG_RAX &&
		   from->type == X86_OP_REG && result_in(from->reg) != IMP_BPF_IN_RETURN &&
		   !e->popped && e->result == IMP_BPF_IN_RETURN) {
		e->result = result_in(from->reg);
	} else if (insn->id != X86_INS_ADD || to->type != X86_OP_REG || to->reg != X86_REG_RSP) {
		e->open = false;
	}
}

/*
 * Takes back what a branch belies. One that goes elsewhere may come back anywhere; so may one through a register, if
 * not behind a `pop`: then the frame is gone, and it is a tail call.
 */
static void check_branches(csh handle, cs_insn *insn, const uint8_t *code, size_t len,
			   uint64_t offset, const uint64_t *targets,
			   struct imp_probe_return *returns, size_t count)
{
	const uint64_t begin = offset, end = offset + len;
	bool after_pop = false, is_call = false;
	uint64_t last = 0;

	while (cs_disasm_iter(handle, &code, &len, &offset, insn)) {
		const cs_x86_op *to = &insn->detail->x86.operands[0];
		bool known = to->type == X86_OP_IMM && (uint64_t)to->imm >= begin &&
			     (uint64_t)to->imm < end;

		for (size_t i = 0; i < count && cs_insn_group(handle, insn, CS_GRP_JUMP); i++)
			if (known ? (uint64_t)to->imm > returns[i].early &&
					    (uint64_t)to->imm <= returns[i].offset :
				    to->type == X86_OP_IMM || !after_pop)
				returns[i].early = returns[i].offset;
		after_pop = insn->id == X86_INS_POP;
		is_call = insn->id == X86_INS_CALL;
		last = insn->address;
	}
	for (size_t i = 0; i < count; i++) {
		if (!is_call || targets[i] != last)
			returns[i].early = returns[i].offset;
		if (returns[i].early == returns[i].offset)
			returns[i].result = IMP_BPF_IN_RETURN;
	}
}

#else /* nothing is emulated: see probe_insn.h */

#define RETURN ARM64_INS_RET

static void follow(struct epilogue *e, csh handle, const cs_insn *insn, size_t left)
{
	(void)e, (void)handle, (void)insn, (void)left;
}

static void check_branches(csh handle, cs_insn *insn, const uint8_t *code, size_t len,
			   uint64_t offset, const uint64_t *targets,
			   struct imp_probe_return *returns, size_t count)
{
	(void)handle, (void)insn, (void)code, (void)len, (void)offset;
	(void)targets, (void)returns, (void)count;
}

#endif

static struct imp_probe_return make_return(uint64_t offset, const struct epilogue *e)
{
	struct imp_probe_return r = {offset, offset, IMP_BPF_IN_RETURN};

	if (e->open) {
		r.early = e->branch;
		r.result = e->result;
	}
	return r;
}

size_t imp_probe_returns(const uint8_t *code, size_t len, uint64_t offset,
			 struct imp_probe_return returns[IMP_PROBE_RETURNS_MAX])
{
	uint64_t targets[IMP_PROBE_RETURNS_MAX], address = offset;
	struct epilogue e = {0};
	const uint8_t *at = code;
	size_t count = 0, left = len;
	cs_insn *insn = NULL;
	csh handle;

	if (cs_open(IMP_PROBE_ARCH, IMP_PROBE_MODE, &handle) != CS_ERR_OK)
		return 0;
	if (cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON) == CS_ERR_OK)
		insn = cs_malloc(handle);
	while (insn && left && count <= IMP_PROBE_RETURNS_MAX) {
		if (!cs_disasm_iter(handle, &at, &left, &address, insn))
			break;
		if (insn->id != RETURN) {
			follow(&e, handle, insn, left + insn->size);
			continue;
		}
		if (count < IMP_PROBE_RETURNS_MAX) {
			returns[count] = make_return(insn->address, &e);
			targets[count] = e.target;
		}
		e.open = false;
		count++;
	}
	if (!insn || left || count > IMP_PROBE_RETURNS_MAX)
		count = 0;
	if (count)
		check_branches(handle, insn, code, len, offset, targets, returns, count);
	if (insn)
		cs_free(insn, 1);
	cs_close(&handle);
	return count;
}

#else /* built without probes */

size_t imp_probe_returns(const uint8_t *code, size_t len, uint64_t offset,
			 struct imp_probe_return returns[IMP_PROBE_RETURNS_MAX])
{
	(void)code;
	(void)len;
	(void)offset;
	(void)returns;
	return 0;
}

#endif
