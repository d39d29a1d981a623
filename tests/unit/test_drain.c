/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "attach/drain.h"
#include "attach_ring.h"
#include "frame_writer.h"

static char home[] = "/tmp/imptrace-drain-XXXXXX";
static struct imp_attach_area *area;
static struct imp_drain drain;

static int set_up(void **state)
{
	struct imp_error err = {0};

	(void)state;
	strcpy(strrchr(home, '-'), "-XXXXXX");
	assert_non_null(mkdtemp(home));
	assert_int_equal(chdir(home), 0);
	area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(area, MAP_FAILED);
	return imp_drain_open(&drain, "t.zst", 17, &err);
}

static int tear_down(void **state)
{
	(void)state;
	munmap(area, sizeof(*area));
	unlink("t.zst");
	assert_int_equal(chdir("/"), 0);
	return rmdir(home);
}

static off_t size(void)
{
	struct stat st;

	assert_int_equal(stat("t.zst", &st), 0);
	return st.st_size;
}

/* A frame of @len bytes of content, as a recorder would append it. */
static size_t append(size_t len)
{
	static uint8_t data[IMP_BATCH_MAX], frame[IMP_FRAME_MAX];
	ssize_t n;

	memset(data, 'x', len);
	n = imp_frame_store(frame, sizeof(frame), data, len);
	assert_true(n > 0);
	assert_int_equal(imp_attach_ring_append(area, 17, frame, (size_t)n), 0);
	return (size_t)n;
}

static void test_in_order(void **state)
{
	const off_t header = size();
	size_t sum = 0;

	(void)state;
	assert_true(header > 0);
	assert_int_equal(imp_drain_take(&drain, area), 0);
	for (size_t i = 1; i <= 13; i++)
		sum += append(i * 101);
	assert_int_equal(imp_drain_take(&drain, area), 13);
	assert_int_equal(area->tail, area->head);
	assert_int_equal(size(), header + (off_t)sum);
	assert_int_equal(drain.frames, 13);
	assert_int_equal(drain.bytes, sum);
}

/* More than the ring holds, in several rounds: records that go on at its beginning are put together again. */
static void test_around(void **state)
{
	const off_t header = size();
	size_t sum = 0;
	uint8_t zero = 0;

	(void)state;
	while (area->head < 3 * IMP_ATTACH_RING) {
		for (size_t i = 0; i < 11; i++)
			sum += append(30011);
		imp_drain_take(&drain, area);
	}
	assert_int_equal(drain.bytes, sum);
	/* Where a frame ends near a page's edge, an empty one follows it (frame_append.h). */
	assert_true(size() >= header + (off_t)sum);
	assert_int_equal((size() - header - (off_t)sum) % 16, 0);
	for (size_t i = 0; i < IMP_ATTACH_RING; i++)
		zero |= area->ring[i];
	assert_int_equal(zero,
			 0); /* what is taken out is zeroed: lengths are 0 until a record is whole */
	assert_int_equal(system("zstd -dcq t.zst >/dev/null"), 0);
}

/* A process that was killed in the middle of a record: the others are there, and it is counted. */
static void test_torn(void **state)
{
	const off_t header = size();
	size_t first, last;
	uint64_t at;

	(void)state;
	first = append(100);
	at = area->head;
	append(200);
	last = append(300);
	((struct imp_attach_record *)(area->ring + at))->len = 0;
	assert_int_equal(imp_drain_take(&drain, area), 1);
	assert_int_equal(imp_drain_take(&drain, area), 0);
	assert_int_equal(area->tail, at);
	imp_drain_finish(&drain, area);
	assert_int_equal(drain.torn, 1);
	assert_int_equal(size(), header + (off_t)(first + last));
	assert_int_equal(system("zstd -dcq t.zst >/dev/null"), 0);
}

/* The process may write anything into what we share. */
static void test_hostile(void **state)
{
	(void)state;
	append(100);
	((struct imp_attach_record *)area->ring)->len = 0x7fffffff;
	assert_int_equal(imp_drain_take(&drain, area), 0);
	assert_int_equal(drain.error, -EBADMSG);
	area->head = UINT64_MAX;
	assert_int_equal(imp_drain_take(&drain, area), 0);
	imp_drain_finish(&drain, area);
	area->head = 4; /* behind the tail, or too little for a record */
	area->tail = 0;
	assert_int_equal(imp_drain_take(&drain, area), 0);
	imp_drain_finish(&drain, area);
	for (uint32_t seed = 1; seed < 200; seed++) {
		uint32_t x = seed;

		for (size_t i = 0; i < 4096; i++) {
			x = x * 1664525u + 1013904223u;
			area->ring[i] = (uint8_t)(x >> 24 & (x & 0x100 ? 0xff : 0x00));
		}
		area->tail = 0;
		area->head = x % 4096;
		imp_drain_finish(&drain, area);
	}
}

static void test_abandon(void **state)
{
	(void)state;
	imp_drain_abandon(&drain);
	assert_int_equal(access("t.zst", F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_around, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_torn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_abandon, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
