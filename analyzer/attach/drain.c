/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../preload/frame_writer.h"

#define ALIGNMENT  8
#define FRAME_MIN  9 /* bytes of the shortest zstd frame */
#define ZSTD_MAGIC 0xfd2fb528u

int imp_drain_open(struct imp_drain *d, const char *path, pid_t pid, struct imp_error *err)
{
	int ret;

	memset(d, 0, sizeof(*d));
	ret = imp_trace_output_create(&d->output, path, pid, err);
	d->open = ret >= 0;
	return ret;
}

static void store(struct imp_drain *d, const uint8_t *frame, size_t len)
{
	int ret = imp_trace_output_append(&d->output, frame, len);

	if (ret < 0) {
		d->error = d->error ? d->error : ret;
		return;
	}
	d->frames++;
	d->bytes += len;
}

static void copy_out(const struct imp_attach_area *area, uint64_t at, uint8_t *to, size_t len)
{
	const size_t start = at % IMP_ATTACH_RING, left = IMP_ATTACH_RING - start;

	memcpy(to, area->ring + start, len < left ? len : left);
	if (len > left)
		memcpy(to + left, area->ring, len - left);
}

static void zero(struct imp_attach_area *area, uint64_t at, size_t len)
{
	const size_t start = at % IMP_ATTACH_RING, left = IMP_ATTACH_RING - start;

	memset(area->ring + start, 0, len < left ? len : left);
	if (len > left)
		memset(area->ring, 0, len - left);
}

/* The next record, if it is whole. Returns the bytes that it takes up, 0: none. */
static size_t take_one(struct imp_drain *d, struct imp_attach_area *area, uint64_t tail,
		       uint64_t head)
{
	const struct imp_attach_record *record;
	uint8_t *frame;
	uint64_t size;
	uint32_t len;

	if (head - tail < sizeof(*record) || head - tail > IMP_ATTACH_RING)
		return 0;
	record = (const struct imp_attach_record *)(area->ring + tail % IMP_ATTACH_RING);
	len = __atomic_load_n(&record->len, __ATOMIC_ACQUIRE);
	if (!len)
		return 0;
	/* The process could have written anything: it is not trusted with our memory. */
	size = (sizeof(*record) + (uint64_t)len + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
	if (size > head - tail) {
		d->error = d->error ? d->error : -EBADMSG;
		return 0;
	}
	frame = malloc(len);
	if (frame) {
		copy_out(area, tail + sizeof(*record), frame, len);
		store(d, frame, len);
		free(frame);
	}
	zero(area, tail, size);
	return size;
}

unsigned int imp_drain_take(struct imp_drain *d, struct imp_attach_area *area)
{
	uint64_t tail = __atomic_load_n(&area->tail, __ATOMIC_RELAXED);
	const uint64_t head = __atomic_load_n(&area->head, __ATOMIC_ACQUIRE);
	unsigned int n = 0;
	size_t size;

	while ((size = take_one(d, area, tail, head))) {
		tail += size;
		__atomic_store_n(&area->tail, tail, __ATOMIC_RELEASE);
		n++;
	}
	return n;
}

/* Does a whole record stand at @at: a length within what is there, and a zstd frame behind it? */
static bool looks_whole(const struct imp_attach_area *area, uint64_t at, uint64_t head)
{
	struct imp_attach_record record;
	uint32_t magic;

	if (head - at < sizeof(record) + FRAME_MIN)
		return false;
	copy_out(area, at, (uint8_t *)&record, sizeof(record));
	if (record.len < FRAME_MIN || record.len > head - at - sizeof(record))
		return false;
	copy_out(area, at + sizeof(record), (uint8_t *)&magic, sizeof(magic));
	return magic == ZSTD_MAGIC;
}

void imp_drain_finish(struct imp_drain *d, struct imp_attach_area *area)
{
	uint64_t head, tail;

	for (;;) {
		imp_drain_take(d, area);
		head = __atomic_load_n(&area->head, __ATOMIC_ACQUIRE);
		tail = __atomic_load_n(&area->tail, __ATOMIC_RELAXED);
		if (head == tail || head - tail > IMP_ATTACH_RING)
			return;
		d->torn++;
		do
			tail += ALIGNMENT;
		while (tail < head && !looks_whole(area, tail, head));
		__atomic_store_n(&area->tail, tail, __ATOMIC_RELEASE);
		if (tail >= head)
			return;
	}
}

void imp_drain_abandon(struct imp_drain *d)
{
	const char *name = d->open && !d->output.to_stdout ? imp_output_name(&d->output.file) : NULL;

	if (name && !d->frames)
		unlink(name);
	d->open = false;
}
