/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_ELF_DECODE_H
#define IMP_ELF_ELF_DECODE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <libelf.h>

#include "elf_image.h"

/*
 * Shared by elf_image.c, elf_version.c and elf_symbol.c: the file's numbers in our byte order. Structures
 * are translated by libelf; its own readers of whole files are not used, since they refuse a file that
 * is cut and can't read one of which only pieces were kept.
 */

static inline uint16_t imp_elf_u16(const struct imp_elf_image *img, const uint8_t *p)
{
	return img->big_endian ? (uint16_t)(p[0] << 8 | p[1]) : (uint16_t)(p[1] << 8 | p[0]);
}

static inline uint32_t imp_elf_u32(const struct imp_elf_image *img, const uint8_t *p)
{
	return img->big_endian ?
		       (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] :
		       (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* imp_elf_translate - one or more structures of a type into the layout of Elf32_* or Elf64_* */
static inline bool imp_elf_translate(const struct imp_elf_image *img, Elf_Type type,
				     const void *from, void *to, size_t size)
{
	Elf_Data src = {.d_buf = (void *)(uintptr_t)from,
			.d_type = type,
			.d_size = size,
			.d_version = EV_CURRENT};
	Elf_Data dst = {.d_buf = to, .d_type = type, .d_size = size, .d_version = EV_CURRENT};
	unsigned int encode = img->big_endian ? ELFDATA2MSB : ELFDATA2LSB;

	return img->bits == 32 ? elf32_xlatetom(&dst, &src, encode) != NULL :
				 elf64_xlatetom(&dst, &src, encode) != NULL;
}

/* imp_elf_image_string - a string of the dynamic string table; NULL: it can't be read */
const char *imp_elf_image_string(struct imp_elf_image *img, uint64_t offset);

/* imp_elf_image_versions - read DT_VERNEED and DT_VERDEF at these addresses, 0: there is none */
void imp_elf_image_versions(struct imp_elf_image *img, uint64_t needs, uint64_t n_needs,
			    uint64_t defs, uint64_t n_defs);

/* imp_elf_image_tell_kind - from the first bytes; sets @kind, and @damage where it is no ELF file */
void imp_elf_image_tell_kind(struct imp_elf_image *img);

#endif
