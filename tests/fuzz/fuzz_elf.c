/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: any bytes as an ELF file: whole, and as the pieces that a trace may have kept of it.
 * Then every object of a made-up process is that file: its paths, needed objects and versions go through
 * the search.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elf/ld_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void elf_file(void *data, const char *path, struct imp_ld_file *file)
{
	size_t len = strlen(path);

	*file = (struct imp_ld_file){ .err = -2 };
	/* Some are there and some are not, and not all are the same file. */
	if (len % 3 == 0)
		return;
	*file = (struct imp_ld_file){ .dev = 1, .ino = len % 16, .image = data };
}

static int elf_directory(void *data, const char *path)
{
	(void)data;
	return strlen(path) % 2;
}

static void elf_search(struct imp_arena *arena, struct imp_elf_image *img)
{
	static const char *const dirs[] = { "/lib/", "/usr/lib/" };
	struct imp_ld_system system = { .bits = 64, .machine = 62, .glibc_minor = 36, .lib = "lib", .page_size = 4096 };
	struct imp_ld_tree_options options = { .keep_going = true, .symbols = true, .global = true };
	struct imp_ld_process process = { .arena = arena,
					  .system = &system,
					  .library_path = "/env:$ORIGIN;",
					  .cwd = "/",
					  .lookup = { elf_file, elf_directory, img } };
	struct imp_ld_request req = { .name = "libfuzz.so" };
	struct imp_ld_tree tree;
	size_t i;

	/* More would only be more of the same, and slow. */
	if (img->needed.n > 16)
		img->needed.n = 16;
	for (i = 0; i < 2; i++)
		*imp_vec_push(arena, &system.default_dirs) = dirs[i];
	imp_ld_system_subdirs(&system, arena, NULL);
	imp_ld_process_init(&process);
	imp_ld_tree_start(&process, "/bin/prog1", NULL, &options, &tree, NULL);
	process.secure = img->n_first && img->first[0] & 1;
	if (imp_ld_tree_open(&process, &req, &options, &tree, NULL) < 0)
		abort();
	for (i = 0; i < tree.searches.n; i++) {
		const struct imp_ld_search *s = tree.searches.v[i];

		if (!s->object && !s->error && !s->unknown)
			abort(); /* it failed, and nobody says why */
	}
}

static void elf_all(struct imp_arena *arena, const struct imp_elf_bytes *bytes)
{
	struct imp_elf_symbol_list list = { 0 };
	struct imp_elf_symbol symbol;
	struct imp_elf_image img;
	const char *text, *why;
	size_t i, n;

	imp_elf_image_read(&img, bytes);
	if (imp_elf_image_refusal(&img, 64, 62, false, &text, &why) != IMP_ELF_ACCEPTED && !why)
		abort();
	imp_elf_image_refusal(&img, 32, 3, true, &text, &why);
	imp_elf_image_unmappable(&img, 4096);
	imp_elf_image_architecture(&img, arena);
	imp_elf_symbol_exported(&img, "PyInit_", 0, &list);
	imp_elf_symbol_undefined(&img, &list);
	n = list.n;
	for (i = 0; i < n && i < 64; i++) {
		imp_elf_symbol_find(&img, list.v[i].name, list.v[i].version, &symbol);
		imp_elf_symbol_versions(&img, list.v[i].name, &list);
	}
	imp_elf_symbol_nearest(&img, "PyInit_fuzz", 3, &list);
	imp_elf_symbol_at(&img, 0x1000, &symbol);
	elf_search(arena, &img);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imp_arena arena = { 0 };
	struct imp_elf_chunk chunks[3];
	struct imp_elf_bytes bytes;

	chunks[0] = (struct imp_elf_chunk){ 0, size, data };
	imp_elf_bytes_recorded(&bytes, &arena, size, chunks, 1);
	elf_all(&arena, &bytes);
	/* A larger file of which two thirds were kept, and of which pieces overlap. */
	chunks[0] = (struct imp_elf_chunk){ 0, size / 2, data };
	chunks[1] = (struct imp_elf_chunk){ size - size / 3, size / 3, data + (size - size / 3) };
	chunks[2] = (struct imp_elf_chunk){ size / 4, size / 4, data + size / 4 };
	imp_elf_bytes_recorded(&bytes, &arena, size * 3, chunks, 3);
	elf_all(&arena, &bytes);
	imp_arena_clear(&arena);
	return 0;
}
