/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zstd.h>

#include "frame_writer.h"

static uint8_t data[IMP_BATCH_MAX + 1];
static uint8_t frame[IMP_FRAME_MAX];
static uint8_t back[IMP_BATCH_MAX + 1];

/* The edges of the header's size field, of raw blocks, and of what is worth a context. */
static const size_t sizes[] = {
	1,
	2,
	23,
	255,
	256,
	257,
	4095,
	10000,
	16384,
	65535,
	65536,
	65536 + 255,
	65536 + 256,
	65536 + 257,
	100003,
	IMP_BATCH_MAX - 1,
	IMP_BATCH_MAX,
};

static int fill(void **state)
{
	uint32_t x = 12345;

	(void)state;
	/* Something between text and noise. */
	for (size_t i = 0; i < sizeof(data); i++) {
		x = x * 1664525 + 1013904223;
		data[i] = x >> 31 ? (uint8_t)(x >> 16) : (uint8_t)("imptrace/usr/lib/"[i % 17]);
	}
	return 0;
}

static void assert_is_frame_of(ssize_t ret, size_t len)
{
	size_t size;

	assert_true(ret > 0);
	size = (size_t)ret;
	assert_int_equal(ZSTD_findFrameCompressedSize(frame, size), size);
	assert_int_equal(ZSTD_getFrameContentSize(frame, size), len);
	assert_true(frame[4] & 0x04); /* content checksum */
	assert_true(frame[4] & 0x20); /* single segment */
	assert_int_equal(ZSTD_decompress(back, sizeof(back), frame, size), len);
	assert_memory_equal(back, data, len);
}

static void test_store(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ssize_t ret = imp_frame_store(frame, sizeof(frame), data, sizes[i]);

		assert_is_frame_of(ret, sizes[i]);
		assert_true((size_t)ret <= sizes[i] + IMP_FRAME_OVERHEAD);
	}
}

static void test_store_refuses(void **state)
{
	(void)state;
	assert_int_equal(imp_frame_store(frame, sizeof(frame), data, 0), -EMSGSIZE);
	assert_int_equal(imp_frame_store(frame, sizeof(frame), data, IMP_BATCH_MAX + 1), -EMSGSIZE);
	assert_int_equal(imp_frame_store(frame, 100, data, 100), -EMSGSIZE);
	assert_int_equal(imp_frame_store(frame, 0, data, 1), -EMSGSIZE);
}

static void test_compress(void **state)
{
	(void)state;
	for (int level = 1; level <= 19; level++) {
		struct imp_frame_writer w = IMP_FRAME_WRITER_INIT(level);
		size_t total = 0;

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			ssize_t ret = imp_frame_compress(&w, frame, sizeof(frame), data, sizes[i]);

			assert_is_frame_of(ret, sizes[i]);
			total += sizes[i];
			assert_int_equal(w.context != NULL, total > IMP_FRAME_RAW_MAX);
		}
		/* With a context, small ones are compressed too. */
		memset(data, 'x', 1000);
		assert_in_range(imp_frame_compress(&w, frame, sizeof(frame), data, 1000), 10, 100);
		fill(NULL);
		assert_int_equal(imp_frame_compress(&w, frame, sizeof(frame), data, 0), -EMSGSIZE);
		assert_int_equal(imp_frame_compress(&w, frame, sizeof(frame), data,
						    IMP_BATCH_MAX + 1),
				 -EMSGSIZE);
		imp_frame_writer_clear(&w);
		imp_frame_writer_clear(&w);
		assert_null(w.workspace);
	}
}

static void test_no_room(void **state)
{
	struct imp_frame_writer w = IMP_FRAME_WRITER_INIT(3);

	(void)state;
	assert_int_equal(imp_frame_compress(&w, frame, 50, data, 100), -EMSGSIZE);
	assert_int_equal(imp_frame_compress(&w, frame, 50, data, 60000), -EMSGSIZE);
	assert_is_frame_of(imp_frame_compress(&w, frame, sizeof(frame), data, 60000), 60000);
	imp_frame_writer_clear(&w);
}

/* A fork child finds the parent's context in whatever state another thread had it. */
static void test_reset(void **state)
{
	struct imp_frame_writer w = IMP_FRAME_WRITER_INIT(3);
	void *workspace;

	(void)state;
	assert_is_frame_of(imp_frame_compress(&w, frame, sizeof(frame), data, 50021), 50021);
	workspace = w.workspace;
	memset(workspace, 0x5a, w.workspace_size);
	imp_frame_writer_reset(&w);
	assert_is_frame_of(imp_frame_compress(&w, frame, sizeof(frame), data, 50021), 50021);
	assert_ptr_equal(w.workspace, workspace);
	imp_frame_writer_clear(&w);
}

static void test_no_heap(void **state)
{
	struct imp_frame_writer w = IMP_FRAME_WRITER_INIT(19);
	struct mallinfo2 before = mallinfo2(), after;

	(void)state;
	assert_true(imp_frame_compress(&w, frame, sizeof(frame), data, 100003) > 0);
	after = mallinfo2();
	assert_int_equal(after.uordblks, before.uordblks);
	assert_int_equal(after.hblkhd, before.hblkhd);
	imp_frame_writer_clear(&w);
}

/* Each damaged byte of a frame is found: by the checksum, or because it is no frame any more. */
static void test_damage(void **state)
{
	ssize_t len = imp_frame_store(frame, sizeof(frame), data, 101);

	(void)state;
	for (ssize_t i = 0; i < len; i++) {
		size_t ret;

		frame[i] ^= 0x08; /* in the descriptor: a bit that must be 0 */
		ret = ZSTD_decompress(back, sizeof(back), frame, (size_t)len);
		assert_true(ZSTD_isError(ret));
		frame[i] ^= 0x08;
	}
}

/* What the command does with frames of both kinds, one after the other. */
static void test_zstd_command(void **state)
{
	struct imp_frame_writer w = IMP_FRAME_WRITER_INIT(3);
	char name[] = "/tmp/imptrace-test-XXXXXX", command[128];
	const size_t lens[] = {61, 4096, 100003, 300};
	size_t total = 0;
	FILE *file, *pipe;

	if (system("command -v zstd >/dev/null") != 0) {
		print_message("zstd is not installed\n");
		skip();
	}
	(void)state;
	file = fdopen(mkstemp(name), "w");
	assert_non_null(file);
	for (size_t i = 0; i < 4; i++) {
		ssize_t len = imp_frame_compress(&w, frame, sizeof(frame), data, lens[i]);

		assert_true(len > 0);
		assert_int_equal(fwrite(frame, 1, (size_t)len, file), len);
	}
	fclose(file);
	snprintf(command, sizeof(command), "zstd -q -t %s", name);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "zstd -q -dc %s", name);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(fread(back, 1, lens[i], pipe), lens[i]);
		assert_memory_equal(back, data, lens[i]);
		total += lens[i];
	}
	assert_int_equal(fread(back, 1, 1, pipe), 0);
	assert_int_equal(pclose(pipe), 0);
	assert_true(total > 0);
	unlink(name);
	imp_frame_writer_clear(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store),	 cmocka_unit_test(test_store_refuses),
		cmocka_unit_test(test_compress), cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_reset),	 cmocka_unit_test(test_no_heap),
		cmocka_unit_test(test_damage),	 cmocka_unit_test(test_zstd_command),
	};

	return cmocka_run_group_tests(tests, fill, NULL);
}
