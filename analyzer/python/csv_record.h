/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PYTHON_CSV_RECORD_H
#define IMP_PYTHON_CSV_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/arena.h"

/*
 * A reader of RECORD (PEP 376, PEP 427): csv as Python's csv module writes it by default. The first
 * field of a row is the file's path; quoted where it holds a comma, a quote or a line break.
 */
struct imp_csv {
	const char *data; /* borrowed */
	size_t len, off;
};

struct imp_csv_row {
	const char *s; /* the row as it stands there, without its line break; borrowed */
	size_t len;
};

/*
 * imp_csv_next - the next row; false at the end. Any bytes are taken; an open quote ends with the
 * data.
 */
bool imp_csv_next(struct imp_csv *csv, struct imp_csv_row *row);

/* imp_csv_path - the first field of a row, unquoted; imp_csv_line - the row, cut to 4096 bytes */
const char *imp_csv_path(const struct imp_csv_row *row, struct imp_arena *a);
const char *imp_csv_line(const struct imp_csv_row *row, struct imp_arena *a);

#endif
