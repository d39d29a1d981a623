// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf_decode.h"

/*
 * The symbol versions that a file needs and gives. Both tables are chains of entries that name the
 * distance to the next one; both have the same layout in 32 and 64 bits. Source: LSB 5.0 Core, 10.7.
 */
#define VERSIONS_MAX 65536U /* entries; glibc itself has about 50 */

#define NEED_SIZE 16U /* Verneed, Vernaux */
#define DEF_SIZE  20U /* Verdef */
#define AUX_SIZE  8U  /* Verdaux */

static const uint8_t *entry(struct imp_elf_image *img, uint64_t offset, uint64_t limit,
			    unsigned int size)
{
	if (offset > limit || limit - offset < size) {
		img->partial = true;
		return NULL;
	}
	return imp_elf_bytes_at(&img->bytes, offset, size);
}

/* The next entry must lie behind this one: a chain that turns back would never end. */
static bool follow(uint64_t *offset, uint32_t distance)
{
	if (!distance || distance > UINT64_MAX - *offset)
		return false;
	*offset += distance;
	return true;
}

static void read_needs(struct imp_elf_image *img, uint64_t offset, uint64_t limit, uint64_t count)
{
	struct imp_elf_version_need *need;
	const char *file, *version;
	const uint8_t *p;
	uint64_t aux;
	uint16_t flags;
	unsigned int n;

	for (; count && img->version_needs.n < VERSIONS_MAX; count--) {
		p = entry(img, offset, limit, NEED_SIZE);
		if (!p)
			return;
		n = imp_elf_u16(img, p + 2);
		file = imp_elf_image_string(img, imp_elf_u32(img, p + 4));
		aux = offset;
		if (n && follow(&aux, imp_elf_u32(img, p + 8))) {
			for (; n && img->version_needs.n < VERSIONS_MAX; n--) {
				const uint8_t *q = entry(img, aux, limit, NEED_SIZE);

				if (!q)
					return;
				version = imp_elf_image_string(img, imp_elf_u32(img, q + 8));
				if (file && version) {
					need = imp_vec_push(img->bytes.arena, &img->version_needs);
					need->file = file;
					need->version = version;
					flags = imp_elf_u16(img, q + 4);
					need->weak = flags & VER_FLG_WEAK;
					need->index = imp_elf_u16(img, q + 6) & 0x7fff;
					need->hidden = imp_elf_u16(img, q + 6) & 0x8000;
				} else {
					img->partial = true;
				}
				if (!follow(&aux, imp_elf_u32(img, q + 12)))
					break;
			}
		}
		if (!follow(&offset, imp_elf_u32(img, p + 12)))
			return;
	}
}

static void read_defs(struct imp_elf_image *img, uint64_t offset, uint64_t limit, uint64_t count)
{
	struct imp_elf_version_def *def;
	const char *version;
	const uint8_t *p, *q;
	uint64_t aux;

	for (; count && img->version_defs.n < VERSIONS_MAX; count--) {
		p = entry(img, offset, limit, DEF_SIZE);
		if (!p)
			return;
		aux = offset;
		/* Its first name is its own; others would be those that it inherits from. */
		if (imp_elf_u16(img, p + 6) && follow(&aux, imp_elf_u32(img, p + 12))) {
			q = entry(img, aux, limit, AUX_SIZE);
			version = q ? imp_elf_image_string(img, imp_elf_u32(img, q)) : NULL;
			if (version) {
				def = imp_vec_push(img->bytes.arena, &img->version_defs);
				def->version = version;
				def->index = imp_elf_u16(img, p + 4) & 0x7fff;
				def->base = imp_elf_u16(img, p + 2) & VER_FLG_BASE;
			} else {
				img->partial = true;
			}
		}
		if (!follow(&offset, imp_elf_u32(img, p + 16)))
			return;
	}
}

void imp_elf_image_versions(struct imp_elf_image *img, uint64_t needs, uint64_t n_needs,
			    uint64_t defs, uint64_t n_defs)
{
	uint64_t offset, limit;

	if (needs) {
		if (imp_elf_image_offset(img, needs, &offset, &limit))
			read_needs(img, offset, limit, n_needs ? n_needs : VERSIONS_MAX);
		else
			img->partial = true;
	}
	if (defs) {
		if (imp_elf_image_offset(img, defs, &offset, &limit))
			read_defs(img, offset, limit, n_defs ? n_defs : VERSIONS_MAX);
		else
			img->partial = true;
	}
}
