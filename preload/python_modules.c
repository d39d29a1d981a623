// SPDX-License-Identifier: GPL-2.0-or-later
#include "python_modules.h"

#include "python_text.h"
#include "recorder.h"
#include "poison.h"

/* Is it the name of a shared object? All suffixes of extension modules on Linux end so. */
static bool is_native(const struct imp_python_api *py, PyObject *file)
{
	ssize_t len;

	if (!imp_python_is(py, file, py->types.str))
		return false;
	len = py->PyUnicode_GetLength(file);
	return len > 3 && py->PyUnicode_ReadChar(file, len - 3) == '.' &&
	       py->PyUnicode_ReadChar(file, len - 2) == 's' &&
	       py->PyUnicode_ReadChar(file, len - 1) == 'o';
}

static void put_loader(struct imp_cbor *c, struct imp_thread *t, const struct imp_python_api *py,
		       PyObject *loader)
{
	struct imp_text_buf b = {.data = t->text, .size = sizeof(t->text)};

	if (!loader || loader == py->types.none)
		return;
	imp_python_type_name(&b, py,
			     imp_python_is_class(py, loader) ? loader : imp_python_type(py, loader),
			     false);
	imp_put_shared(c, IMP_KEY_LOADER, b.data, b.len);
}

static void write_module(struct imp_thread *t, const struct imp_interp *in, PyObject *name,
			 PyObject *dict)
{
	const struct imp_python_api *py = in->py;
	PyObject *spec = imp_python_dict_get(py, dict, "__spec__");
	PyObject *file = imp_python_dict_get(py, dict, "__file__"), *loader;
	struct imp_cbor *c;

	if (!is_native(py, file)) {
		imp_python_drop(py, file);
		file = imp_python_plain_attr(py, spec, "origin");
	}
	if (is_native(py, file)) {
		loader = imp_python_plain_attr(py, spec, "loader");
		c = imp_record_begin(t, IMP_EV_MODULE);
		imp_python_put_shared(c, py, IMP_KEY_TEXT, name);
		imp_python_put_path(c, py, IMP_KEY_ORIGIN, file);
		put_loader(c, t, py, loader);
		imp_interpreter_put(c, in);
		imp_record_end(t);
		imp_python_drop(py, loader);
	}
	imp_python_drop(py, file);
	imp_python_drop(py, spec);
}

void imp_python_modules_write(struct imp_thread *t, struct imp_interp *in)
{
	const struct imp_python_api *py = in->py;
	PyObject *modules = imp_python_modules(py), *names = NULL;
	ssize_t i, size;

	/* Its keys as they are now: whatever runs in between may import. */
	if (py->PyDict_Keys && imp_python_is(py, modules, py->types.dict))
		names = py->PyDict_Keys(modules);
	if (!names) {
		py->PyErr_Clear();
		return;
	}
	size = imp_python_sequence_size(py, names);
	for (i = 0; i < size; i++) {
		PyObject *name = imp_python_sequence_item(py, names, i), *module = NULL, *dict;

		if (imp_python_is(py, name, py->types.str))
			module = imp_python_dict_find(py, modules, name);
		dict = imp_python_is_module(py, module) ? py->PyModule_GetDict(module) : NULL;
		if (dict)
			write_module(t, in, name, dict);
		imp_python_drop(py, module);
		imp_python_drop(py, name);
	}
	imp_python_drop(py, names);
}
