/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_CALL_BLOCK_H
#define IMP_ATTACH_CALL_BLOCK_H

/*
 * What imptrace and the code that it has a thread run (call_stub_x86_64.S) share: a memfd, mapped by both.
 *
 *	page 0      the code
 *	page 1      struct imp_call_block
 *	pages 2-5   the thread's floating point and vector registers, as XSAVE stores them
 *	the rest    a stack of its own: the thread's may be as small as the program wanted
 *
 * This header is also read by the assembler.
 */
#define IMP_CALL_PAGE  4096
#define IMP_CALL_XSAVE (2 * IMP_CALL_PAGE)
#define IMP_CALL_STACK (6 * IMP_CALL_PAGE)
#define IMP_CALL_SIZE  (IMP_CALL_STACK + 64 * IMP_CALL_PAGE)

/* Offsets in the block. */
#define IMP_CALL_PHASE	   0
#define IMP_CALL_HAS_XSAVE 4
#define IMP_CALL_PATIENCE  8
#define IMP_CALL_N_STEPS   12
#define IMP_CALL_MASK	   16
#define IMP_CALL_MXCSR	   24
#define IMP_CALL_RIP	   32
#define IMP_CALL_RFLAGS	   40
#define IMP_CALL_REGS	   48  /* rax rbx rcx rdx rsi rdi rbp rsp r8 to r15 */
#define IMP_CALL_PAUSE	   176 /* struct timespec */
#define IMP_CALL_ERRNO	   192
#define IMP_CALL_STEPS	   256

/* In one step. */
#define IMP_STEP_FUNCTION 0
#define IMP_STEP_ARGS	  8
#define IMP_STEP_RESULT	  32
#define IMP_STEP_WHEN	  40
#define IMP_STEP_RELATIVE 44
#define IMP_STEP_RAN	  48
#define IMP_STEP_SIZE	  64

/* IMP_CALL_PHASE */
#define IMP_PHASE_IDLE	  0
#define IMP_PHASE_RUNNING 1 /* the steps are being made */
#define IMP_PHASE_DONE \
	2 /* made; the thread waits for the tracer, which puts everything back exactly */
#define IMP_PHASE_ALONE 3 /* no tracer came: the thread goes back by itself */

/* IMP_STEP_WHEN */
#define IMP_WHEN_ALWAYS 0
#define IMP_WHEN_ZERO	1 /* the first step returned 0 */
#define IMP_WHEN_VALUE	2 /* it did not */

#define IMP_CALL_STEPS_MAX 4
#define IMP_CALL_TEXT_MAX  256

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct imp_call_step {
	uint64_t function;
	uint64_t args[3];
	uint64_t result;
	uint32_t when;
	uint32_t relative; /* 1: @function counts from what the first result points at: link_map.l_addr */
	uint32_t ran, unused[3];
};

struct imp_call_block {
	uint32_t phase;
	uint32_t has_xsave; /* 0: a processor with FXSAVE only */
	uint32_t patience;  /* how many pauses to wait for the tracer */
	uint32_t n_steps;
	uint64_t mask; /* of blocked signals, to go back with */
	uint32_t mxcsr, unused;
	uint64_t rip, rflags, regs[16]; /* to go back with */
	uint64_t pause[2];
	uint64_t errno_location; /* libc's __errno_location(): what the calls do to errno is undone */
	uint64_t unused_too[7];
	struct imp_call_step steps[IMP_CALL_STEPS_MAX];
	char text[IMP_CALL_TEXT_MAX]; /* a string that the steps point at */
};

#define IMP_AT(member, offset) \
	_Static_assert(offsetof(struct imp_call_block, member) == (offset), #member)
IMP_AT(has_xsave, IMP_CALL_HAS_XSAVE);
IMP_AT(patience, IMP_CALL_PATIENCE);
IMP_AT(n_steps, IMP_CALL_N_STEPS);
IMP_AT(mask, IMP_CALL_MASK);
IMP_AT(mxcsr, IMP_CALL_MXCSR);
IMP_AT(rip, IMP_CALL_RIP);
IMP_AT(rflags, IMP_CALL_RFLAGS);
IMP_AT(regs, IMP_CALL_REGS);
IMP_AT(pause, IMP_CALL_PAUSE);
IMP_AT(errno_location, IMP_CALL_ERRNO);
IMP_AT(steps, IMP_CALL_STEPS);
#undef IMP_AT
_Static_assert(sizeof(struct imp_call_step) == IMP_STEP_SIZE, "step");
_Static_assert(offsetof(struct imp_call_step, args) == IMP_STEP_ARGS, "args");
_Static_assert(offsetof(struct imp_call_step, result) == IMP_STEP_RESULT, "result");
_Static_assert(offsetof(struct imp_call_step, when) == IMP_STEP_WHEN, "when");
_Static_assert(offsetof(struct imp_call_step, relative) == IMP_STEP_RELATIVE, "relative");
_Static_assert(offsetof(struct imp_call_step, ran) == IMP_STEP_RAN, "ran");
_Static_assert(sizeof(struct imp_call_block) <= IMP_CALL_PAGE, "block");

/* The code: from imp_call_stub to imp_call_stub_end, to be entered at its beginning. */
extern const char imp_call_stub[], imp_call_stub_end[];
#endif

#endif
