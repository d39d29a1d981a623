/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_FRAME_H
#define IMP_PRELOAD_PYTHON_FRAME_H

#include "cbor_put.h"
#include "line_table.h"
#include "python_api.h"

#define IMP_STACK_MAX 64 /* frames of one IMP_KEY_STACK */

/*
 * Frames are recorded as [file, line, function, module]. Those of the import machinery are left out:
 * importlib._bootstrap and _bootstrap_external, frozen or not, and importlib/__init__.py.
 */

/*
 * Where in a body of code the last import was: one and the same body does one after the other. The line of the
 * next one is looked for from there (line_table.h). Zeroed, there is none.
 */
#define IMP_LINE_PLACES 32
struct imp_line_places {
	const struct imp_python_api
		*py; /* of the interpreter whose tables these are; NULL: there are none */
	struct imp_line_place {
		void *table; /* PyObject, owned: co_linetable */
		struct imp_line_walk walk;
	} at[IMP_LINE_PLACES];
};
/* imp_line_places_clear - @py: of the interpreter that runs; the tables of another one are only forgotten */
void imp_line_places_clear(struct imp_line_places *places, const struct imp_python_api *py);

/* Does CPython say the same? It is asked a few times before it is relied on. One for each interpreter. */
struct imp_line_trust {
	uint8_t agreed;
	bool never;
};

/*
 * imp_python_put_frame - who asked: the innermost frame of this thread outside the machinery, if any
 * @places: of this thread, for one that imports; NULL: CPython looks for the line
 */
void imp_python_put_frame(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			  struct imp_line_places *places, struct imp_line_trust *trust);

/*
 * imp_python_put_stack - all frames of this thread, outermost first
 * Of more than IMP_STACK_MAX frames the innermost ones. Nothing where there is no frame.
 */
void imp_python_put_stack(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key);

/*
 * imp_python_put_traceback - the frames of a traceback, outermost first
 * Of more than IMP_STACK_MAX entries the outermost ones. Nothing where there is no traceback.
 */
void imp_python_put_traceback(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			      PyObject *traceback);

/* imp_python_put_where - the innermost frame of a traceback outside the machinery, if any */
void imp_python_put_where(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			  PyObject *traceback);

/* imp_python_has_where - is there such a frame? Then code of a module has run. */
bool imp_python_has_where(const struct imp_python_api *py, PyObject *traceback);

#endif
