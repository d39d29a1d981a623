/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "known_caller.h"

#include <stdatomic.h>
#include <stddef.h>

#include "poison.h"

/* Against a signal handler of this thread, which no other thread is. */
static void barrier(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

bool imp_known_caller_get(const struct imp_known_caller *k, const void *caller, uint32_t generation,
			  struct imp_mapped *copy)
{
	const uint32_t changes = k->changes;

	barrier();
	if (k->caller != caller || k->generation != generation)
		return false;
	copy->start = k->object.start;
	copy->end = k->object.end;
	copy->base = k->object.base;
	copy->id = k->object.id;
	copy->gadget = k->object.gadget;
	barrier();
	return k->changes == changes;
}

void imp_known_caller_keep(struct imp_known_caller *k, const void *caller, uint32_t generation,
			   const struct imp_mapped *object)
{
	if (k->writing)
		return; /* we are a handler, and interrupted this very function */
	k->writing = true;
	k->caller = NULL;
	k->changes++;
	barrier();
	k->generation = generation;
	k->object = *object;
	barrier();
	k->caller = caller;
	k->writing = false;
}
