/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_RETURN_GADGET_H
#define IMP_PRELOAD_RETURN_GADGET_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMP_GADGET_WORDS_MAX 64

/*
 * A place in somebody's code to return through: entered with it as the return address, the dynamic
 * loader takes that object for its caller, and what stands there brings us back.
 */
struct imp_return_gadget {
	const void *address; /* NULL: none */
	uint8_t words;	     /* that it takes from the stack before it returns */
	uint8_t ret;	     /* where in it the "ret" stands */
	bool blind;	     /* unwinders do not find their way through it */
	bool framed; /* rbp must point at the word that it takes, which becomes the new rbp */
};

/*
 * imp_return_gadget_find - find one in a mapped object
 * @base: load bias; @phdr, @phnum: as dl_iterate_phdr() gives them
 *
 * Unwinders must find their way through it: they look up the address before a return address, in the
 * object's .eh_frame. So it is
 *   an epilogue, "add $N, %rsp" and "pop"s as there may be, then "ret", which takes exactly K bytes from
 *   the stack where that row says CFA = rsp + K;
 *   framed: "leave; ret" or "pop %rbp; ret" where it says CFA = rbp + 16;
 * and it is never in a function with a personality routine (C++ would call std::terminate()). What
 * the row says of other registers is not looked at: call_as_caller_x86_64.S saves them all. Where there is
 * no such place, it is any "ret", and blind: good only for a caller that can't be unwound either.
 *
 * Reads the object's own segments only. Returns 0, or -ENOENT (on machines other than x86-64, always).
 * Source: DWARF 5, section 6.4; LSB Core 5.0, section 10.6; System V ABI for AMD64, section 3.6.
 */
int imp_return_gadget_find(struct imp_return_gadget *g, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			   size_t phnum);

/* imp_return_gadget_unwinds - does the object say how to unwind from this return address in it? */
bool imp_return_gadget_unwinds(ElfW(Addr) address, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			       size_t phnum);

#endif
