/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rust_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX      64U
#define STEPS_MAX      5000U /* a reference back may lead to another one, and each doubles the work */
#define IDENTIFIER_MAX 256U /* characters of one that is not ASCII */
#define LIFETIMES_MAX  1000U

void imp_rust_put(struct imp_rust_name *n, const char *text, size_t len)
{
	if (n->quiet || n->bad)
		return;
	imp_strbuf_add(&n->out, text, len);
	n->bad |= n->out.cut;
}

void imp_rust_puts(struct imp_rust_name *n, const char *text)
{
	imp_rust_put(n, text, strlen(text));
}

char imp_rust_peek(const struct imp_rust_name *n)
{
	return n->bad || n->at >= n->len ? '\0' : n->s[n->at];
}

char imp_rust_next(struct imp_rust_name *n)
{
	char c = imp_rust_peek(n);

	if (c)
		n->at++;
	else
		n->bad = true;
	return c;
}

bool imp_rust_eat(struct imp_rust_name *n, char c)
{
	if (imp_rust_peek(n) != c)
		return false;
	n->at++;
	return true;
}

/* Every rule that can be reached again from itself goes through here. */
bool imp_rust_enter(struct imp_rust_name *n)
{
	if (n->depth >= DEPTH_MAX || n->steps >= STEPS_MAX)
		n->bad = true;
	if (n->bad)
		return false;
	n->depth++;
	n->steps++;
	return true;
}

/* ---- numbers and names ------------------------------------------------------------------------------ */

uint64_t imp_rust_number(struct imp_rust_name *n)
{
	uint64_t x = 0;
	char c;

	if (imp_rust_eat(n, '_'))
		return 0;
	while ((c = imp_rust_next(n)) != '_' && !n->bad) {
		unsigned int digit = c >= '0' && c <= '9' ? (unsigned int)(c - '0') :
				     c >= 'a' && c <= 'z' ? (unsigned int)(c - 'a') + 10 :
				     c >= 'A' && c <= 'Z' ? (unsigned int)(c - 'A') + 36 :
							    62;

		if (digit == 62 || x > (UINT64_MAX - digit) / 62 - 1)
			n->bad = true;
		else
			x = x * 62 + digit;
	}
	return x + 1;
}

uint64_t imp_rust_optional_number(struct imp_rust_name *n, char tag)
{
	return imp_rust_eat(n, tag) ? imp_rust_number(n) + 1 : 0;
}

struct imp_rust_identifier imp_rust_plain_identifier(struct imp_rust_name *n)
{
	struct imp_rust_identifier id = {.punycode = imp_rust_eat(n, 'u')};
	char c = imp_rust_next(n);
	size_t len = 0;

	if (c < '0' || c > '9')
		n->bad = true;
	else
		len = (size_t)(c - '0');
	while (len && imp_rust_peek(n) >= '0' && imp_rust_peek(n) <= '9' && len <= n->len)
		len = len * 10 + (size_t)(imp_rust_next(n) - '0');
	imp_rust_eat(n, '_');
	if (n->bad || len > n->len - n->at) {
		n->bad = true;
		return id;
	}
	id.s = n->s + n->at;
	id.len = len;
	n->at += len;
	return id;
}

struct imp_rust_identifier imp_rust_identifier(struct imp_rust_name *n)
{
	uint64_t number = imp_rust_optional_number(n, 's');
	struct imp_rust_identifier id = imp_rust_plain_identifier(n);

	id.number = number;
	return id;
}

/* RFC 3492, with '_' in the place of '-'. Returns the number of characters, or SIZE_MAX. */
static size_t punycode(const char *s, size_t len, uint32_t *chars)
{
	const char *last = memrchr(s, '_', len), *p = last ? last + 1 : s, *end = s + len;
	uint64_t code = 128, i = 0, bias = 72, damp = 700;
	size_t n = 0;

	for (; last && n < (size_t)(last - s); n++) {
		if (n == IDENTIFIER_MAX)
			return SIZE_MAX;
		chars[n] = (unsigned char)s[n];
	}
	while (p < end) {
		uint64_t delta = 0, weight = 1, k = 0, threshold, digit;

		do {
			if (p == end)
				return SIZE_MAX;
			digit = *p >= 'a' && *p <= 'z' ? (uint64_t)(*p - 'a') :
				*p >= '0' && *p <= '9' ? (uint64_t)(*p - '0') + 26 :
							 36;
			p++;
			k += 36;
			threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
			if (digit == 36 || delta > UINT32_MAX || weight > UINT32_MAX)
				return SIZE_MAX;
			delta += digit * weight;
			weight *= 36 - threshold;
		} while (digit >= threshold);
		i += delta;
		n++;
		code += i / n;
		i %= n;
		if (n > IDENTIFIER_MAX || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
			return SIZE_MAX;
		memmove(chars + i + 1, chars + i, (n - 1 - i) * sizeof(*chars));
		chars[i++] = (uint32_t)code;
		delta /= damp;
		damp = 2;
		delta += delta / n;
		for (bias = 0; delta > 35 * 26 / 2; bias += 36)
			delta /= 35;
		bias += 36 * delta / (delta + 38);
	}
	return n;
}

void imp_rust_put_char(struct imp_rust_name *n, uint32_t c)
{
	char text[4];

	if (c < 0x80) {
		text[0] = (char)c;
		imp_rust_put(n, text, 1);
	} else if (c < 0x800) {
		text[0] = (char)(0xc0 | c >> 6);
		text[1] = (char)(0x80 | (c & 63));
		imp_rust_put(n, text, 2);
	} else if (c < 0x10000) {
		text[0] = (char)(0xe0 | c >> 12);
		text[1] = (char)(0x80 | (c >> 6 & 63));
		text[2] = (char)(0x80 | (c & 63));
		imp_rust_put(n, text, 3);
	} else {
		text[0] = (char)(0xf0 | c >> 18);
		text[1] = (char)(0x80 | (c >> 12 & 63));
		text[2] = (char)(0x80 | (c >> 6 & 63));
		text[3] = (char)(0x80 | (c & 63));
		imp_rust_put(n, text, 4);
	}
}

void imp_rust_put_identifier(struct imp_rust_name *n, const struct imp_rust_identifier *id)
{
	uint32_t chars[IDENTIFIER_MAX + 1];
	size_t count;

	if (n->bad)
		return;
	if (!id->punycode) {
		imp_rust_put(n, id->s, id->len);
		return;
	}
	count = punycode(id->s, id->len, chars);
	n->bad |= count == SIZE_MAX;
	for (size_t i = 0; !n->bad && i < count; i++)
		imp_rust_put_char(n, chars[i]);
}

void imp_rust_put_number(struct imp_rust_name *n, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	imp_rust_puts(n, text);
}

/* ---- lifetimes and references back ------------------------------------------------------------------ */

void imp_rust_put_lifetime(struct imp_rust_name *n, uint64_t index)
{
	uint64_t depth;
	char c;

	if (!index) {
		imp_rust_puts(n, "'_");
		return;
	}
	if (index > n->lifetimes) {
		n->bad = true;
		return;
	}
	depth = n->lifetimes - index;
	c = (char)('a' + depth % 26);
	imp_rust_puts(n, "'");
	imp_rust_put(n, &c, 1);
	if (depth >= 26)
		imp_rust_put_number(n, depth / 26);
}

/* "for<'a, 'b> "; returns how many it binds */
uint64_t imp_rust_binder(struct imp_rust_name *n)
{
	uint64_t count = imp_rust_optional_number(n, 'G');

	if (count > LIFETIMES_MAX)
		n->bad = true;
	if (!count || n->bad)
		return 0;
	imp_rust_puts(n, "for<");
	for (uint64_t i = 0; i < count; i++) {
		n->lifetimes++;
		if (i)
			imp_rust_puts(n, ", ");
		imp_rust_put_lifetime(n, 1);
	}
	imp_rust_puts(n, "> ");
	return count;
}

/* The 'B' has been read. Returns where to go on behind it, or SIZE_MAX; n->at is where it leads. */
size_t imp_rust_go_back(struct imp_rust_name *n)
{
	size_t start = n->at - 1, after;
	uint64_t to = imp_rust_number(n);

	after = n->at;
	if (n->bad || to >= start) {
		n->bad = true;
		return SIZE_MAX;
	}
	/* Nothing is shown of it, and reading it again would tell nothing. */
	if (n->quiet)
		return SIZE_MAX;
	n->at = (size_t)to;
	return after;
}
