/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_import.h"
#include "probe_text.h"

#include <stdlib.h>
#include <string.h>

/* Imports: their begin and their end. */

void imp_probe_import_begin(struct imp_probe_image *image, uint64_t number, uint64_t parent,
			    const char *name, uint64_t time_ns, pid_t tid)
{
	struct imp_cbor *c =
		imp_probe_stream_begin(&image->stream, IMP_EV_IMPORT_BEGIN, time_ns, tid);

	imp_probe_put_uint(c, IMP_KEY_IMPORT, number);
	imp_probe_put_text(c, IMP_KEY_TEXT, name);
	if (parent)
		imp_probe_put_uint(c, IMP_KEY_PARENT, parent);
	imp_probe_stream_end(&image->stream);
}

static void begin(struct imp_probe_image *image, struct imp_probe_thread *t,
		  const struct imp_bpf_event *e)
{
	struct imp_probe_call *outer = imp_probe_call_import(t), *call;
	char *name = e->c ? imp_probe_text_utf8(e->text, e->len, e->c, e->a) : NULL;
	bool nameless = !name;
	uint64_t parent = outer ? outer->number : 0;
	size_t len;

	imp_probe_load_settle(image, t);
	imp_probe_outcome_settle(image, t);
	if (nameless)
		name = strdup("?");
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
	call->number = ++image->imports;
	call->begin_ns = e->time_ns;
	call->name = name;
	call->nameless = nameless;
	while ((len = imp_probe_name_prefix(name, call->stage + 1)) < strlen(name) &&
	       imp_probe_imported(image, t, name, len))
		call->stage++;
	imp_probe_import_begin(image, call->number, parent, name, e->time_ns, t->tid);
}

/* The library's first package tells where the library is: ".../lib/python3.11/encodings/__init__.py" */
static void learn_stdlib(struct imp_probe_image *image, const struct imp_probe_call *call)
{
	char *slash;

	if (image->stdlib || !call->origin || strcmp(call->name, "encodings") != 0)
		return;
	image->stdlib = strdup(call->origin);
	for (int i = 0; i < 2 && image->stdlib && (slash = strrchr(image->stdlib, '/')); i++)
		*slash = '\0';
}

static void found(struct imp_probe_image *image, struct imp_probe_thread *t,
		  const struct imp_bpf_event *e)
{
	struct imp_probe_call *call = imp_probe_call_import(t), *outer = imp_probe_call_outer(t);
	size_t len = strlen(call->name), part;

	for (unsigned int i = 1;
	     !call->nameless && (part = imp_probe_name_prefix(call->name, i)) < len; i++)
		imp_probe_modules_add(&image->imported, call->name, part, NULL);
	if (!call->nameless)
		imp_probe_modules_add(&image->imported, call->name, len, call->origin);
	learn_stdlib(image, call);
	t->last_handled = true;
	imp_probe_outcome_found(image, t, e->time_ns);
	if (!outer || !imp_probe_name_is_parent(call->name, outer->name))
		return;
	/* It was imported for the sake of its submodule, which is looked for now. */
	while (imp_probe_name_prefix(outer->name, outer->stage) < len)
		imp_probe_search_next(outer);
	outer->code_ran = outer->inner_failed = false;
}

static void end(struct imp_probe_session *s, struct imp_probe_image *image,
		struct imp_probe_thread *t, const struct imp_bpf_event *e)
{
	struct imp_probe_call *outer;

	imp_probe_load_settle(image, t);
	/* What is open within it has ended with it, and was not seen to. */
	while (t->n && (t->calls[t->n - 1].is_dlopen || imp_probe_call_imports(t) > e->b + 1))
		imp_probe_call_pop(t);
	if (!t->n)
		return;
	if (e->a) {
		imp_probe_outcome_settle(image, t);
		found(image, t, e);
		imp_probe_call_pop(t);
		return;
	}
	imp_probe_outcome_failed(s, image, t, e);
	imp_probe_call_pop(t);
	outer = imp_probe_call_import(t);
	if (outer)
		outer->inner_failed = true;
	imp_probe_stream_flush(&image->stream);
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
	case IMP_BPF_UNCAUGHT: imp_probe_outcome_uncaught(s, image, t, e); break;
	}
}
