/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "failure_graph.h"

#include <stdlib.h>
#include <string.h>

#include "from_clause.h"
#include "judge.h"
#include "vain_loads.h"

static bool same_exception(const struct imp_exception *a, const struct imp_exception *b)
{
	return a && b && a->id == b->id && !strcmp(imp_case_text(a->type), imp_case_text(b->type)) &&
	       !strcmp(imp_case_text(a->message), imp_case_text(b->message));
}

bool imp_exception_is_import_error(const struct imp_exception *e)
{
	return e && e->type &&
	       (!strcmp(e->type, "ImportError") || !strcmp(e->type, "ModuleNotFoundError"));
}

/* Leaving a program is no failure of an import, even if it happens within one. */
bool imp_exception_is_exit(const struct imp_exception *e)
{
	return e->type && (!strcmp(e->type, "SystemExit") || !strcmp(e->type, "KeyboardInterrupt") ||
			   !strcmp(e->type, "GeneratorExit"));
}

const struct imp_node *imp_node_caught_in(const struct imp_node *n, unsigned int *imports)
{
	for (*imports = 1; n->outer && n->outer->inner == n && *imports < IMP_NESTED_MAX;
	     n = n->outer)
		(*imports)++;
	return n;
}

bool imp_exception_is_accident(const struct imp_exception *e)
{
	static const char *const accidents[] = {
		"KeyError",	     "IndexError",	"AttributeError",    "TypeError",
		"NameError",	     "ValueError",	"ZeroDivisionError", "OSError",
		"FileNotFoundError", "PermissionError", "AssertionError",    "UnboundLocalError",
		"UnicodeDecodeError"};

	for (size_t i = 0; i < sizeof(accidents) / sizeof(accidents[0]); i++)
		if (!strcmp(imp_case_text(e->type), accidents[i]))
			return true;
	return false;
}

/*
 * A program for several systems asks for libx.so, then for libx.dylib or x.dll, and shows the last error: here the first
 * name is the one that counts.
 */
static const struct imp_dlopen *by_its_name_here(const struct imp_graph *s, size_t last)
{
	const struct imp_dlopen *d = s->image->dlopens.v[last];
	const char *stem;

	if (!d->name || !imp_load_is_foreign_name(d->name))
		return d;
	stem = imp_load_stem(&s->d->arena, d->name);
	for (size_t i = last; i-- > 0;) {
		const struct imp_dlopen *x = s->image->dlopens.v[i];

		if (x->error && x->ended && x->name && x->thread == d->thread &&
		    !imp_load_is_foreign_name(x->name) &&
		    !strcmp(imp_load_stem(&s->d->arena, x->name), stem))
			return x;
	}
	return d;
}

/*
 * The dlopen of a program's own (ctypes, cffi) that an exception speaks of: ctypes passes dlerror()'s text on,
 * cffi puts it into its own.
 */
const struct imp_dlopen *imp_graph_own_load(const struct imp_graph *s,
					    const struct imp_exception *e, uint64_t before)
{
	if (!e || !e->message || !e->type || strcmp(e->type, "OSError"))
		return NULL;
	for (size_t i = s->image->dlopens.n; i-- > 0;) {
		const struct imp_dlopen *d = s->image->dlopens.v[i];

		if (d->error && d->ended && d->end_ns <= before && strlen(d->error) > 8 &&
		    strstr(e->message, d->error))
			return by_its_name_here(s, i);
	}
	return NULL;
}

/* Did it end with this? What C code raised may be no object yet: then nothing numbers it. */
static bool raised(const struct imp_extension_call *ext, const struct imp_exception *e)
{
	const struct imp_exception *own = ext->exception;

	return own && (!own->id || own->id == e->id) &&
	       !strcmp(imp_case_text(own->type), imp_case_text(e->type)) &&
	       !strcmp(imp_case_text(own->message), imp_case_text(e->message));
}

/*
 * An extension that a program loads by itself (spec_from_file_location() and module_from_spec(), as loaders of plugins
 * and torch's cpp_extension do): no import asks for it.
 */
const struct imp_extension_call *imp_graph_own_extension(const struct imp_graph *s,
							 const struct imp_exception *e)
{
	for (size_t i = s->image->extensions.n; e && i-- > 0;)
		if (!s->image->extensions.v[i]->attempt && raised(s->image->extensions.v[i], e))
			return s->image->extensions.v[i];
	return NULL;
}

struct imp_node *imp_node_new(struct imp_graph *s, const struct imp_attempt *at,
			      const struct imp_exception *e, uint64_t thread, uint64_t interp,
			      uint64_t time_ns)
{
	struct imp_arena *a = &s->d->arena;
	struct imp_node *n = imp_arena_alloc(a, sizeof(*n));

	n->c.a = a;
	n->c.record = s->d->record;
	n->c.host = s->host;
	n->c.image = s->image;
	n->c.memos = &s->d->memos;
	n->c.code_places = &s->d->code_places;
	n->c.py = imp_record_interpreter(s->image, interp);
	n->c.attempt = at;
	n->c.exception = e;
	n->c.snapshot = at ? at->outcome->snapshot : NULL;
	n->c.load = imp_graph_own_load(s, e, time_ns);
	n->c.time_ns = time_ns;
	n->c.thread = thread;
	n->c.extension = at ? NULL : imp_graph_own_extension(s, e);
	if (at)
		n->c.module = at->name;
	else if (n->c.extension && n->c.extension->name)
		n->c.module = n->c.extension->name;
	else if (e)
		n->c.module = e->name && *e->name ? e->name : imp_from_clause_module(&n->c);
	if (!n->c.module && e)
		n->c.module = imp_judge_runpy_module(&n->c);
	if (!n->c.module)
		n->c.module = ""; /* imp_judge() makes it NULL in the finding */
	return n;
}

static int compare_address(const void *a, const void *b)
{
	const struct imp_node *const *x = a, *const *y = b;

	return (x[0]->c.attempt > y[0]->c.attempt) - (x[0]->c.attempt < y[0]->c.attempt);
}

static int compare_end(const void *a, const void *b)
{
	const struct imp_node *const *x = a, *const *y = b;

	return (x[0]->c.time_ns > y[0]->c.time_ns) - (x[0]->c.time_ns < y[0]->c.time_ns);
}

struct imp_node *imp_graph_node(const struct imp_graph *s, const struct imp_attempt *at)
{
	size_t low = 0, high = s->nodes.n;

	while (at && low < high) {
		size_t mid = (low + high) / 2;

		if (s->by_attempt[mid]->c.attempt == at)
			return s->by_attempt[mid];
		if (s->by_attempt[mid]->c.attempt < at)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

void imp_graph_collect(struct imp_graph *s)
{
	struct imp_arena *a = &s->d->arena;

	for (size_t i = 0; i < s->image->attempts.n; i++) {
		const struct imp_attempt *at = s->image->attempts.v[i];

		if (at->ended && at->exception)
			*imp_vec_push(a, &s->nodes) = imp_node_new(s, at, at->exception, at->thread,
								   at->interp, at->end_ns);
	}
	if (!s->nodes.n)
		return;
	qsort(s->nodes.v, s->nodes.n, sizeof(*s->nodes.v), compare_end);
	s->by_attempt = imp_arena_alloc(a, s->nodes.n * sizeof(*s->by_attempt));
	memcpy(s->by_attempt, s->nodes.v, s->nodes.n * sizeof(*s->by_attempt));
	qsort(s->by_attempt, s->nodes.n, sizeof(*s->by_attempt), compare_address);
	for (size_t i = 0; i < s->nodes.n; i++) {
		struct imp_node *n = s->nodes.v[i];

		n->outer = imp_graph_node(s, n->c.attempt->parent);
		if (n->outer && same_exception(n->c.exception, n->outer->c.exception))
			n->outer->inner = n; /* by end time: the last one stays */
	}
	for (size_t i = 0; i < s->image->extensions.n; i++) {
		struct imp_extension_call *ext = s->image->extensions.v[i];
		struct imp_node *n = ext->exception ? imp_graph_node(s, ext->attempt) : NULL;

		/* Another name than that of the import: the code of the module loads it by itself, and may catch this. */
		if (!n || (ext->name && strcmp(ext->name, n->c.attempt->name) &&
			   !raised(ext, n->c.exception)))
			continue;
		n->c.extension = ext;
		if (ext->name)
			n->c.module = ext->name;
	}
}

void imp_node_judge(struct imp_node *n)
{
	if (n->judged)
		return;
	n->judged = true;
	n->c.f = imp_arena_alloc(n->c.a, sizeof(*n->c.f));
	imp_judge(&n->c);
}

/* The last failed attempt that ended before @before with this exception: its outermost one. */
struct imp_node *imp_graph_find(const struct imp_graph *s, const struct imp_exception *e,
				uint64_t before)
{
	for (size_t i = s->nodes.n; i-- > 0;) {
		struct imp_node *n = s->nodes.v[i];

		if (n->c.time_ns <= before && same_exception(n->c.exception, e))
			return n;
	}
	return NULL;
}
