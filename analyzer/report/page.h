/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_REPORT_PAGE_H
#define IMP_REPORT_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "../base/arena.h"

/*
 * Lines for a terminal: wrapped at its width, coloured where that is wanted. Everything that is given to
 * these functions is escaped (escape.h), so that the only control characters that reach the terminal are the
 * newlines and colours from here.
 */
enum imp_style { IMP_PLAIN, IMP_BOLD, IMP_DIM, IMP_RED, IMP_GREEN, IMP_YELLOW };

struct imp_page {
	FILE *out;
	size_t columns;
	bool color;
	struct imp_arena arena; /* of the texts that are made up on the way */
};

#define IMP_PAGE_COLUMNS_MIN 40
#define IMP_PAGE_COLUMNS_MAX 100 /* longer lines of prose are hard to read */

struct imp_block { /* how a paragraph is set */
	enum imp_style style;
	const char *first; /* before the first line: the indentation, perhaps a label; NULL: "" */
	enum imp_style first_style;
	const char *rest; /* before each further line; NULL: as many spaces as @first is wide */
};

/* imp_page_init - @columns as the terminal says, 80 where it is 0; brought into the bounds above */
void imp_page_init(struct imp_page *p, FILE *out, int columns, bool color);
void imp_page_clear(struct imp_page *p);

/* imp_page_format - text in the page's arena */
const char *imp_page_format(struct imp_page *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * imp_page_wrap - print a paragraph
 * Lines are broken at spaces alone: a word that is wider than the page, such as a path, stays whole
 * on a line of its own, so that it can be copied.
 */
void imp_page_wrap(struct imp_page *p, const struct imp_block *b, const char *text);

/* imp_page_line - print one line that is never broken */
void imp_page_line(struct imp_page *p, const struct imp_block *b, const char *text);

/* imp_page_heading - an empty line, and the title of a section */
void imp_page_heading(struct imp_page *p, const char *title);

void imp_page_empty_line(struct imp_page *p);

/*
 * imp_page_shorten - @text, cut in the end where it is wider than @columns
 * Returns @text itself, or a copy in the page's arena that ends in "...".
 */
const char *imp_page_shorten(struct imp_page *p, const char *text, size_t columns);

#endif
