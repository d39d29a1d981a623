/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int imp_error_set(struct imp_error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->msg, sizeof(err->msg), format, args);
	va_end(args);
	return code;
}

int imp_error_wrap(struct imp_error *err, const char *format, ...)
{
	char old[sizeof(err->msg)];
	va_list args;
	size_t len;
	int n;

	if (!err)
		return 0;
	memcpy(old, err->msg, sizeof(old));
	va_start(args, format);
	n = vsnprintf(err->msg, sizeof(err->msg), format, args);
	va_end(args);
	if (n < 0)
		n = 0;
	len = (size_t)n < sizeof(err->msg) ? (size_t)n : sizeof(err->msg) - 1;
	/* What does not fit is cut at its end: the outer words say where to look. */
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %.*s", (int)(sizeof(err->msg) - len),
		 old);
	return err->code;
}
