/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libimptrace-audit.so: an rtld-audit object (LD_AUDIT) that tells the recorder each path that ld.so tries.
 *
 * It needs nothing: no libc, no system call. ld.so would look for a libc of ours too, in a namespace of its
 * own, and remember from that search which directories do not exist; so the program's own first search would be
 * another one than without us. It also keeps this file the same on every processor.
 *
 * All of it runs with ld.so's lock held, or before there is a second thread. Source: rtld-audit(7).
 */
#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>

#include "../audit_link.h"
#include "../elf_symbols.h"

#define EXPORT __attribute__((visibility("default")))

static struct imp_audit_link to_recorder;

static const struct link_map *recorder; /* libimptrace.so; NULL: not seen yet */
static bool ours;			/* the search that is under way is for or by the recorder */
static bool searching;			/* a search is under way that has opened nothing yet */

/* ---- what is said to the recorder ---------------------------------------------------------------- */

static size_t length(const char *text)
{
	size_t len = 0;

	while (text[len] && len < IMP_TEXT_MAX)
		len++;
	return len;
}

static void copy(char *to, const char *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = from[i];
	to[len] = '\0';
}

static void keep(const struct imp_audit_event *event)
{
	size_t path = length(event->path), requester = length(event->requester), size;
	uint32_t used = atomic_load_explicit(&to_recorder.used, memory_order_relaxed);
	struct imp_audit_kept *to = (struct imp_audit_kept *)(to_recorder.kept + used);

	size = (sizeof(*to) + path + requester + 2 + 7) & ~(size_t)7;
	if (size > sizeof(to_recorder.kept) - used) {
		/* A fetch_add may be a call into libgcc. ld.so's lock is held: nobody else is here. */
		uint32_t lost = atomic_load_explicit(&to_recorder.lost, memory_order_relaxed);

		atomic_store_explicit(&to_recorder.lost, lost + 1, memory_order_relaxed);
		return;
	}
	to->size = (uint32_t)size;
	to->kind = event->kind;
	to->flag = event->flag;
	to->requester = (uint32_t)path + 1;
	to->name_space = event->name_space;
	copy(to->texts, event->path, path);
	copy(to->texts + path + 1, event->requester, requester);
	atomic_store_explicit(&to_recorder.used, used + (uint32_t)size, memory_order_release);
}

static void tell(const struct imp_audit_event *event)
{
	imp_audit_handler *handler =
		atomic_load_explicit(&to_recorder.handler, memory_order_acquire);

	if (handler)
		handler(event);
	else
		keep(event);
}

/* ---- the recorder -------------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
	const char *base = path;

	for (; *path; path++)
		if (*path == '/')
			base = path + 1;
	return base;
}

static bool is_recorder_name(const char *name)
{
	return imp_elf_same_text(base_name(name), IMP_AUDIT_RECORDER);
}

#define TEXT_OF(name)	   #name
#define POINTER_NAME(name) TEXT_OF(name)

/* Mapped, and not relocated yet: that will not touch the pointer, which is 0 in the file. */
static bool introduce(const struct link_map *map)
{
	const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)map->l_addr;
	struct imp_audit_link **pointer;
	struct imp_elf_symbols symbols;

	if (!is_recorder_name(map->l_name) ||
	    imp_elf_symbols_open(&symbols, map->l_addr,
				 (const ElfW(Phdr) *)(map->l_addr + header->e_phoff),
				 header->e_phnum) < 0)
		return false;
	pointer = imp_elf_symbols_find(&symbols, POINTER_NAME(IMP_AUDIT_POINTER), NULL);
	if (!pointer)
		return false;
	*pointer = &to_recorder;
	recorder = map;
	return true;
}

/* ---- what ld.so calls ---------------------------------------------------------------------------- */

/* All that is used here is in every version since the first. */
EXPORT unsigned int la_version(unsigned int version)
{
	return version;
}

/* @cookie: as it was when la_objopen() saw the object that asks, which is its link map. */
EXPORT char *la_objsearch(const char *name, uintptr_t *cookie, unsigned int flag)
{
	const struct link_map *map = (const struct link_map *)*cookie;
	struct imp_audit_event event = {
		.kind = IMP_EV_SEARCH_PATH,
		.flag = flag,
		.path = name,
		.requester = "",
	};

	if (flag == LA_SER_ORIG) {
		ours = (recorder && map == recorder) || is_recorder_name(name);
		searching = true;
		if (map && map->l_name)
			event.requester = map->l_name;
	}
	if (!ours)
		tell(&event);
	return (char *)name;
}

/* Returns 0: no call through a PLT is audited, and none is slower. */
EXPORT unsigned int la_objopen(struct link_map *map, Lmid_t name_space, uintptr_t *cookie)
{
	struct imp_audit_event event = {
		.kind = IMP_EV_SEARCH_OPEN,
		.name_space = name_space,
		.path = map->l_name,
		.requester = "",
	};
	bool searched = searching && !ours;

	(void)cookie;
	searching = false;
	if (!recorder && name_space == LM_ID_BASE && introduce(map))
		return 0;
	/* The program, ld.so and the vDSO are there without a search; so is a path given to dlmopen(). */
	if (searched || (name_space != LM_ID_BASE && map->l_name[0]))
		tell(&event);
	return 0;
}
