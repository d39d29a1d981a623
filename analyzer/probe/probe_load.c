/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* dlopen, dlsym, dlerror; and which of them are an import's load of an extension module. */

static const char *text_of(const struct imp_bpf_event *e)
{
	return e->len ? e->text : "";
}

/* ---- extension modules --------------------------------------------------------------------------- */

/* "/x/pkg/_native.cpython-311-x86_64-linux-gnu.so" of a.pkg._native, "_native.so", "_nativemodule.so" */
static bool is_module_file(const char *path, const char *module)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(module, '.');
	const char *file = slash ? slash + 1 : path, *tail = dot ? dot + 1 : module;
	size_t len = strlen(tail);

	if (strncmp(file, tail, len) != 0)
		return false;
	return file[len] == '.' || strcmp(file + len, "module.so") == 0;
}

/* An import opens a file of its own name: CPython's _imp.create_dynamic, up to the end of its init function. */
static void begin_extension(struct imp_probe_image *image, struct imp_probe_thread *t,
			    const char *path, const struct imp_bpf_event *e)
{
	struct imp_probe_call *import = imp_probe_call_import(t);
	struct imp_cbor *c;

	if (!import || import != &t->calls[t->n - 1] || import->extension ||
	    !is_module_file(path, import->name))
		return;
	import->extension = ++image->calls;
	free(import->extension_path);
	import->extension_path = strdup(path);
	c = imp_probe_stream_begin(&image->stream, IMP_EV_EXT_BEGIN, e->time_ns, (pid_t)e->tid);
	imp_probe_put_uint(c, IMP_KEY_CALL, import->extension);
	imp_probe_put_uint(c, IMP_KEY_STEP, IMP_STEP_CREATE);
	imp_probe_put_text(c, IMP_KEY_TEXT, import->name);
	imp_probe_put_text(c, IMP_KEY_ORIGIN, path);
	imp_probe_put_uint(c, IMP_KEY_IMPORT, import->number);
	imp_probe_put_bool(c, IMP_KEY_DERIVED, true);
	imp_probe_stream_end(&image->stream);
}

/* What the import is going to raise for it: CPython puts the loader's text into an ImportError. */
static void set_error(struct imp_probe_image *image, struct imp_probe_call *import, const char *text)
{
	struct imp_probe_exception *x = &import->error;

	imp_probe_exception_clear(x);
	x->id = ++image->exceptions;
	x->type = strdup("ImportError");
	x->message = strdup(text);
	x->name = strdup(import->name);
	x->path = import->extension_path ? strdup(import->extension_path) : NULL;
}

/* ---- dlopen -------------------------------------------------------------------------------------- */

static void write_leave(struct imp_probe_image *image, pid_t tid, uint64_t number, uint64_t time_ns,
			uint64_t handle, uint64_t object, const char *error)
{
	struct imp_cbor *c =
		imp_probe_stream_begin(&image->stream, IMP_EV_DLOPEN_LEAVE, time_ns, tid);

	imp_probe_put_uint(c, IMP_KEY_CALL, number);
	imp_probe_put_uint(c, IMP_KEY_HANDLE, handle);
	if (object)
		imp_probe_put_uint(c, IMP_KEY_OBJECT, object);
	imp_probe_put_text(c, IMP_KEY_ERROR, error);
	imp_probe_stream_end(&image->stream);
}

void imp_probe_load_settle(struct imp_probe_image *image, struct imp_probe_thread *t)
{
	if (!t->failed.number)
		return;
	write_leave(image, t->tid, t->failed.number, t->failed.end_ns, 0, 0, NULL);
	t->failed.number = 0;
	free(t->failed.name);
	t->failed.name = NULL;
}

static void put_caller(struct imp_cbor *c, struct imp_probe_image *image, uint64_t address)
{
	const struct imp_probe_object *o = imp_probe_object_at(image, address);

	imp_probe_put_uint(c, IMP_KEY_CALLER, o ? o->number : 0);
	imp_probe_put_uint(c, IMP_KEY_OFFSET, o ? address - o->address : address);
}

static void enter(struct imp_probe_image *image, struct imp_probe_thread *t,
		  const struct imp_bpf_event *e)
{
	const char *name = e->d ? NULL : text_of(e);
	struct imp_probe_call *call;
	struct imp_cbor *c;

	imp_probe_load_settle(image, t);
	if (name)
		begin_extension(image, t, name, e);
	call = imp_probe_call_push(t);
	if (!call)
		return;
	call->is_dlopen = true;
	call->number = ++image->calls;
	call->begin_ns = e->time_ns;
	call->name = name ? strdup(name) : NULL;
	c = imp_probe_stream_begin(&image->stream, IMP_EV_DLOPEN_ENTER, e->time_ns, t->tid);
	imp_probe_put_uint(c, IMP_KEY_CALL, call->number);
	imp_probe_put_text(c, IMP_KEY_TEXT, name);
	imp_probe_put_uint(c, IMP_KEY_FLAGS, e->a);
	put_caller(c, image, e->b);
	if (e->c)
		imp_probe_put_int(c, IMP_KEY_NAMESPACE, (int64_t)e->c);
	imp_probe_stream_end(&image->stream);
}

static void leave(struct imp_probe_image *image, struct imp_probe_thread *t,
		  const struct imp_bpf_event *e)
{
	const struct imp_probe_object *o = NULL;
	struct imp_probe_call *call = t->n ? &t->calls[t->n - 1] : NULL;

	if (!call || !call->is_dlopen)
		return;
	if (e->a) {
		if (call->name)
			o = imp_probe_object_named(image, call->name);
		write_leave(image, t->tid, call->number, e->time_ns, e->a, o ? o->number : 0, NULL);
	} else {
		/* Its text comes with the dlerror() that follows. */
		imp_probe_load_settle(image, t);
		t->failed.number = call->number;
		t->failed.end_ns = e->time_ns;
		t->failed.name = call->name ? strdup(call->name) : NULL;
	}
	imp_probe_call_pop(t);
}

static void take_dlerror(struct imp_probe_image *image, struct imp_probe_thread *t,
			 const struct imp_bpf_event *e)
{
	struct imp_probe_call *import = imp_probe_call_import(t);
	const char *text = text_of(e);

	if (!t->failed.number)
		return;
	if (import && import->extension && t->failed.name && import->extension_path &&
	    !strcmp(t->failed.name, import->extension_path))
		set_error(image, import, text);
	write_leave(image, t->tid, t->failed.number, t->failed.end_ns, 0, 0, text);
	t->failed.number = 0;
	free(t->failed.name);
	t->failed.name = NULL;
}

/* ---- dlsym --------------------------------------------------------------------------------------- */

static void take_dlsym(struct imp_probe_image *image, struct imp_probe_thread *t,
		       const struct imp_bpf_event *e)
{
	struct imp_probe_call *import = imp_probe_call_import(t);
	const char *symbol = text_of(e);
	struct imp_cbor *c;
	char text[4200];

	imp_probe_load_settle(image, t);
	c = imp_probe_stream_begin(&image->stream, IMP_EV_DLSYM, e->time_ns, t->tid);
	imp_probe_put_uint(c, IMP_KEY_HANDLE, e->a);
	imp_probe_put_text(c, IMP_KEY_TEXT, symbol);
	put_caller(c, image, e->c);
	imp_probe_put_uint(c, IMP_KEY_ADDRESS, e->b);
	imp_probe_stream_end(&image->stream);
	/* CPython's words, Python/importdl.c */
	if (!e->b && import && import->extension &&
	    (!strncmp(symbol, "PyInit", 6) || !strncmp(symbol, "init", 4))) {
		snprintf(text, sizeof(text),
			 "dynamic module does not define module export function (%s)", symbol);
		set_error(image, import, text);
	}
}

/* _PyImport_LoadDynamicModuleWithSpec came back with a module; where it did not, its import's end says why. */
static void take_extension_end(struct imp_probe_image *image, struct imp_probe_thread *t,
			       const struct imp_bpf_event *e)
{
	struct imp_probe_call *import = imp_probe_call_import(t);

	if (import && import == &t->calls[t->n - 1] && e->a)
		imp_probe_extension_end(image, t->tid, import, NULL, e->time_ns);
}

void imp_probe_take_load(struct imp_probe_session *s, struct imp_probe_image *image,
			 const struct imp_bpf_event *e)
{
	struct imp_probe_thread *t = imp_probe_thread_get(image, (pid_t)e->tid);

	if (!t)
		return;
	imp_probe_image_describe(s, image);
	if (image->maps_changed)
		imp_probe_objects_read(s, image, e->time_ns, t->tid);
	switch (e->kind) {
	case IMP_BPF_DLOPEN_ENTER: enter(image, t, e); break;
	case IMP_BPF_DLOPEN_LEAVE: leave(image, t, e); break;
	case IMP_BPF_DLERROR: take_dlerror(image, t, e); break;
	case IMP_BPF_DLSYM: take_dlsym(image, t, e); break;
	case IMP_BPF_EXT_END: take_extension_end(image, t, e); break;
	}
}
