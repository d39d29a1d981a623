/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_install.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "python_extension.h"
#include "python_function.h"
#include "python_import.h"
#include "python_interpreter.h"
#include "python_uncaught.h"
#include "recorder.h"
#include "poison.h"

#define FIND_AND_LOAD "_find_and_load"
#define FIND_SPEC     "find_spec"

static const struct {
	const char *module;
	const char *name;
	PyObject *(*run)(struct imp_interp *in, const struct imp_call *call);
} hooks[IMP_HOOKS] = {
	[IMP_HOOK_CREATE_DYNAMIC] = {"_imp", "create_dynamic", imp_extension_create},
	[IMP_HOOK_EXEC_DYNAMIC] = {"_imp", "exec_dynamic", imp_extension_exec},
	[IMP_HOOK_EXCEPTHOOK] = {"sys", "excepthook", imp_uncaught_main},
	[IMP_HOOK_EXIT] = {"sys", "exit", imp_uncaught_exit},
	[IMP_HOOK_THREAD_EXCEPTHOOK] = {"_thread", "_excepthook", imp_uncaught_thread},
};

static _Atomic uint32_t next_number; /* IMP_KEY_INTERP */

/* The __dict__ of a module in sys.modules: borrowed, NULL where it is none. */
static PyObject *module_dict(const struct imp_python_api *py, const char *name)
{
	PyObject *module = imp_python_dict_get(py, imp_python_modules(py), name);
	PyObject *dict = imp_python_is_module(py, module) ? py->PyModule_GetDict(module) : NULL;

	imp_python_drop(py, module);
	return dict;
}

void imp_hooks_tell_failure(const char *what)
{
	struct imp_thread *t = imp_thread_enter();

	if (!t)
		return;
	imp_record_note(t, IMP_NOTE_HOOKS_FAILED, 0, what);
	imp_thread_leave(t);
}

/* ---- functions written in C ---------------------------------------------------------------------- */

/* Does it lie in a segment of the CPython's that may be written, also after relocation? */
static bool is_writable(const struct imp_hooks *p, const void *object, size_t size)
{
	uintptr_t from = (uintptr_t)object, to = from + size;
	bool writable = false;
	size_t i;

	for (i = 0; i < p->phnum; i++) {
		uintptr_t start = p->base + p->phdr[i].p_vaddr, end = start + p->phdr[i].p_memsz;

		if (p->phdr[i].p_type == PT_LOAD && from >= start && to <= end)
			writable = p->phdr[i].p_flags & PF_W;
		if (p->phdr[i].p_type == PT_GNU_RELRO && from < end && to > start)
			return false;
	}
	return writable;
}

/*
 * The function's entry in its module's table: what a builtin_function_or_method begins with, behind the
 * PyObject head, since 3.0 at least. Compared with what the API says of it. NULL: not as we know it.
 */
static struct imp_method_def *method_def(const struct imp_hooks *p, PyObject *function,
					 const char *name)
{
	const struct imp_python_api *py = &p->api;
	struct imp_method_def *def;

	memcpy(&def, (const char *)function + py->types.object_size, sizeof(def));
	if (!is_writable(p, def, sizeof(*def)) ||
	    (void *)def->function != py->PyCFunction_GetFunction(function) ||
	    def->flags != py->PyCFunction_GetFlags(function) || strcmp(def->name, name))
		return NULL;
	switch (def->flags) {
	case IMP_METH_VARARGS:
	case IMP_METH_VARARGS | IMP_METH_KEYWORDS:
	case IMP_METH_O:
	case IMP_METH_FASTCALL:
	case IMP_METH_FASTCALL | IMP_METH_KEYWORDS: return def;
	default: return NULL;
	}
}

/* Once for all interpreters: they share the table. */
static void hook_c_function(struct imp_hooks *p, enum imp_hook hook)
{
	const struct imp_python_api *py = &p->api;
	PyObject *dict, *function;
	struct imp_method_def *def = NULL;

	def = p->originals[hook].def;
	if (def) { /* in an interpreter before, or in an attach before */
		if (def->function == p->originals[hook].function)
			__atomic_store_n(&def->function, p->functions[hook], __ATOMIC_RELEASE);
		return;
	}
	dict = module_dict(py, hooks[hook].module);
	function = imp_python_dict_get(py, dict, hooks[hook].name);
	if (!function) /* _thread._excepthook is there since 3.8 */
		return;
	if (imp_python_is(py, function, py->types.builtin_function))
		def = method_def(p, function, hooks[hook].name);
	if (def) {
		p->originals[hook].flags = def->flags;
		p->originals[hook].function = def->function;
		p->originals[hook].def = def;
		__atomic_store_n(&def->function, p->functions[hook], __ATOMIC_RELEASE);
	} else {
		imp_hooks_tell_failure(hooks[hook].name);
	}
	py->Py_DecRef(function);
}

struct imp_interp *imp_hooks_interp(struct imp_hooks *p)
{
	return imp_interp_find(&p->interps, imp_interp_key(&p->api));
}

PyObject *imp_hooks_call(struct imp_hooks *p, enum imp_hook hook, PyObject *self, const void *a,
			 ssize_t b, PyObject *c)
{
	struct imp_interp *in = imp_hooks_interp(p);
	struct imp_call call = {
		.py = &p->api,
		.function = p->originals[hook].function,
		.self = self,
		.flags = p->originals[hook].flags,
		.a = a,
		.b = b,
		.c = c,
	};

	/* Not reached by python_attach.c: one with a GIL of its own, or younger than the attach. */
	if (!in && p->attached && hook == IMP_HOOK_CREATE_DYNAMIC) {
		imp_hooks_install(p);
		in = imp_hooks_interp(p);
	}
	/* Not one of ours: set up before we came, or taken apart already. */
	return in ? hooks[hook].run(in, &call) : imp_call_original(&call);
}

/* ---- functions written in Python ----------------------------------------------------------------- */

/*
 * FileFinder.find_spec is not there from the very beginning. It is hooked by the first import that finds
 * it.
 */
static void hook_find_spec(struct imp_interp *in)
{
	const struct imp_python_api *py = in->py;
	PyObject *dict = module_dict(py, "_frozen_importlib_external");
	PyObject *finder = imp_python_dict_get(py, dict, "FileFinder");
	PyObject *original = NULL, *function = NULL;
	struct imp_python_error error;

	imp_python_error_save(py, &error);
	if (imp_python_is(py, finder, py->types.type)) {
		in->file_finder = finder; /* Tried once. */
		original = imp_python_attr(py, finder, FIND_SPEC);
	}
	if (imp_python_is(py, original, py->types.function)) {
		imp_interp_keep(in);
		function = imp_function_new(in->common, in->function_type, original, in->names.kept,
					    in, imp_import_find_spec);
		if (!function)
			imp_interp_release(in);
	}
	if (function && py->PyObject_SetAttrString(finder, FIND_SPEC, function) < 0)
		py->PyErr_Clear();
	imp_python_drop(py, function);
	imp_python_drop(py, original);
	imp_python_drop(py, finder);
	imp_python_error_restore(py, &error);
}

_Static_assert(offsetof(struct imp_hooks, api) == 0, "see find_and_load()");

static PyObject *find_and_load(struct imp_interp *in, const struct imp_call *call)
{
	/* The first thing in a struct imp_hooks. */
	struct imp_hooks *p = (struct imp_hooks *)in->common;

	if (p->leaving)
		imp_hooks_remove(p);
	else if (!in->file_finder)
		hook_find_spec(in);
	return imp_import_find_and_load(in, call);
}

/* Without this wrapper nothing else is touched. */
/* Room in @kept; 0 where there is none, and where threads run at once. */
static ssize_t keep_room(const struct imp_python_api *py, PyObject *kept, size_t count)
{
	ssize_t at = py->PyList_Size(kept);

	if (py->types.object_size != 2 * sizeof(void *))
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (py->PyList_Append(kept, py->types.none) < 0) {
			py->PyErr_Clear();
			return 0;
		}
	}
	return at;
}

static bool hook_find_and_load(struct imp_hooks *p, PyObject *importlib, PyObject *original)
{
	const struct imp_python_api *py = &p->api;
	struct imp_interp *in = imp_interp_new(&p->interps, imp_interp_key(py));
	PyObject *modules = imp_python_modules(py);
	PyObject *function = NULL, *type = NULL, *kept = NULL;
	bool done = false;

	if (!in)
		return false;
	in->common = py;
	in->api = *py;
	in->py = &in->api;
	in->sys_dict = module_dict(py, "sys");
	in->imp_dict = module_dict(py, "_imp");
	in->phase = p->attached ? IMP_PHASE_ATTACH : IMP_PHASE_START;
	kept = py->PyList_New(0);
	if (kept && in->sys_dict && in->imp_dict && py->PyList_Append(kept, in->sys_dict) == 0 &&
	    py->PyList_Append(kept, in->imp_dict) == 0 && py->PyList_Append(kept, modules) == 0)
		type = imp_function_type(py);
	if (type)
		function = imp_function_new(py, type, original, kept, in, find_and_load);
	if (function) {
		in->names.strings_at = keep_room(py, kept, IMP_PYTHON_STRINGS);
		in->names.sets_at = keep_room(py, kept, IMP_PYTHON_SETS);
		in->names.kept = kept;
		in->names.modules = modules;
		in->api.names = &in->names;
		in->function_type = type;
		in->number = atomic_fetch_add(&next_number, 1);
		done = py->PyDict_SetItemString(importlib, FIND_AND_LOAD, function) == 0;
	} else {
		imp_interp_release(in);
	}
	if (!done)
		py->PyErr_Clear();
	imp_python_drop(py, function); /* and @in with it, where it is not in its place */
	imp_python_drop(py, type);
	imp_python_drop(py, kept);
	return done;
}

static void install_hooks(struct imp_hooks *p)
{
	struct imp_python_api *py = &p->api;
	PyObject *importlib, *original;
	enum imp_hook hook;

	if (!imp_recorder_on())
		return;
	if (!py->types.none && imp_python_types_load(py) < 0) {
		imp_hooks_tell_failure("types");
		return;
	}
	importlib = module_dict(py, "_frozen_importlib");
	original = imp_python_dict_get(py, importlib, FIND_AND_LOAD);
	if (imp_function_is(py, original)) {
		/* The other of the two modules was first. */
	} else if (imp_python_is(py, original, py->types.function) &&
		   hook_find_and_load(p, importlib, original)) {
		for (hook = 0; hook < IMP_HOOKS; hook++)
			hook_c_function(p, hook);
	} else {
		imp_hooks_tell_failure(FIND_AND_LOAD);
	}
	imp_python_drop(py, original);
}

void imp_hooks_install(struct imp_hooks *p)
{
	struct imp_python_error error;

	imp_python_error_save(&p->api, &error);
	install_hooks(p);
	imp_python_error_restore(&p->api, &error);
}

/* ---- the way out --------------------------------------------------------------------------------- */

static void restore_find_spec(const struct imp_python_api *py)
{
	PyObject *dict = module_dict(py, "_frozen_importlib_external");
	PyObject *finder = imp_python_dict_get(py, dict, "FileFinder");
	PyObject *function = NULL;

	if (imp_python_is(py, finder, py->types.type))
		function = imp_python_attr(py, finder, FIND_SPEC);
	if (imp_function_is(py, function) &&
	    py->PyObject_SetAttrString(finder, FIND_SPEC, imp_function_original(function)) < 0)
		py->PyErr_Clear();
	imp_python_drop(py, function);
	imp_python_drop(py, finder);
}

static void restore_find_and_load(const struct imp_python_api *py)
{
	PyObject *dict = module_dict(py, "_frozen_importlib");
	PyObject *function = imp_python_dict_get(py, dict, FIND_AND_LOAD);

	if (imp_function_is(py, function) &&
	    py->PyDict_SetItemString(dict, FIND_AND_LOAD, imp_function_original(function)) < 0)
		py->PyErr_Clear();
	imp_python_drop(py, function);
}

void imp_hooks_remove_shared(struct imp_hooks *p)
{
	enum imp_hook hook;

	/* @originals stay: a thread may have fetched our function, and not have called it yet. */
	for (hook = 0; hook < IMP_HOOKS; hook++) {
		struct imp_method_def *def = p->originals[hook].def;

		if (def && def->function == p->functions[hook])
			__atomic_store_n(&def->function, p->originals[hook].function,
					 __ATOMIC_RELEASE);
	}
}

void imp_hooks_remove(struct imp_hooks *p)
{
	struct imp_python_error error;

	if (!p->api.types.none)
		return; /* never installed */
	imp_hooks_remove_shared(p);
	imp_python_error_save(&p->api, &error);
	restore_find_spec(&p->api);
	restore_find_and_load(&p->api);
	imp_python_error_restore(&p->api, &error);
}

void imp_hooks_restart(void)
{
	atomic_store(&next_number, 0);
}
