// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "elf/elf_symbol.h"
#include "elf_maker.h"
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

static struct imp_elf_image read_bytes(const void *data, size_t len, uint64_t size)
{
	struct imp_elf_chunk chunk = {.len = len, .data = data};
	struct imp_elf_bytes bytes;
	struct imp_elf_image img;

	imp_elf_bytes_recorded(&bytes, &arena, size, &chunk, 1);
	imp_elf_image_read(&img, &bytes);
	return img;
}

static struct elf_maker sample(unsigned int bits, bool big_endian)
{
	static const uint8_t id[20] = {0xde, 0xad, 0xbe, 0xef, 1};
	struct elf_maker m = {
		.bits = bits,
		.big_endian = big_endian,
		.needed = {"libfoo.so.3", "libc.so.6"},
		.soname = "libsample.so.1",
		.rpath = "$ORIGIN/../lib",
		.runpath = "/opt/lib:$ORIGIN",
		.flags = DF_STATIC_TLS,
		.flags_1 = DF_1_NODEFLIB,
		.stack = true,
		.stack_flags = PF_R | PF_W | PF_X,
		.tls_size = 4096,
		.build_id = id,
		.build_id_len = sizeof(id),
		.symbols = {{.name = "PyInit_sample", .defined = true},
			    {.name = "old_and_new", .version = "V_1", .defined = true, .hidden = true},
			    {.name = "old_and_new", .version = "V_2", .defined = true},
			    {.name = "printf", .version = "GLIBC_2.2.5", .file = "libc.so.6"},
			    {.name = "maybe", .weak = true},
			    {.name = "PyErr_SetString"}},
		.versions = {"V_1", "V_2"},
	};

	elf_make(&m);
	return m;
}

static void check_sample(struct imp_elf_image *img, const struct elf_maker *m)
{
	struct imp_elf_symbol_list list = {0};
	struct imp_elf_symbol s;

	assert_int_equal(img->kind, IMP_ELF_OBJECT);
	assert_null(img->damage);
	assert_false(img->partial);
	assert_int_equal(img->bits, m->bits);
	assert_int_equal(img->big_endian, m->big_endian);
	assert_int_equal(img->machine, EM_X86_64);
	assert_int_equal(img->needed.n, 2);
	assert_string_equal(img->needed.v[0], "libfoo.so.3");
	assert_string_equal(img->needed.v[1], "libc.so.6");
	assert_string_equal(img->soname, "libsample.so.1");
	assert_string_equal(img->rpath, "$ORIGIN/../lib");
	assert_string_equal(img->runpath, "/opt/lib:$ORIGIN");
	assert_true(img->static_tls);
	assert_int_equal(img->flags_1, DF_1_NODEFLIB);
	assert_true(img->executable_stack);
	assert_int_equal(img->tls_size, 4096);
	assert_int_equal(img->tls_align, 64);
	assert_int_equal(img->max_align, 0x1000);
	assert_int_equal(img->build_id_len, 20);
	assert_memory_equal(img->build_id, "\xde\xad\xbe\xef\x01", 5);
	assert_int_equal(img->libc, IMP_ELF_LIBC_GLIBC);
	assert_int_equal(img->promised, m->len);
	assert_int_equal(img->version_needs.n, 1);
	assert_string_equal(img->version_needs.v[0].file, "libc.so.6");
	assert_string_equal(img->version_needs.v[0].version, "GLIBC_2.2.5");
	assert_int_equal(img->version_defs.n, 3);
	assert_true(img->version_defs.v[0].base);
	assert_string_equal(img->version_defs.v[2].version, "V_2");

	assert_int_equal(imp_elf_symbol_find(img, "PyInit_sample", NULL, &s), 1);
	assert_int_equal(s.value, 0x100);
	assert_int_equal(imp_elf_symbol_find(img, "PyInit_other", NULL, NULL), 0);
	assert_int_equal(imp_elf_symbol_find(img, "printf", NULL, NULL), 0);
	assert_int_equal(imp_elf_symbol_find(img, "old_and_new", "V_2", &s), 1);
	assert_string_equal(s.version, "V_2");
	assert_int_equal(imp_elf_symbol_find(img, "old_and_new", "V_1", &s), 1);
	assert_true(s.hidden);
	assert_int_equal(imp_elf_symbol_find(img, "old_and_new", "V_3", NULL), 0);
	/* A reference without a version gets the oldest (check_match() takes index 2). */
	assert_int_equal(imp_elf_symbol_find(img, "old_and_new", NULL, &s), 1);
	assert_string_equal(s.version, "V_1");
	/* One with a version also gets a definition that has none, as when a library was versioned later. */
	assert_int_equal(imp_elf_symbol_find(img, "PyInit_sample", "ANY_1", NULL), 1);
	assert_int_equal(imp_elf_symbol_versions(img, "old_and_new", &list), 2);

	memset(&list, 0, sizeof(list));
	assert_int_equal(imp_elf_symbol_undefined(img, &list), 0);
	assert_int_equal(list.n, 3);
	assert_string_equal(list.v[0].name, "printf");
	assert_string_equal(list.v[0].version, "GLIBC_2.2.5");
	assert_string_equal(list.v[0].file, "libc.so.6");
	assert_true(list.v[1].weak);
	assert_null(list.v[2].version);

	memset(&list, 0, sizeof(list));
	assert_int_equal(imp_elf_symbol_exported(img, "PyInit_", 0, &list), 0);
	assert_int_equal(list.n, 1);
	assert_int_equal(imp_elf_symbol_at(img, 0x115, &s), 1);
	assert_string_equal(s.name, "old_and_new");
	assert_int_equal(imp_elf_symbol_at(img, 0x99, &s), 0);
}

static void test_every_class_and_order(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct elf_maker m = sample(i & 1 ? 32 : 64, i & 2);
		struct imp_elf_image img = read_bytes(m.data, m.len, m.len);

		check_sample(&img, &m);
	}
}

static void test_recorded_pieces(void **state)
{
	struct elf_maker m = sample(64, false);
	struct imp_elf_chunk chunks[64];
	struct imp_elf_bytes bytes;
	struct imp_elf_image img;
	size_t n = 0, at;

	(void)state;
	/* Cut anywhere, in any order: pieces that touch are one. */
	for (at = 0; at < m.len; at += 61)
		chunks[n++] =
			(struct imp_elf_chunk){at, m.len - at < 61 ? m.len - at : 61, m.data + at};
	for (at = 0; at < n / 2; at += 2) {
		struct imp_elf_chunk c = chunks[at];

		chunks[at] = chunks[n - 1 - at];
		chunks[n - 1 - at] = c;
	}
	imp_elf_bytes_recorded(&bytes, &arena, m.len, chunks, n);
	imp_elf_image_read(&img, &bytes);
	check_sample(&img, &m);

	/* Headers and dynamic section alone: needed objects without the symbols. */
	chunks[0] = (struct imp_elf_chunk){0, m.symbols_at, m.data};
	chunks[1] =
		(struct imp_elf_chunk){m.dynamic_at, m.len - m.dynamic_at, m.data + m.dynamic_at};
	imp_elf_bytes_recorded(&bytes, &arena, m.len, chunks, 2);
	imp_elf_image_read(&img, &bytes);
	assert_null(img.damage);
	assert_int_equal(img.needed.n, 2);
	assert_string_equal(img.soname, "libsample.so.1");
	assert_int_equal(imp_elf_symbol_find(&img, "PyInit_sample", NULL, NULL), -ENODATA);

	/* Sixteen bytes: what it is, and nothing else. */
	chunks[0].len = 16;
	imp_elf_bytes_recorded(&bytes, &arena, m.len, chunks, 1);
	imp_elf_image_read(&img, &bytes);
	assert_int_equal(img.kind, IMP_ELF_OBJECT);
	assert_null(img.damage);
	assert_true(img.partial);
	assert_false(img.header);

	imp_elf_bytes_recorded(&bytes, &arena, m.len, NULL, 0);
	imp_elf_image_read(&img, &bytes);
	assert_int_equal(img.kind, IMP_ELF_UNKNOWN);
	assert_null(img.damage);
}

static void test_file_on_disk(void **state)
{
	struct elf_maker m = sample(64, false);
	struct imp_elf_image img;
	struct temp_tree t;
	struct imp_error err;
	const char *path;

	(void)state;
	temp_tree_make(&t);
	path = temp_tree_bytes(&t, "a.so", m.data, m.len);
	assert_int_equal(imp_elf_image_open(&img, &arena, &here, path, &err), 0);
	check_sample(&img, &m);
	assert_int_equal(imp_elf_image_open(&img, &arena, &here, t.root, &err), -EISDIR);
	assert_int_equal(imp_elf_image_open(&img, &arena, &here, temp_tree_path(&t, "b.so"), &err),
			 -ENOENT);
	assert_int_equal(imp_elf_image_open(&img, &arena, &here, "/dev/null", &err), -EINVAL);
	assert_int_equal(imp_elf_image_open(&img, &arena, &here, "a.so", &err), -ENODATA);
	temp_tree_remove(&t);
}

/* A file is never mapped: one that is replaced, or cut, between two reads is a gap and no crash. */
static void test_file_that_changes(void **state)
{
	struct elf_maker m = sample(64, false);
	struct imp_elf_image img;
	struct temp_tree t;
	const char *path;
	char *padded;

	(void)state;
	temp_tree_make(&t);
	padded = calloc(1, 1 << 20);
	assert_non_null(padded);
	memcpy(padded, m.data, m.len);
	path = temp_tree_bytes(&t, "a.so", padded, 1 << 20);
	assert_int_equal(imp_elf_image_open(&img, &arena, &here, path, NULL), 0);
	assert_int_equal(truncate(path, 100), 0);
	assert_null(imp_elf_bytes_at(&img.bytes, 500000, 1000));
	assert_true(img.bytes.unknown);
	assert_int_equal(unlink(path), 0);
	temp_tree_bytes(&t, "a.so", padded, 1 << 20);
	/* The first file's inode is free again, so it may be the same one: then its bytes are as good. */
	imp_elf_bytes_at(&img.bytes, 500000, 1000);
	free(padded);
	temp_tree_remove(&t);
}

static void test_what_it_is(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		enum imp_elf_kind kind;
		const char *damage;
	} cases[] = {
		{"", 0, IMP_ELF_EMPTY, "is empty"},
		{"#!/bin/sh\n", 10, IMP_ELF_TEXT, "is no ELF file but a text file"},
		{"\n <!DOCTYPE HTML>\n<html>", 24, IMP_ELF_HTML, "is no ELF file but an HTML page"},
		{"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", 64,
		 IMP_ELF_LFS_POINTER,
		 "is a git-lfs pointer: the file that it stands for was never fetched"},
		{"/* GNU ld script */ GROUP ( /lib/libc.so.6 )", 44, IMP_ELF_LINKER_SCRIPT,
		 "is no ELF file but a linker script"},
		{"!<arch>\nfoo.o/", 14, IMP_ELF_ARCHIVE,
		 "is no ELF file but a static library (ar archive)"},
		{"\xcf\xfa\xed\xfe\7\0\0\1", 8, IMP_ELF_MACHO,
		 "is no ELF file but a macOS (Mach-O) file"},
		{"MZ\x90\0\3", 5, IMP_ELF_PE, "is no ELF file but a Windows (PE) file"},
		{"PK\3\4\0", 5, IMP_ELF_ZIP, "is no ELF file but a zip archive"},
		{"\0\0\0\0\0\0\0", 7, IMP_ELF_ZEROS, "is no ELF file but a file of zero bytes"},
		{"\1\2\3\4\5\6", 6, IMP_ELF_OTHER, "is no ELF file but a file of no known format"},
		{"\177EL", 3, IMP_ELF_OBJECT, "is cut within its ELF header"},
		{"\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0", 18, IMP_ELF_OBJECT,
		 "is cut within its ELF header"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imp_elf_image img = read_bytes(cases[i].data, cases[i].len, cases[i].len);

		assert_int_equal(img.kind, cases[i].kind);
		assert_non_null(img.damage);
		assert_string_equal(img.damage, cases[i].damage);
		assert_true(img.fatal);
	}
}

static void test_cut(void **state)
{
	struct elf_maker m = sample(64, false);
	struct imp_elf_image img;
	size_t len;

	(void)state;
	/* At every byte: never whole, never a surprise. */
	for (len = 0; len < m.len; len++) {
		char *copy = malloc(len + !len);
		struct imp_elf_symbol_list list = {0};

		assert_non_null(copy);
		memcpy(copy, m.data, len);
		img = read_bytes(copy, len, len);
		assert_non_null(img.damage);
		assert_true(img.fatal);
		imp_elf_symbol_undefined(&img, &list);
		imp_elf_symbol_exported(&img, "", 0, &list);
		free(copy);
	}
	img = read_bytes(m.data, 800, 800);
	assert_non_null(strstr(img.damage, "is cut: its program headers promise "));
	/* Only section headers are missing: ld.so does not mind, and somebody should know all the same. */
	elf_put(&m, 40, 1 << 20, 8);
	elf_put(&m, 58, 64, 2);
	elf_put(&m, 60, 30, 2);
	img = read_bytes(m.data, m.len, m.len);
	assert_non_null(strstr(img.damage, "is cut: its section headers promise 1050496 bytes"));
	assert_false(img.fatal);
	assert_int_equal(img.needed.n, 2);
}

static void test_garbage(void **state)
{
	struct elf_maker m = sample(64, false);
	uint8_t *copy = malloc(m.len);
	unsigned int round, seed = 1, i;

	(void)state;
	assert_non_null(copy);
	for (round = 0; round < 3001; round++) {
		struct imp_elf_symbol_list list = {0};
		struct imp_elf_symbol s;
		struct imp_elf_image img;

		memcpy(copy, m.data, m.len);
		for (i = 0; i < 1 + round % 7; i++) {
			seed = seed * 1103515245 + 12345;
			copy[(seed >> 8) % m.len] = (uint8_t)(round % 3 ? seed >> 24 : 0xff);
		}
		img = read_bytes(copy, m.len, m.len);
		imp_elf_symbol_undefined(&img, &list);
		imp_elf_symbol_exported(&img, "", 0, &list);
		imp_elf_symbol_find(&img, "old_and_new", "V_2", &s);
		imp_elf_symbol_versions(&img, "old_and_new", &list);
		imp_elf_image_unmappable(&img, 4096);
		if (round % 100 == 0)
			imp_arena_clear(&arena);
	}
	free(copy);
}

static void test_refusal(void **state)
{
	struct elf_maker m = sample(64, false), other = sample(32, false);
	struct imp_elf_image img = read_bytes(m.data, m.len, m.len);
	const char *text, *why;

	(void)state;
	assert_int_equal(imp_elf_image_refusal(&img, 64, EM_X86_64, false, &text, &why),
			 IMP_ELF_ACCEPTED);
	assert_null(text);
	assert_null(why);
	assert_int_equal(imp_elf_image_refusal(&img, 64, EM_AARCH64, false, &text, &why),
			 IMP_ELF_OTHER_MACHINE);
	assert_string_equal(why, "is for another processor: 64-bit x86-64");
	assert_int_equal(imp_elf_image_refusal(&img, 64, EM_X86_64, true, &text, &why),
			 IMP_ELF_REFUSED);
	assert_string_equal(text, "ELF file data encoding not big-endian");
	img = read_bytes(other.data, other.len, other.len);
	assert_int_equal(imp_elf_image_refusal(&img, 64, EM_X86_64, false, &text, &why),
			 IMP_ELF_OTHER_CLASS);
	assert_string_equal(why, "is for another processor: 32-bit x86-64");
	img = read_bytes("", 0, 0);
	assert_int_equal(imp_elf_image_refusal(&img, 64, EM_X86_64, false, &text, &why),
			 IMP_ELF_REFUSED);
	assert_string_equal(text, "file too short");
	assert_string_equal(why, "is empty");
	m = (struct elf_maker){.flags_1 = DF_1_PIE};
	elf_make(&m);
	img = read_bytes(m.data, m.len, m.len);
	assert_string_equal(imp_elf_image_unmappable(&img, 4096),
			    "cannot dynamically load position-independent executable");
	m = (struct elf_maker){.soname = "x"};
	elf_make(&m);
	img = read_bytes(m.data, m.len, m.len);
	assert_null(imp_elf_image_unmappable(&img, 4096));
	assert_string_equal(imp_elf_image_unmappable(&img, 65536),
			    "ELF load command alignment not page-aligned");
	assert_true(img.executable_stack); /* no PT_GNU_STACK: x86's old default */
	assert_false(img.stack_known);
}

static void test_libc(void **state)
{
	static const struct {
		const char *needed[2], *interpreter;
		enum imp_elf_libc libc;
	} cases[] = {
		{{"libc.so.6", NULL}, NULL, IMP_ELF_LIBC_GLIBC},
		{{"libc.musl-x86_64.so.1", NULL}, NULL, IMP_ELF_LIBC_MUSL},
		{{"libfoo.so", "libc.so"}, NULL, IMP_ELF_LIBC_MUSL},
		{{"libc.so", "libdl.so"}, NULL, IMP_ELF_LIBC_BIONIC},
		{{"libc.so", NULL}, "/system/bin/linker64", IMP_ELF_LIBC_BIONIC},
		{{"libc.so.7", NULL}, NULL, IMP_ELF_LIBC_OTHER},
		{{NULL, NULL}, "/lib/ld-musl-x86_64.so.1", IMP_ELF_LIBC_MUSL},
		{{NULL, NULL}, "/lib64/ld-linux-x86-64.so.2", IMP_ELF_LIBC_GLIBC},
		{{"libm.so.6", NULL}, NULL, IMP_ELF_LIBC_NONE},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct elf_maker m = {.needed = {cases[i].needed[0], cases[i].needed[1]},
				      .interpreter = cases[i].interpreter};
		struct imp_elf_image img;

		elf_make(&m);
		img = read_bytes(m.data, m.len, m.len);
		assert_int_equal(img.libc, cases[i].libc);
		if (cases[i].interpreter)
			assert_string_equal(img.interpreter, cases[i].interpreter);
	}
}

/* The linker's own work: GNU hash tables, several segments, versions. */
static void test_real_objects(void **state)
{
	struct imp_elf_symbol_list list = {0};
	struct imp_elf_image img;
	struct imp_elf_symbol s;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	assert_true(n > 0);
	self[n] = '\0';
	assert_int_equal(imp_elf_image_open(&img, &arena, &here, self, NULL), 0);
	assert_null(img.damage);
	assert_non_null(img.interpreter);
	assert_int_equal(imp_elf_symbol_undefined(&img, &list), 0);
	assert_true(list.n > 10);
	assert_int_equal(imp_elf_symbol_find(&img, "malloc_is_not_here", NULL, NULL), 0);

	if (imp_elf_image_open(&img, &arena, &here, "/lib/x86_64-linux-gnu/libc.so.6", NULL) < 0)
		skip();
	assert_string_equal(img.soname, "libc.so.6");
	assert_int_equal(imp_elf_symbol_find(&img, "printf", "GLIBC_2.2.5", &s), 1);
	assert_int_equal(imp_elf_symbol_find(&img, "printf", "GLIBC_2.99", NULL), 0);
	assert_int_equal(imp_elf_symbol_find(&img, "dlopen", NULL, &s), 1);
	memset(&list, 0, sizeof(list));
	assert_true(imp_elf_symbol_versions(&img, "dlopen", &list) >= 2);
	memset(&list, 0, sizeof(list));
	assert_int_equal(imp_elf_symbol_exported(&img, "pthread_mutex_", 0, &list), 0);
	assert_true(list.n > 10);
	memset(&list, 0, sizeof(list));
	assert_int_equal(imp_elf_symbol_nearest(&img, "pthread_mutex_lokc", 3, &list), 0);
	assert_true(list.n >= 1);
	assert_string_equal(list.v[0].name, "pthread_mutex_lock");
	memset(&list, 0, sizeof(list));
	assert_int_equal(imp_elf_symbol_nearest(&img, "_ZN3foo3barEv_nobody_has_it", 3, &list), 0);
	assert_int_equal(list.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_every_class_and_order, clear),
		cmocka_unit_test_teardown(test_recorded_pieces, clear),
		cmocka_unit_test_teardown(test_file_on_disk, clear),
		cmocka_unit_test_teardown(test_file_that_changes, clear),
		cmocka_unit_test_teardown(test_what_it_is, clear),
		cmocka_unit_test_teardown(test_cut, clear),
		cmocka_unit_test_teardown(test_garbage, clear),
		cmocka_unit_test_teardown(test_refusal, clear),
		cmocka_unit_test_teardown(test_libc, clear),
		cmocka_unit_test_teardown(test_real_objects, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
