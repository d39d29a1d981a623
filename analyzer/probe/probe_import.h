/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_IMPORT_H
#define IMP_PROBE_PROBE_IMPORT_H

#include "probe_image.h"

/* What the modules that follow an import share: its name, its search, its outcome. */

/* ---- probe_name.c ---- */
/* imp_probe_name_part - part @i of a dotted name; false: it has fewer */
bool imp_probe_name_part(const char *name, unsigned int i, const char **part, size_t *len);
/* imp_probe_name_prefix - length of the first @n parts */
size_t imp_probe_name_prefix(const char *name, unsigned int n);
/* imp_probe_name_is_parent - "a" of "a.b" */
bool imp_probe_name_is_parent(const char *name, const char *of);
/* imp_probe_imported - was it imported, or is its code being run by an import around the present one? */
bool imp_probe_imported(const struct imp_probe_image *image, const struct imp_probe_thread *t,
			const char *name, size_t len);
/* imp_probe_parent_file - file of the package that a module is a part of; NULL: top level, or not known */
const char *imp_probe_parent_file(const struct imp_probe_image *image,
				  const struct imp_probe_thread *t, const char *name);

/* ---- probe_search.c ---- */
/* imp_probe_search_next - the part that was looked for is there: the next one is looked for */
void imp_probe_search_next(struct imp_probe_call *call);

/* ---- probe_import.c ---- */
/* imp_probe_import_begin - write IMP_EV_IMPORT_BEGIN; @parent 0: it is the outermost one */
void imp_probe_import_begin(struct imp_probe_image *image, uint64_t number, uint64_t parent,
			    const char *name, uint64_t time_ns, pid_t tid);

/* ---- probe_outcome.c ---- */
/* imp_probe_outcome_found - the innermost import ended well; it is still on the thread's list */
void imp_probe_outcome_found(struct imp_probe_image *image, struct imp_probe_thread *t,
			     uint64_t time_ns);
/* imp_probe_outcome_failed - it failed: what it raised, and what was looked at, is put together */
void imp_probe_outcome_failed(struct imp_probe_session *s, struct imp_probe_image *image,
			      struct imp_probe_thread *t, const struct imp_bpf_event *e);
/* imp_probe_outcome_settle - nobody told what the last imports that failed raised: write their ends without it */
void imp_probe_outcome_settle(struct imp_probe_image *image, struct imp_probe_thread *t);
/* imp_probe_outcome_uncaught - an exception that nobody caught is printed */
void imp_probe_outcome_uncaught(struct imp_probe_session *s, struct imp_probe_image *image,
				struct imp_probe_thread *t, const struct imp_bpf_event *e);

#endif
