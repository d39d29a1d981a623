/* SPDX-License-Identifier: GPL-2.0-or-later */
/* syscall(): everything but seccomp(2) goes straight on, by a jump; see the x86-64 file. */
#define SYS_SECCOMP	277

	.text
	.globl	syscall
	.type	syscall, %function
	.p2align 2
syscall:
	.cfi_startproc
	hint	#34			/* bti c */
	cmp	x0, #SYS_SECCOMP
	b.eq	1f
	adrp	x16, imp_real		/* its first member */
	ldr	x16, [x16, :lo12:imp_real]
	br	x16
1:	b	imp_interpose_seccomp
	.cfi_endproc
	.size	syscall, .-syscall
	.hidden	imp_real
	.hidden	imp_interpose_seccomp

	.section .note.GNU-stack, "", %progbits
