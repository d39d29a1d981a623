/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_INTERPRETER_H
#define IMP_PRELOAD_PYTHON_INTERPRETER_H

#include <stdbool.h>
#include <stdint.h>

#include "python_api.h"

struct imp_thread;

#define IMP_HOOKS_MAX	     8
#define IMP_SEEN_DIRECTORIES 128
#define IMP_REPEATED_NAMES   64
#define IMP_FAILED_NAMES     16
#define IMP_FAILED_NAME_MAX  128

/*
 * What we know about one interpreter of a process. It lies in a bytes object that the hooks of that
 * interpreter own together: it goes when they go. Where there is no GIL, threads may write the same
 * words at once; the worst that comes of it is an event written twice.
 */
struct imp_interp {
	const struct imp_python_api *py; /* &@api */
	struct imp_python_api api;
	struct imp_python_names names;
	uint32_t number;    /* IMP_KEY_INTERP */
	PyObject *sys_dict; /* borrowed: an interpreter keeps its sys until its end */
	PyObject *imp_dict; /* borrowed: _imp's */
	/* By enum imp_hook: what the hooks stand for; borrowed from their own __self__. */
	PyObject *originals[IMP_HOOKS_MAX];
	PyObject *file_finder; /* borrowed, and only compared: FileFinder, once it is hooked */
	uint64_t image_ns;     /* the image in which all of this was written; another one: a fork */
	uint64_t path_print;   /* fingerprints of what was written last */
	uint64_t meta_path_print;
	unsigned int phase;    /* enum imp_phase */
	bool no_site;	       /* sys.flags.no_site */
	bool path_known;       /* sys.path was written in this interpreter before */
	uint32_t site_attempt; /* the attempt that imports site, while it runs */
	/* The modules whose search failed last, for when the program ends of it. */
	unsigned int failed_next;
	char failed[IMP_FAILED_NAMES][IMP_FAILED_NAME_MAX];
	/* How often the search for a name on this path has failed. */
	struct {
		uint64_t print;
		uint32_t count;
	} repeated[IMP_REPEATED_NAMES];
	/* Directories whose metadata names were written, by path and mtime. */
	uint64_t seen[IMP_SEEN_DIRECTORIES];
};

/*
 * imp_interpreter_look - write what an import sees of its interpreter, as far as it is new
 * @attempt: the attempt that sees it; 0: none
 *
 * INTERPRETER once, SYS_PATH and META_PATH whenever they changed. Nothing until sys.path_hooks is set
 * up: the values are not complete before.
 */
void imp_interpreter_look(struct imp_thread *t, struct imp_interp *in, uint32_t attempt);

/*
 * imp_interpreter_site_began, imp_interpreter_site_ended - around the import of site, which computes
 * much of sys.path
 */
void imp_interpreter_site_began(struct imp_interp *in, uint32_t attempt);
void imp_interpreter_site_ended(struct imp_thread *t, struct imp_interp *in);

/*
 * imp_interpreter_first_look - has this directory not been seen yet, in this image, with this mtime?
 * Remembers it. The table is bounded: one that was forgotten is new again.
 */
bool imp_interpreter_first_look(struct imp_interp *in, const char *path, size_t len,
				int64_t mtime_ns);

/*
 * imp_interpreter_failed_before - how often did the search for that name fail on this path before?
 * Counts this time. As bounded as the table above.
 */
uint32_t imp_interpreter_failed_before(struct imp_interp *in, PyObject *name);

/* imp_interpreter_put_meta_path - names of the finders of sys.meta_path */
struct imp_cbor;
void imp_interpreter_put_meta_path(struct imp_cbor *c, struct imp_thread *t, struct imp_interp *in);

/* IMP_KEY_INTERP, unless it is the first interpreter. */
void imp_interpreter_put(struct imp_cbor *c, const struct imp_interp *in);

#endif
