/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_OBJECT_TABLE_H
#define IMP_PRELOAD_OBJECT_TABLE_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#include "return_gadget.h"

/*
 * The mapped objects by address, as link_map_diff.c saw them last. Anybody may read at any time, also a
 * signal handler; who writes holds the lock. Addresses and offsets are relative to the load bias
 * (dlpi_addr), so that an offset is an address as the ELF file has it, also in a program that is not
 * position-independent.
 */

struct imp_mapped {
	ElfW(Addr) start, end;	 /* from its first to behind its last mapped byte */
	ElfW(Addr) base;	 /* load bias */
	const ElfW(Phdr) * phdr; /* borrowed from the object */
	uint32_t phnum;
	uint32_t id; /* 0: not recorded in this image yet */
	bool gadget_known;
	struct imp_return_gadget gadget;
};

/*
 * imp_objects_find - which object holds an address
 * @offset: filled with @address minus the load bias; may be NULL
 * Returns its number, 0 where none is known. No loader call; async-signal-safe.
 */
uint32_t imp_objects_find(const void *address, uint64_t *offset);

/* imp_objects_get - the same, with all that is known of it; false: none is known */
bool imp_objects_get(const void *address, struct imp_mapped *copy);

/* imp_objects_set_gadget - keep what imp_return_gadget_find() found in object @id */
void imp_objects_set_gadget(uint32_t id, struct imp_return_gadget gadget);

/*
 * For link_map_diff.c.
 *
 * The lock is tried for a bounded time only: its holder may be interrupted by a signal handler that wants
 * it, or wait for ld.so's lock, which the other thread holds. insert and remove need it; insert returns
 * false where memory is out. remove takes the @id too, since another object may have been mapped at
 * @start before it was seen that the old one is gone.
 */
bool imp_object_table_lock(void);
void imp_object_table_unlock(void);
bool imp_object_table_insert(const struct imp_mapped *new);
void imp_object_table_remove(ElfW(Addr) start, uint32_t id);
void imp_object_table_set_id(ElfW(Addr) start, uint32_t id);

/*
 * imp_object_table_forget - after fork: no object has a number, and the lock is free
 * Returns false, and empties the table, where another thread of the parent was writing.
 */
bool imp_object_table_forget(void);

#endif
