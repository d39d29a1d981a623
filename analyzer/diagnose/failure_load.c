/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Libraries that a program's own code opened in vain (ctypes, cffi, a host in C), and what it then made of that. */
#include <ctype.h>
#include <string.h>

#include "failure_graph.h"
#include "fallback_source.h"
#include "from_clause.h"
#include "vain_loads.h"

#define SOURCE_MAX     (4 * 1024 * 1024) /* bytes of a source file that is looked into */
#define LOOKED_MAX     16 /* failed loads that a source is asked about, for one error */
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

static bool mentions(struct imp_arena *a, const struct imp_exception *e, const struct imp_dlopen *d)
{
	const char *name = imp_load_stem(a, d->name), *p = e->message;
	size_t len = strlen(name);

	/* "libvips", "libvipscc", "vips" and "vips42", but no part of another word. */
	for (; len >= 3 && p && (p = strcasestr(p, name)); p++) {
		if (p - e->message >= 3 && !strncasecmp(p - 3, "lib", 3))
			return true;
		if ((p == e->message || !isalnum((unsigned char)p[-1])) &&
		    !isalpha((unsigned char)p[len]) && p[len] != '_')
			return true;
	}
	return false;
}

/* The name before ".@attribute" in a line of source; NULL: none */
static const char *owner_in(struct imp_arena *a, const char *line, const char *attribute)
{
	const char *dot = imp_arena_printf(a, ".%s", attribute), *p = line, *begin;

	while ((p = strstr(p, dot))) {
		for (begin = p;
		     begin > line && (isalnum((unsigned char)begin[-1]) || begin[-1] == '_');)
			begin--;
		if (begin < p)
			return imp_arena_strndup(a, begin, (size_t)(p - begin));
		p++;
	}
	return NULL;
}

/* "lib = ctypes.CDLL(name)", "lib = _load()" */
static bool is_opened(struct imp_arena *a, const char *line, const char *name)
{
	static const char *const ways[] = {"CDLL", "DLL(", "cdll",	  "dlopen",
					   "load", "Load", "find_library"};
	const char *p = line + strspn(line, " \t");
	size_t len = strlen(name);

	for (const char *dot = p; (dot = strchr(dot, '.')) && dot < p + strcspn(p, " =("); dot++)
		if (!strncmp(dot + 1, name, len))
			p = dot + 1; /* "self.lib = ..." */
	if (strncmp(p, name, len))
		return false;
	p += len;
	p += strspn(p, " \t");
	if (p[0] != '=' || p[1] == '=')
		return false;
	p = imp_arena_strndup(a, p, strcspn(p, "\n"));
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strstr(p, ways[i]))
			return true;
	return false;
}

/*
 * "lib = None" in a handler, and later "lib.function": "'NoneType' object has no attribute 'function'". That may be said of
 * anything; the source has to show that the name is a library's.
 */
static bool is_lost_library(const struct imp_case *c, const struct imp_exception *e)
{
	static const char text[] = "'NoneType' object has no attribute '";
	const char *attribute = e->message ? strstr(e->message, text) : NULL, *owner = NULL;
	unsigned int number = 1;
	char *source;
	size_t len;

	if (!attribute || !e->where.file ||
	    imp_host_read(c->host, c->a, e->where.file, SOURCE_MAX, &source, &len))
		return false;
	attribute += sizeof(text) - 1;
	attribute = imp_arena_strndup(c->a, attribute, strcspn(attribute, "'"));
	for (char *line = source; line && *attribute; number++) {
		size_t n = strcspn(line, "\n");

		if (number == e->where.line)
			owner = owner_in(c->a, imp_arena_strndup(c->a, line, n), attribute);
		line = line[n] ? line + n + 1 : NULL;
	}
	for (const char *line = source; owner && line;) {
		if (is_opened(c->a, line, owner))
			return true;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return false;
}

/* What is raised because a library is not there. Code of a handler may well fail on its own account. */
static bool is_consequence(const struct imp_case *c, const struct imp_exception *e)
{
	static const char *const words[] = {"librar", "shared object", "dlopen"};

	if (is_lost_library(c, e))
		return true;
	if (!imp_exception_is_import_error(e) && strcmp(imp_case_text(e->type), "OSError") &&
	    strcmp(imp_case_text(e->type), "RuntimeError"))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (e->message && strcasestr(e->message, words[i]))
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

/* Where its text does not name the library: the source tells, or (it can't be read) the words of the text do. */
static bool is_raised_for(const struct imp_node *n, const struct imp_dlopen *d, unsigned int *looked)
{
	const struct imp_exception *e = n->c.exception;
	int told = (*looked)++ >= LOOKED_MAX ?
			   -1 :
			   imp_fallback_load_raises(&n->c, e, imp_load_stem(n->c.a, d->name));

	return told > 0 || (told < 0 && n->c.attempt && is_consequence(&n->c, e));
}

/* A load that failed in this thread, since the import began, and that no later one made up for: what is raised speaks of it. */
static const struct imp_dlopen *swallowed(const struct imp_graph *s, const struct imp_node *n)
{
	const struct imp_exception *e = n->c.exception;
	const struct imp_dlopen *found = NULL;
	unsigned int looked = 0;
	bool named = false;

	for (size_t i = 0; i < s->image->dlopens.n; i++) {
		const struct imp_dlopen *d = s->image->dlopens.v[i];
		bool names;

		if (d->thread != n->c.thread || !d->name || !d->ended || d->end_ns > n->c.time_ns ||
		    (n->c.attempt && d->begin_ns < n->c.attempt->begin_ns) ||
		    imp_graph_of_extension(s, d))
			continue;
		if (!d->error) {
			if (found && !strcmp(imp_load_stem(n->c.a, found->name),
					     imp_load_stem(n->c.a, d->name))) {
				found = NULL;
				named = false;
			}
			continue;
		}
		names = mentions(n->c.a, e, d);
		if ((found && (named || !names)) || (!names && !is_raised_for(n, d, &looked)) ||
		    went_well_around(s, n, d))
			continue;
		found = d;
		named = names;
	}
	return found;
}

/* A word of the library's name that is none of the module's: "helper missing", of libhelper_core.so */
static bool names_a_part(const struct imp_case *c, const struct imp_dlopen *d)
{
	const char *name = imp_load_stem(c->a, d->name), *message = c->exception->message;

	for (size_t len; *name; name += len) {
		const char *word, *p;

		name += strcspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
		len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
		word = imp_arena_strndup(c->a, name, len);
		if (len < 4 || strcasestr(c->module, word))
			continue;
		for (p = message; p && (p = strcasestr(p, word)); p++)
			if ((p == message || !isalnum((unsigned char)p[-1])) &&
			    !isalnum((unsigned char)p[len]))
				return true;
	}
	return false;
}

/* The path of an extension is relative where the entry of sys.path is. */
static bool is_file_of(const struct imp_extension_call *ext, const char *path)
{
	const char *own = imp_case_text(ext->path);
	size_t len = strlen(own), whole = strlen(path);

	if (!strncmp(own, "./", 2)) {
		own += 2;
		len -= 2;
	}
	return *own && len <= whole && !strcmp(path + whole - len, own) &&
	       (len == whole || (*own != '/' && path[whole - len - 1] == '/'));
}

/*
 * What the failed init function opened in vain by its own call of dlopen. It may have gone on without, and failed for
 * another reason: its error has to speak of a library, and it must have wanted no other one.
 */
static const struct imp_dlopen *swallowed_by_init(const struct imp_node *n)
{
	const struct imp_extension_call *ext = n->c.extension;
	const struct imp_exception *e = n->c.exception;
	const char *stem;
	struct imp_loads vain;

	imp_vain_loads(&n->c, &vain);
	if (!vain.n ||
	    (!imp_exception_is_import_error(e) && strcmp(imp_case_text(e->type), "OSError") &&
	     strcmp(imp_case_text(e->type), "RuntimeError")))
		return NULL;
	stem = imp_load_stem(n->c.a, vain.v[0]->name);
	for (size_t i = 0; i < vain.n; i++) {
		const char *opener = imp_load_opener(n->c.image, vain.v[i]);

		if (!opener || !is_file_of(ext, opener) ||
		    strcmp(imp_load_stem(n->c.a, vain.v[i]->name), stem))
			return NULL;
	}
	/* "plug: no licence", of libplug.so: that is the module's own name. */
	if (is_consequence(&n->c, e) || names_a_part(&n->c, vain.v[0]))
		return vain.v[0];
	return mentions(n->c.a, e, vain.v[0]) &&
			       (!strcasestr(n->c.module, stem) ||
				strcasestr(e->message, imp_arena_printf(n->c.a, "lib%s", stem))) ?
		       vain.v[0] :
		       NULL;
}

/* Asked again, it must be the same node: what was said of it stands there. */
static struct imp_node *opened(struct imp_graph *s, struct imp_node *n, const struct imp_dlopen *d,
			       const struct imp_exception *e, const char *how)
{
	n->opened = imp_node_new(s, n->c.attempt, e, n->c.thread, n->c.py ? n->c.py->number : 0,
				 n->c.time_ns);
	n->opened->c.load = d;
	n->opened->c.extension = n->c.extension;
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
			  is_consequence(&n->c, e) || mentions(n->c.a, e, d)))
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

	if (n->opened || n->c.load || !n->c.exception || imp_from_clause_name(&n->c))
		return n->opened;
	d = n->c.extension ? swallowed_by_init(n) : swallowed(s, n);
	if (!d)
		return NULL;
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
