// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf_symbol.h"

#include <errno.h>
#include <string.h>

#include "elf_decode.h"

#define SYMBOLS_MAX (4U << 20) /* the largest libraries have some 200,000 */
#define NEAR_LENGTH 512U       /* bytes of a name that are compared */

struct imp_elf_symbols {
	bool usable;
	uint32_t count;	       /* of the symbols that can be read */
	uint32_t first_hashed; /* symbols before it are not in the GNU hash table */
	const uint8_t *symbols;
	const char *strings;
	uint64_t strings_size;
	const uint8_t *versyms; /* NULL: none */
	const char **def_names; /* by index; NULL entries: none */
	uint32_t n_defs;
	const struct imp_elf_version_need **needs; /* by index; NULL entries: none */
	uint32_t n_needs;
	const uint8_t *gnu, *gnu_buckets, *gnu_chain; /* NULL: use sysv */
	uint32_t gnu_n_buckets;
	const uint8_t *sysv; /* buckets, then chain */
	uint32_t sysv_n_buckets;
};

static size_t symbol_size(const struct imp_elf_image *img)
{
	return img->bits == 32 ? sizeof(Elf32_Sym) : sizeof(Elf64_Sym);
}

/* ---- tables --------------------------------------------------------------------------------------- */

static const uint8_t *table(struct imp_elf_image *img, const struct imp_elf_table *t, uint64_t skip,
			    uint64_t len)
{
	if (!t->known || skip > t->limit - t->offset || len > t->limit - t->offset - skip)
		return NULL;
	return imp_elf_bytes_at(&img->bytes, t->offset + skip, len);
}

/* Nothing names the size of the symbol table; a SysV hash table has as many chain entries. */
static bool load_sysv(struct imp_elf_image *img, struct imp_elf_symbols *s)
{
	const uint8_t *p = table(img, &img->sysv_hash, 0, 8);
	uint32_t buckets, chain;

	if (!p)
		return false;
	buckets = imp_elf_u32(img, p);
	chain = imp_elf_u32(img, p + 4);
	s->sysv = table(img, &img->sysv_hash, 8, ((uint64_t)buckets + chain) * 4);
	if (!s->sysv || chain > SYMBOLS_MAX)
		return false;
	s->sysv_n_buckets = buckets;
	s->count = chain;
	return true;
}

/* The last chain of a GNU hash table ends with the last symbol. */
static bool load_gnu(struct imp_elf_image *img, struct imp_elf_symbols *s)
{
	const uint8_t *p = table(img, &img->gnu_hash, 0, 16), *q;
	uint32_t buckets, bloom, i, last = 0, entry;
	uint64_t at, available;

	if (!p)
		return false;
	buckets = imp_elf_u32(img, p);
	s->first_hashed = imp_elf_u32(img, p + 4);
	bloom = imp_elf_u32(img, p + 8);
	at = 16 + (uint64_t)bloom * (img->bits / 8);
	s->gnu_buckets = table(img, &img->gnu_hash, at, (uint64_t)buckets * 4);
	if (!s->gnu_buckets || !buckets)
		return false;
	s->gnu_n_buckets = buckets;
	for (i = 0; i < buckets; i++) {
		entry = imp_elf_u32(img, s->gnu_buckets + 4 * (size_t)i);
		if (entry > last)
			last = entry;
	}
	s->gnu = p;
	at += (uint64_t)buckets * 4;
	if (!last) { /* it exports nothing */
		s->gnu_chain = s->gnu_buckets;
		s->count = 0;
		return true;
	}
	if (last < s->first_hashed || last > SYMBOLS_MAX)
		return false;
	available = img->gnu_hash.limit - img->gnu_hash.offset - at;
	for (;; last++) {
		if (last > SYMBOLS_MAX || ((uint64_t)last - s->first_hashed + 1) * 4 > available)
			return false;
		q = table(img, &img->gnu_hash, at + ((uint64_t)last - s->first_hashed) * 4, 4);
		if (!q)
			return false;
		if (imp_elf_u32(img, q) & 1)
			break;
	}
	s->gnu_chain = table(img, &img->gnu_hash, at, ((uint64_t)last - s->first_hashed + 1) * 4);
	s->count = last + 1;
	return s->gnu_chain != NULL;
}

/* A section header says it too, in files that have kept them. */
static uint32_t count_from_sections(struct imp_elf_image *img)
{
	size_t size = img->bits == 32 ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr), i;
	const uint8_t *p;
	union {
		Elf32_Shdr s32;
		Elf64_Shdr s64;
	} h;

	if (!img->n_sections || img->section_size != size)
		return 0;
	p = imp_elf_bytes_at(&img->bytes, img->section_offset, (uint64_t)img->n_sections * size);
	for (i = 0; p && i < img->n_sections; i++) {
		uint64_t type, offset, len;

		if (!imp_elf_translate(img, ELF_T_SHDR, p + i * size, &h, size))
			return 0;
		type = img->bits == 32 ? h.s32.sh_type : h.s64.sh_type;
		offset = img->bits == 32 ? h.s32.sh_offset : h.s64.sh_offset;
		len = img->bits == 32 ? h.s32.sh_size : h.s64.sh_size;
		if (type == SHT_DYNSYM && offset == img->symbols.offset &&
		    len / symbol_size(img) <= SYMBOLS_MAX)
			return (uint32_t)(len / symbol_size(img));
	}
	return 0;
}

/* Where neither helps: linkers put the strings right behind the symbols. */
static uint32_t count_from_strings(const struct imp_elf_image *img)
{
	uint64_t n;

	if (!img->strings.known || img->strings.offset <= img->symbols.offset)
		return 0;
	n = (img->strings.offset - img->symbols.offset) / symbol_size(img);
	return n <= SYMBOLS_MAX ? (uint32_t)n : 0;
}

static void load_needs(struct imp_elf_image *img, struct imp_elf_symbols *s)
{
	size_t i;

	for (i = 0; i < img->version_needs.n; i++) {
		if (img->version_needs.v[i].index >= s->n_needs)
			s->n_needs = img->version_needs.v[i].index + 1U;
	}
	if (!s->n_needs)
		return;
	s->needs = imp_arena_alloc(img->bytes.arena, s->n_needs * sizeof(*s->needs));
	for (i = 0; i < img->version_needs.n; i++) {
		if (!s->needs[img->version_needs.v[i].index])
			s->needs[img->version_needs.v[i].index] = &img->version_needs.v[i];
	}
}

static void load_def_names(struct imp_elf_image *img, struct imp_elf_symbols *s)
{
	size_t i;

	for (i = 0; i < img->version_defs.n; i++) {
		if (img->version_defs.v[i].index >= s->n_defs)
			s->n_defs = img->version_defs.v[i].index + 1U;
	}
	if (!s->n_defs)
		return;
	s->def_names = imp_arena_alloc(img->bytes.arena, s->n_defs * sizeof(*s->def_names));
	for (i = 0; i < img->version_defs.n; i++) {
		if (!img->version_defs.v[i].base)
			s->def_names[img->version_defs.v[i].index] = img->version_defs.v[i].version;
	}
}

static struct imp_elf_symbols *load(struct imp_elf_image *img)
{
	struct imp_elf_symbols *s = img->loaded;
	uint32_t other = 0;
	uint64_t len;

	if (s)
		return s->usable ? s : NULL;
	s = imp_arena_alloc(img->bytes.arena, sizeof(*s));
	img->loaded = s;
	if (!img->header || !img->dynamic || !img->symbols.known || !img->strings.known)
		return NULL;
	if (!load_gnu(img, s)) {
		s->gnu = NULL;
		s->first_hashed = 0;
		s->count = 0;
	}
	if (!s->count || !s->gnu) {
		struct imp_elf_symbols sysv = {0};

		if (load_sysv(img, &sysv)) {
			s->sysv = sysv.sysv;
			s->sysv_n_buckets = sysv.sysv_n_buckets;
			s->count = sysv.count;
		}
	}
	if (!s->gnu && !s->sysv)
		return NULL;
	if (!s->count) {
		other = count_from_sections(img);
		s->count = other ? other : count_from_strings(img);
		if (s->gnu)
			s->first_hashed = s->count; /* all of them are undefined */
	}
	s->symbols = table(img, &img->symbols, 0, (uint64_t)s->count * symbol_size(img));
	len = img->strings.limit - img->strings.offset;
	if (img->strings_size && img->strings_size < len)
		len = img->strings_size;
	s->strings = (const char *)table(img, &img->strings, 0, len);
	s->strings_size = len;
	if (!s->symbols || !s->strings)
		return NULL;
	if (img->versyms.known)
		s->versyms = table(img, &img->versyms, 0, (uint64_t)s->count * 2);
	load_def_names(img, s);
	load_needs(img, s);
	s->usable = true;
	return s;
}

/* ---- one symbol --------------------------------------------------------------------------------- */

struct raw_symbol {
	uint32_t name;
	uint8_t info, other;
	uint16_t section;
	uint64_t value, size;
};

static bool get(const struct imp_elf_image *img, const struct imp_elf_symbols *s, uint32_t index,
		struct raw_symbol *out)
{
	size_t size = symbol_size(img);
	union {
		Elf32_Sym s32;
		Elf64_Sym s64;
	} h;

	if (index >= s->count ||
	    !imp_elf_translate(img, ELF_T_SYM, s->symbols + (size_t)index * size, &h, size))
		return false;
#define FIELDS(e)                                                                        \
	*out = (struct raw_symbol)                                                       \
	{                                                                                \
		(e)->st_name, (e)->st_info, (e)->st_other, (e)->st_shndx, (e)->st_value, \
			(e)->st_size                                                     \
	}
	if (img->bits == 32)
		FIELDS(&h.s32);
	else
		FIELDS(&h.s64);
#undef FIELDS
	return true;
}

static const char *name_of(const struct imp_elf_symbols *s, const struct raw_symbol *raw)
{
	if (raw->name >= s->strings_size ||
	    !memchr(s->strings + raw->name, 0, (size_t)(s->strings_size - raw->name)))
		return NULL;
	return s->strings + raw->name;
}

/* Can another object bind to it? */
static bool is_exported(const struct raw_symbol *raw)
{
	unsigned int type = ELF64_ST_TYPE(raw->info), bind = ELF64_ST_BIND(raw->info);
	unsigned int visibility = ELF64_ST_VISIBILITY(raw->other);

	if (raw->section == SHN_UNDEF || (!raw->value && raw->section != SHN_ABS && type != STT_TLS))
		return false;
	if (visibility == STV_HIDDEN || visibility == STV_INTERNAL)
		return false;
	if (bind != STB_GLOBAL && bind != STB_WEAK && bind != STB_GNU_UNIQUE)
		return false;
	return type == STT_NOTYPE || type == STT_OBJECT || type == STT_FUNC || type == STT_COMMON ||
	       type == STT_TLS || type == STT_GNU_IFUNC;
}

static uint16_t version_index(const struct imp_elf_image *img, const struct imp_elf_symbols *s,
			      uint32_t index, bool *hidden)
{
	uint16_t v = s->versyms ? imp_elf_u16(img, s->versyms + 2 * (size_t)index) : VER_NDX_GLOBAL;

	*hidden = v & 0x8000;
	return v & 0x7fff;
}

static void describe(const struct imp_elf_image *img, const struct imp_elf_symbols *s,
		     uint32_t index, const struct raw_symbol *raw, struct imp_elf_symbol *out)
{
	bool hidden;
	uint16_t v = version_index(img, s, index, &hidden);

	memset(out, 0, sizeof(*out));
	out->name = name_of(s, raw);
	out->weak = ELF64_ST_BIND(raw->info) == STB_WEAK;
	out->type = ELF64_ST_TYPE(raw->info);
	out->value = raw->value;
	out->size = raw->size;
	out->hidden = hidden;
	if (raw->section != SHN_UNDEF) {
		out->version = v < s->n_defs ? s->def_names[v] : NULL;
		return;
	}
	if (v >= 2 && v < s->n_needs && s->needs[v]) {
		out->version = s->needs[v]->version;
		out->file = s->needs[v]->file;
	}
}

/* ---- look-up ---------------------------------------------------------------------------------------- */

struct search {
	const char *name, *version;
	bool any_version;
	uint32_t found;	       /* index; 0: none */
	uint32_t only_default; /* a default version of higher number */
	unsigned int n_defaults;
	struct imp_elf_symbol_list *all; /* NULL: stop at the first */
};

/* check_match(): is this the symbol that the reference means? */
static bool matches(const struct imp_elf_image *img, const struct imp_elf_symbols *s,
		    uint32_t index, struct search *search)
{
	const char *name, *version;
	struct raw_symbol raw;
	bool hidden;
	uint16_t v;

	if (!get(img, s, index, &raw) || !is_exported(&raw))
		return false;
	name = name_of(s, &raw);
	if (!name || strcmp(name, search->name) != 0)
		return false;
	if (search->any_version) {
		describe(img, s, index, &raw, imp_vec_push(img->bytes.arena, search->all));
		return false;
	}
	if (!s->versyms)
		return true;
	v = version_index(img, s, index, &hidden);
	version = v < s->n_defs ? s->def_names[v] : NULL;
	if (search->version)
		return version ? strcmp(version, search->version) == 0 : !hidden;
	/* No version was asked for: the base definition or the oldest version; else the only default. */
	if (v <= 2)
		return true;
	if (!hidden && search->n_defaults++ == 0)
		search->only_default = index;
	return false;
}

static uint32_t gnu_hash(const char *name)
{
	uint32_t h = 5381;

	while (*name)
		h = h * 33 + (unsigned char)*name++;
	return h;
}

static uint32_t sysv_hash(const char *name)
{
	uint32_t h = 0, high;

	while (*name) {
		h = (h << 4) + (unsigned char)*name++;
		high = h & 0xf0000000;
		h ^= high >> 24;
		h &= ~high;
	}
	return h;
}

static void walk_gnu(const struct imp_elf_image *img, const struct imp_elf_symbols *s,
		     struct search *search)
{
	uint32_t hash = gnu_hash(search->name), index, value;

	index = imp_elf_u32(img, s->gnu_buckets + 4 * (size_t)(hash % s->gnu_n_buckets));
	if (index < s->first_hashed || !index)
		return;
	for (; index < s->count; index++) {
		value = imp_elf_u32(img, s->gnu_chain + 4 * (size_t)(index - s->first_hashed));
		if ((value | 1) == (hash | 1) && matches(img, s, index, search)) {
			search->found = index;
			return;
		}
		if (value & 1)
			return;
	}
}

static void walk_sysv(const struct imp_elf_image *img, const struct imp_elf_symbols *s,
		      struct search *search)
{
	uint32_t index, steps;

	if (!s->sysv_n_buckets)
		return;
	index = imp_elf_u32(img,
			    s->sysv + 4 * (size_t)(sysv_hash(search->name) % s->sysv_n_buckets));
	/* A chain that bites its own tail ends after as many steps as there are symbols. */
	for (steps = 0; index && index < s->count && steps < s->count; steps++) {
		if (matches(img, s, index, search)) {
			search->found = index;
			return;
		}
		index = imp_elf_u32(img, s->sysv + 4 * ((size_t)s->sysv_n_buckets + index));
	}
}

static void look_up(const struct imp_elf_image *img, const struct imp_elf_symbols *s,
		    struct search *search)
{
	if (s->gnu)
		walk_gnu(img, s, search);
	else
		walk_sysv(img, s, search);
	if (!search->found && search->n_defaults == 1)
		search->found = search->only_default;
}

int imp_elf_symbol_find(struct imp_elf_image *img, const char *name, const char *version,
			struct imp_elf_symbol *out)
{
	struct imp_elf_symbols *s = load(img);
	struct search search = {.name = name, .version = version};
	struct raw_symbol raw;

	if (!s)
		return -ENODATA;
	look_up(img, s, &search);
	if (!search.found)
		return 0;
	if (out && get(img, s, search.found, &raw))
		describe(img, s, search.found, &raw, out);
	return 1;
}

int imp_elf_symbol_versions(struct imp_elf_image *img, const char *name,
			    struct imp_elf_symbol_list *out)
{
	struct imp_elf_symbols *s = load(img);
	struct search search = {.name = name, .any_version = true, .all = out};
	size_t before = out->n;

	if (!s)
		return -ENODATA;
	look_up(img, s, &search);
	return (int)(out->n - before);
}

int imp_elf_symbol_undefined(struct imp_elf_image *img, struct imp_elf_symbol_list *out)
{
	struct imp_elf_symbols *s = load(img);
	struct raw_symbol raw;
	const char *name;
	uint32_t i;

	if (!s)
		return -ENODATA;
	for (i = 1; i < s->count; i++) {
		if (!get(img, s, i, &raw) || raw.section != SHN_UNDEF ||
		    ELF64_ST_BIND(raw.info) == STB_LOCAL)
			continue;
		name = name_of(s, &raw);
		if (name && *name)
			describe(img, s, i, &raw, imp_vec_push(img->bytes.arena, out));
	}
	return 0;
}

int imp_elf_symbol_exported(struct imp_elf_image *img, const char *prefix, size_t max,
			    struct imp_elf_symbol_list *out)
{
	struct imp_elf_symbols *s = load(img);
	size_t len = strlen(prefix);
	struct raw_symbol raw;
	const char *name;
	uint32_t i;

	if (!s)
		return -ENODATA;
	for (i = 1; i < s->count && (!max || out->n < max); i++) {
		if (!get(img, s, i, &raw) || !is_exported(&raw))
			continue;
		name = name_of(s, &raw);
		if (name && strncmp(name, prefix, len) == 0)
			describe(img, s, i, &raw, imp_vec_push(img->bytes.arena, out));
	}
	return 0;
}

/* Levenshtein's distance, given up beyond @limit. */
static size_t distance(const char *a, size_t n, const char *b, size_t m, size_t limit)
{
	uint16_t row[NEAR_LENGTH + 1];
	size_t i, j, best, before, old;

	if (n > NEAR_LENGTH || m > NEAR_LENGTH || (n > m ? n - m : m - n) > limit)
		return limit + 1;
	for (j = 0; j <= m; j++)
		row[j] = (uint16_t)j;
	for (i = 1; i <= n; i++) {
		before = row[0];
		best = row[0] = (uint16_t)i;
		for (j = 1; j <= m; j++) {
			size_t change = before + (a[i - 1] != b[j - 1]);

			old = row[j];
			if (change > old + 1)
				change = old + 1;
			if (change > row[j - 1] + 1U)
				change = row[j - 1] + 1U;
			row[j] = (uint16_t)change;
			if (change < best)
				best = change;
			before = old;
		}
		if (best > limit)
			return limit + 1;
	}
	return row[m];
}

int imp_elf_symbol_nearest(struct imp_elf_image *img, const char *name, size_t max,
			   struct imp_elf_symbol_list *out)
{
	struct imp_elf_symbols *s = load(img);
	size_t n = strlen(name), *far, kept = 0, at, d, len, limit;
	struct raw_symbol raw;
	const char *other;
	uint32_t i;

	if (!s)
		return -ENODATA;
	if (!max)
		return 0;
	far = imp_arena_alloc(img->bytes.arena, max * sizeof(*far));
	for (i = 1; i < s->count; i++) {
		if (!get(img, s, i, &raw) || !is_exported(&raw) || !(other = name_of(s, &raw)))
			continue;
		len = strnlen(other, NEAR_LENGTH + 1);
		limit = (len < n ? len : n) / 3;
		if (kept == max && far[kept - 1] < limit)
			limit = far[kept - 1];
		d = distance(name, n, other, len, limit);
		if (d > limit || (kept == max && d >= far[kept - 1]))
			continue;
		if (kept < max) {
			imp_vec_push(img->bytes.arena, out);
			kept++;
		}
		for (at = kept - 1; at && far[at - 1] > d; at--) {
			far[at] = far[at - 1];
			out->v[out->n - kept + at] = out->v[out->n - kept + at - 1];
		}
		far[at] = d;
		describe(img, s, i, &raw, &out->v[out->n - kept + at]);
	}
	return 0;
}

int imp_elf_symbol_at(struct imp_elf_image *img, uint64_t address, struct imp_elf_symbol *out)
{
	struct imp_elf_symbols *s = load(img);
	struct raw_symbol raw;
	uint32_t i;

	if (!s)
		return -ENODATA;
	for (i = 1; i < s->count; i++) {
		if (get(img, s, i, &raw) && is_exported(&raw) &&
		    ELF64_ST_TYPE(raw.info) != STT_TLS && address >= raw.value &&
		    address - raw.value < (raw.size ? raw.size : 1) && name_of(s, &raw)) {
			describe(img, s, i, &raw, out);
			return 1;
		}
	}
	return 0;
}
