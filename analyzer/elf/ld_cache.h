/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_LD_CACHE_H
#define IMP_ELF_LD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/arena.h"
#include "../base/error.h"
#include "../trace/record.h"

struct imp_host;

/* /etc/ld.so.cache, in its old ("ld.so-1.7.0") and its new ("glibc-ld.so.cache1.1") format. */
struct imp_ld_cache_entry {
	const char *name, *path;
	uint32_t flags; /* kind of C library in the low byte, architecture in the next */
	uint64_t hwcap;
	const char *hwcaps; /* glibc-hwcaps subdirectory in which it lies ("x86-64-v3"); NULL: in none */
	unsigned int isa_level; /* that it needs, as ldconfig read it from the file; 0: none said */
};

struct imp_ld_cache {
	bool known; /* false: it could not be read */
	bool new_format;
	IMP_VEC(struct imp_ld_cache_entry) entries; /* in the order of the file */
	const char *generator; /* "ldconfig (Debian GLIBC 2.36-9) stable release version 2.36"; NULL: not said */
};

/* Which entries a loader takes. */
struct imp_ld_cache_filter {
	uint32_t flags;			  /* _DL_CACHE_DEFAULT_ID of its machine */
	const struct imp_strings *hwcaps; /* glibc-hwcaps subdirectories, best first */
	unsigned int isa_level; /* of the processor: x86-64-v3 is 3; 0: not known, take all */
	uint64_t legacy_hwcap;	/* bits of the old hwcap field that the processor has */
	uint64_t platform;	/* bit of its platform in that field; 0: none */
};

#define IMP_LD_CACHE_PATH "/etc/ld.so.cache"

/*
 * imp_ld_cache_parse - read a whole cache
 * @c: filled; strings are copied into @arena
 *
 * Returns 0 or -EBADMSG (no cache, or of the other byte order). An entry whose strings lie outside the
 * file is left out. Source: glibc sysdeps/generic/dl-cache.h, elf/cache.c.
 */
int imp_ld_cache_parse(struct imp_ld_cache *c, struct imp_arena *arena, const void *data,
		       size_t len, struct imp_error *err);

/* imp_ld_cache_read - the same for a file on disk; -ENODATA, -errno or -EBADMSG */
int imp_ld_cache_read(struct imp_ld_cache *c, struct imp_arena *arena, const struct imp_host *h,
		      const char *path, struct imp_error *err);

/*
 * imp_ld_cache_find - the entry that ld.so takes for a soname; NULL: none
 * Source: glibc elf/dl-cache.c, search_cache().
 */
const struct imp_ld_cache_entry *imp_ld_cache_find(const struct imp_ld_cache *c,
						   const struct imp_ld_cache_filter *filter,
						   const char *name);

/*
 * imp_ld_cache_next - entries of a name whatever their flags, one after the other; @after NULL: the first
 * To show what is there for another architecture, or a lower priority.
 */
const struct imp_ld_cache_entry *imp_ld_cache_next(const struct imp_ld_cache *c, const char *name,
						   const struct imp_ld_cache_entry *after);

/* imp_ld_cache_flags - what ldconfig writes for 64- or 32-bit objects of a machine */
uint32_t imp_ld_cache_flags(uint16_t machine, unsigned int bits);

/*
 * imp_ld_cache_compare - the order in which a cache is sorted: numbers by value, so that
 * libfoo.so.10 comes after libfoo.so.9
 */
int imp_ld_cache_compare(const char *one, const char *two);

#endif
