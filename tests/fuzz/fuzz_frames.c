/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: any bytes as a whole trace. Read once as a file, once as the content of a
 * frame, and once as that of a journal slot, so that the checksum does not keep the fuzzer away from what lies below it. What comes out goes
 * through both renderings of "imptrace dump".
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "frame_writer.h"
#include "report/dump.h"
#include "trace/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return fd;
}

static void read_record(const uint8_t *data, size_t size)
{
	int fd = file_of(data, size);
	struct imp_record record;
	struct imp_error err;
	size_t i, k;

	if (imp_record_read(&record, fd, "fuzz", &err) == 0) {
		for (i = 0; i < record.images.n; i++) {
			const struct imp_image *image = record.images.v[i];

			imp_record_object(image, 1);
			imp_record_interpreter(image, 0);
			imp_record_env(image, "PATH");
			for (k = 0; k < image->attempts.n; k++) {
				const struct imp_attempt *a = image->attempts.v[k];
				size_t depth = 0;

				for (; a; a = a->parent)
					if (depth++ > image->attempts.n)
						abort(); /* a circle */
			}
		}
		imp_record_clear(&record);
	}
	close(fd);
}

static void dump(const uint8_t *data, size_t size)
{
	struct imp_strings damage = {0};
	struct imp_trace_reader reader;
	struct imp_arena arena = {0};
	FILE *out = fopen("/dev/null", "w");
	struct imp_event ev;
	int fd = file_of(data, size);

	if (!out || imp_trace_open(&reader, fd, "fuzz", &arena, &damage, NULL) < 0)
		abort();
	while (imp_trace_next(&reader, &ev, NULL) > 0) {
		struct imp_dump_context c = {
			.texts = ev.image ? ev.image->texts : NULL,
			.maker = &reader.maker,
			.pid = ev.image ? ev.image->pid : 0,
			.pid_width = 5,
		};

		imp_dump_text(out, &c, &ev);
		imp_dump_json(out, &c, &ev);
	}
	imp_trace_finish(&reader);
	imp_trace_close(&reader);
	imp_arena_clear(&arena);
	close(fd);
	fclose(out);
}

/* The same bytes as what a journal slot holds, behind them as a file. Returns the length of both. */
static size_t add_slot(const uint8_t *data, size_t size, uint8_t *file)
{
	uint64_t checksum = XXH64(data, size, 0);
	uint8_t head[IMP_JOURNAL_HEAD + 8 + IMP_JOURNAL_RECORD];
	uint32_t numbers[] = {IMP_JOURNAL_FRAME, (uint32_t)(sizeof(head) - IMP_JOURNAL_HEAD + size),
			      (uint32_t)size};

	memcpy(head, numbers, 8);
	memcpy(head + IMP_JOURNAL_HEAD, IMP_JOURNAL_MAGIC, 8);
	memcpy(head + IMP_JOURNAL_HEAD + 8, &numbers[2], 4);
	memcpy(head + IMP_JOURNAL_HEAD + 12, &checksum, 8);
	memcpy(file, data, size);
	memcpy(file + size, head, sizeof(head));
	memcpy(file + size + sizeof(head), data, size);
	return 2 * size + sizeof(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame[IMP_FRAME_MAX + IMP_FRAME_OVERHEAD];
	ssize_t n;

	read_record(data, size);
	dump(data, size);
	n = imp_frame_store(frame, sizeof(frame), data, size);
	if (n > 0) {
		read_record(frame, (size_t)n);
		dump(frame, (size_t)n);
	}
	if (size && size < sizeof(frame) / 3) {
		n = (ssize_t)add_slot(data, size, frame);
		read_record(frame, (size_t)n);
		dump(frame, (size_t)n);
	}
	return 0;
}
