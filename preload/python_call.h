/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_CALL_H
#define IMP_PRELOAD_PYTHON_CALL_H

#include "python_api.h"

/* ml_flags of a PyMethodDef, Include/methodobject.h */
#define IMP_METH_VARARGS  0x01
#define IMP_METH_KEYWORDS 0x02
#define IMP_METH_O	  0x08
#define IMP_METH_FASTCALL 0x80

/*
 * A C function of CPython's, whatever its convention: of four arguments it takes as many as it has. On
 * the machines that we know those are passed in registers, and one too many does no harm.
 */
typedef PyObject *imp_c_function(PyObject *self, const void *a, ssize_t b, PyObject *c);

/*
 * A call that came to a hook. By @flags, the arguments are
 *	METH_VARARGS			@a: a tuple
 *	METH_VARARGS | METH_KEYWORDS	@a: a tuple; @b: a dict or NULL, as a number
 *	METH_O				@a: the only one
 *	METH_FASTCALL			@a: an array of @b objects
 *	METH_FASTCALL | METH_KEYWORDS	the same and the keywords' values; @c: a tuple of their names, or NULL
 * All borrowed.
 */
struct imp_call {
	const struct imp_python_api *py;
	PyObject *original;	  /* what the hook stands for; NULL: the following two */
	imp_c_function *function; /* of a function that is written in C */
	PyObject *self;
	int flags;
	const void *a;
	ssize_t b;
	PyObject *c;
};

/* imp_call_size - how many positional arguments there are; imp_call_arg - one of them: borrowed, or NULL */
ssize_t imp_call_size(const struct imp_call *call);
PyObject *imp_call_arg(const struct imp_call *call, ssize_t i);

/* imp_call_argument - a parameter of that place and name, however it was passed: a new reference, or NULL */
PyObject *imp_call_argument(const struct imp_call *call, ssize_t i, const char *keyword);

/* imp_call_original - do what was asked for: the program's code runs */
PyObject *imp_call_original(const struct imp_call *call);

#endif
