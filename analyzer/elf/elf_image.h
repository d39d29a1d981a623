/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_ELF_IMAGE_H
#define IMP_ELF_ELF_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "../trace/record.h"
#include "elf_bytes.h"

/* What a file is, told by its first bytes. */
enum imp_elf_kind {
	IMP_ELF_UNKNOWN = 0, /* its first bytes are not known */
	IMP_ELF_OBJECT,	     /* ELF, whole or not */
	IMP_ELF_EMPTY,
	IMP_ELF_TEXT,
	IMP_ELF_HTML,
	IMP_ELF_LFS_POINTER,   /* git-lfs: the file itself was never fetched */
	IMP_ELF_LINKER_SCRIPT, /* "GNU ld script": for the linker, not for the loader */
	IMP_ELF_ARCHIVE,       /* ar */
	IMP_ELF_MACHO,
	IMP_ELF_PE,
	IMP_ELF_ZIP,
	IMP_ELF_GZIP,
	IMP_ELF_ZEROS,
	IMP_ELF_OTHER,
};

enum imp_elf_libc { /* the C library that it was built for, as far as its names tell */
		    IMP_ELF_LIBC_NONE = 0,
		    IMP_ELF_LIBC_GLIBC,
		    IMP_ELF_LIBC_MUSL,
		    IMP_ELF_LIBC_BIONIC,
		    IMP_ELF_LIBC_OTHER, /* uclibc, a BSD's, ... */
};

struct imp_elf_segment { /* a program header */
	uint32_t type, flags;
	uint64_t offset, address, file_size, memory_size, align;
	uint64_t at; /* offset of the header itself */
};

struct imp_elf_version_need { /* one DT_VERNEED entry */
	const char *file;     /* soname from which the version is wanted */
	const char *version;
	uint16_t index; /* number in DT_VERSYM */
	bool weak;	/* VER_FLG_WEAK: its absence is no failure */
	bool hidden;
};

struct imp_elf_version_def { /* one DT_VERDEF entry */
	const char *version;
	uint16_t index;
	bool base; /* VER_FLG_BASE: names the file, is no version */
};

/* A table in the file: where it lies is told in addresses, and was turned into offsets. */
struct imp_elf_table {
	bool known;
	uint64_t address, offset;
	uint64_t limit; /* offset at which the segment that holds it ends in the file */
};

struct imp_elf_image {
	struct imp_elf_bytes bytes;
	enum imp_elf_kind kind;
	uint8_t first[16]; /* first bytes, as far as there are any */
	size_t n_first;

	/*
	 * NULL: nothing is wrong with it as a file. Else a part of a sentence that begins with a verb
	 * and goes on after "it": "is empty", "is cut: ...". @fatal: ld.so refuses it for that.
	 */
	const char *damage;
	bool fatal;
	bool foreign; /* another class or machine than asked; see imp_elf_image_refusal() */

	/* The rest is meaningful with IMP_ELF_OBJECT. */
	bool header;	   /* the ELF header was read */
	unsigned int bits; /* 32, 64 or (other class) 0 */
	bool big_endian;
	uint8_t osabi, abi_version;
	uint16_t type, machine; /* ET_*, EM_* */
	uint32_t version, e_flags;
	uint16_t phentsize;
	IMP_VEC(struct imp_elf_segment) segments;
	uint64_t section_offset;
	uint16_t section_size, n_sections;
	uint64_t promised;	    /* bytes that the program headers say the file has */
	uint64_t promised_sections; /* the same with the section headers, which ld.so never reads */
	const char *interpreter;    /* PT_INTERP */
	bool stack_known;	    /* there is a PT_GNU_STACK */
	bool executable_stack;
	uint64_t max_align;	      /* of the PT_LOAD segments */
	uint64_t tls_size, tls_align; /* PT_TLS; 0: none */
	const uint8_t *build_id;
	size_t build_id_len;

	bool dynamic;			      /* there is a dynamic section, and it was read */
	struct imp_strings needed;	      /* DT_NEEDED, in order */
	struct imp_strings filters;	      /* DT_AUXILIARY and DT_FILTER */
	const char *soname, *rpath, *runpath; /* NULL: none. As written, with $ORIGIN and all */
	uint64_t flags, flags_1;	      /* DT_FLAGS, DT_FLAGS_1 */
	bool text_relocations, static_tls;
	IMP_VEC(struct imp_elf_version_need) version_needs;
	IMP_VEC(struct imp_elf_version_def) version_defs;
	bool partial; /* something could not be read: absent means "not known" */
	enum imp_elf_libc libc;

	/* For elf_symbol.c */
	struct imp_elf_table strings, symbols, versyms, gnu_hash, sysv_hash;
	uint64_t strings_size;
	struct imp_elf_symbols *loaded; /* in the arena; NULL: not asked for yet */
};

/*
 * imp_elf_image_read - what the file says of itself
 * @img:   filled; everything lives in the arena of @bytes
 * @bytes: copied; imp_elf_bytes_file() or imp_elf_bytes_recorded()
 *
 * Never fails: a file that is no ELF file, or a damaged one, is what @img->kind and @img->damage say.
 * Everything is bounded, whatever the file claims. Source: gABI chapters 4 and 5; LSB (symbol versions).
 */
void imp_elf_image_read(struct imp_elf_image *img, const struct imp_elf_bytes *bytes);

/*
 * imp_elf_image_open - the same for a file on disk
 * @path: copied. Returns what imp_elf_bytes_file() returns.
 */
int imp_elf_image_open(struct imp_elf_image *img, struct imp_arena *arena, const struct imp_host *h,
		       const char *path, struct imp_error *err);

/* What ld.so's open_verify() does with a file. */
enum imp_elf_refusal {
	IMP_ELF_ACCEPTED = 0,
	IMP_ELF_OTHER_CLASS,   /* passed over; the search goes on */
	IMP_ELF_OTHER_MACHINE, /* passed over; the search goes on */
	IMP_ELF_REFUSED,       /* dlopen fails at once, with the text */
};

/*
 * imp_elf_image_refusal - would the loader of @like take this file?
 * @bits, @machine, @big_endian: what that loader loads
 * @text: where refused, glibc's own text ("file too short"); else NULL
 * @why: part of a sentence, as @img->damage; NULL where accepted
 *
 * Source: glibc elf/dl-load.c, open_verify() and _dl_map_object_from_fd().
 */
enum imp_elf_refusal imp_elf_image_refusal(const struct imp_elf_image *img, unsigned int bits,
					   uint16_t machine, bool big_endian, const char **text,
					   const char **why);

/*
 * imp_elf_image_unmappable - would mapping it fail, though its header is accepted?
 * @page_size: of the kernel; 0: not known
 * Returns glibc's own text, or NULL.
 */
const char *imp_elf_image_unmappable(const struct imp_elf_image *img, uint64_t page_size);

/* imp_elf_image_offset - file offset of an address; false: no segment holds it */
bool imp_elf_image_offset(const struct imp_elf_image *img, uint64_t address, uint64_t *offset,
			  uint64_t *limit);

/* imp_elf_machine_name - "x86-64"; NULL: not known by name */
const char *imp_elf_machine_name(uint16_t machine);
/* imp_elf_image_architecture - "64-bit x86-64", "32-bit big-endian machine 40"; in the arena */
const char *imp_elf_image_architecture(const struct imp_elf_image *img, struct imp_arena *a);
const char *imp_elf_kind_name(enum imp_elf_kind kind); /* "an HTML page" */

#endif
