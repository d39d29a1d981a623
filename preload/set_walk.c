/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "set_walk.h"

#include "poison.h"

static bool walks_directly(const struct imp_python_api *py)
{
	return py->_PySet_NextEntry && py->types.object_size == 2 * sizeof(void *);
}

PyObject *imp_set_next(const struct imp_python_api *py, PyObject *set, struct imp_set_walk *walk)
{
	PyObject *item;
	ssize_t hash;

	if (walks_directly(py))
		return py->_PySet_NextEntry(set, &walk->at, &item, &hash) ? item : NULL;
	imp_python_drop(py, walk->item);
	if (!walk->iterator)
		walk->iterator = py->PyObject_GetIter(set);
	item = walk->iterator ? py->PyIter_Next(walk->iterator) : NULL;
	if (!item)
		py->PyErr_Clear();
	walk->item = item;
	return item;
}

void imp_set_walk_end(const struct imp_python_api *py, struct imp_set_walk *walk)
{
	imp_python_drop(py, walk->item);
	imp_python_drop(py, walk->iterator);
}
