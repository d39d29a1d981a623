/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_RETURN_GADGET_H
#define IMP_PRELOAD_RETURN_GADGET_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A place in somebody's code to return through: entered with it as the return address, the dynamic
 * loader takes that object for its caller, and what stands there brings us back.
 */
struct imp_return_gadget {
	const void *address;	/* NULL: none */
	bool framed;		/* stack above it: saved rbp, continuation; else the continuation alone */
};

/*
 * imp_return_gadget_find - find one in a mapped object
 * @base: load bias; @phdr, @phnum: as dl_iterate_phdr() gives them
 *
 * Unwinders must find their way through it: they look up the address before a return address, in the
 * object's .eh_frame. So it is
 *   plain:  "ret" where that row says CFA = rsp + 8, or
 *   framed: "leave; ret" or "pop %rbp; ret" where it says CFA = rbp + 16, or "pop; ret" where it says
 *           CFA = rsp + 16; with rbp pointing at the saved rbp, all of them take the same stack;
 * and it is never in a function with a personality routine (C++ would call std::terminate()). In an
 * object that has no .eh_frame_hdr nothing can be unwound anyway: any "ret" will do.
 *
 * Reads the object's own segments only. Returns 0, or -ENOENT (on machines other than x86-64, always).
 * Source: DWARF 5, section 6.4; LSB Core 5.0, section 10.6; System V ABI for AMD64, section 3.6.
 */
int imp_return_gadget_find(struct imp_return_gadget *g, ElfW(Addr) base, const ElfW(Phdr) *phdr,
			   size_t phnum);

#endif
