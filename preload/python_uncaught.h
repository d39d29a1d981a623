/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_UNCAUGHT_H
#define IMP_PRELOAD_PYTHON_UNCAUGHT_H

#include "python_call.h"
#include "python_interpreter.h"

/*
 * The error that the user sees at the end, shown by CPython's sys.excepthook or, as far as imp_uncaught_look()
 * comes by in time, by a hook of the program's own.
 */

/* In place of sys.excepthook(type, value, traceback) */
PyObject *imp_uncaught_main(struct imp_interp *in, const struct imp_call *call);

/* Called while garbage is collected: has an exception that nobody caught come since the last one that was written? */
void imp_uncaught_look(struct imp_interp *in);

/* In place of _thread._excepthook(args), which threading.excepthook is */
PyObject *imp_uncaught_thread(struct imp_interp *in, const struct imp_call *call);

/* In place of sys.exit(status=None): programs that catch their error and say so themselves */
PyObject *imp_uncaught_exit(struct imp_interp *in, const struct imp_call *call);

#endif
