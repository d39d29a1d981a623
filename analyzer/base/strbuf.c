/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "strbuf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for @len more bytes and a NUL; returns how many of them may be added. */
static size_t reserve(struct imp_strbuf *b, size_t len)
{
	size_t cap = b->cap ? b->cap : 64;
	char *s;

	if (b->limit && len > b->limit - b->len) {
		len = b->limit - b->len;
		b->cut = true;
	}
	if (len < b->cap - b->len && b->cap)
		return len;
	if (len > SIZE_MAX / 4 - b->len)
		goto no_memory;
	while (cap <= b->len + len)
		cap *= 2;
	s = realloc(b->s, cap);
	if (!s)
		goto no_memory;
	b->s = s;
	b->cap = cap;
	return len;
no_memory:
	fprintf(stderr, "imptrace: out of memory: %zu bytes were refused\n", len);
	exit(2);
}

void imp_strbuf_add(struct imp_strbuf *b, const void *data, size_t len)
{
	len = reserve(b, len);
	if (len)
		memcpy(b->s + b->len, data, len);
	b->len += len;
	b->s[b->len] = '\0';
}

void imp_strbuf_puts(struct imp_strbuf *b, const char *s)
{
	imp_strbuf_add(b, s, strlen(s));
}

void imp_strbuf_printf(struct imp_strbuf *b, const char *format, ...)
{
	va_list args;
	size_t room;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n <= 0)
		return;
	room = reserve(b, (size_t)n);
	va_start(args, format);
	vsnprintf(b->s + b->len, room + 1, format, args);
	va_end(args);
	b->len += room;
}

void imp_strbuf_reset(struct imp_strbuf *b)
{
	b->len = 0;
	b->cut = false;
	if (b->s)
		b->s[0] = '\0';
}

void imp_strbuf_clear(struct imp_strbuf *b)
{
	free(b->s);
	b->s = NULL;
	b->len = b->cap = 0;
	b->cut = false;
}
