/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_PROC_MAPS_H
#define IMP_ATTACH_PROC_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../base/arena.h"
#include "../base/error.h"

/* What another process has mapped: /proc/PID/maps, proc(5). */

struct imp_map {
	uint64_t start, end, offset;
	uint64_t inode;
	uint32_t object; /* index in imp_maps.objects; UINT32_MAX: none */
	bool exec, write, shared;
	const char *path; /* as the kernel writes it, "[stack]" and " (deleted)" too; "" for none */
};

/* A file that is mapped from its beginning: mostly an ELF object; @start is where its header lies. */
struct imp_mapped_object {
	uint64_t start, end; /* from its first to behind its last mapped byte */
	bool exec;	     /* a part of it may be executed */
	const char *path;    /* without " (deleted)" */
	const char *name;    /* what follows the last slash */
};

struct imp_maps {
	struct imp_arena arena;	      /* all strings and arrays */
	IMP_VEC(struct imp_map) maps; /* by address */
	IMP_VEC(struct imp_mapped_object) objects;
};

/*
 * imp_maps_read - read /proc/PID/maps
 * @maps: what it held before is released
 * Returns 0, or a negative errno (-ESRCH: no such process any more).
 */
int imp_maps_read(struct imp_maps *maps, pid_t pid, struct imp_error *err);

/* imp_maps_parse - the same from the text of such a file; a line that is none is left out */
void imp_maps_parse(struct imp_maps *maps, const char *text, size_t len);

/* imp_maps_find - the mapping that holds @address; NULL: none */
const struct imp_map *imp_maps_find(const struct imp_maps *maps, uint64_t address);

/* imp_maps_object - the object whose mapping holds @address; NULL: none */
const struct imp_mapped_object *imp_maps_object(const struct imp_maps *maps, uint64_t address);

void imp_maps_clear(struct imp_maps *maps);

#endif
