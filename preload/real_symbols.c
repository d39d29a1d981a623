// SPDX-License-Identifier: GPL-2.0-or-later
#include "real_symbols.h"

#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#include "elf_symbols.h"
#include "raw_syscall.h"
#include "poison.h"

/* What a function that nobody defines comes to. */
static int imp_real_absent(void)
{
	errno = ENOSYS;
	return -1;
}

static void imp_real_absent_exit(int status)
{
	for (;;)
		imp_sys(SYS_exit_group, status, 0, 0, 0, 0);
}

#define X(type, name, params, args, absent) static type resolve_##name params;
IMP_REAL_FUNCTIONS(X)
#undef X

struct imp_real_symbols imp_real = {
#define X(type, name, params, args, absent) .name = resolve_##name,
	IMP_REAL_FUNCTIONS(X)
#undef X
};

#define X(type, name, params, args, absent)          \
	static type resolve_##name params            \
	{                                            \
		imp_real_symbols_init();             \
		if (imp_real.name == resolve_##name) \
			return absent;               \
		return imp_real.name args;           \
	}
IMP_REAL_FUNCTIONS(X)
#undef X

static const struct wanted {
	const char *name;
	void **slot;
	void *resolver;
} wanted[] = {
#define X(type, name, params, args, absent) \
	{#name, (void **)&imp_real.name, (void *)resolve_##name},
	IMP_REAL_FUNCTIONS(X)
#undef X
};

#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

struct search {
	bool past_ourselves;
	bool libc_only;
	const char *name; /* one name; NULL: all that are wanted */
	void *found;
	void *next[WANTED], *libc[WANTED];
};

static bool holds(const struct dl_phdr_info *info, const void *address)
{
	const ElfW(Addr) offset = (ElfW(Addr))address - info->dlpi_addr;
	int i;

	for (i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_LOAD && offset >= info->dlpi_phdr[i].p_vaddr &&
		    offset - info->dlpi_phdr[i].p_vaddr < info->dlpi_phdr[i].p_memsz)
			return true;
	}
	return false;
}

/* By its last path component: an object without a name is the main program. No strrchr: elf_symbols.h. */
static bool is_libc(const struct dl_phdr_info *info)
{
	const char *last = info->dlpi_name, *p;

	for (p = info->dlpi_name; *p; p++) {
		if (*p == '/')
			last = p + 1;
	}
	/* Before glibc 2.34, the dl functions are libdl's. */
	return imp_elf_same_text(last, "libc.so.6") || imp_elf_same_text(last, "libdl.so.2");
}

/* Runs under ld.so's lock: only reads symbol tables. */
static int look_into(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *s = arg;
	struct imp_elf_symbols symbols;
	const bool libc = is_libc(info);
	size_t i;

	(void)size;
	if (!s->past_ourselves && holds(info, (const void *)look_into)) {
		s->past_ourselves = true;
		return 0;
	}
	if (!libc && (s->libc_only || !s->past_ourselves))
		return 0;
	if (imp_elf_symbols_open(&symbols, info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum) < 0)
		return 0;
	if (s->name) {
		s->found = imp_elf_symbols_find(&symbols, s->name, NULL);
		return s->found != NULL;
	}
	for (i = 0; i < WANTED; i++) {
		void *found = NULL;

		if (!s->next[i] || libc)
			found = imp_elf_symbols_find(&symbols, wanted[i].name, NULL);
		if (found && libc && !s->libc[i])
			s->libc[i] = found;
		if (found && s->past_ourselves && !s->next[i])
			s->next[i] = found;
	}
	return 0;
}

/* Not by an initializer, for which the compiler may call memset: elf_symbols.h. */
static void start_search(struct search *s, const char *name)
{
	size_t i;

	s->past_ourselves = false;
	s->libc_only = name != NULL;
	s->name = name;
	s->found = NULL;
	for (i = 0; i < WANTED; i++)
		*(void *volatile *)&s->next[i] = *(void *volatile *)&s->libc[i] = NULL;
}

void imp_real_symbols_init(void)
{
	static bool complete;
	struct search s;
	bool missing = false;
	size_t i;

	if (__atomic_load_n(&complete, __ATOMIC_ACQUIRE))
		return;
	start_search(&s, NULL);
	dl_iterate_phdr(look_into, &s);
	for (i = 0; i < WANTED; i++) {
		void *found = s.next[i] ? s.next[i] : s.libc[i];

		/* Two threads store the same. */
		if (found && __atomic_load_n(wanted[i].slot, __ATOMIC_RELAXED) == wanted[i].resolver)
			__atomic_store_n(wanted[i].slot, found, __ATOMIC_RELAXED);
		missing |= !found;
	}
	/* Before glibc 2.34 a program may load libdl, and dlopen with it, later. */
	__atomic_store_n(&complete, !missing, __ATOMIC_RELEASE);
}

void *imp_real_symbols_find(const char *name)
{
	struct search s;

	start_search(&s, name);
	dl_iterate_phdr(look_into, &s);
	return s.found;
}
