// SPDX-License-Identifier: GPL-2.0-or-later
/* A trace from another machine: only what it kept is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>

#include "elf/ld_replay.h"
#include "elf_maker.h"
#include "host/host.h"

static struct imp_arena arena;
static const struct imp_host nowhere = {.enabled = false};

static int clear(void **state)
{
	(void)state;
	imp_arena_clear(&arena);
	return 0;
}

static struct imp_object *mapped(struct imp_image *image, const char *path, uint64_t time_ns)
{
	struct imp_object *o = imp_arena_alloc(&arena, sizeof(*o));

	*imp_vec_push(&arena, &image->objects) = o;
	o->number = image->objects.n;
	o->path = path;
	o->mapped_ns = time_ns;
	return o;
}

static struct imp_dlopen *opened(struct imp_image *image, const char *name, uint64_t caller,
				 uint64_t begin_ns, bool worked)
{
	struct imp_dlopen *d = imp_arena_alloc(&arena, sizeof(*d));

	*imp_vec_push(&arena, &image->dlopens) = d;
	d->call = image->dlopens.n;
	d->name = name;
	d->flags = RTLD_NOW;
	d->caller = caller;
	d->begin_ns = begin_ns;
	d->end_ns = begin_ns + 10;
	d->ended = true;
	d->handle = worked;
	return d;
}

static struct imp_file_facts *kept(struct imp_image *image, const char *path, const void *data,
				   size_t len)
{
	struct imp_file_facts *f = imp_arena_alloc(&arena, sizeof(*f));
	struct imp_file_chunk *chunk;

	*imp_vec_push(&arena, &image->files) = f;
	f->path = path;
	f->stat.known = true;
	f->stat.size = len;
	f->read = true;
	if (len) {
		chunk = imp_vec_push(&arena, &f->chunks);
		chunk->len = len;
		chunk->data = (const uint8_t *)imp_arena_strndup(&arena, data, len);
	}
	return f;
}

static void object(struct imp_image *image, const char *path, struct elf_maker m)
{
	elf_make(&m);
	kept(image, path, m.data, m.len);
}

static void program(struct imp_image *image)
{
	memset(image, 0, sizeof(*image));
	image->started = true;
	image->exe = "/bin/py";
	image->cwd = "/work";
	image->libc = "2.36";
	image->machine = "x86_64";
	mapped(image, "/bin/py", 1);
	mapped(image, "/lib/x86_64-linux-gnu/libc.so.6", 1);
	mapped(image, "linux-vdso.so.1", 1);
}

static void test_the_caller_counts(void **state)
{
	struct imp_ld_replay r;
	struct imp_ld_tree t;
	struct imp_image image;
	struct imp_dlopen *d;

	(void)state;
	program(&image);
	object(&image, "/opt/host.so", (struct elf_maker){.runpath = "$ORIGIN/plugins"});
	object(&image, "/opt/plugins/plug.so", (struct elf_maker){.machine = EM_AARCH64});
	mapped(&image, "/opt/host.so", 95);
	opened(&image, "/opt/host.so", 1, 90, true);
	d = opened(&image, "plug.so", 4, 200, false);
	imp_ld_replay_init(&r, &arena, &image, &nowhere);
	assert_int_equal(r.system.glibc_minor, 36);
	assert_int_equal(r.process.objects.n, 2); /* the program and libc */
	assert_int_equal(imp_ld_replay_dlopen(&r, d, &t), 0);
	assert_ptr_equal(t.searches.v[0]->requester, imp_ld_replay_object(&r, 4));
	assert_string_equal(t.searches.v[0]->requester->name, "/opt/host.so");
	assert_string_equal(t.searches.v[0]->tried.v[0].path, "/opt/plugins/plug.so");
	assert_int_equal(t.searches.v[0]->tried.v[0].result, IMP_LD_WRONG_ELF);
	assert_int_equal(t.searches.v[0]->tried.v[0].origin, IMP_LD_RUNPATH);
	/* The default directories were not kept: it may lie there. */
	assert_true(t.unknown);
	imp_ld_replay_clear(&r);
}

static void test_what_is_loaded_when(void **state)
{
	struct imp_object *gone;
	struct imp_ld_replay r;
	struct imp_ld_tree t;
	struct imp_image image;
	struct imp_dlopen *d;

	(void)state;
	program(&image);
	object(&image, "/a/libx.so.1", (struct elf_maker){.soname = "libx.so.1"});
	object(&image, "/opt/user.so", (struct elf_maker){.needed = {"libx.so.1"}});
	gone = mapped(&image, "/a/libx.so.1", 95);
	gone->gone_ns = 150;
	opened(&image, "/a/libx.so.1", 1, 90, true);
	d = opened(&image, "/opt/user.so", 1, 120, false);
	opened(&image, "/opt/user.so", 1, 200, false);
	imp_ld_replay_init(&r, &arena, &image, &nowhere);
	assert_int_equal(imp_ld_replay_dlopen(&r, d, &t), 0);
	assert_string_equal(t.searches.v[1]->loaded_by, "soname");
	/* dlopen has failed all the same, says the trace, and later libx was closed. */
	assert_int_equal(imp_ld_replay_dlopen(&r, image.dlopens.v[2], &t), 0);
	assert_null(t.searches.v[1]->object);
	assert_true(t.searches.v[1]->unknown);
	imp_ld_replay_clear(&r);
}

static void test_kept_files(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		const char *error;
	} cases[] = {
		{"", 0, "file too short"},
		{"<html><body>404 Not Found: this is what a proxy says</body></html>", 66,
		 "invalid ELF header"},
	};
	struct imp_image image;
	struct imp_ld_replay r;
	struct imp_ld_tree t;
	struct imp_dlopen *d;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		program(&image);
		kept(&image, "/opt/ext.so", cases[i].data, cases[i].len);
		d = opened(&image, "/opt/ext.so", 1, 100, false);
		imp_ld_replay_init(&r, &arena, &image, &nowhere);
		assert_int_equal(imp_ld_replay_dlopen(&r, d, &t), 0);
		assert_string_equal(t.failed->error, cases[i].error);
		assert_string_equal(t.failed->error_name, "/opt/ext.so");
		imp_ld_replay_clear(&r);
	}
	program(&image);
	kept(&image, "sub/ext.so", "", 0)->err = EACCES;
	d = opened(&image, "sub/ext.so", 1, 100, false);
	imp_ld_replay_init(&r, &arena, &image, &nowhere);
	assert_int_equal(imp_ld_replay_dlopen(&r, d, &t), 0);
	assert_int_equal(t.failed->tried.v[0].result, IMP_LD_DENIED);
	assert_string_equal(t.failed->error, "cannot open shared object file: Permission denied");
	d->name = NULL;
	assert_int_equal(imp_ld_replay_dlopen(&r, d, &t), -EINVAL);
	imp_ld_replay_clear(&r);
}

static void test_nothing_is_known(void **state)
{
	struct imp_image image = {0};
	struct imp_ld_replay r;
	struct imp_ld_tree t;

	(void)state;
	opened(&image, "libfoo.so", 7, 100, false);
	imp_ld_replay_init(&r, &arena, &image, &nowhere);
	imp_ld_replay_until(&r, 50);
	assert_int_equal(imp_ld_replay_dlopen(&r, image.dlopens.v[0], &t), 0);
	assert_true(t.unknown);
	assert_null(imp_ld_replay_object(&r, 7));
	imp_ld_replay_clear(&r);
	imp_ld_replay_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_the_caller_counts, clear),
		cmocka_unit_test_teardown(test_what_is_loaded_when, clear),
		cmocka_unit_test_teardown(test_kept_files, clear),
		cmocka_unit_test_teardown(test_nothing_is_known, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
