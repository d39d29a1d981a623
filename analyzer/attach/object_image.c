/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "object_image.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#define PHDRS_MAX   64
#define DYNAMIC_MAX 256
#define SYMBOLS_MAX 200000 /* libQt5Core has 12,000, a big C++ application 100,000 */
#define STRINGS_MAX (32u << 20)

struct dynamic {
	uint64_t symbols, strings, strings_size, gnu_hash, sysv_hash;
};

/* ld.so turns these into addresses in place, where the section can be written; musl and the vdso do not. */
static uint64_t pointer(const struct imp_object_image *img, uint64_t value)
{
	return value >= img->bias ? value : value + img->bias;
}

static void read_dynamic(const struct imp_object_image *img, const struct imp_memory *mem,
			 const ElfW(Phdr) * ph, struct dynamic *d)
{
	ElfW(Dyn) dyn[DYNAMIC_MAX];
	size_t n = ph->p_memsz / sizeof(*dyn);

	memset(d, 0, sizeof(*d));
	if (n > DYNAMIC_MAX)
		n = DYNAMIC_MAX;
	if (imp_memory_read(mem, img->bias + ph->p_vaddr, dyn, n * sizeof(*dyn)) < 0)
		return;
	for (size_t i = 0; i < n && dyn[i].d_tag != DT_NULL; i++) {
		const uint64_t value = dyn[i].d_un.d_val;

		switch (dyn[i].d_tag) {
		case DT_SYMTAB: d->symbols = pointer(img, value); break;
		case DT_STRTAB: d->strings = pointer(img, value); break;
		case DT_STRSZ: d->strings_size = value; break;
		case DT_GNU_HASH: d->gnu_hash = pointer(img, value); break;
		case DT_HASH: d->sysv_hash = pointer(img, value); break;
		default: break;
		}
	}
}

/* How many dynamic symbols there are is said by the hash tables only: the last chain's end is the last one. */
static uint32_t count_symbols(const struct imp_memory *mem, const struct dynamic *d)
{
	uint32_t head[4], *buckets, last = 0, chain[64];
	uint64_t at;
	size_t size;

	if (d->sysv_hash && imp_memory_read(mem, d->sysv_hash, head, 8) == 0)
		return head[1] < SYMBOLS_MAX ? head[1] : SYMBOLS_MAX;
	if (!d->gnu_hash || imp_memory_read(mem, d->gnu_hash, head, sizeof(head)) < 0 ||
	    head[0] > SYMBOLS_MAX || head[2] > SYMBOLS_MAX)
		return 0;
	at = d->gnu_hash + sizeof(head) + (uint64_t)head[2] * sizeof(ElfW(Addr));
	size = (size_t)head[0] * sizeof(*buckets);
	buckets = malloc(size ? size : 1);
	if (!buckets || imp_memory_read(mem, at, buckets, size) < 0)
		head[0] = 0;
	for (uint32_t i = 0; i < head[0]; i++)
		if (buckets[i] > last)
			last = buckets[i];
	free(buckets);
	if (last < head[1])
		return 0;
	at += size + (uint64_t)(last - head[1]) * 4;
	while (last < SYMBOLS_MAX) {
		if (imp_memory_read(mem, at, chain, sizeof(chain)) < 0)
			return 0;
		for (size_t i = 0; i < sizeof(chain) / sizeof(*chain); i++, last++)
			if (chain[i] & 1)
				return last + 1;
		at += sizeof(chain);
	}
	return SYMBOLS_MAX;
}

static int by_address(const void *a, const void *b)
{
	const struct imp_image_symbol *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

static void read_symbols(struct imp_object_image *img, struct imp_arena *arena,
			 const struct imp_memory *mem, const struct dynamic *d)
{
	const uint32_t n = count_symbols(mem, d);
	ElfW(Sym) * sym;
	char *strings;

	if (!n || !d->symbols || !d->strings || !d->strings_size || d->strings_size > STRINGS_MAX)
		return;
	sym = malloc((size_t)n * sizeof(*sym));
	strings = imp_arena_alloc(arena, d->strings_size + 1);
	if (sym && imp_memory_read(mem, d->symbols, sym, (size_t)n * sizeof(*sym)) == 0 &&
	    imp_memory_read(mem, d->strings, strings, d->strings_size) == 0) {
		for (uint32_t i = 0; i < n; i++) {
			const unsigned int type = ELF64_ST_TYPE(sym[i].st_info);
			struct imp_image_symbol *s;

			if ((type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_OBJECT) ||
			    sym[i].st_shndx == SHN_UNDEF || sym[i].st_name >= d->strings_size)
				continue;
			s = imp_vec_push(arena, &img->symbols);
			s->address = img->bias + sym[i].st_value;
			s->size = sym[i].st_size;
			s->name = strings + sym[i].st_name;
		}
		if (img->symbols.n)
			qsort(img->symbols.v, img->symbols.n, sizeof(*img->symbols.v), by_address);
	}
	free(sym);
}

static void read_note(struct imp_object_image *img, struct imp_arena *arena,
		      const struct imp_memory *mem, const ElfW(Phdr) * ph)
{
	uint8_t note[1024];
	size_t len = ph->p_filesz < sizeof(note) ? ph->p_filesz : sizeof(note), at = 0;
	ElfW(Nhdr) head;

	if (imp_memory_read(mem, img->bias + ph->p_vaddr, note, len) < 0)
		return;
	while (len - at >= sizeof(head)) {
		size_t name, desc;

		memcpy(&head, note + at, sizeof(head));
		name = ((size_t)head.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)head.n_descsz + 3) & ~(size_t)3;
		at += sizeof(head);
		if (name > len - at || desc > len - at - name)
			return;
		if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 &&
		    memcmp(note + at, "GNU", 4) == 0) {
			img->build_id = memcpy(imp_arena_alloc(arena, desc + 1), note + at + name,
					       head.n_descsz);
			img->build_id_len = head.n_descsz;
			return;
		}
		at += name + desc;
	}
}

int imp_object_image_read(struct imp_object_image *img, struct imp_arena *arena,
			  const struct imp_memory *mem, uint64_t start, bool symbols)
{
	const ElfW(Phdr) *dynamic = NULL;
	ElfW(Phdr) phdrs[PHDRS_MAX];
	ElfW(Ehdr) head;
	bool loaded = false;
	int ret;

	memset(img, 0, sizeof(*img));
	img->start = start;
	ret = imp_memory_read(mem, start, &head, sizeof(head));
	if (ret < 0)
		return ret;
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_phentsize != sizeof(*phdrs) || !head.e_phnum || head.e_phnum > PHDRS_MAX)
		return -EBADMSG;
	ret = imp_memory_read(mem, start + head.e_phoff, phdrs, head.e_phnum * sizeof(*phdrs));
	if (ret < 0)
		return ret;
	for (unsigned int i = 0; i < head.e_phnum; i++) {
		const ElfW(Phdr) *ph = &phdrs[i];

		if (ph->p_type != PT_LOAD)
			continue;
		/* The lowest comes first, and the file's first page lies where the header was found. */
		if (!loaded)
			img->bias = start - (ph->p_vaddr - ph->p_offset);
		loaded = true;
		if (ph->p_flags & PF_X && !img->text_end) {
			img->text_start = img->bias + ph->p_vaddr;
			img->text_end = img->text_start + ph->p_filesz;
		}
	}
	for (unsigned int i = 0; i < head.e_phnum; i++) {
		const ElfW(Phdr) *ph = &phdrs[i];

		if (ph->p_type == PT_GNU_EH_FRAME)
			img->eh_frame_hdr = img->bias + ph->p_vaddr;
		else if (ph->p_type == PT_NOTE && !img->build_id)
			read_note(img, arena, mem, ph);
		else if (ph->p_type == PT_DYNAMIC)
			dynamic = ph;
	}
	img->valid = loaded;
	if (symbols && dynamic) {
		struct dynamic d;

		read_dynamic(img, mem, dynamic, &d);
		read_symbols(img, arena, mem, &d);
	}
	return loaded ? 0 : -EBADMSG;
}

uint64_t imp_object_image_find(const struct imp_object_image *img, const char *name)
{
	for (size_t i = 0; i < img->symbols.n; i++)
		if (strcmp(img->symbols.v[i].name, name) == 0)
			return img->symbols.v[i].address;
	return 0;
}

const struct imp_image_symbol *imp_object_image_at(const struct imp_object_image *img,
						   uint64_t address)
{
	size_t low = 0, high = img->symbols.n;

	while (low < high) {
		const size_t middle = (low + high) / 2;

		if (img->symbols.v[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	/* Several names may have one address, some of them without a size. */
	for (; low; low--) {
		const struct imp_image_symbol *s = &img->symbols.v[low - 1];

		if (address - s->address < s->size)
			return s;
		if (s->size && address - s->address >= s->size)
			return NULL;
	}
	return NULL;
}

uint64_t imp_object_image_bytes(const struct imp_object_image *img, const struct imp_memory *mem,
				const void *bytes, size_t len)
{
	const size_t size = img->text_end - img->text_start;
	uint64_t found = 0;
	uint8_t *text;
	void *at;

	if (size < len || size > STRINGS_MAX)
		return 0;
	text = malloc(size);
	if (text && imp_memory_read(mem, img->text_start, text, size) == 0) {
		at = memmem(text, size, bytes, len);
		if (at)
			found = img->text_start + (uint64_t)((uint8_t *)at - text);
	}
	free(text);
	return found;
}
