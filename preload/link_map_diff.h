/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_LINK_MAP_DIFF_H
#define IMP_PRELOAD_LINK_MAP_DIFF_H

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder.h"
#include "return_gadget.h"

/*
 * The objects that are mapped, each with a number (IMP_KEY_OBJECT) for the events of this image.
 * The tables grow by mmap; a look costs one dl_iterate_phdr() and returns at once where dlpi_adds and
 * dlpi_subs have not moved. Addresses and offsets are relative to the load bias (dlpi_addr), so that an
 * offset is an address as the ELF file has it, also in a program that is not position-independent.
 */

/* One of them, as it was at the last look. */
struct imp_object {
	ElfW(Addr) start, end;		/* from its first to behind its last mapped byte */
	ElfW(Addr) base;		/* load bias */
	const ElfW(Phdr) *phdr;		/* borrowed from the object */
	uint32_t phnum;
	uint32_t id;			/* 0: not recorded in this image yet */
	bool gadget_known;
	struct imp_return_gadget gadget;
};

/*
 * imp_objects_update - record what was mapped and unmapped since the last look
 *
 * Writes IMP_EV_OBJECT and IMP_EV_OBJECT_GONE events. Calls imp_python_object_added() once for each
 * new object, after the iteration (no loader lock is held). Safe after a failed dl call: uses only
 * dl_iterate_phdr(), which leaves dlerror's state alone. Where another thread is at it, that one looks
 * again in our stead.
 */
void imp_objects_update(struct imp_thread *t);

/*
 * imp_objects_add_namespace - record the objects of another link-map namespace
 * @map: any of them, that is, a handle from dlmopen(); @ns: its namespace
 *
 * dl_iterate_phdr() shows the caller's namespace only. What is unmapped there is seen by
 * imp_objects_update().
 */
void imp_objects_add_namespace(struct imp_thread *t, const struct link_map *map, Lmid_t ns);

/* imp_objects_forget - after fork: the child writes its objects anew */
void imp_objects_forget(void);

/*
 * imp_objects_find - which object holds an address
 * @offset: filled with @address minus the load bias; may be NULL
 * Returns its number, 0 where none is known. No loader call; async-signal-safe.
 */
uint32_t imp_objects_find(const void *address, uint64_t *offset);

/* imp_objects_get - the same, with all that is known of it; false: none is known */
bool imp_objects_get(const void *address, struct imp_object *copy);

/* imp_objects_set_gadget - keep what imp_return_gadget_find() found in object @id */
void imp_objects_set_gadget(uint32_t id, struct imp_return_gadget gadget);

/* imp_objects_generation - a number that changes whenever something was mapped or unmapped */
uint32_t imp_objects_generation(void);

/*
 * imp_objects_came_back - has a load of this name come back to us before, in this process?
 * @hash: imp_objects_hash() of the name
 *
 * Of what was loaded once (also as another's dependency), by path or soname, it is known that its
 * constructors do not crash. imp_objects_remember() says so of a name. A bounded table: it may forget.
 */
uint64_t imp_objects_hash(const char *name);
bool imp_objects_came_back(uint64_t hash);
void imp_objects_remember(uint64_t hash);

#endif
