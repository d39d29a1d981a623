/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_INTERPRETER_H
#define IMP_PRELOAD_PYTHON_INTERPRETER_H

#include <stdbool.h>
#include <stdint.h>

#include "name_index.h"
#include "python_api.h"
#include "python_frame.h"

struct imp_thread;

#define IMP_SEEN_DIRECTORIES 128
#define IMP_REPEATED_NAMES   64
#define IMP_FAILED_NAMES     16
#define IMP_FAILED_NAME_MAX  128

/*
 * What we know about one interpreter of a process. The hooks of that interpreter own it together; when the
 * last of them is gone it serves the next interpreter, and is never unmapped. Where there is no GIL,
 * threads may write the same words at once; the worst that comes of it is an event written twice.
 */
struct imp_interp {
	struct imp_interp *next;
	unsigned int refs;		 /* atomic; 0: nobody's */
	const void *key;		 /* atomic; which interpreter's */
	struct imp_name_index *listings; /* NULL: none were made yet */
	/* From here on, zeroed for each interpreter. */
	const struct imp_python_api *py; /* &@api */
	struct imp_python_api api;
	struct imp_python_names names;
	uint32_t number;    /* IMP_KEY_INTERP */
	PyObject *sys_dict; /* borrowed from @names.kept, which the hooks own, as is the next */
	PyObject *imp_dict; /* _imp's */
	const struct imp_python_api *common; /* of all interpreters, for the process's life */
	PyObject *function_type;	     /* borrowed from the hook of _find_and_load */
	PyObject *file_finder; /* borrowed, and only compared: FileFinder, once it is hooked */
	uint64_t image_ns;     /* the image in which all of this was written; another one: a fork */
	uint64_t path_print;   /* fingerprints of what was written last */
	uint64_t meta_path_print;
	unsigned int phase;   /* enum imp_phase */
	bool no_site;	      /* sys.flags.no_site */
	const void *uncaught; /* the exception that was written last as one that nobody caught */
	bool path_known;      /* sys.path was written in this interpreter before */
	int64_t listed_ns;    /* CLOCK_REALTIME before its finders listed anything; 0: not known */
	struct imp_line_trust lines;
	bool loads_seen;       /* the dlopen() of an extension module came through interpose_dl.c */
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
 * imp_interp_new - memory for an interpreter, zeroed, with one reference; NULL: there is none
 * @first: the list of them, to begin with NULL; @key: imp_interp_key()
 *
 * Any interpreter of the same key is over.
 */
struct imp_interp *imp_interp_new(struct imp_interp **first, const void *key);
void imp_interp_keep(struct imp_interp *in);
void imp_interp_release(struct imp_interp *in);

/*
 * imp_interp_key - what tells the current interpreter from the others of its CPython
 * imp_interp_find - the one of that key, or NULL
 */
const void *imp_interp_key(const struct imp_python_api *py);
struct imp_interp *imp_interp_find(struct imp_interp *const *first, const void *key);

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

/*
 * imp_interpreter_is_old - has nothing in this directory changed since before its finder may have listed it?
 * @ctime_ns: its st_ctim, which every change sets, and nobody can set back
 */
bool imp_interpreter_is_old(const struct imp_interp *in, int64_t ctime_ns);

/* imp_interpreter_put_meta_path - names of the finders of sys.meta_path */
struct imp_cbor;
void imp_interpreter_put_meta_path(struct imp_cbor *c, struct imp_thread *t, struct imp_interp *in);

/* IMP_KEY_INTERP, unless it is the first interpreter. */
void imp_interpreter_put(struct imp_cbor *c, const struct imp_interp *in);

#endif
