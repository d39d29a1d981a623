/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "utf8.h"

size_t imp_utf8_decode(const char *text, size_t len, uint32_t *cp)
{
	const unsigned char *s = (const unsigned char *)text;
	uint32_t c = s[0];
	size_t need, i;

	if (c < 0x80) {
		*cp = c;
		return 1;
	}
	if (c < 0xc2 || c > 0xf4)
		return 0;
	need = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (len < need)
		return 0;
	c &= 0xff >> (need + 1);
	for (i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	/* Overlong forms, and what lies behind U+10FFFF. */
	if ((need == 3 && c < 0x800) || (need == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	*cp = c;
	return need;
}

bool imp_utf8_is_plain(uint32_t cp)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{0x0000, 0x001f},   {0x007f, 0x009f}, {0x00ad, 0x00ad},	  {0x034f, 0x034f},
		{0x061c, 0x061c},   {0x115f, 0x1160}, {0x17b4, 0x17b5},	  {0x180b, 0x180f},
		{0x200b, 0x200f},   {0x2028, 0x202e}, {0x2060, 0x206f},	  {0x3164, 0x3164},
		{0xd800, 0xdfff},   {0xfdd0, 0xfdef}, {0xfe00, 0xfe0f},	  {0xfeff, 0xfeff},
		{0xffa0, 0xffa0},   {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
		{0xe0000, 0xe0fff},
	};
	size_t i;

	if ((cp & 0xfffe) == 0xfffe)
		return false;
	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (cp >= hidden[i].first && cp <= hidden[i].last)
			return false;
	return true;
}
