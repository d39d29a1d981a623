/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_RETURN_H
#define IMP_PROBE_PROBE_RETURN_H

#include <stddef.h>
#include <stdint.h>

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
 * imp_probe_returns - find the return instructions of a function
 * @code, @len: its bytes; @offset: where in the file they begin
 * @returns:    filled with file offsets
 *
 * Returns how many there are: 0 where the code can't be read to its end, or has more of them than there is
 * room. A breakpoint in the middle of an instruction would break the program, so there is no guess.
 */
size_t imp_probe_returns(const uint8_t *code, size_t len, uint64_t offset,
			 uint64_t returns[IMP_PROBE_RETURNS_MAX]);

#endif
