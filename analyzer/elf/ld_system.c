// SPDX-License-Identifier: GPL-2.0-or-later
#include "ld_system.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../host/host.h"

#if defined(__x86_64__)
#define OWN_MACHINE "x86_64"
#elif defined(__aarch64__)
#define OWN_MACHINE "aarch64"
#else
#define OWN_MACHINE ""
#endif

#define LOADER_MAX	   ((size_t)16 << 20)
#define DIRS_MAX	   16U
#define LEGACY_MAX	   8U  /* names of which every combination is a subdirectory */
#define LAST_LEGACY_MINOR  36U /* 2.37 searches none of them any more */
#define FIRST_HWCAPS_MINOR 33U

/* ---- what the loader was built with ------------------------------------------------------------- */

/* One of the strings that system_dirs consists of: "/usr/lib/x86_64-linux-gnu/". */
static bool is_directory(const char *s, size_t len)
{
	size_t i;

	if (len < 4 || len > 512 || s[0] != '/' || s[len - 1] != '/')
		return false;
	for (i = 1; i < len; i++) {
		bool plain = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
			     (s[i] >= '0' && s[i] <= '9') || strchr("/._-+", s[i]);

		if (!plain || (s[i] == '/' && s[i - 1] == '/'))
			return false;
	}
	return true;
}

static bool is_library_directory(const char *s, size_t len)
{
	return memmem(s, len, "/lib", 4) != NULL;
}

/*
 * glibc keeps its default directories as one array of NUL-terminated strings. Nothing else in a loader
 * looks like it: several directories in a row, each ending in a slash.
 */
bool imp_ld_system_scan(struct imp_ld_system *sys, struct imp_arena *arena, const char *data,
			size_t len)
{
	size_t at = 0, start, i, best = 0, best_n = 0, run, n;
	const char *version, *end;

	while (at < len) {
		run = at;
		n = 0;
		while (at < len && n < DIRS_MAX) {
			end = memchr(data + at, 0, len - at);
			start = at;
			if (!end || !is_directory(data + start, (size_t)(end - data) - start) ||
			    !is_library_directory(data + start, (size_t)(end - data) - start))
				break;
			at = (size_t)(end - data) + 1;
			n++;
		}
		if (n > best_n) {
			best = run;
			best_n = n;
		}
		if (!n) {
			end = memchr(data + at, 0, len - at);
			if (!end)
				break;
			at = (size_t)(end - data) + 1;
		}
	}
	version = memmem(data, len, "release version 2.", 18);
	if (version && (size_t)(version - data) + 20 <= len && !sys->glibc_minor) {
		for (i = 18; (size_t)(version - data) + i < len && version[i] >= '0' &&
			     version[i] <= '9' && i < 21;
		     i++)
			sys->glibc_minor = sys->glibc_minor * 10 + (unsigned int)(version[i] - '0');
	}
	for (i = 0; i < best_n; i++) {
		n = strlen(data + best);
		*imp_vec_push(arena, &sys->default_dirs) = imp_arena_strndup(arena, data + best, n);
		best += n + 1;
	}
	return best_n > 0;
}

static const char *multiarch(uint16_t machine, unsigned int bits)
{
	switch (machine) {
	case EM_X86_64: return bits == 64 ? "x86_64-linux-gnu" : "x86_64-linux-gnux32";
	case EM_386: return "i386-linux-gnu";
	case EM_AARCH64: return "aarch64-linux-gnu";
	case EM_ARM: return "arm-linux-gnueabihf";
	case EM_RISCV: return "riscv64-linux-gnu";
	case EM_S390: return "s390x-linux-gnu";
	case EM_PPC64: return "powerpc64le-linux-gnu";
	default: return NULL;
	}
}

/* The loader is not at hand: Debian's directories where libc lies in one of them, else everybody else's. */
static void guess_dirs(struct imp_ld_system *sys, struct imp_arena *a, const char *libc_path)
{
	const char *triplet = multiarch(sys->machine, sys->bits),
		   *lib = sys->bits == 64 ? "lib64" : "lib";
	bool debian = triplet && (!libc_path || strstr(libc_path, triplet));

	if (debian) {
		*imp_vec_push(a, &sys->default_dirs) = imp_arena_printf(a, "/lib/%s/", triplet);
		*imp_vec_push(a, &sys->default_dirs) = imp_arena_printf(a, "/usr/lib/%s/", triplet);
		lib = "lib";
	}
	*imp_vec_push(a, &sys->default_dirs) = imp_arena_printf(a, "/%s/", lib);
	*imp_vec_push(a, &sys->default_dirs) = imp_arena_printf(a, "/usr/%s/", lib);
}

/* $LIB: the first default directory, below the root or /usr. */
static const char *lib_token(const struct imp_ld_system *sys, struct imp_arena *a)
{
	const char *dir = sys->default_dirs.n ? sys->default_dirs.v[0] : "/lib/";
	const char *lib = strncmp(dir, "/usr/", 5) == 0 ? dir + 5 : dir + 1,
		   *last = strstr(dir, "/lib");

	/* A prefix of its own ("/nix/store/...-glibc/lib/"). */
	if (strncmp(lib, "lib", 3) != 0 && last)
		lib = last + 1;
	return imp_arena_strndup(a, lib, strlen(lib) - 1);
}

/* ---- hwcaps ---------------------------------------------------------------------------------------- */

static void legacy_subdirs(struct imp_ld_system *sys, struct imp_arena *a,
			   const struct imp_ld_cpu *cpu)
{
	const char *names[LEGACY_MAX];
	unsigned int n = 0, i, set;

	/* Bits of dl_hwcap from the lowest, then the platform, then "tls": combined like a binary number. */
	if (sys->machine == EM_X86_64) {
		names[n++] = "x86_64";
		if (cpu && cpu->avx512_1)
			names[n++] = "avx512_1";
	} else if (sys->machine == EM_AARCH64 && cpu && cpu->atomics) {
		names[n++] = "atomics";
	}
	if (sys->platform)
		names[n++] = sys->platform;
	names[n++] = "tls";
	for (set = (1U << n) - 1; set; set--) {
		char text[512] = "";
		size_t len = 0;

		for (i = n; i-- > 0;) {
			if (set & 1U << i)
				len += (size_t)snprintf(text + len, sizeof(text) - len, "%s/",
							names[i]);
			if (len >= sizeof(text))
				return;
		}
		*imp_vec_push(a, &sys->subdirs) = imp_arena_strndup(a, text, len);
	}
}

void imp_ld_system_subdirs(struct imp_ld_system *sys, struct imp_arena *arena,
			   const struct imp_ld_cpu *cpu)
{
	unsigned int level, highest = cpu && cpu->isa_level ? cpu->isa_level : 4;
	bool named = !sys->glibc_minor || sys->glibc_minor >= FIRST_HWCAPS_MINOR;
	bool legacy = sys->glibc_minor && sys->glibc_minor <= LAST_LEGACY_MINOR;
	size_t i;

	memset(&sys->hwcaps, 0, sizeof(sys->hwcaps));
	memset(&sys->subdirs, 0, sizeof(sys->subdirs));
	if (!sys->platform && cpu)
		sys->platform = cpu->platform;
	if (!sys->platform)
		sys->platform = sys->machine == EM_X86_64  ? "x86_64" :
				sys->machine == EM_AARCH64 ? "aarch64" :
							     NULL;
	if (named && sys->machine == EM_X86_64) {
		for (level = highest > 4 ? 4 : highest; level >= 2; level--)
			*imp_vec_push(arena, &sys->hwcaps) =
				imp_arena_printf(arena, "x86-64-v%u", level);
	}
	for (i = 0; i < sys->hwcaps.n; i++)
		*imp_vec_push(arena, &sys->subdirs) =
			imp_arena_printf(arena, "glibc-hwcaps/%s/", sys->hwcaps.v[i]);
	if (legacy)
		legacy_subdirs(sys, arena, cpu);
	*imp_vec_push(arena, &sys->subdirs) = "";
	sys->filter.flags = imp_ld_cache_flags(sys->machine, sys->bits);
	sys->filter.hwcaps = &sys->hwcaps;
	sys->filter.isa_level = cpu ? cpu->isa_level : 0;
	sys->filter.legacy_hwcap =
		sys->machine == EM_X86_64 ? 2U | (cpu && cpu->avx512_1 ? 4U : 0) : 0;
}

/* ---- all together -------------------------------------------------------------------------------- */

static unsigned int minor_of(const char *version)
{
	return version && strncmp(version, "2.", 2) == 0 ?
		       (unsigned int)strtoul(version + 2, NULL, 10) :
		       0;
}

/* The kernel's name for it: of a 32-bit program on a 64-bit kernel it is the wrong one. */
static void machine_of_name(struct imp_ld_system *sys, const char *name)
{
	static const struct {
		const char *name;
		uint16_t machine;
		unsigned int bits;
		bool big_endian;
	} known[] = {
		{"x86_64", EM_X86_64, 64, false}, {"aarch64", EM_AARCH64, 64, false},
		{"i686", EM_386, 32, false},	  {"i386", EM_386, 32, false},
		{"armv7l", EM_ARM, 32, false},	  {"ppc64le", EM_PPC64, 64, false},
		{"riscv64", EM_RISCV, 64, false}, {"s390x", EM_S390, 64, true},
		{"loongarch64", 258, 64, false},
	};
	size_t i;

	sys->bits = 64;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].name, name) == 0) {
			sys->bits = known[i].bits;
			sys->machine = known[i].machine;
			sys->big_endian = known[i].big_endian;
		}
	}
}

void imp_ld_system_read(struct imp_ld_system *sys, struct imp_arena *arena,
			const struct imp_host *h, const struct imp_ld_system_facts *facts)
{
	struct imp_host_buffer b = {0};

	memset(sys, 0, sizeof(*sys));
	if (facts->program && facts->program->header) {
		sys->bits = facts->program->bits;
		sys->machine = facts->program->machine;
		sys->big_endian = facts->program->big_endian;
	} else {
		machine_of_name(sys, facts->machine ? facts->machine : OWN_MACHINE);
	}
	sys->page_size = facts->page_size;
	sys->glibc_minor = minor_of(facts->libc_version);
	sys->loader = facts->loader;
	if (facts->loader && imp_host_read_into(h, facts->loader, LOADER_MAX, &b) == 0)
		sys->default_dirs_known = imp_ld_system_scan(sys, arena, b.data, b.len);
	imp_host_buffer_clear(&b);
	if (!sys->default_dirs_known)
		guess_dirs(sys, arena, facts->libc_path);
	sys->lib = lib_token(sys, arena);
	imp_ld_system_subdirs(sys, arena, facts->cpu);
	imp_ld_cache_read(&sys->cache, arena, h,
			  facts->cache_path ? facts->cache_path : IMP_LD_CACHE_PATH, NULL);
}
