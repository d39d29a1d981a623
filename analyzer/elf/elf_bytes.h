/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_ELF_BYTES_H
#define IMP_ELF_ELF_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/arena.h"
#include "../base/error.h"

struct imp_host;

/*
 * The bytes of one file, as far as they can be had: pieces that a trace kept, or pieces read from the
 * disk when somebody asks for them. Both are read in the same way, so that a file that is gone gives
 * the same answer as one that is there.
 *
 * A file on disk is read, never mapped: one that shrinks meanwhile must not end us with SIGBUS.
 */
struct imp_elf_chunk {
	uint64_t offset;
	size_t len;
	const uint8_t *data; /* borrowed, or in the arena */
};

struct imp_elf_bytes {
	struct imp_arena *arena;	      /* borrowed: of what is read */
	uint64_t size;			      /* of the whole file */
	IMP_VEC(struct imp_elf_chunk) chunks; /* any order; may overlap */
	const char *path;  /* more can be read from here; NULL: there are only the chunks */
	uint64_t dev, ino; /* of @path, when it was opened first */
	size_t total;	   /* bytes read so far */
	bool beyond;	   /* somebody asked for bytes beyond the end of the file */
	bool unknown;	   /* somebody asked for bytes that were not kept, or can't be read */
};

/*
 * imp_elf_bytes_file - the bytes of a regular file
 * @path: borrowed, as long as @b lives; absolute
 *
 * Returns 0, -ENODATA (@h does not look at the disk), -EISDIR, -EINVAL (no regular file) or -errno.
 */
int imp_elf_bytes_file(struct imp_elf_bytes *b, struct imp_arena *arena, const struct imp_host *h,
		       const char *path, struct imp_error *err);

/*
 * imp_elf_bytes_recorded - the bytes that a trace kept of a file of @size bytes
 * @chunks: copied; what they point to is borrowed as long as @b lives
 */
void imp_elf_bytes_recorded(struct imp_elf_bytes *b, struct imp_arena *arena, uint64_t size,
			    const struct imp_elf_chunk *chunks, size_t n);

/*
 * imp_elf_bytes_at - @len bytes at @offset; valid as long as the arena
 * Returns NULL where they are not all there: sets @b->beyond or @b->unknown.
 */
const uint8_t *imp_elf_bytes_at(struct imp_elf_bytes *b, uint64_t offset, uint64_t len);

/* imp_elf_bytes_some - at most @len bytes at @offset; @got may be 0 */
const uint8_t *imp_elf_bytes_some(struct imp_elf_bytes *b, uint64_t offset, size_t len, size_t *got);

/*
 * imp_elf_bytes_string - a NUL-terminated string of at most 4095 bytes that ends before @end
 * Returns NULL where there is none.
 */
const char *imp_elf_bytes_string(struct imp_elf_bytes *b, uint64_t offset, uint64_t end);

#endif
