/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_call.h"

#include "poison.h"

ssize_t imp_call_size(const struct imp_call *call)
{
	if (call->flags & IMP_METH_FASTCALL)
		return call->b;
	return call->flags & IMP_METH_O ? 1 : call->py->PyTuple_Size((PyObject *)call->a);
}

PyObject *imp_call_arg(const struct imp_call *call, ssize_t i)
{
	if (i >= imp_call_size(call))
		return NULL;
	if (call->flags & IMP_METH_FASTCALL)
		return ((PyObject *const *)call->a)[i];
	return call->flags & IMP_METH_O ? (PyObject *)call->a :
					  call->py->PyTuple_GetItem((PyObject *)call->a, i);
}

static bool has_keywords(const struct imp_call *call)
{
	return call->flags & IMP_METH_KEYWORDS &&
	       (call->flags & IMP_METH_FASTCALL ? !!call->c : !!call->b);
}

/* The keywords of METH_FASTCALL as a dict: a new reference, or NULL with an exception set. */
static PyObject *keyword_dict(const struct imp_call *call)
{
	const struct imp_python_api *py = call->py;
	PyObject *const *values = (PyObject *const *)call->a + call->b;
	ssize_t i, size = py->PyTuple_Size(call->c);
	PyObject *dict = py->PyDict_New();

	for (i = 0; dict && i < size; i++) {
		if (py->PyDict_SetItem(dict, py->PyTuple_GetItem(call->c, i), values[i]) < 0) {
			py->Py_DecRef(dict);
			dict = NULL;
		}
	}
	return dict;
}

PyObject *imp_call_argument(const struct imp_call *call, ssize_t i, const char *keyword)
{
	const struct imp_python_api *py = call->py;
	PyObject *value = imp_call_arg(call, i), *dict;

	if (value) {
		py->Py_IncRef(value);
		return value;
	}
	if (!has_keywords(call))
		return NULL;
	if (!(call->flags & IMP_METH_FASTCALL))
		return imp_python_dict_get(py, (PyObject *)call->b, keyword);
	dict = keyword_dict(call);
	if (!dict)
		py->PyErr_Clear();
	value = imp_python_dict_get(py, dict, keyword);
	imp_python_drop(py, dict);
	return value;
}

PyObject *imp_call_original(const struct imp_call *call)
{
	const struct imp_python_api *py = call->py;
	PyObject *dict = NULL, *result;

	if (!call->original)
		return call->function(call->self, call->a, call->b, call->c);
	if (!(call->flags & IMP_METH_FASTCALL))
		return py->PyObject_Call(call->original, (PyObject *)call->a, (PyObject *)call->b);
	if (has_keywords(call)) {
		dict = keyword_dict(call);
		if (!dict)
			return NULL;
	}
	result = py->PyObject_VectorcallDict(call->original, (PyObject *const *)call->a,
					     (size_t)call->b, dict);
	imp_python_drop(py, dict);
	return result;
}
