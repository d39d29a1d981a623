/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "escape.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "../base/utf8.h"

struct range {
	uint32_t first, last;
};

/* East Asian wide and full-width, emoji: two columns. */
static const struct range wide[] = {
	{0x1100, 0x115e},   {0x231a, 0x231b},	{0x23e9, 0x23ec},   {0x25fd, 0x25fe},
	{0x2614, 0x2615},   {0x2648, 0x2653},	{0x26aa, 0x26ab},   {0x2705, 0x2705},
	{0x270a, 0x270b},   {0x2728, 0x2728},	{0x274c, 0x274c},   {0x2753, 0x2755},
	{0x2795, 0x2797},   {0x2b1b, 0x2b1c},	{0x2e80, 0x303e},   {0x3041, 0x3163},
	{0x3165, 0x4dbf},   {0x4e00, 0xa4cf},	{0xa960, 0xa97c},   {0xac00, 0xd7a3},
	{0xf900, 0xfaff},   {0xfe30, 0xfe6f},	{0xff00, 0xff60},   {0xffe0, 0xffe6},
	{0x16fe0, 0x18aff}, {0x1b000, 0x1b2ff}, {0x1f18e, 0x1f19a}, {0x1f200, 0x1f320},
	{0x1f330, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f7e0, 0x1f7eb}, {0x1f90c, 0x1faff},
	{0x20000, 0x3fffd},
};

/* Combining marks that people meet: they take no column. */
static const struct range combining[] = {
	{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f},
	{0x06d6, 0x06dc}, {0x093c, 0x093c}, {0x0941, 0x0948}, {0x0e31, 0x0e31}, {0x0e34, 0x0e3a},
	{0x0e47, 0x0e4e}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20f0}, {0x302a, 0x302d},
	{0x3099, 0x309a}, {0xfe20, 0xfe2f},
};

#define IN(table, c) in_ranges(table, sizeof(table) / sizeof((table)[0]), c)

static bool in_ranges(const struct range *table, size_t n, uint32_t c)
{
	size_t low = 0;

	while (low < n) {
		size_t mid = low + (n - low) / 2;

		if (c > table[mid].last)
			low = mid + 1;
		else if (c < table[mid].first)
			n = mid;
		else
			return true;
	}
	return false;
}

size_t imp_escape_next(const char *s, size_t len, char out[IMP_ESCAPE_SIZE], unsigned int *columns)
{
	uint32_t c = 0;
	size_t used = imp_utf8_decode(s, len, &c);
	int n;

	if (!used) {
		used = 1;
		n = snprintf(out, IMP_ESCAPE_SIZE, "\\x%02x", (unsigned char)s[0]);
	} else if (!imp_utf8_is_plain(c)) {
		/* \x above 7f is kept for bytes: U+0085 and the byte 85 are two things. */
		n = snprintf(out, IMP_ESCAPE_SIZE,
			     c > 0xffff ? "\\U%08" PRIx32 :
			     c > 0x7f	? "\\u%04" PRIx32 :
					  "\\x%02" PRIx32,
			     c);
	} else {
		memcpy(out, s, used);
		out[used] = '\0';
		n = c < 0x300 ? 1 : IN(combining, c) ? 0 : IN(wide, c) ? 2 : 1;
	}
	if (columns)
		*columns = (unsigned int)n;
	return used;
}

char *imp_escape_n(struct imp_arena *a, const char *s, size_t len)
{
	char one[IMP_ESCAPE_SIZE];
	size_t size = 1;
	char *text, *end;

	for (size_t i = 0; i < len;) {
		i += imp_escape_next(s + i, len - i, one, NULL);
		size += strlen(one);
	}
	text = imp_arena_alloc(a, size);
	end = text;
	for (size_t i = 0; i < len;) {
		i += imp_escape_next(s + i, len - i, one, NULL);
		end = stpcpy(end, one);
	}
	return text;
}

char *imp_escape(struct imp_arena *a, const char *s)
{
	return imp_escape_n(a, s ? s : "", s ? strlen(s) : 0);
}

void imp_escape_write(FILE *out, const char *s, size_t len)
{
	char one[IMP_ESCAPE_SIZE];

	for (size_t i = 0; i < len;) {
		i += imp_escape_next(s + i, len - i, one, NULL);
		fputs(one, out);
	}
}

size_t imp_escape_columns(const char *s)
{
	size_t len = strlen(s), total = 0;
	char one[IMP_ESCAPE_SIZE];

	for (size_t i = 0; i < len;) {
		unsigned int columns;

		i += imp_escape_next(s + i, len - i, one, &columns);
		total += columns;
	}
	return total;
}
