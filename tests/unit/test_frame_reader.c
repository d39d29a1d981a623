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

#include "trace/frame_reader.h"

/* What comes out of a file, in short: "d17 x5 d3": 17 bytes of data, 5 damaged bytes of the file, ... */
static char *describe(const uint8_t *file, size_t len, bool *cut)
{
	int fd = bytes_fd(file, len);
	struct imp_frame_reader r;
	struct imp_zframe f;
	char *text = NULL;
	uint64_t at = 0;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(imp_frame_reader_open(&r, fd, NULL), 0);
	*cut = false;
	do {
		assert_int_equal(imp_frame_reader_next(&r, &f, NULL), 0);
		if (f.kind == IMP_FRAME_END)
			break;
		assert_true(f.offset >= at && f.offset + f.size <= len);
		at = f.offset + f.size;
		fprintf(out, "%s%c%zu", ftell(out) ? " " : "", f.kind == IMP_FRAME_DATA ? 'd' : 'x',
			f.kind == IMP_FRAME_DATA ? f.len : (size_t)f.size);
		if (f.kind == IMP_FRAME_DAMAGED) {
			assert_non_null(f.why);
			*cut = f.cut;
		}
	} while (1);
	imp_frame_reader_close(&r);
	fclose(out);
	close(fd);
	return text;
}

static void expect(const struct maker *m, const char *want)
{
	bool cut;
	char *got = describe(m->file, m->len, &cut);

	assert_string_equal(got, want);
	free(got);
}

static void put_frame(struct maker *m, size_t len, int compressed)
{
	maker_begin(m);
	memset(m->plain, 'a' + (int)(len % 26), len);
	m->c.len = len;
	maker_end(m, compressed);
}

static void test_frames(void **state)
{
	struct maker *m = maker_new();

	(void)state;
	expect(m, "");
	put_frame(m, 17, 0);
	put_frame(m, 4099, 0);
	put_frame(m, IMP_BATCH_MAX, 1);
	put_frame(m, IMP_BATCH_MAX, 0);
	put_frame(m, 1, 1);
	expect(m, "d17 d4099 d131072 d131072 d1");
	free(m);
}

static void test_skippable(void **state)
{
	static const uint8_t head[] = {0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'};
	static const uint8_t huge[] = {0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff, 'x'};
	struct maker *m = maker_new();

	(void)state;
	maker_raw(m, head, sizeof(head));
	put_frame(m, 17, 0);
	maker_raw(m, head, sizeof(head));
	put_frame(m, 19, 1);
	maker_raw(m, head, sizeof(head));
	expect(m, "d17 d19");
	/* One that claims 4 GiB takes nothing with it. */
	maker_raw(m, huge, sizeof(huge));
	put_frame(m, 23, 0);
	expect(m, "d17 d19 x9 d23");
	free(m);
}

static void test_damage_in_the_middle(void **state)
{
	struct maker *m = maker_new();
	size_t first, second, at;
	char want[64];
	bool cut;
	char *got;

	(void)state;
	put_frame(m, 17, 0);
	first = m->len;
	put_frame(m, 4099, 0);
	second = m->len;
	put_frame(m, 19, 0);
	snprintf(want, sizeof(want), "d17 x%zu d19", second - first);
	for (at = first; at < second; at += at < first + 32 ? 1 : 61) {
		uint8_t old = m->file[at];

		m->file[at] ^= 0x5a;
		got = describe(m->file, m->len, &cut);
		if (strcmp(got, want) != 0)
			fail_msg("byte %zu of %zu: %s", at - first, second - first, got);
		assert_false(cut);
		free(got);
		m->file[at] = old;
	}
	free(m);
}

static void test_rubbish_between(void **state)
{
	static const uint8_t false_start[] = {0x28, 0xb5, 0x2f, 0xfd};
	struct maker *m = maker_new();
	int i;

	(void)state;
	maker_raw(m, "rubbish", 7);
	put_frame(m, 17, 0);
	for (i = 0; i < 31; i++)
		maker_raw(m, false_start, sizeof(false_start));
	put_frame(m, 19, 0);
	maker_raw(m, "\x28\xb5", 2);
	expect(m, "x7 d17 x124 d19 x2");
	free(m);
}

/* 2^60 bytes claimed; more than a batch; a bomb; no checksum: refused, and what follows is read. */
static void test_hostile(void **state)
{
	static const uint8_t claims[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe4, 0,   0, 0, 0, 0, 0,
					 0,    0x10, 0x0b, 0,	 0,    'x', 0, 0, 0, 0};
	struct maker *m = maker_new();
	size_t size = 50 << 20, start;
	uint8_t *zeros = calloc(1, size);
	char want[64];

	(void)state;
	assert_non_null(zeros);
	maker_raw(m, claims, sizeof(claims));
	put_frame(m, 17, 0);
	expect(m, "x21 d17");
	start = m->len;
	maker_compressed(m, zeros, size, 1);
	assert_true(m->len - start < 10000);
	snprintf(want, sizeof(want), "x21 d17 x%zu d19", m->len - start);
	put_frame(m, 19, 0);
	expect(m, want);
	m->len = 0;
	maker_compressed(m, zeros, IMP_BATCH_MAX + 1, 1);
	snprintf(want, sizeof(want), "x%zu", m->len);
	expect(m, want);
	m->len = 0;
	maker_compressed(m, zeros, 17, 0);
	snprintf(want, sizeof(want), "x%zu", m->len);
	expect(m, want);
	free(zeros);
	free(m);
}

static void test_truncated(void **state)
{
	struct maker *m = maker_new();
	size_t ends[4] = {0}, len, whole, i;
	bool cut;
	char *got;

	(void)state;
	put_frame(m, 17, 0);
	ends[1] = m->len;
	put_frame(m, 1009, 1);
	ends[2] = m->len;
	put_frame(m, 307, 0);
	ends[3] = m->len;
	for (len = 0; len <= m->len; len++) {
		static const char *const want[] = {"", "d17", "d17 d1009", "d17 d1009 d307"};
		char text[64];

		for (whole = 0; whole < 3 && ends[whole + 1] <= len; whole++)
			;
		i = len - ends[whole];
		if (i)
			snprintf(text, sizeof(text), "%s%sx%zu", want[whole],
				 *want[whole] ? " " : "", i);
		else
			snprintf(text, sizeof(text), "%s", want[whole]);
		got = describe(m->file, len, &cut);
		assert_string_equal(got, text);
		assert_int_equal(cut, i != 0);
		free(got);
	}
	free(m);
}

/* A file that has a false start every few bytes takes no time to speak of. */
static void test_many_false_starts(void **state)
{
	struct maker *m = maker_new();
	static const uint8_t start[] = {0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x00, 0, 0, 0};
	bool cut;
	char *got;

	(void)state;
	while (m->len + sizeof(start) < sizeof(m->file))
		maker_raw(m, start, sizeof(start));
	got = describe(m->file, m->len, &cut);
	assert_int_equal(got[0], 'x');
	free(got);
	free(m);
}

/* Through a pipe, in pieces, and more than the buffer holds. */
static void test_pipe(void **state)
{
	struct maker *m = maker_new();
	struct imp_frame_reader r;
	struct imp_zframe f;
	size_t frames = 0, bytes = 0;
	int fds[2];

	(void)state;
	while (m->len < 900000)
		put_frame(m, 70001, 0);
	assert_int_equal(pipe(fds), 0);
	if (fork() == 0) {
		size_t at = 0;

		close(fds[0]);
		while (at < m->len) {
			size_t n = m->len - at < 4093 ? m->len - at : 4093;

			if (write(fds[1], m->file + at, n) < 0)
				_exit(1);
			at += n;
		}
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(imp_frame_reader_open(&r, fds[0], NULL), 0);
	for (;;) {
		assert_int_equal(imp_frame_reader_next(&r, &f, NULL), 0);
		if (f.kind == IMP_FRAME_END)
			break;
		assert_int_equal(f.kind, IMP_FRAME_DATA);
		assert_int_equal(f.len, 70001);
		frames++;
		bytes += f.size;
	}
	assert_int_equal(bytes, m->len);
	assert_int_equal(frames, 13);
	imp_frame_reader_close(&r);
	close(fds[0]);
	free(m);
}

/*
 * A frame that is written while it is read (preload/frame_append.h): what was read has a skippable frame before the page's
 * edge, and the frame's own bytes behind it. The second look decides.
 */
static void test_second_look(void **state)
{
	static const char *const ends[] = {"whole", "covered", "neither"};

	(void)state;
	for (int end = 0; end < 3; end++) {
		struct maker *m = maker_new();
		struct imp_frame_reader r;
		uint8_t own[8], cover[8] = {0x50, 0x2a, 0x4d, 0x18};
		struct imp_zframe f;
		size_t start, behind;
		int fd;

		put_frame(m, 17, 0);
		start = m->len;
		put_frame(m, 8191, 0);
		behind = m->len;
		put_frame(m, 19, 0);
		memcpy(own, m->file + start, 8);
		memcpy(m->file + start, cover, 8);
		m->file[start + 4] = (uint8_t)(4096 - start - 8);
		m->file[start + 5] = (uint8_t)((4096 - start - 8) >> 8);
		cover[4] = (uint8_t)(behind - start - 8);
		cover[5] = (uint8_t)((behind - start - 8) >> 8);
		fd = maker_fd(m);
		assert_int_equal(imp_frame_reader_open(&r, fd, NULL), 0);
		assert_int_equal(imp_frame_reader_next(&r, &f, NULL), 0);
		assert_int_equal(f.len, 17);
		/* All of it is in the reader's buffer now. */
		if (end < 2)
			assert_int_equal(pwrite(fd, end ? cover : own, 8, (off_t)start), 8);
		assert_int_equal(imp_frame_reader_next(&r, &f, NULL), 0);
		if (end != 1) {
			if (f.kind != (end ? IMP_FRAME_DAMAGED : IMP_FRAME_DATA) ||
			    f.offset != (end ? 4096 : start) || f.offset + f.size != behind)
				fail_msg("%s: kind %d at %zu", ends[end], f.kind, (size_t)f.offset);
			assert_int_equal(imp_frame_reader_next(&r, &f, NULL), 0);
		}
		assert_int_equal(f.kind, IMP_FRAME_DATA);
		assert_int_equal(f.len, 19);
		assert_int_equal(imp_frame_reader_next(&r, &f, NULL), 0);
		assert_int_equal(f.kind, IMP_FRAME_END);
		imp_frame_reader_close(&r);
		close(fd);
		free(m);
	}
}

static void test_read_error(void **state)
{
	struct imp_frame_reader r;
	struct imp_error err = {0};
	struct imp_zframe f;

	(void)state;
	assert_int_equal(imp_frame_reader_open(&r, -1, &err), 0);
	assert_int_equal(imp_frame_reader_next(&r, &f, &err), -9);
	assert_non_null(strstr(err.msg, "cannot be read"));
	imp_frame_reader_close(&r);
	imp_frame_reader_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_skippable),
		cmocka_unit_test(test_damage_in_the_middle),
		cmocka_unit_test(test_rubbish_between),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_many_false_starts),
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_second_look),
		cmocka_unit_test(test_read_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
