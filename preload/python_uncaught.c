/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_uncaught.h"

#include "python_claims.h"
#include "python_exception.h"
#include "python_frame.h"
#include "python_text.h"
#include "recorder.h"
#include "thread_slot.h"
#include "poison.h"

/* Whoever calls sys.excepthook may give anything for a traceback. The exception's own one is of the right type. */
static bool is_traceback(const struct imp_python_api *py, PyObject *given, PyObject *value)
{
	PyObject *own =
		imp_python_is_exception(py, value) ? py->PyException_GetTraceback(value) : NULL;
	bool is = own && imp_python_is(py, given, imp_python_type(py, own));

	imp_python_drop(py, own);
	return is;
}

static void write_uncaught(struct imp_thread *t, struct imp_interp *in, enum imp_uncaught how,
			   PyObject *type, PyObject *value, PyObject *traceback)
{
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_UNCAUGHT);

	if (!is_traceback(in->py, traceback, value))
		traceback = NULL;
	in->uncaught = value;
	imp_put_uint(c, IMP_KEY_HOW, how);
	imp_python_put_exception(c, t, in->py, IMP_KEY_EXCEPTION, type, value, traceback);
	if (imp_options.stacks != IMP_NONE)
		imp_python_put_traceback(c, in->py, IMP_KEY_STACK, traceback);
	imp_interpreter_put(c, in);
	imp_record_end(t);
	imp_claims_of_chain(t, in, value);
	imp_record_flush();
}

/*
 * The interpreter keeps the exception that it is about to show in sys.last_value, whoever shows it. A program's own
 * sys.excepthook need not call the original; but before the interpreter takes itself apart, it collects
 * garbage, and comes by. Its lists of objects may not be gone through here, and nothing may be left changed: no
 * more is written than what the exception is. Not in a build without a GIL (its PyObject heads are longer).
 */
void imp_uncaught_look(struct imp_interp *in)
{
	const struct imp_python_api *py = in->py;
	struct imp_python_error error;
	struct imp_thread *t;
	struct imp_cbor *c;
	PyObject *value;

	if (!py || !in->sys_dict || py->types.object_size > 2 * sizeof(void *))
		return;
	imp_python_error_save(py, &error);
	value = imp_python_dict_get(py, in->sys_dict, "last_value");
	if (imp_python_is_exception(py, value) && value != in->uncaught) {
		t = imp_thread_enter();
		if (t) {
			in->uncaught = value;
			c = imp_record_begin(t, IMP_EV_UNCAUGHT);
			imp_put_uint(c, IMP_KEY_HOW, IMP_UNCAUGHT_MAIN);
			imp_python_put_exception(c, t, py, IMP_KEY_EXCEPTION,
						 imp_python_type(py, value), value, NULL);
			imp_interpreter_put(c, in);
			imp_record_end(t);
			imp_record_flush();
			imp_thread_leave(t);
		}
	}
	imp_python_drop(py, value);
	imp_python_error_restore(py, &error);
}

PyObject *imp_uncaught_main(struct imp_interp *in, const struct imp_call *call)
{
	const struct imp_python_api *py = in->py;
	struct imp_thread *t = imp_thread_enter();
	struct imp_python_error error;

	if (t) {
		imp_python_error_save(py, &error);
		if (imp_call_size(call) == 3)
			write_uncaught(t, in, IMP_UNCAUGHT_MAIN, imp_call_arg(call, 0),
				       imp_call_arg(call, 1), imp_call_arg(call, 2));
		imp_python_error_restore(py, &error);
		imp_thread_leave(t);
	}
	return imp_call_original(call);
}

PyObject *imp_uncaught_thread(struct imp_interp *in, const struct imp_call *call)
{
	const struct imp_python_api *py = in->py;
	struct imp_thread *t = imp_thread_enter();
	PyObject *given, *type, *value, *traceback;
	struct imp_python_error error;

	if (t) {
		imp_python_error_save(py, &error);
		given = imp_call_arg(call, 0);
		/* ExceptHookArgs is a struct sequence, a tuple of CPython's own; the original checks. */
		if (given && py->PyType_IsSubtype(imp_python_type(py, given), py->types.tuple) &&
		    py->PyTuple_Size(given) >= 3) {
			type = py->PyTuple_GetItem(given, 0);
			value = py->PyTuple_GetItem(given, 1);
			traceback = py->PyTuple_GetItem(given, 2);
			/* threading says nothing about a thread that ends so. */
			if (type != py->types.system_exit)
				write_uncaught(t, in, IMP_UNCAUGHT_THREAD, type, value, traceback);
		}
		imp_python_error_restore(py, &error);
		imp_thread_leave(t);
	}
	return imp_call_original(call);
}

static void write_exit(struct imp_thread *t, struct imp_interp *in, PyObject *status)
{
	const struct imp_python_api *py = in->py;
	struct imp_text_buf b = {.data = t->text, .size = sizeof(t->text)};
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_SYS_EXIT);
	PyObject *type = NULL, *value = NULL, *traceback = NULL;
	long long code = 0;
	int overflow;

	if (imp_python_is(py, status, py->types.int_) || imp_python_is(py, status, py->types.bool_)) {
		code = py->PyLong_AsLongLongAndOverflow(status, &overflow);
	} else if (status && status != py->types.none) {
		/* Printed to stderr in the end, and the exit status is 1. */
		imp_python_add_message(&b, py, status);
		imp_put_text(c, IMP_KEY_MESSAGE, b.data, b.len);
		code = 1;
	}
	imp_put_int(c, IMP_KEY_CODE, code);
	py->PyErr_GetExcInfo(&type, &value, &traceback);
	if (imp_python_is_exception(py, value))
		imp_python_put_exception(c, t, py, IMP_KEY_EXCEPTION, imp_python_type(py, value),
					 value, traceback);
	imp_python_put_frame(c, py, IMP_KEY_FRAME, NULL, NULL);
	imp_record_end(t);
	if (imp_python_is_exception(py, value)) {
		imp_claims_of_chain(t, in, value);
		imp_record_flush();
	}
	imp_python_drop(py, type);
	imp_python_drop(py, value);
	imp_python_drop(py, traceback);
}

PyObject *imp_uncaught_exit(struct imp_interp *in, const struct imp_call *call)
{
	const struct imp_python_api *py = in->py;
	struct imp_thread *t = imp_thread_enter();
	struct imp_python_error error;

	if (t) {
		imp_python_error_save(py, &error);
		if (imp_call_size(call) <= 1)
			write_exit(t, in, imp_call_arg(call, 0));
		imp_python_error_restore(py, &error);
		imp_thread_leave(t);
	}
	return imp_call_original(call);
}
