/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_import.h"
#include "probe_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What came of an import. The kernel is told only whether it gave a module. Where the finder found nothing, or the
 * loader said why, the exception is known; what a module's own code raised is not, unless nobody catches it:
 * then CPython prints it. So the ends of such imports wait for what comes next in their thread.
 */

/* ---- writing ------------------------------------------------------------------------------------- */

void imp_probe_put_exception(struct imp_cbor *c, unsigned int key,
			     const struct imp_probe_exception *x)
{
	imp_cbor_uint(c, key);
	imp_cbor_map_begin(c);
	imp_probe_put_text(c, IMP_EXC_TYPE, x->type ? x->type : "Exception");
	imp_probe_put_text(c, IMP_EXC_MESSAGE, x->message);
	imp_probe_put_uint(c, IMP_EXC_ID, x->id);
	imp_probe_put_text(c, IMP_EXC_NAME, x->name);
	imp_probe_put_text(c, IMP_EXC_PATH, x->path);
	imp_cbor_map_end(c);
}

void imp_probe_extension_end(struct imp_probe_image *image, pid_t tid, struct imp_probe_call *call,
			     const struct imp_probe_exception *x, uint64_t time_ns)
{
	struct imp_cbor *c;

	if (!call->extension)
		return;
	c = imp_probe_stream_begin(&image->stream, IMP_EV_EXT_END, time_ns, tid);
	imp_probe_put_uint(c, IMP_KEY_CALL, call->extension);
	if (x)
		imp_probe_put_exception(c, IMP_KEY_EXCEPTION, x);
	imp_probe_put_bool(c, IMP_KEY_DERIVED, true);
	imp_probe_stream_end(&image->stream);
	call->extension = 0;
}

static void put_searched(struct imp_cbor *c, const struct imp_probe_call *call)
{
	const char *at = call->dirs.s, *end = at + call->dirs.len, *next;

	imp_cbor_uint(c, IMP_KEY_SEARCHED);
	imp_cbor_array_begin(c);
	for (; at < end; at = next) {
		next = at + strlen(at) + 1;
		imp_cbor_array_begin(c);
		imp_probe_value(c, at, strlen(at));
		imp_probe_value(c, "FileFinder", 10);
		imp_cbor_uint(c, next == end && call->origin ? IMP_SEARCH_FOUND : IMP_SEARCH_ABSENT);
		imp_cbor_array_end(c);
	}
	imp_cbor_array_end(c);
}

static void write_end(struct imp_probe_image *image, pid_t tid, const struct imp_probe_call *call,
		      uint64_t number, const struct imp_probe_exception *x, uint64_t time_ns)
{
	struct imp_cbor *c = imp_probe_stream_begin(&image->stream, IMP_EV_IMPORT_END, time_ns, tid);

	imp_probe_put_uint(c, IMP_KEY_IMPORT, number);
	imp_probe_put_text(c, IMP_KEY_ORIGIN, call->origin);
	if (call->dirs.len)
		put_searched(c, call);
	if (x && call->stage && call->dirs.len) {
		imp_cbor_uint(c, IMP_KEY_SUBMODULE_PATH);
		imp_cbor_array_begin(c);
		for (const char *at = call->dirs.s; at < call->dirs.s + call->dirs.len;
		     at += strlen(at) + 1)
			imp_probe_value(c, at, strlen(at));
		imp_cbor_array_end(c);
	}
	if (x)
		imp_probe_put_exception(c, IMP_KEY_EXCEPTION, x);
	imp_probe_put_bool(c, IMP_KEY_DERIVED, true);
	imp_probe_stream_end(&image->stream);
}

static void write_both(struct imp_probe_image *image, pid_t tid, struct imp_probe_call *call,
		       const struct imp_probe_exception *x, uint64_t time_ns)
{
	imp_probe_extension_end(image, tid, call, x, time_ns);
	write_end(image, tid, call, call->number, x, time_ns);
}

void imp_probe_outcome_found(struct imp_probe_image *image, struct imp_probe_thread *t,
			     uint64_t time_ns)
{
	write_both(image, t->tid, imp_probe_call_import(t), NULL, time_ns);
}

/* ---- not found ----------------------------------------------------------------------------------- */

static void set_exception(struct imp_probe_image *image, struct imp_probe_exception *x,
			  const char *type, const char *message, const char *name)
{
	imp_probe_exception_clear(x);
	x->id = ++image->exceptions;
	x->type = strdup(type);
	x->message = message ? strdup(message) : NULL;
	x->name = name ? strdup(name) : NULL;
}

/* The finder's own exception: there is no module of that name where it was looked for. */
static void not_found(struct imp_probe_session *s, struct imp_probe_image *image,
		      struct imp_probe_thread *t, struct imp_probe_call *call,
		      const struct imp_bpf_event *e, struct imp_probe_exception *x)
{
	size_t len = imp_probe_name_prefix(call->name, call->stage + 1);
	const bool whole = len == strlen(call->name);
	struct imp_probe_search search = {.dirs = &call->dirs, .import = call->number};
	char name[IMP_TEXT_MAX], message[IMP_TEXT_MAX + 64];

	snprintf(name, sizeof(name), "%.*s", (int)len, call->name);
	/* Nothing at all was searched for it, and for others something was: sys.modules answered. */
	search.blocked = !call->stage && !call->dirs.len && image->sys_path.len;
	search.name = name;
	search.parent_file = imp_probe_parent_file(image, t, name);
	if (!call->stage && call->dirs.len) { /* for a top-level name all of sys.path was searched */
		imp_strbuf_reset(&image->sys_path);
		imp_strbuf_add(&image->sys_path, call->dirs.s, call->dirs.len);
	}
	if (search.blocked)
		snprintf(message, sizeof(message), "import of %s halted; None in sys.modules", name);
	else
		snprintf(message, sizeof(message), "No module named '%s'%s", name,
			 call->stage && !call->dirs.len ? "; its parent is not a package" : "");
	set_exception(image, x, "ModuleNotFoundError", message, name);
	if (!whole) { /* "import a.b", and there is no a: an attempt of its own, as the recorder sees it */
		search.import = ++image->imports;
		imp_probe_import_begin(image, search.import, call->number, name, e->time_ns, t->tid);
	}
	imp_probe_python_describe(s, image, e->time_ns, t->tid);
	imp_probe_python_path(image, e->time_ns, t->tid, search.import);
	imp_probe_snapshot(s, image, e, &search);
	if (!whole)
		write_end(image, t->tid, call, search.import, x, e->time_ns);
}

/* ---- failed -------------------------------------------------------------------------------------- */

/* Its end waits, with all that is to be written of it: the thread's list no longer has it. */
static bool postpone(struct imp_probe_thread *t, struct imp_probe_call *call, uint64_t time_ns)
{
	struct imp_probe_call *grown = realloc(t->waiting, (t->n_waiting + 1) * sizeof(*grown));

	if (!grown)
		return false;
	t->waiting = grown;
	t->waiting[t->n_waiting] = *call;
	t->waiting[t->n_waiting++].end_ns = time_ns;
	memset(call, 0, sizeof(*call)); /* its strings have moved */
	return true;
}

static void write_waiting(struct imp_probe_image *image, struct imp_probe_thread *t)
{
	for (size_t i = 0; i < t->n_waiting; i++) {
		write_both(image, t->tid, &t->waiting[i], &t->last, t->waiting[i].end_ns);
		imp_probe_call_clear(&t->waiting[i]);
	}
	t->n_waiting = 0;
}

void imp_probe_outcome_settle(struct imp_probe_image *image, struct imp_probe_thread *t)
{
	write_waiting(image, t);
}

void imp_probe_outcome_failed(struct imp_probe_session *s, struct imp_probe_image *image,
			      struct imp_probe_thread *t, const struct imp_bpf_event *e)
{
	struct imp_probe_call *call = imp_probe_call_import(t);
	struct imp_probe_exception x = {0};
	bool passed = call->inner_failed && t->last.id;

	if (passed && t->n_waiting && postpone(t, call, e->time_ns)) {
		t->last_handled = false;
		return; /* the same exception, not known yet */
	}
	if (call->error.id) {
		imp_probe_exception_copy(&x, &call->error);
	} else if (passed) {
		imp_probe_exception_copy(&x, &t->last);
	} else if (call->origin || call->extension || call->code_ran || call->nameless) {
		/* It was found, and its code raised something; or nobody knows what was looked for. */
		set_exception(image, &x, call->extension ? "ImportError" : "Exception", NULL,
			      call->nameless ? NULL : call->name);
		x.path = call->extension_path ? strdup(call->extension_path) : NULL;
		imp_probe_outcome_settle(image, t);
		imp_probe_exception_copy(&t->last, &x);
		t->last_handled = false;
		imp_probe_exception_clear(&x);
		if (!postpone(t, call, e->time_ns))
			write_both(image, t->tid, call, &t->last, e->time_ns);
		return;
	} else {
		not_found(s, image, t, call, e, &x);
	}
	imp_probe_outcome_settle(image, t);
	write_both(image, t->tid, call, &x, e->time_ns);
	imp_probe_exception_copy(&t->last, &x);
	t->last_handled = false;
	imp_probe_exception_clear(&x);
}

/* ---- the end of the program ---------------------------------------------------------------------- */

/* The first '...' behind @after; false: there is none. */
static bool quoted(const char *text, const char *after, char *out, size_t size)
{
	const char *at = strstr(text, after);

	at = at ? strchr(at + strlen(after) - 1, '\'') : NULL;
	if (!at || strcspn(at + 1, "'") >= size)
		return false;
	snprintf(out, size, "%.*s", (int)strcspn(at + 1, "'"), at + 1);
	return *out != '\0';
}

/*
 * Python's own code, importlib, asks for a module without going through C: import_module(), and the names of
 * "from package import name". Nothing told of it. Where it was not found, the exception that nobody caught says
 * so; what was searched is sys.path as it was last, or the package's directory.
 */
static bool add_unseen(struct imp_probe_session *s, struct imp_probe_image *image,
		       struct imp_probe_thread *t, const struct imp_bpf_event *e, const char *name,
		       const char *package_file)
{
	struct imp_probe_call call = {.number = ++image->imports,
				      .stage = strchr(name, '.') ? 1 : 0};
	struct imp_probe_search search = {.dirs = &call.dirs, .import = call.number, .name = name};
	uint64_t time_ns = t->n_waiting ? t->waiting[0].end_ns : e->time_ns;
	struct imp_probe_exception x = {0};
	char message[IMP_TEXT_MAX + 32];
	const char *slash;

	search.parent_file = package_file ? package_file : imp_probe_parent_file(image, t, name);
	if (!call.stage) {
		imp_strbuf_add(&call.dirs, image->sys_path.s, image->sys_path.len);
	} else {
		slash = search.parent_file ? strrchr(search.parent_file, '/') : NULL;
		if (!slash || strncmp(slash + 1, "__init__.", 9) != 0)
			return false; /* no package: nothing was looked for */
		imp_strbuf_add(&call.dirs, search.parent_file, (size_t)(slash - search.parent_file));
		imp_strbuf_add(&call.dirs, "", 1);
	}
	imp_probe_import_begin(image, call.number, t->n_waiting ? t->waiting[0].number : 0, name,
			       time_ns, t->tid);
	imp_probe_python_describe(s, image, e->time_ns, t->tid);
	imp_probe_snapshot(s, image, e, &search);
	snprintf(message, sizeof(message), "No module named '%s'", name);
	set_exception(image, &x, "ModuleNotFoundError", message, name);
	write_end(image, t->tid, &call, call.number, &x, time_ns);
	imp_strbuf_clear(&call.dirs);
	if (package_file) {
		imp_probe_exception_clear(&x); /* swallowed: "cannot import name" came of it */
		return true;
	}
	imp_probe_exception_clear(&t->last);
	t->last = x;
	t->last_handled = false;
	return true;
}

/* "cannot import name 'b' from 'a' (/x/a/__init__.py)": a package was also asked for a submodule of that name. */
static void take_from_clause(struct imp_probe_session *s, struct imp_probe_image *image,
			     struct imp_probe_thread *t, const struct imp_bpf_event *e,
			     const char *message)
{
	char name[256], package[1024], full[sizeof(name) + sizeof(package)], file[4096];
	const char *paren = strrchr(message, '(');

	if (!quoted(message, "cannot import name ", name, sizeof(name)) ||
	    !quoted(message, " from ", package, sizeof(package)))
		return;
	free(t->last.name);
	t->last.name = strdup(package);
	if (!paren || paren[1] != '/')
		return;
	snprintf(file, sizeof(file), "%.*s", (int)strcspn(paren + 1, ")"), paren + 1);
	snprintf(full, sizeof(full), "%s.%s", package, name);
	add_unseen(s, image, t, e, full, file);
}

static bool says_the_same(const struct imp_probe_thread *t, const char *message)
{
	return t->last.id && message && t->last.message && !strcmp(t->last.message, message);
}

void imp_probe_outcome_uncaught(struct imp_probe_session *s, struct imp_probe_image *image,
				struct imp_probe_thread *t, const struct imp_bpf_event *e)
{
	const char *type = e->text[0] ? e->text : "Exception";
	char *message = imp_probe_text_utf8(e->text + IMP_BPF_TYPE_MAX, e->len - IMP_BPF_TYPE_MAX,
					    e->c, e->b);
	char module[1024];
	struct imp_cbor *c;
	bool same;

	if (t->n_waiting && !t->last_handled) { /* that is what they raised */
		free(t->last.type);
		free(t->last.message);
		t->last.type = strdup(type);
		t->last.message = message ? strdup(message) : NULL;
		if (message && !strncmp(message, "cannot import name ", 19))
			take_from_clause(s, image, t, e, message);
		same = true;
	} else {
		same = says_the_same(t, message);
		if (!same && !strcmp(type, "ModuleNotFoundError") && message &&
		    quoted(message, "No module named ", module, sizeof(module)))
			same = add_unseen(s, image, t, e, module, NULL) && says_the_same(t, message);
	}
	write_waiting(image, t);
	c = imp_probe_stream_begin(&image->stream, IMP_EV_UNCAUGHT, e->time_ns, t->tid);
	imp_probe_put_uint(c, IMP_KEY_HOW, IMP_UNCAUGHT_MAIN);
	imp_cbor_uint(c, IMP_KEY_EXCEPTION);
	imp_cbor_map_begin(c);
	imp_probe_put_text(c, IMP_EXC_TYPE, type);
	imp_probe_put_text(c, IMP_EXC_MESSAGE, message);
	imp_probe_put_uint(c, IMP_EXC_ID, same ? t->last.id : e->a);
	if (same) { /* the exception of the last import that failed: we know it by a number of our own */
		imp_probe_put_text(c, IMP_EXC_NAME, t->last.name);
		imp_probe_put_text(c, IMP_EXC_PATH, t->last.path);
	} else if (t->last.id && !t->last_handled) {
		imp_probe_put_exception(c, IMP_EXC_CONTEXT, &t->last);
	}
	imp_cbor_map_end(c);
	imp_probe_put_bool(c, IMP_KEY_DERIVED, true);
	imp_probe_stream_end(&image->stream);
	free(message);
}
