/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shadowed, seen from a name: "from pkg import name" finds a pkg without it, and another file of pkg, which comes later in
 * the search, defines it. In one directory a package comes before an extension module, and that before a source.
 * An init function asks for names, too, and its error need not say of which module.
 */
#include <ctype.h>
#include <string.h>

#include "../python/module_file.h"
#include "../python/package_name.h"
#include "judge.h"
#include "path_origin.h"

#define SOURCE_MAX (1U << 20) /* bytes */

static bool in_name(char ch)
{
	return isalnum((unsigned char)ch) || ch == '_' || (ch & 0x80);
}

/* Does the line hold @name as a word of its own? */
static bool holds_word(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i + n <= len; i++)
		if (!memcmp(line + i, name, n) && (!i || !in_name(line[i - 1])) &&
		    (i + n == len || !in_name(line[i + n])))
			return true;
	return false;
}

/* "def name(", "class name:", "name = ", "from x import name", at the beginning of a line */
static bool defines(const struct imp_case *c, const char *file, const char *name)
{
	static const char *const words[] = {"def ", "class ", "async def ", "from ", "import "};
	size_t len, n = strlen(name);
	char *text;

	if (imp_host_read(c->host, c->a, file, SOURCE_MAX, &text, &len))
		return false;
	for (const char *line = text; *line; line += len, line += strspn(line, "\r\n")) {
		len = strcspn(line, "\r\n");
		if (len > n && !strncmp(line, name, n) &&
		    (line[n] == ' ' || line[n] == '=' || line[n] == ':'))
			return true;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (imp_starts_with(line, words[i]) &&
			    holds_word(line, i < 3 ? strcspn(line, "(:\r\n") : len, name))
				return true;
	}
	return false;
}

static bool tell(struct imp_case *c, const char *taken, const char *passed, const char *name)
{
	struct imp_finding *f = c->f;

	if (!strcmp(taken, passed) || !defines(c, passed, name))
		return false;
	f->cause = IMP_CAUSE_SHADOWED;
	f->path = taken;
	f->summary = imp_arena_printf(c->a, "%s took the name %s, ahead of %s, and has no %s",
				      taken, f->module, passed, name);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s was imported from %s", f->module, taken);
	imp_finding_evidence(c->a, f, IMP_DERIVED,
			     "%s comes after it, was never reached, and defines %s", passed, name);
	return true;
}

static bool in_directory(struct imp_case *c, const char *dir, const char *tail, const char *taken,
			 const char *name)
{
	const char *stem = imp_path_join(c->a, dir, tail);

	return tell(c, taken, imp_path_join(c->a, stem, "__init__.py"), name) ||
	       tell(c, taken, imp_arena_printf(c->a, "%s.py", stem), name);
}

bool imp_judge_passed_over(struct imp_case *c, const char *taken, const char *name)
{
	const char *dot = strrchr(c->f->module, '.'), *tail = dot ? dot + 1 : c->f->module, *dir;
	const struct imp_sys_path *path = imp_case_sys_path(c);
	bool after = false;

	if (!name || !c->host->enabled || imp_case_stdlib(c, taken))
		return false;
	dir = imp_path_parent(c->a, taken);
	if (!strncmp(imp_path_name(taken), "__init__.", 9))
		dir = imp_path_parent(c->a, dir);
	if (in_directory(c, dir, tail, taken, name))
		return true;
	for (size_t i = 0; !dot && path && i < path->path.n; i++) {
		const char *entry = imp_case_directory(c, path->path.v[i]);

		if (after && in_directory(c, entry, tail, taken, name))
			return true;
		after |= !strcmp(imp_path_normalize(c->a, entry), dir);
	}
	return false;
}

/* The name that an init function did not find, where its error tells no module: Cython's wording, and Python 2's. */
static const char *bare_name(const struct imp_case *c)
{
	static const char *const before[] = {"cannot import name ",
					     "'module' object has no attribute "};
	const char *message = imp_case_text(c->exception->message), *name = NULL;

	for (size_t i = 0; i < 2 && !name && !c->exception->name; i++) {
		name = strstr(message, before[i]);
		name = name ? name + strlen(before[i]) : NULL;
	}
	if (!name)
		return NULL;
	name += *name == '\'';
	return imp_arena_strndup(c->a, name, strcspn(name, "' "));
}

/* The standard library's own file of a module; NULL: none in Python, or not to be seen from here */
static const char *stdlib_source(const struct imp_case *c, const char *module)
{
	const char *stem = imp_path_join(c->a, c->py->stdlib, module);
	const char *const files[] = {imp_arena_printf(c->a, "%s.py", stem),
				     imp_path_join(c->a, stem, "__init__.py")};

	for (size_t i = 0; i < 2; i++)
		if (imp_host_exists(c->host, files[i]) == 1)
			return files[i];
	return NULL;
}

/* Does the file that took the name of a standard module lack @name, as far as can be seen, and that module have it? */
static bool lacks(const struct imp_case *c, const struct imp_attempt *at, const char *name)
{
	const char *own;

	/* A backport, of what this Python's library may have not, is installed; what is in the way is somebody's own. */
	if (!c->host->enabled)
		return at->parent == c->attempt &&
		       !imp_case_has(at->outcome->origin, "/site-packages/") &&
		       !imp_case_has(at->outcome->origin, "/dist-packages/");
	own = stdlib_source(c, at->name);
	return own && defines(c, own, name) && !defines(c, at->outcome->origin, name);
}

/* The import of a file that took the name of the standard module which should have had @name; NULL: none is known */
static const struct imp_attempt *hidden_by(const struct imp_case *c, const char *name)
{
	const struct imp_attempt *found = NULL;

	for (size_t i = c->image->attempts.n; name && i-- > 0;) {
		const struct imp_attempt *at = c->image->attempts.v[i];

		if (!at->ended || at->exception || at->end_ns > c->time_ns ||
		    strchr(at->name, '.') || !at->outcome->origin ||
		    at->outcome->origin[0] != '/' || !imp_package_is_stdlib(at->name, NULL) ||
		    imp_case_stdlib(c, at->outcome->origin) || !lacks(c, at, name))
			continue;
		if (at->parent == c->attempt)
			return at; /* by the init function itself, and the last one before it failed */
		found = found ? found : at;
	}
	return found;
}

bool imp_judge_hidden(struct imp_case *c)
{
	const struct imp_extension_call *ext = c->extension;
	const struct imp_attempt *at;
	struct imp_finding *f = c->f;
	const char *path = f->path;
	bool told = false;

	f->path = NULL; /* the extension's: it is not the file that took a name */
	if (c->py && c->py->stdlib && c->attempt) {
		at = hidden_by(c, bare_name(c));
		told = at ? imp_judge_shadowed_by(c, at->name, at->outcome->origin) :
			    imp_judge_shadowed(c);
	}
	if (!told) {
		f->path = path;
		return false;
	}
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s of %s ended with %s: %s",
			     ext->step == IMP_STEP_EXEC ? "the Py_mod_exec slot" : "PyInit",
			     ext->path, c->exception->type ? c->exception->type : "an exception",
			     imp_case_text(c->exception->message));
	return true;
}
