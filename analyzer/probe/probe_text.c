/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHARACTER_MAX 0x10ffff
#define UTF8_MAX      4 /* bytes of a character */

static uint32_t character(const unsigned char *from, size_t i, size_t width)
{
	uint16_t two;
	uint32_t four;

	switch (width) {
	case 2: memcpy(&two, from + 2 * i, sizeof(two)); return two;
	case 4: memcpy(&four, from + 4 * i, sizeof(four)); return four;
	default: return from[i];
	}
}

static bool is_surrogate(uint32_t c)
{
	return c >= 0xd800 && c <= 0xdfff;
}

static bool is_byte(uint32_t c) /* PEP 383 */
{
	return c >= 0xdc80 && c <= 0xdcff;
}

static char *put(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (c & 0x3f));
	return to;
}

char *imp_probe_text_utf8(const void *from, size_t len, uint64_t n, uint64_t width)
{
	bool only_bytes = true;
	char *text, *to;

	if ((width != 1 && width != 2 && width != 4) || n > len / width)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const uint32_t c = character(from, i, width);

		if (!c || c > CHARACTER_MAX)
			return NULL;
		only_bytes = only_bytes && (!is_surrogate(c) || is_byte(c));
	}
	text = to = malloc(UTF8_MAX * (size_t)n + 1);
	if (!text)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const uint32_t c = character(from, i, width);

		if (only_bytes && is_byte(c))
			*to++ = (char)(c & 0xff);
		else
			to = put(to, c);
	}
	*to = '\0';
	return text;
}
