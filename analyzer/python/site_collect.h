/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PYTHON_SITE_COLLECT_H
#define IMP_PYTHON_SITE_COLLECT_H

#include "environment.h"
#include "python_version.h"

/* The sites that imp_environment_find() has found so far; for environment.c alone. */

/* Best first, within one version. */
enum imp_site_rank {
	IMP_RANK_ACTIVE,
	IMP_RANK_PROJECT_VENV,
	IMP_RANK_PROJECT,
	IMP_RANK_USER,
	IMP_RANK_SYSTEM,
	IMP_RANK_OTHER
};

struct imp_site_found {
	struct imp_site site;
	const char *real; /* realpath of the directory */
	enum imp_site_rank rank;
	size_t order;
};

struct imp_site_search {
	const struct imp_host *h;
	struct imp_arena *a;
	const struct imp_image *image;
	const struct imp_interpreter *py;
	struct imp_python_version version;
	const char *home;
	IMP_VEC(struct imp_site_found) found;
	struct imp_strings searched; /* by realpath */
	struct imp_strings visited;  /* prefixes that have been looked at, by realpath */
};

/* imp_site_add - one more, unless it is no directory, searched already or there already */
void imp_site_add(struct imp_site_search *s, struct imp_site site, enum imp_site_rank rank);

/*
 * imp_site_first_existing - the first of some files of a directory; @names ends with NULL; NULL:
 * none
 */
const char *imp_site_first_existing(struct imp_site_search *s, const char *dir,
				    const char *const *names);

/*
 * imp_site_interpreter_of - a prefix's interpreter of one version
 * @environment: of a venv or conda environment, whose "python" is its own
 */
const char *imp_site_interpreter_of(struct imp_site_search *s, const char *root,
				    const struct imp_python_version *v, bool environment);

/* imp_site_add_prefix - the sites of one installation: PREFIX/lib/python3.N/... */
void imp_site_add_prefix(struct imp_site_search *s, const char *root, enum imp_site_kind kind,
			 enum imp_site_rank rank);

/* imp_site_add_venv - the same, if pyvenv.cfg says that it is a virtual environment; else false */
bool imp_site_add_venv(struct imp_site_search *s, const char *root, enum imp_site_rank rank);

/*
 * imp_site_add_environment - a venv, a conda environment or, if it has a lib, one of @kind; @root
 * may be NULL
 */
bool imp_site_add_environment(struct imp_site_search *s, const char *root, enum imp_site_kind kind,
			      enum imp_site_rank rank);

/*
 * imp_site_add_children - imp_site_add_environment() of each directory in @dir, which may be NULL
 */
void imp_site_add_children(struct imp_site_search *s, const char *dir, enum imp_site_kind kind,
			   enum imp_site_rank rank);

#endif
