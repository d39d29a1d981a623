/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_frame.h"

#include <string.h>

#include "python_text.h"
#include "recorder.h"
#include "poison.h"

#define TRUST_AFTER   16
#define TRACEBACK_MAX 2000 /* steps: the traceback of a runaway recursion is longer */

/*
 * A member that audit hooks of the program's are told of when it is read as an attribute (3.8): it is taken
 * from the object itself, where the member before it is what stands before it there.
 * @at: of the one before, in words behind the PyObject head
 * Returns a new reference.
 */
static PyObject *unaudited(const struct imp_python_api *py, PyObject *object, size_t at,
			   const char *before, const char *name)
{
	PyObject *const *words = (PyObject *const *)((char *)object + py->types.object_size) + at;
	PyObject *known = imp_python_attr(py, object, before), *value;

	if (known && known == (words[0] ? words[0] : py->types.none)) {
		value = words[1];
		py->Py_IncRef(value);
	} else {
		value = imp_python_attr(py, object, name);
	}
	imp_python_drop(py, known);
	return value;
}

/* Include/cpython/traceback.h: as in every CPython 3. */
static PyObject *traceback_frame(const struct imp_python_api *py, PyObject *traceback)
{
	return unaudited(py, traceback, 0, "tb_next", "tb_frame");
}

/* Include/frameobject.h, up to 3.8: a PyVarObject, whose size comes first. */
static PyObject *frame_code(const struct imp_python_api *py, PyObject *frame)
{
	return py->PyFrame_GetCode ? py->PyFrame_GetCode(frame) :
				     unaudited(py, frame, 1, "f_back", "f_code");
}

static bool has_end(const struct imp_python_text *text, const char *end)
{
	size_t len = strlen(end);

	return text->len >= len && !memcmp(text->data + text->len - len, end, len);
}

/* A quick look at a file name, before it is worth to be encoded: two characters of it, from the end. */
static bool may_be_machinery(const struct imp_python_api *py, PyObject *file)
{
	ssize_t len = py->PyUnicode_GetLength(file);
	uint32_t wanted;

	if (len < 22)
		return false;
	switch (py->PyUnicode_ReadChar(file, len - 13)) {
	case 'b': wanted = '/'; break; /* /importlib/__init__.py */
	case '_': wanted = 'm'; break; /* /importlib/_bootstrap.py */
	case 'p': wanted = '_'; break; /* /importlib/_bootstrap_external.py */
	default: wanted = 0; break;
	}
	return (wanted && py->PyUnicode_ReadChar(file, len - 22) == wanted) ||
	       py->PyUnicode_ReadChar(file, 0) == '<'; /* <frozen importlib._bootstrap> */
}

static bool is_machinery(const struct imp_python_api *py, PyObject *frame)
{
	static const char frozen[] = "<frozen importlib";
	PyObject *code = frame_code(py, frame);
	PyObject *file = imp_python_attr(py, code, "co_filename");
	struct imp_python_text text;
	bool is = false;

	if (imp_python_is(py, file, py->types.str) && may_be_machinery(py, file)) {
		imp_python_text_get(py, file, &text);
		is = (text.len >= sizeof(frozen) - 1 &&
		      !memcmp(text.data, frozen, sizeof(frozen) - 1)) ||
		     has_end(&text, "/importlib/__init__.py") ||
		     has_end(&text, "/importlib/_bootstrap.py") ||
		     has_end(&text, "/importlib/_bootstrap_external.py");
		imp_python_text_clear(py, &text);
	}
	imp_python_drop(py, file);
	imp_python_drop(py, code);
	return is;
}

/* A new reference; takes the one to @frame. */
static PyObject *step_back(const struct imp_python_api *py, PyObject *frame)
{
	PyObject *back = py->PyFrame_GetBack ? py->PyFrame_GetBack(frame) :
					       imp_python_attr(py, frame, "f_back");

	py->Py_DecRef(frame);
	if (back == py->types.none) {
		py->Py_DecRef(back);
		return NULL;
	}
	return back;
}

static PyObject *innermost(const struct imp_python_api *py)
{
	PyObject *frame = py->PyEval_GetFrame();

	if (frame)
		py->Py_IncRef(frame);
	while (frame && is_machinery(py, frame))
		frame = step_back(py, frame);
	return frame;
}

/* @line is where the frame is now, or, for a traceback, where it was. */
static void value_frame(struct imp_cbor *c, const struct imp_python_api *py, PyObject *frame,
			int line)
{
	PyObject *code = frame_code(py, frame);
	PyObject *file = imp_python_attr(py, code, "co_filename");
	PyObject *function = imp_python_attr(py, code, "co_name");
	PyObject *globals = py->PyFrame_GetGlobals ? py->PyFrame_GetGlobals(frame) :
						     imp_python_attr(py, frame, "f_globals");
	PyObject *module = imp_python_dict_get(py, globals, "__name__");

	imp_cbor_array_begin(c);
	imp_python_value_path(c, py, file);
	imp_cbor_uint(c, line > 0 ? (uint64_t)line : 0);
	imp_python_value_shared(c, py, function);
	imp_python_value_shared(c, py, module);
	imp_cbor_array_end(c);
	imp_python_drop(py, module);
	imp_python_drop(py, globals);
	imp_python_drop(py, function);
	imp_python_drop(py, file);
	imp_python_drop(py, code);
}

void imp_line_places_clear(struct imp_line_places *places, const struct imp_python_api *py)
{
	for (size_t i = 0; places->py && i < IMP_LINE_PLACES; i++) {
		if (places->py == py)
			imp_python_drop(py, places->at[i].table);
		places->at[i].table = NULL;
	}
	places->py = NULL;
}

/* The place in this code; NULL where it has no table that we know. */
static struct imp_line_place *place_in(struct imp_line_places *places,
				       const struct imp_python_api *py, PyObject *code)
{
	PyObject *table = imp_python_attr(py, code, "co_linetable"), *first;
	struct imp_line_place *place = &places->at[(uintptr_t)table / 16 % IMP_LINE_PLACES];
	int overflow;

	if (!places->py)
		places->py = py;
	if (table && table == place->table) {
		py->Py_DecRef(table);
		return place;
	}
	first = imp_python_attr(py, code, "co_firstlineno");
	if (!imp_python_is(py, table, py->types.bytes) || !imp_python_is(py, first, py->types.int_)) {
		imp_python_drop(py, first);
		imp_python_drop(py, table);
		return NULL;
	}
	imp_python_drop(py, place->table);
	*place = (struct imp_line_place){.table = table};
	place->walk.line = py->PyLong_AsLongLongAndOverflow(first, &overflow);
	py->Py_DecRef(first);
	return place;
}

static int line_of(const struct imp_python_api *py, PyObject *frame, struct imp_line_places *places,
		   struct imp_line_trust *trust)
{
	struct imp_line_place *place;
	PyObject *code;
	int64_t line = -1;
	int at, real;

	if (!places || (places->py && places->py != py) || trust->never || !py->PyFrame_GetLasti)
		return py->PyFrame_GetLineNumber(frame);
	at = py->PyFrame_GetLasti(frame);
	code = frame_code(py, frame);
	place = at >= 0 && code ? place_in(places, py, code) : NULL;
	if (place)
		line = imp_line_walk_to(&place->walk, py->PyBytes_AsString(place->table),
					(size_t)py->PyBytes_Size(place->table), (uint32_t)at);
	imp_python_drop(py, code);
	if (line >= 0 && trust->agreed == TRUST_AFTER)
		return (int)line;
	real = py->PyFrame_GetLineNumber(frame);
	if (line >= 0 && line != (real > 0 ? real : 0))
		trust->never = true;
	else if (line > 0)
		trust->agreed++;
	return real;
}

void imp_python_put_frame(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			  struct imp_line_places *places, struct imp_line_trust *trust)
{
	PyObject *frame = innermost(py);

	if (!frame)
		return;
	imp_cbor_uint(c, key);
	value_frame(c, py, frame, line_of(py, frame, places, trust));
	py->Py_DecRef(frame);
}

void imp_python_put_stack(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key)
{
	PyObject *frames[IMP_STACK_MAX];
	PyObject *frame = innermost(py);
	size_t count = 0;

	while (frame && count < IMP_STACK_MAX) {
		py->Py_IncRef(frame);
		frames[count++] = frame;
		do
			frame = step_back(py, frame);
		while (frame && is_machinery(py, frame));
	}
	imp_python_drop(py, frame);
	if (!count)
		return;
	imp_put_array(c, key);
	while (count) {
		frame = frames[--count];
		value_frame(c, py, frame, py->PyFrame_GetLineNumber(frame));
		py->Py_DecRef(frame);
	}
	imp_cbor_array_end(c);
}

/* The next entry of a traceback, a new reference; NULL after the last. */
static PyObject *traceback_next(const struct imp_python_api *py, PyObject *traceback)
{
	PyObject *next = imp_python_attr(py, traceback, "tb_next");

	if (next == py->types.none) {
		py->Py_DecRef(next);
		next = NULL;
	}
	return next;
}

/* The innermost entry outside the machinery: a new reference to the traceback object, or NULL. */
static PyObject *where(const struct imp_python_api *py, PyObject *traceback)
{
	PyObject *found = NULL, *frame, *next;
	unsigned int steps;

	if (!traceback || traceback == py->types.none)
		return NULL;
	py->Py_IncRef(traceback);
	for (steps = 0; traceback && steps < TRACEBACK_MAX; steps++) {
		frame = traceback_frame(py, traceback);
		if (frame && !is_machinery(py, frame)) {
			py->Py_IncRef(traceback);
			imp_python_drop(py, found);
			found = traceback;
		}
		imp_python_drop(py, frame);
		next = traceback_next(py, traceback);
		py->Py_DecRef(traceback);
		traceback = next;
	}
	imp_python_drop(py, traceback);
	return found;
}

static void value_entry(struct imp_cbor *c, const struct imp_python_api *py, PyObject *entry)
{
	PyObject *frame = traceback_frame(py, entry);
	PyObject *line = imp_python_attr(py, entry, "tb_lineno");
	long long number = 0;
	int overflow;

	if (imp_python_is(py, line, py->types.int_))
		number = py->PyLong_AsLongLongAndOverflow(line, &overflow);
	if (frame && !is_machinery(py, frame))
		value_frame(c, py, frame, (int)number);
	imp_python_drop(py, line);
	imp_python_drop(py, frame);
}

void imp_python_put_traceback(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			      PyObject *traceback)
{
	PyObject *next;

	if (!traceback || traceback == py->types.none)
		return;
	imp_put_array(c, key);
	py->Py_IncRef(traceback);
	for (unsigned int n = 0; traceback && n < IMP_STACK_MAX; n++) {
		value_entry(c, py, traceback);
		next = traceback_next(py, traceback);
		py->Py_DecRef(traceback);
		traceback = next;
	}
	imp_python_drop(py, traceback);
	imp_cbor_array_end(c);
}

void imp_python_put_where(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			  PyObject *traceback)
{
	PyObject *entry = where(py, traceback);
	PyObject *frame, *line;
	long long number = 0;
	int overflow;

	if (!entry)
		return;
	frame = traceback_frame(py, entry);
	line = imp_python_attr(py, entry, "tb_lineno");
	if (imp_python_is(py, line, py->types.int_))
		number = py->PyLong_AsLongLongAndOverflow(line, &overflow);
	if (frame) {
		imp_cbor_uint(c, key);
		value_frame(c, py, frame, (int)number);
	}
	imp_python_drop(py, line);
	imp_python_drop(py, frame);
	py->Py_DecRef(entry);
}

bool imp_python_has_where(const struct imp_python_api *py, PyObject *traceback)
{
	PyObject *entry = where(py, traceback);

	imp_python_drop(py, entry);
	return entry;
}
