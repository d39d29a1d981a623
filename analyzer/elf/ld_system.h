/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_LD_SYSTEM_H
#define IMP_ELF_LD_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#include "elf_image.h"
#include "ld_cache.h"

/*
 * What a dynamic loader was built with and what it finds on its machine: all that decides where it looks,
 * but for the process itself (ld_process.h). Found without running anything.
 */
struct imp_ld_cpu {
	unsigned int isa_level; /* x86-64-v3: 3; 1: the baseline; 0: not known, or no such levels */
	const char *platform; /* AT_PLATFORM, as glibc has changed it: "x86_64", "haswell"; NULL: not known */
	bool avx512_1; /* glibc's HWCAP_X86_AVX512_1 (Intel only) */
	bool atomics;  /* aarch64: HWCAP_ATOMICS */
};

struct imp_ld_system {
	unsigned int bits; /* 32 or 64 */
	uint16_t machine;  /* EM_* */
	bool big_endian;
	uint64_t page_size;		 /* 0: not known */
	unsigned int glibc_minor;	 /* 36 for glibc 2.36; 0: not known */
	const char *loader;		 /* path of ld.so; NULL: not known */
	struct imp_strings default_dirs; /* each ends in '/' */
	bool default_dirs_known;	 /* read from the loader itself, not guessed */
	const char *lib;		 /* $LIB: "lib/x86_64-linux-gnu" */
	const char *platform;		 /* $PLATFORM; NULL: there is none */
	struct imp_strings hwcaps;	 /* below glibc-hwcaps/, best first */
	/*
	 * Tried in this order below each directory; each ends in '/', save the last, which is "".
	 * Until 2.36 the legacy ones ("tls/x86_64/") are among them.
	 */
	struct imp_strings subdirs;
	struct imp_ld_cache cache;
	struct imp_ld_cache_filter filter;
};

/* What imp_ld_system_read() starts from; zero or NULL: not known. */
struct imp_ld_system_facts {
	const char *loader;		     /* PT_INTERP of the program */
	const struct imp_elf_image *program; /* for class and machine; borrowed */
	const char *machine;		     /* uname's, where there is no @program: "x86_64" */
	const char *libc_path; /* a mapped libc.so.6: tells the default directories where the loader is gone */
	const char *libc_version; /* "2.36": gnu_get_libc_version() */
	const char *cache_path;	  /* NULL: /etc/ld.so.cache */
	uint64_t page_size;
	const struct imp_ld_cpu *cpu; /* NULL: not known */
};

/*
 * imp_ld_system_read - find out all of it
 * @sys: filled; lives in @arena
 *
 * Never fails: what can't be read is guessed from the machine and the place of libc.so.6, and
 * @sys->default_dirs_known says which it was; a cache that can't be read is not known.
 * Source: glibc elf/dl-load.c (system_dirs), elf/dl-hwcaps.c, sysdeps/x86_64/dl-hwcaps_subdirs.c.
 */
void imp_ld_system_read(struct imp_ld_system *sys, struct imp_arena *arena,
			const struct imp_host *h, const struct imp_ld_system_facts *facts);

/*
 * imp_ld_system_subdirs - @sys->hwcaps and @sys->subdirs from machine, version and processor
 * For a @sys that was filled by hand.
 */
void imp_ld_system_subdirs(struct imp_ld_system *sys, struct imp_arena *arena,
			   const struct imp_ld_cpu *cpu);

/*
 * imp_ld_system_scan - default directories and version from the bytes of a loader
 * Returns whether the directories were found.
 */
bool imp_ld_system_scan(struct imp_ld_system *sys, struct imp_arena *arena, const char *data,
			size_t len);

/* imp_ld_cpu_here - the processor that we run on; @machine: of the program */
void imp_ld_cpu_here(struct imp_ld_cpu *cpu, uint16_t machine);

#endif
