/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_KNOWN_CALLER_H
#define IMP_PRELOAD_KNOWN_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "object_table.h"

/*
 * The place in the program that a thread called a dl function from last, and what is known of the object it
 * lies in: a loop of dlsym() comes from there again. In the thread's block; a signal handler may use it at any
 * time, in the middle of any of these functions too.
 */
struct imp_known_caller {
	const void *caller; /* the return address; NULL: none */
	uint32_t generation;
	uint32_t changes; /* how often it was written */
	bool writing;
	struct imp_mapped object;
};

/*
 * imp_known_caller_get - is it that one, and has nothing been mapped or unmapped since that we saw?
 * Fills @copy: start, end, base, id and gadget.
 */
bool imp_known_caller_get(const struct imp_known_caller *k, const void *caller, uint32_t generation,
			  struct imp_mapped *copy);

/* imp_known_caller_keep - remember it in place of the last */
void imp_known_caller_keep(struct imp_known_caller *k, const void *caller, uint32_t generation,
			   const struct imp_mapped *object);

#endif
