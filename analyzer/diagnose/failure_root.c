/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From what the user saw down to what began it. */
#include <string.h>

#include "../python/package_name.h"
#include "failure_graph.h"
#include "fallback_source.h"
#include "from_clause.h"
#include "judge.h"

#define QUOTE_MIN  16 /* letters of an error's text that another one repeats */
#define DEPTH_MAX  32 /* of exceptions followed to a root */
#define CAUGHT_MAX 16 /* caught failures whose source is looked into, for one error */
#define SOURCE_MAX (4 * 1024 * 1024) /* bytes of a package's source that is looked into */

static bool word_in(const char *haystack, const char *word)
{
	return word && strlen(word) >= 3 && imp_case_has_word(haystack, word);
}

/* Does an error hold all of another one's text? A few letters may be there by chance. */
static bool quotes(const struct imp_exception *e, const struct imp_exception *other)
{
	return other && other->message && strlen(other->message) >= QUOTE_MIN &&
	       imp_case_has(e->message, other->message);
}

/*
 * Does an error's own text speak of a module that could not be imported before? By its name, or by the words with which
 * it failed: an error that comes out of a subinterpreter has nothing else.
 */
static bool mentions(struct imp_arena *a, const struct imp_exception *e, const struct imp_node *n)
{
	const char *top = imp_case_top(&n->c);

	if (!e)
		return false;
	return quotes(e, n->c.exception) || word_in(e->message, n->c.module) ||
	       word_in(e->message, top) || word_in(e->message, imp_case_tail(&n->c)) ||
	       word_in(e->message, imp_package_pypi_name(a, n->c.module));
}

static bool broken(struct imp_node *n)
{
	imp_node_judge(n);
	return !n->c.f->optional && n->c.f->cause != IMP_CAUSE_UNKNOWN;
}

/*
 * May it explain an error that does not speak of it? A module that was blocked on purpose is one that the code can do
 * without, as one that is not installed: defusedxml blocks _elementtree for the length of one import.
 */
static bool may_explain(struct imp_node *n)
{
	return broken(n) && n->c.f->cause != IMP_CAUSE_BLOCKED;
}

/*
 * An extension that may be initialized once a process: the second attempt is refused, and what the
 * user sees is that refusal. The first attempt tells why.
 */
static struct imp_node *first_initialization(const struct imp_graph *s, const struct imp_node *n)
{
	const struct imp_extension_call *ext = n->c.extension;

	if (!imp_judge_refusal(n->c.exception->message))
		return NULL;
	for (size_t i = 0; ext && i < s->image->extensions.n; i++) {
		const struct imp_extension_call *e = s->image->extensions.v[i];
		struct imp_node *first;

		if (e == ext || e->begin_ns >= ext->begin_ns)
			continue;
		if (!e->exception || strcmp(imp_case_text(e->path), imp_case_text(ext->path)))
			continue;
		first = imp_graph_node(s, e->attempt);
		if (first && first != n)
			return first;
	}
	return NULL;
}

static bool inside(const struct imp_node *n, const struct imp_node *outer)
{
	const struct imp_attempt *at = n->c.attempt->parent;

	for (int depth = 0; at && depth < 1000; depth++, at = at->parent)
		if (at == outer->c.attempt)
			return true;
	return false;
}

/* What was tried for "from PACKAGE import NAME", and failed: PACKAGE.NAME as a module. */
static struct imp_node *submodule_asked(struct imp_graph *s, const struct imp_node *n)
{
	const char *package = imp_from_clause_module(&n->c), *name = imp_from_clause_name(&n->c);
	const struct imp_frame *where = &n->c.exception->where;
	const char *full = package && name ? imp_arena_printf(n->c.a, "%s.%s", package, name) : NULL;

	for (size_t i = s->nodes.n; name && i-- > 0;) {
		struct imp_node *m = s->nodes.v[i];
		const struct imp_frame *asker = m->c.attempt->frame;

		if (m->c.time_ns > n->c.time_ns || m->c.thread != n->c.thread)
			continue;
		if (full && !strcmp(m->c.module, full))
			return m;
		if (strcmp(imp_case_tail(&m->c), name))
			continue;
		/* Before 3.7 the exception does not name the package; the place is the same. */
		if (!full && where->file && asker->file && asker->line == where->line &&
		    !strcmp(asker->file, where->file))
			return m;
		/* six.moves and its like import the real module when the name is asked of them. */
		if (n->c.attempt && inside(m, n) && !strcmp(m->c.module, name))
			return m;
	}
	return NULL;
}

/*
 * "from . import _native", in a package that has no such part: CPython says "most likely due to a circular import",
 * since the package is still being imported. It is none if the package asks itself, or never mentions the name.
 */
static bool part_is_missing(struct imp_node *n)
{
	const char *package = imp_from_clause_module(&n->c), *name = imp_from_clause_name(&n->c);
	const struct imp_exception *e = n->c.exception;
	char *text;
	size_t len;

	imp_node_judge(n);
	if (!package || !name ||
	    (n->c.f->cause != IMP_CAUSE_CIRCULAR_IMPORT &&
	     (n->c.f->cause != IMP_CAUSE_MISSING_ATTRIBUTE ||
	      !imp_case_has(e->message, "partially initialized module"))))
		return false;
	if (e->where.module && !strcmp(e->where.module, package))
		return true;
	if (!e->path || imp_host_read(n->c.host, n->c.a, e->path, SOURCE_MAX, &text, &len))
		return name[0] == '_' &&
		       name[1] != '_'; /* what modules in C are called, and seldom anything else */
	return !strstr(text, name) && !strstr(text, "import *");
}

/* An init function that gives no reason of its own: PyErr_Clear() and NULL, or a Rust panic that the API's failure set off. */
static bool says_nothing(const struct imp_node *n)
{
	const struct imp_exception *e = n->c.exception;

	return n->c.extension && (imp_case_has(e->type, "PanicException") ||
				  imp_case_has(e->message, "failed without raising an exception") ||
				  imp_case_has(e->message, "failed without setting an exception") ||
				  imp_case_has(e->message, "raised unreported exception"));
}

/* Was it the last thing that the import of @n did? */
static bool last_within(const struct imp_graph *s, const struct imp_node *m,
			const struct imp_node *n)
{
	for (size_t i = s->image->attempts.n; i-- > 0;) {
		const struct imp_attempt *at = s->image->attempts.v[i];

		if (at->begin_ns < m->c.time_ns)
			return true;
		if (at->thread == n->c.thread && at->begin_ns < n->c.time_ns)
			return false;
	}
	return true;
}

/*
 * The same of an error that nothing joins to that failure but its text. The name of the whole package is no proof, unless
 * the package itself could not be imported: it may speak of anything in it.
 */
static bool speaks_of(struct imp_arena *a, const struct imp_exception *e, const struct imp_node *n)
{
	unsigned int imports;
	const struct imp_node *outermost = imp_node_caught_in(n, &imports);

	return !strcmp(outermost->c.module, imp_case_top(&n->c)) ?
		       mentions(a, e, n) :
		       quotes(e, n->c.exception) || word_in(e->message, n->c.module) ||
			       word_in(e->message, imp_case_tail(&n->c));
}

/*
 * Was the error raised because @m had failed? An init function has no source here: it asked for @m itself, did
 * nothing after it, and what it raised says nothing else.
 */
static bool raised_for_want_of(const struct imp_graph *s, struct imp_node *m,
			       const struct imp_node *n)
{
	unsigned int imports;
	const struct imp_node *outermost = imp_node_caught_in(m, &imports);

	if (n->c.extension)
		return n->c.f->cause == IMP_CAUSE_INIT_FAILED &&
		       !imp_exception_is_accident(n->c.exception) &&
		       outermost->c.attempt->parent == n->c.attempt && last_within(s, m, n) &&
		       may_explain(m);
	return may_explain(m) && imp_fallback_raises(&m->c, imports, n->c.exception);
}

/* An error that a package raised of its own, after imports within it had failed and were caught. */
static struct imp_node *swallowed(struct imp_graph *s, struct imp_node *n)
{
	bool silent = says_nothing(n);
	unsigned int looked = 0;

	imp_node_judge(n);
	for (size_t i = s->nodes.n; i-- > 0;) {
		struct imp_node *m = s->nodes.v[i];

		if (m == n || m->c.time_ns > n->c.time_ns || m->c.thread != n->c.thread ||
		    imp_exception_is_exit(m->c.exception) || m->inner)
			continue;
		if (n->c.attempt && !inside(m, n))
			continue;
		/* "numpy.core.multiarray failed to import" of a numpy that is there: what it lacks is no more than another version's. */
		if (n->c.f->cause == IMP_CAUSE_VERSION_MISMATCH && !may_explain(m))
			continue;
		if (speaks_of(n->c.a, n->c.exception, m) || (silent && last_within(s, m, n)) ||
		    (looked++ < CAUGHT_MAX && raised_for_want_of(s, m, n)))
			return m;
	}
	return NULL;
}

/*
 * "cannot import name f from pkg", where pkg would have taken f from a module that could not be
 * imported, and went on without: only something broken explains it, not a module that is just absent.
 */
static struct imp_node *left_out(struct imp_graph *s, struct imp_node *n)
{
	const char *package = imp_from_clause_module(&n->c), *name = imp_from_clause_name(&n->c);
	const struct imp_attempt *pkg = package ? imp_case_loaded(&n->c, package) : NULL;
	unsigned int imports, looked = 0;

	for (size_t i = s->nodes.n; pkg && name && i-- > 0;) {
		struct imp_node *m = s->nodes.v[i];
		const struct imp_attempt *at = m->c.attempt->parent;

		if (m == n || m->inner || imp_exception_is_exit(m->c.exception))
			continue;
		while (at && at != pkg)
			at = at->parent;
		if (!at || !may_explain(m) || looked++ >= CAUGHT_MAX)
			continue;
		imp_node_caught_in(m, &imports);
		if (imp_fallback_lacks(&m->c, imports, pkg->outcome->origin, name))
			return m;
	}
	return NULL;
}

/* The import in @child that ended with an exception of that type and text: the innermost; NULL: none. */
static struct imp_node *sent_by(struct imp_graph *s, const struct imp_image *child,
				const struct imp_exception *e)
{
	for (size_t k = child->attempts.n; k-- > 0;) {
		const struct imp_attempt *at = child->attempts.v[k];
		struct imp_node *m;

		if (!at->exception ||
		    strcmp(imp_case_text(at->exception->type), imp_case_text(e->type)) ||
		    strcmp(imp_case_text(at->exception->message), imp_case_text(e->message)))
			continue;
		m = imp_node_new(s, at, at->exception, at->thread, at->interp, at->end_ns);
		m->c.image = child;
		for (size_t x = 0; x < child->extensions.n; x++)
			if (child->extensions.v[x]->attempt == at &&
			    child->extensions.v[x]->exception)
				m->c.extension = child->extensions.v[x];
		m->c.py = imp_record_interpreter(child, at->interp);
		return m;
	}
	return NULL;
}

/*
 * An exception that a worker process sent to its parent (concurrent.futures, multiprocessing.Pool). Under a fork
 * server, which is how Python 3.14 starts its workers, that one is no child but a grandchild.
 */
static struct imp_node *from_descendant(struct imp_graph *s, const struct imp_node *n)
{
	const struct imp_images *children = s->image->children;
	const struct imp_exception *e = n->c.exception;
	struct imp_images family = {0};
	struct imp_id_map seen = {0}; /* process numbers whose children are in @family */
	struct imp_node *m = NULL;

	if (!e->message || !*e->message)
		return NULL;
	imp_id_map_put(n->c.a, &seen, (uint64_t)s->image->pid, 0, s);
	for (size_t i = 0; children && i < children->n; i++)
		*imp_vec_push(n->c.a, &family) = children->v[i];
	for (size_t i = 0; i < family.n && !m; i++) {
		const struct imp_image *image = family.v[i];

		if (image->image_ns <= s->image->image_ns)
			continue; /* of an earlier process with this one's number */
		m = sent_by(s, image, e);
		/* What became another program has several images, and the same children. */
		if (m || imp_id_map_get(&seen, (uint64_t)image->pid, 0))
			continue;
		imp_id_map_put(n->c.a, &seen, (uint64_t)image->pid, 0, s);
		children = image->children;
		for (size_t c = 0; children && c < children->n; c++)
			*imp_vec_push(n->c.a, &family) = children->v[c];
	}
	return m;
}

/*
 * Does an exception follow from the one in its __context__? "raise ... from" says so. Without it, what
 * was raised in the handler may be unrelated: a KeyError of code that runs instead.
 */
static bool follows(const struct imp_node *n, const struct imp_node *from)
{
	const struct imp_exception *e = n->c.exception;
	const struct imp_attempt *outer = from->c.attempt;

	if (e->cause || imp_exception_is_import_error(e) || imp_exception_is_exit(e) ||
	    mentions(n->c.a, e, from))
		return true;
	if (e->where.file && outer->frame->file && strcmp(e->where.file, outer->frame->file))
		return false; /* raised deeper, by what the handler called */
	return !imp_exception_is_accident(e) ||
	       e->suppress_context; /* "raise ValueError(...) from None" is meant */
}

static void add_step(struct imp_path_up *up, const struct imp_node *n, const char *how)
{
	struct imp_step_up *step = imp_vec_push(n->c.a, &up->steps);

	step->attempt = n->c.attempt;
	step->exception = n->c.exception;
	step->how = how;
}

static struct imp_node *down(struct imp_graph *s, struct imp_node *from, struct imp_node *to,
			     const char *how, struct imp_path_up *up, int depth)
{
	add_step(up, from, how);
	return imp_root_of(s, to, up, depth + 1);
}

/*
 * An ImportError below this exception that no attempt raised: "from json import nosuch" fails in the
 * statement itself, after the import; or the program loaded an extension by itself.
 */
static struct imp_node *unattempted(struct imp_graph *s, const struct imp_node *n)
{
	const struct imp_exception *e = n->c.exception;

	for (const struct imp_exception *x = e->cause ? e->cause : e->context; x;
	     x = x->cause ? x->cause : x->context)
		if (imp_case_has(x->message, "cannot import name") || imp_graph_own_extension(s, x))
			return imp_node_new(s, NULL, x, n->c.thread, n->c.py ? n->c.py->number : 0,
					    n->c.time_ns);
	return NULL;
}

/* The import that raised one of the errors of an ExceptionGroup, or of groups in it. */
static struct imp_node *member(const struct imp_graph *s, const struct imp_node *n,
			       const struct imp_exception *group, int depth)
{
	for (size_t i = 0; i < group->members.n && depth < DEPTH_MAX; i++) {
		const struct imp_exception *e = group->members.v[i];
		struct imp_node *m = imp_graph_find(s, e, n->c.time_ns);

		m = m ? m : member(s, n, e, depth + 1);
		if (m)
			return m;
	}
	return NULL;
}

/* What a line of a .pth file imported in vain, where that file was to make the module of @n importable. */
static struct imp_node *behind_pth_line(struct imp_graph *s, struct imp_node *n)
{
	struct imp_node *m;

	imp_node_judge(n);
	if (n->c.f->cause != IMP_CAUSE_NOT_INSTALLED || imp_case_parent(&n->c))
		return NULL;
	m = imp_graph_node(s, imp_judge_pth_line_of(&n->c));
	return m != n ? m : NULL;
}

struct imp_node *imp_root_of(struct imp_graph *s, struct imp_node *n, struct imp_path_up *up,
			     int depth)
{
	const struct imp_exception *e;
	struct imp_node *m;
	bool not_found;

	/* Imports within imports are as many as Python's stack allows for. */
	for (int nested = 0; n->inner && nested < IMP_NESTED_MAX; n = n->inner, nested++)
		add_step(up, n, NULL);
	e = n->c.exception;
	if (depth > DEPTH_MAX || !e)
		return n;
	not_found = imp_judge_not_found(&n->c);
	if (!n->c.attempt) {
		m = imp_graph_find(s, e, n->c.time_ns);
		if (m)
			return down(s, n, m, NULL, up, depth);
		m = from_descendant(s, n);
		if (m)
			return down(s, n, m, "it came from a child process", up, depth);
	}
	m = first_initialization(s, n);
	if (m)
		return down(s, n, m,
			    "the extension refused a second initialization in this process, "
			    "and the first attempt had failed",
			    up, depth);
	m = member(s, n, e, 0);
	if (m && m != n)
		return down(s, n, m, "one of the errors in the group", up, depth);
	for (const struct imp_exception *x = e->cause ? e->cause : e->context; x;
	     x = x->cause ? x->cause : x->context) {
		m = imp_graph_find(s, x, n->c.time_ns);
		if (!m || m == n || !follows(n, m))
			continue;
		/* Two modules tried one after the other: each is missing on its own account. */
		if (not_found && !broken(imp_root_of(s, m, &(struct imp_path_up){0}, depth + 1)))
			break;
		if (not_found && broken(n))
			break;
		return down(s, n, m,
			    e->cause ? "raised from it" : "raised while it was being handled", up,
			    depth);
	}
	if (not_found) {
		m = behind_pth_line(s, n);
		return m ? down(s, n, m,
				"the line of a .pth file that was to make it importable had failed",
				up, depth) :
			   n;
	}
	m = imp_opened_in_vain(s, n);
	if (m) {
		add_step(up, n, n->opened_how);
		return m;
	}
	m = unattempted(s, n);
	if (m)
		return down(s, n, m,
			    e->cause ? "raised from it" : "raised while it was being handled", up,
			    depth);
	m = submodule_asked(s, n);
	if (m && m != n &&
	    (m->inner || !imp_judge_not_found(&m->c) || broken(m) || !strchr(m->c.module, '.') ||
	     part_is_missing(n)))
		return down(s, n, m,
			    "the name asked for is a submodule, and importing it had failed", up,
			    depth);
	if (imp_exception_is_exit(e))
		return n;
	m = imp_from_clause_name(&n->c) ? left_out(s, n) : swallowed(s, n);
	if (m)
		return down(s, n, m,
			    "raised by the package's own code after that failure had been caught",
			    up, depth);
	m = imp_opened_and_swallowed(s, n);
	if (!m)
		return n;
	add_step(up, n, n->opened_how);
	return m;
}
