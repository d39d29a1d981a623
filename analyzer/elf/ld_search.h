/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_LD_SEARCH_H
#define IMP_ELF_LD_SEARCH_H

#include "ld_process.h"

/* The rule that leads to a path (contract: "origin"). */
enum imp_ld_origin {
	IMP_LD_DIRECT = 0, /* the name has a slash: it is the path */
	IMP_LD_RPATH,
	IMP_LD_LIBRARY_PATH,
	IMP_LD_RUNPATH,
	IMP_LD_CACHE,
	IMP_LD_DEFAULT,
};

enum imp_ld_result { /* contract: "result" */
		     IMP_LD_ABSENT = 0,
		     IMP_LD_OPENED,
		     IMP_LD_WRONG_ELF,
		     IMP_LD_DENIED,
		     IMP_LD_SKIPPED, /* it was not tried, or what lies there is not known; the reason says which */
};

struct imp_ld_candidate {
	const char *path; /* as the loader uses it: may be relative */
	enum imp_ld_origin origin;
	enum imp_ld_result result;
	const char *reason; /* part of a sentence ("no such file"); NULL with IMP_LD_OPENED */
	const struct imp_ld_object *of; /* object whose RPATH or RUNPATH it is; NULL: another rule */
	const char *entry; /* of that path or of LD_LIBRARY_PATH, as written: "$ORIGIN/../lib"; NULL: none */
	bool in_subdir;		     /* in glibc-hwcaps/... or a legacy subdirectory of the entry */
	int err;		     /* negative errno of opening it; 0: it was opened */
	struct imp_elf_image *image; /* NULL: there is none, or nothing is known of it */
	uint64_t dev, ino;
};

IMP_VEC_TYPE(imp_ld_candidates, struct imp_ld_candidate);

struct imp_ld_search {
	const char *name;		       /* of dlopen or DT_NEEDED, tokens replaced */
	const struct imp_ld_object *requester; /* NULL: none known */
	int64_t name_space;
	struct imp_ld_candidates tried; /* in order; the last was opened, where one was */
	struct imp_ld_candidates later; /* files that the rest of the order would have led to: passed over */
	struct imp_ld_candidates skipped; /* rules that did not count, each with its reason */
	struct imp_ld_object *object;	  /* that serves the request; NULL: the search failed */
	bool loaded_before;		  /* @object was there already */
	const char *loaded_by;	/* what it was recognised by: "soname", "name", "same file" */
	const char *error;	/* what dlerror() would say behind "NAME: "; NULL: nothing failed */
	const char *error_name; /* the NAME */
	bool unknown;  /* a path may hold the file and can't be looked at: no result is certain */
	bool observed; /* @tried is what rtld-audit saw (ld_observed.h), not what was derived */
	struct imp_ld_search *next;
};

struct imp_ld_request {
	const char *name;		       /* of dlopen or DT_NEEDED; bytes, not UTF-8 */
	const struct imp_ld_object *requester; /* who calls dlopen, or needs it; NULL: the program */
	int64_t name_space;		       /* into which it is loaded */
	bool dlopen;  /* @requester only called: what is found has no loader */
	bool no_load; /* RTLD_NOLOAD */
};

/*
 * imp_ld_search_run - list the files ld.so would try for one request
 * @p:   changed as the loader would be: the object is added, what was learned of directories is kept
 * @req: borrowed until return; its name too
 * @out: filled; lives in the arena of @p
 * @err: filled on failure; may be NULL
 *
 * A file that does not exist is a candidate with a reason, not a failure. A directory that the loader
 * knows not to exist gives no candidate, as in the loader. Returns 0 or -EINVAL (empty name).
 * Calls p->lookup once per candidate and for directories that are new.
 * Source: ld.so(8); glibc elf/dl-load.c, _dl_map_object(), open_path(), open_verify().
 */
int imp_ld_search_run(struct imp_ld_process *p, const struct imp_ld_request *req,
		      struct imp_ld_search *out, struct imp_error *err);

const char *imp_ld_origin_name(enum imp_ld_origin origin); /* "ld_library_path" */
const char *imp_ld_result_name(enum imp_ld_result result); /* "wrong-elf" */

#endif
