/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_ATTACH_H
#define IMP_PRELOAD_PYTHON_ATTACH_H

#include <stdbool.h>

struct imp_hooks;

/*
 * The hooks of a CPython that runs already. They go in, and out again, with its GIL held: in its main thread, by
 * Py_AddPendingCall(); and where that thread does not come around, since it waits in a system call, in a short
 * thread of ours, by PyGILState_Ensure(). It is that thread that asks for the pending call too: the one that
 * imptrace has stopped may hold CPython's lock of them.
 */

/* imp_python_attach_add - a CPython was found that is initialized; its hooks are due */
void imp_python_attach_add(struct imp_hooks *hooks);

/*
 * imp_python_attach_want - have the hooks put in or taken out of all CPythons that were found
 *
 * Returns 0 where that will be done, and imp_attach_served() called then; 1 where there is nothing to do; or a
 * negative errno where no thread could be started.
 */
int imp_python_attach_want(bool in);

/*
 * imp_python_attach_after_fork - the child has no thread of ours: what it was about is due again
 * imp_python_attach_catch_up - begin it, in the child; cheap where nothing is due
 */
void imp_python_attach_after_fork(void);
void imp_python_attach_catch_up(void);

/* imp_python_attach_is_there - is that CPython still mapped? */
bool imp_python_attach_is_there(const struct imp_hooks *hooks);

#endif
