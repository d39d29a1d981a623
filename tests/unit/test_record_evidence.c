/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace_maker.h"

#include "trace/record.h"

static struct imp_record record;

static const struct imp_image *read_maker(const struct maker *m)
{
	int fd = maker_fd(m);
	struct imp_error err = {0};
	int ret = imp_record_read(&record, fd, "t.zst", &err);

	close(fd);
	if (ret < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(record.images.n, 1);
	assert_int_equal(record.unknown_events, 0);
	return record.images.v[0];
}

static struct maker *begin(void)
{
	struct maker *m = maker_new();

	maker_header(m, 4711);
	maker_batch(m, 4711, 1000, 0, 0);
	return m;
}

static void done(struct maker *m)
{
	imp_record_clear(&record);
	free(m);
}

static void pair(struct imp_cbor *c, uint64_t a, uint64_t b)
{
	imp_cbor_array_begin(c);
	imp_cbor_uint(c, a);
	imp_cbor_uint(c, b);
	imp_cbor_array_end(c);
}

static void put_file(struct imp_cbor *c)
{
	event_begin(c, IMP_EV_FILE, 17);
	put_uint(c, IMP_KEY_CALL, 5);
	imp_cbor_uint(c, IMP_KEY_TEXT);
	value_path(c, 1, "x.so");
	put_list(c, IMP_KEY_LINKS);
	imp_cbor_array_begin(c);
	value_path(c, 1, "x.so");
	value_text(c, "../y.so");
	imp_cbor_array_end(c);
	imp_cbor_array_end(c);
	put_text(c, IMP_KEY_REALPATH, "/opt/y.so");
	put_uint(c, IMP_KEY_ERRNO, 13);
	put_list(c, IMP_KEY_STAT);
	imp_cbor_uint(c, 0100640);
	imp_cbor_uint(c, 1001);
	imp_cbor_uint(c, 1002);
	imp_cbor_uint(c, 123457);
	imp_cbor_int(c, -3);
	imp_cbor_array_end(c);
	imp_cbor_uint(c, IMP_KEY_MOUNT);
	pair(c, 8, 0x01021994);
	put_list(c, IMP_KEY_DIRECTORIES);
	imp_cbor_array_begin(c);
	imp_cbor_uint(c, 1);
	imp_cbor_uint(c, 040700);
	imp_cbor_uint(c, 0);
	imp_cbor_uint(c, 11);
	imp_cbor_array_end(c);
	imp_cbor_array_end(c);
	put_list(c, IMP_KEY_CHUNKS);
	imp_cbor_array_begin(c);
	imp_cbor_uint(c, 0);
	imp_cbor_bytes(c, "\177ELF\0\1", 6);
	imp_cbor_array_end(c);
	imp_cbor_array_begin(c);
	imp_cbor_uint(c, 99991);
	imp_cbor_bytes(c, "z", 1);
	imp_cbor_array_end(c);
	imp_cbor_array_end(c);
	put_uint(c, IMP_KEY_LIMIT_AS, 1 << 30);
	event_end(c);
}

static void test_file(void **state)
{
	struct maker *m = begin();
	const struct imp_file_facts *f;
	const struct imp_image *i;

	(void)state;
	event_string(&m->c, 1, "/opt/lib");
	put_file(&m->c);
	maker_end(m, 1);
	i = read_maker(m);
	assert_int_equal(i->files.n, 1);
	f = i->files.v[0];
	assert_int_equal(f->call, 5);
	assert_string_equal(f->path, "/opt/lib/x.so");
	assert_string_equal(f->realpath, "/opt/y.so");
	assert_int_equal(f->err, 13);
	assert_int_equal(f->time_ns, 1017);
	assert_int_equal(f->links.n, 1);
	assert_string_equal(f->links.v[0].path, "/opt/lib/x.so");
	assert_string_equal(f->links.v[0].target, "../y.so");
	assert_true(f->stat.known);
	assert_int_equal(f->stat.size, 123457);
	assert_int_equal(f->stat.mtime_ns, -3);
	assert_true(f->mount_known);
	assert_int_equal(f->mount_flags, 8);
	assert_int_equal(f->fs_type, 0x01021994);
	assert_int_equal(f->directories.n, 1);
	assert_string_equal(f->directories.v[0].path, "/opt/lib");
	assert_int_equal(f->directories.v[0].mode, 040700);
	assert_int_equal(f->directories.v[0].gid, 11);
	assert_true(f->read);
	assert_int_equal(f->chunks.n, 2);
	assert_int_equal(f->chunks.v[0].len, 6);
	assert_memory_equal(f->chunks.v[0].data, "\177ELF\0\1", 6);
	assert_int_equal(f->chunks.v[1].offset, 99991);
	assert_int_equal(f->limit_as, 1 << 30);
	done(m);
}

/* What is absent, or of another shape than this version expects. */
static void test_odd_files(void **state)
{
	static const enum imp_key lists[] = {IMP_KEY_LINKS, IMP_KEY_STAT, IMP_KEY_MOUNT,
					     IMP_KEY_DIRECTORIES, IMP_KEY_CHUNKS};
	struct maker *m = begin();
	const struct imp_image *i;
	size_t k, j;

	(void)state;
	event_begin(&m->c, IMP_EV_FILE, 1);
	put_text(&m->c, IMP_KEY_TEXT, "/bare.so");
	event_end(&m->c);
	event_begin(&m->c, IMP_EV_FILE, 2); /* of no file */
	event_end(&m->c);
	for (k = 0; k < 3; k++) {
		event_begin(&m->c, IMP_EV_FILE, 3 + k);
		put_text(&m->c, IMP_KEY_TEXT, "/odd.so");
		put_uint(&m->c, IMP_KEY_ERRNO, UINT64_MAX);
		for (j = 0; j < sizeof(lists) / sizeof(lists[0]); j++) {
			if (k == 0) {
				put_uint(&m->c, lists[j], 7);
				continue;
			}
			put_list(&m->c, lists[j]);
			if (k == 1) {
				imp_cbor_uint(&m->c, 3);
				value_text(&m->c, "text");
			}
			imp_cbor_array_begin(&m->c);
			imp_cbor_array_end(&m->c);
			pair(&m->c, UINT64_MAX, 2);
			imp_cbor_array_begin(&m->c);
			imp_cbor_uint(&m->c, UINT64_MAX);
			imp_cbor_bytes(&m->c, "xy", 2);
			imp_cbor_array_end(&m->c);
			imp_cbor_array_end(&m->c);
		}
		event_end(&m->c);
	}
	maker_end(m, 1);
	i = read_maker(m);
	assert_int_equal(i->files.n, 4);
	assert_null(i->files.v[0]->realpath);
	for (k = 0; k < 4; k++) {
		assert_int_equal(i->files.v[k]->chunks.n, 0);
		assert_int_equal(i->files.v[k]->directories.n, 0);
		assert_false(i->files.v[k]->stat.known);
		assert_false(i->files.v[k]->mount_known);
		assert_int_equal(i->files.v[k]->err, 0);
		assert_int_equal(i->files.v[k]->read, k >= 2);
	}
	done(m);
}

static void test_stacks(void **state)
{
	struct maker *m = begin();
	const struct imp_image *i;

	(void)state;
	event_begin(&m->c, IMP_EV_IMPORT_BEGIN, 1);
	put_uint(&m->c, IMP_KEY_IMPORT, 23);
	put_text(&m->c, IMP_KEY_TEXT, "gone");
	event_end(&m->c);
	event_begin(&m->c, IMP_EV_NATIVE_STACK, 2);
	put_uint(&m->c, IMP_KEY_CALL, 5);
	put_list(&m->c, IMP_KEY_FRAMES);
	pair(&m->c, 3, 0x1234);
	value_text(&m->c, "?");
	pair(&m->c, 0, 0x7f0000001000);
	imp_cbor_array_end(&m->c);
	event_end(&m->c);
	event_begin(&m->c, IMP_EV_NATIVE_STACK, 3);
	put_uint(&m->c, IMP_KEY_IMPORT, 23);
	event_end(&m->c);
	event_begin(&m->c, IMP_EV_RAISED, 4);
	imp_cbor_uint(&m->c, IMP_KEY_TEXT);
	imp_cbor_bytes(&m->c, "MOZ\0RUST", 8);
	put_uint(&m->c, IMP_KEY_IMPORT, 23);
	put_list(&m->c, IMP_KEY_FRAMES);
	pair(&m->c, 2, 7);
	imp_cbor_array_end(&m->c);
	event_end(&m->c);
	maker_end(m, 1);
	i = read_maker(m);
	assert_int_equal(i->native_stacks.n, 2);
	assert_int_equal(i->native_stacks.v[0]->call, 5);
	assert_null(i->native_stacks.v[0]->attempt);
	assert_int_equal(i->native_stacks.v[0]->frames.n, 2);
	assert_int_equal(i->native_stacks.v[0]->frames.v[0].object, 3);
	assert_int_equal(i->native_stacks.v[0]->frames.v[0].offset, 0x1234);
	assert_int_equal(i->native_stacks.v[0]->frames.v[1].object, 0);
	assert_int_equal(i->native_stacks.v[0]->frames.v[1].offset, 0x7f0000001000);
	assert_ptr_equal(i->native_stacks.v[1]->attempt, i->attempts.v[0]);
	assert_int_equal(i->native_stacks.v[1]->frames.n, 0);
	assert_int_equal(i->raised.n, 1);
	assert_string_equal(i->raised.v[0]->exception_class, "MOZ\\0RUST");
	assert_ptr_equal(i->raised.v[0]->attempt, i->attempts.v[0]);
	assert_int_equal(i->raised.v[0]->frames.n, 1);
	done(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_odd_files),
		cmocka_unit_test(test_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
