/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The code that a thread of another process runs for us. It is copied there, so it refers to nothing but itself
 * and the block behind it (call_block.h).
 *
 * It is entered with all signals blocked, and with the registers that the thread had in the block. It makes
 * the calls, and then waits for a moment: a tracer that is there stops it, and gives it back its registers,
 * its signal mask and its interrupted system call exactly. Without a tracer, which may have been
 * killed at any time, it goes back by itself.
 *
 * Going back is no rt_sigreturn(2): that would make the kernel forget what restart_syscall(2) would do, and
 * an interrupted nanosleep() or poll() would end with EINTR.
 */
#include "call_block.h"

#if defined __x86_64__

#define BLOCK(offset) (imp_call_stub + IMP_CALL_PAGE + (offset))(%rip)
#define REG(number)   BLOCK(IMP_CALL_REGS + 8 * (number))

#define NR_RT_SIGPROCMASK 14
#define NR_FUTEX	  202
#define NR_PPOLL	  271

	.section .rodata
	.balign 64
	.globl imp_call_stub
	.hidden imp_call_stub
	.globl imp_call_stub_end
	.hidden imp_call_stub_end
imp_call_stub:
	cld
	cmpl	$0, BLOCK(IMP_CALL_HAS_XSAVE)
	je	1f
	movl	$-1, %eax
	movl	$-1, %edx
	xsave64	(imp_call_stub + IMP_CALL_XSAVE)(%rip)
	jmp	2f
1:	fxsave64 (imp_call_stub + IMP_CALL_XSAVE)(%rip)
2:	fninit
	ldmxcsr	BLOCK(IMP_CALL_MXCSR)
	leaq	(imp_call_stub + IMP_CALL_SIZE)(%rip), %rsp
	xorl	%ebp, %ebp
	/* Whoever unwinds the stack ends here. */
	pushq	$0
	pushq	$0
	call	*BLOCK(IMP_CALL_ERRNO)
	movq	%rax, %r14
	movl	(%r14), %r15d
	leaq	BLOCK(IMP_CALL_STEPS), %rbx
	movl	BLOCK(IMP_CALL_N_STEPS), %r12d
	xorl	%r13d, %r13d

.Lstep:
	testl	%r12d, %r12d
	jz	.Ldone
	movl	IMP_STEP_WHEN(%rbx), %eax
	cmpl	$IMP_WHEN_ZERO, %eax
	jb	3f
	je	4f
	testq	%r13, %r13
	jz	.Lnext
	jmp	3f
4:	testq	%r13, %r13
	jnz	.Lnext
3:	movq	IMP_STEP_FUNCTION(%rbx), %rax
	cmpl	$0, IMP_STEP_RELATIVE(%rbx)
	je	5f
	addq	(%r13), %rax
5:	movq	IMP_STEP_ARGS(%rbx), %rdi
	movq	IMP_STEP_ARGS + 8(%rbx), %rsi
	movq	IMP_STEP_ARGS + 16(%rbx), %rdx
	call	*%rax
	movq	%rax, IMP_STEP_RESULT(%rbx)
	movl	$1, IMP_STEP_RAN(%rbx)
	/* What the others ask for is the first one's result. */
	leaq	BLOCK(IMP_CALL_STEPS), %rcx
	cmpq	%rcx, %rbx
	cmoveq	%rax, %r13
.Lnext:
	addq	$IMP_STEP_SIZE, %rbx
	decl	%r12d
	jmp	.Lstep

.Ldone:
	movl	%r15d, (%r14)
	cmpl	$0, BLOCK(IMP_CALL_HAS_XSAVE)
	je	6f
	movl	$-1, %eax
	movl	$-1, %edx
	xrstor64 (imp_call_stub + IMP_CALL_XSAVE)(%rip)
	jmp	7f
6:	fxrstor64 (imp_call_stub + IMP_CALL_XSAVE)(%rip)
7:	movl	$IMP_PHASE_DONE, %eax
	xchgl	%eax, BLOCK(IMP_CALL_PHASE)
	/* futex(&phase, FUTEX_WAKE, INT_MAX) */
	movl	$NR_FUTEX, %eax
	leaq	BLOCK(IMP_CALL_PHASE), %rdi
	movl	$1, %esi
	movl	$0x7fffffff, %edx
	syscall

	/* ppoll() with a timeout: unlike nanosleep(), it leaves restart_syscall(2) alone. */
	movl	BLOCK(IMP_CALL_PATIENCE), %r12d
.Lwait:
	movq	BLOCK(IMP_CALL_PAUSE), %rax
	movq	%rax, -16(%rsp)
	movq	BLOCK(IMP_CALL_PAUSE + 8), %rax
	movq	%rax, -8(%rsp)
	movl	$NR_PPOLL, %eax
	xorl	%edi, %edi
	xorl	%esi, %esi
	leaq	-16(%rsp), %rdx
	xorl	%r10d, %r10d
	movl	$8, %r8d
	syscall
	decl	%r12d
	jnz	.Lwait

	movl	$IMP_PHASE_ALONE, %eax
	xchgl	%eax, BLOCK(IMP_CALL_PHASE)
	/* rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8) */
	movl	$NR_RT_SIGPROCMASK, %eax
	movl	$2, %edi
	leaq	BLOCK(IMP_CALL_MASK), %rsi
	xorl	%edx, %edx
	movl	$8, %r10d
	syscall
	movq	REG(1), %rbx
	movq	REG(2), %rcx
	movq	REG(3), %rdx
	movq	REG(4), %rsi
	movq	REG(5), %rdi
	movq	REG(6), %rbp
	movq	REG(8), %r8
	movq	REG(9), %r9
	movq	REG(10), %r10
	movq	REG(11), %r11
	movq	REG(12), %r12
	movq	REG(13), %r13
	movq	REG(14), %r14
	movq	REG(15), %r15
	pushq	BLOCK(IMP_CALL_RFLAGS)
	popfq
	movq	REG(0), %rax
	movq	REG(7), %rsp
	jmp	*BLOCK(IMP_CALL_RIP)
imp_call_stub_end:

#endif

	.section .note.GNU-stack, "", @progbits
