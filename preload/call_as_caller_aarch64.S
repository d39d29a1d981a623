/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entered by a branch from an interposed function, with its arguments in place, the caller's return address
 * in x30, and its struct imp_interposer in x16.
 *
 * There is no detour here: a return address is in a register, and may be signed. The real function is
 * entered by a branch, keeps the true caller and returns to it; what came of the call is seen
 * afterwards, in the link map.
 */
#include "preload/call_as_caller.h"

#define FRAME	(16 + 144)	/* IMP_CALL_SIZE, rounded up to 16 */

	.text
	.hidden imp_call_as_caller
	.globl	imp_call_as_caller
	.type	imp_call_as_caller, %function
	.p2align 4
imp_call_as_caller:
	.cfi_startproc
	stp	x29, x30, [sp, #-FRAME]!
	.cfi_adjust_cfa_offset FRAME
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	stp	x0, x1, [sp, #16 + IMP_CALL_ARGS]
	stp	x2, x3, [sp, #16 + IMP_CALL_ARGS + 16]
	str	x30, [sp, #16 + IMP_CALL_CALLER]
	str	x16, [sp, #16 + IMP_CALL_OPS]
	mov	w1, #1
	str	w1, [sp, #16 + IMP_CALL_NO_DETOUR]
	add	x0, sp, #16
	ldr	x9, [x16]
	blr	x9			/* enter */

	cmp	w0, #1
	b.hi	.Lreturn		/* IMP_CALL_ANSWER; IMP_CALL_RETURN is not chosen with no_detour */
	ldp	x0, x1, [sp, #16 + IMP_CALL_ARGS]
	ldp	x2, x3, [sp, #16 + IMP_CALL_ARGS + 16]
	ldr	x16, [sp, #16 + IMP_CALL_TARGET]
	.cfi_remember_state
	ldp	x29, x30, [sp], #FRAME
	.cfi_adjust_cfa_offset -FRAME
	.cfi_restore x29
	.cfi_restore x30
	br	x16

.Lreturn:
	.cfi_restore_state
	ldr	x0, [sp, #16 + IMP_CALL_RESULT]
	ldp	x29, x30, [sp], #FRAME
	.cfi_adjust_cfa_offset -FRAME
	.cfi_restore x29
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	imp_call_as_caller, . - imp_call_as_caller
	.hidden imp_call_as_caller_end
	.globl	imp_call_as_caller_end
imp_call_as_caller_end:

	.section .note.GNU-stack, "", %progbits
