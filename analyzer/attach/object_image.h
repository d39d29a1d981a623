/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_OBJECT_IMAGE_H
#define IMP_ATTACH_OBJECT_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/arena.h"
#include "../base/error.h"
#include "memory.h"
#include "proc_maps.h"

/*
 * An ELF object as it lies in the memory of another process: its header, its dynamic symbols, and where its
 * unwind table is. Read from memory, not from the file: that may have been replaced by an upgrade, or lie where
 * we can't reach it. Source: gABI, chapters 4 and 5.
 */
struct imp_image_symbol {
	uint64_t address, size; /* in the process */
	const char *name;
};

struct imp_object_image {
	uint64_t start, bias;	       /* @bias: what an address in the file gets added */
	bool valid;		       /* it is an ELF object of our class */
	uint64_t eh_frame_hdr;	       /* address in the process; 0: none */
	uint64_t text_start, text_end; /* its first executable segment */
	const uint8_t *build_id;
	size_t build_id_len;
	IMP_VEC(struct imp_image_symbol) symbols; /* defined ones with code, by address */
};

/*
 * imp_object_image_read - read one object
 * @img:     filled; its arrays live in @arena
 * @symbols: its exported functions too
 * Returns 0; -EBADMSG where no ELF object of our class lies there; -EFAULT.
 */
int imp_object_image_read(struct imp_object_image *img, struct imp_arena *arena,
			  const struct imp_memory *mem, uint64_t start, bool symbols);

/* imp_object_image_find - address of an exported function; 0: none of that name */
uint64_t imp_object_image_find(const struct imp_object_image *img, const char *name);

/* imp_object_image_at - the function that holds @address; NULL: none that is exported */
const struct imp_image_symbol *imp_object_image_at(const struct imp_object_image *img,
						   uint64_t address);

/* imp_object_image_bytes - address of a byte sequence in its code; 0: nowhere */
uint64_t imp_object_image_bytes(const struct imp_object_image *img, const struct imp_memory *mem,
				const void *bytes, size_t len);

#endif
