/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "attach_ring.h"

#define FRAME_MAX 20011

static struct imp_attach_area *area;
static uint8_t frame[FRAME_MAX];

static int begin(void **state)
{
	(void)state;
	area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(area != MAP_FAILED);
	return 0;
}

static int end(void **state)
{
	(void)state;
	return munmap(area, sizeof(*area));
}

static uint8_t ring_byte(uint64_t at)
{
	return area->ring[at % IMP_ATTACH_RING];
}

/* What a frame of this number holds: each byte depends on the number and on its place. */
static uint8_t content(uint32_t number, size_t at)
{
	return (uint8_t)(number * 31 + at * 7 + at / 256);
}

static size_t make_frame(uint32_t number)
{
	const size_t len = 4 + number * 7919 % (FRAME_MAX - 4);

	memcpy(frame, &number, 4);
	for (size_t i = 4; i < len; i++)
		frame[i] = content(number, i);
	return len;
}

/* The next record's length, 0 where it is not complete, or -1 where there is none. */
static int32_t next_length(uint32_t *pid)
{
	const struct imp_attach_record *r =
		(const void *)(area->ring + area->tail % IMP_ATTACH_RING);

	if (area->tail == __atomic_load_n(&area->head, __ATOMIC_ACQUIRE))
		return -1;
	*pid = r->pid;
	return (int32_t)__atomic_load_n(&r->len, __ATOMIC_ACQUIRE);
}

/* Takes one frame out, as imptrace does, and checks it; returns its number. */
static uint32_t take(uint32_t *pid)
{
	const int32_t len = next_length(pid);
	const uint64_t at = area->tail + sizeof(struct imp_attach_record);
	uint32_t number = 0, size = ((uint32_t)len + 8 + 7) & ~7u;

	assert_true(len >= 4);
	for (int i = 3; i >= 0; i--)
		number = number << 8 | ring_byte(at + (uint64_t)i);
	for (int32_t i = 4; i < len; i++)
		assert_int_equal(ring_byte(at + (uint64_t)i), content(number, (size_t)i));
	for (uint32_t i = 0; i < size; i++)
		area->ring[(area->tail + i) % IMP_ATTACH_RING] = 0;
	__atomic_store_n(&area->tail, area->tail + size, __ATOMIC_RELEASE);
	return number;
}

static void test_in_order(void **state)
{
	uint32_t pid;

	(void)state;
	for (uint32_t i = 0; i < 101; i++)
		assert_int_equal(
			imp_attach_ring_append(area, (pid_t)(1000 + i), frame, make_frame(i)), 0);
	for (uint32_t i = 0; i < 101; i++) {
		assert_int_equal(take(&pid), i);
		assert_int_equal(pid, 1000 + i);
	}
	assert_int_equal(next_length(&pid), -1);
	assert_int_equal(area->lost, 0);
}

/* Many times around: records lie across the end at every distance from it. */
static void test_wraps_around(void **state)
{
	uint32_t pid;
	uint64_t across = 0;

	(void)state;
	for (uint32_t i = 0; area->head < 23ull * IMP_ATTACH_RING; i++) {
		const uint64_t before = area->head;

		assert_int_equal(imp_attach_ring_append(area, 7, frame, make_frame(i)), 0);
		across += before / IMP_ATTACH_RING != (area->head - 1) / IMP_ATTACH_RING;
		assert_int_equal(take(&pid), i);
	}
	assert_true(across > 11);
	assert_int_equal(area->lost, 0);
}

static void test_full_loses_and_goes_on(void **state)
{
	uint32_t pid, fitted = 0, i;

	(void)state;
	while (imp_attach_ring_append(area, 7, frame, make_frame(fitted)) == 0)
		fitted++;
	assert_true(area->head - area->tail <= IMP_ATTACH_RING);
	assert_true(IMP_ATTACH_RING - (area->head - area->tail) < FRAME_MAX + 16);
	assert_int_equal(area->lost, 1);
	assert_int_equal(imp_attach_ring_append(area, 7, frame, FRAME_MAX), -ENOBUFS);
	assert_int_equal(area->lost, 2);
	assert_int_equal(take(&pid), 0);
	for (i = 1; i < fitted; i++)
		assert_int_equal(take(&pid), i);
	assert_int_equal(next_length(&pid), -1);
	assert_int_equal(imp_attach_ring_append(area, 7, frame, make_frame(i)), 0);
	assert_int_equal(take(&pid), i);
}

/* To the last byte. */
static void test_exactly_full(void **state)
{
	static uint8_t big[IMP_ATTACH_RING / 2];
	const size_t half = IMP_ATTACH_RING / 2 - sizeof(struct imp_attach_record);

	(void)state;
	assert_int_equal(imp_attach_ring_append(area, 7, big, half), 0);
	assert_int_equal(imp_attach_ring_append(area, 7, big, half), 0);
	assert_int_equal(area->head, IMP_ATTACH_RING);
	assert_int_equal(imp_attach_ring_append(area, 7, big, 1), -ENOBUFS);
}

static void test_refuses_what_never_fits(void **state)
{
	static uint8_t big[IMP_ATTACH_RING];

	(void)state;
	assert_int_equal(imp_attach_ring_append(area, 7, big, sizeof(big)), -EMSGSIZE);
	assert_int_equal(imp_attach_ring_append(area, 7, big, 0), -EMSGSIZE);
	assert_int_equal(area->head, 0);
}

/* A reader that wrote nonsense: no memory beyond the ring is touched. */
static void test_tail_beyond_head(void **state)
{
	(void)state;
	area->tail = 4096;
	assert_int_equal(imp_attach_ring_append(area, 7, frame, 100), -ENOBUFS);
	assert_int_equal(area->head, 0);
}

static void write_from(uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		size_t len = make_frame(first + i);

		while (imp_attach_ring_append(area, getpid(), frame, len) == -ENOBUFS)
			usleep(100);
	}
}

static void test_two_processes(void **state)
{
	enum { COUNT = 499 };
	uint32_t next[2] = {0, 1000000}, pid;
	pid_t children[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		if (!children[i]) {
			write_from(next[i], COUNT);
			_exit(0);
		}
	}
	for (int left = 2 * COUNT; left; left--) {
		uint32_t number;
		int who;

		while (next_length(&pid) <= 0)
			usleep(100);
		number = take(&pid);
		who = number >= 1000000;
		assert_int_equal(number, next[who]);
		assert_int_equal(pid, children[who]);
		next[who]++;
	}
	for (int i = 0; i < 2; i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(next[0], COUNT);
	assert_int_equal(next[1], 1000000 + COUNT);
}

/*
 * Killed after it had reserved its place: the frame faults while it is copied. Its record stays incomplete, and
 * those behind it are whole.
 */
static void test_writer_that_died(void **state)
{
	uint8_t *gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t pid = 0;
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(imp_attach_ring_append(area, 7, frame, make_frame(1)), 0);
	child = fork();
	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		imp_attach_ring_append(area, getpid(), gone, 1001);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(imp_attach_ring_append(area, 7, frame, make_frame(2)), 0);
	assert_int_equal(take(&pid), 1);
	assert_int_equal(next_length(&pid), 0);
	assert_int_equal(pid, child);
	area->tail += 1016;
	assert_int_equal(take(&pid), 2);
	munmap(gone, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, begin, end),
		cmocka_unit_test_setup_teardown(test_wraps_around, begin, end),
		cmocka_unit_test_setup_teardown(test_full_loses_and_goes_on, begin, end),
		cmocka_unit_test_setup_teardown(test_exactly_full, begin, end),
		cmocka_unit_test_setup_teardown(test_refuses_what_never_fits, begin, end),
		cmocka_unit_test_setup_teardown(test_tail_beyond_head, begin, end),
		cmocka_unit_test_setup_teardown(test_two_processes, begin, end),
		cmocka_unit_test_setup_teardown(test_writer_that_died, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
