// SPDX-License-Identifier: GPL-2.0-or-later
#include "python_version.h"

#include <string.h>

#include "module_file.h"

static const char *number(const char *s, int *n)
{
	int digits = 0;

	for (*n = 0; *s >= '0' && *s <= '9' && digits < 4; s++, digits++)
		*n = *n * 10 + (*s - '0');
	return digits ? s : NULL;
}

bool imp_python_version_parse(const char *name, struct imp_python_version *v)
{
	const char *s = name, *rest;

	memset(v, 0, sizeof(*v));
	if (imp_starts_with(s, "python"))
		s += 6;
	else if (imp_starts_with(s, "pypy"))
		s += 4;
	rest = number(s, &v->major);
	if (!rest)
		return false;
	if (*rest == '.') {
		s = number(rest + 1, &v->minor);
		if (s)
			rest = s;
	}
	v->free_threaded = *rest == 't';
	return true;
}

struct imp_python_version imp_python_version_of(const struct imp_interpreter *py)
{
	struct imp_python_version v = {0};

	if (py->version)
		imp_python_version_parse(py->version, &v);
	v.free_threaded = py->abiflags && strchr(py->abiflags, 't');
	return v;
}

const char *imp_python_version_name(const struct imp_python_version *v, struct imp_arena *a)
{
	return imp_arena_printf(a, "python%d.%d%s", v->major, v->minor, v->free_threaded ? "t" : "");
}
