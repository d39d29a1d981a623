/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_SET_WALK_H
#define IMP_PRELOAD_SET_WALK_H

#include "python_api.h"

/*
 * Steps through a set of CPython's. Directly where there is a GIL, and CPython exports it; else with an
 * iterator, which is an object more for the garbage collector. Zeroed, it stands at the beginning.
 */
struct imp_set_walk {
	PyObject *iterator; /* owned, as is the next */
	PyObject *item;
	ssize_t at;
};

/* imp_set_next - the next item, borrowed until the next call; NULL at the end. The set must not change. */
PyObject *imp_set_next(const struct imp_python_api *py, PyObject *set, struct imp_set_walk *walk);

/* imp_set_walk_end - due after every walk, whether it came to the end or not */
void imp_set_walk_end(const struct imp_python_api *py, struct imp_set_walk *walk);

#endif
