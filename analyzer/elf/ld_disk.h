/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_LD_DISK_H
#define IMP_ELF_LD_DISK_H

#include "../base/id_map.h"
#include "../base/interner.h"
#include "ld_process.h"

struct imp_host;

/*
 * The lookup of ld_process.h: what a trace kept of a path is taken before what the disk holds. Each file
 * is read once.
 */
struct imp_ld_disk {
	struct imp_arena *arena;     /* borrowed */
	const struct imp_host *host; /* borrowed */
	struct imp_interner paths;
	struct imp_id_map known;       /* path -> struct imp_ld_file */
	struct imp_id_map images;      /* device and inode -> struct imp_elf_image */
	struct imp_id_map directories; /* path -> answer + 1 */
	uint64_t made_up;	       /* inodes of files whose own is not known */
	uint32_t uid, gid;	       /* of the program, to tell what it may read; ids_known */
	bool ids_known;
};

/* imp_ld_disk_init - @d zeroed; release with imp_ld_disk_clear() */
void imp_ld_disk_init(struct imp_ld_disk *d, struct imp_arena *arena, const struct imp_host *host);
void imp_ld_disk_clear(struct imp_ld_disk *d);

/*
 * imp_ld_disk_record - what a trace says of a path, which from now on is what lies there
 * @err: 0 or the negative errno of opening it
 * @ino: 0: not known
 * @size: of the whole file; @chunks: the bytes that were kept, borrowed as long as the arena lives; @n 0:
 *        nothing more is known than that it was there
 */
void imp_ld_disk_record(struct imp_ld_disk *d, const char *path, int err, uint64_t dev,
			uint64_t ino, uint64_t size, const struct imp_elf_chunk *chunks, size_t n);

/* imp_ld_disk_lookup - for struct imp_ld_process */
struct imp_ld_lookup imp_ld_disk_lookup(struct imp_ld_disk *d);

/* imp_ld_disk_image - the image of a path; NULL: absent or not known */
struct imp_elf_image *imp_ld_disk_image(struct imp_ld_disk *d, const char *path);

#endif
