/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_IMPORT_H
#define IMP_PRELOAD_PYTHON_IMPORT_H

#include "python_call.h"
#include "python_interpreter.h"
#include "thread_slot.h"

/*
 * What runs in place of importlib's functions: each calls the original and returns what that returned.
 */

/* _frozen_importlib._find_and_load(name, import_): each attempt that sys.modules did not answer */
PyObject *imp_import_find_and_load(struct imp_interp *in, const struct imp_call *call);

/* FileFinder.find_spec(self, fullname, target=None): each directory that is searched */
PyObject *imp_import_find_spec(struct imp_interp *in, const struct imp_call *call);

/* imp_import_current - the attempt that runs in this thread and interpreter, or NULL */
struct imp_attempt *imp_import_current(struct imp_thread *t, const struct imp_interp *in);

#endif
