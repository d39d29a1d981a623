// SPDX-License-Identifier: GPL-2.0-or-later
/* What rtld-audit saw takes the place of what was derived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <link.h>

#include "elf/ld_observed.h"
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

static void mapped(struct imp_image *image, const char *path)
{
	struct imp_object *o = imp_arena_alloc(&arena, sizeof(*o));

	*imp_vec_push(&arena, &image->objects) = o;
	o->number = image->objects.n;
	o->path = path;
	o->mapped_ns = 1;
}

static void kept(struct imp_image *image, const char *path, struct elf_maker m)
{
	struct imp_file_facts *f = imp_arena_alloc(&arena, sizeof(*f));
	struct imp_file_chunk *chunk;

	elf_make(&m);
	*imp_vec_push(&arena, &image->files) = f;
	f->path = path;
	f->stat.known = true;
	f->stat.size = m.len;
	f->read = true;
	chunk = imp_vec_push(&arena, &f->chunks);
	chunk->len = m.len;
	chunk->data = (const uint8_t *)imp_arena_strndup(&arena, (const char *)m.data, m.len);
}

static void program(struct imp_image *image)
{
	memset(image, 0, sizeof(*image));
	image->started = true;
	image->exe = "/bin/py";
	image->cwd = "/work";
	image->libc = "2.36";
	image->machine = "x86_64";
	mapped(image, "/bin/py");
	mapped(image, "/lib/x86_64-linux-gnu/libc.so.6");
}

static struct imp_dlopen *failed(struct imp_image *image, const char *name, const char *error)
{
	struct imp_dlopen *d = imp_arena_alloc(&arena, sizeof(*d));

	*imp_vec_push(&arena, &image->dlopens) = d;
	d->call = image->dlopens.n;
	d->name = name;
	d->flags = RTLD_NOW;
	d->caller = 1;
	d->begin_ns = 100;
	d->end_ns = 110;
	d->ended = true;
	d->error = error;
	return d;
}

static struct imp_ld_lookup_seen *seen(struct imp_image *image, struct imp_dlopen *d,
				       const char *name, const char *requester)
{
	struct imp_ld_lookup_seen *l = imp_arena_alloc(&arena, sizeof(*l));

	*imp_vec_push(&arena, &image->lookups) = l;
	l->name = name;
	l->requester = requester;
	l->call = d;
	return l;
}

static void tried(struct imp_ld_lookup_seen *l, const char *path, uint64_t flag)
{
	*imp_vec_push(&arena, &l->tried) = (struct imp_tried_path){path, flag};
}

static void check(const struct imp_ld_candidate *c, const char *path, enum imp_ld_origin origin,
		  enum imp_ld_result result)
{
	assert_string_equal(c->path, path);
	assert_string_equal(imp_ld_origin_name(c->origin), imp_ld_origin_name(origin));
	assert_string_equal(imp_ld_result_name(c->result), imp_ld_result_name(result));
}

/* A file that was put there meanwhile was not there; and one rule of two is told from the file. */
static void test_the_trace_is_right(void **state)
{
	struct imp_ld_lookup_seen *l;
	struct imp_ld_replay r;
	struct imp_image image;
	struct imp_ld_search *s;
	struct imp_ld_tree t;
	struct imp_dlopen *d;

	(void)state;
	program(&image);
	kept(&image, "/opt/x.so",
	     (struct elf_maker){.rpath = "/opt/lib:/opt/more", .needed = {"liby.so"}});
	kept(&image, "/opt/lib/liby.so", (struct elf_maker){.soname = "liby.so"});
	d = failed(&image, "/opt/x.so",
		   "liby.so: cannot open shared object file: No such file or directory");
	seen(&image, d, "/opt/x.so", NULL)->opened = "/opt/x.so";
	l = seen(&image, d, "liby.so", "/opt/x.so");
	tried(l, "/opt/lib/liby.so", LA_SER_RUNPATH);
	tried(l, "/opt/more/liby.so", LA_SER_RUNPATH);
	tried(l, "/odd/liby.so", LA_SER_LIBPATH);
	tried(l, "/cached/liby.so", LA_SER_CONFIG);
	tried(l, "/lib/liby.so", LA_SER_DEFAULT);
	imp_ld_replay_init(&r, &arena, &image, &nowhere);
	assert_int_equal(imp_ld_replay_dlopen(&r, d, &t), 0);
	assert_int_equal(t.searches.n, 2);
	s = t.searches.v[0];
	assert_true(s->observed);
	assert_int_equal(s->tried.n, 1);
	check(&s->tried.v[0], "/opt/x.so", IMP_LD_DIRECT, IMP_LD_OPENED);
	s = t.searches.v[1];
	assert_true(s->observed);
	assert_false(s->unknown);
	assert_null(s->object);
	assert_string_equal(s->requester->file, "/opt/x.so");
	assert_int_equal(s->tried.n, 5);
	check(&s->tried.v[0], "/opt/lib/liby.so", IMP_LD_RPATH, IMP_LD_ABSENT);
	check(&s->tried.v[1], "/opt/more/liby.so", IMP_LD_RPATH, IMP_LD_ABSENT);
	check(&s->tried.v[2], "/odd/liby.so", IMP_LD_LIBRARY_PATH, IMP_LD_ABSENT);
	check(&s->tried.v[3], "/cached/liby.so", IMP_LD_CACHE, IMP_LD_ABSENT);
	check(&s->tried.v[4], "/lib/liby.so", IMP_LD_DEFAULT, IMP_LD_ABSENT);
	imp_ld_replay_clear(&r);
}

/* Of /opt/x.so nothing was kept, so what it needs can't be derived. */
static void test_what_was_not_derived(void **state)
{
	struct imp_ld_lookup_seen *l;
	struct imp_ld_replay r;
	struct imp_image image;
	struct imp_ld_search *s;
	struct imp_ld_tree t;
	struct imp_dlopen *d;

	(void)state;
	program(&image);
	d = failed(&image, "/opt/x.so",
		   "libz.so: cannot open shared object file: No such file or directory");
	seen(&image, d, "/opt/x.so", NULL)->opened = "/opt/x.so";
	l = seen(&image, d, "liby.so", "/opt/x.so");
	tried(l, "/a/liby.so", LA_SER_LIBPATH);
	tried(l, "/b/liby.so", LA_SER_DEFAULT);
	l->opened = "/b/liby.so";
	l = seen(&image, d, "libz.so", "/b/liby.so");
	tried(l, "/b/libz.so", LA_SER_RUNPATH);
	seen(&image, NULL, "libstart.so", NULL)->opened = "/lib/libstart.so";
	seen(&image, d, NULL, NULL);
	imp_ld_replay_init(&r, &arena, &image, &nowhere);
	assert_int_equal(imp_ld_replay_dlopen(&r, d, &t), 0);
	assert_int_equal(t.searches.n, 3);
	s = t.searches.v[1];
	assert_string_equal(s->name, "liby.so");
	assert_string_equal(s->requester->file, "/opt/x.so");
	check(&s->tried.v[0], "/a/liby.so", IMP_LD_LIBRARY_PATH, IMP_LD_ABSENT);
	check(&s->tried.v[1], "/b/liby.so", IMP_LD_DEFAULT, IMP_LD_OPENED);
	assert_string_equal(s->object->file, "/b/liby.so");
	s = t.searches.v[2];
	assert_string_equal(s->requester->file, "/b/liby.so");
	check(&s->tried.v[0], "/b/libz.so", IMP_LD_RUNPATH, IMP_LD_ABSENT);
	assert_null(s->object);
	imp_ld_replay_clear(&r);
}

/* One that was opened, and then could not be mapped, was there. */
static void test_opened_and_refused(void **state)
{
	struct imp_ld_lookup_seen *l;
	struct imp_ld_replay r;
	struct imp_image image;
	struct imp_ld_tree t;
	struct imp_dlopen *d;

	(void)state;
	program(&image);
	kept(&image, "/a/libm2.so", (struct elf_maker){.soname = "libm2.so"});
	d = failed(&image, "libm2.so", "libm2.so: failed to map segment from shared object");
	l = seen(&image, d, "libm2.so", NULL);
	tried(l, "/none/libm2.so", LA_SER_LIBPATH);
	tried(l, "/a/libm2.so", LA_SER_LIBPATH);
	imp_ld_replay_init(&r, &arena, &image, &nowhere);
	assert_int_equal(imp_ld_replay_dlopen(&r, d, &t), 0);
	assert_int_equal(t.searches.v[0]->tried.n, 2);
	check(&t.searches.v[0]->tried.v[0], "/none/libm2.so", IMP_LD_LIBRARY_PATH, IMP_LD_ABSENT);
	check(&t.searches.v[0]->tried.v[1], "/a/libm2.so", IMP_LD_LIBRARY_PATH, IMP_LD_OPENED);
	imp_ld_replay_clear(&r);
}

static void test_nothing_was_seen(void **state)
{
	struct imp_ld_replay r;
	struct imp_image image;
	struct imp_ld_tree t;
	struct imp_dlopen *d;

	(void)state;
	program(&image);
	d = failed(&image, "libm2.so",
		   "libm2.so: cannot open shared object file: No such file or directory");
	seen(&image, NULL, "libm2.so", NULL);
	imp_ld_replay_init(&r, &arena, &image, &nowhere);
	assert_int_equal(imp_ld_replay_dlopen(&r, d, &t), 0);
	assert_int_equal(t.searches.n, 1);
	assert_false(t.searches.v[0]->observed);
	assert_true(t.searches.v[0]->unknown);
	imp_ld_replay_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_the_trace_is_right, clear),
		cmocka_unit_test_teardown(test_what_was_not_derived, clear),
		cmocka_unit_test_teardown(test_opened_and_refused, clear),
		cmocka_unit_test_teardown(test_nothing_was_seen, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
