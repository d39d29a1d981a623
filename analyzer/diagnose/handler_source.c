/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "handler_source.h"

#include <string.h>

#define SOURCE_MAX (4 * 1024 * 1024) /* bytes of a source file that is looked into */
#define BLOCK_MAX  100		     /* lines between the import and the end of its handler */

static bool blank(const char *line)
{
	line += strspn(line, " \t");
	return !*line || *line == '\n' || *line == '\r' || *line == '#';
}

/* Does a statement leave the program, whatever happens? */
static bool leaves(const char *statement)
{
	static const char *const ways[] = {"raise SystemExit", "sys.exit(", "exit(", "quit(",
					   "os._exit(",	       "_exit("};

	statement += strspn(statement, " \t");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strncmp(statement, ways[i], strlen(ways[i])))
			return true;
	return false;
}

/* "except ImportError: exit(1)": what stands behind the colon; NULL: nothing. */
static const char *behind_colon(const char *line)
{
	const char *colon = memchr(line, ':', strcspn(line, "\n"));

	return colon && !blank(colon + 1) ? colon + 1 : NULL;
}

static const char *line_at(char *p, unsigned int number)
{
	for (unsigned int line = 1; line < number && p; line++) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	return p;
}

static void note(enum imp_handler *seen, const char *statement)
{
	if (leaves(statement))
		*seen = IMP_HANDLER_LEAVES;
	else if (!strncmp(statement + strspn(statement, " \t"), "raise", 5) &&
		 *seen != IMP_HANDLER_LEAVES)
		*seen = IMP_HANDLER_RAISES;
}

enum imp_handler imp_handler_look(const struct imp_case *c)
{
	const struct imp_frame *asker = c->attempt->frame;
	size_t import_indent, except_indent = 0, body_indent = 0, len;
	enum imp_handler seen = IMP_HANDLER_SWALLOWS;
	bool in_handler = false;
	const char *p;
	char *data;

	if (!asker->file || !asker->line ||
	    imp_host_read(c->host, c->a, asker->file, SOURCE_MAX, &data, &len))
		return IMP_HANDLER_NONE;
	p = line_at(data, asker->line);
	if (!p)
		return IMP_HANDLER_NONE;
	import_indent = strspn(p, " \t");
	for (int n = 0; n < BLOCK_MAX; n++) {
		size_t indent;
		bool clause;

		p = strchr(p, '\n');
		if (!p)
			break;
		if (blank(++p))
			continue;
		indent = strspn(p, " \t");
		clause = !strncmp(p + indent, "except", 6);
		if (in_handler ? indent <= except_indent : indent < import_indent) {
			if (!clause || (in_handler && indent < except_indent))
				break;
			if (behind_colon(p))
				note(&seen, behind_colon(p));
			in_handler = true;
			except_indent = indent;
			body_indent = 0;
		} else if (in_handler) {
			/* Only what stands in the handler itself: in a branch of it, it may not have run. */
			if (!body_indent)
				body_indent = indent;
			if (indent == body_indent)
				note(&seen, p);
		}
	}
	return in_handler ? seen : IMP_HANDLER_NONE;
}
