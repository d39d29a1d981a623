/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_HOST_HOST_CACHE_H
#define IMP_HOST_HOST_CACHE_H

#include "../base/arena.h"
#include "../base/id_map.h"
#include "../base/interner.h"
#include "host.h"

/*
 * What this machine's disk has answered, so that it is asked once. Every failed import asks the same few directories
 * and the same metadata files of the installed distributions, and a run can have thousands of failures. The disk
 * is taken to stand still while one trace is analyzed: all findings are then about the same state of it.
 */
struct imp_host_cache {
	struct imp_arena arena;
	struct imp_interner paths;
	struct imp_id_map answers; /* path, question -> struct imp_host_answer */
	size_t bytes;		   /* of the files that are kept */
};

enum imp_host_question {
	IMP_HOST_LIST = 1,
	IMP_HOST_TEXT,
	IMP_HOST_REALPATH,
	IMP_HOST_STAT,
	IMP_HOST_PACKAGE, /* of a Debian package's name: does it exist? */
	IMP_HOST_ALL,	  /* of an entry of the search path: its distributions */
	IMP_HOST_OWNED, /* of an entry of the search path and a module: which distributions list it? */
	IMP_HOST_DPKG, /* of a module: which packages list it? */
};

struct imp_host_answer {
	bool known;
	int ret;
	union {
		struct imp_strings names; /* LIST */
		struct {
			const char *text; /* TEXT, REALPATH */
			size_t len;
		};
		struct stat st; /* STAT */
		struct {
			const void *v; /* ALL, OWNED, DPKG: as distribution.c and dpkg_list.c keep them */
			size_t n;
		};
	};
};

void imp_host_cache_init(struct imp_host_cache *cache);
void imp_host_cache_clear(struct imp_host_cache *cache);

/*
 * imp_host_cache_get - the answer to one question about a path, or about another name
 * NULL: nothing may be kept (no cache). Where @known is false, the caller finds
 * the answer and fills it in; what it points to lives in the cache's arena.
 */
struct imp_host_answer *imp_host_cache_get(const struct imp_host *h, const char *path,
					   enum imp_host_question question);

#endif
