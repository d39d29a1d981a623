/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "from_clause.h"

#include <ctype.h>
#include <string.h>

#define SOURCE_MAX (4 * 1024 * 1024) /* bytes of a source file that is looked into */

static const char *line_of(const struct imp_case *c, const struct imp_frame *where)
{
	unsigned int line = 1;
	char *data, *end;
	size_t len;

	if (!where->file || !where->line ||
	    imp_host_read(c->host, c->a, where->file, SOURCE_MAX, &data, &len))
		return NULL;
	for (; line < where->line && data; line++) {
		data = strchr(data, '\n');
		if (data)
			data++;
	}
	if (!data)
		return NULL;
	end = strchr(data, '\n');
	if (end)
		*end = '\0';
	return data;
}

/* "." and "..x" are relative to the package of the module that the line stands in. */
static const char *absolute(const struct imp_case *c, const struct imp_frame *where,
			    const char *name)
{
	size_t dots = strspn(name, "."), len;
	const char *base;
	bool package;

	if (!dots)
		return name;
	if (!where->module)
		return NULL;
	base = strrchr(where->file, '/');
	package = !strncmp(base ? base + 1 : where->file, "__init__.", 9);
	len = strlen(where->module);
	for (size_t up = package ? dots - 1 : dots; up; up--) {
		while (len && where->module[len - 1] != '.')
			len--;
		if (!len)
			return NULL;
		len--;
	}
	return imp_arena_printf(c->a, "%.*s%s%s", (int)len, where->module, name[dots] ? "." : "",
				name + dots);
}

/* "from pkg import *", where __all__ names what is not there, fails with an AttributeError. */
static bool is_star(const struct imp_case *c)
{
	const struct imp_exception *e = c->exception;

	return e->type && !strcmp(e->type, "AttributeError") &&
	       imp_case_has(e->message, "has no attribute") &&
	       imp_case_has(line_of(c, &e->where), "import *");
}

const char *imp_from_clause_module(const struct imp_case *c)
{
	const struct imp_exception *e = c->exception;
	const char *line;
	size_t len;

	if (!e)
		return NULL;
	if (!imp_case_has(e->message, "cannot import name"))
		return is_star(c) ? imp_case_quoted(c, e->message, "module ") : NULL;
	if (e->name)
		return e->name;
	line = line_of(c, &e->where);
	if (!line)
		return NULL;
	line += strspn(line, " \t");
	if (strncmp(line, "from", 4) || !isspace((unsigned char)line[4]))
		return NULL;
	line += 4 + strspn(line + 4, " \t");
	len = strcspn(line, " \t");
	return len ? absolute(c, &e->where, imp_arena_strndup(c->a, line, len)) : NULL;
}

const char *imp_from_clause_name(const struct imp_case *c)
{
	const struct imp_exception *e = c->exception;

	if (!e)
		return NULL;
	if (imp_case_has(e->message, "cannot import name"))
		return e->name_from ? e->name_from :
				      imp_case_quoted(c, e->message, "cannot import name");
	return is_star(c) ? imp_case_quoted(c, e->message, "has no attribute ") : NULL;
}
