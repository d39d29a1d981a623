/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_GOT_PATCH_H
#define IMP_PRELOAD_GOT_PATCH_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "growing_array.h"

/*
 * Calls of libc's functions from objects that are mapped already are led to ours by the words that the
 * dynamic loader has filled in for them: JUMP_SLOT, GLOB_DAT and absolute relocations of an undefined symbol.
 * A word is changed only where it leads to the function that we know, or is yet to be bound (it leads back
 * into its own object, "lazily"); it is put back only where it still leads to ours.
 */
struct imp_got_function {
	const char *name;
	void *replacement; /* NULL: this one is left alone */
	void *original;	   /* libc's */
};

/* To begin with all zero, but for @functions and @count. */
struct imp_got {
	const struct imp_got_function *functions;
	size_t count;
	/* Private. */
	uint32_t lock, again;
	bool looked; /* @adds and @subs are of the last look */
	unsigned long long adds, subs;
	uint32_t pass, serial;
	struct imp_array objects; /* those that were looked through, in the order of the link map */
	struct imp_array words;	  /* those that lead to ours */
};

/*
 * imp_got_update - lead the calls of all objects that are new to our functions
 *
 * Waits for a load that another thread has under way: before it is over, its objects' words are not
 * filled in. No lock of ours is held then. Safe after a failed dl call: dlerror's text stays. Where another
 * thread is at it, that one looks again in our stead. Returns at once where nothing was loaded since.
 */
void imp_got_update(struct imp_got *g);

/*
 * imp_got_restore - put back what the words held before
 * @except: name of a function whose words stay for now; NULL: all are put back
 *
 * Objects that were unmapped since are not touched. May be called again. Returns how many words were put
 * back, or -EBUSY where another thread is at it and was waited for in vain.
 */
int imp_got_restore(struct imp_got *g, const char *except);

/* imp_got_forget - after fork: the child's only thread goes on where the parent's stood */
void imp_got_after_fork(struct imp_got *g);

#endif
