/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "line_table.h"

#include "poison.h"

#define ENTRY 0x80 /* set in an entry's first byte, and in no other */
#define MORE  0x40 /* of a number that takes several bytes, six bits each */

/* The fifteen codes of an entry; those below ONE_LINE say the columns alone. */
enum {
	ONE_LINE = 10, /* to 12: as many lines on */
	NO_COLUMNS = 13,
	LONG = 14,
	NO_LOCATION = 15,
};

/* Bytes behind the first one, by code; those of the others are found by ENTRY. */
static const uint8_t lengths[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2};

/* Its lowest bit is the sign. */
static int64_t signed_number(const uint8_t *at, const uint8_t *end)
{
	uint64_t value = 0;
	unsigned int shift = 0;

	for (; at < end && shift < 36; at++, shift += 6) {
		value |= (uint64_t)(*at & (MORE - 1)) << shift;
		if (!(*at & MORE))
			break;
	}
	return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

int64_t imp_line_walk_to(struct imp_line_walk *w, const void *table, size_t size,
			 uint32_t instruction)
{
	const uint8_t *at = (const uint8_t *)table + w->at, *end = (const uint8_t *)table + size;

	if (w->at > size || instruction < w->start)
		return -1;
	while (instruction >= w->end) {
		unsigned int code;

		if (at >= end || !(*at & ENTRY))
			return -1;
		code = *at >> 3 & 15;
		w->start = w->end;
		w->end += 2u * ((*at++ & 7) + 1u);
		w->known = code != NO_LOCATION;
		if (code < NO_COLUMNS) {
			if (code > ONE_LINE)
				w->line += code - ONE_LINE;
			at += lengths[code] < end - at ? lengths[code] : end - at;
		} else if (w->known) {
			w->line += signed_number(at, end);
			while (at < end && !(*at & ENTRY))
				at++;
		}
		w->at = (size_t)(at - (const uint8_t *)table);
	}
	return w->known ? w->line : 0;
}
