/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "failure.h"

#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../python/package_name.h"
#include "from_clause.h"
#include "handler_source.h"
#include "judge.h"

#define DEPTH_MAX 32		/* of exceptions and attempts followed to a root */
#define HANDLED_MAX 2000	/* different handled failures listed for one image */
#define EXIT_WINDOW_NS (250 * 1000000ULL)	/* "right after it": an exit that follows a failure */

/* One failed attempt, or (attempt NULL) an uncaught exception that no attempt is known for. */
struct node {
	struct imp_case c;
	struct node *inner;		/* the nested attempt that raised this very exception */
	struct node *outer;		/* the failed attempt around it */
	struct imp_failure *failure;	/* where it is a root */
	unsigned int repeats;
	bool judged;
	bool consequence;
};

struct search {
	struct imp_diagnosis *d;
	const struct imp_host *host;
	const struct imp_image *image;
	IMP_VEC(struct node *) nodes;	/* by end time */
	struct node **by_attempt;	/* the same, by the attempt's address */
	struct imp_failures *out;
};

static const char *text(const char *s)
{
	return s ? s : "";
}

static bool same_exception(const struct imp_exception *a, const struct imp_exception *b)
{
	return a && b && a->id == b->id && !strcmp(text(a->type), text(b->type)) &&
	       !strcmp(text(a->message), text(b->message));
}

static bool is_import_error(const struct imp_exception *e)
{
	return e && e->type && (!strcmp(e->type, "ImportError") || !strcmp(e->type, "ModuleNotFoundError"));
}

/* Leaving a program is no failure of an import, even if it happens within one. */
static bool is_exit(const struct imp_exception *e)
{
	return e->type && (!strcmp(e->type, "SystemExit") || !strcmp(e->type, "KeyboardInterrupt") ||
			   !strcmp(e->type, "GeneratorExit"));
}


/*
 * The dlopen of a program's own (ctypes, cffi) that an exception speaks of: ctypes passes dlerror()'s text on,
 * cffi puts it into its own.
 */
static const struct imp_dlopen *own_load(const struct search *s, const struct imp_exception *e,
					 uint64_t before)
{
	if (!e || !e->message || !e->type || strcmp(e->type, "OSError"))
		return NULL;
	for (size_t i = s->image->dlopens.n; i-- > 0;) {
		const struct imp_dlopen *d = s->image->dlopens.v[i];

		if (d->error && d->ended && d->end_ns <= before && strlen(d->error) > 8 &&
		    strstr(e->message, d->error))
			return d;
	}
	return NULL;
}

static struct node *new_node(struct search *s, const struct imp_attempt *at,
			     const struct imp_exception *e, uint64_t thread, uint64_t interp,
			     uint64_t time_ns)
{
	struct imp_arena *a = &s->d->arena;
	struct node *n = imp_arena_alloc(a, sizeof(*n));

	n->c.a = a;
	n->c.record = s->d->record;
	n->c.host = s->host;
	n->c.image = s->image;
	n->c.memos = &s->d->memos;
	n->c.py = imp_record_interpreter(s->image, interp);
	n->c.attempt = at;
	n->c.exception = e;
	n->c.snapshot = at ? at->snapshot : NULL;
	n->c.load = own_load(s, e, time_ns);
	n->c.time_ns = time_ns;
	n->c.thread = thread;
	n->c.module = at ? at->name : e->name && *e->name ? e->name : imp_from_clause_module(&n->c);
	if (!n->c.module && e)
		n->c.module = imp_judge_runpy_module(&n->c);
	if (!n->c.module)
		n->c.module = "";	/* imp_judge() makes it NULL in the finding */
	return n;
}

static int compare_address(const void *a, const void *b)
{
	const struct node *const *x = a, *const *y = b;

	return (x[0]->c.attempt > y[0]->c.attempt) - (x[0]->c.attempt < y[0]->c.attempt);
}

static int compare_end(const void *a, const void *b)
{
	const struct node *const *x = a, *const *y = b;

	return (x[0]->c.time_ns > y[0]->c.time_ns) - (x[0]->c.time_ns < y[0]->c.time_ns);
}

static struct node *node_of(const struct search *s, const struct imp_attempt *at)
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

static void collect(struct search *s)
{
	struct imp_arena *a = &s->d->arena;

	for (size_t i = 0; i < s->image->attempts.n; i++) {
		const struct imp_attempt *at = s->image->attempts.v[i];

		if (at->ended && at->exception)
			*imp_vec_push(a, &s->nodes) = new_node(s, at, at->exception, at->thread,
							       at->interp, at->end_ns);
	}
	if (!s->nodes.n)
		return;
	qsort(s->nodes.v, s->nodes.n, sizeof(*s->nodes.v), compare_end);
	s->by_attempt = imp_arena_alloc(a, s->nodes.n * sizeof(*s->by_attempt));
	memcpy(s->by_attempt, s->nodes.v, s->nodes.n * sizeof(*s->by_attempt));
	qsort(s->by_attempt, s->nodes.n, sizeof(*s->by_attempt), compare_address);
	for (size_t i = 0; i < s->nodes.n; i++) {
		struct node *n = s->nodes.v[i];

		n->outer = node_of(s, n->c.attempt->parent);
		if (n->outer && same_exception(n->c.exception, n->outer->c.exception))
			n->outer->inner = n;	/* by end time: the last one stays */
	}
	for (size_t i = 0; i < s->image->extensions.n; i++) {
		struct imp_extension_call *ext = s->image->extensions.v[i];
		struct node *n = ext->exception ? node_of(s, ext->attempt) : NULL;

		if (n)
			n->c.extension = ext;
	}
}

static void judge(struct node *n)
{
	if (n->judged)
		return;
	n->judged = true;
	n->c.f = imp_arena_alloc(n->c.a, sizeof(*n->c.f));
	imp_judge(&n->c);
}

/* The last failed attempt that ended before @before with this exception: its outermost one. */
static struct node *find_exception(const struct search *s, const struct imp_exception *e,
				   uint64_t before)
{
	for (size_t i = s->nodes.n; i-- > 0;) {
		struct node *n = s->nodes.v[i];

		if (n->c.time_ns <= before && same_exception(n->c.exception, e))
			return n;
	}
	return NULL;
}

static bool word_in(const char *haystack, const char *word)
{
	size_t len = word ? strlen(word) : 0;

	if (!haystack || len < 3)
		return false;
	for (const char *p = haystack; (p = strstr(p, word)); p++)
		if ((p == haystack || !(isalnum((unsigned char)p[-1]) || p[-1] == '_')) &&
		    !(isalnum((unsigned char)p[len]) || p[len] == '_'))
			return true;
	return false;
}

/* Does an error's own text speak of a module that could not be imported before? */
static bool mentions(struct imp_arena *a, const struct imp_exception *e, const struct node *n)
{
	const char *top = imp_case_top(&n->c);

	if (!e)
		return false;
	return word_in(e->message, n->c.module) || word_in(e->message, top) ||
	       word_in(e->message, imp_case_tail(&n->c)) ||
	       word_in(e->message, imp_package_pypi_name(a, n->c.module));
}

static bool broken(struct node *n)
{
	judge(n);
	return !n->c.f->optional && n->c.f->cause != IMP_CAUSE_UNKNOWN;
}

/*
 * An extension that may be initialized once a process: the second attempt is refused, and what the
 * user sees is that refusal. The first attempt tells why.
 */
static struct node *first_initialization(const struct search *s, const struct node *n)
{
	const struct imp_extension_call *ext = n->c.extension;

	if (!imp_judge_refusal(n->c.exception->message))
		return NULL;
	for (size_t i = 0; ext && i < s->image->extensions.n; i++) {
		const struct imp_extension_call *e = s->image->extensions.v[i];
		struct node *first;

		if (e == ext || e->begin_ns >= ext->begin_ns)
			continue;
		if (!e->exception || strcmp(text(e->path), text(ext->path)))
			continue;
		first = node_of(s, e->attempt);
		if (first && first != n)
			return first;
	}
	return NULL;
}

static bool inside(const struct node *n, const struct node *outer)
{
	const struct imp_attempt *at = n->c.attempt->parent;

	for (int depth = 0; at && depth < 1000; depth++, at = at->parent)
		if (at == outer->c.attempt)
			return true;
	return false;
}

/* What was tried for "from PACKAGE import NAME", and failed: PACKAGE.NAME as a module. */
static struct node *submodule_asked(struct search *s, const struct node *n)
{
	const char *package = imp_from_clause_module(&n->c), *name = imp_from_clause_name(&n->c);
	const struct imp_frame *where = &n->c.exception->where;
	const char *full = package && name ? imp_arena_printf(n->c.a, "%s.%s", package, name) : NULL;

	for (size_t i = s->nodes.n; name && i-- > 0;) {
		struct node *m = s->nodes.v[i];
		const struct imp_frame *asker = &m->c.attempt->frame;

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

/* An error that a package raised of its own, after imports within it had failed and were caught. */
static struct node *swallowed(struct search *s, struct node *n)
{
	bool family = is_import_error(n->c.exception) || n->c.extension;

	for (size_t i = s->nodes.n; i-- > 0;) {
		struct node *m = s->nodes.v[i];

		if (m == n || m->c.time_ns > n->c.time_ns || m->c.thread != n->c.thread ||
		    is_exit(m->c.exception) || m->inner)
			continue;
		if (n->c.attempt && !inside(m, n))
			continue;
		if (mentions(n->c.a, n->c.exception, m) || (n->c.attempt && family && broken(m)))
			return m;
	}
	return NULL;
}

/*
 * "cannot import name f from pkg", where pkg would have taken f from a module that could not be
 * imported, and went on without: only something broken explains it, not a module that is just absent.
 */
static struct node *left_out(struct search *s, struct node *n)
{
	const char *package = imp_from_clause_module(&n->c);
	const struct imp_attempt *pkg = package ? imp_case_loaded(&n->c, package) : NULL;

	for (size_t i = s->nodes.n; pkg && i-- > 0;) {
		struct node *m = s->nodes.v[i];
		const struct imp_attempt *at = m->c.attempt->parent;

		if (m == n || m->inner || is_exit(m->c.exception))
			continue;
		while (at && at != pkg)
			at = at->parent;
		if (at && broken(m))
			return m;
	}
	return NULL;
}

/* An exception that a worker process sent to its parent (concurrent.futures, multiprocessing.Pool). */
static struct node *from_child(struct search *s, const struct node *n)
{
	const struct imp_exception *e = n->c.exception;

	for (size_t i = 0; is_import_error(e) && i < s->d->record->images.n; i++) {
		const struct imp_image *child = s->d->record->images.v[i];

		for (size_t k = child->ppid == s->image->pid ? child->attempts.n : 0; k-- > 0;) {
			const struct imp_attempt *at = child->attempts.v[k];
			struct node *m;

			if (!at->exception || strcmp(text(at->exception->type), text(e->type)) ||
			    strcmp(text(at->exception->message), text(e->message)))
				continue;
			m = new_node(s, at, at->exception, at->thread, at->interp, at->end_ns);
			m->c.image = child;
			m->c.py = imp_record_interpreter(child, at->interp);
			return m;
		}
	}
	return NULL;
}

/*
 * Does an exception follow from the one in its __context__? "raise ... from" says so. Without it, what
 * was raised in the handler may be unrelated: a KeyError of code that runs instead.
 */
static bool follows(const struct node *n, const struct node *from)
{
	static const char *const accidents[] = { "KeyError", "IndexError", "AttributeError", "TypeError",
						 "NameError", "ValueError", "ZeroDivisionError", "OSError",
						 "FileNotFoundError", "PermissionError", "AssertionError",
						 "UnboundLocalError", "UnicodeDecodeError" };
	const struct imp_exception *e = n->c.exception;
	const struct imp_attempt *outer = from->c.attempt;

	if (e->cause || is_import_error(e) || is_exit(e) || mentions(n->c.a, e, from))
		return true;
	if (e->where.file && outer->frame.file && strcmp(e->where.file, outer->frame.file))
		return false;	/* raised deeper, by what the handler called */
	for (size_t i = 0; i < sizeof(accidents) / sizeof(accidents[0]); i++)
		if (!strcmp(text(e->type), accidents[i]))
			return e->suppress_context;	/* "raise ValueError(...) from None" is meant */
	return true;
}

struct path_up {
	IMP_VEC(struct imp_step_up) steps;	/* from the surface to the root */
};

static void add_step(struct path_up *up, const struct node *n, const char *how)
{
	struct imp_step_up *step = imp_vec_push(n->c.a, &up->steps);

	step->attempt = n->c.attempt;
	step->exception = n->c.exception;
	step->how = how;
}

static struct node *root_of(struct search *s, struct node *n, struct path_up *up, int depth);

static struct node *down(struct search *s, struct node *from, struct node *to, const char *how,
			 struct path_up *up, int depth)
{
	add_step(up, from, how);
	return root_of(s, to, up, depth + 1);
}

/*
 * An ImportError below this exception that no attempt raised: "from json import nosuch" fails in the
 * statement itself, after the import.
 */
static struct node *unattempted(struct search *s, const struct node *n)
{
	const struct imp_exception *e = n->c.exception;

	for (const struct imp_exception *x = e->cause ? e->cause : e->context; x;
	     x = x->cause ? x->cause : x->context)
		if (imp_case_has(x->message, "cannot import name"))
			return new_node(s, NULL, x, n->c.thread, n->c.py ? n->c.py->number : 0, n->c.time_ns);
	return NULL;
}

static struct node *root_of(struct search *s, struct node *n, struct path_up *up, int depth)
{
	const struct imp_exception *e = n->c.exception;
	bool not_found = imp_judge_not_found(&n->c);
	struct node *m;

	if (depth > DEPTH_MAX || !e)
		return n;
	if (n->inner)
		return down(s, n, n->inner, NULL, up, depth);
	if (!n->c.attempt) {
		m = find_exception(s, e, n->c.time_ns);
		if (m)
			return down(s, n, m, NULL, up, depth);
		m = from_child(s, n);
		if (m)
			return down(s, n, m, "it came from a child process", up, depth);
	}
	m = first_initialization(s, n);
	if (m)
		return down(s, n, m, "the extension refused a second initialization in this process, "
				     "and the first attempt had failed", up, depth);
	for (const struct imp_exception *x = e->cause ? e->cause : e->context; x;
	     x = x->cause ? x->cause : x->context) {
		m = find_exception(s, x, n->c.time_ns);
		if (!m || m == n || !follows(n, m))
			continue;
		/* Two modules tried one after the other: each is missing on its own account. */
		if (not_found && !broken(root_of(s, m, &(struct path_up){ 0 }, depth + 1)))
			break;
		if (not_found && broken(n))
			break;
		return down(s, n, m, e->cause ? "raised from it" : "raised while it was being handled",
			    up, depth);
	}
	if (not_found)
		return n;
	m = unattempted(s, n);
	if (m)
		return down(s, n, m, e->cause ? "raised from it" : "raised while it was being handled", up, depth);
	m = submodule_asked(s, n);
	if (m && m != n && (m->inner || !imp_judge_not_found(&m->c) || broken(m) || !strchr(m->c.module, '.')))
		return down(s, n, m, "the name asked for is a submodule, and importing it had failed",
			    up, depth);
	if (is_exit(e))
		return n;
	m = imp_from_clause_name(&n->c) ? left_out(s, n) : swallowed(s, n);
	if (m)
		return down(s, n, m, "raised by the package's own code after that failure had been caught",
			    up, depth);
	return n;
}

static bool same_failure(const struct node *n, const struct imp_failure *f)
{
	return f->asked && !strcmp(n->c.module, f->asked->module) &&
	       imp_case_sys_path(&n->c) == imp_case_sys_path(f->asked) &&
	       !strcmp(text(n->c.exception->message), text(f->asked->exception->message));
}

static struct imp_failure *failure_of(struct search *s, struct node *root)
{
	struct imp_failure *f;

	if (root->failure)
		return root->failure;
	judge(root);
	f = imp_arena_alloc(root->c.a, sizeof(*f));
	f->root = root->c;
	root->failure = f;
	*imp_vec_push(root->c.a, s->out) = f;
	return f;
}

static void add_affected(struct imp_failure *f, const struct path_up *up)
{
	for (size_t i = 0; i < up->steps.n; i++) {
		const struct imp_attempt *at = up->steps.v[i].attempt;
		struct imp_strings *names = &f->root.f->affected;
		bool known = !at || !strcmp(at->name, f->root.module);

		for (size_t j = 0; !known && j < names->n; j++)
			known = !strcmp(names->v[j], at->name);
		if (!known)
			*imp_vec_push(f->root.a, names) = at->name;
	}
}

static struct imp_failure *follow(struct search *s, struct node *n, enum imp_fate fate,
				  const struct imp_exception *surfaced)
{
	struct path_up up = { 0 };
	struct node *root = root_of(s, n, &up, 0);
	struct imp_failure *f = failure_of(s, root);

	add_affected(f, &up);
	if (root != n)
		n->consequence = true;
	if (fate > f->fate || !f->steps.n) {
		f->steps.n = 0;
		for (size_t i = up.steps.n; i-- > 0;)
			*imp_vec_push(root->c.a, &f->steps) = up.steps.v[i];
	}
	if (fate != IMP_FATE_HANDLED && f->fate == IMP_FATE_HANDLED) {
		f->fate = fate;
		f->surfaced = surfaced;
	}
	return f;
}

/* Is an uncaught exception that no attempt is known for a matter of importing at all? */
static bool concerns_import(struct search *s, struct node *n)
{
	struct path_up up = { 0 };
	struct node *root;

	if (is_exit(n->c.exception) && !n->c.exception->cause && !n->c.exception->context)
		return false;
	root = root_of(s, n, &up, 0);
	if (root != n)
		return true;
	if (is_exit(n->c.exception))
		return false;
	if (n->c.load)
		return true;
	if (imp_judge_not_found(&n->c))
		return true;	/* "python -m nosuch": runpy looked for it without importing it */
	judge(n);
	return is_import_error(n->c.exception) || n->c.f->cause != IMP_CAUSE_UNKNOWN;
}

/*
 * PyErr_Print() goes the same way as the end of a program: a library that prints an error and goes on
 * (numpy's import_array) is told by what the thread did afterwards.
 */
static bool went_on(const struct search *s, const struct imp_uncaught_event *u)
{
	for (size_t i = 0; i < s->image->uncaught.n; i++) {
		const struct imp_uncaught_event *later = s->image->uncaught.v[i];

		if (later->time_ns > u->time_ns && later->thread == u->thread && later->how == u->how)
			return true;
	}
	for (size_t i = 0; i < s->image->attempts.n; i++) {
		const struct imp_attempt *at = s->image->attempts.v[i];

		/* An import around it came to an end afterwards: it was no end of the program. */
		if (at->thread == u->thread && at->begin_ns < u->time_ns && at->ended && at->end_ns > u->time_ns)
			return true;
	}
	return false;
}

static void follow_uncaught(struct search *s)
{
	for (size_t i = 0; i < s->image->uncaught.n; i++) {
		const struct imp_uncaught_event *u = s->image->uncaught.v[i];
		struct node *n;

		if (!u->exception || went_on(s, u))
			continue;
		n = new_node(s, NULL, u->exception, u->thread, u->interp, u->time_ns);
		n->c.traceback = &u->stack;
		if (concerns_import(s, n))
			follow(s, n, u->how == IMP_UNCAUGHT_THREAD ? IMP_FATE_THREAD : IMP_FATE_UNCAUGHT,
			       u->exception);
	}
}

static void follow_exits(struct search *s)
{
	for (size_t i = 0; i < s->image->sys_exits.n; i++) {
		const struct imp_sys_exit *x = s->image->sys_exits.v[i];
		struct imp_failure *f;
		struct node *n;

		if (!x->handled || (x->code_known && x->code == 0 && !x->message))
			continue;
		n = new_node(s, NULL, x->handled, x->thread, 0, x->time_ns);
		if (!concerns_import(s, n))
			continue;
		f = follow(s, n, IMP_FATE_SYS_EXIT, NULL);
		if (f->fate == IMP_FATE_SYS_EXIT)
			f->exit = x;
	}
}

/* Was the import asked for by C code of a host program, with no Python around it that could have caught it? */
static bool asked_from_c(const struct node *n)
{
	return !n->c.attempt->frame.file && !n->c.attempt->parent;
}

/* multiprocessing prints the traceback of its child by itself, and ends it with status 1. */
static bool in_worker(const struct node *n)
{
	for (size_t i = 0; i < n->c.attempt->stack.n; i++)
		if (imp_case_has(n->c.attempt->stack.v[i].file, "/multiprocessing/process.py"))
			return true;
	return false;
}

/*
 * The process ended with status 1 right after a failure, nothing was imported any more, and nobody
 * saw the exception at the top. That alone proves nothing: programs end with 1 for reasons of their
 * own. It takes one more fact: C code asked, or the handler's source leaves the program.
 */
static void follow_exit_status(struct search *s)
{
	const struct imp_image *image = s->image;
	struct node *last;

	if (image->uncaught.n || !image->code_known || !image->code || !s->nodes.n)
		return;
	for (size_t i = 0; i < image->sys_exits.n; i++)
		if (!imp_case_has(image->sys_exits.v[i]->frame.file, "/multiprocessing/"))
			return;		/* it left on purpose, and said what it was handling */
	last = s->nodes.v[s->nodes.n - 1];
	for (size_t i = s->nodes.n; i-- > 0 && is_exit(last->c.exception);)
		last = s->nodes.v[i];	/* the import around it, which the SystemExit passed through */
	/* No Python comes up without it; what fails afterwards is the attempt to tell so. */
	for (size_t i = 0; i < s->nodes.n; i++)
		if (!strcmp(s->nodes.v[i]->c.module, "encodings"))
			last = s->nodes.v[i];
	if (last->c.time_ns + EXIT_WINDOW_NS < image->end_ns)
		return;
	for (size_t i = image->attempts.n; i-- > 0;) {
		const struct imp_attempt *at = image->attempts.v[i];

		if (at->begin_ns <= last->c.time_ns)
			break;
		if (at->origin && !imp_case_stdlib(&last->c, at->origin))
			return;
	}
	if (asked_from_c(last) || in_worker(last) || imp_handler_leaves(&last->c))
		follow(s, last, IMP_FATE_EXIT, NULL);
}

/*
 * A signal of its own making ended the process while a native module was being loaded. The recorder
 * journals each begin and end of that, so what has no end was under way. A signal from outside (SIGKILL,
 * SIGTERM) proves nothing.
 */
static void follow_death(struct search *s)
{
	static const int own[] = { SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGTRAP, SIGSYS };
	const struct imp_image *image = s->image;
	bool known = false;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		known |= image->signal == own[i];
	/* Nobody saw how it ended: but it has ended, and not as a process does that comes so far as to exit. */
	if (!image->ended && !image->waited && image->started)
		known |= imp_host_exists(s->host, imp_arena_printf(&s->d->arena, "/proc/%d", image->pid)) == 0;
	for (size_t i = known ? image->extensions.n : 0; i-- > 0;) {
		const struct imp_extension_call *ext = image->extensions.v[i];
		struct node *n;

		if (ext->ended || !ext->attempt || ext->attempt->ended)
			continue;
		n = new_node(s, ext->attempt, NULL, ext->thread, ext->attempt->interp, image->last_ns);
		n->c.extension = ext;
		failure_of(s, n)->fate = IMP_FATE_DIED;
		return;
	}
}

static void follow_handled(struct search *s)
{
	for (size_t i = 0; i < s->nodes.n; i++) {
		struct node *n = s->nodes.v[i];
		struct imp_failure *same = NULL;

		if (n->failure || n->consequence || (n->outer && n->outer->inner == n) ||
		    is_exit(n->c.exception))
			continue;
		for (size_t j = s->out->n; j-- > 0 && !same;)
			if (same_failure(n, s->out->v[j]))
				same = s->out->v[j];
		if (same)
			same->repeats++;
		else if (s->out->n < HANDLED_MAX)
			follow(s, n, IMP_FATE_HANDLED, NULL)->asked = &n->c;
	}
}

/* Is it the load of an extension module, which its import tells of? */
static bool of_extension(const struct search *s, const struct imp_dlopen *d)
{
	for (size_t i = 0; i < s->image->extensions.n; i++) {
		const struct imp_extension_call *ext = s->image->extensions.v[i];

		if (ext->thread == d->thread && ext->begin_ns <= d->begin_ns &&
		    (!ext->ended || ext->end_ns >= d->end_ns) && d->name && !strcmp(text(ext->path), d->name))
			return true;
	}
	return false;
}

/* A library that the program itself opened, or tried to (ctypes, cffi): told with --all. */
static void follow_loads(struct search *s)
{
	for (size_t i = 0; i < s->image->dlopens.n && s->out->n < HANDLED_MAX; i++) {
		const struct imp_dlopen *d = s->image->dlopens.v[i];
		struct imp_exception *e;
		struct node *n;
		bool known = !d->error || !d->ended || !d->name || of_extension(s, d);

		for (size_t k = 0; k < s->nodes.n && !known; k++)
			known = s->nodes.v[k]->c.load == d;
		for (size_t k = 0; k < s->out->n && !known; k++)
			known = s->out->v[k]->root.load &&
				!strcmp(text(s->out->v[k]->root.load->name), d->name);
		if (known)
			continue;
		e = imp_arena_alloc(&s->d->arena, sizeof(*e));
		e->type = "OSError";
		e->message = d->error;
		n = new_node(s, NULL, e, d->thread, 0, d->end_ns);
		n->c.load = d;
		judge(n);
		n->c.f->optional = true;
		n->c.f->error.type = NULL;	/* what the program made of it was not seen */
		failure_of(s, n);
	}
}

static int compare_time(const void *a, const void *b)
{
	const struct imp_failure *const *x = a, *const *y = b;

	return (x[0]->root.time_ns > y[0]->root.time_ns) - (x[0]->root.time_ns < y[0]->root.time_ns);
}

void imp_failures_find(struct imp_diagnosis *d, const struct imp_host *host,
		       const struct imp_image *image, struct imp_failures *out)
{
	struct search s = { .d = d, .host = host, .image = image, .out = out };

	*out = (struct imp_failures){ 0 };
	collect(&s);
	follow_uncaught(&s);
	follow_exits(&s);
	follow_exit_status(&s);
	follow_death(&s);
	follow_handled(&s);
	follow_loads(&s);
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), compare_time);
}
