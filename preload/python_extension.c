/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_extension.h"

#include <string.h>

#include "file_facts.h"
#include "loaded_names.h"
#include "python_exception.h"
#include "python_import.h"
#include "python_text.h"
#include "recorder.h"
#include "poison.h"

/*
 * The dlopen() of a file that is not loaded yet is put into the journal itself, with what stands before it. Not
 * to be relied on before it was seen: a libpython that was opened with RTLD_DEEPBIND goes past us.
 */
static bool will_load(const struct imp_interp *in, PyObject *origin)
{
	struct imp_python_text text;
	bool will = in->loads_seen && imp_python_text_get_path(in->py, origin, &text);

	if (!will)
		return false;
	will = !imp_loaded_names_has(imp_loaded_names_hash(text.data));
	imp_python_text_clear(in->py, &text);
	return will;
}

static uint32_t begin(struct imp_thread *t, struct imp_interp *in, enum imp_step step,
		      PyObject *name, PyObject *origin)
{
	struct imp_attempt *attempt = imp_import_current(t, in);
	uint32_t call = imp_record_next_id();
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_EXT_BEGIN);

	imp_put_number(t, IMP_KEY_CALL, call);
	imp_put_uint(c, IMP_KEY_STEP, step);
	imp_python_put_shared(c, in->py, IMP_KEY_TEXT, name);
	imp_python_put_path(c, in->py, IMP_KEY_ORIGIN, origin);
	if (attempt)
		imp_put_number(t, IMP_KEY_IMPORT, attempt->id);
	imp_record_end(t);
	if (step != IMP_STEP_CREATE || !will_load(in, origin))
		imp_record_journal();
	return call;
}

/*
 * "dynamic module does not define module export function (PyInit_x)": it was loaded, so that no failed
 * dlopen() says what file it is.
 */
static void look_at_file(struct imp_thread *t, const struct imp_python_api *py, uint32_t call,
			 PyObject *error)
{
	struct imp_python_text text;
	PyObject *msg, *path;

	if (!imp_python_is_exception(py, error))
		return;
	msg = imp_python_member(py, error, py->types.import_error, "msg");
	path = imp_python_member(py, error, py->types.import_error, "path");
	imp_python_text_get(py, msg, &text);
	if (memmem(text.data, text.len, "does not define", strlen("does not define"))) {
		imp_python_text_clear(py, &text);
		imp_python_text_get_path(py, path, &text);
		imp_file_facts_of(t, call, text.data, text.len);
	}
	imp_python_text_clear(py, &text);
	imp_python_drop(py, path);
	imp_python_drop(py, msg);
}

static void end(struct imp_thread *t, struct imp_interp *in, uint32_t call, enum imp_step step,
		bool failed)
{
	const struct imp_python_api *py = in->py;
	struct imp_attempt *attempt = imp_import_current(t, in);
	struct imp_python_error error;
	struct imp_cbor *c;

	imp_python_error_save(py, &error);
	c = imp_record_begin(t, IMP_EV_EXT_END);
	imp_put_number(t, IMP_KEY_CALL, call);
	if (failed && error.type)
		imp_python_put_exception(c, t, py, IMP_KEY_EXCEPTION, error.type, error.value,
					 error.traceback);
	imp_record_end(t);
	if (failed && step == IMP_STEP_CREATE && attempt)
		attempt->load_failed = true;
	if (failed && step == IMP_STEP_CREATE)
		look_at_file(t, py, call, error.value);
	imp_python_error_restore(py, &error);
	if (failed)
		imp_record_keep();
	else if (step == IMP_STEP_CREATE && attempt)
		imp_record_journal_soon(); /* the exec step follows, or the attempt's end */
	else
		imp_record_journal();
}

static PyObject *run(struct imp_interp *in, const struct imp_call *call, enum imp_step step,
		     PyObject *name, PyObject *origin, struct imp_thread *t)
{
	const struct imp_python_api *py = in->py;
	uint64_t image_ns = imp_recorder_image_ns();
	uint32_t loads = t->loads;
	uint32_t id = begin(t, in, step, name, origin);
	PyObject *result;

	imp_python_drop(py, name);
	imp_python_drop(py, origin);
	t->extension_depth++;
	imp_thread_leave(t);
	result = imp_call_original(call);
	t = imp_thread_get(false);
	if (t && t->extension_depth)
		t->extension_depth--;
	t = imp_thread_enter();
	if (t) {
		if (step == IMP_STEP_CREATE && t->loads != loads)
			in->loads_seen = true;
		if (imp_recorder_image_ns() == image_ns)
			end(t, in, id, step, !result);
		imp_thread_leave(t);
	}
	return result;
}

PyObject *imp_extension_create(struct imp_interp *in, const struct imp_call *call)
{
	const struct imp_python_api *py = in->py;
	struct imp_thread *t = imp_thread_enter();
	PyObject *spec, *name, *origin;
	struct imp_python_error error;

	if (!t)
		return imp_call_original(call);
	imp_python_error_save(py, &error);
	spec = imp_call_arg(call, 0);
	name = imp_python_plain_attr(py, spec, "name");
	origin = imp_python_plain_attr(py, spec, "origin");
	imp_python_error_restore(py, &error);
	return run(in, call, IMP_STEP_CREATE, name, origin, t);
}

/*
 * Has the module code of its own for this step (Py_mod_exec)? One that was initialized in a single phase
 * has not, and CPython does nothing then. Asked of PyModuleDef, whose layout belongs to the stable ABI:
 * a PyObject head, four words of PyModuleDef_Base and m_name, m_doc, m_size, m_methods, m_slots.
 */
static bool has_exec(const struct imp_python_api *py, PyObject *module)
{
	const char *def = py->PyModule_GetDef ? py->PyModule_GetDef(module) : NULL;
	void *const *words;

	if (!def) {
		py->PyErr_Clear();
		return false;
	}
	words = (void *const *)(def + py->types.object_size);
	return words[3 + 4];
}

PyObject *imp_extension_exec(struct imp_interp *in, const struct imp_call *call)
{
	const struct imp_python_api *py = in->py;
	struct imp_thread *t = imp_thread_enter();
	PyObject *module, *dict, *name, *origin;
	struct imp_python_error error;

	if (!t)
		return imp_call_original(call);
	imp_python_error_save(py, &error);
	module = imp_call_arg(call, 0);
	if (!imp_python_is_module(py, module) || !has_exec(py, module)) {
		imp_python_error_restore(py, &error);
		imp_thread_leave(t);
		return imp_call_original(call);
	}
	dict = py->PyModule_GetDict(module);
	name = imp_python_dict_get(py, dict, "__name__");
	origin = imp_python_dict_get(py, dict, "__file__");
	imp_python_error_restore(py, &error);
	return run(in, call, IMP_STEP_EXEC, name, origin, t);
}
