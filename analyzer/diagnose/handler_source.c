/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "handler_source.h"

#include <string.h>

#define SOURCE_MAX (4 * 1024 * 1024)	/* bytes of a source file that is looked into */
#define BLOCK_MAX  100			/* lines between the import and the end of its handler */

static bool blank(const char *line)
{
	line += strspn(line, " \t");
	return !*line || *line == '\n' || *line == '\r' || *line == '#';
}

static bool leaves(const char *line)
{
	size_t len = strcspn(line, "\n");

	return memmem(line, len, "SystemExit", 10) || memmem(line, len, "exit(", 5) ||
	       memmem(line, len, "quit(", 5);
}

bool imp_handler_leaves(const struct imp_case *c)
{
	const struct imp_frame *asker = &c->attempt->frame;
	size_t import_indent, except_indent = 0, len;
	bool in_handler = false;
	char *p;

	if (!asker->file || !asker->line || imp_host_read(c->host, c->a, asker->file, SOURCE_MAX, &p, &len))
		return false;
	for (unsigned int line = 1; line < asker->line && p; line++) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return false;
	import_indent = strspn(p, " \t");
	for (int n = 0; n < BLOCK_MAX; n++) {
		size_t indent;

		p = strchr(p, '\n');
		if (!p)
			return false;
		if (blank(++p))
			continue;
		indent = strspn(p, " \t");
		if (in_handler) {
			if (indent <= except_indent)
				return false;
			if (leaves(p))
				return true;
		} else if (indent < import_indent) {
			if (strncmp(p + indent, "except", 6))
				return false;
			/* "except ImportError: exit(1)", on one line */
			if (leaves(p))
				return true;
			in_handler = true;
			except_indent = indent;
		}
	}
	return false;
}
