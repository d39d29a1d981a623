// SPDX-License-Identifier: GPL-2.0-or-later
#include "csv_record.h"

#include <string.h>

#define LINE_MAX_BYTES 4096

/* Length of the row that starts at @s, without its line break: one inside quotes belongs to it. */
static size_t row_length(const char *s, size_t len)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < len; i++) {
		if (s[i] == '"')
			quoted = !quoted;
		else if (!quoted && (s[i] == '\n' || s[i] == '\r'))
			break;
	}
	return i;
}

bool imp_csv_next(struct imp_csv *csv, struct imp_csv_row *row)
{
	while (csv->off < csv->len && (csv->data[csv->off] == '\n' || csv->data[csv->off] == '\r'))
		csv->off++;
	if (csv->off >= csv->len)
		return false;
	row->s = csv->data + csv->off;
	row->len = row_length(row->s, csv->len - csv->off);
	csv->off += row->len;
	return true;
}

const char *imp_csv_path(const struct imp_csv_row *row, struct imp_arena *a)
{
	const char *s = row->s, *comma;
	size_t i, n = 0;
	char *out;

	if (!row->len || s[0] != '"') {
		comma = memchr(s, ',', row->len);
		return imp_arena_strndup(a, s, comma ? (size_t)(comma - s) : row->len);
	}
	out = imp_arena_alloc(a, row->len + 1);
	for (i = 1; i < row->len; i++) {
		if (s[i] == '"') {
			if (i + 1 >= row->len || s[i + 1] != '"')
				break;
			i++; /* "" stands for one quote */
		}
		out[n++] = s[i];
	}
	return out;
}

const char *imp_csv_line(const struct imp_csv_row *row, struct imp_arena *a)
{
	return imp_arena_strndup(a, row->s, row->len < LINE_MAX_BYTES ? row->len : LINE_MAX_BYTES);
}
