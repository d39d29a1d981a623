/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_CLAIM_SCAN_H
#define IMP_PRELOAD_CLAIM_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMP_CLAIM_MODULES_MAX 20
#define IMP_CLAIM_DISTS_MAX   8
#define IMP_CLAIM_HITS_MAX    32

/*
 * Looks for modules in the metadata of installed distributions: RECORD of a .dist-info (PEP 376, PEP
 * 427), installed-files.txt and top_level.txt of an .egg-info. All texts are kept in one buffer of the
 * caller's; what does not fit there is left out. Files are read, not mapped: one that is cut off
 * meanwhile would end the program with SIGBUS.
 */
struct imp_claim_text {
	uint16_t start;
	uint16_t len;
};

struct imp_claim_scan {
	char *buf;   /* borrowed */
	size_t size; /* below 64 KiB */
	size_t used;
	char *file_buf; /* borrowed; for what is read */
	size_t file_size;
	size_t budget; /* bytes of metadata that may still be read */
	size_t modules_count;
	struct imp_claim_text modules[IMP_CLAIM_MODULES_MAX]; /* full names */
	size_t dists_count;
	struct imp_claim_text dists[IMP_CLAIM_DISTS_MAX]; /* to be looked into: metadata directories */
	size_t hits_count;
	struct imp_claim_hit {
		size_t module; /* index into @modules */
		struct imp_claim_text dist, line, tag;
	} hits[IMP_CLAIM_HITS_MAX];
};

/* imp_claim_scan_init - begin anew; of all metadata files together, @budget bytes are read */
void imp_claim_scan_init(struct imp_claim_scan *scan, char *buf, size_t size, char *file_buf,
			 size_t file_size, size_t budget);

/* imp_claim_scan_add_module - ask for this module too; a name that is there already is not added */
void imp_claim_scan_add_module(struct imp_claim_scan *scan, const char *name, size_t len);

/*
 * imp_claim_scan_consider - a name in a searched directory: is it a distribution's metadata, and does its
 * name resemble that of a module that is asked for? Then it is kept, to be looked into.
 * @dir: the directory, with a slash at its end
 */
void imp_claim_scan_consider(struct imp_claim_scan *scan, const char *dir, size_t dir_len,
			     const char *name, size_t len);

/*
 * imp_claim_scan_is_related - does the name of a metadata directory resemble a module's?
 * Letter case, '_', '-', '.' and "python" aside, one contains the other: _cffi_backend and cffi, yaml and PyYAML.
 */
bool imp_claim_scan_is_related(const char *dist, size_t dist_len, const char *module,
			       size_t module_len);

/* imp_claim_scan_is_dist - *.dist-info or *.egg-info? */
bool imp_claim_scan_is_dist(const char *name, size_t len);

/*
 * imp_claim_scan_run - look into one metadata directory, for all modules
 * @dist: its path
 * Returns how many files were opened.
 */
size_t imp_claim_scan_run(struct imp_claim_scan *scan, const char *dist, size_t len);

static inline const char *imp_claim_text(const struct imp_claim_scan *scan,
					 struct imp_claim_text text)
{
	return scan->buf + text.start;
}

#endif
