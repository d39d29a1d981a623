// SPDX-License-Identifier: GPL-2.0-or-later
#include "ld_cache.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "../host/host.h"

#define CACHE_MAX   ((size_t)64 << 20)
#define ENTRIES_MAX 1000000U

#define OLD_MAGIC     "ld.so-1.7.0"
#define OLD_HEADER    16U /* magic, padding, number of entries */
#define OLD_ENTRY     12U /* flags, key, value */
#define NEW_MAGIC     "glibc-ld.so.cache1.1"
#define NEW_MAGIC_LEN 20U
#define NEW_HEADER    48U
#define NEW_ENTRY     24U /* flags, key, value, osversion, hwcap */

#define EXTENSION_MAGIC	    0xeaa42174U
#define EXTENSION_GENERATOR 0U
#define EXTENSION_HWCAPS    1U
#define EXTENSION_MAX	    64U
#define HWCAP_EXTENSION \
	(1U << 30) /* in the upper half of an entry's hwcap: the lower is an index */
#define HWCAP_ISA_LEVEL_MASK 0x3ffU
#define HWCAP_PLATFORM_MASK  ((uint64_t)0xf << 48)
#define HWCAP_TLS	     ((uint64_t)1 << 63)

/* ldconfig wrote it for its own machine: whatever byte order this one has, is checked before use. */
struct reader {
	const uint8_t *data;
	size_t len;
	bool swap;
};

static uint32_t u32(const struct reader *r, size_t at)
{
	uint32_t v;

	memcpy(&v, r->data + at, sizeof(v));
	return r->swap ? __builtin_bswap32(v) : v;
}

static uint64_t u64(const struct reader *r, size_t at)
{
	uint64_t v;

	memcpy(&v, r->data + at, sizeof(v));
	return r->swap ? __builtin_bswap64(v) : v;
}

/* A string of the file; @base: where its offsets count from. */
static const char *string_at(const struct reader *r, size_t base, uint64_t offset, size_t *len)
{
	const uint8_t *p, *end;

	if (offset >= r->len - base)
		return NULL;
	p = r->data + base + offset;
	end = memchr(p, 0, r->len - base - (size_t)offset);
	if (!end || end - p > 4096)
		return NULL;
	*len = (size_t)(end - p);
	return (const char *)p;
}

struct hwcaps_names {
	size_t at, n; /* an array of string offsets */
};

static void read_extensions(struct imp_ld_cache *c, struct imp_arena *a, const struct reader *r,
			    uint32_t offset, struct hwcaps_names *hwcaps)
{
	uint32_t count, i, tag, at, size;
	size_t header;

	if (!offset || offset % 4 || offset > r->len || r->len - offset < 8 ||
	    u32(r, offset) != EXTENSION_MAGIC)
		return;
	count = u32(r, offset + 4);
	for (i = 0; i < count && i < EXTENSION_MAX; i++) {
		header = offset + 8 + (size_t)i * 16;
		if (header > r->len || r->len - header < 16)
			return;
		tag = u32(r, header);
		at = u32(r, header + 8);
		size = u32(r, header + 12);
		if (at > r->len || size > r->len - at)
			continue;
		if (tag == EXTENSION_GENERATOR) {
			c->generator = imp_arena_strndup(a, (const char *)r->data + at,
							 strnlen((const char *)r->data + at, size));
		} else if (tag == EXTENSION_HWCAPS) {
			hwcaps->at = at;
			hwcaps->n = size / 4;
		}
	}
}

static void add_entry(struct imp_ld_cache *c, struct imp_arena *a, const struct reader *r,
		      size_t base, size_t at, const struct hwcaps_names *hwcaps)
{
	size_t name_len, path_len, len;
	const char *name, *path, *dir;
	struct imp_ld_cache_entry *e;
	uint32_t high, index;

	name = string_at(r, base, u32(r, at + 4), &name_len);
	path = string_at(r, base, u32(r, at + 8), &path_len);
	if (!name || !path)
		return;
	e = imp_vec_push(a, &c->entries);
	e->name = imp_arena_strndup(a, name, name_len);
	e->path = imp_arena_strndup(a, path, path_len);
	e->flags = u32(r, at);
	if (!hwcaps)
		return;
	e->hwcap = u64(r, at + 16);
	high = (uint32_t)(e->hwcap >> 32);
	if ((high & ~HWCAP_ISA_LEVEL_MASK) != HWCAP_EXTENSION)
		return;
	e->hwcaps = ""; /* of an extension, of whatever name */
	e->isa_level = high & HWCAP_ISA_LEVEL_MASK;
	index = (uint32_t)e->hwcap;
	if (index < hwcaps->n) {
		dir = string_at(r, base, u32(r, hwcaps->at + (size_t)index * 4), &len);
		if (dir)
			e->hwcaps = imp_arena_strndup(a, dir, len);
	}
}

static int parse_new(struct imp_ld_cache *c, struct imp_arena *a, struct reader *r, size_t base,
		     struct imp_error *err)
{
	struct hwcaps_names hwcaps = {0, 0};
	unsigned int order;
	uint32_t n, i;

	if (r->len - base < NEW_HEADER)
		return imp_error_set(err, -EBADMSG, "it is cut within its header");
	/* 2: little-endian, 3: big-endian, 0: written by a glibc before 2.33, 1: invalid */
	order = r->data[base + 28] & 3;
	if (order == 1)
		return imp_error_set(err, -EBADMSG, "it is marked as invalid");
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	r->swap = order == 3;
#else
	r->swap = order == 2;
#endif
	n = u32(r, base + NEW_MAGIC_LEN);
	if (n > ENTRIES_MAX || (uint64_t)n * NEW_ENTRY > r->len - base - NEW_HEADER)
		return imp_error_set(err, -EBADMSG, "it is cut: it promises %u entries", n);
	/* The offset counts from the beginning of the file, unlike those of the strings. */
	read_extensions(c, a, r, u32(r, base + 32), &hwcaps);
	for (i = 0; i < n; i++)
		add_entry(c, a, r, base, base + NEW_HEADER + (size_t)i * NEW_ENTRY, &hwcaps);
	c->new_format = true;
	return 0;
}

static bool has_new_magic(const struct reader *r, size_t at)
{
	return at <= r->len && r->len - at >= NEW_HEADER &&
	       memcmp(r->data + at, NEW_MAGIC, NEW_MAGIC_LEN) == 0;
}

int imp_ld_cache_parse(struct imp_ld_cache *c, struct imp_arena *arena, const void *data,
		       size_t len, struct imp_error *err)
{
	struct reader r = {.data = data, .len = len};
	size_t strings, at;
	uint32_t n, i;
	int ret = 0;

	memset(c, 0, sizeof(*c));
	if (has_new_magic(&r, 0)) {
		ret = parse_new(c, arena, &r, 0, err);
	} else if (len >= OLD_HEADER && memcmp(data, OLD_MAGIC, sizeof(OLD_MAGIC) - 1) == 0) {
		n = u32(&r, 12);
		if (n > ENTRIES_MAX || (uint64_t)n * OLD_ENTRY > len - OLD_HEADER)
			return imp_error_set(err, -EBADMSG, "it is cut: it promises %u entries", n);
		strings = OLD_HEADER + (size_t)n * OLD_ENTRY;
		/* ldconfig -c compat: the new format follows, aligned to 8 (to 4 on some machines). */
		at = (strings + 7) & ~(size_t)7;
		if (!has_new_magic(&r, at))
			at = (strings + 3) & ~(size_t)3;
		if (has_new_magic(&r, at)) {
			ret = parse_new(c, arena, &r, at, err);
		} else {
			for (i = 0; i < n; i++)
				add_entry(c, arena, &r, strings, OLD_HEADER + (size_t)i * OLD_ENTRY,
					  NULL);
		}
	} else {
		return imp_error_set(err, -EBADMSG, "it is no ld.so.cache");
	}
	if (ret == 0)
		c->known = true;
	return ret;
}

int imp_ld_cache_read(struct imp_ld_cache *c, struct imp_arena *arena, const struct imp_host *h,
		      const char *path, struct imp_error *err)
{
	struct imp_host_buffer b = {0};
	int ret;

	memset(c, 0, sizeof(*c));
	ret = imp_host_read_into(h, path, CACHE_MAX, &b);
	if (ret < 0) {
		imp_error_set(err, ret, "%s: %s", path, strerror(-ret));
	} else {
		ret = imp_ld_cache_parse(c, arena, b.data, b.len, err);
		if (ret < 0)
			imp_error_wrap(err, "%s", path);
	}
	imp_host_buffer_clear(&b);
	return ret;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int imp_ld_cache_compare(const char *one, const char *two)
{
	while (*one) {
		if (is_digit(*one)) {
			unsigned int a = 0, b = 0;

			if (!is_digit(*two))
				return 1;
			while (is_digit(*one))
				a = a * 10 + (unsigned int)(*one++ - '0');
			while (is_digit(*two))
				b = b * 10 + (unsigned int)(*two++ - '0');
			if (a != b)
				return a < b ? -1 : 1;
		} else if (is_digit(*two)) {
			return -1;
		} else if (*one != *two) {
			return (unsigned char)*one < (unsigned char)*two ? -1 : 1;
		} else {
			one++;
			two++;
		}
	}
	return *two ? -1 : 0;
}

const struct imp_ld_cache_entry *imp_ld_cache_next(const struct imp_ld_cache *c, const char *name,
						   const struct imp_ld_cache_entry *after)
{
	size_t i = after ? (size_t)(after - c->entries.v) + 1 : 0;

	for (; i < c->entries.n; i++) {
		if (imp_ld_cache_compare(c->entries.v[i].name, name) == 0)
			return &c->entries.v[i];
	}
	return NULL;
}

/* Its place among the subdirectories that are searched, from 1; 0: not among them. */
static size_t hwcaps_priority(const struct imp_ld_cache_filter *f, const char *dir)
{
	size_t i;

	for (i = 0; f->hwcaps && i < f->hwcaps->n; i++) {
		if (strcmp(f->hwcaps->v[i], dir) == 0)
			return i + 1;
	}
	return 0;
}

static bool legacy_usable(const struct imp_ld_cache_entry *e, const struct imp_ld_cache_filter *f)
{
	uint64_t platform = e->hwcap & HWCAP_PLATFORM_MASK;

	if (e->hwcap & ~(f->legacy_hwcap | HWCAP_PLATFORM_MASK | HWCAP_TLS))
		return false;
	return !platform || platform == f->platform;
}

const struct imp_ld_cache_entry *imp_ld_cache_find(const struct imp_ld_cache *c,
						   const struct imp_ld_cache_filter *filter,
						   const char *name)
{
	const struct imp_ld_cache_entry *e, *best = NULL;
	size_t priority, best_priority = 0;

	for (e = imp_ld_cache_next(c, name, NULL); e; e = imp_ld_cache_next(c, name, e)) {
		if (e->flags != filter->flags)
			continue;
		if (!e->hwcaps) {
			/* Those with hwcaps come first, so they are through. */
			if (best)
				break;
			if (legacy_usable(e, filter))
				return e;
			continue;
		}
		if (filter->isa_level && e->isa_level > filter->isa_level)
			continue;
		priority = hwcaps_priority(filter, e->hwcaps);
		if (priority && (!best || priority < best_priority)) {
			best = e;
			best_priority = priority;
		}
	}
	return best;
}

uint32_t imp_ld_cache_flags(uint16_t machine, unsigned int bits)
{
	static const struct {
		uint16_t machine, bits;
		uint32_t flags;
	} known[] = {
		{EM_X86_64, 64, 0x0303}, {EM_X86_64, 32, 0x0803}, {EM_AARCH64, 64, 0x0a03},
		{EM_S390, 64, 0x0403},	 {EM_PPC64, 64, 0x0503},  {EM_SPARCV9, 64, 0x0103},
		{EM_ARM, 32, 0x0903},	 {EM_RISCV, 64, 0x1003},
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].machine == machine && known[i].bits == bits)
			return known[i].flags;
	}
	return 0x0003; /* FLAG_ELF_LIBC6 */
}
