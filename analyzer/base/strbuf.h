/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BASE_STRBUF_H
#define IMP_BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A growable byte string with a limit. Bytes that would go beyond @limit are dropped and @cut is
 * set: what comes out of a trace may be made to be huge. @s is always NUL-terminated once something
 * was added. Where there is no memory the program ends with one sentence and status 2.
 */
struct imp_strbuf {
	char *s;    /* owned; NULL: empty */
	size_t len; /* without the NUL */
	size_t cap;
	size_t limit; /* greatest @len; 0: none */
	bool cut;
};

void imp_strbuf_add(struct imp_strbuf *b, const void *data, size_t len);
void imp_strbuf_puts(struct imp_strbuf *b, const char *s);
void imp_strbuf_printf(struct imp_strbuf *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void imp_strbuf_reset(struct imp_strbuf *b); /* empty it, keep the memory */
void imp_strbuf_clear(struct imp_strbuf *b); /* release it */

#endif
