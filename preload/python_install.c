/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_install.h"

#include <stdatomic.h>
#include <string.h>

#include "python_extension.h"
#include "python_import.h"
#include "python_interpreter.h"
#include "python_text.h"
#include "python_uncaught.h"
#include "recorder.h"
#include "poison.h"

#define METH_VARARGS  1
#define METH_KEYWORDS 2

static const struct {
	const char *module;
	const char *name;
	const char *signature; /* of those that are written in Python; of the others, what they say */
	PyObject *(*run)(struct imp_interp *in, PyObject *original, PyObject *args,
			 PyObject *kwargs);
} hooks[IMP_HOOKS] = {
	[IMP_HOOK_FIND_AND_LOAD] = {"_frozen_importlib", "_find_and_load", "(name, import_)",
				    imp_import_find_and_load},
	[IMP_HOOK_CREATE_DYNAMIC] = {"_imp", "create_dynamic", NULL, imp_extension_create},
	[IMP_HOOK_EXEC_DYNAMIC] = {"_imp", "exec_dynamic", NULL, imp_extension_exec},
	[IMP_HOOK_EXCEPTHOOK] = {"sys", "excepthook", NULL, imp_uncaught_main},
	[IMP_HOOK_EXIT] = {"sys", "exit", NULL, imp_uncaught_exit},
	[IMP_HOOK_THREAD_EXCEPTHOOK] = {"_thread", "_excepthook", NULL, imp_uncaught_thread},
	[IMP_HOOK_FIND_SPEC] = {"_frozen_importlib_external", "find_spec",
				"(self, fullname, target=None)", imp_import_find_spec},
};

_Static_assert(IMP_HOOKS <= IMP_HOOKS_MAX, "an original for each hook");

static _Atomic uint32_t next_number; /* IMP_KEY_INTERP */

/*
 * A hook's __self__ is a module object of our own, with the name of the real one. In its __dict__ are the
 * original and our state: the garbage collector sees who owns what, and all goes when the function goes.
 */
#define SELF_ORIGINAL "original"
#define SELF_STATE    "state"
#define SELF_NAMES    "names"

static bool is_hook(struct imp_hooks *p, enum imp_hook hook, PyObject *object)
{
	return imp_python_is(&p->api, object, p->api.types.builtin_function) &&
	       p->api.PyCFunction_GetFunction(object) == (void *)p->functions[hook];
}

/* "name(signature)\n--\n\ndoc", as CPython takes __text_signature__ and __doc__ apart again. */
static void make_doc(struct imp_hooks *p, enum imp_hook hook, PyObject *original)
{
	const struct imp_python_api *py = &p->api;
	struct imp_text_buf b = {.data = p->docs[hook], .size = IMP_HOOK_DOC_MAX - 1};
	PyObject *signature = imp_python_attr(py, original, "__text_signature__");
	PyObject *doc = imp_python_attr(py, original, "__doc__");
	struct imp_python_text text;

	if (imp_python_text_get(py, signature, &text) || hooks[hook].signature) {
		imp_text_add_string(&b, hooks[hook].name);
		if (hooks[hook].signature)
			imp_text_add_string(&b, hooks[hook].signature);
		else
			imp_text_add(&b, text.data, text.len);
		imp_text_add_string(&b, "\n--\n\n");
	}
	imp_python_text_clear(py, &text);
	if (imp_python_text_get(py, doc, &text))
		imp_text_add(&b, text.data, text.len);
	imp_python_text_clear(py, &text);
	imp_python_drop(py, doc);
	imp_python_drop(py, signature);
	p->docs[hook][b.len] = '\0';
	p->methods[hook] = (struct imp_method_def){
		.name = hooks[hook].name,
		.function = p->functions[hook],
		.flags = METH_VARARGS | METH_KEYWORDS,
		.doc = b.len ? p->docs[hook] : NULL,
	};
}

/* The __dict__ of a module in sys.modules: borrowed, NULL where it is none. */
static PyObject *module_dict(const struct imp_python_api *py, const char *name)
{
	PyObject *modules = py->PyImport_GetModuleDict();
	PyObject *module = imp_python_dict_get(py, modules, name);
	PyObject *dict = imp_python_is_module(py, module) ? py->PyModule_GetDict(module) : NULL;

	imp_python_drop(py, module);
	return dict;
}

static void copy_item(const struct imp_python_api *py, PyObject *to, PyObject *from, const char *key)
{
	PyObject *value = imp_python_dict_get(py, from, key);

	if (value && py->PyDict_SetItemString(to, key, value) < 0)
		py->PyErr_Clear();
	imp_python_drop(py, value);
}

/* A function object that stands for @original. A new reference, or NULL with no exception set. */
static PyObject *make_hook(struct imp_hooks *p, enum imp_hook hook, PyObject *state,
			   PyObject *original)
{
	const struct imp_python_api *py = &p->api;
	struct imp_interp *in = (struct imp_interp *)py->PyBytes_AsString(state);
	PyObject *self = NULL, *dict, *module, *function = NULL;

	/* The same in every interpreter, so written by the first. */
	if (!p->methods[hook].function)
		make_doc(p, hook, original);
	module = imp_python_attr(py, original, "__module__");
	self = py->PyModule_New(hooks[hook].module);
	dict = self ? py->PyModule_GetDict(self) : NULL;
	if (dict) {
		/* So that its repr() is the real one's: <module 'sys' (built-in)>. */
		copy_item(py, dict, module_dict(py, hooks[hook].module), "__spec__");
		copy_item(py, dict, module_dict(py, hooks[hook].module), "__loader__");
	}
	if (dict && module && py->PyDict_SetItemString(dict, SELF_ORIGINAL, original) == 0 &&
	    py->PyDict_SetItemString(dict, SELF_STATE, state) == 0 &&
	    (!in->names.kept || py->PyDict_SetItemString(dict, SELF_NAMES, in->names.kept) == 0))
		function = py->PyCFunction_NewEx(&p->methods[hook], self, module);
	if (function)
		in->originals[hook] = original;
	else
		py->PyErr_Clear();
	imp_python_drop(py, self);
	imp_python_drop(py, module);
	return function;
}

/* Put the hook in the place of @dict's @key. 1: done; 0: it was there; -1: not possible. */
static int replace(struct imp_hooks *p, enum imp_hook hook, PyObject *state, PyObject *dict,
		   const char *key)
{
	const struct imp_python_api *py = &p->api;
	PyObject *original = imp_python_dict_get(py, dict, key);
	PyObject *function;
	int ret = -1;

	if (!original)
		return -1;
	if (is_hook(p, hook, original)) {
		ret = 0;
	} else if (imp_python_is(py, original, py->types.function) ||
		   imp_python_is(py, original, py->types.builtin_function)) {
		function = make_hook(p, hook, state, original);
		if (function && py->PyDict_SetItemString(dict, key, function) == 0)
			ret = 1;
		else
			py->PyErr_Clear();
		imp_python_drop(py, function);
	}
	py->Py_DecRef(original);
	return ret;
}

static void replace_in(struct imp_hooks *p, enum imp_hook hook, PyObject *state)
{
	PyObject *dict = module_dict(&p->api, hooks[hook].module);

	if (dict)
		replace(p, hook, state, dict, hooks[hook].name);
}

/* sys.excepthook and sys.__excepthook__ are one and the same at the start, and stay it. */
static void replace_excepthook(struct imp_hooks *p, PyObject *state, PyObject *sys_dict)
{
	const struct imp_python_api *py = &p->api;
	PyObject *original = imp_python_dict_get(py, sys_dict, "excepthook");
	PyObject *kept = imp_python_dict_get(py, sys_dict, "__excepthook__");
	PyObject *hook;

	if (original && original == kept &&
	    replace(p, IMP_HOOK_EXCEPTHOOK, state, sys_dict, "excepthook") == 1) {
		hook = imp_python_dict_get(py, sys_dict, "excepthook");
		if (py->PyDict_SetItemString(sys_dict, "__excepthook__", hook) < 0)
			py->PyErr_Clear();
		imp_python_drop(py, hook);
	}
	imp_python_drop(py, original);
	imp_python_drop(py, kept);
}

void imp_hooks_tell_failure(const char *what)
{
	struct imp_thread *t = imp_thread_enter();

	if (!t)
		return;
	imp_record_note(t, IMP_NOTE_HOOKS_FAILED, 0, what);
	imp_thread_leave(t);
}

/*
 * In the interpreter that is being set up: importlib's frozen part has been executed, and no file has
 * been imported. Without the wrapper of _find_and_load nothing else is touched.
 */
static void install_hooks(struct imp_hooks *p)
{
	struct imp_python_api *py = &p->api;
	PyObject *state, *importlib, *sys_dict;
	struct imp_interp *in;

	if (!imp_recorder_on())
		return;
	if (!py->types.none && imp_python_types_load(py) < 0) {
		imp_hooks_tell_failure("types");
		return;
	}
	importlib = module_dict(py, "_frozen_importlib");
	sys_dict = module_dict(py, "sys");
	state = py->PyBytes_FromStringAndSize(NULL, sizeof(*in));
	if (!importlib || !sys_dict || !state) {
		py->PyErr_Clear();
		imp_python_drop(py, state);
		imp_hooks_tell_failure("modules");
		return;
	}
	in = (struct imp_interp *)py->PyBytes_AsString(state);
	memset(in, 0, sizeof(*in));
	in->api = *py;
	in->api.names = &in->names;
	in->names.kept = py->PyList_New(0);
	in->py = &in->api;
	in->sys_dict = sys_dict;
	in->imp_dict = module_dict(py, "_imp");
	in->phase = IMP_PHASE_START;
	switch (replace(p, IMP_HOOK_FIND_AND_LOAD, state, importlib,
			hooks[IMP_HOOK_FIND_AND_LOAD].name)) {
	case 1:
		in->number = atomic_fetch_add(&next_number, 1);
		replace_in(p, IMP_HOOK_CREATE_DYNAMIC, state);
		replace_in(p, IMP_HOOK_EXEC_DYNAMIC, state);
		replace_in(p, IMP_HOOK_EXIT, state);
		replace_excepthook(p, state, sys_dict);
		break;
	case 0: /* The other of the two modules was first. */ break;
	default: imp_hooks_tell_failure("_find_and_load");
	}
	imp_python_drop(py, in->names.kept);
	imp_python_drop(py, state);
}

/*
 * What is not there from the very beginning: _thread._excepthook (3.8 and later), and FileFinder.find_spec.
 * The latter is done last, and tells that all is done. A method in the class's __dict__ has to bind: an
 * instancemethod is what CPython has for a C function.
 */
static void install_later_hooks(struct imp_hooks *p, struct imp_interp *in, PyObject *state)
{
	const struct imp_python_api *py = &p->api;
	PyObject *dict = module_dict(py, hooks[IMP_HOOK_FIND_SPEC].module);
	PyObject *finder = imp_python_dict_get(py, dict, "FileFinder");
	PyObject *original = NULL, *function = NULL, *method = NULL;
	struct imp_python_error error;

	imp_python_error_save(py, &error);
	if (finder)
		replace_in(p, IMP_HOOK_THREAD_EXCEPTHOOK, state);
	if (imp_python_is(py, finder, py->types.type))
		original = imp_python_attr(py, finder, hooks[IMP_HOOK_FIND_SPEC].name);
	if (is_hook(p, IMP_HOOK_FIND_SPEC, original))
		in->file_finder = finder;
	else if (imp_python_is(py, original, py->types.function))
		function = make_hook(p, IMP_HOOK_FIND_SPEC, state, original);
	if (function)
		method = py->PyInstanceMethod_New(function);
	if (method &&
	    py->PyObject_SetAttrString(finder, hooks[IMP_HOOK_FIND_SPEC].name, method) == 0)
		in->file_finder = finder;
	else
		py->PyErr_Clear();
	imp_python_drop(py, method);
	imp_python_drop(py, function);
	imp_python_drop(py, original);
	imp_python_drop(py, finder);
	imp_python_error_restore(py, &error);
}

PyObject *imp_hooks_call(struct imp_hooks *p, enum imp_hook hook, PyObject *self, PyObject *args,
			 PyObject *kwargs)
{
	const struct imp_python_api *py = &p->api;
	PyObject *dict = py->PyModule_GetDict(self);
	PyObject *state = imp_python_dict_get(py, dict, SELF_STATE);
	struct imp_interp *in;
	PyObject *result = NULL;

	if (state) {
		in = (struct imp_interp *)py->PyBytes_AsString(state);
		if (hook == IMP_HOOK_FIND_AND_LOAD && !in->file_finder)
			install_later_hooks(p, in, state);
		result = hooks[hook].run(in, in->originals[hook], args, kwargs);
	} else {
		/* The collector has taken the interpreter apart, and its functions with it. */
		py->PyErr_SetString(py->types.runtime_error, "the interpreter is gone");
	}
	imp_python_drop(py, state);
	return result;
}

void imp_hooks_install(struct imp_hooks *p)
{
	struct imp_python_error error;

	imp_python_error_save(&p->api, &error);
	install_hooks(p);
	imp_python_error_restore(&p->api, &error);
}
