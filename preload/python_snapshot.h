/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_SNAPSHOT_H
#define IMP_PRELOAD_PYTHON_SNAPSHOT_H

#include "python_interpreter.h"

/*
 * What is there when an import has failed: every entry of its search path, and in it the files that come
 * near to the name.
 */

/*
 * imp_snapshot_parent_path - where a submodule is searched: the parent package's __path__
 * Returns a new reference to a list or tuple; NULL for a top-level name, and where there is none.
 */
PyObject *imp_snapshot_parent_path(struct imp_interp *in, PyObject *name);

/*
 * imp_snapshot_write - write IMP_EV_SNAPSHOT, and CLAIMS of distributions whose names are related
 * @attempt: the failed attempt
 * @name:    the module's full name, a str
 * @parent_path: from imp_snapshot_parent_path(); NULL: sys.path, if it is a top-level name
 */
void imp_snapshot_write(struct imp_thread *t, struct imp_interp *in, uint32_t attempt,
			PyObject *name, PyObject *parent_path);

#endif
