/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A module that was used while it was still being imported. */
#include <string.h>

#include "from_clause.h"
#include "judge.h"

#define TOO_DEEP  "recursion depth exceeded" /* of RecursionError, and of Python 2's RuntimeError */
#define CYCLE_MAX 64			     /* modules of one circle */

/* The frames of a cycle: from the module's own import down to where it was asked for something. */
static void say_cycle(struct imp_case *c, const struct imp_attempt *first)
{
	const struct imp_attempt *down[CYCLE_MAX];
	const char *cycle;
	size_t n = 0;

	for (const struct imp_attempt *at = c->attempt; at && n < CYCLE_MAX; at = at->parent) {
		down[n++] = at;
		if (at == first)
			break;
	}
	if (!n)
		return;
	cycle = down[n - 1]->name;
	for (size_t i = n - 1; i-- > 0;)
		cycle = imp_arena_printf(c->a, "%s -> %s", cycle, down[i]->name);
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the cycle: %s -> %s", cycle, first->name);
	for (size_t i = n; i-- > 0;)
		if (down[i]->frame->file)
			imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "%s is imported at %s:%u",
					     down[i]->name, down[i]->frame->file,
					     down[i]->frame->line);
}

/*
 * Two extensions whose init functions import each other: sys.modules has neither of them until its init function returns,
 * so each import begins anew, until the stack is full. The import that began anew (@again), and the one around it of the
 * same name; NULL: none.
 */
static const struct imp_attempt *endless(const struct imp_case *c, const struct imp_attempt **again)
{
	int near = 0;

	if (!imp_case_has(c->exception->message, TOO_DEEP))
		return NULL;
	for (*again = c->attempt; *again && near < CYCLE_MAX; *again = (*again)->parent, near++) {
		const struct imp_attempt *at = (*again)->parent;

		for (int n = 0; at && n < CYCLE_MAX; at = at->parent, n++)
			if (!strcmp(at->name, (*again)->name))
				return at;
	}
	return NULL;
}

static bool judge_endless(struct imp_case *c)
{
	const struct imp_attempt *again, *first = endless(c, &again);
	struct imp_finding *f = c->f;
	struct imp_case around = *c;

	if (!first)
		return false;
	f->cause = IMP_CAUSE_CIRCULAR_IMPORT;
	f->module = first->name;
	f->path = NULL;
	for (size_t i = 0; !f->path && i < c->image->extensions.n; i++)
		if (c->image->extensions.v[i]->attempt == first)
			f->path = c->image->extensions.v[i]->path;
	f->summary = imp_arena_printf(
		c->a,
		"the import of %s asked for %s again before it had come up, without end: the imports form a circle",
		first->name, first->name);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "it ended with %s: %s",
			     c->exception->type ? c->exception->type : "an exception",
			     c->exception->message);
	if (f->path)
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"an extension is in sys.modules only after its init function has returned: what that imports does not find it there");
	around.attempt = again->parent;
	say_cycle(&around, first);
	return true;
}

bool imp_judge_circular(struct imp_case *c)
{
	const struct imp_exception *e = c->exception;
	const char *module = NULL, *message = e->message ? e->message : "";
	const struct imp_attempt *at;
	struct imp_finding *f = c->f;
	bool says;

	if (judge_endless(c))
		return true;
	says = imp_case_has(message, "partially initialized module");
	if (says)
		module = imp_case_quoted(c, message, "partially initialized module ");
	else if (imp_case_has(message, "cannot import name"))
		module = imp_from_clause_module(c);
	else if (e->type && !strcmp(e->type, "AttributeError") && !strncmp(message, "module '", 8))
		module = imp_case_quoted(c, message, NULL);
	if (!module)
		return false;
	/*
	 * At the top of the program the attempts have all ended: the cycle was under way when the
	 * exception left the innermost of them.
	 */
	at = imp_case_in_progress(c, module);
	for (const struct imp_attempt *p = c->attempt; p && !at; p = p->parent)
		if (!strcmp(p->name, module))
			at = p;
	if (!at && !says)
		return false;
	if (at && !c->attempt)
		return false;
	f->cause = IMP_CAUSE_CIRCULAR_IMPORT;
	f->module = module;
	f->path = e->path;
	for (size_t i = 0; !f->path && i < c->image->attempts.n; i++)
		if (c->image->attempts.v[i]->frame->module &&
		    !strcmp(c->image->attempts.v[i]->frame->module, module))
			f->path = c->image->attempts.v[i]->frame->file;
	f->summary = imp_arena_printf(
		c->a, "%s was used while it was still being imported: the imports form a circle",
		module);
	if (c->extension)
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "the init function of %s ended with: %s",
				     c->extension->path, message);
	if (at)
		say_cycle(c, at);
	return true;
}
