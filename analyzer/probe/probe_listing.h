/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_LISTING_H
#define IMP_PROBE_PROBE_LISTING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "../base/arena.h"
#include "../host/host.h"

/*
 * What lies in the directories of a search: each import that fails looks into the same ones, and the largest hold
 * thousands of names. The last few are kept, and read anew once they have changed.
 */
#define IMP_PROBE_LISTINGS 8

struct imp_probe_listing {
	bool kept;
	struct stat st; /* when it was read */
	struct imp_arena arena;
	struct imp_strings names; /* sorted */
};

struct imp_probe_listings {
	struct imp_probe_listing v[IMP_PROBE_LISTINGS];
	unsigned int next; /* the one that makes room */
	uint64_t reads;	   /* of directories, so far */
};

/*
 * imp_probe_listing_get - names in the directory @path, sorted
 * @st:    what stat() has just said of it
 * @names: borrowed until the next call
 *
 * Returns 0 or a negative errno; then there are no names.
 */
int imp_probe_listing_get(struct imp_probe_listings *l, const char *path, const struct stat *st,
			  const struct imp_strings **names);

void imp_probe_listings_clear(struct imp_probe_listings *l);

#endif
