/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Libraries that a program's own code opened in vain (ctypes, cffi, a host in C), and what it then made of that. */
#include <ctype.h>
#include <string.h>

#include "failure_graph.h"
#include "from_clause.h"

#define EXIT_WINDOW_NS (250 * 1000000ULL) /* "right after it": an exit that follows a failure */

bool imp_graph_of_extension(const struct imp_graph *s, const struct imp_dlopen *d)
{
	for (size_t i = 0; i < s->image->extensions.n; i++) {
		const struct imp_extension_call *ext = s->image->extensions.v[i];

		if (ext->thread == d->thread && ext->begin_ns <= d->begin_ns &&
		    (!ext->ended || ext->end_ns >= d->end_ns) && d->name &&
		    !strcmp(imp_case_text(ext->path), d->name))
			return true;
	}
	return false;
}

/* "vips" of "/usr/lib/libvips-42.so.1": what people call it; "" where nothing is left */
static const char *stem(struct imp_arena *a, const char *name)
{
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	size_t len;

	if (!strncmp(base, "lib", 3))
		base += 3;
	len = strcspn(base, ".");
	while (len && !isalpha((unsigned char)base[len - 1]))
		len--;
	return imp_arena_strndup(a, base, len);
}

static bool mentions(struct imp_arena *a, const struct imp_exception *e, const struct imp_dlopen *d)
{
	const char *name = stem(a, d->name), *p = e->message;
	size_t len = strlen(name);

	/* "libvips", "vips" and "vips42", but no part of another word. */
	for (; len >= 3 && p && (p = strcasestr(p, name)); p++) {
		bool begins = p == e->message || !isalnum((unsigned char)p[-1]) ||
			      (p - e->message >= 3 && !strncasecmp(p - 3, "lib", 3));

		if (begins && !isalpha((unsigned char)p[len]) && p[len] != '_')
			return true;
	}
	return false;
}

/* What is raised because a library is not there. Code of a handler may well fail on its own account. */
static bool is_consequence(const struct imp_exception *e)
{
	static const char *const words[] = {"librar", " lib",  ".so",	 "load",
					    "find",   "found", "install"};

	/* "lib = None", and then lib.function */
	if (imp_case_has(e->message, "'NoneType' object"))
		return true;
	if (!imp_exception_is_import_error(e) && strcmp(imp_case_text(e->type), "OSError") &&
	    strcmp(imp_case_text(e->type), "RuntimeError"))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (imp_case_has(e->message, words[i]))
			return true;
	return false;
}

/* Was it opened by a module that came up all the same? */
static bool went_well_around(const struct imp_graph *s, const struct imp_node *n,
			     const struct imp_dlopen *d)
{
	uint64_t since = n->c.attempt ? n->c.attempt->begin_ns : 0;

	for (size_t i = 0; i < s->image->attempts.n; i++) {
		const struct imp_attempt *at = s->image->attempts.v[i];

		if (at != n->c.attempt && at->thread == d->thread && at->begin_ns >= since &&
		    at->begin_ns <= d->begin_ns && at->ended && at->end_ns >= d->end_ns &&
		    !at->exception)
			return true;
	}
	return false;
}

/* A load that failed in this thread, since the import began, and that no later one made up for: what is raised speaks of it. */
static const struct imp_dlopen *swallowed(const struct imp_graph *s, const struct imp_node *n)
{
	const struct imp_exception *e = n->c.exception;
	const struct imp_dlopen *found = NULL;
	bool named = false;

	for (size_t i = 0; i < s->image->dlopens.n; i++) {
		const struct imp_dlopen *d = s->image->dlopens.v[i];
		bool names;

		if (d->thread != n->c.thread || !d->name || !d->ended || d->end_ns > n->c.time_ns ||
		    (n->c.attempt && d->begin_ns < n->c.attempt->begin_ns) ||
		    imp_graph_of_extension(s, d))
			continue;
		if (!d->error) {
			if (found && !strcmp(stem(n->c.a, found->name), stem(n->c.a, d->name))) {
				found = NULL;
				named = false;
			}
			continue;
		}
		names = mentions(n->c.a, e, d);
		if ((found && (named || !names)) ||
		    (!names && (!n->c.attempt || !is_consequence(e))) || went_well_around(s, n, d))
			continue;
		found = d;
		named = names;
	}
	return found;
}

/* Asked again, it must be the same node: what was said of it stands there. */
static struct imp_node *opened(struct imp_graph *s, struct imp_node *n, const struct imp_dlopen *d,
			       const struct imp_exception *e, const char *how)
{
	n->opened = imp_node_new(s, n->c.attempt, e, n->c.thread, n->c.py ? n->c.py->number : 0,
				 n->c.time_ns);
	n->opened->c.load = d;
	n->opened->c.traceback = n->c.traceback;
	n->opened_how = how;
	return n->opened;
}

struct imp_node *imp_opened_in_vain(struct imp_graph *s, struct imp_node *n)
{
	const struct imp_exception *e = n->c.exception;

	if (n->opened || n->c.load || n->c.extension || !e)
		return n->opened;
	for (const struct imp_exception *x = e->cause ? e->cause : e->context; x;
	     x = x->cause ? x->cause : x->context) {
		const struct imp_dlopen *d = imp_graph_own_load(s, x, n->c.time_ns);

		if (d && (e->cause || e->suppress_context || !imp_exception_is_accident(e) ||
			  is_consequence(e) || mentions(n->c.a, e, d)))
			return opened(s, n, d, x,
				      e->cause ? "raised from it" :
						 "raised while it was being handled");
		if (d)
			break;
	}
	return NULL;
}

struct imp_node *imp_opened_and_swallowed(struct imp_graph *s, struct imp_node *n)
{
	const struct imp_dlopen *d;
	struct imp_exception *own;

	if (n->opened || n->c.load || n->c.extension || !n->c.exception ||
	    imp_from_clause_name(&n->c) || !(d = swallowed(s, n)))
		return n->opened;
	own = imp_arena_alloc(n->c.a, sizeof(*own));
	own->type = "OSError";
	own->message = d->error;
	return opened(s, n, d, own, "raised by its own code after that failure had been caught");
}

const struct imp_dlopen *imp_graph_fatal_load(const struct imp_graph *s)
{
	const struct imp_image *image = s->image;
	const struct imp_dlopen *last =
		image->dlopens.n ? image->dlopens.v[image->dlopens.n - 1] : NULL;

	if (!last || !last->error || !last->ended || !last->name ||
	    last->thread != (uint64_t)image->pid || image->pid != s->d->record->root_pid ||
	    image->interpreters.n || image->attempts.n || image->execs.n || !image->ended ||
	    !image->code_known || !image->code || image->signal)
		return NULL;
	return last->end_ns + EXIT_WINDOW_NS >= image->end_ns ? last : NULL;
}
