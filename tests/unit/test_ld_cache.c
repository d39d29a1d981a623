// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>

#include "elf/ld_cache.h"
#include "elf/ld_conf.h"
#include "elf/ld_system.h"
#include "host/host.h"
#include "temp_tree.h"

static struct imp_arena arena;
static const struct imp_host here = {.enabled = true};

static int clear(void **state)
{
	(void)state;
	imp_arena_clear(&arena);
	return 0;
}

/* ---- a cache as ldconfig writes it ---------------------------------------------------------------- */

struct entry {
	const char *name, *path;
	uint32_t flags;
	uint64_t hwcap;
};

struct cache {
	uint8_t data[8192];
	size_t len;
};

static void put32(struct cache *c, size_t at, uint32_t v)
{
	memcpy(c->data + at, &v, 4);
}

static size_t put_text(struct cache *c, const char *s)
{
	size_t at = c->len;

	memcpy(c->data + at, s, strlen(s) + 1);
	c->len += strlen(s) + 1;
	return at;
}

#define HWCAPS(isa, index) ((uint64_t)(1U << 30 | (isa)) << 32 | (index))

static void new_format(struct cache *c, const struct entry *entries, size_t n,
		       const char *const *hwcaps, size_t n_hwcaps)
{
	size_t base = c->len, i, names[8], at;

	memcpy(c->data + base, "glibc-ld.so.cache1.1", 20);
	put32(c, base + 20, (uint32_t)n);
	c->data[base + 28] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 2 : 3;
	c->len = base + 48 + n * 24;
	for (i = 0; i < n; i++) {
		put32(c, base + 48 + i * 24, entries[i].flags);
		put32(c, base + 48 + i * 24 + 4, (uint32_t)(put_text(c, entries[i].name) - base));
		put32(c, base + 48 + i * 24 + 8, (uint32_t)(put_text(c, entries[i].path) - base));
		memcpy(c->data + base + 48 + i * 24 + 16, &entries[i].hwcap, 8);
	}
	for (i = 0; i < n_hwcaps; i++)
		names[i] = put_text(c, hwcaps[i]) - base;
	c->len = (c->len + 7) & ~(size_t)7;
	at = c->len;
	put32(c, base + 32, (uint32_t)at);
	put32(c, at, 0xeaa42174);
	put32(c, at + 4, 2);
	put32(c, at + 8, 0); /* generator */
	put32(c, at + 16, (uint32_t)(at + 40));
	put32(c, at + 20, 8);
	memcpy(c->data + at + 40, "ldconfig", 8);
	put32(c, at + 24, 1); /* hwcaps */
	put32(c, at + 32, (uint32_t)(at + 48));
	put32(c, at + 36, (uint32_t)n_hwcaps * 4);
	for (i = 0; i < n_hwcaps; i++)
		put32(c, at + 48 + i * 4, (uint32_t)names[i]);
	c->len = at + 48 + n_hwcaps * 4;
}

static const char *const hwcaps_names[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4", "power10"};

static const struct entry entries[] = {
	{"libz.so.1", "/lib/x/libz.so.1", 0x0303, 0},
	{"libz.so.1", "/lib32/libz.so.1", 0x0003, 0},
	{"libh.so.10", "/lib/x/glibc-hwcaps/x86-64-v2/libh.so.10", 0x0303, HWCAPS(2, 0)},
	{"libh.so.10", "/lib/x/glibc-hwcaps/x86-64-v4/libh.so.10", 0x0303, HWCAPS(4, 2)},
	{"libh.so.10", "/lib/x/glibc-hwcaps/x86-64-v3/libh.so.10", 0x0303, HWCAPS(3, 1)},
	{"libh.so.10", "/lib/x/glibc-hwcaps/power10/libh.so.10", 0x0303, HWCAPS(0, 3)},
	{"libh.so.10", "/lib/x/libh.so.10", 0x0303, 0},
	{"libh.so.9", "/lib/x/libh.so.9", 0x0303, 0},
	{"libt.so", "/lib/x/tls/haswell/libt.so", 0x0303, (uint64_t)1 << 63 | (uint64_t)2 << 48},
	{"libt.so", "/lib/x/libt.so", 0x0303, 0},
	{"liba.so", "/opt/first/liba.so", 0x0303, 0},
	{"liba.so", "/opt/second/liba.so", 0x0303, 0},
};
#define N_ENTRIES (sizeof(entries) / sizeof(entries[0]))

static struct imp_ld_cache_filter filter_of(struct imp_strings *hwcaps, unsigned int level)
{
	static const char *names[] = {"x86-64-v4", "x86-64-v3", "x86-64-v2"};

	hwcaps->v = names + (4 - level);
	hwcaps->n = level - 1;
	return (struct imp_ld_cache_filter){.flags = 0x0303, .hwcaps = hwcaps, .isa_level = level};
}

static void check_lookups(const struct imp_ld_cache *c)
{
	static const struct {
		unsigned int level;
		const char *name, *path;
	} cases[] = {
		{4, "libz.so.1", "/lib/x/libz.so.1"},
		{4, "libh.so.10", "/lib/x/glibc-hwcaps/x86-64-v4/libh.so.10"},
		{3, "libh.so.10", "/lib/x/glibc-hwcaps/x86-64-v3/libh.so.10"},
		{2, "libh.so.10", "/lib/x/glibc-hwcaps/x86-64-v2/libh.so.10"},
		{1, "libh.so.10", "/lib/x/libh.so.10"},
		{4, "libh.so.9", "/lib/x/libh.so.9"},
		{4, "libt.so", "/lib/x/libt.so"},
		{4, "liba.so", "/opt/first/liba.so"},
		{4, "libz.so", NULL},
		{4, "libh.so.1", NULL},
		{4, "libz.so.01", "/lib/x/libz.so.1"}, /* numbers are compared by value */
	};
	struct imp_strings hwcaps;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imp_ld_cache_filter f = filter_of(&hwcaps, cases[i].level);
		const struct imp_ld_cache_entry *e = imp_ld_cache_find(c, &f, cases[i].name);

		if (!cases[i].path) {
			assert_null(e);
			continue;
		}
		assert_non_null(e);
		assert_string_equal(e->path, cases[i].path);
	}
}

static void test_new_format(void **state)
{
	const struct imp_ld_cache_entry *e;
	struct cache made = {.len = 0};
	struct imp_ld_cache c;
	struct imp_error err;
	unsigned int n = 0;

	(void)state;
	new_format(&made, entries, N_ENTRIES, hwcaps_names, 4);
	assert_int_equal(imp_ld_cache_parse(&c, &arena, made.data, made.len, &err), 0);
	assert_true(c.known);
	assert_true(c.new_format);
	assert_int_equal(c.entries.n, N_ENTRIES);
	assert_string_equal(c.generator, "ldconfig");
	assert_string_equal(c.entries.v[4].hwcaps, "x86-64-v3");
	assert_int_equal(c.entries.v[4].isa_level, 3);
	check_lookups(&c);
	for (e = imp_ld_cache_next(&c, "libz.so.1", NULL); e;
	     e = imp_ld_cache_next(&c, "libz.so.1", e))
		n++;
	assert_int_equal(n, 2);
}

static void test_old_format(void **state)
{
	struct cache made = {.len = 16};
	struct imp_strings hwcaps;
	struct imp_ld_cache_filter f = filter_of(&hwcaps, 2);
	struct imp_ld_cache c;
	size_t i, n = 3, strings;

	(void)state;
	memcpy(made.data, "ld.so-1.7.0", 11);
	put32(&made, 12, (uint32_t)n);
	strings = made.len = 16 + n * 12;
	for (i = 0; i < n; i++) {
		put32(&made, 16 + i * 12, entries[i].flags);
		put32(&made, 16 + i * 12 + 4,
		      (uint32_t)(put_text(&made, entries[i].name) - strings));
		put32(&made, 16 + i * 12 + 8,
		      (uint32_t)(put_text(&made, entries[i].path) - strings));
	}
	assert_int_equal(imp_ld_cache_parse(&c, &arena, made.data, made.len, NULL), 0);
	assert_false(c.new_format);
	assert_int_equal(c.entries.n, 3);
	assert_string_equal(imp_ld_cache_find(&c, &f, "libz.so.1")->path, "/lib/x/libz.so.1");
}

/* "ldconfig -c compat": both, and the new one counts. */
static void test_both_formats(void **state)
{
	struct cache made = {.len = 16 + 12};
	struct imp_ld_cache c;

	(void)state;
	memcpy(made.data, "ld.so-1.7.0", 11);
	put32(&made, 12, 1);
	made.len = (made.len + 7) & ~(size_t)7;
	new_format(&made, entries, N_ENTRIES, hwcaps_names, 4);
	assert_int_equal(imp_ld_cache_parse(&c, &arena, made.data, made.len, NULL), 0);
	assert_true(c.new_format);
	assert_int_equal(c.entries.n, N_ENTRIES);
	check_lookups(&c);
}

static void test_damaged(void **state)
{
	struct cache made = {.len = 0};
	unsigned int round, seed = 7;
	struct imp_ld_cache c;
	struct imp_error err;
	size_t len;

	(void)state;
	assert_int_equal(imp_ld_cache_parse(&c, &arena, "", 0, &err), -EBADMSG);
	assert_int_equal(imp_ld_cache_parse(&c, &arena, "libfoo.so.1", 11, &err), -EBADMSG);
	assert_false(c.known);
	new_format(&made, entries, N_ENTRIES, hwcaps_names, 4);
	for (len = 0; len < made.len; len++) {
		uint8_t *copy = malloc(len + !len);

		assert_non_null(copy);
		memcpy(copy, made.data, len);
		imp_ld_cache_parse(&c, &arena, copy, len, &err);
		assert_true(c.entries.n < N_ENTRIES || len > 48 + N_ENTRIES * 24);
		free(copy);
	}
	for (round = 0; round < 2003; round++) {
		uint8_t *copy = malloc(made.len);

		assert_non_null(copy);
		memcpy(copy, made.data, made.len);
		seed = seed * 1103515245 + 12345;
		copy[20 + (seed >> 8) % (made.len - 20)] = (uint8_t)(seed >> 24);
		imp_ld_cache_parse(&c, &arena, copy, made.len, &err);
		imp_ld_cache_next(&c, "libz.so.1", NULL);
		free(copy);
	}
	made.data[28] = 1;
	assert_int_equal(imp_ld_cache_parse(&c, &arena, made.data, made.len, &err), -EBADMSG);
	assert_string_equal(err.msg, "it is marked as invalid");
}

static void test_compare(void **state)
{
	(void)state;
	assert_true(imp_ld_cache_compare("libfoo.so.10", "libfoo.so.9") > 0);
	assert_true(imp_ld_cache_compare("libfoo.so.9", "libfoo.so.10") < 0);
	assert_int_equal(imp_ld_cache_compare("libfoo.so.1", "libfoo.so.1"), 0);
	assert_true(imp_ld_cache_compare("libfoo.so", "libfoo.so.1") < 0);
	assert_true(imp_ld_cache_compare("libfoo.so.1", "libfoo.so.a") > 0);
	assert_true(imp_ld_cache_compare("liba", "libb") < 0);
}

static void test_this_machine(void **state)
{
	struct imp_ld_cache c;
	size_t i, x86_64 = 0;

	(void)state;
	if (imp_ld_cache_read(&c, &arena, &here, IMP_LD_CACHE_PATH, NULL) < 0)
		skip();
	assert_true(c.entries.n > 10);
	for (i = 0; i < c.entries.n; i++) {
		assert_int_equal(c.entries.v[i].path[0], '/');
		x86_64 += (c.entries.v[i].flags & 0xff) == 3;
		/* Sorted as the look-up of the loader expects it: greatest first. */
		if (i)
			assert_true(imp_ld_cache_compare(c.entries.v[i - 1].name,
							 c.entries.v[i].name) >= 0);
	}
	assert_true(x86_64 > 10);
	assert_int_equal(imp_ld_cache_read(&c, &arena, &here, "/nonexistent", NULL), -ENOENT);
	assert_int_equal(imp_ld_cache_read(&c, &arena, &(struct imp_host){.enabled = false},
					   IMP_LD_CACHE_PATH, NULL),
			 -ENODATA);
}

/* ---- ld.so.conf ---------------------------------------------------------------------------------- */

static void test_conf(void **state)
{
	struct imp_ld_conf c;
	struct temp_tree t;
	const char *path;
	char text[9000];

	(void)state;
	temp_tree_make(&t);
	snprintf(text, sizeof(text),
		 "# comment\n/opt/one\ninclude conf.d/*.conf\n\n  /opt/two/ \t# why\ninclude %s/more %s/none\n"
		 "hwcap 0 nosegneg\n/opt/three=libc6\n",
		 t.root, t.root);
	path = temp_tree_write(&t, "ld.so.conf", text);
	temp_tree_write(&t, "conf.d/b.conf", "/opt/b\n");
	temp_tree_write(&t, "conf.d/a.conf", "/opt/a\n/opt/a2");
	temp_tree_write(&t, "conf.d/.hidden.conf", "/opt/hidden\n");
	temp_tree_write(&t, "conf.d/c.txt", "/opt/c\n");
	temp_tree_write(&t, "more", "include more\n/opt/more\n");
	assert_int_equal(imp_ld_conf_read(&c, &arena, &here, path), 0);
	/* It includes itself: eight times is enough. */
	assert_int_equal(c.n, 6 + 7);
	assert_string_equal(c.v[0].dir, "/opt/one");
	assert_int_equal(c.v[0].line, 2);
	assert_string_equal(c.v[1].dir, "/opt/a");
	assert_string_equal(c.v[1].file, temp_tree_path(&t, "conf.d/a.conf"));
	assert_string_equal(c.v[2].dir, "/opt/a2");
	assert_int_equal(c.v[2].line, 2);
	assert_string_equal(c.v[3].dir, "/opt/b");
	assert_string_equal(c.v[4].dir, "/opt/two");
	assert_string_equal(c.v[5].dir, "/opt/more");
	assert_string_equal(c.v[12].dir, "/opt/three");
	assert_int_equal(imp_ld_conf_read(&c, &arena, &here, temp_tree_path(&t, "none")), -ENOENT);
	temp_tree_remove(&t);
}

/* ---- the loader itself --------------------------------------------------------------------------- */

static void test_scan(void **state)
{
	static const char loader[] =
		"junk\0/etc/ld.so.cache\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0"
		"/proc/self/\0ld.so (Debian GLIBC 2.36-9) stable release version 2.36.\nCopyright";
	static const char nix[] =
		"\0\0/nix/store/x-glibc-2.38/lib/\0x\0stable release version 2.38.\n";
	struct imp_ld_system s = {0};

	(void)state;
	assert_true(imp_ld_system_scan(&s, &arena, loader, sizeof(loader)));
	assert_int_equal(s.glibc_minor, 36);
	assert_int_equal(s.default_dirs.n, 4);
	assert_string_equal(s.default_dirs.v[0], "/lib/x86_64-linux-gnu/");
	assert_string_equal(s.default_dirs.v[3], "/usr/lib/");
	memset(&s, 0, sizeof(s));
	assert_true(imp_ld_system_scan(&s, &arena, nix, sizeof(nix)));
	assert_int_equal(s.glibc_minor, 38);
	assert_int_equal(s.default_dirs.n, 1);
	memset(&s, 0, sizeof(s));
	assert_false(imp_ld_system_scan(&s, &arena, "", 0));
	assert_false(imp_ld_system_scan(&s, &arena, "/lib", 4));
	assert_int_equal(s.glibc_minor, 0);
}

static void check_strings(const struct imp_strings *have, const char *want)
{
	char text[2048] = "";
	size_t i;

	for (i = 0; i < have->n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? ":" : "",
			 have->v[i]);
	assert_string_equal(text, want);
}

static void test_subdirs(void **state)
{
	struct imp_ld_cpu amd = {.isa_level = 4, .platform = "x86_64"};
	struct imp_ld_cpu intel = {.isa_level = 3, .platform = "haswell"};
	struct imp_ld_system s = {.bits = 64, .machine = EM_X86_64, .glibc_minor = 36};

	(void)state;
	imp_ld_system_subdirs(&s, &arena, &amd);
	check_strings(
		&s.subdirs,
		"glibc-hwcaps/x86-64-v4/:glibc-hwcaps/x86-64-v3/:glibc-hwcaps/x86-64-v2/:"
		"tls/x86_64/x86_64/:tls/x86_64/:tls/x86_64/:tls/:x86_64/x86_64/:x86_64/:x86_64/:");
	/* 2.37 dropped the legacy ones. */
	s = (struct imp_ld_system){.bits = 64, .machine = EM_X86_64, .glibc_minor = 37};
	imp_ld_system_subdirs(&s, &arena, &intel);
	check_strings(&s.subdirs, "glibc-hwcaps/x86-64-v3/:glibc-hwcaps/x86-64-v2/:");
	assert_string_equal(s.platform, "haswell");
	/* 2.33 brought the others. */
	s = (struct imp_ld_system){.bits = 64, .machine = EM_X86_64, .glibc_minor = 31};
	imp_ld_system_subdirs(&s, &arena, &intel);
	check_strings(&s.subdirs,
		      "tls/haswell/x86_64/:tls/haswell/:tls/x86_64/:tls/:haswell/x86_64/:haswell/:"
		      "x86_64/:");
	s = (struct imp_ld_system){.bits = 64, .machine = EM_AARCH64, .glibc_minor = 41};
	imp_ld_system_subdirs(&s, &arena, NULL);
	check_strings(&s.subdirs, "");
	assert_int_equal(s.subdirs.n, 1);
}

static void test_system_without_a_disk(void **state)
{
	struct imp_ld_system_facts debian = {.libc_path = "/lib/x86_64-linux-gnu/libc.so.6",
					     .libc_version = "2.36"};
	struct imp_ld_system_facts fedora = {.libc_path = "/lib64/libc.so.6",
					     .libc_version = "2.39"};
	struct imp_host none = {.enabled = false};
	struct imp_ld_system s;

	(void)state;
#ifndef __x86_64__
	skip();
#endif
	imp_ld_system_read(&s, &arena, &none, &debian);
	assert_false(s.default_dirs_known);
	assert_false(s.cache.known);
	assert_int_equal(s.glibc_minor, 36);
	check_strings(&s.default_dirs,
		      "/lib/x86_64-linux-gnu/:/usr/lib/x86_64-linux-gnu/:/lib/:/usr/lib/");
	assert_string_equal(s.lib, "lib/x86_64-linux-gnu");
	imp_ld_system_read(&s, &arena, &none, &fedora);
	check_strings(&s.default_dirs, "/lib64/:/usr/lib64/");
	assert_string_equal(s.lib, "lib64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_new_format, clear),
		cmocka_unit_test_teardown(test_old_format, clear),
		cmocka_unit_test_teardown(test_both_formats, clear),
		cmocka_unit_test_teardown(test_damaged, clear),
		cmocka_unit_test_teardown(test_compare, clear),
		cmocka_unit_test_teardown(test_this_machine, clear),
		cmocka_unit_test_teardown(test_conf, clear),
		cmocka_unit_test_teardown(test_scan, clear),
		cmocka_unit_test_teardown(test_subdirs, clear),
		cmocka_unit_test_teardown(test_system_without_a_disk, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
