/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Imports: what is looked for where, and what came of it. */

#define IMPORTED_MAX (4u << 20) /* bytes of names and files of one process */

/* ---- names --------------------------------------------------------------------------------------- */

/* Part @i of a dotted name; false: it has fewer. */
static bool name_part(const char *name, unsigned int i, const char **part, size_t *len)
{
	for (; i; i--) {
		name = strchr(name, '.');
		if (!name)
			return false;
		name++;
	}
	*part = name;
	*len = strcspn(name, ".");
	return true;
}

/* Length of the first @n parts. */
static size_t prefix_length(const char *name, unsigned int n)
{
	const char *part;
	size_t len = 0;

	for (unsigned int i = 0; i < n && name_part(name, i, &part, &len); i++)
		len += (size_t)(part - name);
	return len;
}

/* File of a module that came in well; "": it has none that is known. NULL: it is not there. */
static const char *imported_file(const struct imp_probe_image *image, const char *name, size_t len)
{
	const char *at = image->imported.s, *end = at + image->imported.len, *file;

	for (; at && at < end; at = file + strlen(file) + 1) {
		size_t n = strlen(at);

		file = at + n + 1;
		if (n == len && !memcmp(at, name, len))
			return file;
	}
	return NULL;
}

static void add_imported(struct imp_probe_image *image, const char *name, size_t len, const char *file)
{
	if (imported_file(image, name, len) || image->imported.len > IMPORTED_MAX)
		return;
	imp_strbuf_add(&image->imported, name, len);
	imp_strbuf_add(&image->imported, "", 1);
	imp_strbuf_add(&image->imported, file ? file : "", file ? strlen(file) + 1 : 1);
}

/* A parent counts from the moment when its own import runs its code. */
static bool is_there(const struct imp_probe_image *image, const struct imp_probe_thread *t, const char *name,
		     size_t len)
{
	for (size_t i = 0; i + 1 < t->n; i++)
		if (!t->calls[i].is_dlopen && !strncmp(t->calls[i].name, name, len) && !t->calls[i].name[len] &&
		    (t->calls[i].code_ran || t->calls[i].origin))
			return true;
	return imported_file(image, name, len) != NULL;
}

/* "from ..b import c" (level 2, "b") within a.x.y: "a.b" */
static char *absolute_name(struct imp_probe_thread *t, const char *name, int64_t level)
{
	const struct imp_probe_call *outer = imp_probe_call_import(t);
	const char *slash;
	size_t len;
	char *full;

	if (level <= 0)
		return strdup(name);
	if (outer) {
		slash = outer->origin ? strrchr(outer->origin, '/') : NULL;
		/* A package is its own first level. */
		if (slash && !strncmp(slash + 1, "__init__.", 9))
			level--;
		len = strlen(outer->name);
		for (; level > 0 && len; level--) {
			const char *dot = memrchr(outer->name, '.', len);

			len = dot ? (size_t)(dot - outer->name) : 0;
		}
		if (len && asprintf(&full, "%.*s%s%s", (int)len, outer->name, *name ? "." : "", name) >= 0)
			return full;
	}
	return asprintf(&full, "%.*s%s", (int)(level < 8 ? level : 8), "........", name) >= 0 ? full : NULL;
}

/* ---- the search ---------------------------------------------------------------------------------- */

static bool list_has(const struct imp_strbuf *list, const char *text)
{
	const char *at = list->s, *end = at + list->len;

	for (; at && at < end; at += strlen(at) + 1)
		if (!strcmp(at, text))
			return true;
	return false;
}

static void list_add(struct imp_strbuf *list, const char *text)
{
	list->limit = 1 << 18;
	if (!list_has(list, text))
		imp_strbuf_add(list, text, strlen(text) + 1);
}

static void next_stage(struct imp_probe_call *call)
{
	call->stage++;
	imp_strbuf_reset(&call->dirs);
	imp_strbuf_reset(&call->spaces);
}

/* Is @path, in a directory that was searched, a directory of the name that is looked for? */
static bool is_portion(const struct imp_probe_call *call, const char *path, const char *part, size_t len)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];

	if (!slash || strlen(slash + 1) != len || memcmp(slash + 1, part, len) != 0)
		return false;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	return list_has(&call->dirs, dir);
}

/* FileFinder looks at each directory's time, then at names in it; at regular files only where they are the module. */
void imp_probe_import_looks(struct imp_probe_image *image, struct imp_probe_thread *t,
			    const struct imp_bpf_event *e)
{
	struct imp_probe_call *call = t->n ? &t->calls[t->n - 1] : NULL;
	const char *path = e->len ? e->text : "", *slash = strrchr(path, '/'), *file, *part;
	size_t len;

	(void)image;
	if (!call || call->is_dlopen || call->origin || e->call != IMP_BPF_STAT || e->result < 0 ||
	    path[0] != '/' || !name_part(call->name, call->stage, &part, &len))
		return;
	file = slash + 1;
	if (S_ISDIR(e->b)) {
		/* Code that runs may look at directories too. The search for a submodule begins in its package's. */
		if (call->package && !strcmp(call->package, path)) {
			call->code_ran = call->inner_failed = false;
			free(call->package);
			call->package = NULL;
		}
		if (call->code_ran || call->package)
			return;
		if (list_has(&call->spaces, path))
			next_stage(call); /* a namespace package: its directories are searched now */
		else if (is_portion(call, path, part, len)) {
			list_add(&call->spaces, path);
			return;
		}
		list_add(&call->dirs, path);
		return;
	}
	if (!S_ISREG(e->b))
		return;
	if ((strncmp(file, part, len) || file[len] != '.') &&
	    !(!strncmp(file, "__init__.", 9) && (size_t)(slash - path) > len && slash[-(ptrdiff_t)len - 1] == '/' &&
	      !strncmp(slash - len, part, len)))
		return;
	if (call->name + strlen(call->name) != part + len) {
		next_stage(call); /* the parent was found, and is imported now */
		free(call->package);
		call->package = strndup(path, (size_t)(slash - path));
	} else {
		call->origin = strdup(path);
	}
}

/* ---- begin and end ------------------------------------------------------------------------------- */

static void write_begin(struct imp_probe_image *image, uint64_t number, const struct imp_probe_call *outer,
			const char *name, uint64_t time_ns, pid_t tid)
{
	struct imp_cbor *c = imp_probe_stream_begin(&image->stream, IMP_EV_IMPORT_BEGIN, time_ns, tid);

	imp_probe_put_uint(c, IMP_KEY_IMPORT, number);
	imp_probe_put_text(c, IMP_KEY_TEXT, name);
	if (outer)
		imp_probe_put_uint(c, IMP_KEY_PARENT, outer->number);
	imp_probe_stream_end(&image->stream);
}

static void begin(struct imp_probe_image *image, struct imp_probe_thread *t, const struct imp_bpf_event *e)
{
	struct imp_probe_call *outer = imp_probe_call_import(t), *call;
	char *name = absolute_name(t, e->len ? e->text : "?", (int64_t)e->a);
	uint64_t number = image->imports + 1, outer_number = outer ? outer->number : 0;
	size_t len;

	imp_probe_load_settle(image, t);
	if (!name)
		return;
	t->last_handled = true;
	if (outer) {
		outer->code_ran = true;
		outer->inner_failed = false;
	}
	call = imp_probe_call_push(t); /* moves @outer */
	if (!call) {
		free(name);
		return;
	}
	image->imports = number;
	call->number = number;
	call->begin_ns = e->time_ns;
	call->name = name;
	while ((len = prefix_length(name, call->stage + 1)) < strlen(name) && is_there(image, t, name, len))
		call->stage++;
	write_begin(image, number, outer_number ? &(struct imp_probe_call){.number = outer_number} : NULL, name,
		    e->time_ns, t->tid);
}

void imp_probe_put_exception(struct imp_cbor *c, unsigned int key, const struct imp_probe_exception *x)
{
	imp_cbor_uint(c, key);
	imp_cbor_map_begin(c);
	imp_probe_put_text(c, IMP_EXC_TYPE, x->type ? x->type : "?");
	imp_probe_put_text(c, IMP_EXC_MESSAGE, x->message);
	imp_probe_put_uint(c, IMP_EXC_ID, x->id);
	imp_probe_put_text(c, IMP_EXC_NAME, x->name);
	imp_probe_put_text(c, IMP_EXC_PATH, x->path);
	imp_cbor_map_end(c);
}

static void end_extension(struct imp_probe_image *image, struct imp_probe_thread *t,
			  struct imp_probe_call *call, const struct imp_probe_exception *x, uint64_t time_ns)
{
	struct imp_cbor *c;

	if (!call->extension)
		return;
	c = imp_probe_stream_begin(&image->stream, IMP_EV_EXT_END, time_ns, t->tid);
	imp_probe_put_uint(c, IMP_KEY_CALL, call->extension);
	if (x)
		imp_probe_put_exception(c, IMP_KEY_EXCEPTION, x);
	imp_probe_put_bool(c, IMP_KEY_DERIVED, true);
	imp_probe_stream_end(&image->stream);
	call->extension = 0;
}

static void write_end(struct imp_probe_image *image, struct imp_probe_thread *t,
		      const struct imp_probe_call *call, uint64_t number, const struct imp_probe_exception *x,
		      uint64_t time_ns, bool submodule)
{
	struct imp_cbor *c = imp_probe_stream_begin(&image->stream, IMP_EV_IMPORT_END, time_ns, t->tid);
	const char *at = call->dirs.s, *end = at + call->dirs.len, *next;

	imp_probe_put_uint(c, IMP_KEY_IMPORT, number);
	imp_probe_put_text(c, IMP_KEY_ORIGIN, call->origin);
	if (call->dirs.len) {
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
	if (x && submodule && call->dirs.len) {
		imp_cbor_uint(c, IMP_KEY_SUBMODULE_PATH);
		imp_cbor_array_begin(c);
		for (at = call->dirs.s; at < end; at += strlen(at) + 1)
			imp_probe_value(c, at, strlen(at));
		imp_cbor_array_end(c);
	}
	if (x)
		imp_probe_put_exception(c, IMP_KEY_EXCEPTION, x);
	imp_probe_put_bool(c, IMP_KEY_DERIVED, true);
	imp_probe_stream_end(&image->stream);
}

static const char *parent_file(const struct imp_probe_image *image, const struct imp_probe_thread *t,
			       const char *name)
{
	const char *dot = strrchr(name, '.'), *file;
	size_t len = dot ? (size_t)(dot - name) : 0;

	for (size_t i = 0; dot && i < t->n; i++)
		if (!t->calls[i].is_dlopen && !strncmp(t->calls[i].name, name, len) && !t->calls[i].name[len])
			return t->calls[i].origin;
	file = dot ? imported_file(image, name, len) : NULL;
	return file && *file ? file : NULL;
}

/* The finder's own exception: there is no module of that name where it was looked for. */
static void not_found(struct imp_probe_session *s, struct imp_probe_image *image, struct imp_probe_thread *t,
		      struct imp_probe_call *call, const struct imp_bpf_event *e, struct imp_probe_exception *x)
{
	size_t len = prefix_length(call->name, call->stage + 1);
	bool whole = len == strlen(call->name), blocked;
	uint64_t number = call->number;
	char *name = strndup(call->name, len), *message = NULL;
	struct imp_probe_search search = {.dirs = &call->dirs};
	const char *why = "";

	blocked = !call->stage && !call->dirs.len && image->sys_path.len;
	if (!call->stage && call->dirs.len) { /* for a top-level name all of sys.path was searched */
		imp_strbuf_reset(&image->sys_path);
		imp_strbuf_add(&image->sys_path, call->dirs.s, call->dirs.len);
	}
	if (call->stage && !call->dirs.len)
		why = "; its parent is not a package";
	if (!name || asprintf(&message, blocked ? "import of %s halted; None in sys.modules" : "No module named '%s'%s",
			      name, why) < 0)
		message = NULL;
	x->id = ++image->exceptions;
	x->type = strdup("ModuleNotFoundError");
	x->message = message;
	x->name = name;
	if (!whole) { /* "import a.b", and there is no a: an attempt of its own, as the recorder sees it */
		number = ++image->imports;
		write_begin(image, number, call, name, e->time_ns, t->tid);
	}
	imp_probe_python_describe(s, image, e->time_ns, t->tid);
	imp_probe_python_path(image, e->time_ns, t->tid, number);
	search.import = number;
	search.name = name ? name : call->name;
	search.parent_file = parent_file(image, t, search.name);
	search.blocked = blocked;
	imp_probe_snapshot(image, e, &search);
	if (!whole)
		write_end(image, t, call, number, x, e->time_ns, call->stage > 0);
}

/* What the import raised, as far as it can be told. */
static void find_exception(struct imp_probe_session *s, struct imp_probe_image *image,
			   struct imp_probe_thread *t, struct imp_probe_call *call,
			   const struct imp_bpf_event *e, struct imp_probe_exception *x)
{
	if (call->error.id) {
		imp_probe_exception_copy(x, &call->error);
	} else if (call->inner_failed && t->last.id) {
		imp_probe_exception_copy(x, &t->last); /* it passed through */
	} else if (call->origin || call->extension || call->code_ran) {
		/* The module was found: its code raised something. */
		x->id = ++image->exceptions;
		x->type = strdup(call->extension ? "ImportError" : "Exception");
		x->name = strdup(call->name);
		x->path = call->extension_path ? strdup(call->extension_path) : NULL;
	} else {
		not_found(s, image, t, call, e, x);
	}
}

/* "a" of "a.b" */
static bool is_parent(const char *name, const char *of)
{
	size_t len = strlen(name);

	return !strncmp(name, of, len) && of[len] == '.';
}

static void end(struct imp_probe_session *s, struct imp_probe_image *image, struct imp_probe_thread *t,
		const struct imp_bpf_event *e)
{
	struct imp_probe_exception x = {0};
	struct imp_probe_call *call, *outer, *parent_of;
	bool found = e->a != 0;

	imp_probe_load_settle(image, t);
	while (t->n && t->calls[t->n - 1].is_dlopen)
		imp_probe_call_pop(t); /* its end was lost */
	if (!t->n)
		return;
	call = &t->calls[t->n - 1];
	if (found) {
		for (unsigned int i = 1; prefix_length(call->name, i) < strlen(call->name) && i < 16; i++)
			add_imported(image, call->name, prefix_length(call->name, i), NULL);
		add_imported(image, call->name, strlen(call->name), call->origin);
		t->last_handled = true;
		if (!image->stdlib && call->origin && !strcmp(call->name, "encodings")) {
			/* ".../lib/python3.11/encodings/__init__.py" */
			image->stdlib = strdup(call->origin);
			for (int i = 0; i < 2; i++)
				*strrchr(image->stdlib, '/') = '\0';
		}
	} else {
		find_exception(s, image, t, call, e, &x);
	}
	end_extension(image, t, call, found ? NULL : &x, e->time_ns);
	write_end(image, t, call, call->number, found ? NULL : &x, e->time_ns, call->stage > 0);
	parent_of = imp_probe_call_outer(t);
	if (found && parent_of && is_parent(call->name, parent_of->name)) {
		/* It was imported for the sake of its submodule, which is looked for now. */
		while (prefix_length(parent_of->name, parent_of->stage) < strlen(call->name))
			next_stage(parent_of);
		parent_of->code_ran = parent_of->inner_failed = false;
	}
	imp_probe_call_pop(t);
	outer = imp_probe_call_import(t);
	if (!found) {
		imp_probe_exception_copy(&t->last, &x);
		t->last_ns = e->time_ns;
		t->last_handled = false;
		if (outer)
			outer->inner_failed = true;
		imp_probe_stream_flush(&image->stream);
	}
	imp_probe_exception_clear(&x);
}

/* ---- the end of the program ---------------------------------------------------------------------- */

/*
 * importlib.import_module() asks for a module without going through C: nothing told of it. Where it was not found,
 * the exception that nobody caught says so; what was searched is sys.path as it was last, or its parent's directory.
 */
static void add_unseen(struct imp_probe_session *s, struct imp_probe_image *image, struct imp_probe_thread *t,
		       const struct imp_bpf_event *e, const char *message)
{
	static const char begins[] = "No module named '";
	struct imp_probe_search search = {.dirs = &image->sys_path};
	struct imp_probe_call call = {.number = image->imports + 1};
	struct imp_strbuf own = {0};
	const char *name, *slash;
	char *copy;

	if (!message || strncmp(message, begins, sizeof(begins) - 1) != 0)
		return;
	name = message + sizeof(begins) - 1;
	copy = strndup(name, strcspn(name, "'"));
	if (!copy)
		return;
	search.name = copy;
	search.import = ++image->imports;
	search.parent_file = parent_file(image, t, copy);
	if (strchr(copy, '.')) {
		slash = search.parent_file ? strrchr(search.parent_file, '/') : NULL;
		if (slash) {
			imp_strbuf_add(&own, search.parent_file, (size_t)(slash - search.parent_file));
			imp_strbuf_add(&own, "", 1);
		}
		search.dirs = &own;
	}
	write_begin(image, call.number, NULL, copy, e->time_ns, t->tid);
	imp_probe_python_describe(s, image, e->time_ns, t->tid);
	imp_probe_snapshot(image, e, &search);
	imp_probe_exception_clear(&t->last);
	t->last.id = ++image->exceptions;
	t->last.type = strdup("ModuleNotFoundError");
	t->last.message = strdup(message);
	t->last.name = copy;
	t->last_handled = false;
	call.dirs = *search.dirs;
	write_end(image, t, &call, call.number, &t->last, e->time_ns, search.dirs == &own);
	imp_strbuf_clear(&own);
}

static void take_uncaught(struct imp_probe_session *s, struct imp_probe_image *image,
			  struct imp_probe_thread *t, const struct imp_bpf_event *e)
{
	const char *type = e->len ? e->text : "Exception", *dot = strrchr(type, '.'), *message = NULL;
	size_t used = strlen(type) + 1;
	bool same;
	struct imp_cbor *c;

	if (e->len > used)
		message = e->text + used;
	if (dot && !strncmp(type, "builtins.", 9))
		type = dot + 1;
	if (!strcmp(type, "ModuleNotFoundError") &&
	    !(t->last.id && t->last.message && message && !strcmp(t->last.message, message)))
		add_unseen(s, image, t, e, message);
	/* The exception of the last import that failed: the probe knows it by a number of its own. */
	same = t->last.id && message && t->last.message && !strcmp(t->last.message, message);
	c = imp_probe_stream_begin(&image->stream, IMP_EV_UNCAUGHT, e->time_ns, t->tid);
	imp_probe_put_uint(c, IMP_KEY_HOW, IMP_UNCAUGHT_MAIN);
	imp_cbor_uint(c, IMP_KEY_EXCEPTION);
	imp_cbor_map_begin(c);
	imp_probe_put_text(c, IMP_EXC_TYPE, type);
	imp_probe_put_text(c, IMP_EXC_MESSAGE, message);
	imp_probe_put_uint(c, IMP_EXC_ID, same ? t->last.id : e->a);
	if (same) {
		imp_probe_put_text(c, IMP_EXC_NAME, t->last.name);
		imp_probe_put_text(c, IMP_EXC_PATH, t->last.path);
	} else if (t->last.id && !t->last_handled) {
		imp_probe_put_exception(c, IMP_EXC_CONTEXT, &t->last);
	}
	imp_cbor_map_end(c);
	imp_probe_put_bool(c, IMP_KEY_DERIVED, true);
	imp_probe_stream_end(&image->stream);
}

void imp_probe_take_import(struct imp_probe_session *s, struct imp_probe_image *image,
			   const struct imp_bpf_event *e)
{
	struct imp_probe_thread *t = imp_probe_thread_get(image, (pid_t)e->tid);

	if (!t)
		return;
	imp_probe_image_describe(s, image);
	if (image->maps_changed)
		imp_probe_objects_read(s, image, e->time_ns, t->tid);
	if (!image->interpreter_written || (image->stdlib && image->interpreter_written < 2))
		imp_probe_python_describe(s, image, e->time_ns, t->tid);
	switch (e->kind) {
	case IMP_BPF_IMPORT_BEGIN: begin(image, t, e); break;
	case IMP_BPF_IMPORT_END: end(s, image, t, e); break;
	case IMP_BPF_UNCAUGHT: take_uncaught(s, image, t, e); break;
	}
}
