/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_UNWIND_H
#define IMP_ATTACH_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include "memory.h"
#include "object_image.h"
#include "proc_maps.h"

/*
 * The stack of a thread that is held, unwound with libunwind.
 *
 * libunwind-ptrace's own callbacks read a word per system call, and /proc/PID/maps once a frame: milliseconds
 * for which the thread would stand still. So these are ours: mappings that were read before the stop, pages
 * instead of words, those of read-only file mappings kept from one stop to the next.
 */
#define IMP_FRAMES_MAX 192

struct imp_frame {
	uint64_t pc;
	uint64_t function; /* start of the function, by its unwind table */
	const struct imp_mapped_object *object;
	bool signal; /* a signal handler returns to it: what it stands above was interrupted anywhere */
};

struct imp_unwinder;

/*
 * imp_unwinder_new - @mem and @maps are borrowed, and may be read anew between two stacks: then call
 * imp_unwinder_forget(). Returns NULL without memory.
 */
struct imp_unwinder *imp_unwinder_new(const struct imp_memory *mem, const struct imp_maps *maps);
void imp_unwinder_forget(struct imp_unwinder *u);
void imp_unwinder_free(struct imp_unwinder *u);

/* imp_unwinder_image - what is known of an object of @maps; NULL: it is no ELF object */
const struct imp_object_image *imp_unwinder_image(struct imp_unwinder *u,
						  const struct imp_mapped_object *o);

/*
 * imp_unwind - the frames of a thread, innermost first
 * @whole: set where they lead to the stack's end, or more than @max are there
 * Returns how many were found; at least 1.
 */
size_t imp_unwind(struct imp_unwinder *u, const struct user_regs_struct *regs,
		  struct imp_frame *frames, size_t max, bool *whole);

#endif
