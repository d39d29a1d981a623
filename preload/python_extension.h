/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_EXTENSION_H
#define IMP_PRELOAD_PYTHON_EXTENSION_H

#include "python_call.h"
#include "python_interpreter.h"

/*
 * In place of _imp.create_dynamic(spec, file=None) and _imp.exec_dynamic(mod): the two steps in which
 * code of an extension module runs. The process may end in there, so that begin and end of both are put into
 * the journal at once (imp_record_journal()), as is the dlopen() in the first step (interpose_dl.c).
 */
PyObject *imp_extension_create(struct imp_interp *in, const struct imp_call *call);
PyObject *imp_extension_exec(struct imp_interp *in, const struct imp_call *call);

#endif
