/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_REMARK_H
#define IMP_PRELOAD_REMARK_H

#include <stddef.h>

/*
 * The one line that a process may write on stderr, where its trace can't tell what is wrong. It begins
 * with "imptrace: "; bytes that are not printable ASCII become '?'.
 */
struct imp_remark {
	size_t len;
	char text[640];
};

void imp_remark_begin(struct imp_remark *r);
void imp_remark_add(struct imp_remark *r, const char *text);
/* @err: a negative errno; its name in plain English, whatever the locale */
void imp_remark_add_error(struct imp_remark *r, int err);

/*
 * imp_remark_write - write the line to descriptor 2
 *
 * Does not wait for a reader, and raises neither SIGPIPE nor SIGXFSZ: where the line can't be written at
 * once it is dropped. Async-signal-safe; keeps errno.
 */
void imp_remark_write(struct imp_remark *r);

#endif
