/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_UNCAUGHT_H
#define IMP_PRELOAD_PYTHON_UNCAUGHT_H

#include "python_call.h"
#include "python_interpreter.h"

/*
 * The error that the user sees at the end. A hook of the program's own in sys.excepthook is not followed,
 * unless it calls CPython's, which is ours.
 */

/* In place of sys.excepthook(type, value, traceback) */
PyObject *imp_uncaught_main(struct imp_interp *in, const struct imp_call *call);

/* In place of _thread._excepthook(args), which threading.excepthook is */
PyObject *imp_uncaught_thread(struct imp_interp *in, const struct imp_call *call);

/* In place of sys.exit(status=None): programs that catch their error and say so themselves */
PyObject *imp_uncaught_exit(struct imp_interp *in, const struct imp_call *call);

#endif
