/* SPDX-License-Identifier: GPL-2.0-or-later */
/* missing-init-function: the file was loaded, and has no function of the name that CPython asks for. */
#include <string.h>

#include "../python/module_file.h"
#include "judge.h"

/*
 * The function that was looked for. It is not the module's name alone: a '-' becomes '_', and a name that is not ASCII
 * is written in punycode (PEP 489). The message tells it: "... does not define module export function (PyInit_x)".
 */
static const char *init_name(const struct imp_case *c)
{
	const char *open = strstr(imp_case_text(c->exception->message), "function (");
	size_t len;

	open = open ? strchr(open, '(') + 1 : "";
	len = strcspn(open, ")");
	return len && open[len] ? imp_arena_strndup(c->a, open, len) :
				  imp_arena_printf(c->a, "PyInit_%s", imp_case_tail(c));
}

static void say_encoding(struct imp_case *c, const char *name)
{
	const char *tail = imp_case_tail(c);

	if (imp_starts_with(name, "PyInitU_"))
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"%s is not ASCII: the name of its init function is PyInitU_, and then the name in punycode with _ for - (PEP 489)",
			tail);
	else if (strchr(tail, '-'))
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"the name of its init function has _ where %s has -, which no name in C can have",
			tail);
}

bool imp_judge_missing_init(struct imp_case *c)
{
	const struct imp_extension_call *ext = c->extension;
	const char *name;

	if (!imp_case_has(c->exception->message, "does not define module export function") &&
	    !imp_case_has(c->exception->message, "does not define init function"))
		return false;
	name = init_name(c);
	c->f->cause = IMP_CAUSE_MISSING_INIT_FUNCTION;
	c->f->summary = imp_arena_printf(c->a, "%s was loaded, but it has no function %s",
					 imp_case_text(ext->path), name);
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
			     "dlopen succeeded; the symbol %s is not in it", name);
	say_encoding(c, name);
	if (ext->path)
		imp_judge_init_functions(c, ext->path, name);
	return true;
}
