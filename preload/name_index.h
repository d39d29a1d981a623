/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_NAME_INDEX_H
#define IMP_PRELOAD_NAME_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "python_api.h"

/*
 * The listings that FileFinders hold of their directories, sets of thousands of names sometimes, which are gone
 * through after each failed import: of each name its first and last characters, so that the others need not be asked
 * for again. Of one interpreter, and not where there is no GIL.
 */
struct imp_indexed_name {
	PyObject *name; /* a str, borrowed from the set */
	uint8_t first;	/* in lower case; 0: not ASCII */
	uint8_t last;	/* 0: not ASCII, or the name has less than four characters */
};

struct imp_name_index;

/*
 * imp_name_index_get - the names of a set
 * @index: NULL at first, then what the first call has made
 * @count: how many
 *
 * Keeps a reference to the set until another one takes its place, or the hooks end. Returns NULL where it has too
 * many names, where there is no memory, and without a GIL: then it is to be gone through itself.
 */
const struct imp_indexed_name *imp_name_index_get(struct imp_name_index **index,
						  const struct imp_python_api *py, PyObject *set,
						  size_t *count);

/* imp_name_index_forget - the interpreter is over; NULL is fine */
void imp_name_index_forget(struct imp_name_index *index);

#endif
