/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The events of rtld-audit, grouped into look-ups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <link.h>

#include "trace_maker.h"

#include "trace/record.h"

#define OTHER_THREAD 4712

static struct imp_record record;
static uint64_t now;

static struct maker *begin(void)
{
	struct maker *m = maker_new();

	now = 0;
	maker_header(m, 4711);
	maker_batch(m, 4711, 1000, 0, 0);
	return m;
}

static void put_event(struct imp_cbor *c, uint64_t kind, uint64_t thread)
{
	event_begin(c, kind, ++now);
	if (thread)
		put_uint(c, IMP_KEY_THREAD, thread);
}

static void tries(struct maker *m, uint64_t thread, const char *path, uint64_t flag,
		  const char *requester)
{
	put_event(&m->c, IMP_EV_SEARCH_PATH, thread);
	put_text(&m->c, IMP_KEY_TEXT, path);
	put_uint(&m->c, IMP_KEY_FLAGS, flag);
	if (requester)
		put_text(&m->c, IMP_KEY_REQUESTER, requester);
	event_end(&m->c);
}

static void opens(struct maker *m, uint64_t thread, const char *path)
{
	put_event(&m->c, IMP_EV_SEARCH_OPEN, thread);
	put_text(&m->c, IMP_KEY_TEXT, path);
	event_end(&m->c);
}

static void dlopen_event(struct maker *m, uint64_t kind, uint64_t thread, uint64_t call)
{
	put_event(&m->c, kind, thread);
	put_uint(&m->c, IMP_KEY_CALL, call);
	event_end(&m->c);
}

static const struct imp_image *read_maker(struct maker *m)
{
	struct imp_error err = {0};
	int fd, ret;

	maker_end(m, 1);
	fd = maker_fd(m);
	ret = imp_record_read(&record, fd, "t.zst", &err);
	close(fd);
	if (ret < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(record.images.n, 1);
	assert_int_equal(record.unknown_events, 0);
	return record.images.v[0];
}

static void done(struct maker *m)
{
	imp_record_clear(&record);
	free(m);
}

static void test_start_and_dlopen(void **state)
{
	const struct imp_ld_lookup_seen *l;
	struct maker *m = begin();
	const struct imp_image *i;

	(void)state;
	tries(m, 0, "libc.so.6", LA_SER_ORIG, NULL);
	tries(m, 0, "/lib/libc.so.6", LA_SER_CONFIG, NULL);
	opens(m, 0, "/lib/libc.so.6");
	dlopen_event(m, IMP_EV_DLOPEN_ENTER, 0, 7);
	tries(m, 0, "/a/x.so", LA_SER_ORIG, "/a/host.so");
	opens(m, 0, "/a/x.so");
	tries(m, 0, "liby.so", LA_SER_ORIG, "/a/x.so");
	tries(m, 0, "/b/liby.so", LA_SER_RUNPATH, NULL);
	tries(m, 0, "/lib/liby.so", LA_SER_DEFAULT, NULL);
	dlopen_event(m, IMP_EV_DLOPEN_LEAVE, 0, 7);
	tries(m, 0, "libnss.so", LA_SER_ORIG, NULL);
	i = read_maker(m);
	assert_int_equal(i->lookups.n, 4);
	l = i->lookups.v[0];
	assert_string_equal(l->name, "libc.so.6");
	assert_null(l->call);
	assert_null(l->requester);
	assert_int_equal(l->tried.n, 1);
	assert_string_equal(l->opened, "/lib/libc.so.6");
	l = i->lookups.v[1];
	assert_ptr_equal(l->call, i->dlopens.v[0]);
	assert_string_equal(l->requester, "/a/host.so");
	assert_int_equal(l->tried.n, 0);
	assert_string_equal(l->opened, "/a/x.so");
	l = i->lookups.v[2];
	assert_ptr_equal(l->call, i->dlopens.v[0]);
	assert_int_equal(l->tried.n, 2);
	assert_string_equal(l->tried.v[0].path, "/b/liby.so");
	assert_int_equal(l->tried.v[0].flag, LA_SER_RUNPATH);
	assert_int_equal(l->tried.v[1].flag, LA_SER_DEFAULT);
	assert_null(l->opened);
	assert_null(i->lookups.v[3]->call);
	done(m);
}

/* A constructor's dlopen runs within the other; one that an exception left never comes back. */
static void test_nested(void **state)
{
	struct maker *m = begin();
	const struct imp_image *i;

	(void)state;
	dlopen_event(m, IMP_EV_DLOPEN_ENTER, 0, 1);
	dlopen_event(m, IMP_EV_DLOPEN_ENTER, 0, 2);
	tries(m, 0, "inner", LA_SER_ORIG, NULL);
	dlopen_event(m, IMP_EV_DLOPEN_LEAVE, 0, 2);
	tries(m, 0, "outer", LA_SER_ORIG, NULL);
	dlopen_event(m, IMP_EV_DLOPEN_ENTER, 0, 3);
	dlopen_event(m, IMP_EV_DLOPEN_LEAVE, 0, 1);
	tries(m, 0, "none", LA_SER_ORIG, NULL);
	dlopen_event(m, IMP_EV_DLOPEN_LEAVE, 0, 99);
	i = read_maker(m);
	assert_int_equal(i->lookups.n, 3);
	assert_ptr_equal(i->lookups.v[0]->call, i->dlopens.v[1]);
	assert_ptr_equal(i->lookups.v[1]->call, i->dlopens.v[0]);
	assert_null(i->lookups.v[2]->call);
	assert_ptr_equal(i->dlopens.v[1]->outer, i->dlopens.v[0]);
	done(m);
}

static void test_threads(void **state)
{
	struct maker *m = begin();
	const struct imp_image *i;

	(void)state;
	dlopen_event(m, IMP_EV_DLOPEN_ENTER, 0, 1);
	dlopen_event(m, IMP_EV_DLOPEN_ENTER, OTHER_THREAD, 2);
	tries(m, OTHER_THREAD, "theirs", LA_SER_ORIG, NULL);
	tries(m, 0, "ours", LA_SER_ORIG, NULL);
	tries(m, OTHER_THREAD, "/theirs", LA_SER_DEFAULT, NULL);
	opens(m, 0, "/ours");
	i = read_maker(m);
	assert_int_equal(i->lookups.n, 2);
	assert_ptr_equal(i->lookups.v[0]->call, i->dlopens.v[1]);
	assert_int_equal(i->lookups.v[0]->thread, OTHER_THREAD);
	assert_string_equal(i->lookups.v[0]->tried.v[0].path, "/theirs");
	assert_null(i->lookups.v[0]->opened);
	assert_ptr_equal(i->lookups.v[1]->call, i->dlopens.v[0]);
	assert_string_equal(i->lookups.v[1]->opened, "/ours");
	done(m);
}

/* What a trace may hold when its beginning was lost, or somebody made it up. */
static void test_odd(void **state)
{
	struct maker *m = begin();
	const struct imp_image *i;

	(void)state;
	tries(m, 0, "/lost", LA_SER_DEFAULT, NULL);
	opens(m, 0, "/dlmopened.so");
	put_event(&m->c, IMP_EV_SEARCH_PATH, 0);
	put_uint(&m->c, IMP_KEY_FLAGS, LA_SER_ORIG);
	event_end(&m->c);
	opens(m, 0, "/first");
	opens(m, 0, "/second");
	tries(m, 0, "/late", LA_SER_DEFAULT, NULL);
	i = read_maker(m);
	assert_int_equal(i->lookups.n, 1);
	assert_null(i->lookups.v[0]->name);
	assert_string_equal(i->lookups.v[0]->opened, "/first");
	assert_int_equal(i->lookups.v[0]->tried.n, 0);
	done(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_and_dlopen),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_odd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
