/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_RETURN_H
#define IMP_PROBE_PROBE_RETURN_H

#include <stddef.h>
#include <stdint.h>

#include "../../bpf/bpf_event.h"

/*
 * The places where a function returns: its `ret` instructions, on which a probe sees the result.
 *
 * A uretprobe would do the same in one place, but it puts the kernel's trampoline where the return address was.
 * glibc takes the caller of dlopen and dlsym from that address (RUNPATH, $ORIGIN, RTLD_NEXT), and a stack is
 * unwound through it: seen, a plugin beside its library was not found any more, in every process of the
 * machine.
 */
#define IMP_PROBE_RETURNS_MAX 16

/*
 * A probe on a `ret` costs a trap of the processor's (probe_insn.h). A function that checks its stack protector
 * branches away in front of the epilogue where that is damaged, and the kernel emulates branches: so @early is that
 * branch where
 * - nothing comes between it and the `ret` but the epilogue,
 * - it leads to the function's last instruction, a call (of __stack_chk_fail), which does not come back,
 * - and no other branch of the function leads to somewhere in between.
 */
struct imp_probe_return {
	uint64_t offset;	    /* of the `ret`, in the file */
	uint64_t early;		    /* the same where there is no such branch */
	enum imp_bpf_result result; /* what holds the result at @early */
};

/*
 * imp_probe_returns - find the return instructions of a function
 * @code, @len: its bytes; @offset: where in the file they begin
 *
 * Returns how many there are: 0 where the code can't be read to its end, or has more of them than there is
 * room. A breakpoint in the middle of an instruction would break the program, so there is no guess.
 */
size_t imp_probe_returns(const uint8_t *code, size_t len, uint64_t offset,
			 struct imp_probe_return returns[IMP_PROBE_RETURNS_MAX]);

#endif
