/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_api.h"

#include <errno.h>
#include <string.h>

#include "elf_symbols.h"
#include "poison.h"

int imp_python_api_load(struct imp_python_api *py, const struct imp_elf_symbols *symbols,
			const char **missing)
{
	*missing = NULL;
	memset(py, 0, sizeof(*py));
	/* In 2.7 the str of today is called PyUnicodeUCS2 or UCS4, and has no such function. */
	if (!imp_elf_symbols_find(symbols, "PyUnicode_GetLength", NULL))
		return -ENOENT;
#define X(type, name, parameters)                              \
	py->name = imp_elf_symbols_find(symbols, #name, NULL); \
	if (!py->name)                                         \
		*missing = #name;
	IMP_PYTHON_FUNCTIONS(X)
#undef X
#define X(type, name, parameters) py->name = imp_elf_symbols_find(symbols, #name, NULL);
	IMP_PYTHON_OPTIONAL(X)
#undef X
	/* Only together: what one takes, the other gives back. */
	if (!py->PyErr_GetRaisedException || !py->PyErr_SetRaisedException) {
		py->PyErr_GetRaisedException = NULL;
		py->PyErr_SetRaisedException = NULL;
	}
	return *missing ? -ENOSYS : 0;
}

/* Borrowed: the builtins keep it. */
static PyObject *builtin(const struct imp_python_api *py, PyObject *builtins, const char *name)
{
	PyObject *found = py->PyDict_GetItemString(builtins, name);

	if (!found)
		py->PyErr_Clear();
	return found;
}

/* The type of something that is there anyhow. */
static PyObject *type_of_item(const struct imp_python_api *py, PyObject *dict, const char *name)
{
	PyObject *item = py->PyDict_GetItemString(dict, name);

	return item ? imp_python_type(py, item) : NULL;
}

int imp_python_types_load(struct imp_python_api *py)
{
	PyObject *builtins = py->PyEval_GetBuiltins();
	PyObject *modules = py->PyImport_GetModuleDict();
	PyObject *importlib, *size;
	struct imp_python_types *t = &py->types;
	int overflow;

	if (!builtins || !modules)
		return -ENOSYS;
	t->type = builtin(py, builtins, "type");
	t->object = builtin(py, builtins, "object");
	t->str = builtin(py, builtins, "str");
	t->bytes = builtin(py, builtins, "bytes");
	t->bool_ = builtin(py, builtins, "bool");
	t->int_ = builtin(py, builtins, "int");
	t->float_ = builtin(py, builtins, "float");
	t->list = builtin(py, builtins, "list");
	t->tuple = builtin(py, builtins, "tuple");
	t->dict = builtin(py, builtins, "dict");
	t->set = builtin(py, builtins, "set");
	t->base_exception = builtin(py, builtins, "BaseException");
	t->import_error = builtin(py, builtins, "ImportError");
	t->module_not_found = builtin(py, builtins, "ModuleNotFoundError");
	t->os_error = builtin(py, builtins, "OSError");
	t->syntax_error = builtin(py, builtins, "SyntaxError");
	t->key_error = builtin(py, builtins, "KeyError");
	t->system_exit = builtin(py, builtins, "SystemExit");
	t->runtime_error = builtin(py, builtins, "RuntimeError");
	t->exception_group = builtin(py, builtins, "BaseExceptionGroup");
	t->builtin_function = type_of_item(py, builtins, "len");
	t->module = type_of_item(py, modules, "sys");
	importlib = py->PyDict_GetItemString(modules, "_frozen_importlib");
	t->function = importlib && imp_python_is_module(py, importlib) ?
			      type_of_item(py, py->PyModule_GetDict(importlib), "_find_and_load") :
			      NULL;
	t->none = py->Py_BuildValue("");
	imp_python_drop(py, t->none); /* it is never freed */
	if (!t->type || !t->object || !t->str || !t->bytes || !t->bool_ || !t->int_ || !t->float_ ||
	    !t->list || !t->tuple || !t->dict || !t->set || !t->base_exception ||
	    !t->import_error || !t->module_not_found || !t->os_error || !t->syntax_error ||
	    !t->key_error || !t->system_exit || !t->runtime_error || !t->builtin_function ||
	    !t->module || !t->function || !t->none)
		goto missing;
	size = imp_python_attr(py, t->object, "__basicsize__");
	if (!size)
		goto missing;
	t->object_size = (size_t)py->PyLong_AsLongLongAndOverflow(size, &overflow);
	imp_python_drop(py, size);
	return 0;
missing:
	py->PyErr_Clear();
	return -ENOSYS;
}

void imp_python_error_save(const struct imp_python_api *py, struct imp_python_error *error)
{
	error->type = error->value = error->traceback = NULL;
	error->raised = py->PyErr_GetRaisedException;
	if (!error->raised) {
		py->PyErr_Fetch(&error->type, &error->value, &error->traceback);
		return;
	}
	error->value = py->PyErr_GetRaisedException();
	if (error->value) {
		error->type = py->PyObject_Type(error->value);
		error->traceback = py->PyException_GetTraceback(error->value);
	}
}

void imp_python_error_restore(const struct imp_python_api *py, struct imp_python_error *error)
{
	if (!error->raised) {
		py->PyErr_Restore(error->type, error->value, error->traceback);
		return;
	}
	imp_python_drop(py, error->type);
	imp_python_drop(py, error->traceback);
	py->PyErr_SetRaisedException(error->value);
}

static PyObject *make_name(const struct imp_python_api *py, const char *literal)
{
	PyObject *str = py->PyUnicode_InternFromString(literal);

	if (!str)
		py->PyErr_Clear();
	return str;
}

#define NAME_TRIES 8 /* places for one name: more than a hundred share the table */

PyObject *imp_python_name(const struct imp_python_api *py, const char *literal)
{
	size_t home =
		(uintptr_t)literal * 0x9e3779b97f4a7c15ULL >> 57; /* 7 bits: IMP_PYTHON_NAMES */
	PyObject *str, *expected = NULL;
	const char *found;
	size_t i, tries;

	if (!py->names)
		return make_name(py, literal);
	for (tries = 0; tries < NAME_TRIES; tries++) {
		i = (home + tries) % IMP_PYTHON_NAMES;
		found = __atomic_load_n(&py->names->slots[i].name, __ATOMIC_ACQUIRE);
		if (found == literal) {
			str = py->names->slots[i].str;
			py->Py_IncRef(str);
			return str;
		}
		if (!found)
			break;
	}
	str = make_name(py, literal);
	if (!str || found || !py->names->kept)
		return str;
	/* Without a GIL two threads may be here: who sets the str also says whose it is. */
	if (!__atomic_compare_exchange_n(&py->names->slots[i].str, &expected, str, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return str;
	if (py->PyList_Append(py->names->kept, str) == 0)
		__atomic_store_n(&py->names->slots[i].name, literal, __ATOMIC_RELEASE);
	else
		py->PyErr_Clear();
	return str;
}

PyObject *imp_python_attr(const struct imp_python_api *py, PyObject *object, const char *name)
{
	PyObject *key = object ? imp_python_name(py, name) : NULL;
	PyObject *value = key ? py->PyObject_GetAttr(object, key) : NULL;

	if (!value)
		py->PyErr_Clear();
	imp_python_drop(py, key);
	return value;
}

PyObject *imp_python_plain_attr(const struct imp_python_api *py, PyObject *object, const char *name)
{
	PyObject *value = NULL, *key;

	if (!object || !py->_PyType_Lookup)
		return NULL;
	key = imp_python_name(py, name);
	/* A property or a __get__ of the class would run; so would what it holds in place of the object. */
	if (key && !py->_PyType_Lookup(imp_python_type(py, object), key))
		value = py->PyObject_GenericGetAttr(object, key);
	if (!value)
		py->PyErr_Clear();
	imp_python_drop(py, key);
	return value;
}

PyObject *imp_python_member(const struct imp_python_api *py, PyObject *object, PyObject *base,
			    const char *name)
{
	PyObject *value = NULL, *key, *found;

	if (!object || !py->_PyType_Lookup)
		return NULL;
	key = imp_python_name(py, name);
	if (key) {
		found = py->_PyType_Lookup(imp_python_type(py, object), key);
		if (found && found == py->_PyType_Lookup(base, key))
			value = py->PyObject_GenericGetAttr(object, key);
	}
	if (!value)
		py->PyErr_Clear();
	imp_python_drop(py, key);
	return value;
}

PyObject *imp_python_dict_find(const struct imp_python_api *py, PyObject *dict, PyObject *key)
{
	PyObject *value = NULL;

	if (!dict || !key)
		return NULL;
	/* A borrowed reference would be a race where there is no GIL. */
	if (py->PyDict_GetItemRef) {
		if (py->PyDict_GetItemRef(dict, key, &value) < 0)
			py->PyErr_Clear();
		return value;
	}
	value = py->PyDict_GetItemWithError(dict, key);
	if (value)
		py->Py_IncRef(value);
	else
		py->PyErr_Clear();
	return value;
}

PyObject *imp_python_dict_get(const struct imp_python_api *py, PyObject *dict, const char *key)
{
	PyObject *name = dict ? imp_python_name(py, key) : NULL;
	PyObject *value = imp_python_dict_find(py, dict, name);

	imp_python_drop(py, name);
	return value;
}

ssize_t imp_python_sequence_size(const struct imp_python_api *py, PyObject *sequence)
{
	if (imp_python_is(py, sequence, py->types.list))
		return py->PyList_Size(sequence);
	if (imp_python_is(py, sequence, py->types.tuple))
		return py->PyTuple_Size(sequence);
	return -1;
}

PyObject *imp_python_sequence_item(const struct imp_python_api *py, PyObject *sequence, ssize_t i)
{
	PyObject *item;

	if (imp_python_is(py, sequence, py->types.tuple)) {
		item = py->PyTuple_GetItem(sequence, i);
	} else if (py->PyList_GetItemRef) {
		item = py->PyList_GetItemRef(sequence, i);
		if (!item)
			py->PyErr_Clear();
		return item;
	} else {
		item = py->PyList_GetItem(sequence, i);
	}
	if (item)
		py->Py_IncRef(item);
	else
		py->PyErr_Clear();
	return item;
}
