/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_PATH_ORIGIN_H
#define IMP_DIAGNOSE_PATH_ORIGIN_H

#include "case.h"

enum imp_path_origin {
	IMP_ORIGIN_UNKNOWN = 0,
	IMP_ORIGIN_SCRIPT, /* directory of the script, or the current directory (-c, -m) */
	IMP_ORIGIN_PYTHONPATH,
	IMP_ORIGIN_DEFAULT, /* the interpreter's own: standard library, lib-dynload */
	IMP_ORIGIN_SITE,    /* site-packages, dist-packages of the interpreter or the venv */
	IMP_ORIGIN_USER_SITE,
	IMP_ORIGIN_PTH,	     /* added by a .pth file */
	IMP_ORIGIN_RUN_TIME, /* added by the program */
};

/*
 * imp_path_origin_of - why is @entry on sys.path?
 * Told from the record: PYTHONPATH, and which phase (start, site, run) first had the entry.
 * Source: Python's docs, "The initialization of the sys.path module search path"; Lib/site.py.
 */
enum imp_path_origin imp_path_origin_of(const struct imp_case *c, const char *entry);

/* imp_path_origin_phrase - "named by PYTHONPATH"; NULL for IMP_ORIGIN_UNKNOWN */
const char *imp_path_origin_phrase(enum imp_path_origin origin);

/*
 * imp_path_lost - an entry that was on sys.path once, and is not at the failure
 * @i: counts from 0; returns NULL after the last
 */
const char *imp_path_lost(const struct imp_case *c, size_t i);

/* imp_path_on - is @entry (compared as text, a slash at the end ignored) among @entries? */
bool imp_path_on(const struct imp_strings *entries, const char *entry);

/* imp_path_env_entry - item @i of PYTHONPATH; NULL after the last */
const char *imp_path_env_entry(const struct imp_case *c, size_t i);

/* imp_path_env_without - PYTHONPATH less one directory, "" where nothing else is in it */
const char *imp_path_env_without(const struct imp_case *c, const char *entry);

/* imp_path_env_has - does PYTHONPATH name this directory? */
bool imp_path_env_has(const struct imp_case *c, const char *entry);

#endif
