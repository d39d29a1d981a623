/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_EXTENSION_H
#define IMP_PRELOAD_PYTHON_EXTENSION_H

#include "python_call.h"
#include "python_interpreter.h"

/*
 * In place of _imp.create_dynamic(spec, file=None) and _imp.exec_dynamic(mod): the two steps in which
 * code of an extension module runs. The process may end in there, so that what began and ended is put into
 * the journal (imp_record_journal()) before that code runs and behind it, as is the dlopen() in the first step
 * (interpose_dl.c). Not twice in a row: the first step's begin goes there with its dlopen(), its end with the
 * second step's begin, or with the end of the attempt.
 */
PyObject *imp_extension_create(struct imp_interp *in, const struct imp_call *call);
PyObject *imp_extension_exec(struct imp_interp *in, const struct imp_call *call);

#endif
