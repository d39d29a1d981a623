// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <strings.h>

#include "elf_decode.h"

#define SNIFF 512U /* first bytes by which a text is told from an HTML page */

static bool is_text(const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] < 0x20 ? !(p[i] == '\n' || p[i] == '\r' || p[i] == '\t' || p[i] == '\f' ||
				    p[i] == 0x1b) :
				  p[i] == 0x7f)
			return false;
	}
	return n > 0;
}

static bool contains(const uint8_t *p, size_t n, const char *what)
{
	size_t len = strlen(what), i;

	for (i = 0; n >= len && i <= n - len; i++) {
		if (strncasecmp((const char *)p + i, what, len) == 0)
			return true;
	}
	return false;
}

static bool starts(const uint8_t *p, size_t n, const char *what, size_t len)
{
	return n >= len && memcmp(p, what, len) == 0;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n && !p[n - 1])
		n--;
	return n == 0;
}

static bool is_macho(const uint8_t *p, size_t n)
{
	static const char magic[][4] = {"\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe",
					"\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe"};
	size_t i;

	for (i = 0; i < sizeof(magic) / sizeof(magic[0]); i++) {
		if (starts(p, n, magic[i], 4))
			return true;
	}
	return false;
}

static enum imp_elf_kind kind_of(const uint8_t *p, size_t n)
{
	size_t blank = 0;

	if (starts(p, n, "\177ELF", 4))
		return IMP_ELF_OBJECT;
	if (n < 4 && starts((const uint8_t *)"\177ELF", 4, (const char *)p, n))
		return IMP_ELF_OBJECT; /* cut within the magic number */
	if (starts(p, n, "!<arch>\n", 8) || starts(p, n, "!<thin>\n", 8))
		return IMP_ELF_ARCHIVE;
	if (is_macho(p, n))
		return IMP_ELF_MACHO;
	if (starts(p, n, "MZ", 2))
		return IMP_ELF_PE;
	if (starts(p, n, "PK\003\004", 4))
		return IMP_ELF_ZIP;
	if (starts(p, n, "\037\213", 2))
		return IMP_ELF_GZIP;
	if (all_zero(p, n))
		return IMP_ELF_ZEROS;
	if (!is_text(p, n))
		return IMP_ELF_OTHER;
	if (starts(p, n, "version https://git-lfs", 23))
		return IMP_ELF_LFS_POINTER;
	while (blank < n &&
	       (p[blank] == ' ' || p[blank] == '\n' || p[blank] == '\r' || p[blank] == '\t'))
		blank++;
	if (blank < n && p[blank] == '<' &&
	    (contains(p, n, "<!doctype html") || contains(p, n, "<html") || contains(p, n, "<head")))
		return IMP_ELF_HTML;
	if (contains(p, n, "GNU ld script") || contains(p, n, "INPUT(") ||
	    contains(p, n, "INPUT (") || contains(p, n, "GROUP ("))
		return IMP_ELF_LINKER_SCRIPT;
	return IMP_ELF_TEXT;
}

const char *imp_elf_kind_name(enum imp_elf_kind kind)
{
	switch (kind) {
	case IMP_ELF_UNKNOWN: return "a file of unknown content";
	case IMP_ELF_OBJECT: return "an ELF file";
	case IMP_ELF_EMPTY: return "an empty file";
	case IMP_ELF_TEXT: return "a text file";
	case IMP_ELF_HTML: return "an HTML page";
	case IMP_ELF_LFS_POINTER: return "a git-lfs pointer";
	case IMP_ELF_LINKER_SCRIPT: return "a linker script";
	case IMP_ELF_ARCHIVE: return "a static library (ar archive)";
	case IMP_ELF_MACHO: return "a macOS (Mach-O) file";
	case IMP_ELF_PE: return "a Windows (PE) file";
	case IMP_ELF_ZIP: return "a zip archive";
	case IMP_ELF_GZIP: return "a gzip file";
	case IMP_ELF_ZEROS: return "a file of zero bytes";
	case IMP_ELF_OTHER: break;
	}
	return "a file of no known format";
}

void imp_elf_image_tell_kind(struct imp_elf_image *img)
{
	const uint8_t *p;
	size_t got;

	if (!img->bytes.size) {
		img->kind = IMP_ELF_EMPTY;
		img->damage = "is empty";
		img->fatal = true;
		return;
	}
	p = imp_elf_bytes_some(&img->bytes, 0, SNIFF, &got);
	if (!p || !got) {
		img->kind = IMP_ELF_UNKNOWN;
		img->partial = true;
		return;
	}
	img->kind = kind_of(p, got);
	if (img->kind == IMP_ELF_OBJECT)
		return;
	img->fatal = true;
	img->damage = img->kind == IMP_ELF_LFS_POINTER ?
			      "is a git-lfs pointer: the file that it stands for was never fetched" :
			      imp_arena_printf(img->bytes.arena, "is no ELF file but %s",
					       imp_elf_kind_name(img->kind));
}

/* ---- what the loader makes of it -------------------------------------------------------------- */

const char *imp_elf_machine_name(uint16_t machine)
{
	static const struct {
		uint16_t machine;
		const char *name;
	} names[] = {
		{EM_X86_64, "x86-64"},	 {EM_386, "x86"},     {EM_AARCH64, "aarch64"},
		{EM_ARM, "arm"},	 {EM_PPC64, "ppc64"}, {EM_PPC, "ppc"},
		{EM_S390, "s390"},	 {EM_RISCV, "riscv"}, {EM_MIPS, "mips"},
		{EM_SPARCV9, "sparc64"}, {EM_SPARC, "sparc"}, {EM_IA_64, "ia64"},
		{EM_68K, "m68k"},	 {EM_ALPHA, "alpha"}, {EM_SH, "sh4"},
		{EM_PARISC, "hppa"},	 {258, "loongarch"},
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].machine == machine)
			return names[i].name;
	}
	return NULL;
}

const char *imp_elf_image_architecture(const struct imp_elf_image *img, struct imp_arena *a)
{
	const char *name = imp_elf_machine_name(img->machine);
	/* On these, byte order is told by the name or is the usual one. */
	bool usual = img->big_endian == (img->machine == EM_S390 || img->machine == EM_SPARCV9 ||
					 img->machine == EM_SPARC || img->machine == EM_PPC ||
					 img->machine == EM_68K || img->machine == EM_PARISC);
	const char *order = usual ? "" : img->big_endian ? "big-endian " : "little-endian ";

	if (!img->header)
		return "unknown";
	if (name)
		return imp_arena_printf(a, "%u-bit %s%s", img->bits, order, name);
	return imp_arena_printf(a, "%u-bit %smachine %u", img->bits, order, img->machine);
}

static bool same_class(const struct imp_elf_image *img, unsigned int bits)
{
	return img->first[EI_CLASS] == (bits == 32 ? ELFCLASS32 : ELFCLASS64);
}

/* The tests of open_verify() on e_ident, in its order. */
static enum imp_elf_refusal judge_ident(const struct imp_elf_image *img, unsigned int bits,
					bool big_endian, const char **text)
{
	static const uint8_t zeros[EI_NIDENT - EI_PAD];

	*text = NULL;
	if (img->kind != IMP_ELF_OBJECT) {
		*text = "invalid ELF header";
		return IMP_ELF_REFUSED;
	}
	if (!same_class(img, bits))
		return IMP_ELF_OTHER_CLASS;
	if (img->first[EI_DATA] != (big_endian ? ELFDATA2MSB : ELFDATA2LSB))
		*text = big_endian ? "ELF file data encoding not big-endian" :
				     "ELF file data encoding not little-endian";
	else if (img->first[EI_VERSION] != EV_CURRENT)
		*text = "ELF file version ident does not match current one";
	else if (img->osabi != ELFOSABI_SYSV && img->osabi != ELFOSABI_GNU)
		*text = "ELF file OS ABI invalid";
	else if (img->abi_version && (img->osabi != ELFOSABI_GNU || img->abi_version > 4))
		*text = "ELF file ABI version invalid";
	else if (memcmp(img->first + EI_PAD, zeros, sizeof(zeros)) != 0)
		*text = "nonzero padding in e_ident";
	return *text ? IMP_ELF_REFUSED : IMP_ELF_ACCEPTED;
}

enum imp_elf_refusal imp_elf_image_refusal(const struct imp_elf_image *img, unsigned int bits,
					   uint16_t machine, bool big_endian, const char **text,
					   const char **why)
{
	size_t phdr = bits == 32 ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);
	struct imp_arena *a = img->bytes.arena;
	enum imp_elf_refusal r;

	*text = *why = NULL;
	if (img->kind == IMP_ELF_UNKNOWN)
		return IMP_ELF_ACCEPTED; /* nothing is known against it */
	if (img->bytes.size < (bits == 32 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr))) {
		*text = "file too short";
		*why = img->damage ? img->damage : "is shorter than an ELF header";
		return IMP_ELF_REFUSED;
	}
	r = judge_ident(img, bits, big_endian, text);
	if (r == IMP_ELF_ACCEPTED && img->header) {
		if (img->version != EV_CURRENT)
			*text = "ELF file version does not match current one";
		else if (img->machine != machine)
			r = IMP_ELF_OTHER_MACHINE;
		else if (img->type != ET_DYN && img->type != ET_EXEC)
			*text = "only ET_DYN and ET_EXEC can be loaded";
		else if (img->phentsize != phdr)
			*text = "ELF file's phentsize not the expected size";
		else if (!img->segments.n && img->bytes.beyond)
			*text = "cannot read file data";
		if (*text)
			r = IMP_ELF_REFUSED;
	}
	if (r == IMP_ELF_OTHER_CLASS || r == IMP_ELF_OTHER_MACHINE)
		*why = imp_arena_printf(a, "is for another processor: %s",
					imp_elf_image_architecture(img, a));
	else if (r == IMP_ELF_REFUSED)
		*why = img->damage ? img->damage : imp_arena_printf(a, "is refused: %s", *text);
	return r;
}

const char *imp_elf_image_unmappable(const struct imp_elf_image *img, uint64_t page_size)
{
	size_t i, loads = 0;

	if (!img->header || !img->segments.n)
		return NULL;
	for (i = 0; i < img->segments.n; i++) {
		const struct imp_elf_segment *s = &img->segments.v[i];

		if (s->type != PT_LOAD)
			continue;
		loads++;
		if (page_size && s->align % page_size)
			return "ELF load command alignment not page-aligned";
		if (s->align && (s->address - s->offset) & (s->align - 1))
			return "ELF load command address/offset not properly aligned";
	}
	if (!loads)
		return "object file has no loadable segments";
	if (img->type == ET_EXEC)
		return "cannot dynamically load executable";
	if (img->flags_1 & DF_1_PIE)
		return "cannot dynamically load position-independent executable";
	if (!img->dynamic && !img->partial)
		return "object file has no dynamic section";
	return NULL;
}
