/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../report/escape.h"

/* No memory is asked for: that there is none may be what is to be said. */
void imp_say(const char *format, ...)
{
	char line[IMP_SAY_MAX], shown[IMP_SAY_MAX + IMP_ESCAPE_SIZE];
	size_t len, from = 0, to = 0;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	len = strlen(line);
	while (from < len && to < IMP_SAY_MAX - 1) {
		from += imp_escape_next(line + from, len - from, shown + to, NULL);
		to += strlen(shown + to);
	}
	shown[to++] = '\n';
	/* At once, or else the line may be torn where others write there. */
	fwrite(shown, 1, to, stderr);
}
