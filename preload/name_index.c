/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "name_index.h"

#include <sys/mman.h>

#include "set_walk.h"

#include "poison.h"

#define NAMES_MAX 4096 /* of one set */

struct imp_name_index {
	struct {
		PyObject *set; /* borrowed from imp_python_names.kept; NULL: none */
		size_t count;  /* of its names that are str */
		ssize_t size;  /* of the set: a program may have changed it */
	} places[IMP_PYTHON_SETS];
	/* Filled from the front: few pages of this are ever touched. */
	struct imp_indexed_name names[IMP_PYTHON_SETS][NAMES_MAX];
};

static struct imp_name_index *make(void)
{
	void *memory = mmap(NULL, sizeof(struct imp_name_index), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static uint8_t character(const struct imp_python_api *py, PyObject *name, ssize_t at)
{
	uint32_t c = py->PyUnicode_ReadChar(name, at);

	return c < 0x80 ? (uint8_t)c : 0;
}

static void fill(struct imp_indexed_name *n, const struct imp_python_api *py, PyObject *name)
{
	ssize_t len = py->PyUnicode_GetLength(name);

	n->name = name;
	n->first = len > 0 ? character(py, name, 0) : 0;
	if (n->first >= 'A' && n->first <= 'Z')
		n->first = (uint8_t)(n->first + ('a' - 'A'));
	n->last = len >= 4 ? character(py, name, len - 1) : 0;
}

const struct imp_indexed_name *imp_name_index_get(struct imp_name_index **index,
						  const struct imp_python_api *py, PyObject *set,
						  size_t *count)
{
	const size_t i = ((uintptr_t)set >> 4 ^ (uintptr_t)set >> 9) % IMP_PYTHON_SETS;
	const ssize_t size = py->PySet_Size(set);
	struct imp_python_names *names = py->names;
	struct imp_set_walk walk = {0};
	struct imp_indexed_name *to;
	PyObject *name;

	if (!names || !names->sets_at || size > NAMES_MAX)
		return NULL;
	if (!*index)
		*index = make();
	if (!*index)
		return NULL;
	to = (*index)->names[i];
	*count = (*index)->places[i].count;
	if ((*index)->places[i].set == set && (*index)->places[i].size == size)
		return to;
	(*index)->places[i].set = NULL;
	py->Py_IncRef(set);
	if (py->PyList_SetItem(names->kept, names->sets_at + (ssize_t)i, set) < 0) {
		py->PyErr_Clear();
		return NULL;
	}
	for (*count = 0; *count < NAMES_MAX && (name = imp_set_next(py, set, &walk));)
		if (imp_python_is(py, name, py->types.str))
			fill(&to[(*count)++], py, name);
	imp_set_walk_end(py, &walk);
	(*index)->places[i].set = set;
	(*index)->places[i].size = size;
	(*index)->places[i].count = *count;
	return to;
}

void imp_name_index_forget(struct imp_name_index *index)
{
	for (size_t i = 0; index && i < IMP_PYTHON_SETS; i++)
		index->places[i].set = NULL;
}
