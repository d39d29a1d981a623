/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "page.h"

#include <string.h>

#include "escape.h"

/* The sixteen colours that every terminal has, and that its user has chosen. */
static const char *const start_of_style[] = {
	[IMP_PLAIN] = "",	  [IMP_BOLD] = "\033[1m",   [IMP_DIM] = "\033[2m",
	[IMP_RED] = "\033[1;31m", [IMP_GREEN] = "\033[32m", [IMP_YELLOW] = "\033[33m",
};

void imp_page_init(struct imp_page *p, FILE *out, int columns, bool color)
{
	memset(p, 0, sizeof(*p));
	p->out = out;
	p->color = color;
	p->columns = columns > 0 ? (size_t)columns : 80;
	if (p->columns < IMP_PAGE_COLUMNS_MIN)
		p->columns = IMP_PAGE_COLUMNS_MIN;
	if (p->columns > IMP_PAGE_COLUMNS_MAX)
		p->columns = IMP_PAGE_COLUMNS_MAX;
}

void imp_page_clear(struct imp_page *p)
{
	imp_arena_clear(&p->arena);
}

const char *imp_page_format(struct imp_page *p, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = imp_arena_vprintf(&p->arena, format, args);
	va_end(args);
	return text;
}

static void put(struct imp_page *p, enum imp_style style, const char *s, size_t len)
{
	bool styled = p->color && style != IMP_PLAIN && len;

	if (styled)
		fputs(start_of_style[style], p->out);
	imp_escape_write(p->out, s, len);
	if (styled)
		fputs("\033[0m", p->out);
}

static size_t columns_of(const char *s, size_t len)
{
	size_t total = 0;

	while (len) {
		char shown[IMP_ESCAPE_SIZE];
		unsigned int columns;
		size_t used = imp_escape_next(s, len, shown, &columns);

		total += columns;
		s += used;
		len -= used;
	}
	return total;
}

/*
 * What stands before a line: the label in its colour, the spaces before it plain. No line ends with a
 * space: where nothing follows, the margin's last spaces are left out.
 */
static void put_margin(struct imp_page *p, const struct imp_block *b, bool first, bool filled)
{
	const char *text = first ? b->first : b->rest;

	if (text) {
		size_t spaces = strspn(text, " "), len = strlen(text);

		while (!filled && len && text[len - 1] == ' ')
			len--;
		if (len < spaces)
			spaces = len;
		put(p, IMP_PLAIN, text, spaces);
		put(p, b->first_style, text + spaces, len - spaces);
	} else if (!first && b->first) {
		fprintf(p->out, "%*s", (int)imp_escape_columns(b->first), "");
	}
}

/* Where the word ends that begins at @at, or after the spaces there. */
static size_t word_end(const char *text, size_t len, size_t at)
{
	while (at < len && text[at] == ' ')
		at++;
	while (at < len && text[at] != ' ')
		at++;
	return at;
}

void imp_page_wrap(struct imp_page *p, const struct imp_block *b, const char *text)
{
	size_t margin = b->first ? imp_escape_columns(b->first) : 0;
	size_t len = strlen(text);
	bool first = true;

	while (len && text[len - 1] == ' ')
		len--;
	do {
		/* As many words as fit, and one at least. */
		size_t end = word_end(text, len, 0);
		size_t width = margin + columns_of(text, end);

		while (end < len) {
			size_t next = word_end(text, len, end);

			width += columns_of(text + end, next - end);
			if (width > p->columns)
				break;
			end = next;
		}
		put_margin(p, b, first, end > 0);
		put(p, b->style, text, end);
		putc('\n', p->out);
		if (first && b->rest)
			margin = imp_escape_columns(b->rest);
		first = false;
		while (end < len && text[end] == ' ')
			end++;
		text += end;
		len -= end;
	} while (len);
}

void imp_page_line(struct imp_page *p, const struct imp_block *b, const char *text)
{
	put_margin(p, b, true, *text);
	put(p, b->style, text, strlen(text));
	putc('\n', p->out);
}

void imp_page_heading(struct imp_page *p, const char *title)
{
	imp_page_empty_line(p);
	imp_page_wrap(p, &(struct imp_block){.style = IMP_BOLD}, title);
}

void imp_page_empty_line(struct imp_page *p)
{
	putc('\n', p->out);
}

const char *imp_page_shorten(struct imp_page *p, const char *text, size_t columns)
{
	size_t len = strlen(text), end = 0, width = 0;

	if (columns_of(text, len) <= columns)
		return text;
	while (end < len) {
		char shown[IMP_ESCAPE_SIZE];
		unsigned int one;
		size_t used = imp_escape_next(text + end, len - end, shown, &one);

		if (width + one + 3 > columns)
			break;
		width += one;
		end += used;
	}
	return imp_page_format(p, "%.*s...", (int)end, text);
}
