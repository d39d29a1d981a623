/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PATH_LOOK_H
#define IMP_PRELOAD_PATH_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "claim_scan.h"
#include "near_names.h"
#include "python_interpreter.h"
#include "python_text.h"
#include "thread_slot.h"

/*
 * One entry of a search path, looked at after an import has failed. python_snapshot.c goes through the
 * entries; path_entry.c writes one; the others find what is in it: path_names.c in directories,
 * path_archive.c in archives, path_candidate.c the files themselves.
 */
#define IMP_LOOK_NAMES_SIZE   12288 /* of t->listing; python_claims.c has the next 4 KiB */
#define IMP_LOOK_DIRENTS_AT   16384 /* the rest is for entries of the disk */
#define IMP_LOOK_DIRENTS_SIZE (IMP_LISTING_MAX - IMP_LOOK_DIRENTS_AT)
#define IMP_LOOK_NAMES_MAX    20000 /* names of one directory or archive that are looked at */

struct imp_look {
	struct imp_thread *t;
	struct imp_interp *in;
	struct imp_cbor *c;
	const char *tail;
	size_t tail_len;
	size_t path_len; /* of the entry's path in t->path, with a slash behind it */
	struct stat st;
	int err;	  /* of stat, or of listing: a positive errno */
	PyObject *finder; /* owned; NULL: none in path_importer_cache */
	PyObject *cache;  /* owned; a FileFinder's listing, a set, or NULL */
	bool fresh;	  /* it is of the directory as it is now */
	bool hooked;
	struct imp_near_names near;
	struct imp_claim_scan claims;
};

/* imp_look_put_entry - write one item of IMP_KEY_ENTRIES; nothing for what is no str */
void imp_look_put_entry(struct imp_look *l, PyObject *entry);

/*
 * imp_look_consider_above - a submodule's distribution is described beside the top-level package
 * @entry: a directory of the parent's __path__; @name: the submodule's full name
 *
 * Looks at the names that are that many levels up, only as far as a finder has listed them: which is so
 * where the package came from there.
 */
void imp_look_consider_above(struct imp_look *l, PyObject *entry, const char *name, size_t name_len);

/* ---- path_names.c: what the finder has listed, and what is on the disk ---- */

/* A quick look at a str, before it is worth to be encoded: most names begin, or end, otherwise. */
bool imp_look_may_match(const struct imp_python_api *py, const char *tail, PyObject *name);
bool imp_look_may_be_metadata(const struct imp_python_api *py, PyObject *name);

void imp_look_match_cached_names(struct imp_look *l);
void imp_look_match_names_on_disk(struct imp_look *l);

/*
 * imp_look_probe_names - the very names that the finder tries, asked of the disk
 * Its listing counts as fresh as long as the directory's mtime is the same, which a file made in the
 * same tick of the clock does not change.
 */
void imp_look_probe_names(struct imp_look *l);

/*
 * imp_look_put_metadata - which distributions are installed there; once for each directory and mtime
 * Returns false where there was no room for all.
 */
bool imp_look_put_metadata(struct imp_look *l);

/* ---- path_archive.c ---- */

void imp_look_match_members(struct imp_look *l, const struct imp_python_text *entry);
void imp_look_put_members(struct imp_look *l);

/* ---- path_candidate.c ---- */

void imp_look_put_candidates(struct imp_look *l);

/* The entry's path with @name behind it, in t->path; NULL where it is too long. */
const char *imp_look_path(struct imp_look *l, const char *name, size_t len);
const char *imp_look_entry_path(struct imp_look *l);

/* System calls, by their numbers: 0 or a negative errno. */
int imp_look_stat(const char *path, struct stat *st, int flags);
int imp_look_access(const char *path, int mode);

int64_t imp_look_mtime_ns(const struct stat *st);
void imp_look_put_stat(struct imp_cbor *c, unsigned int key, const struct stat *st);

#endif
