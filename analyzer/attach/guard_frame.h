/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_GUARD_FRAME_H
#define IMP_ATTACH_GUARD_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "memory.h"
#include "tracee.h"

/*
 * A frame on the thread's stack like the one that the kernel makes for a signal handler: whoever returns to it
 * runs rt_sigreturn(2), and the kernel puts all registers, the floating point state and the signal mask back.
 *
 * So a system call that is made on top of it, by an instruction that a `ret` follows, ends well also when
 * the tracer is killed in its middle.
 */
#define IMP_GUARD_MAX 20480 /* bytes: with the tile registers of AMX, 11 kB */

/*
 * imp_guard_frame_push - put one below the red zone of a thread that is held
 * @restore: address of `mov $15, %eax; syscall`, libc's __restore_rt
 * @room:    bytes that are wanted behind the frame, for strings
 * @sp:      set to the stack pointer to make system calls with: @restore is on top
 * @data:    set to the address of that room
 *
 * Returns 0, -EFAULT (there is no stack to write to), or why the thread's state could not be read.
 * Source: Linux arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h; fpu/signal.c.
 */
int imp_guard_frame_push(const struct imp_tracee *t, const struct imp_memory *mem, uint64_t restore,
			 size_t room, uint64_t *sp, uint64_t *data);

#endif
