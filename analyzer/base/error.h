/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BASE_ERROR_H
#define IMP_BASE_ERROR_H

/*
 * An error with its sentence. The caller owns it; nothing is allocated. The place that fails sets it,
 * each caller that knows more wraps it: "reading frame 3 of trace.zst: ...".
 */
struct imp_error {
	int code; /* negative errno; 0: none */
	char msg[512];
};

/*
 * imp_error_set - fill @err (may be NULL) and return @code, a negative errno
 */
int imp_error_set(struct imp_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* imp_error_wrap - put "prefix: " before the message; returns the code */
int imp_error_wrap(struct imp_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
