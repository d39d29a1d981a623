/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_CFI_STEP_H
#define IMP_PRELOAD_CFI_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "object_table.h"

/*
 * Unwinds one frame after another by the call frame information that the objects carry (.eh_frame).
 *
 * Not with libunwind: it would be one object more in the program's link map, and the liblzma that it needs
 * another. ld.so takes a mapped object for whatever asks for its soname later, RTLD_LOCAL or not: seen, an
 * object with a liblzma.so.5 of its own on its RUNPATH got the system's, and failed with an undefined
 * symbol. That load would also replace the text that dlerror() owes to the program, and use its heap.
 *
 * Nothing is called here that allocates, locks or touches the loader. What the objects' tables say is
 * not trusted: code and tables are read within their segments, the stack where the kernel says that it can be read.
 */
#if defined __x86_64__
/* DWARF's numbers; 16: the return address. */
enum { IMP_CFI_REGS = 17, IMP_CFI_SP = 7, IMP_CFI_PC = 16 };
#elif defined __aarch64__
/* DWARF's numbers; 32: the pc, a column of our own. */
enum { IMP_CFI_REGS = 33, IMP_CFI_SP = 31, IMP_CFI_PC = 32 };
#endif

struct imp_cfi_cursor {
	uint64_t reg[IMP_CFI_REGS];
	bool exact;   /* the pc is that of an instruction that was interrupted, not behind a call */
	void *memory; /* imp_cfi_use_memory(); NULL: none */
	uintptr_t page; /* of the stack, that can be read; 0: none known */
};

/* imp_cfi_here - begin at the place that this is expanded in */
#if defined __x86_64__
#define imp_cfi_here(c)                                          \
	do {                                                     \
		*(c) = (struct imp_cfi_cursor){.exact = true};   \
		__asm__ volatile("movq %%rbx, 24(%0)\n\t"        \
				 "movq %%rbp, 48(%0)\n\t"        \
				 "movq %%rsp, 56(%0)\n\t"        \
				 "movq %%r12, 96(%0)\n\t"        \
				 "movq %%r13, 104(%0)\n\t"       \
				 "movq %%r14, 112(%0)\n\t"       \
				 "movq %%r15, 120(%0)\n\t"       \
				 "leaq 0f(%%rip), %%rdx\n0:\n\t" \
				 "movq %%rdx, 128(%0)"           \
				 :                               \
				 : "a"((c)->reg)                 \
				 : "rdx", "memory");             \
	} while (0)
#elif defined __aarch64__
#define imp_cfi_here(c)                                         \
	do {                                                    \
		*(c) = (struct imp_cfi_cursor){.exact = true};  \
		__asm__ volatile("stp x19, x20, [%0, #152]\n\t" \
				 "stp x21, x22, [%0, #168]\n\t" \
				 "stp x23, x24, [%0, #184]\n\t" \
				 "stp x25, x26, [%0, #200]\n\t" \
				 "stp x27, x28, [%0, #216]\n\t" \
				 "stp x29, x30, [%0, #232]\n\t" \
				 "mov x9, sp\n\t"               \
				 "adr x10, 0f\n0:\n\t"          \
				 "stp x9, x10, [%0, #248]"      \
				 :                              \
				 : "r"((c)->reg)                \
				 : "x9", "x10", "memory");      \
	} while (0)
#endif

/*
 * imp_cfi_use_memory - remember in there what the objects say of the addresses that are met
 * @memory: IMP_CFI_MEMORY bytes, aligned as a pointer. Good for one walk: nothing may be unloaded in between.
 */
#define IMP_CFI_MEMORY 32768
void imp_cfi_use_memory(struct imp_cfi_cursor *c, void *memory);

/*
 * imp_cfi_step - to the caller's frame
 * @o: the object that holds the pc
 *
 * Returns 0; -ENOENT where the stack ends, or the object does not say how to go on; or -EFAULT, where
 * the stack can't be read. Source: DWARF 5, section 6.4; LSB Core 5.0, section 10.6; the processors' ABIs.
 */
int imp_cfi_step(struct imp_cfi_cursor *c, const struct imp_mapped *o);

#endif
