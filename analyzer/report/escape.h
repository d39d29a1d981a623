/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_REPORT_ESCAPE_H
#define IMP_REPORT_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

#include "../base/arena.h"

/*
 * What a trace holds is shown on somebody's terminal, and a file name may hold anything. So every
 * character that would do something there rather than be seen is written out:
 *   \xNN        C0 control characters, DEL, and each byte that is not part of a character
 *   \uNNNN      C1, marks that turn the direction of text, lone surrogates, and all that has no shape
 *   \UNNNNNNNN  of its own: zero-width spaces, line separators, tags, noncharacters
 * imp_utf8_is_plain() decides. Newline and tab are control characters like any other. The backslash is
 * left as it is, so that a command can be copied.
 */
#define IMP_ESCAPE_SIZE 16 /* bytes for one character as it is shown, with its NUL */

/*
 * imp_escape_next - how the character at the start of @s is shown
 * @s, @len: bytes, @len > 0; not NUL-terminated
 * @out:     its printable form, NUL-terminated
 * @columns: columns that @out takes on a terminal (0, 1, 2, or the length of the escape); may be NULL
 * Returns how many bytes of @s were used, 1 to 4.
 * Source: RFC 3629; UAX #9 (bidirectional marks); UAX #11 (wide characters).
 */
size_t imp_escape_next(const char *s, size_t len, char out[IMP_ESCAPE_SIZE], unsigned int *columns);

/* imp_escape - all of @s (NULL: "") in its printable form, in the arena */
char *imp_escape(struct imp_arena *a, const char *s);
char *imp_escape_n(struct imp_arena *a, const char *s, size_t len);

/* imp_escape_write - print @len bytes of @s in their printable form */
void imp_escape_write(FILE *out, const char *s, size_t len);

/* imp_escape_columns - columns that @s takes once it is escaped (escaped text is not changed again) */
size_t imp_escape_columns(const char *s);

#endif
