/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_EXTENSION_H
#define IMP_PRELOAD_PYTHON_EXTENSION_H

#include "python_interpreter.h"

/*
 * In place of _imp.create_dynamic(spec, file=None) and _imp.exec_dynamic(mod): the two steps in which
 * code of an extension module runs. The batch is written before, since the process may end in there.
 */
PyObject *imp_extension_create(struct imp_interp *in, PyObject *original, PyObject *args,
			       PyObject *kwargs);
PyObject *imp_extension_exec(struct imp_interp *in, PyObject *original, PyObject *args,
			     PyObject *kwargs);

#endif
