/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_FUNCTION_H
#define IMP_PRELOAD_PYTHON_FUNCTION_H

#include <stdbool.h>

#include "python_call.h"

struct imp_interp;

/*
 * An object that stands for a function written in Python, and is called in its place. Whatever else is
 * asked of it (its class, name, code, signature, repr(), also what is set) is asked of the function. Of a
 * type of its own, since profilers and tracers are told of each call of one of CPython's own.
 *
 * What is left to tell them apart: type(), which says another "function", one more among
 * object.__subclasses__(); sys.monitoring, which reports the end of a call (C_RETURN) of what is no function
 * of Python's; before 3.9, no weak references, and a level of recursion for each import that is under way.
 */
typedef PyObject *imp_function_fn(struct imp_interp *in, const struct imp_call *call);

/*
 * imp_function_type - make the type: a new reference, or NULL with no exception set
 */
PyObject *imp_function_type(const struct imp_python_api *py);

/*
 * imp_function_new - make an object of that type: a new reference, or NULL with no exception set
 * @py:   lives as long as the process
 * @kept: an object that @in refers to; the function owns a reference of its own
 * @in:   a reference of it, that imp_interp_release() gives back in the end; not taken at a failure
 */
PyObject *imp_function_new(const struct imp_python_api *py, PyObject *type, PyObject *original,
			   PyObject *kept, struct imp_interp *in, imp_function_fn *run);

/* imp_function_is - is it one of these? */
bool imp_function_is(const struct imp_python_api *py, PyObject *object);

/* imp_function_original - what it stands for: borrowed */
PyObject *imp_function_original(PyObject *function);

#endif
