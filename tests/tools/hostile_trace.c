// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes traces that are made to hurt their reader, in frames as whole as the recorder's own, for
 * test_hostile_trace.py. Not installed.
 *
 * usage: hostile_trace processes N	N processes of which nothing but the start is known
 *        hostile_trace bomb BYTES	one frame that decompresses to so many bytes
 *        hostile_trace frames BYTES	batches of tiny items that decompress to so many bytes
 *        hostile_trace imports BYTES	the same, of imports that begin and never end
 *        hostile_trace claim		a frame whose header claims 2^60 bytes
 *        hostile_trace nest N		an item in N arrays
 */
#include <stdbool.h>
#include <zstd.h>

#include "trace_items.h"

static void write_processes(uint64_t count)
{
	uint8_t batch[256];
	size_t head;
	uint64_t i;

	put_header();
	for (i = 0; i < count; i++) {
		head = put_batch_head(1 + i % 4000000, 1 + i, 0);
		memcpy(batch, item, head);
		begin_item(IMP_EV_PROCESS);
		uint_of(IMP_KEY_TIME_NS, 1);
		uint_of(IMP_KEY_HOW, IMP_START_EXEC);
		imp_cbor_map_end(&c);
		memcpy(batch + head, item, c.len);
		write_frame(batch, head + c.len);
	}
}

static void write_bomb(uint64_t bytes)
{
	static const uint8_t zeros[1 << 16];
	static uint8_t to[1 << 18];
	ZSTD_CCtx *context = ZSTD_createCCtx();
	uint64_t done;
	size_t left;

	if (!context)
		die("memory");
	put_header();
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	for (done = 0; done < bytes; done += sizeof(zeros)) {
		bool last = done + sizeof(zeros) >= bytes;
		ZSTD_inBuffer in = {zeros, sizeof(zeros), 0};

		do {
			ZSTD_outBuffer buffer = {to, sizeof(to), 0};

			left = ZSTD_compressStream2(context, &buffer, &in, last ? ZSTD_e_end : ZSTD_e_continue);
			if (ZSTD_isError(left))
				die("zstd");
			out(to, buffer.pos);
		} while (in.pos < in.size || (last && left));
	}
	ZSTD_freeCCtx(context);
}

/* Frame after frame with the same few bytes in it, over and over. */
static void write_frames(uint64_t bytes, bool imports)
{
	static uint8_t batch[IMP_BATCH_MAX];
	uint64_t done, seq;
	size_t head, len;

	put_header();
	for (seq = done = 0; done < bytes; seq++, done += len) {
		head = put_batch_head(FIRST_PID, 1, seq);
		memcpy(batch, item, head);
		begin_item(imports ? IMP_EV_IMPORT_BEGIN : (enum imp_event_kind)99);
		if (imports)
			uint_of(IMP_KEY_IMPORT, 1);
		imp_cbor_map_end(&c);
		for (len = head; len + c.len <= sizeof(batch); len += c.len)
			memcpy(batch + len, item, c.len);
		write_frame(batch, len);
	}
}

static void write_nest(uint64_t depth)
{
	static uint8_t batch[IMP_BATCH_MAX];
	size_t head, len;

	put_header();
	head = put_batch_head(FIRST_PID, 1, 0);
	memcpy(batch, item, head);
	batch[head] = 0xa1; /* {0: [[[... */
	batch[head + 1] = 0x00;
	for (len = head + 2; len < sizeof(batch) && len - head - 2 < depth; len++)
		batch[len] = 0x81;
	write_frame(batch, len);
}

static void write_claim(void)
{
	/* RFC 8878: a frame of a single segment, with a checksum, and a content size of 8 bytes; then one raw block. */
	static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe4, 0, 0, 0, 0, 0, 0, 0, 0x10,
					0x09, 0x00, 0x00, 0xa0, 0, 0, 0, 0};

	put_header();
	out(frame, sizeof(frame));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;

	if (!strcmp(what, "processes") && n)
		write_processes(n);
	else if (!strcmp(what, "bomb") && n)
		write_bomb(n);
	else if (!strcmp(what, "frames") && n)
		write_frames(n, false);
	else if (!strcmp(what, "imports") && n)
		write_frames(n, true);
	else if (!strcmp(what, "nest") && n)
		write_nest(n);
	else if (!strcmp(what, "claim"))
		write_claim();
	else
		die("see the usage at the start of tests/tools/hostile_trace.c");
	return fflush(stdout) ? 2 : 0;
}
