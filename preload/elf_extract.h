/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_ELF_EXTRACT_H
#define IMP_PRELOAD_ELF_EXTRACT_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct imp_cbor;
struct imp_time_budget;

/* What elf_chunks.c and elf_parts.c share: a file that is read here and there, and what of it is kept. */
#define IMP_EXTRACT_CHUNK_MAX	 (24 * 1024)
#define IMP_EXTRACT_HEAD_SIZE	 4096 /* of the buffer: program headers */
#define IMP_EXTRACT_DYNAMIC_SIZE 4096 /* of the buffer: the dynamic segment */
#define IMP_EXTRACT_VERSIONS_MAX 4096
#define IMP_EXTRACT_RANGES_MAX	 24

struct imp_elf_range {
	uint64_t begin, end; /* offsets in the file */
};

/* A table that the dynamic segment names. */
struct imp_elf_place {
	uint64_t address, offset, end; /* @end: offset of the end of its segment in the file */
};

enum {
	IMP_EXTRACT_STRINGS,
	IMP_EXTRACT_SYMBOLS,
	IMP_EXTRACT_VERSYMS,
	IMP_EXTRACT_NEEDS,
	IMP_EXTRACT_DEFS,
	IMP_EXTRACT_GNU_HASH,
	IMP_EXTRACT_SYSV_HASH,
	IMP_EXTRACT_TABLES
};

struct imp_elf_extract {
	struct imp_cbor *c;
	int fd;
	uint64_t size;
	struct imp_time_budget *budget;
	size_t left;	 /* bytes that may still be put */
	char *head;	 /* IMP_EXTRACT_HEAD_SIZE bytes */
	ElfW(Dyn) * dyn; /* IMP_EXTRACT_DYNAMIC_SIZE bytes */
	char *work;	 /* IMP_EXTRACT_CHUNK_MAX bytes: the chunk at hand */
	const ElfW(Phdr) * phdr;
	unsigned int phnum, dyn_count;
	struct imp_elf_place tables[IMP_EXTRACT_TABLES];
	uint64_t strings_size;
	unsigned int range_count;
	struct imp_elf_range ranges[IMP_EXTRACT_RANGES_MAX];
};

/* imp_extract_read - as much of [@offset, @offset + @len) as there is; 0 too where it is late */
size_t imp_extract_read(const struct imp_elf_extract *f, void *to, size_t len, uint64_t offset);

/* imp_extract_put - a chunk, unless there is no room for it */
void imp_extract_put(struct imp_elf_extract *f, uint64_t offset, const void *data, size_t len);

/* imp_extract_put_string - one string of the string table, with its NUL */
void imp_extract_put_string(struct imp_elf_extract *f, uint64_t index);

/* imp_extract_want - keep these bytes, or as many as a chunk may have */
void imp_extract_want(struct imp_elf_extract *f, uint64_t offset, uint64_t len);
void imp_extract_want_table(struct imp_elf_extract *f, unsigned int table, uint64_t size);

/*
 * imp_extract_join - sort what is wanted, and join what touches, so that each thing lies in one chunk
 * Returns how many bytes that is.
 */
uint64_t imp_extract_join(struct imp_elf_extract *f);
void imp_extract_put_wanted(struct imp_elf_extract *f);

/* imp_extract_find - where in the file an address is; false: nowhere */
bool imp_extract_find(const struct imp_elf_extract *f, uint64_t address, struct imp_elf_place *t);

/* imp_extract_room - bytes to where the next thing begins: nothing says how long most tables are */
uint64_t imp_extract_room(const struct imp_elf_extract *f, const struct imp_elf_place *t);

/* elf_parts.c: imp_extract_put_parts - of tables that are too large to be kept whole, what decides */
void imp_extract_put_parts(struct imp_elf_extract *f);

#endif
