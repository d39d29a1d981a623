/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PYTHON_DISTRIBUTION_H
#define IMP_PYTHON_DISTRIBUTION_H

#include <stdbool.h>

#include "../base/arena.h"
#include "../base/strbuf.h"
#include "../host/host.h"
#include "../trace/record.h"

/*
 * Installed distributions, from their metadata beside the modules (*.dist-info: PEP 376, PEP 427,
 * PEP 627; *.egg-info) and from dpkg's file lists (/var/lib/dpkg/info/NAME.list).
 */
struct imp_distribution {
	const char *name;      /* as in its metadata directory: "cffi" */
	const char *version;   /* "1.15.1"; NULL: unknown */
	const char *metadata;  /* path of the dist-info or egg-info, or of dpkg's list */
	const char *installer; /* "pip", "debian", "conda"; "dpkg": its lists; NULL: unknown */
	const char *wheel_tag; /* first Tag: of WHEEL: "cp311-cp311-linux_x86_64" */
	bool editable;	       /* direct_url.json says so, or it is an .egg-link */
};

struct imp_owned_file { /* a file that a distribution lists */
	struct imp_distribution dist;
	const char *path; /* absolute */
	const char *line; /* of RECORD, installed-files.txt, SOURCES.txt or dpkg's list */
	int exists;	  /* 1, 0; -ENODATA: not known */
};

IMP_VEC_TYPE(imp_owned_files, struct imp_owned_file);
IMP_VEC_TYPE(imp_distributions, struct imp_distribution);

/*
 * imp_distribution_parse_name - "cffi-1.15.1.dist-info" -> name and version
 * Also "cffi-1.15.1.egg-info", "cffi-1.15.1-py3.11.egg-info", "cffi.egg-info",
 * "cffi-1.15.1-py3.11-linux-x86_64.egg". Returns 0 or -EINVAL.
 */
int imp_distribution_parse_name(struct imp_arena *a, const char *file, const char **name,
				const char **version);

/*
 * imp_distribution_claims - files of a module that the distributions on a search path list
 * @entries: directories to look in (their own metadata only)
 * @module:  full name: "_cffi_backend", "pkg._native"
 * Finds module files (NAME.*.so, NAME.py, NAME/__init__.*) of exactly that module.
 */
int imp_distribution_claims(const struct imp_host *h, struct imp_arena *a,
			    const struct imp_strings *entries, const char *module,
			    struct imp_owned_files *out);

/*
 * imp_distribution_of_file - which distribution lists this very file
 * @entry: the search path entry that it lies under
 * Returns 0, -ENOENT (none) or -ENODATA.
 */
int imp_distribution_of_file(const struct imp_host *h, struct imp_arena *a, const char *entry,
			     const char *path, struct imp_distribution *out);

/* imp_distribution_list - all of one directory; @out is empty before, and not written to afterwards */
int imp_distribution_list(const struct imp_host *h, struct imp_arena *a, const char *entry,
			  struct imp_distributions *out);

/*
 * imp_distribution_dpkg_owner - Debian package that lists a file (dpkg's lists, diversions ignored)
 * Returns 0, -ENOENT or -ENODATA.
 */
int imp_distribution_dpkg_owner(const struct imp_host *h, struct imp_arena *a, const char *path,
				const char **package);

/*
 * What dpkg's lists say of modules, read once for many questions: zeroed at first, kept by whoever sets imp_host.dpkg,
 * released with imp_dpkg_index_clear()
 */
struct imp_dpkg_index {
	bool built;
	struct imp_strbuf text;
};
void imp_dpkg_index_clear(struct imp_dpkg_index *index);

/*
 * imp_distribution_dpkg_claims - files below any dist-packages or lib-dynload that dpkg's lists
 * hold for a module (python3-cffi-backend lists
 * .../dist-packages/_cffi_backend.cpython-311-x86_64-linux-gnu.so)
 * Returns 0, also where there is no dpkg, or -ENODATA.
 */
int imp_distribution_dpkg_claims(const struct imp_host *h, struct imp_arena *a, const char *module,
				 struct imp_owned_files *out);

/*
 * imp_distribution_dpkg_package - the installed package python3-* whose list holds a module
 * Returns 0, -ENOENT or -ENODATA.
 */
int imp_distribution_dpkg_package(const struct imp_host *h, struct imp_arena *a, const char *module,
				  const char **package);

#endif
