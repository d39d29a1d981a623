/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sample_trace.h"

#include "trace/record.h"

static struct imp_record record;

static int read_bytes(const void *data, size_t len, struct imp_error *err)
{
	int fd = bytes_fd(data, len), ret;

	ret = imp_record_read(&record, fd, "t.zst", err);
	close(fd);
	return ret;
}

static void read_maker(const struct maker *m)
{
	struct imp_error err = {0};

	if (read_bytes(m->file, m->len, &err) < 0)
		fail_msg("%s", err.msg);
}

static void expect_damage(size_t i, const char *part)
{
	if (i >= record.damage.n)
		fail_msg("only %zu damages", record.damage.n);
	if (!strstr(record.damage.v[i], part))
		fail_msg("damage %zu is: %s", i, record.damage.v[i]);
}

static void test_process(void **state)
{
	struct maker *m = maker_new();
	const struct imp_image *i;

	(void)state;
	sample_trace(m);
	read_maker(m);
	assert_int_equal(record.damage.n, 0);
	assert_int_equal(record.major, 1);
	assert_int_equal(record.minor, 7);
	assert_int_equal(record.root_pid, SAMPLE_PID);
	assert_true(record.realtime_ns == 1700000000000000000);
	assert_int_equal(record.start_ns, 900);
	assert_int_equal(record.images.n, 2); /* "imptrace run" is none */
	assert_int_equal(record.unknown_events, 1);
	i = record.images.v[0];
	assert_int_equal(i->pid, SAMPLE_PID);
	assert_int_equal(i->image_ns, SAMPLE_NS);
	assert_true(i->started && i->how == IMP_START_FIRST && i->ppid == 1 && !i->parent);
	assert_string_equal(i->exe, "/usr/bin/python3.13");
	assert_int_equal(i->argv.n, 3);
	assert_string_equal(i->argv.v[2], "import \x1b[31m");
	assert_string_equal(i->cwd, "/work");
	assert_true(i->ids_known && i->uid == 1001 && i->euid == 1003 && i->gid == 1002 &&
		    i->egid == 1004);
	assert_string_equal(imp_record_env(i, "PATH"), "/usr/bin");
	assert_string_equal(imp_record_env(i, "PYTHONPATH"), "/a:/b");
	assert_null(imp_record_env(i, "HOME"));
	assert_null(imp_record_env(i, "PAT"));
	assert_string_equal(i->libc, "2.36");
	assert_int_equal(i->page_size, 4096);
	assert_string_equal(i->machine, "x86_64");
	assert_string_equal(i->release, "6.1.0");
	assert_string_equal(i->boot_id, "boot-id");
	assert_int_equal(i->root_dev, 2049);
	assert_int_equal(i->root_ino, 2);
	assert_int_equal(i->lost, 5);
	assert_int_equal(i->missing_batches, 0);
	/* The exec came back, and a signal ended it. */
	assert_int_equal(i->execs.n, 1);
	assert_int_equal(i->execs.v[0]->failed_errno, 2);
	assert_false(i->ended);
	assert_true(i->waited && i->signal == 11 && !i->code_known);
	assert_int_equal(i->end_ns, 99500);
	assert_int_equal(i->last_ns, 1141);
	imp_record_clear(&record);
	imp_record_clear(&record);
	free(m);
}

static void test_native(void **state)
{
	struct maker *m = maker_new();
	const struct imp_object *o;
	const struct imp_image *i;

	(void)state;
	sample_trace(m);
	read_maker(m);
	i = record.images.v[0];
	assert_int_equal(i->objects.n, 2);
	o = imp_record_object(i, 2);
	assert_string_equal(o->path, "/lib/libc.so.6");
	assert_int_equal(o->address, 0x7f0000001000);
	assert_int_equal(o->build_id_len, 2);
	assert_int_equal(o->build_id[1], 0xab);
	assert_int_equal(o->mapped_ns, 1021);
	assert_int_equal(o->gone_ns, 1023);
	assert_string_equal(imp_record_object(i, 1)->path, "/usr/bin/python3.13");
	assert_null(imp_record_object(i, 3));
	assert_null(imp_record_object(i, 0));
	assert_ptr_equal(imp_record_object(record.images.v[1], 1),
			 imp_record_object(i, 1)); /* forked */
	assert_int_equal(i->dlopens.n, 2);
	assert_string_equal(i->dlopens.v[0]->name, "libffi.so.7");
	assert_true(i->dlopens.v[0]->ended && !i->dlopens.v[0]->handle);
	assert_int_equal(i->dlopens.v[0]->end_ns, 1025);
	assert_int_equal(i->dlopens.v[0]->offset, 4660);
	assert_non_null(strstr(i->dlopens.v[0]->error, "cannot open"));
	assert_null(i->dlopens.v[1]->name);
	assert_false(i->dlopens.v[1]->ended);
	assert_int_equal(i->notes.n, 1);
	assert_int_equal(i->notes.v[0].note, IMP_NOTE_HOOKS_FAILED);
	assert_int_equal(i->notes.v[0].err, 12);
	imp_record_clear(&record);
	free(m);
}

static void test_imports(void **state)
{
	struct maker *m = maker_new();
	const struct imp_interpreter *py;
	const struct imp_attempt *outer, *inner;
	const struct imp_exception *e;
	const struct imp_entry *entry;
	const struct imp_image *i;

	(void)state;
	sample_trace(m);
	read_maker(m);
	i = record.images.v[0];
	py = imp_record_interpreter(i, 0);
	assert_string_equal(py->version, "3.13.0 (main)");
	assert_int_equal(py->suffixes.n, 3);
	assert_int_equal(py->flags.n, 2);
	assert_string_equal(py->flags.v[1].name, "int_max_str_digits");
	assert_true(py->flags.v[1].value == -1);
	assert_int_equal(py->paths.n, 1);
	assert_int_equal(py->paths.v[0].phase, IMP_PHASE_SITE);
	assert_string_equal(py->paths.v[0].path.v[0], "");
	assert_string_equal(py->meta_paths.v[0].meta_path.v[1], "PathFinder");
	assert_null(py->stdlib);
	assert_null(imp_record_interpreter(i, 1));
	assert_int_equal(i->attempts.n, 2);
	outer = i->attempts.v[0];
	inner = i->attempts.v[1];
	assert_string_equal(outer->name, "cryptography");
	assert_null(outer->parent);
	assert_ptr_equal(inner->parent, outer);
	assert_true(outer->ended && !outer->exception && outer->end_ns == 1120);
	assert_string_equal(outer->outcome->origin, "/site/cryptography/__init__.py");
	assert_string_equal(outer->frame->file, "fetch.py");
	assert_int_equal(outer->frame->line, 13);
	assert_int_equal(inner->thread, SAMPLE_PID);
	assert_int_equal(inner->outcome->stack.n, 2);
	assert_int_equal(inner->outcome->searched.n, 1);
	assert_int_equal(inner->outcome->searched.v[0].result, IMP_SEARCH_NAMESPACE);
	e = inner->exception;
	assert_string_equal(e->type, "ImportError");
	assert_string_equal(e->message, "bad\\0thing");
	assert_int_equal(e->id, 0xdeadbeef);
	assert_true(e->suppress_context);
	assert_string_equal(e->cause->name, "_cffi_backend");
	assert_string_equal(e->where.file, "/x/y.py");
	assert_null(e->context);
	assert_int_equal(e->members.n, 1);
	assert_string_equal(e->members.v[0]->type, "KeyError");
	assert_int_equal(i->extensions.n, 1);
	assert_ptr_equal(i->extensions.v[0]->attempt, inner);
	assert_int_equal(i->extensions.v[0]->step, IMP_STEP_EXEC);
	assert_non_null(i->extensions.v[0]->exception);
	assert_int_equal(inner->outcome->snapshot->entries.n, 1);
	entry = &inner->outcome->snapshot->entries.v[0];
	assert_true(entry->stat.known && entry->stat.mode == 040755 && entry->stat.mtime_ns == -5);
	assert_true(entry->finder_mtime_known && entry->finder_mtime_ns == -17);
	assert_int_equal(entry->candidates.n, 2);
	assert_true(entry->candidates.v[0].stat.mtime_ns == 1700000000123456789);
	assert_true(entry->candidates.v[0].in_cache && entry->candidates.v[0].on_disk);
	assert_false(entry->candidates.v[1].on_disk || entry->candidates.v[1].in_cache_known);
	assert_int_equal(entry->candidates.v[1].target_err, 2);
	assert_string_equal(entry->metadata.v[0], "cffi-1.17.dist-info");
	assert_int_equal(i->claims.n, 1);
	assert_string_equal(i->claims.v[0]->list.v[0].wheel_tag, "cp311-cp311");
	assert_int_equal(i->uncaught.n, 1);
	assert_int_equal(i->uncaught.v[0]->how, IMP_UNCAUGHT_THREAD);
	assert_int_equal(i->uncaught.v[0]->thread, 4799);
	assert_int_equal(i->sys_exits.n, 1);
	assert_true(i->sys_exits.v[0]->code_known && i->sys_exits.v[0]->code == -3);
	imp_record_clear(&record);
	free(m);
}

/* A forked child has what its parent had: interpreter, search path, and the listings made before. */
static void test_forked_child(void **state)
{
	struct maker *m = maker_new();
	const struct imp_interpreter *py;
	const struct imp_image *i;

	(void)state;
	sample_trace(m);
	read_maker(m);
	i = record.images.v[1];
	assert_int_equal(i->pid, SAMPLE_FORK);
	assert_ptr_equal(i->parent, record.images.v[0]);
	py = imp_record_interpreter(i, 0);
	assert_string_equal(py->version, "3.13.0 (main)");
	assert_int_equal(py->paths.n, 2);
	assert_string_equal(py->paths.v[0].path.v[1], "/usr/lib/python3.13");
	assert_string_equal(py->paths.v[1].path.v[0], "/late");
	assert_int_equal(imp_record_interpreter(record.images.v[0], 0)->paths.n, 1);
	assert_int_equal(i->attempts.n, 1);
	assert_false(i->attempts.v[0]->ended);
	assert_string_equal(i->attempts.v[0]->outcome->snapshot->entries.v[0].metadata.v[0],
			    "cffi-1.17.dist-info");
	assert_true(i->ended && i->end_how == IMP_END_FAST_EXIT && i->code_known && i->code == 0);
	assert_false(i->waited);
	imp_record_clear(&record);
	free(m);
}

/* An exec that does not come back ends the image; its pid goes on with the next, which is waited for. */
static void test_exec(void **state)
{
	struct maker *m = maker_new();

	(void)state;
	maker_header(m, 10);
	maker_batch(m, 10, 1000, 0, 0);
	sample_process(&m->c, IMP_START_FIRST, 1, 0);
	event_begin(&m->c, IMP_EV_EXEC, 50);
	put_text(&m->c, IMP_KEY_EXE, "/bin/x");
	event_end(&m->c);
	maker_end(m, 0);
	maker_batch(m, 9, 900, 0, 0);
	event_begin(&m->c, IMP_EV_WAIT, 9000);
	put_uint(&m->c, IMP_KEY_PID, 10);
	put_uint(&m->c, IMP_KEY_CODE, 17);
	event_end(&m->c);
	maker_end(m, 0);
	read_maker(m);
	assert_int_equal(record.images.n, 1);
	assert_true(record.images.v[0]->ended && record.images.v[0]->code == 17);
	assert_int_equal(record.images.v[0]->end_ns, 1050);
	imp_record_clear(&record);
	maker_batch(m, 10, 2000, 0, 0); /* the file's order is not that of time */
	sample_process(&m->c, IMP_START_EXEC, 1, 0);
	maker_end(m, 0);
	read_maker(m);
	assert_int_equal(record.images.n, 2);
	assert_true(record.images.v[0]->ended && !record.images.v[0]->waited);
	assert_true(record.images.v[1]->waited && record.images.v[1]->code_known);
	assert_int_equal(record.images.v[1]->code, 17);
	imp_record_clear(&record);
	free(m);
}

static void test_lost_batches(void **state)
{
	struct maker *m = maker_new();

	(void)state;
	maker_header(m, 123);
	maker_batch(m, 123, 1, 2, 0);
	maker_end(m, 0);
	maker_batch(m, 123, 1, 17, 0);
	maker_end(m, 0);
	maker_batch(m, 123, 1, 21, 0);
	maker_end(m, 0);
	maker_batch(m, 123, 1, 21, 0);
	maker_end(m, 0);
	maker_batch(m, 123, 2, 0, 0); /* another image of that pid */
	sample_process(&m->c, IMP_START_EXEC, 1, 0);
	maker_end(m, 0);
	read_maker(m);
	assert_int_equal(record.damage.n, 5);
	expect_damage(0, "2 batches lost at the start of process 123");
	expect_damage(1, "14 batches lost between seq 2 and 17 of process 123");
	expect_damage(2, "3 batches lost between seq 17 and 21 of process 123");
	expect_damage(3, "batch 21 of process 123 comes again");
	expect_damage(4, "1 name that a lost part had given is shown as \"?\"");
	assert_string_equal(record.images.v[0]->exe, "?/python3.13");
	imp_record_clear(&record);
	free(m);
}

/* After a batch that could not be written the recorder's strings begin anew. */
static void test_strings_that_begin_anew(void **state)
{
	struct maker *m = maker_new();

	(void)state;
	maker_header(m, 123);
	maker_batch(m, 123, 1, 0, 0);
	event_string(&m->c, 1, "/first");
	sample_process(&m->c, IMP_START_FIRST, 1, 0);
	maker_end(m, 0);
	maker_batch(m, 123, 1, 1, 9);
	event_string(&m->c, 1, "/second");
	event_begin(&m->c, IMP_EV_EXEC, 50);
	put_uint(&m->c, IMP_KEY_EXE, 1);
	event_end(&m->c);
	maker_end(m, 0);
	read_maker(m);
	assert_string_equal(record.images.v[0]->exe, "/first/python3.13");
	assert_string_equal(record.images.v[0]->execs.v[0]->path, "/second");
	assert_int_equal(record.images.v[0]->lost, 9);
	assert_int_equal(record.damage.n, 0);
	imp_record_clear(&record);
	free(m);
}

static void expect_error(const void *data, size_t len, int code, const char *part)
{
	struct imp_error err = {0};

	assert_int_equal(read_bytes(data, len, &err), code);
	if (!strstr(err.msg, part) || strncmp(err.msg, "t.zst: ", 7) != 0)
		fail_msg("%s", err.msg);
	assert_null(record.arena.chunks);
}

static void test_no_trace(void **state)
{
	struct maker *m = maker_new();

	(void)state;
	expect_error("", 0, -74, "empty");
	expect_error("this is no trace", 16, -74, "no trace of imptrace");
	expect_error("\x28\xb5\x2f\xfd", 4, -74, "no trace of imptrace");
	maker_compressed(m, "other content", 13, 0);
	expect_error(m->file, m->len, -74, "no trace of imptrace");
	m->len = 0;
	maker_compressed(m, "other content", 13, 1);
	expect_error(m->file, m->len, -74, "no trace of imptrace");
	m->len = 0;
	maker_header_version(m, 2, 1);
	expect_error(m->file, m->len, -71, "use a newer imptrace");
	m->len = 0;
	maker_header_version(m, 0, 1);
	expect_error(m->file, m->len, -71, "use an older imptrace");
	m->len = 0;
	maker_header(m, 1); /* nothing but a header: a trace */
	read_maker(m);
	assert_int_equal(record.images.n, 0);
	imp_record_clear(&record);
	free(m);
}

/* Cut at every byte, a trace is a prefix of itself, and says so. */
static void test_truncated(void **state)
{
	struct maker *m = maker_new();
	struct imp_error err;
	uint64_t events = 0;
	size_t len;

	(void)state;
	sample_trace(m);
	for (len = 0; len <= m->len; len++) {
		err.msg[0] = '\0';
		if (read_bytes(m->file, len, &err) < 0) {
			assert_int_equal(events, 0);
			assert_int_equal(err.code, -74);
			continue;
		}
		assert_true(record.events >= events);
		events = record.events;
		/* Between two frames nothing tells that more was to come. */
		if (record.damage.n)
			expect_damage(record.damage.n - 1, "in the middle of a frame");
		imp_record_clear(&record);
	}
	assert_int_equal(events, 35);
	free(m);
}

/* Damaged anywhere, in the file or below its checksums, it is read without a fault. */
static void test_damaged(void **state)
{
	struct maker *m = maker_new(), *inner = maker_new();
	struct imp_error err;
	unsigned int seed = 17, round, i;
	size_t len;

	(void)state;
	sample_trace(m);
	for (round = 0; round < 1009; round++) {
		uint8_t old = m->file[rand_r(&seed) % m->len];
		size_t at = rand_r(&seed) % m->len;

		old = m->file[at];
		m->file[at] = (uint8_t)rand_r(&seed);
		if (read_bytes(m->file, m->len, &err) == 0)
			imp_record_clear(&record);
		m->file[at] = old;
	}
	maker_batch(inner, SAMPLE_PID, SAMPLE_NS, 0, 0);
	event_string(&inner->c, 1, "/usr/bin");
	sample_process(&inner->c, IMP_START_FIRST, 1, 0);
	sample_native(&inner->c);
	sample_interpreter(&inner->c);
	sample_imports(&inner->c);
	sample_end(&inner->c);
	len = inner->c.len;
	for (round = 0; round < 4001; round++) {
		static uint8_t plain[IMP_BATCH_MAX];
		ssize_t n;

		memcpy(plain, inner->plain, len);
		for (i = 0; i <= round % 7; i++)
			plain[30 + rand_r(&seed) % (len - 30)] = (uint8_t)rand_r(&seed);
		n = imp_frame_store(m->file, sizeof(m->file), plain, len);
		assert_true(n > 0);
		assert_int_equal(read_bytes(m->file, (size_t)n, &err), 0);
		assert_true(record.images.n <= 2);
		imp_record_clear(&record);
	}
	free(inner);
	free(m);
}

static void test_hostile_numbers(void **state)
{
	struct maker *m = maker_new();

	(void)state;
	maker_batch(m, UINT64_MAX, 1, 0, 0); /* a pid that is none */
	maker_end(m, 0);
	maker_batch(m, 5, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX);
	event_begin(&m->c, IMP_EV_IMPORT_BEGIN, UINT64_MAX);
	put_uint(&m->c, IMP_KEY_IMPORT, UINT64_MAX);
	put_uint(&m->c, IMP_KEY_PARENT, UINT64_MAX);
	put_uint(&m->c, IMP_KEY_TEXT, UINT64_MAX);
	event_end(&m->c);
	event_begin(&m->c, IMP_EV_IMPORT_BEGIN,
		    1); /* its own parent: the older of that number is meant */
	put_uint(&m->c, IMP_KEY_IMPORT, UINT64_MAX);
	put_uint(&m->c, IMP_KEY_PARENT, UINT64_MAX);
	event_end(&m->c);
	event_begin(&m->c, IMP_EV_PROCESS, 1); /* its own parent */
	put_uint(&m->c, IMP_KEY_HOW, IMP_START_FORK);
	put_uint(&m->c, IMP_KEY_PPID, 5);
	put_uint(&m->c, IMP_KEY_PARENT_IMAGE_NS, UINT64_MAX);
	event_end(&m->c);
	sample_snapshot(&m->c, 2, UINT64_MAX, NULL);
	event_begin(&m->c, IMP_EV_WAIT, 1);
	put_uint(&m->c, IMP_KEY_PID, UINT64_MAX);
	put_uint(&m->c, IMP_KEY_SIGNAL, UINT64_MAX);
	event_end(&m->c);
	event_begin(&m->c, IMP_EV_PROCESS_END, 1);
	put_uint(&m->c, IMP_KEY_CODE, UINT64_MAX);
	event_end(&m->c);
	maker_end(m, 0);
	read_maker(m);
	expect_damage(0, "does not say whose it is");
	expect_damage(1, "18446744073709551614 batches lost at the start of process 5");
	assert_int_equal(record.images.n, 1);
	assert_null(record.images.v[0]->parent);
	assert_int_equal(record.images.v[0]->attempts.n, 2);
	assert_false(record.images.v[0]->code_known);
	assert_null(imp_record_object(record.images.v[0], 1));
	imp_record_clear(&record);
	free(m);
}

/* A million damages are no million sentences. */
static void test_damage_is_bounded(void **state)
{
	struct maker *m = maker_new();
	uint64_t i;

	(void)state;
	maker_header(m, 1);
	for (i = 0; i < 997; i++) {
		maker_batch(m, 7, 1, 2 * i + 1, 0);
		maker_end(m, 0);
	}
	read_maker(m);
	assert_int_equal(record.damage.n, 51);
	expect_damage(50, "and 947 more places");
	imp_record_clear(&record);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_imports),
		cmocka_unit_test(test_forked_child),
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_lost_batches),
		cmocka_unit_test(test_strings_that_begin_anew),
		cmocka_unit_test(test_no_trace),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_hostile_numbers),
		cmocka_unit_test(test_damage_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
