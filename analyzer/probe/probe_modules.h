/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_MODULES_H
#define IMP_PROBE_PROBE_MODULES_H

#include <stddef.h>
#include <stdint.h>

#include "../base/strbuf.h"

/* The modules that came in well, by full name, each with its file. A zeroed one is empty. */
struct imp_probe_modules {
	struct imp_strbuf text; /* name and file of each; a NUL behind both */
	uint32_t *places; /* where in @text a name begins, and 1; 0: free. Found by the name's hash. Owned */
	size_t n, room; /* @room: of @places; a power of two, or 0 */
};

/*
 * imp_probe_modules_add - keep a module
 * @name, @len: its full name, which need not end in a NUL but holds none
 * @file:       NULL: not known
 *
 * The file of one that is known already stays. A process that imports megabytes of names is not followed to its
 * end: what finds no room is dropped.
 */
void imp_probe_modules_add(struct imp_probe_modules *m, const char *name, size_t len,
			   const char *file);

/* imp_probe_modules_file - its file, borrowed until the next change; "": not known. NULL: no such module */
const char *imp_probe_modules_file(const struct imp_probe_modules *m, const char *name, size_t len);

/* imp_probe_modules_copy - @to, which is empty, gets what @from has: a process forks */
void imp_probe_modules_copy(struct imp_probe_modules *to, const struct imp_probe_modules *from);

void imp_probe_modules_clear(struct imp_probe_modules *m);

#endif
