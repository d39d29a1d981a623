/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_CALLS_H
#define IMP_PROBE_PROBE_CALLS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The places where one function calls another: a probe on the call sees its arguments, one behind it the result.
 *
 * CPython's import statement is a call of PyImport_ImportModuleLevelObject(), tens of thousands in a large
 * program, nearly all of which sys.modules answers. Where it does not, that function calls
 * importlib._find_and_load() through PyObject_CallMethodObjArgs(): a thousand of them.
 */
#define IMP_PROBE_CALLS_MAX 16

struct imp_probe_call_site {
	uint64_t call; /* file offset */
	uint64_t next; /* of an instruction soon behind it; the result is still in its register */
	uint64_t argument; /* file offset of what its second argument points to, where that is a constant; else 0 */
};

/*
 * imp_probe_calls - find the calls of @callee in @caller
 * @data, @len:      a whole ELF object of this machine's class and byte order
 * @caller, @callee: addresses; @callee 0: it is defined elsewhere
 * @name:            of the callee: also calls through the procedure linkage table count
 *
 * The code is followed from its first instruction through its branches, also into the part that the compiler has
 * put elsewhere ("cold"). Returns how many there are: 0 where there is anything that can't be read, or more of
 * them than there is room.
 */
size_t imp_probe_calls(const char *data, size_t len, uint64_t caller, uint64_t callee,
		       const char *name, struct imp_probe_call_site sites[IMP_PROBE_CALLS_MAX]);

#endif
