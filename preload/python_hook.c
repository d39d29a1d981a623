/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_hook.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "elf_symbols.h"
#include "python_api.h"
#include "python_extension.h"
#include "python_import.h"
#include "python_interpreter.h"
#include "python_text.h"
#include "python_uncaught.h"
#include "recorder.h"
#include "poison.h"

#define PYTHONS_MAX 4		/* CPythons in one process: a static one that dlopens another, local one */
#define INITTAB_MAX 256		/* built-in modules; a CPython has about 60 */
#define DOC_MAX	    1600	/* of one function, signature included */
#define SLOTS_MAX   16		/* of a built-in module */

/* Include/cpython/import.h: the table of built-in modules. */
struct inittab {
	const char *name;
	PyObject *(*init)(void);
};

/* Include/methodobject.h */
struct method_def {
	const char *name;
	PyObject *(*function)(PyObject *self, PyObject *args, PyObject *kwargs);
	int flags;
	const char *doc;
};
/* Include/moduleobject.h */
struct module_slot {
	int slot;
	void *value;
};
#define PY_MOD_EXEC	2

#define METH_VARARGS  1
#define METH_KEYWORDS 2

typedef PyObject *hook_fn(struct imp_interp *in, PyObject *original, PyObject *args, PyObject *kwargs);

enum hook {
	HOOK_FIND_AND_LOAD,
	HOOK_CREATE_DYNAMIC,
	HOOK_EXEC_DYNAMIC,
	HOOK_EXCEPTHOOK,
	HOOK_EXIT,
	HOOK_THREAD_EXCEPTHOOK,
	HOOK_FIND_SPEC,
	HOOKS,
};

static const struct {
	const char *module;
	const char *name;
	const char *signature;	/* of those that are written in Python; of the others, what they say */
	hook_fn *run;
} hooks[HOOKS] = {
	[HOOK_FIND_AND_LOAD] = {"_frozen_importlib", "_find_and_load", "(name, import_)",
				imp_import_find_and_load},
	[HOOK_CREATE_DYNAMIC] = {"_imp", "create_dynamic", NULL, imp_extension_create},
	[HOOK_EXEC_DYNAMIC] = {"_imp", "exec_dynamic", NULL, imp_extension_exec},
	[HOOK_EXCEPTHOOK] = {"sys", "excepthook", NULL, imp_uncaught_main},
	[HOOK_EXIT] = {"sys", "exit", NULL, imp_uncaught_exit},
	[HOOK_THREAD_EXCEPTHOOK] = {"_thread", "_excepthook", NULL, imp_uncaught_thread},
	[HOOK_FIND_SPEC] = {"_frozen_importlib_external", "find_spec", "(self, fullname, target=None)",
			    imp_import_find_spec},
};

/*
 * Built-in modules through whose init functions we come into an interpreter, whichever is the first. All
 * are imported before the first file is. More than one, since CPython up to 3.8 does not call those of
 * posix and _weakref again in a further interpreter, as it does for the others.
 */
enum entrance {
	ENTRANCE_POSIX,
	ENTRANCE_WEAKREF,
	ENTRANCE_IO,
	ENTRANCE_MARSHAL,
	ENTRANCES,
};

static const char *const entrance_names[ENTRANCES] = {"posix", "_weakref", "_io", "marshal"};

/*
 * One CPython in this process. Written when its object is mapped and when its first interpreter starts,
 * and only read from then on.
 */
struct python {
	bool used;
	uint32_t object;
	struct imp_python_api api;
	PyObject *(*init[ENTRANCES])(void);	/* the original functions; NULL: no such module */
	struct inittab table[INITTAB_MAX + 1];
	struct module_slot slots[SLOTS_MAX + 2];
	/* Function objects refer to these as long as they live, which may be longer than an interpreter. */
	struct method_def methods[HOOKS];
	char docs[HOOKS][DOC_MAX];
};

static struct python pythons[PYTHONS_MAX];
static _Atomic uint32_t next_number;	/* IMP_KEY_INTERP */
/*
 * PyImport_Inittab of a program that has it by copy relocation: then libpython's own is not the one that
 * is read.
 */
static struct inittab **copied_table;

static PyObject *enter(struct python *p, enum entrance entrance);
static int enter_again(struct python *p);
static PyObject *call(struct python *p, enum hook hook, PyObject *self, PyObject *args,
		      PyObject *kwargs);

/* Functions without an argument that says which CPython calls: so each has its own. */
#define HOOK_FUNCTION(n, function, hook)							\
	static PyObject *function##_##n(PyObject *self, PyObject *args, PyObject *kwargs)	\
	{											\
		return call(&pythons[n], hook, self, args, kwargs);				\
	}
#define ENTRANCE_FUNCTION(n, function, entrance)						\
	static PyObject *function##_##n(void)							\
	{											\
		return enter(&pythons[n], entrance);						\
	}
#define PYTHON_FUNCTIONS(n)									\
	ENTRANCE_FUNCTION(n, posix, ENTRANCE_POSIX)						\
	ENTRANCE_FUNCTION(n, weakref, ENTRANCE_WEAKREF)						\
	ENTRANCE_FUNCTION(n, io, ENTRANCE_IO)							\
	ENTRANCE_FUNCTION(n, marshal, ENTRANCE_MARSHAL)						\
	static int exec_##n(PyObject *module)							\
	{											\
		(void)module;									\
		return enter_again(&pythons[n]);						\
	}											\
	HOOK_FUNCTION(n, find_and_load, HOOK_FIND_AND_LOAD)					\
	HOOK_FUNCTION(n, create_dynamic, HOOK_CREATE_DYNAMIC)					\
	HOOK_FUNCTION(n, exec_dynamic, HOOK_EXEC_DYNAMIC)					\
	HOOK_FUNCTION(n, excepthook, HOOK_EXCEPTHOOK)						\
	HOOK_FUNCTION(n, sys_exit, HOOK_EXIT)							\
	HOOK_FUNCTION(n, thread_excepthook, HOOK_THREAD_EXCEPTHOOK)				\
	HOOK_FUNCTION(n, find_spec, HOOK_FIND_SPEC)
#define PYTHON_FUNCTION_TABLE(n)								\
	{{posix_##n, weakref_##n, io_##n, marshal_##n}, exec_##n,				\
	 {find_and_load_##n, create_dynamic_##n, exec_dynamic_##n, excepthook_##n, sys_exit_##n,	\
	  thread_excepthook_##n, find_spec_##n}}

PYTHON_FUNCTIONS(0)
PYTHON_FUNCTIONS(1)
PYTHON_FUNCTIONS(2)
PYTHON_FUNCTIONS(3)

static const struct {
	PyObject *(*init[ENTRANCES])(void);
	int (*exec)(PyObject *module);
	PyObject *(*hook[HOOKS])(PyObject *self, PyObject *args, PyObject *kwargs);
} functions[PYTHONS_MAX] = {
	PYTHON_FUNCTION_TABLE(0),
	PYTHON_FUNCTION_TABLE(1),
	PYTHON_FUNCTION_TABLE(2),
	PYTHON_FUNCTION_TABLE(3),
};

/* ---- hooks in an interpreter --------------------------------------------------------------------- */

/*
 * A hook's __self__ is a module object of our own, with the name of the real one. In its __dict__ are the
 * original and our state: the garbage collector sees who owns what, and all goes when the function goes.
 */
#define SELF_ORIGINAL "original"
#define SELF_STATE    "state"
#define SELF_NAMES    "names"

static bool is_hook(struct python *p, enum hook hook, PyObject *object)
{
	return imp_python_is(&p->api, object, p->api.types.builtin_function) &&
	       p->api.PyCFunction_GetFunction(object) ==
		       (void *)functions[p - pythons].hook[hook];
}

/* "name(signature)\n--\n\ndoc", as CPython takes __text_signature__ and __doc__ apart again. */
static void make_doc(struct python *p, enum hook hook, PyObject *original)
{
	const struct imp_python_api *py = &p->api;
	struct imp_text_buf b = {.data = p->docs[hook], .size = DOC_MAX - 1};
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
	p->methods[hook] = (struct method_def){
		.name = hooks[hook].name,
		.function = functions[p - pythons].hook[hook],
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
static PyObject *make_hook(struct python *p, enum hook hook, PyObject *state, PyObject *original)
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
	if (!function)
		py->PyErr_Clear();
	imp_python_drop(py, self);
	imp_python_drop(py, module);
	return function;
}

/* Put the hook in the place of @dict's @key. 1: done; 0: it was there; -1: not possible. */
static int replace(struct python *p, enum hook hook, PyObject *state, PyObject *dict, const char *key)
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

static void replace_in(struct python *p, enum hook hook, PyObject *state)
{
	PyObject *dict = module_dict(&p->api, hooks[hook].module);

	if (dict)
		replace(p, hook, state, dict, hooks[hook].name);
}

/* sys.excepthook and sys.__excepthook__ are one and the same at the start, and stay it. */
static void replace_excepthook(struct python *p, PyObject *state, PyObject *sys_dict)
{
	const struct imp_python_api *py = &p->api;
	PyObject *original = imp_python_dict_get(py, sys_dict, "excepthook");
	PyObject *kept = imp_python_dict_get(py, sys_dict, "__excepthook__");
	PyObject *hook;

	if (original && original == kept &&
	    replace(p, HOOK_EXCEPTHOOK, state, sys_dict, "excepthook") == 1) {
		hook = imp_python_dict_get(py, sys_dict, "excepthook");
		if (py->PyDict_SetItemString(sys_dict, "__excepthook__", hook) < 0)
			py->PyErr_Clear();
		imp_python_drop(py, hook);
	}
	imp_python_drop(py, original);
	imp_python_drop(py, kept);
}

static void tell_failure(const char *what)
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
static void install_hooks(struct python *p)
{
	struct imp_python_api *py = &p->api;
	PyObject *state, *importlib, *sys_dict;
	struct imp_interp *in;

	if (!imp_recorder_on())
		return;
	if (!py->types.none && imp_python_types_load(py) < 0) {
		tell_failure("types");
		return;
	}
	importlib = module_dict(py, "_frozen_importlib");
	sys_dict = module_dict(py, "sys");
	state = py->PyBytes_FromStringAndSize(NULL, sizeof(*in));
	if (!importlib || !sys_dict || !state) {
		py->PyErr_Clear();
		imp_python_drop(py, state);
		tell_failure("modules");
		return;
	}
	in = (struct imp_interp *)py->PyBytes_AsString(state);
	memset(in, 0, sizeof(*in));
	in->api = *py;
	in->api.names = &in->names;
	in->names.kept = py->PyList_New(0);
	in->py = &in->api;
	in->object = p->object;
	in->sys_dict = sys_dict;
	in->imp_dict = module_dict(py, "_imp");
	in->phase = IMP_PHASE_START;
	switch (replace(p, HOOK_FIND_AND_LOAD, state, importlib, hooks[HOOK_FIND_AND_LOAD].name)) {
	case 1:
		in->number = atomic_fetch_add(&next_number, 1);
		replace_in(p, HOOK_CREATE_DYNAMIC, state);
		replace_in(p, HOOK_EXEC_DYNAMIC, state);
		replace_in(p, HOOK_EXIT, state);
		replace_in(p, HOOK_THREAD_EXCEPTHOOK, state);	/* 3.8 and later */
		replace_excepthook(p, state, sys_dict);
		break;
	case 0:		/* The other of the two modules was first. */
		break;
	default:
		tell_failure("_find_and_load");
	}
	imp_python_drop(py, in->names.kept);
	imp_python_drop(py, state);
}

/*
 * FileFinder.find_spec, as soon as there is that class. A method in the class's __dict__ has to bind: an
 * instancemethod is what CPython has for a C function.
 */
static void hook_file_finder(struct python *p, struct imp_interp *in, PyObject *state)
{
	const struct imp_python_api *py = &p->api;
	PyObject *dict = module_dict(py, hooks[HOOK_FIND_SPEC].module);
	PyObject *finder = imp_python_dict_get(py, dict, "FileFinder");
	PyObject *original = NULL, *function = NULL, *method = NULL;
	struct imp_python_error error;

	imp_python_error_save(py, &error);
	if (imp_python_is(py, finder, py->types.type))
		original = imp_python_attr(py, finder, hooks[HOOK_FIND_SPEC].name);
	if (is_hook(p, HOOK_FIND_SPEC, original))
		in->file_finder = finder;
	else if (imp_python_is(py, original, py->types.function))
		function = make_hook(p, HOOK_FIND_SPEC, state, original);
	if (function)
		method = py->PyInstanceMethod_New(function);
	if (method && py->PyObject_SetAttrString(finder, hooks[HOOK_FIND_SPEC].name, method) == 0)
		in->file_finder = finder;
	else
		py->PyErr_Clear();
	imp_python_drop(py, method);
	imp_python_drop(py, function);
	imp_python_drop(py, original);
	imp_python_drop(py, finder);
	imp_python_error_restore(py, &error);
}

static PyObject *call(struct python *p, enum hook hook, PyObject *self, PyObject *args, PyObject *kwargs)
{
	const struct imp_python_api *py = &p->api;
	PyObject *dict = py->PyModule_GetDict(self);
	PyObject *original = imp_python_dict_get(py, dict, SELF_ORIGINAL);
	PyObject *state = imp_python_dict_get(py, dict, SELF_STATE);
	struct imp_interp *in;
	PyObject *result = NULL;

	if (original && state) {
		in = (struct imp_interp *)py->PyBytes_AsString(state);
		if (hook == HOOK_FIND_AND_LOAD && !in->file_finder)
			hook_file_finder(p, in, state);
		result = hooks[hook].run(in, original, args, kwargs);
	} else {
		/* The collector has taken the interpreter apart, and its functions with it. */
		py->PyErr_SetString(py->types.runtime_error, "the interpreter is gone");
	}
	imp_python_drop(py, original);
	imp_python_drop(py, state);
	return result;
}

/* ---- getting in ---------------------------------------------------------------------------------- */

static void install_quietly(struct python *p)
{
	struct imp_python_error error;

	imp_python_error_save(&p->api, &error);
	install_hooks(p);
	imp_python_error_restore(&p->api, &error);
}

/*
 * From 3.13 on, a further interpreter calls init functions with the main one as the current; only what is
 * executed in the module itself comes into the right one. So _weakref's definition gets a slot more. It is
 * a static PyModuleDef: a PyObject head and, in words, m_init, m_index, m_copy, m_name, m_doc, m_size,
 * m_methods, m_slots, as the stable ABI has it.
 */
static void add_slot(struct python *p, PyObject *def)
{
	const struct imp_python_api *py = &p->api;
	struct module_slot **slots;
	size_t n;

	/* Otherwise it is a module: a single-phase initialization. */
	if (!py->PyDict_GetItemRef || !py->types.none || !def || imp_python_is_module(py, def) ||
	    p->slots[0].value)
		return;
	slots = (struct module_slot **)((char *)def + py->types.object_size) + 7;
	for (n = 0; *slots && (*slots)[n].slot; n++)
		if (n == SLOTS_MAX)
			return;
	p->slots[0] = (struct module_slot){PY_MOD_EXEC, (void *)functions[p - pythons].exec};
	memcpy(p->slots + 1, *slots, n * sizeof(**slots));
	*slots = p->slots;
}

static PyObject *enter(struct python *p, enum entrance entrance)
{
	PyObject *module;

	install_quietly(p);
	module = p->init[entrance]();
	if (entrance == ENTRANCE_WEAKREF)
		add_slot(p, module);
	return module;
}

static int enter_again(struct python *p)
{
	install_quietly(p);
	return 0;
}

static bool is_ours(const struct inittab *table)
{
	for (size_t i = 0; i < PYTHONS_MAX; i++)
		if (table == pythons[i].table)
			return true;
	return false;
}

/* A copy of the table, in which the entrances are ours. */
static bool copy_table(struct python *p, const struct inittab *table)
{
	bool any = false;
	size_t i, k;

	for (i = 0; table[i].name; i++) {
		if (i >= INITTAB_MAX)
			return false;
		p->table[i] = table[i];
		for (k = 0; k < ENTRANCES; k++) {
			if (!table[i].init || strcmp(table[i].name, entrance_names[k]))
				continue;
			p->init[k] = table[i].init;
			p->table[i].init = functions[p - pythons].init[k];
			any = true;
		}
	}
	p->table[i] = (struct inittab){0};
	return any;
}

static struct python *unused_python(void)
{
	for (size_t i = 0; i < PYTHONS_MAX; i++)
		if (!pythons[i].used)
			return &pythons[i];
	return NULL;
}

void imp_python_object_added(uint32_t object, ElfW(Addr) base, const ElfW(Phdr) *phdr, size_t phnum)
{
	struct imp_elf_symbols symbols;
	struct inittab **table, **read_table;
	struct python *p;
	const char *missing;
	int ret;

	if (imp_elf_symbols_open(&symbols, base, phdr, phnum) < 0)
		return;
	table = imp_elf_symbols_find(&symbols, "PyImport_Inittab", NULL);
	if (!table)
		return;
	if (!imp_elf_symbols_find(&symbols, "Py_IsInitialized", NULL)) {
		copied_table = table;
		return;
	}
	p = unused_python();
	if (!p)
		return;
	ret = imp_python_api_load(&p->api, &symbols, &missing);
	if (ret == -ENOSYS)
		tell_failure(missing);
	/* One that runs already is not touched here: other threads may be in it. */
	if (ret < 0 || p->api.Py_IsInitialized())
		return;
	read_table = copied_table && *copied_table ? copied_table : table;
	if (!*read_table || is_ours(*read_table) || !copy_table(p, *read_table))
		return;
	p->used = true;
	p->object = object;
	*table = p->table;
	if (copied_table)
		*copied_table = p->table;
}
