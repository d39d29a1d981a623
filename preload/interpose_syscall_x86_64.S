/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * syscall(): everything but seccomp(2) goes straight on, by a jump. A frame of ours would not do: a child
 * of clone(2) or vfork(2) returns through it on another stack, or before its parent does.
 */
#if defined __CET__
#include <cet.h>
#else
#define _CET_ENDBR
#endif

#define SYS_SECCOMP	317

	.text
	.globl	syscall
	.type	syscall, @function
	.p2align 4
syscall:
	.cfi_startproc
	_CET_ENDBR
	cmpq	$SYS_SECCOMP, %rdi
	je	1f
	jmp	*imp_real(%rip)		/* its first member */
1:	jmp	imp_interpose_seccomp
	.cfi_endproc
	.size	syscall, .-syscall
	.hidden	imp_real
	.hidden	imp_interpose_seccomp

	.section .note.GNU-stack, "", @progbits
