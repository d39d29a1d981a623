/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_DLSYM_CACHE_H
#define IMP_PRELOAD_DLSYM_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct imp_thread;

/*
 * Look-ups of symbols that were recorded already: the same again is counted, not recorded. Fixed size,
 * eight places for each; a hit takes no lock and makes no system call.
 */

/* A look-up and what came of it. */
struct imp_lookup {
	uint64_t handle;
	const char *name;
	const char *version; /* NULL: dlsym() */
	uint32_t object;     /* the caller's; 0: none known */
	uint64_t offset;     /* of the return address, in the caller's object */
	uint64_t address;    /* what was found; 0: nothing, or a symbol whose value that is */
	const char *error;   /* text of dlerror(); NULL: found */
};

/*
 * imp_dlsym_cache_hit - count a look-up that was recorded before
 *
 * The same handle, name, version, calling object and result, with nothing loaded or unloaded since; where in
 * the object it was called, and the error's text, are as they were the first time. Returns false where it
 * is a new one: then imp_dlsym_cache_record() is due.
 */
bool imp_dlsym_cache_hit(const struct imp_lookup *l);

/*
 * imp_dlsym_cache_record - record a look-up, and remember that
 *
 * What had its place in the cache goes, with an event that says how often it came again.
 */
void imp_dlsym_cache_record(struct imp_thread *t, const struct imp_lookup *l);

/* imp_dlsym_cache_drain - write what was counted; before exit, fork and exec */
void imp_dlsym_cache_drain(struct imp_thread *t);

/* imp_dlsym_cache_forget - in a child, after fork: what was counted is the parent's */
void imp_dlsym_cache_forget(void);

#endif
