/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_CASE_H
#define IMP_DIAGNOSE_CASE_H

#include "../host/host.h"
#include "../python/environment.h"
#include "diagnose.h"

/* The environments of this machine, looked up once for all processes that would find the same ones. */
struct imp_case_memo {
	const struct imp_image *image;
	const struct imp_interpreter *py;
	const struct imp_sys_path *path; /* whose entries are left out; NULL: none are */
	struct imp_sites sites;
	struct imp_case_memo *next;
};

/*
 * What is judged at once: one failure in one process, with all that bears on it. The modules of
 * diagnose/ pass it around and fill in @f.
 */
struct imp_case {
	struct imp_arena *a; /* of the diagnosis */
	const struct imp_record *record;
	const struct imp_host *host;
	const struct imp_image *image;
	const struct imp_interpreter *py;	    /* NULL: unknown */
	const struct imp_attempt *attempt;	    /* NULL: only an uncaught exception is known */
	const struct imp_exception *exception;	    /* NULL: it never ended */
	const struct imp_snapshot *snapshot;	    /* NULL: none was taken */
	const struct imp_extension_call *extension; /* the failed call of this attempt, or NULL */
	const struct imp_dlopen
		*load; /* a dlopen of the program's own (ctypes, cffi) that failed, or NULL */
	const struct imp_frames
		*traceback; /* of the uncaught exception, where no attempt is known; or NULL */
	const char *module; /* full name; "": none */
	uint64_t time_ns;   /* when it failed */
	uint64_t thread;
	struct imp_case_memo **memos;	/* of the whole diagnosis */
	struct imp_id_map *code_places; /* the same */
	struct imp_finding *f;
};

/*
 * imp_case_tail, imp_case_parent, imp_case_top - "_native" of "pkg._native"; "pkg" (NULL: top level); the first part
 */
const char *imp_case_tail(const struct imp_case *c);
const char *imp_case_parent(const struct imp_case *c);
const char *imp_case_top(const struct imp_case *c);

/*
 * imp_case_path - the search path that the failed attempt used: the parent's __path__, or sys.path
 * as it was then. @out borrows its strings.
 */
void imp_case_path(const struct imp_case *c, struct imp_strings *out);

/* imp_case_sys_path - sys.path as it was at the failure; NULL: not recorded */
const struct imp_sys_path *imp_case_sys_path(const struct imp_case *c);

/*
 * imp_case_sites - environments of this machine, those that were searched left out unless @all
 * Returns NULL where the host may not be looked at.
 */
const struct imp_sites *imp_case_sites(const struct imp_case *c, bool all);

/* imp_case_flag - value of a member of sys.flags; 0 where it is not known */
int64_t imp_case_flag(const struct imp_case *c, const char *name);

/*
 * imp_case_loaded - the last attempt that imported @module well before the failure; NULL: none
 * imp_case_in_progress - an attempt of @module that was under way at the failure in the same thread
 */
const struct imp_attempt *imp_case_loaded(const struct imp_case *c, const char *module);
const struct imp_attempt *imp_case_in_progress(const struct imp_case *c, const char *module);

/* imp_case_python - "CPython 3.13" of the failing interpreter; "this Python" where unknown */
const char *imp_case_python(const struct imp_case *c);

/* imp_case_version - major and minor version of the failing interpreter; false: unknown */
bool imp_case_version(const struct imp_case *c, unsigned int *major, unsigned int *minor);

/*
 * imp_case_directory - an entry of sys.path as an absolute path: "" is the current directory
 * imp_case_join - a name in it: "dir/name"
 */
const char *imp_case_directory(const struct imp_case *c, const char *entry);
const char *imp_case_join(const struct imp_case *c, const char *entry, const char *name);

/* imp_case_stdlib - is @path below this interpreter's standard library (site- and dist-packages excluded)? */
bool imp_case_stdlib(const struct imp_case *c, const char *path);

/* imp_case_text - "" for what was not recorded */
static inline const char *imp_case_text(const char *s)
{
	return s ? s : "";
}

/* imp_case_has - does @text hold @part? (NULL: no) */
bool imp_case_has(const char *text, const char *part);

/* imp_case_has_word - the same, of a whole word: no letter, digit or underscore stands beside it */
bool imp_case_has_word(const char *text, const char *word);

/* imp_case_quoted - the first '...' in @text after @after, in the arena; NULL: none */
const char *imp_case_quoted(const struct imp_case *c, const char *text, const char *after);

#endif
