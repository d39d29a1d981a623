// SPDX-License-Identifier: GPL-2.0-or-later
#include "installer.h"

#include <string.h>

#include "../base/utf8.h"

/*
 * '=' is safe but for a first word, which it would make an assignment; '~' and '=' in front are
 * not.
 */
static bool is_safe(const char *s)
{
	size_t n = strspn(
		s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_");

	if (!*s || s[n] || *s == '=')
		return false;
	return !strchr(s, '=') || *s == '-' || *s == '/' || strstr(s, "==");
}

/* Can every byte stand in a terminal as it is, so that what is printed is what is typed? */
static bool is_plain(const char *s)
{
	size_t len = strlen(s), n;
	uint32_t cp;

	for (; len; s += n, len -= n) {
		n = imp_utf8_decode(s, len, &cp);
		if (!n || !imp_utf8_is_plain(cp))
			return false;
	}
	return true;
}

static const char *quote_single(struct imp_arena *a, const char *word)
{
	char *out = imp_arena_alloc(a, strlen(word) * 4 + 3), *o = out;

	*o++ = '\'';
	for (; *word; word++) {
		if (*word == '\'') {
			memcpy(o, "'\\''", 4);
			o += 4;
		} else {
			*o++ = *word;
		}
	}
	*o = '\'';
	return out;
}

/* Three octal digits: a hexadecimal escape would swallow the digits that follow in some shells. */
static const char *quote_escaped(struct imp_arena *a, const char *word)
{
	char *out = imp_arena_alloc(a, strlen(word) * 4 + 4), *o = out;
	size_t len = strlen(word), n, i;
	uint32_t cp;

	*o++ = '$';
	*o++ = '\'';
	for (; len; word += n, len -= n) {
		bool plain;

		n = imp_utf8_decode(word, len, &cp);
		plain = n && imp_utf8_is_plain(cp) && cp != '\'' && cp != '\\';
		if (!n)
			n = 1;
		for (i = 0; i < n; i++) {
			unsigned char c = (unsigned char)word[i];

			if (plain) {
				*o++ = word[i];
				continue;
			}
			*o++ = '\\';
			*o++ = (char)('0' + (c >> 6));
			*o++ = (char)('0' + (c >> 3 & 7));
			*o++ = (char)('0' + (c & 7));
		}
	}
	*o = '\'';
	return out;
}

const char *imp_shell_quote(struct imp_arena *a, const char *word)
{
	if (is_safe(word))
		return word;
	return is_plain(word) ? quote_single(a, word) : quote_escaped(a, word);
}
