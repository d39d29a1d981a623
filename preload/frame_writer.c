/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "frame_writer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_initStaticCCtx() */
#include <zstd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "poison.h"

#define DESCRIPTOR_SINGLE_SEGMENT 0x20
#define DESCRIPTOR_CHECKSUM	  0x04
#define DESCRIPTOR_SIZE_2_BYTES	  0x40 /* the value less 256 */
#define DESCRIPTOR_SIZE_4_BYTES	  0x80
#define BLOCK_LAST		  1 /* its type, bits 1 and 2, is 0: raw */
#define BLOCK_SIZE_SHIFT	  3

_Static_assert(IMP_BATCH_MAX <= ZSTD_BLOCKSIZE_MAX, "a raw frame has one block");
_Static_assert(IMP_FRAME_MAX >= IMP_BATCH_MAX + IMP_FRAME_OVERHEAD, "a raw frame fits");
_Static_assert(IMP_FRAME_MAX >= ZSTD_COMPRESSBOUND(IMP_BATCH_MAX), "a compressed frame fits");

/*
 * libzstd refers to these two weakly, and calls them where somebody defines them: that would be the traced
 * program's own tracing, if it has a libzstd with such. Defined here, hidden, they stay ours.
 */
unsigned long long ZSTD_trace_compress_begin(const void *context);
void ZSTD_trace_compress_end(unsigned long long context, const void *trace);

unsigned long long ZSTD_trace_compress_begin(const void *context)
{
	(void)context;
	return 0;
}

void ZSTD_trace_compress_end(unsigned long long context, const void *trace)
{
	(void)context;
	(void)trace;
}

static uint8_t *put_le(uint8_t *to, uint64_t value, unsigned int bytes)
{
	while (bytes--) {
		*to++ = (uint8_t)value;
		value >>= 8;
	}
	return to;
}

ssize_t imp_frame_store(void *frame, size_t size, const void *data, size_t len)
{
	uint8_t *to = frame;

	if (!len || len > IMP_BATCH_MAX || size < len + IMP_FRAME_OVERHEAD)
		return -EMSGSIZE;
	to = put_le(to, ZSTD_MAGICNUMBER, 4);
	if (len < 256) {
		*to++ = DESCRIPTOR_SINGLE_SEGMENT | DESCRIPTOR_CHECKSUM;
		to = put_le(to, len, 1);
	} else if (len < 65536 + 256) {
		*to++ = DESCRIPTOR_SINGLE_SEGMENT | DESCRIPTOR_CHECKSUM | DESCRIPTOR_SIZE_2_BYTES;
		to = put_le(to, len - 256, 2);
	} else {
		*to++ = DESCRIPTOR_SINGLE_SEGMENT | DESCRIPTOR_CHECKSUM | DESCRIPTOR_SIZE_4_BYTES;
		to = put_le(to, len, 4);
	}
	to = put_le(to, len << BLOCK_SIZE_SHIFT | BLOCK_LAST, 3);
	memcpy(to, data, len);
	to = put_le(to + len, XXH64(data, len, 0), 4); /* its low 32 bits */
	return to - (uint8_t *)frame;
}

/*
 * The parameters are spelled out, so that the workspace and what zstd wants later agree: a level alone
 * means other tables for another size of input. Most batches are small, since each failure and each load
 * writes one, and zstd's parameters for small inputs make them smaller, and faster.
 */
#define SMALL_BATCH 16384
#define TINY_LEVEL  1
#define TINY_BATCH  6144 /* of a process that has just begun: a table of 16 kB, instead of 200 */

static ZSTD_compressionParameters parameters(const struct imp_frame_writer *w, size_t len)
{
	if (len <= TINY_BATCH && w->level > TINY_LEVEL)
		return ZSTD_getCParams(TINY_LEVEL, TINY_BATCH, 0);
	return ZSTD_getCParams(w->level, len <= SMALL_BATCH ? SMALL_BATCH : IMP_BATCH_MAX, 0);
}

static int set_parameters(ZSTD_CCtx *context, ZSTD_compressionParameters p)
{
	const struct {
		ZSTD_cParameter key;
		int value;
	} wanted[] = {
		{ZSTD_c_windowLog, (int)p.windowLog},
		{ZSTD_c_hashLog, (int)p.hashLog},
		{ZSTD_c_chainLog, (int)p.chainLog},
		{ZSTD_c_searchLog, (int)p.searchLog},
		{ZSTD_c_minMatch, (int)p.minMatch},
		{ZSTD_c_targetLength, (int)p.targetLength},
		{ZSTD_c_strategy, (int)p.strategy},
		{ZSTD_c_contentSizeFlag, 1},
		{ZSTD_c_checksumFlag, 1},
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (ZSTD_isError(ZSTD_CCtx_setParameter(context, wanted[i].key, wanted[i].value)))
			return -EINVAL;
	return 0;
}

static int make_context(struct imp_frame_writer *w)
{
	if (!w->workspace) {
		size_t small = ZSTD_estimateCCtxSize_usingCParams(parameters(w, SMALL_BATCH));
		size_t size = ZSTD_estimateCCtxSize_usingCParams(parameters(w, IMP_BATCH_MAX));
		void *memory;

		if (size < small)
			size = small;
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
		if (memory == MAP_FAILED)
			return -ENOMEM;
		w->workspace = memory;
		w->workspace_size = size;
	}
	w->context = ZSTD_initStaticCCtx(w->workspace, w->workspace_size);
	return w->context ? 0 : -ENOMEM;
}

ssize_t imp_frame_compress(struct imp_frame_writer *w, void *frame, size_t size, const void *data,
			   size_t len)
{
	size_t ret;

	if (!w->context && (w->stored + len <= IMP_FRAME_RAW_MAX || make_context(w) < 0)) {
		w->stored += len;
		return imp_frame_store(frame, size, data, len);
	}
	if (!len || len > IMP_BATCH_MAX)
		return -EMSGSIZE;
	if (set_parameters(w->context, parameters(w, len)) < 0)
		ret = 0;
	else
		ret = ZSTD_compress2(w->context, frame, size, data, len);
	if (!ret || ZSTD_isError(ret)) {
		imp_frame_writer_reset(w);
		return imp_frame_store(frame, size, data, len);
	}
	return (ssize_t)ret;
}

void imp_frame_writer_hurry(struct imp_frame_writer *w)
{
	if (w->stored < IMP_FRAME_RAW_MAX)
		w->stored = IMP_FRAME_RAW_MAX;
}

void imp_frame_writer_reset(struct imp_frame_writer *w)
{
	w->stored = 0;
	w->context = NULL;
}

void imp_frame_writer_clear(struct imp_frame_writer *w)
{
	if (w->workspace)
		munmap(w->workspace, w->workspace_size);
	w->stored = 0;
	w->context = NULL;
	w->workspace = NULL;
	w->workspace_size = 0;
}
