/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "failure.h"

#include <stdlib.h>
#include <string.h>

#include "failure_graph.h"
#include "handler_source.h"
#include "judge.h"

#define HANDLED_MAX    2000		  /* different handled failures listed for one image */
#define EXIT_WINDOW_NS (250 * 1000000ULL) /* "right after it": an exit that follows a failure */

static bool same_failure(const struct imp_node *n, const struct imp_failure *f)
{
	return f->asked && !strcmp(n->c.module, f->asked->module) &&
	       imp_case_sys_path(&n->c) == imp_case_sys_path(f->asked) &&
	       !strcmp(imp_case_text(n->c.exception->message),
		       imp_case_text(f->asked->exception->message));
}

static struct imp_failure *failure_of(struct imp_graph *s, struct imp_node *root)
{
	struct imp_failure *f;

	if (root->failure)
		return root->failure;
	imp_node_judge(root);
	f = imp_arena_alloc(root->c.a, sizeof(*f));
	f->root = root->c;
	root->failure = f;
	*imp_vec_push(root->c.a, s->out) = f;
	return f;
}

static void add_affected(struct imp_failure *f, const struct imp_path_up *up)
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

/* The same module failed in the same way, and that ended the program: one answer serves both. */
static struct imp_failure *told_already(const struct imp_graph *s, const struct imp_node *root)
{
	for (size_t i = 0; i < s->out->n; i++) {
		struct imp_failure *f = s->out->v[i];

		if (f->fate != IMP_FATE_HANDLED && f->root.attempt &&
		    !strcmp(f->root.module, root->c.module) &&
		    imp_case_sys_path(&f->root) == imp_case_sys_path(&root->c) &&
		    f->root.exception &&
		    !strcmp(imp_case_text(f->root.exception->message),
			    imp_case_text(root->c.exception->message)))
			return f;
	}
	return NULL;
}

static struct imp_failure *follow(struct imp_graph *s, struct imp_node *n, enum imp_fate fate,
				  const struct imp_exception *surfaced)
{
	struct imp_path_up up = {0};
	struct imp_node *root = imp_root_of(s, n, &up, 0);
	unsigned int imports;
	const struct imp_node *asked = imp_node_caught_in(root, &imports);
	struct imp_failure *f =
		root->failure || fate != IMP_FATE_HANDLED ? NULL : told_already(s, root);

	if (root != n)
		n->consequence = true;
	if (asked->c.attempt && imp_judge_is_pth_line(asked->c.image, asked->c.attempt) &&
	    !root->failure && !f) {
		imp_node_judge(root);
		imp_judge_asked_by_pth(&root->c, asked->c.attempt);
	}
	if (f) {
		f->repeats++;
		return f;
	}
	f = failure_of(s, root);
	add_affected(f, &up);
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
static bool concerns_import(struct imp_graph *s, struct imp_node *n)
{
	struct imp_path_up up = {0};
	struct imp_node *root;

	if (imp_exception_is_exit(n->c.exception) && !n->c.exception->cause &&
	    !n->c.exception->context)
		return false;
	root = imp_root_of(s, n, &up, 0);
	if (root != n)
		return true;
	if (imp_exception_is_exit(n->c.exception))
		return false;
	if (n->c.load)
		return true;
	if (imp_judge_not_found(&n->c))
		return true; /* "python -m nosuch": runpy looked for it without importing it */
	imp_node_judge(n);
	return imp_exception_is_import_error(n->c.exception) || n->c.f->cause != IMP_CAUSE_UNKNOWN;
}

/*
 * PyErr_Print() goes the same way as the end of a program: a library that prints an error and goes on
 * (numpy's import_array) is told by what the thread did afterwards.
 */
static bool went_on(const struct imp_graph *s, const struct imp_uncaught_event *u)
{
	for (size_t i = 0; i < s->image->uncaught.n; i++) {
		const struct imp_uncaught_event *later = s->image->uncaught.v[i];

		if (later->time_ns > u->time_ns && later->thread == u->thread &&
		    later->how == u->how)
			return true;
	}
	for (size_t i = 0; i < s->image->attempts.n; i++) {
		const struct imp_attempt *at = s->image->attempts.v[i];

		/* An import around it came to an end afterwards: it was no end of the program. */
		if (at->thread == u->thread && at->begin_ns < u->time_ns && at->ended &&
		    at->end_ns > u->time_ns)
			return true;
	}
	return false;
}

struct ending { /* what ended a program or a thread */
	const struct imp_exception *exception;
	const struct imp_frames *traceback;
	uint64_t thread, interp, time_ns;
	enum imp_fate fate;
	const struct imp_exception *surfaced;
	const struct imp_sys_exit *exit;
};

static bool follow_one(struct imp_graph *s, const struct ending *end, const struct imp_exception *e)
{
	struct imp_node *n = imp_node_new(s, NULL, e, end->thread, end->interp, end->time_ns);
	struct imp_failure *f;

	n->c.traceback = end->traceback;
	if (!concerns_import(s, n))
		return false;
	f = follow(s, n, end->fate, end->surfaced);
	if (end->exit && f->fate == end->fate)
		f->exit = end->exit;
	return true;
}

/* An ExceptionGroup, in the chain of an exception, stands for each of its errors. */
static bool follow_members(struct imp_graph *s, const struct ending *end,
			   const struct imp_exception *e)
{
	bool any = false;

	for (; e && !e->members.n; e = e->cause ? e->cause : e->context)
		;
	for (size_t i = 0; e && i < e->members.n; i++) {
		const struct imp_exception *member = e->members.v[i];

		if (follow_members(s, end, member) || follow_one(s, end, member))
			any = true;
	}
	return any;
}

static void follow_ending(struct imp_graph *s, const struct ending *end)
{
	if (!follow_members(s, end, end->exception))
		follow_one(s, end, end->exception);
}

static void follow_uncaught(struct imp_graph *s)
{
	for (size_t i = 0; i < s->image->uncaught.n; i++) {
		const struct imp_uncaught_event *u = s->image->uncaught.v[i];
		const struct ending end = {
			.exception = u->exception,
			.surfaced = u->exception,
			.traceback = &u->stack,
			.thread = u->thread,
			.interp = u->interp,
			.time_ns = u->time_ns,
			.fate = u->how == IMP_UNCAUGHT_THREAD ? IMP_FATE_THREAD : IMP_FATE_UNCAUGHT,
		};

		if (u->exception && !went_on(s, u))
			follow_ending(s, &end);
	}
}

static void follow_exits(struct imp_graph *s)
{
	for (size_t i = 0; i < s->image->sys_exits.n; i++) {
		const struct imp_sys_exit *x = s->image->sys_exits.v[i];
		const struct ending end = {.exception = x->handled,
					   .thread = x->thread,
					   .time_ns = x->time_ns,
					   .fate = IMP_FATE_SYS_EXIT,
					   .exit = x};

		if (x->handled && (!x->code_known || x->code || x->message))
			follow_ending(s, &end);
	}
}

/* Was the import asked for by C code of a host program, with no Python around it that could have caught it? */
static bool asked_from_c(const struct imp_node *n)
{
	return !n->c.attempt->frame->file && !n->c.attempt->parent;
}

/* multiprocessing prints the traceback of its child by itself, and ends it with status 1. */
static bool in_worker(const struct imp_node *n)
{
	for (size_t i = 0; i < n->c.attempt->outcome->stack.n; i++)
		if (imp_case_has(n->c.attempt->outcome->stack.v[i].file,
				 "/multiprocessing/process.py") &&
		    !strcmp(imp_case_text(n->c.attempt->outcome->stack.v[i].function), "_bootstrap"))
			return true; /* not start(), which is the parent's */
	return false;
}

/*
 * The process ended with status 1 right after a failure, nothing was imported any more, and nobody
 * saw the exception at the top. That alone proves nothing: programs end with 1 for reasons of their
 * own. It takes one more fact: C code asked, or the handler's source leaves the program.
 */
static void follow_exit_status(struct imp_graph *s)
{
	const struct imp_image *image = s->image;
	enum imp_handler handler;
	struct imp_node *last;

	if (image->derived)
		return; /* who asked is not known; what was not caught was seen to be printed */
	if (image->uncaught.n || !image->code_known || !image->code || !s->nodes.n)
		return;
	for (size_t i = 0; i < image->sys_exits.n; i++)
		if (!imp_case_has(image->sys_exits.v[i]->frame.file, "/multiprocessing/"))
			return; /* it left on purpose, and said what it was handling */
	last = s->nodes.v[s->nodes.n - 1];
	for (size_t i = s->nodes.n; i-- > 0 && imp_exception_is_exit(last->c.exception);)
		last = s->nodes.v[i]; /* the import around it, which the SystemExit passed through */
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
		if (at->outcome->origin && !imp_case_stdlib(&last->c, at->outcome->origin))
			return;
	}
	handler = imp_handler_look(&last->c);
	if (asked_from_c(last) || handler == IMP_HANDLER_LEAVES ||
	    (image->code == 1 && in_worker(last) && handler != IMP_HANDLER_SWALLOWS))
		follow(s, last, IMP_FATE_EXIT, NULL);
}

/* The functions with which pytest and unittest import what they run the tests of. */
static bool is_runner(const struct imp_frame *frame)
{
	const char *function = imp_case_text(frame->function);

	return (imp_case_has(frame->file, "/_pytest/pathlib.py") &&
		!strcmp(function, "import_path")) ||
	       (imp_case_has(frame->file, "/unittest/loader.py") &&
		(!strcmp(function, "loadTestsFromName") ||
		 !strcmp(function, "_get_module_from_name")));
}

/* unittest asks for "test_17.Case.test_it" as a module, and takes the parts after the last one that is as names in it. */
static bool is_only_a_name(const struct imp_node *n)
{
	const struct imp_node *root = n;
	size_t len;

	while (root->inner)
		root = root->inner;
	len = strlen(root->c.module);
	return imp_judge_not_found(&root->c) && !strncmp(n->c.module, root->c.module, len) &&
	       (!n->c.module[len] || n->c.module[len] == '.');
}

/* They catch whatever the import of a test raises, report it in the end, and leave with a status. */
static void follow_collected(struct imp_graph *s)
{
	if (!s->image->code_known || !s->image->code)
		return;
	for (size_t i = 0; i < s->nodes.n; i++) {
		struct imp_node *n = s->nodes.v[i];

		/* Skipped and SkipTest are no failures. */
		if (!is_runner(n->c.attempt->frame) || is_only_a_name(n) ||
		    imp_exception_is_exit(n->c.exception) ||
		    !strncmp(imp_case_text(n->c.exception->type), "Skip", 4) ||
		    imp_case_has(n->c.exception->type, ".Skip"))
			continue;
		follow(s, n, IMP_FATE_COLLECTED, n->c.exception);
	}
}

/*
 * The process ended while a native module was being loaded. The recorder journals each begin and end of that, so what
 * has no end was under way.
 */
static void follow_death(struct imp_graph *s)
{
	const struct imp_image *image = s->image;
	bool known = imp_graph_ended_itself(s);

	/* What it printed before it left (PyErr_Print) is the reason; and code that says sys.exit() means it. */
	for (size_t i = 0; i < s->out->n && image->ended; i++)
		known &= s->out->v[i]->fate == IMP_FATE_HANDLED;
	known &= !image->ended || !image->sys_exits.n;
	for (size_t i = image->extensions.n; i-- > 0;) {
		const struct imp_extension_call *ext = image->extensions.v[i];
		struct imp_node *n;

		if (ext->ended || !ext->attempt || ext->attempt->ended ||
		    (image->ended && ext->thread != (uint64_t)image->pid) ||
		    (!known && !imp_graph_hung(s, ext)))
			continue;
		n = imp_node_new(s, ext->attempt, NULL, ext->thread, ext->attempt->interp,
				 image->last_ns);
		n->c.extension = ext;
		failure_of(s, n)->fate = IMP_FATE_DIED;
		return;
	}
	/* A library that the program itself opened (ctypes, cffi, a loader of plugins): no import tells of it. */
	for (size_t i = known ? image->dlopens.n : 0; i-- > 0;) {
		const struct imp_dlopen *load = image->dlopens.v[i];
		struct imp_node *n;

		if (load->ended || !load->name ||
		    (image->ended && load->thread != (uint64_t)image->pid))
			continue;
		n = imp_node_new(s, NULL, NULL, load->thread, 0, image->last_ns);
		n->c.load = load;
		failure_of(s, n)->fate = IMP_FATE_DIED;
		return;
	}
}

/* site.py goes on without what a .pth file was to bring: nobody provided for that. */
static void remember(struct imp_failure *f, const struct imp_node *asked)
{
	if (imp_judge_is_pth_line(asked->c.image, asked->c.attempt) && imp_judge_not_found(&f->root))
		f->root.f->optional = false;
	if (f->fate == IMP_FATE_HANDLED)
		f->asked = &asked->c;
}

static void follow_handled(struct imp_graph *s)
{
	for (size_t i = 0; i < s->nodes.n; i++) {
		struct imp_node *n = s->nodes.v[i];
		struct imp_failure *same = NULL;

		if (n->failure || n->consequence || (n->outer && n->outer->inner == n) ||
		    imp_exception_is_exit(n->c.exception))
			continue;
		for (size_t j = s->out->n; j-- > 0 && !same;)
			if (same_failure(n, s->out->v[j]))
				same = s->out->v[j];
		if (same)
			same->repeats++;
		else if (s->out->n < HANDLED_MAX)
			remember(follow(s, n, IMP_FATE_HANDLED, NULL), n);
	}
}

/* A library that the program itself opened, or tried to (ctypes, cffi): told with --all. */
static void follow_loads(struct imp_graph *s)
{
	const struct imp_dlopen *fatal = imp_graph_fatal_load(s);

	for (size_t i = 0; i < s->image->dlopens.n && s->out->n < HANDLED_MAX; i++) {
		const struct imp_dlopen *d = s->image->dlopens.v[i];
		struct imp_exception *e;
		struct imp_node *n;
		bool known = !d->error || !d->ended || !d->name || imp_graph_of_extension(s, d);

		for (size_t k = 0; k < s->nodes.n && !known; k++)
			known = s->nodes.v[k]->c.load == d;
		for (size_t k = 0; k < s->out->n && !known; k++)
			known = s->out->v[k]->root.load &&
				!strcmp(imp_case_text(s->out->v[k]->root.load->name), d->name) &&
				d != fatal;
		if (known)
			continue;
		e = imp_arena_alloc(&s->d->arena, sizeof(*e));
		e->type = "OSError";
		e->message = d->error;
		n = imp_node_new(s, NULL, e, d->thread, 0, d->end_ns);
		n->c.load = d;
		imp_node_judge(n);
		n->c.f->optional = true;
		n->c.f->error.type = NULL; /* what the program made of it was not seen */
		failure_of(s, n)->fate = d == fatal ? IMP_FATE_EXIT : IMP_FATE_HANDLED;
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
	struct imp_graph s = {.d = d, .host = host, .image = image, .out = out};

	*out = (struct imp_failures){0};
	imp_graph_collect(&s);
	follow_uncaught(&s);
	follow_exits(&s);
	follow_exit_status(&s);
	follow_collected(&s);
	follow_death(&s);
	follow_handled(&s);
	follow_loads(&s);
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), compare_time);
}
