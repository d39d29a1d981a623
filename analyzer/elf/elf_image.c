// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf_image.h"

#include <string.h>

#include "elf_decode.h"

#define NEEDED_MAX  4096U  /* DT_NEEDED entries; the largest programs have a few hundred */
#define DYNAMIC_MAX 65536U /* bytes of a dynamic segment */
#define NOTES_MAX   65536U

/* ---- headers -------------------------------------------------------------------------------- */

static bool read_header(struct imp_elf_image *img, uint64_t *phoff, unsigned int *phnum)
{
	size_t size = img->bits == 32 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr);
	const uint8_t *p = imp_elf_bytes_at(&img->bytes, 0, size);
	union {
		Elf32_Ehdr e32;
		Elf64_Ehdr e64;
	} h;

	if (!p || !imp_elf_translate(img, ELF_T_EHDR, p, &h, size))
		return false;
#define FIELDS(e)                                     \
	do {                                          \
		img->type = (e)->e_type;              \
		img->machine = (e)->e_machine;        \
		img->version = (e)->e_version;        \
		img->e_flags = (e)->e_flags;          \
		img->phentsize = (e)->e_phentsize;    \
		img->section_offset = (e)->e_shoff;   \
		img->section_size = (e)->e_shentsize; \
		img->n_sections = (e)->e_shnum;       \
		*phoff = (e)->e_phoff;                \
		*phnum = (e)->e_phnum;                \
	} while (0)
	if (img->bits == 32)
		FIELDS(&h.e32);
	else
		FIELDS(&h.e64);
#undef FIELDS
	return true;
}

static void promise(uint64_t *promised, uint64_t offset, uint64_t len)
{
	uint64_t end = len > UINT64_MAX - offset ? UINT64_MAX : offset + len;

	if (len && end > *promised)
		*promised = end;
}

static bool read_segments(struct imp_elf_image *img, uint64_t phoff, unsigned int phnum)
{
	size_t size = img->bits == 32 ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);
	struct imp_elf_segment *s;
	const uint8_t *p;
	unsigned int i;
	union {
		Elf32_Phdr p32;
		Elf64_Phdr p64;
	} h;

	promise(&img->promised, phoff, (uint64_t)phnum * size);
	if (img->phentsize != size)
		return false;
	p = imp_elf_bytes_at(&img->bytes, phoff, (uint64_t)phnum * size);
	if (!p)
		return false;
	for (i = 0; i < phnum; i++) {
		if (!imp_elf_translate(img, ELF_T_PHDR, p + (size_t)i * size, &h, size))
			return false;
		s = imp_vec_push(img->bytes.arena, &img->segments);
#define FIELDS(e)                                                                      \
	*s = (struct imp_elf_segment)                                                  \
	{                                                                              \
		(e)->p_type, (e)->p_flags, (e)->p_offset, (e)->p_vaddr, (e)->p_filesz, \
			(e)->p_memsz, (e)->p_align, 0                                  \
	}
		if (img->bits == 32)
			FIELDS(&h.p32);
		else
			FIELDS(&h.p64);
#undef FIELDS
		s->at = phoff + (uint64_t)i * size;
		if (s->type != PT_NULL && s->type != PT_GNU_STACK)
			promise(&img->promised, s->offset, s->file_size);
		if (s->type == PT_LOAD && s->align > img->max_align)
			img->max_align = s->align;
		if (s->type == PT_TLS) {
			img->tls_size = s->memory_size;
			img->tls_align = s->align;
		}
		if (s->type == PT_GNU_STACK) {
			img->stack_known = true;
			img->executable_stack = s->flags & PF_X;
		}
	}
	/* The kernel and glibc take the stack for executable where nothing is said, on these machines. */
	if (!img->stack_known && img->n_first &&
	    (img->machine == EM_X86_64 || img->machine == EM_386 || img->machine == EM_ARM))
		img->executable_stack = true;
	img->promised_sections = img->promised;
	promise(&img->promised_sections, img->section_offset,
		(uint64_t)img->n_sections * img->section_size);
	return true;
}

static const struct imp_elf_segment *segment(const struct imp_elf_image *img, uint32_t type)
{
	size_t i;

	for (i = 0; i < img->segments.n; i++) {
		if (img->segments.v[i].type == type)
			return &img->segments.v[i];
	}
	return NULL;
}

bool imp_elf_image_offset(const struct imp_elf_image *img, uint64_t address, uint64_t *offset,
			  uint64_t *limit)
{
	size_t i;

	for (i = 0; i < img->segments.n; i++) {
		const struct imp_elf_segment *s = &img->segments.v[i];

		if (s->type == PT_LOAD && address >= s->address &&
		    address - s->address < s->file_size && s->offset <= UINT64_MAX - s->file_size) {
			*offset = s->offset + (address - s->address);
			*limit = s->offset + s->file_size;
			return true;
		}
	}
	return false;
}

static void read_build_id(struct imp_elf_image *img)
{
	size_t i, got, at, name, desc;
	const uint8_t *p;

	for (i = 0; i < img->segments.n && !img->build_id; i++) {
		const struct imp_elf_segment *s = &img->segments.v[i];

		if (s->type != PT_NOTE || !s->file_size)
			continue;
		p = imp_elf_bytes_some(&img->bytes, s->offset,
				       s->file_size < NOTES_MAX ? (size_t)s->file_size : NOTES_MAX,
				       &got);
		for (at = 0; p && got - at >= 12;) {
			name = imp_elf_u32(img, p + at);
			desc = imp_elf_u32(img, p + at + 4);
			if (name > got || desc > got)
				break;
			/* GNU notes are padded to 4; property notes of 64-bit files to 8, which comes to the same. */
			name = (name + 3) & ~(size_t)3;
			if (name > got - at - 12 || desc > got - at - 12 - name)
				break;
			if (imp_elf_u32(img, p + at + 8) == NT_GNU_BUILD_ID && name == 4 &&
			    memcmp(p + at + 12, "GNU", 4) == 0 && desc && desc <= 64) {
				img->build_id = p + at + 12 + name;
				img->build_id_len = desc;
				break;
			}
			at += 12 + name + ((desc + 3) & ~(size_t)3);
			if (at > got)
				break;
		}
	}
}

/* ---- dynamic section -------------------------------------------------------------------------- */

const char *imp_elf_image_string(struct imp_elf_image *img, uint64_t offset)
{
	if (!img->strings.known)
		return NULL;
	/* No DT_STRSZ: the segment is the only bound that there is. */
	if (img->strings_size ? offset >= img->strings_size : offset >= img->bytes.size)
		return NULL;
	if (offset > UINT64_MAX - img->strings.offset)
		return NULL;
	return imp_elf_bytes_string(&img->bytes, img->strings.offset + offset, img->strings.limit);
}

static struct imp_elf_table table_at(const struct imp_elf_image *img, uint64_t address)
{
	struct imp_elf_table t = {.address = address};

	t.known = address && imp_elf_image_offset(img, address, &t.offset, &t.limit);
	return t;
}

struct dynamic_scan {
	uint64_t strings, soname, rpath, runpath, verneed, n_verneed, verdef, n_verdef, rel, has;
	IMP_VEC(uint64_t) needed, filters;
};

enum { HAS_SONAME = 1, HAS_RPATH = 2, HAS_RUNPATH = 4 };

static void note_entry(struct imp_elf_image *img, struct dynamic_scan *d, int64_t tag,
		       uint64_t value)
{
	switch (tag) {
	case DT_NEEDED:
		if (d->needed.n < NEEDED_MAX)
			*imp_vec_push(img->bytes.arena, &d->needed) = value;
		break;
	case DT_AUXILIARY:
	case DT_FILTER:
		if (d->filters.n < NEEDED_MAX)
			*imp_vec_push(img->bytes.arena, &d->filters) = value;
		break;
	case DT_STRTAB: d->strings = value; break;
	case DT_STRSZ: img->strings_size = value; break;
	case DT_SYMTAB: img->symbols = table_at(img, value); break;
	case DT_HASH: img->sysv_hash = table_at(img, value); break;
	case DT_GNU_HASH: img->gnu_hash = table_at(img, value); break;
	case DT_VERSYM: img->versyms = table_at(img, value); break;
	case DT_VERNEED: d->verneed = value; break;
	case DT_VERNEEDNUM: d->n_verneed = value; break;
	case DT_VERDEF: d->verdef = value; break;
	case DT_VERDEFNUM: d->n_verdef = value; break;
	case DT_FLAGS: img->flags = value; break;
	case DT_FLAGS_1: img->flags_1 = value; break;
	case DT_TEXTREL: img->text_relocations = true; break;
	case DT_SONAME:
		d->soname = value;
		d->has |= HAS_SONAME;
		break;
	case DT_RPATH:
		d->rpath = value;
		d->has |= HAS_RPATH;
		break;
	case DT_RUNPATH:
		d->runpath = value;
		d->has |= HAS_RUNPATH;
		break;
	default: break;
	}
}

static bool scan_dynamic(struct imp_elf_image *img, const struct imp_elf_segment *s,
			 struct dynamic_scan *d)
{
	size_t size = img->bits == 32 ? sizeof(Elf32_Dyn) : sizeof(Elf64_Dyn), got, at;
	const uint8_t *p;
	union {
		Elf32_Dyn d32;
		Elf64_Dyn d64;
	} e;

	p = imp_elf_bytes_some(&img->bytes, s->offset,
			       s->file_size < DYNAMIC_MAX ? (size_t)s->file_size : DYNAMIC_MAX,
			       &got);
	if (!p || got < size)
		return false;
	for (at = 0; got - at >= size; at += size) {
		if (!imp_elf_translate(img, ELF_T_DYN, p + at, &e, size))
			return false;
		if (img->bits == 32 ? e.d32.d_tag == DT_NULL : e.d64.d_tag == DT_NULL)
			return true;
		if (img->bits == 32)
			note_entry(img, d, e.d32.d_tag, e.d32.d_un.d_val);
		else
			note_entry(img, d, e.d64.d_tag, e.d64.d_un.d_val);
	}
	/* No DT_NULL within what there is: what was read counts, unless the file ends here. */
	img->partial |= got < s->file_size;
	return true;
}

static const char *dynamic_string(struct imp_elf_image *img, uint64_t offset)
{
	const char *s = imp_elf_image_string(img, offset);

	if (!s)
		img->partial = true;
	return s;
}

static void read_dynamic(struct imp_elf_image *img)
{
	const struct imp_elf_segment *s = segment(img, PT_DYNAMIC);
	struct dynamic_scan d = {0};
	const char *name;
	size_t i;

	if (!s)
		return;
	if (!scan_dynamic(img, s, &d)) {
		img->partial = true;
		return;
	}
	img->dynamic = true;
	img->strings = table_at(img, d.strings);
	for (i = 0; i < d.needed.n; i++) {
		name = dynamic_string(img, d.needed.v[i]);
		if (name)
			*imp_vec_push(img->bytes.arena, &img->needed) = name;
	}
	for (i = 0; i < d.filters.n; i++) {
		name = dynamic_string(img, d.filters.v[i]);
		if (name)
			*imp_vec_push(img->bytes.arena, &img->filters) = name;
	}
	if (d.has & HAS_SONAME)
		img->soname = dynamic_string(img, d.soname);
	if (d.has & HAS_RPATH)
		img->rpath = dynamic_string(img, d.rpath);
	if (d.has & HAS_RUNPATH)
		img->runpath = dynamic_string(img, d.runpath);
	img->static_tls = img->flags & DF_STATIC_TLS;
	img->text_relocations |= (img->flags & DF_TEXTREL) != 0;
	imp_elf_image_versions(img, d.verneed, d.n_verneed, d.verdef, d.n_verdef);
}

/* ---- what it is altogether --------------------------------------------------------------------- */

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static enum imp_elf_libc libc_of_name(const char *name)
{
	if (begins(name, "libc.so.6") || begins(name, "ld-linux") || begins(name, "ld64.so"))
		return IMP_ELF_LIBC_GLIBC;
	/* Alpine links with libc.musl-x86_64.so.1; a plain musl toolchain with libc.so. */
	if (begins(name, "libc.musl-") || begins(name, "ld-musl-") || strcmp(name, "libc.so") == 0)
		return IMP_ELF_LIBC_MUSL;
	if (begins(name, "libc.so.0") || begins(name, "libc.so.1") || begins(name, "libc.so.7") ||
	    begins(name, "ld-uClibc"))
		return IMP_ELF_LIBC_OTHER;
	return IMP_ELF_LIBC_NONE;
}

static void tell_libc(struct imp_elf_image *img)
{
	bool libdl = false, log = false;
	const char *base;
	size_t i;

	for (i = 0; i < img->needed.n; i++) {
		const char *name = img->needed.v[i];

		libdl |= strcmp(name, "libdl.so") == 0;
		log |= strcmp(name, "liblog.so") == 0;
		if (img->libc == IMP_ELF_LIBC_NONE)
			img->libc = libc_of_name(name);
	}
	/* Android's libc.so has musl's name; its neighbours and its loader tell. */
	if (img->libc == IMP_ELF_LIBC_MUSL && (libdl || log))
		img->libc = IMP_ELF_LIBC_BIONIC;
	if (img->interpreter) {
		base = strrchr(img->interpreter, '/');
		base = base ? base + 1 : img->interpreter;
		if (begins(base, "linker"))
			img->libc = IMP_ELF_LIBC_BIONIC;
		else if (libc_of_name(base) != IMP_ELF_LIBC_NONE)
			img->libc = libc_of_name(base);
	}
	if (img->libc == IMP_ELF_LIBC_NONE && img->soname)
		img->libc = libc_of_name(img->soname);
	for (i = 0; i < img->version_needs.n && img->libc == IMP_ELF_LIBC_NONE; i++) {
		if (begins(img->version_needs.v[i].version, "GLIBC_2."))
			img->libc = IMP_ELF_LIBC_GLIBC;
	}
}

static void set_damage(struct imp_elf_image *img, bool fatal, const char *damage)
{
	if (img->damage && (img->fatal || !fatal))
		return;
	img->damage = damage;
	img->fatal = fatal;
}

static void tell_damage(struct imp_elf_image *img, bool segments)
{
	struct imp_arena *a = img->bytes.arena;
	unsigned long long size = img->bytes.size;

	if (img->promised > img->bytes.size)
		set_damage(img, true,
			   imp_arena_printf(
				   a,
				   "is cut: its program headers promise %llu bytes, and it has %llu",
				   (unsigned long long)img->promised, size));
	else if (img->header && img->type == ET_REL)
		set_damage(img, true, "is an object file (ET_REL), which was never linked");
	else if (!segments && img->header && !img->bytes.unknown)
		set_damage(img, true, "has program headers that make no sense");
	else if (img->header && img->promised_sections > img->bytes.size)
		/* ld.so never looks at sections, yet the end of a file is where a download stops. */
		set_damage(img, false,
			   imp_arena_printf(
				   a,
				   "is cut: its section headers promise %llu bytes, and it has %llu",
				   (unsigned long long)img->promised_sections, size));
}

void imp_elf_image_read(struct imp_elf_image *img, const struct imp_elf_bytes *bytes)
{
	const struct imp_elf_segment *s;
	unsigned int phnum = 0;
	bool segments = false;
	uint64_t phoff = 0;
	const uint8_t *p;
	size_t got;

	memset(img, 0, sizeof(*img));
	img->bytes = *bytes;
	elf_version(EV_CURRENT); /* libelf translates nothing before that */
	p = imp_elf_bytes_some(&img->bytes, 0, sizeof(img->first), &got);
	if (p)
		memcpy(img->first, p, got);
	img->n_first = got;
	imp_elf_image_tell_kind(img);
	if (img->kind != IMP_ELF_OBJECT)
		return;
	if (img->n_first < sizeof(img->first)) {
		set_damage(img, true, "is cut within its ELF header");
		return;
	}
	img->bits = img->first[EI_CLASS] == ELFCLASS32 ? 32 :
		    img->first[EI_CLASS] == ELFCLASS64 ? 64 :
							 0;
	img->big_endian = img->first[EI_DATA] == ELFDATA2MSB;
	img->osabi = img->first[EI_OSABI];
	img->abi_version = img->first[EI_ABIVERSION];
	if (!img->bits || (!img->big_endian && img->first[EI_DATA] != ELFDATA2LSB)) {
		set_damage(img, true, "has an ELF header of no known class or byte order");
		return;
	}
	img->header = read_header(img, &phoff, &phnum);
	if (!img->header) {
		img->partial = true;
		if (img->bytes.beyond)
			set_damage(img, true, "is cut within its ELF header");
		return;
	}
	segments = read_segments(img, phoff, phnum);
	img->partial |= !segments;
	if (segments) {
		s = segment(img, PT_INTERP);
		if (s && s->file_size && s->offset <= UINT64_MAX - s->file_size)
			img->interpreter = imp_elf_bytes_string(&img->bytes, s->offset,
								s->offset + s->file_size);
		read_dynamic(img);
		read_build_id(img);
		tell_libc(img);
	}
	tell_damage(img, segments);
}

int imp_elf_image_open(struct imp_elf_image *img, struct imp_arena *arena, const struct imp_host *h,
		       const char *path, struct imp_error *err)
{
	struct imp_elf_bytes bytes;
	int ret;

	memset(img, 0, sizeof(*img));
	ret = imp_elf_bytes_file(&bytes, arena, h, path, err);
	if (ret < 0)
		return ret;
	bytes.path = imp_arena_strndup(arena, path, strlen(path));
	imp_elf_image_read(img, &bytes);
	return 0;
}
