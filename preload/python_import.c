/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_import.h"

#include <string.h>

#include "python_exception.h"
#include "python_frame.h"
#include "python_snapshot.h"
#include "python_text.h"
#include "recorder.h"
#include "stack.h"
#include "poison.h"

#define SUBMODULE_PATH_MAX 64

struct imp_attempt *imp_import_current(struct imp_thread *t, const struct imp_interp *in)
{
	uint64_t image_ns = imp_recorder_image_ns();
	uint32_t i;

	for (i = t->attempt_depth; i > 0; i--) {
		struct imp_attempt *attempt = &t->attempts[i - 1];

		if (attempt->id && attempt->key == in && attempt->image_ns == image_ns)
			return attempt;
	}
	return NULL;
}

/* The attempt of that number, wherever in the stack: greenlets end in another order than they began. */
static struct imp_attempt *find_attempt(struct imp_thread *t, const struct imp_interp *in,
					uint32_t id, uint64_t image_ns)
{
	uint32_t i;

	for (i = t->attempt_depth; i > 0; i--) {
		struct imp_attempt *attempt = &t->attempts[i - 1];

		if (attempt->id == id && attempt->key == in && attempt->image_ns == image_ns)
			return attempt;
	}
	return NULL;
}

/* Where the searches of an attempt end: those of the next one begin there. */
static uint32_t searches_end(const struct imp_thread *t, const struct imp_attempt *attempt)
{
	const struct imp_attempt *next = attempt + 1;

	return next < t->attempts + t->attempt_depth ? next->first_search : t->search_count;
}

static void remove_attempt(struct imp_thread *t, const struct imp_python_api *py,
			   struct imp_attempt *attempt)
{
	uint32_t i, end = searches_end(t, attempt);

	for (i = attempt->first_search; i < end; i++) {
		imp_python_drop(py, t->searches[i].entry);
		imp_python_drop(py, t->searches[i].finder);
		t->searches[i].entry = NULL;
		t->searches[i].finder = NULL;
	}
	attempt->id = 0;
	while (t->attempt_depth && !t->attempts[t->attempt_depth - 1].id)
		t->search_count = t->attempts[--t->attempt_depth].first_search;
	if (!t->attempt_depth)
		imp_line_places_clear(&t->lines, py);
}

/* The module's name: borrowed from the call or not, a new reference. */
static PyObject *name_argument(const struct imp_call *call, ssize_t at, const char *keyword)
{
	PyObject *name = imp_call_argument(call, at, keyword);

	if (name && !imp_python_is(call->py, name, call->py->types.str)) {
		call->py->Py_DecRef(name);
		name = NULL;
	}
	return name;
}

/* What the hook remembers of its attempt while the original runs. */
struct running {
	uint32_t id; /* 0: not recorded */
	uint64_t image_ns;
	PyObject *name; /* owned */
};

static void begin(struct imp_thread *t, struct imp_interp *in, struct running *run)
{
	const struct imp_python_api *py = in->py;
	struct imp_attempt *attempt, *parent;
	struct imp_python_text name;
	struct imp_cbor *c;

	if (t->attempt_depth >= IMP_ATTEMPTS_MAX)
		return;
	parent = imp_import_current(t, in);
	run->id = imp_record_next_id();
	run->image_ns = imp_recorder_image_ns();
	imp_interpreter_look(t, in, run->id);

	imp_python_text_get(py, run->name, &name);
	c = imp_record_begin(t, IMP_EV_IMPORT_BEGIN);
	imp_put_number(t, IMP_KEY_IMPORT, run->id);
	imp_put_shared(c, IMP_KEY_TEXT, name.data, name.len);
	if (parent)
		imp_put_number(t, IMP_KEY_PARENT, parent->id);
	if (imp_options.stacks == IMP_ALL)
		imp_python_put_stack(c, py, IMP_KEY_STACK);
	else
		imp_python_put_frame(c, py, IMP_KEY_FRAME, &t->lines, &in->lines);
	imp_interpreter_put(c, in);
	imp_record_end(t);
	if (name.len == 4 && !memcmp(name.data, "site", 4))
		imp_interpreter_site_began(in, run->id);
	imp_python_text_clear(py, &name);

	attempt = &t->attempts[t->attempt_depth++];
	*attempt = (struct imp_attempt){
		.id = run->id,
		.first_search = t->search_count,
		.image_ns = run->image_ns,
		.name_hash = py->PyObject_Hash(run->name),
		.key = in,
	};
}

/* Where the module came from, as it says itself: nothing but its __dict__ and its spec's are looked at. */
static void put_module(struct imp_cbor *c, struct imp_thread *t, const struct imp_python_api *py,
		       PyObject *module)
{
	struct imp_text_buf b = {.data = t->text, .size = sizeof(t->text)};
	PyObject *dict, *spec, *origin, *loader;

	if (!imp_python_is_module(py, module))
		return;
	dict = py->PyModule_GetDict(module);
	if (!dict) {
		py->PyErr_Clear();
		return;
	}
	spec = imp_python_dict_get(py, dict, "__spec__");
	origin = imp_python_plain_attr(py, spec, "origin");
	if (!imp_python_is(py, origin, py->types.str)) {
		imp_python_drop(py, origin);
		origin = imp_python_dict_get(py, dict, "__file__");
	}
	imp_python_put_path(c, py, IMP_KEY_ORIGIN, origin);
	loader = imp_python_plain_attr(py, spec, "loader");
	if (loader && loader != py->types.none) {
		imp_python_type_name(&b, py,
				     imp_python_is_class(py, loader) ? loader :
								       imp_python_type(py, loader),
				     false);
		imp_put_shared(c, IMP_KEY_LOADER, b.data, b.len);
	}
	imp_python_drop(py, loader);
	imp_python_drop(py, origin);
	imp_python_drop(py, spec);
}

static void put_searches(struct imp_cbor *c, struct imp_thread *t, const struct imp_python_api *py,
			 const struct imp_attempt *attempt)
{
	uint32_t i, end = searches_end(t, attempt);
	const struct imp_search *search;

	if (attempt->first_search >= end)
		return;
	imp_put_array(c, IMP_KEY_SEARCHED);
	for (i = attempt->first_search; i < end; i++) {
		search = &t->searches[i];
		imp_cbor_array_begin(c);
		imp_python_value_shared_path(c, py, search->entry);
		if (search->finder)
			imp_python_value_shared(c, py, search->finder);
		else
			imp_value_shared(c, "FileFinder", 10);
		imp_cbor_uint(c, search->result);
		imp_cbor_array_end(c);
	}
	imp_cbor_array_end(c);
}

static bool was_found(const struct imp_thread *t, const struct imp_attempt *attempt)
{
	uint32_t i, end = searches_end(t, attempt);

	for (i = attempt->first_search; i < end; i++)
		if (t->searches[i].result == IMP_SEARCH_FOUND)
			return true;
	return false;
}

/*
 * Is it this attempt's own failure? An error of the module's code, or of an import within it, is told by
 * the exception alone; what is on the disk matters where the finders found nothing, refused, or found an
 * extension that could not be created.
 */
static bool is_search_failure(struct imp_thread *t, const struct imp_python_api *py,
			      const struct imp_attempt *attempt, PyObject *name,
			      const struct imp_python_error *error)
{
	PyObject *failed;
	bool own = false;

	if (attempt->load_failed)
		return true;
	failed = imp_python_import_error_name(py, error->value);
	if (failed) {
		own = py->PyObject_Hash(failed) == py->PyObject_Hash(name);
		py->Py_DecRef(failed);
		if (own)
			return true;
	}
	return !was_found(t, attempt) && (!error->value || attempt->failed != error->value) &&
	       !imp_python_has_where(py, error->traceback);
}

static void end(struct imp_thread *t, struct imp_interp *in, const struct running *run,
		PyObject *result)
{
	const struct imp_python_api *py = in->py;
	struct imp_attempt *attempt = find_attempt(t, in, run->id, run->image_ns), *parent;
	struct imp_python_error error;
	PyObject *path = NULL;
	struct imp_cbor *c;
	bool passing, search_failure = false;

	if (!attempt)
		return;
	if (run->image_ns != imp_recorder_image_ns()) {
		/* Forked in between: that attempt is the parent's. */
		remove_attempt(t, py, attempt);
		return;
	}
	imp_python_error_save(py, &error);
	/* The same exception on its way out of an import around the one that failed. */
	passing = error.value && attempt->failed == error.value;
	if (error.value == in->uncaught)
		in->uncaught = NULL; /* another exception, in the place of that one */
	c = imp_record_begin(t, IMP_EV_IMPORT_END);
	imp_put_number(t, IMP_KEY_IMPORT, run->id);
	if (result)
		put_module(c, t, py, result);
	put_searches(c, t, py, attempt);
	if (error.type) {
		search_failure = is_search_failure(t, py, attempt, run->name, &error);
		if (search_failure)
			path = imp_snapshot_parent_path(in, run->name);
		if (path)
			imp_python_put_strs(c, py, IMP_KEY_SUBMODULE_PATH, path, SUBMODULE_PATH_MAX);
		imp_python_put_exception(c, t, py, IMP_KEY_EXCEPTION, error.type, error.value,
					 error.traceback);
		if (!passing && imp_options.stacks >= IMP_FAILURES)
			imp_python_put_stack(c, py, IMP_KEY_STACK);
	}
	imp_record_end(t);
	imp_stack_record_import(t, run->id, error.type && !passing, !py->PyEval_GetFrame());
	if (search_failure)
		imp_snapshot_write(t, in, run->id, run->name, path);
	if (run->id == in->site_attempt)
		imp_interpreter_site_ended(t, in);
	remove_attempt(t, py, attempt);
	parent = imp_import_current(t, in);
	if (parent)
		parent->failed = error.value;
	if (error.type)
		imp_record_keep();
	else
		imp_record_settle();
	imp_python_drop(py, path);
	imp_python_error_restore(py, &error);
}

/* imptrace has left in between: what the attempt holds is given back. */
static void abandon(struct imp_interp *in, const struct running *run)
{
	struct imp_thread *t = imp_thread_get(false);
	struct imp_attempt *attempt;

	if (!t || t->depth || imp_recorder_on())
		return;
	attempt = find_attempt(t, in, run->id, run->image_ns);
	if (attempt)
		remove_attempt(t, in->py, attempt);
}

PyObject *imp_import_find_and_load(struct imp_interp *in, const struct imp_call *call)
{
	const struct imp_python_api *py = in->py;
	struct imp_thread *t = imp_thread_enter();
	struct imp_python_error error;
	struct running run = {0};
	PyObject *result;

	if (t) {
		imp_python_error_save(py, &error);
		run.name = name_argument(call, 0, "name");
		if (run.name)
			begin(t, in, &run);
		imp_python_error_restore(py, &error);
		imp_thread_leave(t);
	}
	result = imp_call_original(call);
	if (run.id) {
		t = imp_thread_enter();
		if (t) {
			end(t, in, &run, result);
			imp_thread_leave(t);
		} else {
			abandon(in, &run);
		}
	}
	imp_python_drop(py, run.name);
	return result;
}

static unsigned int search_result(const struct imp_python_api *py, PyObject *spec)
{
	PyObject *loader;
	unsigned int result = IMP_SEARCH_FOUND;

	if (!spec)
		return IMP_SEARCH_ERROR;
	if (spec == py->types.none)
		return IMP_SEARCH_ABSENT;
	loader = imp_python_plain_attr(py, spec, "loader");
	if (loader == py->types.none)
		result = IMP_SEARCH_NAMESPACE;
	imp_python_drop(py, loader);
	return result;
}

static void add_search(struct imp_thread *t, struct imp_interp *in, PyObject *finder,
		       PyObject *name, PyObject *spec)
{
	const struct imp_python_api *py = in->py;
	struct imp_attempt *attempt = imp_import_current(t, in);
	struct imp_search *search;
	PyObject *type;

	/* A look-up that is no import (importlib.util.find_spec), or another greenlet's. */
	if (!attempt || attempt != &t->attempts[t->attempt_depth - 1] ||
	    attempt->name_hash != py->PyObject_Hash(name) || t->search_count >= IMP_SEARCHES_MAX)
		return;
	search = &t->searches[t->search_count];
	search->entry = imp_python_plain_attr(py, finder, "path");
	if (!search->entry) {
		return;
	}
	search->finder = NULL;
	type = imp_python_type(py, finder);
	if (type != in->file_finder)
		search->finder = imp_python_type_qualname(py, type);
	search->result = (uint8_t)search_result(py, spec);
	t->search_count++;
}

PyObject *imp_import_find_spec(struct imp_interp *in, const struct imp_call *call)
{
	const struct imp_python_api *py = in->py;
	PyObject *result = imp_call_original(call), *name;
	struct imp_thread *t = imp_thread_enter_block();
	struct imp_python_error error;

	if (!t)
		return result;
	imp_python_error_save(py, &error);
	name = name_argument(call, 1, "fullname");
	if (name && imp_call_size(call) > 0)
		add_search(t, in, imp_call_arg(call, 0), name, result);
	imp_python_drop(py, name);
	imp_python_error_restore(py, &error);
	imp_thread_leave(t);
	return result;
}
