/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_EXCEPTION_H
#define IMP_PRELOAD_PYTHON_EXCEPTION_H

#include "cbor_put.h"
#include "python_api.h"
#include "python_text.h"

struct imp_thread;

/*
 * imp_python_put_exception - an exception and what led to it, as a map of IMP_EXC_KEYS
 * @type, @value, @traceback: as PyErr_Fetch() gives them: @value need not be an exception yet
 *
 * None of the program's code runs: a message that only the class's own __str__ knows is put together
 * from the simple ones among its arguments instead. Uses t->text.
 */
void imp_python_put_exception(struct imp_cbor *c, struct imp_thread *t,
			      const struct imp_python_api *py, unsigned int key, PyObject *type,
			      PyObject *value, PyObject *traceback);

/* imp_python_group_members - the exceptions of an ExceptionGroup, a new reference to a tuple; NULL: it is none */
PyObject *imp_python_group_members(const struct imp_python_api *py, PyObject *value);

/* imp_python_import_error_name - ImportError.name, a new reference to a str, or NULL */
PyObject *imp_python_import_error_name(const struct imp_python_api *py, PyObject *value);

/*
 * imp_python_add_message - what str() of a simple object or of an exception would say
 */
void imp_python_add_message(struct imp_text_buf *b, const struct imp_python_api *py,
			    PyObject *object);

#endif
