/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

struct character {
	const char *bytes;
	size_t used; /* 0: malformed */
	uint32_t cp;
	int plain;
};

static const struct character characters[] = {
	{"a", 1, 'a', 1},
	{"\x7f", 1, 0x7f, 0},
	{"\x1b[", 1, 0x1b, 0},
	{"\x80", 0, 0, 0},
	{"\xc0\x80", 0, 0, 0}, /* overlong NUL */
	{"\xc1\xbf", 0, 0, 0},
	{"\xc2\x80", 2, 0x80, 0}, /* C1 */
	{"\xc2\x9b", 2, 0x9b, 0}, /* CSI in one character */
	{"\xc2\xa0", 2, 0xa0, 1},
	{"\xc3\xa9", 2, 0xe9, 1},
	{"\xc3", 0, 0, 0}, /* cut */
	{"\xc3\x41", 0, 0, 0},
	{"\xdf\xbf", 2, 0x7ff, 1},
	{"\xe0\x80\x80", 0, 0, 0}, /* overlong */
	{"\xe0\xa0\x80", 3, 0x800, 1},
	{"\xe2\x80\xae", 3, 0x202e, 0}, /* right-to-left override */
	{"\xe2\x80\x8b", 3, 0x200b, 0}, /* zero-width space */
	{"\xe2\x80\xa8", 3, 0x2028, 0}, /* line separator */
	{"\xe2\x81\xa6", 3, 0x2066, 0}, /* isolate */
	{"\xe2\x82\xac", 3, 0x20ac, 1},
	{"\xed\x9f\xbf", 3, 0xd7ff, 1},
	{"\xed\xa0\x80", 3, 0xd800, 0}, /* a lone surrogate, passed */
	{"\xed\xbf\xbf", 3, 0xdfff, 0},
	{"\xef\xbb\xbf", 3, 0xfeff, 0},
	{"\xef\xbf\xbd", 3, 0xfffd, 1},
	{"\xef\xbf\xbe", 3, 0xfffe, 0},
	{"\xf0\x8f\xbf\xbf", 0, 0, 0},
	{"\xf0\x9f\x98\x80", 4, 0x1f600, 1},
	{"\xf0\x9f\x98", 0, 0, 0},
	{"\xf3\xa0\x80\x81", 4, 0xe0001, 0}, /* a tag */
	{"\xf4\x8f\xbf\xbf", 4, 0x10ffff, 0},
	{"\xf4\x90\x80\x80", 0, 0, 0},
	{"\xf5\x80\x80\x80", 0, 0, 0},
	{"\xff", 0, 0, 0},
};

static void test_table(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(characters) / sizeof(characters[0]); i++) {
		const struct character *c = &characters[i];
		size_t len = strlen(c->bytes);
		uint32_t cp = 0;
		/* Its own block: a byte too much would be seen by the sanitizer. */
		char *copy = malloc(len);

		assert_non_null(copy);
		memcpy(copy, c->bytes, len);
		if (imp_utf8_decode(copy, len, &cp) != c->used)
			fail_msg("character %zu: %zu bytes", i, imp_utf8_decode(copy, len, &cp));
		if (c->used) {
			assert_int_equal(cp, c->cp);
			assert_int_equal(imp_utf8_is_plain(cp), c->plain);
		}
		free(copy);
	}
}

/* Every code point, encoded by hand, comes back. */
static void test_all(void **state)
{
	uint32_t cp, back;
	char s[4];
	size_t n;

	(void)state;
	for (cp = 0; cp <= 0x10ffff; cp++) {
		if (cp < 0x80) {
			s[0] = (char)cp, n = 1;
		} else if (cp < 0x800) {
			s[0] = (char)(0xc0 | cp >> 6), s[1] = (char)(0x80 | (cp & 0x3f)), n = 2;
		} else if (cp < 0x10000) {
			s[0] = (char)(0xe0 | cp >> 12), s[1] = (char)(0x80 | (cp >> 6 & 0x3f));
			s[2] = (char)(0x80 | (cp & 0x3f)), n = 3;
		} else {
			s[0] = (char)(0xf0 | cp >> 18), s[1] = (char)(0x80 | (cp >> 12 & 0x3f));
			s[2] = (char)(0x80 | (cp >> 6 & 0x3f)), s[3] = (char)(0x80 | (cp & 0x3f)),
			n = 4;
		}
		if (imp_utf8_decode(s, n, &back) != n || back != cp)
			fail_msg("U+%04X", cp);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
