/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guard_frame.h"

#if defined __x86_64__

#include <asm/sigcontext.h>
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define RED_ZONE    128
#define LEGACY_SIZE 512 /* FXSAVE's area; the state header behind it has 64 bytes */
#define HEADER_SIZE 64
#define SW_OFFSET   464 /* of struct _fpx_sw_bytes in that area */
#define BV_OFFSET   512 /* XSTATE_BV, which parts the area holds */
#define FLAG_XSTATE 1	/* UC_FP_XSTATE */
#define FLAG_SS	    6	/* UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
#define SS_NONE	    0x4 /* no mode that there is: the thread's alternate stack stays as it is */

/* What rt_sigreturn(2) reads: struct ucontext of the kernel, whose signal mask has 8 bytes. */
struct frame {
	uint64_t flags, link;
	uint64_t stack, stack_flags, stack_size;
	struct sigcontext_64 context;
	uint64_t mask;
};

/* Up to where the parts reach that the area holds: what is initial is not written. Intel SDM vol. 1, 13.4. */
static size_t state_size(uint64_t parts)
{
	size_t end = LEGACY_SIZE + HEADER_SIZE;
	unsigned int a, b, c, d;

	for (unsigned int i = 2; i < 63; i++) {
		if (!(parts >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		if (b + a > end)
			end = b + a;
	}
	return end;
}

/* The floating point state as it lies in a signal frame; its size. */
static size_t make_state(const struct imp_tracee *t, uint8_t *state, size_t size)
{
	struct _fpx_sw_bytes sw;
	const uint32_t magic2 = FP_XSTATE_MAGIC2;
	struct iovec part = {state, size - sizeof(magic2)};
	uint64_t parts;
	size_t len;

	/* As long as the kernel says, not as some header does: 11 kB with AMX. */
	if (ptrace(PTRACE_GETREGSET, t->tid, (void *)NT_X86_XSTATE, &part) < 0 ||
	    part.iov_len < LEGACY_SIZE + HEADER_SIZE) {
		part.iov_base = state;
		part.iov_len = size;
		if (ptrace(PTRACE_GETREGSET, t->tid, (void *)NT_PRFPREG, &part) < 0 ||
		    part.iov_len != LEGACY_SIZE)
			return 0;
		memset(state + SW_OFFSET, 0, sizeof(sw));
		return LEGACY_SIZE;
	}
	memcpy(&parts, state + BV_OFFSET, sizeof(parts));
	parts |= 3;
	len = state_size(parts);
	if (len > part.iov_len)
		len = part.iov_len;
	memset(&sw, 0, sizeof(sw));
	sw.magic1 = FP_XSTATE_MAGIC1;
	sw.extended_size = (uint32_t)(len + sizeof(magic2));
	sw.xfeatures = parts;
	sw.xstate_size = (uint32_t)len;
	memcpy(state + SW_OFFSET, &sw, sizeof(sw));
	memcpy(state + len, &magic2, sizeof(magic2));
	return len + sizeof(magic2);
}

static void fill_context(const struct imp_tracee *t, struct sigcontext_64 *c)
{
	const struct user_regs_struct *r = &t->regs;
	uint64_t ip, ax;

	/* rt_sigreturn(2) has the kernel forget what restart_syscall(2) would do. */
	imp_tracee_restart(t, false, &ip, &ax);
	c->r8 = r->r8;
	c->r9 = r->r9;
	c->r10 = r->r10;
	c->r11 = r->r11;
	c->r12 = r->r12;
	c->r13 = r->r13;
	c->r14 = r->r14;
	c->r15 = r->r15;
	c->di = r->rdi;
	c->si = r->rsi;
	c->bp = r->rbp;
	c->bx = r->rbx;
	c->dx = r->rdx;
	c->ax = ax;
	c->cx = r->rcx;
	c->sp = r->rsp;
	c->ip = ip;
	c->flags = r->eflags;
	c->cs = (uint16_t)r->cs;
	c->gs = 0;
	c->fs = 0;
	c->ss = (uint16_t)r->ss;
}

int imp_guard_frame_push(const struct imp_tracee *t, const struct imp_memory *mem, uint64_t restore,
			 size_t room, uint64_t *sp, uint64_t *data)
{
	/* [restore][frame] ... [state, aligned to 64] ... [room] ... the red zone, the thread's stack */
	uint8_t *bytes = calloc(1, IMP_GUARD_MAX);
	struct frame frame;
	size_t state_len;
	uint64_t state, top;
	int ret = -EIO;

	if (!bytes)
		return -ENOMEM;
	state_len = make_state(t, bytes, IMP_GUARD_MAX);
	if (!state_len)
		goto out;
	top = t->regs.rsp - RED_ZONE - room;
	*data = top &= ~(uint64_t)15;
	state = (top - state_len) & ~(uint64_t)63;
	*sp = (state - sizeof(frame) - sizeof(restore)) & ~(uint64_t)15;
	memset(&frame, 0, sizeof(frame));
	frame.flags = (state_len > LEGACY_SIZE ? FLAG_XSTATE : 0) | FLAG_SS;
	frame.stack_flags = SS_NONE;
	frame.mask = t->mask;
	fill_context(t, &frame.context);
	frame.context.fpstate = state;
	ret = imp_memory_write(mem, state, bytes, state_len);
	if (ret == 0)
		ret = imp_memory_write(mem, *sp, &restore, sizeof(restore));
	if (ret == 0)
		ret = imp_memory_write(mem, *sp + sizeof(restore), &frame, sizeof(frame));
out:
	free(bytes);
	return ret;
}

#else

#include <errno.h>

int imp_guard_frame_push(const struct imp_tracee *t, const struct imp_memory *mem, uint64_t restore,
			 size_t room, uint64_t *sp, uint64_t *data)
{
	(void)t;
	(void)mem;
	(void)restore;
	(void)room;
	*sp = *data = 0;
	return -ENOSYS;
}

#endif
