/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "elf_chunks.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "cbor_put.h"
#include "raw_syscall.h"
#include "recorder.h"

#include "poison.h"

#define TOTAL_MAX    (46 * 1024) /* bytes of all chunks of a file */
#define CHUNK_MAX    (24 * 1024)
#define HEAD_SIZE    4096 /* of the buffer: ELF header and program headers */
#define DYNAMIC_SIZE 4096 /* of the buffer: the dynamic segment */
#define SNIFF	     256  /* bytes of what is no ELF file */
#define NOTE_MAX     512
#define VERSIONS_MAX 4096
#define STRINGS_MAX  (16 * 1024) /* a larger string table is not kept whole */
#define UNDEFINED_MAX 400
#define STRING_MAX   512
#define RANGES_MAX   24
#define SCAN_MAX     (2 << 20) /* bytes of one table that are looked through */
#define INITS_MAX    8

_Static_assert(HEAD_SIZE + DYNAMIC_SIZE + CHUNK_MAX <= IMP_CHUNKS_BUFFER, "see struct file");

struct range {
	uint64_t begin, end; /* offsets in the file */
};

/* A table that the dynamic segment names. */
struct table {
	uint64_t address, offset, end; /* @end: offset of the end of its segment in the file */
};

enum { STRINGS, SYMBOLS, VERSYMS, NEEDS, DEFS, GNU_HASH, SYSV_HASH, TABLES };

struct file {
	struct imp_cbor *c;
	int fd;
	uint64_t size, deadline_ns;
	size_t left;   /* bytes that may still be put */
	char *head;    /* HEAD_SIZE bytes */
	ElfW(Dyn) *dyn; /* DYNAMIC_SIZE bytes */
	char *work;    /* CHUNK_MAX bytes: the chunk at hand */
	const ElfW(Phdr) * phdr;
	unsigned int phnum, dyn_count;
	struct table tables[TABLES];
	uint64_t strings_size;
	unsigned int range_count;
	struct range ranges[RANGES_MAX];
};

/* ---- reading and putting -------------------------------------------------------------------------- */

/* As much of [@offset, @offset + @len) as there is; 0 too where it is late. */
static size_t read_at(const struct file *f, void *to, size_t len, uint64_t offset)
{
	size_t done = 0;
	long ret;

	if (offset >= f->size || imp_now_ns() > f->deadline_ns)
		return 0;
	if (len > f->size - offset)
		len = f->size - offset;
	while (done < len) {
		ret = imp_sys(SYS_pread64, f->fd, (long)((char *)to + done), (long)(len - done),
			      (long)(offset + done), 0);
		if (ret == -EINTR)
			continue;
		if (ret <= 0)
			break;
		done += (size_t)ret;
	}
	return done;
}

static void put(struct file *f, uint64_t offset, const void *data, size_t len)
{
	struct imp_cbor_mark mark = imp_cbor_mark(f->c);

	if (!len || len > f->left)
		return;
	imp_cbor_array_begin(f->c);
	imp_cbor_uint(f->c, offset);
	imp_cbor_bytes(f->c, data, len);
	imp_cbor_array_end(f->c);
	if (f->c->overflow)
		imp_cbor_rewind(f->c, mark);
	else
		f->left -= len;
}

static void want(struct file *f, uint64_t offset, uint64_t len)
{
	if (offset >= f->size || !len || f->range_count == RANGES_MAX)
		return;
	if (len > f->size - offset)
		len = f->size - offset;
	if (len > CHUNK_MAX)
		len = CHUNK_MAX;
	f->ranges[f->range_count++] = (struct range){.begin = offset, .end = offset + len};
}

/* Sorts the ranges and joins those that touch, so that what was asked for lies in one chunk. */
static uint64_t join_ranges(struct file *f)
{
	struct range *r = f->ranges;
	unsigned int i, j, kept = 0;
	uint64_t total = 0;

	for (i = 1; i < f->range_count; i++) {
		struct range moved = r[i];

		for (j = i; j && r[j - 1].begin > moved.begin; j--)
			r[j] = r[j - 1];
		r[j] = moved;
	}
	for (i = 0; i < f->range_count; i++) {
		struct range *last = kept ? &r[kept - 1] : NULL;
		uint64_t end = last && last->end > r[i].end ? last->end : r[i].end;

		if (last && r[i].begin <= last->end && end - last->begin <= CHUNK_MAX)
			last->end = end;
		else
			r[kept++] = r[i];
	}
	f->range_count = kept;
	for (i = 0; i < kept; i++)
		total += r[i].end - r[i].begin;
	return total;
}

static void put_ranges(struct file *f)
{
	unsigned int i;

	for (i = 0; i < f->range_count; i++) {
		const struct range *r = &f->ranges[i];

		put(f, r->begin, f->work, read_at(f, f->work, (size_t)(r->end - r->begin), r->begin));
	}
	f->range_count = 0;
}

/* One string of the string table, with its NUL. */
static void put_string(struct file *f, uint64_t index)
{
	const struct table *t = &f->tables[STRINGS];
	char text[STRING_MAX];
	size_t len, got;

	if (!t->address || index >= t->end - t->offset || f->left < 2 * STRING_MAX)
		return;
	got = read_at(f, text, sizeof(text), t->offset + index);
	len = strnlen(text, got);
	put(f, t->offset + index, text, len < got ? len + 1 : len);
}

/* ---- where things are ----------------------------------------------------------------------------- */

static bool find_offset(const struct file *f, uint64_t address, struct table *t)
{
	unsigned int i;

	for (i = 0; i < f->phnum; i++) {
		const ElfW(Phdr) *p = &f->phdr[i];

		if (p->p_type != PT_LOAD || address < p->p_vaddr ||
		    address - p->p_vaddr >= p->p_filesz || p->p_offset >= f->size)
			continue;
		*t = (struct table){.address = address,
				    .offset = p->p_offset + (address - p->p_vaddr),
				    .end = p->p_filesz > f->size - p->p_offset ?
						   f->size :
						   p->p_offset + p->p_filesz};
		return t->offset < t->end;
	}
	return false;
}

/* Nothing says how long most tables are; but they end at the latest where the next thing begins. */
static uint64_t room_for(const struct file *f, const struct table *t)
{
	uint64_t next = t->address + (t->end - t->offset);
	unsigned int i;

	for (i = 0; i < f->dyn_count; i++) {
		const uint64_t value = f->dyn[i].d_un.d_ptr;

		switch (f->dyn[i].d_tag) {
		case DT_STRTAB:
		case DT_SYMTAB:
		case DT_HASH:
		case DT_GNU_HASH:
		case DT_VERSYM:
		case DT_VERNEED:
		case DT_VERDEF:
		case DT_RELA:
		case DT_REL:
		case DT_RELR:
		case DT_JMPREL:
		case DT_INIT:
		case DT_FINI:
		case DT_INIT_ARRAY:
		case DT_FINI_ARRAY:
		case DT_PLTGOT:
			if (value > t->address && value < next)
				next = value;
			break;
		default: break;
		}
	}
	return next - t->address;
}

static bool read_dynamic(struct file *f)
{
	static const struct {
		ElfW(Sxword) tag;
		unsigned int table;
	} tags[] = {{DT_STRTAB, STRINGS}, {DT_SYMTAB, SYMBOLS},	  {DT_VERSYM, VERSYMS}, {DT_VERNEED, NEEDS},
		    {DT_VERDEF, DEFS},	  {DT_GNU_HASH, GNU_HASH}, {DT_HASH, SYSV_HASH}};
	unsigned int i, j;
	size_t got = 0;

	for (i = 0; i < f->phnum && !got; i++) {
		if (f->phdr[i].p_type != PT_DYNAMIC)
			continue;
		got = f->phdr[i].p_filesz < DYNAMIC_SIZE ? f->phdr[i].p_filesz : DYNAMIC_SIZE;
		got = read_at(f, f->dyn, got, f->phdr[i].p_offset);
		want(f, f->phdr[i].p_offset, got);
	}
	while ((f->dyn_count + 1) * sizeof(*f->dyn) <= got &&
	       f->dyn[f->dyn_count].d_tag != DT_NULL)
		f->dyn_count++;
	for (i = 0; i < f->dyn_count; i++) {
		if (f->dyn[i].d_tag == DT_STRSZ)
			f->strings_size = f->dyn[i].d_un.d_val;
		for (j = 0; j < sizeof(tags) / sizeof(tags[0]); j++) {
			if (f->dyn[i].d_tag == tags[j].tag &&
			    !find_offset(f, f->dyn[i].d_un.d_ptr, &f->tables[tags[j].table]))
				f->tables[tags[j].table] = (struct table){.address = 0};
		}
	}
	return f->dyn_count > 0;
}

/* ---- tables that are kept in part ----------------------------------------------------------------- */

static void put_version_names(struct file *f, const struct table *t, bool needs)
{
	size_t got, at = 0, aux;
	unsigned int i, j;

	if (!t->address)
		return;
	got = read_at(f, f->work, VERSIONS_MAX, t->offset);
	for (i = 0; i < 64 && at + sizeof(ElfW(Verdef)) <= got; i++) {
		ElfW(Verneed) need;
		ElfW(Verdef) def;
		size_t next, count;

		memcpy(&need, f->work + at, sizeof(need));
		memcpy(&def, f->work + at, sizeof(def));
		if (needs)
			put_string(f, need.vn_file);
		next = needs ? need.vn_next : def.vd_next;
		count = needs ? need.vn_cnt : def.vd_cnt;
		aux = at + (needs ? need.vn_aux : def.vd_aux);
		for (j = 0; j < count && j < 64 && aux < got && got - aux >= sizeof(ElfW(Vernaux));
		     j++) {
			ElfW(Vernaux) a;
			ElfW(Verdaux) d;

			memcpy(&a, f->work + aux, sizeof(a));
			memcpy(&d, f->work + aux, sizeof(d));
			put_string(f, needs ? a.vna_name : d.vda_name);
			if (!(needs ? a.vna_next : d.vda_next))
				break;
			aux += needs ? a.vna_next : d.vda_next;
		}
		if (!next || next > got)
			break;
		at += next;
	}
}

/* Symbols before the first hashed one are those that it needs. */
static uint32_t count_undefined(const struct file *f)
{
	uint32_t header[4];

	if (!f->tables[GNU_HASH].address ||
	    read_at(f, header, sizeof(header), f->tables[GNU_HASH].offset) < sizeof(header))
		return UNDEFINED_MAX;
	return header[1] < UNDEFINED_MAX ? header[1] : UNDEFINED_MAX;
}

static void put_symbol_names(struct file *f, uint32_t count)
{
	const size_t size = sizeof(ElfW(Sym));
	size_t got = read_at(f, f->work, count * size, f->tables[SYMBOLS].offset), i;

	for (i = 0; i + size <= got; i += size) {
		ElfW(Sym) sym;

		memcpy(&sym, f->work + i, size);
		if (sym.st_name && sym.st_shndx == SHN_UNDEF)
			put_string(f, sym.st_name);
	}
}

/* Where in the string table do names of init functions begin? */
static unsigned int find_inits(struct file *f, uint32_t *names)
{
	static const char prefix[] = "\0PyInit";
	const size_t len = sizeof(prefix) - 1;
	const struct table *t = &f->tables[STRINGS];
	uint64_t size = t->end - t->offset, at;
	unsigned int count = 0;

	if (f->strings_size < size)
		size = f->strings_size;
	if (size > SCAN_MAX)
		size = SCAN_MAX;
	for (at = 0; at + len < size && count < INITS_MAX; at += CHUNK_MAX - len) {
		size_t part = size - at < CHUNK_MAX ? (size_t)(size - at) : CHUNK_MAX;
		const size_t got = read_at(f, f->work, part, t->offset + at);
		const char *p = f->work, *end = f->work + got;

		while (count < INITS_MAX && (size_t)(end - p) > len) {
			p = memchr(p, 'P', (size_t)(end - p) - (len - 1));
			if (!p)
				break;
			if (p > f->work && !memcmp(p - 1, prefix, len))
				names[count++] = (uint32_t)(at + (size_t)(p - f->work));
			p++;
		}
		if (got < part)
			break;
	}
	return count;
}

static void put_inits(struct file *f)
{
	const struct table *t = &f->tables[SYMBOLS];
	const size_t size = sizeof(ElfW(Sym)), window = CHUNK_MAX - CHUNK_MAX % size;
	uint64_t room = room_for(f, t), at;
	uint32_t names[INITS_MAX];
	unsigned int count = find_inits(f, names), i;

	for (i = 0; i < count; i++)
		put_string(f, names[i]);
	if (room > SCAN_MAX)
		room = SCAN_MAX;
	for (at = 0; count && at < room; at += window) {
		size_t part = room - at < window ? (size_t)(room - at) : window, j;
		const size_t got = read_at(f, f->work, part, t->offset + at);

		for (j = 0; j + size <= got; j += size) {
			ElfW(Sym) sym;

			memcpy(&sym, f->work + j, size);
			for (i = 0; i < count; i++) {
				if (sym.st_name == names[i] && sym.st_shndx != SHN_UNDEF)
					put(f, t->offset + at + j, f->work + j, size);
			}
		}
		if (got < part)
			break;
	}
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static void want_whole(struct file *f, unsigned int table, uint64_t size)
{
	const struct table *t = &f->tables[table];

	if (t->address)
		want(f, t->offset, size < t->end - t->offset ? size : t->end - t->offset);
}

/* What every answer needs, whatever the size of the tables. */
static void want_basics(struct file *f)
{
	unsigned int i, notes = 0;

	for (i = 0; i < f->phnum; i++) {
		const ElfW(Phdr) *p = &f->phdr[i];

		if (p->p_type == PT_INTERP || (p->p_type == PT_NOTE && notes++ < 4))
			want(f, p->p_offset, p->p_filesz < NOTE_MAX ? p->p_filesz : NOTE_MAX);
	}
	for (i = NEEDS; i <= DEFS; i++) {
		const uint64_t room = f->tables[i].address ? room_for(f, &f->tables[i]) : 0;

		want_whole(f, i, room < VERSIONS_MAX ? room : VERSIONS_MAX);
	}
}

/* Do all tables fit, each of them whole? Then they are wanted. */
static bool want_tables(struct file *f)
{
	const unsigned int before = f->range_count;
	struct range kept[RANGES_MAX];
	unsigned int i;

	memcpy(kept, f->ranges, before * sizeof(kept[0]));
	want_whole(f, STRINGS, f->strings_size);
	for (i = 0; i < TABLES; i++) {
		const uint64_t room = f->tables[i].address ? room_for(f, &f->tables[i]) : 0;

		if (i == STRINGS || i == NEEDS || i == DEFS)
			continue;
		if (room > CHUNK_MAX)
			goto too_large;
		want_whole(f, i, room);
	}
	if (f->strings_size <= CHUNK_MAX && join_ranges(f) <= f->left)
		return true;
too_large:
	memcpy(f->ranges, kept, before * sizeof(kept[0]));
	f->range_count = before;
	return false;
}

static void put_parts(struct file *f)
{
	const uint32_t undefined = count_undefined(f);
	unsigned int i;

	want_whole(f, GNU_HASH, 16);
	want_whole(f, SYMBOLS, undefined * sizeof(ElfW(Sym)));
	want_whole(f, VERSYMS, undefined * sizeof(ElfW(Half)));
	if (f->strings_size <= STRINGS_MAX)
		want_whole(f, STRINGS, f->strings_size);
	join_ranges(f);
	put_ranges(f);
	if (!f->tables[STRINGS].address || !f->tables[SYMBOLS].address)
		return;
	if (f->strings_size > STRINGS_MAX) {
		for (i = 0; i < f->dyn_count; i++) {
			const ElfW(Sxword) tag = f->dyn[i].d_tag;

			if (tag == DT_NEEDED || tag == DT_SONAME || tag == DT_RPATH ||
			    tag == DT_RUNPATH)
				put_string(f, f->dyn[i].d_un.d_val);
		}
		put_version_names(f, &f->tables[NEEDS], true);
		put_version_names(f, &f->tables[DEFS], false);
	}
	put_inits(f);
	if (f->strings_size > STRINGS_MAX)
		put_symbol_names(f, undefined);
}

/* Its program headers, wherever they are; false: not a file to be read further. */
static bool read_headers(struct file *f, size_t got)
{
	const unsigned char *ident = (const unsigned char *)f->head;
	ElfW(Ehdr) header;
	uint64_t len;

	if (got < EI_NIDENT || memcmp(ident, ELFMAG, SELFMAG) != 0) {
		want(f, 0, SNIFF);
		return false;
	}
	memcpy(&header, f->head, sizeof(header));
	if (got < sizeof(header) || ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
	    ident[EI_DATA] != (__BYTE_ORDER == __LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB) ||
	    header.e_phentsize != sizeof(ElfW(Phdr))) {
		want(f, 0, 2 * SNIFF);
		return false;
	}
	want(f, 0, sizeof(header));
	len = (uint64_t)header.e_phnum * sizeof(ElfW(Phdr));
	if (len > HEAD_SIZE)
		len = HEAD_SIZE;
	want(f, header.e_phoff, len);
	len = read_at(f, f->head, (size_t)len, header.e_phoff);
	f->phdr = (const ElfW(Phdr) *)f->head;
	f->phnum = (unsigned int)(len / sizeof(ElfW(Phdr)));
	return f->phnum > 0;
}

void imp_elf_chunks_put(struct imp_cbor *c, int fd, uint64_t size, char *buf, uint64_t deadline_ns)
{
	struct file f = {.c = c,
			 .fd = fd,
			 .size = size,
			 .deadline_ns = deadline_ns,
			 .left = TOTAL_MAX,
			 .head = buf,
			 .dyn = (ElfW(Dyn) *)(buf + HEAD_SIZE),
			 .work = buf + HEAD_SIZE + DYNAMIC_SIZE};
	const size_t got = read_at(&f, f.head, sizeof(ElfW(Ehdr)), 0);

	if (read_headers(&f, got)) {
		const bool dynamic = read_dynamic(&f);

		want_basics(&f);
		if (dynamic && !want_tables(&f)) {
			put_parts(&f);
			return;
		}
	}
	join_ranges(&f);
	put_ranges(&f);
}
