/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_SAFE_POINT_H
#define IMP_ATTACH_SAFE_POINT_H

#include <stdbool.h>
#include <stddef.h>

#include "object_image.h"
#include "target.h"
#include "tracee.h"
#include "unwind.h"

/*
 * May a call of dlopen() be made in a thread where it stands now? Not where it holds a lock that dlopen() wants,
 * or is in the middle of changing what dlopen() reads: in the allocator, the loader, stdio, fork, exit,
 * a signal handler (which may have interrupted any of these), or the recorder itself.
 *
 * What other threads hold does no harm: they run on, and let go of it.
 *
 * So each function of libc that a running thread is in must be one of those that are known to hold nothing: a
 * list of what is forbidden could never be complete, since most of libc's own functions have no name there. A thread
 * that waits in the kernel may be in others, too: nobody waits for a terminal or a socket with the
 * allocator's or the loader's lock in hand (it may well have stdio's, which nothing of ours needs).
 *
 * Unwind tables are not all right: GCC's of a whole interpreter, seen, lead astray behind one frame. Where a stack
 * can't be followed to its end, what matters of the rest is whether a signal handler is on it, and that
 * can be seen: its frame holds the address of __restore_rt.
 */
struct imp_safe_points {
	const struct imp_target *target; /* borrowed */
	struct imp_unwinder *unwinder;
	struct imp_arena arena;
	struct imp_object_image libc, pthread, python, program; /* with their functions */
	const struct imp_mapped_object *libc_at, *pthread_at, *python_at, *program_at;
	uint64_t restore; /* __restore_rt: what stands on the stack below a signal handler; 0: not known */
};

/*
 * imp_safe_points_open - read beforehand what the look at a stack will need
 * Call it anew where the target's mappings were read anew. Returns 0 or a negative errno.
 */
int imp_safe_points_open(struct imp_safe_points *s, const struct imp_target *t,
			 struct imp_error *err);
void imp_safe_points_close(struct imp_safe_points *s);

/*
 * imp_safe_point - look at the stack of a thread that is held
 * @why: where it is not fit, filled with a clause: "it is in the dynamic loader"
 * @unknown: set where it stands in an object that was mapped since the mappings were read
 */
bool imp_safe_point(struct imp_safe_points *s, const struct imp_tracee *t, char *why, size_t size,
		    bool *unknown);

#endif
