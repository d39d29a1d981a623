/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_EXTENSION_H
#define IMP_PRELOAD_PYTHON_EXTENSION_H

#include "python_interpreter.h"

/*
 * In place of _imp.create_dynamic(spec, file=None) and _imp.exec_dynamic(mod): the two steps in which
 * code of an extension module runs. The process may end in there; what is written before it is the
 * dlopen() that is part of the first step (interpose_dl.c), and with it the begin of that step. To write
 * again before each second step doubles what recording costs a program that loads 150 extensions.
 */
PyObject *imp_extension_create(struct imp_interp *in, PyObject *original, PyObject *args,
			       PyObject *kwargs);
PyObject *imp_extension_exec(struct imp_interp *in, PyObject *original, PyObject *args,
			     PyObject *kwargs);

#endif
