/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TESTS_UNIT_TRACE_MAKER_H
#define IMP_TESTS_UNIT_TRACE_MAKER_H

/*
 * Makes traces by hand, frame by frame, for the tests of the reader. To be included after cmocka.h. What is
 * made lies in memory; maker_fd() gives a descriptor to read it from.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "cbor_put.h"
#include "frame_writer.h"
#include "trace_format.h"

#define MAKER_MAX (1 << 20)

struct maker {
	uint8_t file[MAKER_MAX];
	size_t len;
	uint8_t plain[IMP_BATCH_MAX + 4096];
	struct imp_cbor c;
};

static inline struct maker *maker_new(void)
{
	struct maker *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	return m;
}

static inline void maker_raw(struct maker *m, const void *data, size_t len)
{
	assert_true(m->len + len <= sizeof(m->file));
	memcpy(m->file + m->len, data, len);
	m->len += len;
}

/* A zstd frame of any content; @checksum as the format wants it, or not. */
static inline void maker_compressed(struct maker *m, const void *data, size_t len, int checksum)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	size_t n;

	assert_non_null(context);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum);
	n = ZSTD_compress2(context, m->file + m->len, sizeof(m->file) - m->len, data, len);
	assert_false(ZSTD_isError(n));
	m->len += n;
	ZSTD_freeCCtx(context);
}

static inline void maker_begin(struct maker *m)
{
	imp_cbor_init(&m->c, m->plain, sizeof(m->plain));
}

/* Ends the frame that maker_begin() began: raw or compressed. */
static inline void maker_end(struct maker *m, int compressed)
{
	uint8_t *frame = m->file + m->len;
	ssize_t n;

	assert_false(m->c.overflow);
	if (compressed) {
		maker_compressed(m, m->plain, m->c.len, 1);
		return;
	}
	n = imp_frame_store(frame, sizeof(m->file) - m->len, m->plain, m->c.len);
	assert_true(n > 0);
	m->len += (size_t)n;
}

static inline void put_uint(struct imp_cbor *c, unsigned int key, uint64_t value)
{
	imp_cbor_uint(c, key);
	imp_cbor_uint(c, value);
}

static inline void put_text(struct imp_cbor *c, unsigned int key, const char *text)
{
	imp_cbor_uint(c, key);
	imp_cbor_bytes(c, text, strlen(text));
}

static inline void put_list(struct imp_cbor *c, unsigned int key)
{
	imp_cbor_uint(c, key);
	imp_cbor_array_begin(c);
}

static inline void put_map(struct imp_cbor *c, unsigned int key)
{
	imp_cbor_uint(c, key);
	imp_cbor_map_begin(c);
}

static inline void value_text(struct imp_cbor *c, const char *text)
{
	imp_cbor_bytes(c, text, strlen(text));
}

/* A path: directory by number, name as it is. */
static inline void value_path(struct imp_cbor *c, uint64_t directory, const char *name)
{
	imp_cbor_array_begin(c);
	imp_cbor_uint(c, directory);
	value_text(c, name);
	imp_cbor_array_end(c);
}

static inline void event_begin(struct imp_cbor *c, enum imp_event_kind kind, uint64_t time_ns)
{
	imp_cbor_map_begin(c);
	put_uint(c, IMP_KEY_KIND, kind);
	put_uint(c, IMP_KEY_TIME_NS, time_ns);
}

static inline void event_end(struct imp_cbor *c)
{
	imp_cbor_map_end(c);
}

static inline void event_string(struct imp_cbor *c, uint64_t id, const char *text)
{
	imp_cbor_map_begin(c);
	put_uint(c, IMP_KEY_KIND, IMP_EV_STRING);
	put_uint(c, IMP_KEY_ID, id);
	put_text(c, IMP_KEY_TEXT, text);
	imp_cbor_map_end(c);
}

static inline void maker_header_version(struct maker *m, uint64_t major, uint64_t pid)
{
	maker_begin(m);
	imp_cbor_map_begin(&m->c);
	put_uint(&m->c, IMP_KEY_KIND, IMP_EV_HEADER);
	put_text(&m->c, IMP_KEY_MAGIC, IMP_FORMAT_MAGIC);
	put_list(&m->c, IMP_KEY_VERSION);
	imp_cbor_uint(&m->c, major);
	imp_cbor_uint(&m->c, 7);
	imp_cbor_array_end(&m->c);
	put_text(&m->c, IMP_KEY_RUN_ID, "0123456789abcdef");
	put_uint(&m->c, IMP_KEY_PID, pid);
	put_uint(&m->c, IMP_KEY_REALTIME_NS, 1700000000000000000u);
	put_uint(&m->c, IMP_KEY_TIME_NS, 900);
	imp_cbor_map_end(&m->c);
	maker_end(m, 0);
}

static inline void maker_header(struct maker *m, uint64_t pid)
{
	maker_header_version(m, IMP_FORMAT_MAJOR, pid);
}

/* Begins a frame and its IMP_EV_BATCH; events follow, then maker_end(). */
static inline void maker_batch(struct maker *m, uint64_t pid, uint64_t image_ns, uint64_t seq,
			       uint64_t lost)
{
	maker_begin(m);
	imp_cbor_map_begin(&m->c);
	put_uint(&m->c, IMP_KEY_KIND, IMP_EV_BATCH);
	put_uint(&m->c, IMP_KEY_PID, pid);
	put_uint(&m->c, IMP_KEY_IMAGE_NS, image_ns);
	put_uint(&m->c, IMP_KEY_SEQ, seq);
	put_uint(&m->c, IMP_KEY_LOST, lost);
	imp_cbor_map_end(&m->c);
}

/* A file in memory; the caller closes it. */
static inline int bytes_fd(const void *data, size_t len)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static inline int maker_fd(const struct maker *m)
{
	return bytes_fd(m->file, m->len);
}

#endif
