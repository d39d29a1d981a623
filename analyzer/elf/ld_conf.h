/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_LD_CONF_H
#define IMP_ELF_LD_CONF_H

#include "../base/arena.h"
#include "../trace/record.h"

struct imp_host;

#define IMP_LD_CONF_PATH "/etc/ld.so.conf"

struct imp_ld_conf_dir {
	const char *dir;  /* as written */
	const char *file; /* the file that names it */
	unsigned int line;
};

struct imp_ld_conf { /* an IMP_VEC, and */
	struct imp_ld_conf_dir *v;
	size_t n;
	size_t cap;
	unsigned int files; /* read so far */
};

/*
 * imp_ld_conf_read - the directories that ldconfig looks into, in order
 *
 * ld.so itself never reads this file: it tells whether a directory would be searched if ldconfig was run
 * again. Returns 0, -ENODATA or -errno of @path; files that it includes may be absent.
 * Source: ldconfig(8); glibc elf/ldconfig.c, parse_conf().
 */
int imp_ld_conf_read(struct imp_ld_conf *c, struct imp_arena *a, const struct imp_host *h,
		     const char *path);

/* imp_ld_conf_text - the same for a text; @file: its name, to which relative includes belong */
void imp_ld_conf_text(struct imp_ld_conf *c, struct imp_arena *a, const struct imp_host *h,
		      const char *file, const char *text);

#endif
