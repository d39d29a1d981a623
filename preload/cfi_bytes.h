/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_CFI_BYTES_H
#define IMP_PRELOAD_CFI_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How the numbers in .eh_frame are read. Source: DWARF 5, section 7.6; LSB Core 5.0, section 10.5. */

/* Bytes that may be read: one segment, or one entry of .eh_frame within it. */
struct imp_cfi_bytes {
	const uint8_t *at, *end;
	bool bad; /* sticky: something went past @end, or is not known here */
};

static inline uint64_t imp_cfi_take(struct imp_cfi_bytes *b, size_t size)
{
	uint64_t value = 0;

	if (b->bad || (size_t)(b->end - b->at) < size) {
		b->bad = true;
		return 0;
	}
	memcpy(&value, b->at, size); /* little endian */
	b->at += size;
	return value;
}

static inline int64_t imp_cfi_take_signed(struct imp_cfi_bytes *b, size_t size)
{
	const unsigned int shift = 64 - 8 * (unsigned int)size;

	return (int64_t)(imp_cfi_take(b, size) << shift) >> shift;
}

static inline uint64_t imp_cfi_take_leb(struct imp_cfi_bytes *b, bool is_signed)
{
	unsigned int shift = 0;
	uint64_t value = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)imp_cfi_take(b, 1);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80 && !b->bad);
	if (is_signed && byte & 0x40 && shift < 64)
		value |= ~(uint64_t)0 << shift;
	return value;
}

static inline uint64_t imp_cfi_take_uleb(struct imp_cfi_bytes *b)
{
	return imp_cfi_take_leb(b, false);
}

static inline int64_t imp_cfi_take_sleb(struct imp_cfi_bytes *b)
{
	return (int64_t)imp_cfi_take_leb(b, true);
}

static inline void imp_cfi_skip(struct imp_cfi_bytes *b, uint64_t len)
{
	if (b->bad || len > (uint64_t)(b->end - b->at))
		b->bad = true;
	else
		b->at += len;
}

/* The next @len bytes as a range of their own. */
static inline struct imp_cfi_bytes imp_cfi_take_part(struct imp_cfi_bytes *b, uint64_t len)
{
	struct imp_cfi_bytes part = *b;

	imp_cfi_skip(b, len);
	part.bad = b->bad;
	part.end = b->at;
	return part;
}

/* DW_EH_PE_*: absolute or relative to where it stands. */
static inline uint64_t imp_cfi_take_pointer(struct imp_cfi_bytes *b, unsigned int encoding)
{
	const uint64_t at = (uint64_t)(uintptr_t)b->at;
	uint64_t value;

	switch (encoding & 0x0f) {
	case 0x00:
	case 0x04:
	case 0x0c: value = imp_cfi_take(b, 8); break;
	case 0x02: value = imp_cfi_take(b, 2); break;
	case 0x03: value = imp_cfi_take(b, 4); break;
	case 0x0a: value = (uint64_t)imp_cfi_take_signed(b, 2); break;
	case 0x0b: value = (uint64_t)imp_cfi_take_signed(b, 4); break;
	default: b->bad = true; return 0;
	}
	switch (encoding & 0x70) {
	case 0x00: return value;
	case 0x10: return value + at;
	default: b->bad = true; return 0;
	}
}

#endif
