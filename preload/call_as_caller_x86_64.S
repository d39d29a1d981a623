/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entered by a jump from an interposed function, with its arguments in place, the caller's return address
 * on the stack, and its struct imp_interposer in %rax.
 *
 * The detour: the real function gets a return address in the caller's object, a gadget
 * (return_gadget.h), and above it on the stack stands what the gadget consumes, our continuation:
 *
 *	[gadget][words...][continuation][perhaps 8 bytes][struct imp_call]...
 *
 * with %rbp in each of the words, which the gadget may pop into it, and %rbp pointing at the only one where
 * the gadget is a framed one.
 *
 * All registers that a function must keep are saved in our frame, and its CFI says so: what the gadget's
 * own CFI says of them (saved in a frame that does not exist) is thereby overruled for unwinders, and what
 * a "pop" in it does to them is mended.
 */
#include "preload/call_as_caller.h"

#if defined __CET__
#include <cet.h>
#endif

#define SAVED	48		/* six registers */
#define FRAME	(SAVED + IMP_CALL_SIZE)

	.text
	.hidden imp_call_as_caller
	.globl	imp_call_as_caller
	.type	imp_call_as_caller, @function
	.p2align 4
imp_call_as_caller:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r15, 0
	subq	$IMP_CALL_SIZE, %rsp
	.cfi_adjust_cfa_offset IMP_CALL_SIZE

	movq	%rdi, IMP_CALL_ARGS(%rsp)
	movq	%rsi, IMP_CALL_ARGS + 8(%rsp)
	movq	%rdx, IMP_CALL_ARGS + 16(%rsp)
	movq	%rcx, IMP_CALL_ARGS + 24(%rsp)
	movq	%rax, IMP_CALL_OPS(%rsp)
	movq	FRAME(%rsp), %rdx
	movq	%rdx, IMP_CALL_CALLER(%rsp)
	/* rdssp is a no-op, and leaves 0, in a thread without a shadow stack. */
	xorl	%edx, %edx
	rdsspq	%rdx
	testq	%rdx, %rdx
	setne	%dl
	movzbl	%dl, %edx
	movl	%edx, IMP_CALL_NO_DETOUR(%rsp)
	movq	%rsp, %rdi
	call	*(%rax)			/* enter */

	cmpl	$1, %eax
	ja	.Lreturn		/* IMP_CALL_ANSWER */
	movq	IMP_CALL_ARGS(%rsp), %rdi
	movq	IMP_CALL_ARGS + 8(%rsp), %rsi
	movq	IMP_CALL_ARGS + 16(%rsp), %rdx
	movq	IMP_CALL_ARGS + 24(%rsp), %rcx
	movq	IMP_CALL_TARGET(%rsp), %r11
	jb	.Ljump			/* IMP_CALL_JUMP; mov has left the flags alone */

	movzwl	IMP_CALL_WORDS(%rsp), %eax
	movq	IMP_CALL_GADGET(%rsp), %r10
	movq	%rsp, %rbx
	/*
	 * Calls, though nothing returns to them in the usual way: the processor predicts where a "ret" goes by
	 * the calls it has seen, and would be wrong in all functions above us if we only pushed.
	 */
	testb	$1, %al
	jnz	1f
	/* The ABI wants the stack aligned to 16 bytes at a call. */
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	.Ldetour
	addq	$8, %rsp		/* the continuation */
	.cfi_adjust_cfa_offset -8
	jmp	.Lcontinue
1:	call	.Ldetour
.Lcontinue:
	movq	%rax, IMP_CALL_RESULT(%rsp)
	movq	IMP_CALL_OPS(%rsp), %rax
	movq	%rsp, %rdi
	call	*8(%rax)		/* leave */

.Lreturn:
	movq	IMP_CALL_RESULT(%rsp), %rax
	addq	$IMP_CALL_SIZE, %rsp
	.cfi_remember_state
	.cfi_adjust_cfa_offset -IMP_CALL_SIZE
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore r15
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore r14
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	ret

	/* What must be kept was kept by enter: only the stack pointer moves back. */
.Ljump:
	.cfi_restore_state
	addq	$FRAME, %rsp
	.cfi_adjust_cfa_offset -FRAME
	.cfi_restore r15
	.cfi_restore r14
	.cfi_restore r13
	.cfi_restore r12
	.cfi_restore rbx
	.cfi_restore rbp
	jmp	*%r11

	/* The return address on the stack is that of the continuation. */
.Ldetour:
	.cfi_def_cfa rbx, FRAME + 8
	.cfi_rel_offset r15, IMP_CALL_SIZE
	.cfi_rel_offset r14, IMP_CALL_SIZE + 8
	.cfi_rel_offset r13, IMP_CALL_SIZE + 16
	.cfi_rel_offset r12, IMP_CALL_SIZE + 24
	.cfi_rel_offset rbx, IMP_CALL_SIZE + 32
	.cfi_rel_offset rbp, IMP_CALL_SIZE + 40
	jmp	2f
1:	pushq	%rbp
	decl	%eax
2:	testl	%eax, %eax
	jnz	1b
	cmpw	$0, IMP_CALL_FRAMED(%rbx)
	cmovneq	%rsp, %rbp
	call	3f
	ud2				/* never reached: the gadget takes its place */
3:	movq	%r10, (%rsp)
	jmp	*%r11
	.cfi_endproc
	.size	imp_call_as_caller, . - imp_call_as_caller
	.hidden imp_call_as_caller_end
	.globl	imp_call_as_caller_end
imp_call_as_caller_end:

	.section .note.GNU-stack, "", @progbits
