/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_listing.h"

#include <string.h>
#include <time.h>

/*
 * A directory's time is that of the kernel's last tick: one that was changed so recently may change again and keep it.
 */
#define SETTLED_S 2

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool unchanged(const struct imp_probe_listing *listing, const struct stat *st)
{
	return listing->kept && listing->st.st_dev == st->st_dev &&
	       listing->st.st_ino == st->st_ino && same_time(&listing->st.st_mtim, &st->st_mtim) &&
	       same_time(&listing->st.st_ctim, &st->st_ctim);
}

static bool settled(const struct stat *st)
{
	struct timespec now = {0, 0};

	clock_gettime(CLOCK_REALTIME, &now);
	return st->st_mtim.tv_sec + SETTLED_S < now.tv_sec &&
	       st->st_ctim.tv_sec + SETTLED_S < now.tv_sec;
}

static void forget(struct imp_probe_listing *listing)
{
	imp_arena_clear(&listing->arena);
	memset(listing, 0, sizeof(*listing));
}

int imp_probe_listing_get(struct imp_probe_listings *l, const char *path, const struct stat *st,
			  const struct imp_strings **names)
{
	const struct imp_host host = {.enabled = true};
	struct imp_probe_listing *listing;
	int ret;

	for (size_t i = 0; i < IMP_PROBE_LISTINGS; i++)
		if (unchanged(&l->v[i], st)) {
			*names = &l->v[i].names;
			return 0;
		}
	listing = &l->v[l->next++ % IMP_PROBE_LISTINGS];
	forget(listing);
	l->reads++;
	*names = &listing->names;
	ret = imp_host_list(&host, &listing->arena, path, &listing->names);
	if (ret < 0) {
		forget(listing);
		return ret;
	}
	listing->st = *st;
	listing->kept = settled(st);
	return 0;
}

void imp_probe_listings_clear(struct imp_probe_listings *l)
{
	for (size_t i = 0; i < IMP_PROBE_LISTINGS; i++)
		forget(&l->v[i]);
}
