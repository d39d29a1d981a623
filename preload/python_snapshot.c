/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_snapshot.h"

#include <string.h>

#include "path_look.h"
#include "python_claims.h"
#include "python_text.h"
#include "recorder.h"
#include "poison.h"

#define SNAPSHOTS_MAX 16 /* of one name on one path */
#define ENTRIES_MAX   256

/* The name's part before its last dot: a new reference, NULL where there is none. */
static PyObject *parent_name(const struct imp_python_api *py, PyObject *name)
{
	ssize_t i = py->PyUnicode_GetLength(name);
	PyObject *parent;

	while (i > 0 && py->PyUnicode_ReadChar(name, i - 1) != '.')
		i--;
	if (i <= 0)
		return NULL;
	parent = py->PyUnicode_Substring(name, 0, i - 1);
	if (!parent)
		py->PyErr_Clear();
	return parent;
}

/* A value of the parent package's __dict__. */
static PyObject *parent_value(struct imp_interp *in, PyObject *name, const char *key)
{
	const struct imp_python_api *py = in->py;
	PyObject *parent = parent_name(py, name), *module, *value = NULL;

	if (!parent)
		return NULL;
	module = imp_python_dict_find(py, imp_python_modules(py), parent);
	if (imp_python_is_module(py, module))
		value = imp_python_dict_get(py, py->PyModule_GetDict(module), key);
	imp_python_drop(py, module);
	imp_python_drop(py, parent);
	return value;
}

PyObject *imp_snapshot_parent_path(struct imp_interp *in, PyObject *name)
{
	PyObject *path = parent_value(in, name, "__path__"), *list;

	if (!path || imp_python_sequence_size(in->py, path) >= 0)
		return path;
	/* A namespace package's: an object that computes it; what it computed last is a list in it. */
	list = imp_python_plain_attr(in->py, path, "_path");
	in->py->Py_DecRef(path);
	if (list && imp_python_sequence_size(in->py, list) < 0) {
		in->py->Py_DecRef(list);
		list = NULL;
	}
	return list;
}

static enum imp_module_state module_state(struct imp_interp *in, PyObject *name)
{
	PyObject *module = imp_python_dict_find(in->py, imp_python_modules(in->py), name);
	enum imp_module_state state = IMP_MODULE_PRESENT;

	if (!module)
		state = IMP_MODULE_ABSENT;
	else if (module == in->py->types.none)
		state = IMP_MODULE_NONE;
	imp_python_drop(in->py, module);
	return state;
}

/* What frozen programs set: sys._MEIPASS is a directory, sys.frozen a word or True. */
static void put_frozen(struct imp_cbor *c, struct imp_interp *in)
{
	const struct imp_python_api *py = in->py;
	PyObject *place = imp_python_dict_get(py, in->sys_dict, "_MEIPASS");
	PyObject *frozen = imp_python_dict_get(py, in->sys_dict, "frozen");

	if (imp_python_is(py, place, py->types.str))
		imp_python_put_text(c, py, IMP_KEY_FROZEN, place);
	else if (imp_python_is(py, frozen, py->types.str))
		imp_python_put_text(c, py, IMP_KEY_FROZEN, frozen);
	else if (frozen && frozen != py->types.none)
		imp_put_text(c, IMP_KEY_FROZEN, "True", 4);
	imp_python_drop(py, frozen);
	imp_python_drop(py, place);
}

void imp_snapshot_write(struct imp_thread *t, struct imp_interp *in, uint32_t attempt,
			PyObject *name, PyObject *parent_path)
{
	const struct imp_python_api *py = in->py;
	struct imp_look l = {.t = t, .in = in, .hooked = parent_path};
	struct imp_python_text text;
	PyObject *path = NULL, *item;
	const char *dot;
	uint32_t before = imp_interpreter_failed_before(in, name);
	ssize_t i, size;

	/* A program that tries again and again: what there is to see has been seen. */
	if (before >= SNAPSHOTS_MAX)
		return;
	imp_python_text_get(py, name, &text);
	dot = memrchr(text.data, '.', text.len);
	l.tail = dot ? dot + 1 : text.data;
	l.tail_len = text.len - (size_t)(l.tail - text.data);
	if (parent_path) {
		path = parent_path;
		py->Py_IncRef(path);
	} else if (!dot) {
		path = imp_python_dict_get(py, in->sys_dict, "path");
	}
	imp_claims_begin(&l.claims, t, in, text.data, before ? 0 : text.len);
	l.c = imp_record_begin(t, IMP_EV_SNAPSHOT);
	imp_put_number(t, IMP_KEY_IMPORT, attempt);
	imp_put_shared(l.c, IMP_KEY_TEXT, text.data, text.len);
	imp_put_uint(l.c, IMP_KEY_SYS_MODULES, module_state(in, name));
	imp_put_array(l.c, IMP_KEY_ENTRIES);
	size = imp_python_sequence_size(py, path);
	for (i = 0; i < size && i < ENTRIES_MAX; i++) {
		item = imp_python_sequence_item(py, path, i);
		if (item)
			imp_look_put_entry(&l, item);
		imp_python_drop(py, item);
	}
	imp_cbor_array_end(l.c);
	imp_interpreter_put_meta_path(l.c, t, in);
	put_frozen(l.c, in);
	if (dot) {
		item = parent_value(in, name, "__file__");
		imp_python_put_path(l.c, py, IMP_KEY_MODULE_FILE, item);
		imp_python_drop(py, item);
	}
	imp_record_end(t);
	for (i = 0; parent_path && l.claims.modules_count && i < size && i < ENTRIES_MAX; i++) {
		item = imp_python_sequence_item(py, path, i);
		imp_look_consider_above(&l, item, text.data, text.len);
		imp_python_drop(py, item);
	}
	imp_claims_write(&l.claims, t);
	imp_python_drop(py, path);
	imp_python_text_clear(py, &text);
}
