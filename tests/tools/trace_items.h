/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TESTS_TRACE_ITEMS_H
#define IMP_TESTS_TRACE_ITEMS_H

/* Items and frames of made-up traces, for the tools of this directory; everything goes to standard output. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../preload/cbor_put.h"
#include "../../preload/frame_writer.h"
#include "../../preload/trace_format.h"

#define FIRST_PID 1000

/* The item that is being put together. */
static struct imp_cbor c;
static uint8_t item[IMP_ITEM_MAX];

static inline void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, errno ? strerror(errno) : "no");
	exit(2);
}

static inline void out(const void *data, size_t len)
{
	if (fwrite(data, 1, len, stdout) != len)
		die("standard output");
}

static inline void write_frame(const void *data, size_t len)
{
	static struct imp_frame_writer w = {.level = 3, .stored = IMP_BATCH_MAX};
	static uint8_t frame[IMP_FRAME_MAX];
	ssize_t n;

	imp_frame_writer_hurry(&w);
	n = imp_frame_compress(&w, frame, sizeof(frame), data, len);
	if (n < 0)
		die("a frame");
	out(frame, (size_t)n);
}

/* ---- items ---------------------------------------------------------------------------------- */

static inline void uint_of(unsigned int key, uint64_t value)
{
	imp_cbor_uint(&c, key);
	imp_cbor_uint(&c, value);
}

static inline void text(const char *s)
{
	imp_cbor_bytes(&c, s, strlen(s));
}

static inline void text_of(unsigned int key, const char *s)
{
	imp_cbor_uint(&c, key);
	text(s);
}

static inline void path(unsigned int directory, const char *name)
{
	imp_cbor_array_begin(&c);
	imp_cbor_uint(&c, directory);
	text(name);
	imp_cbor_array_end(&c);
}

static inline void begin_item(enum imp_event_kind kind)
{
	imp_cbor_init(&c, item, sizeof(item));
	imp_cbor_map_begin(&c);
	uint_of(IMP_KEY_KIND, kind);
}

static inline size_t put_batch_head(uint64_t pid, uint64_t image_ns, uint64_t seq)
{
	begin_item(IMP_EV_BATCH);
	uint_of(IMP_KEY_PID, pid);
	uint_of(IMP_KEY_IMAGE_NS, image_ns);
	uint_of(IMP_KEY_SEQ, seq);
	uint_of(IMP_KEY_LOST, 0);
	imp_cbor_map_end(&c);
	return c.len;
}

static inline void put_header(void)
{
	begin_item(IMP_EV_HEADER);
	text_of(IMP_KEY_MAGIC, IMP_FORMAT_MAGIC);
	imp_cbor_uint(&c, IMP_KEY_VERSION);
	imp_cbor_array_begin(&c);
	imp_cbor_uint(&c, IMP_FORMAT_MAJOR);
	imp_cbor_uint(&c, IMP_FORMAT_MINOR);
	imp_cbor_array_end(&c);
	text_of(IMP_KEY_RUN_ID, "0123456789abcdef");
	uint_of(IMP_KEY_PID, FIRST_PID);
	uint_of(IMP_KEY_REALTIME_NS, 1700000000000000000u);
	uint_of(IMP_KEY_TIME_NS, 900);
	imp_cbor_map_end(&c);
	write_frame(item, c.len);
}

#endif
