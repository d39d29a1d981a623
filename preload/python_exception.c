/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_exception.h"

#include "python_frame.h"
#include "recorder.h"
#include "poison.h"

#define MESSAGE_DEPTH_MAX 4 /* an exception whose argument is an exception, and tuples in tuples */
#define MESSAGE_ITEMS_MAX 32
#define MEMBERS_ROOM	  (IMP_ITEM_MAX / 2) /* bytes of an event, after which no more members are put */

static void add_message(struct imp_text_buf *b, const struct imp_python_api *py, PyObject *value,
			unsigned int depth);

/* str() or repr() of an object whose exact type is known; another one is told by its type. */
static void add_object(struct imp_text_buf *b, const struct imp_python_api *py, PyObject *object,
		       bool repr, unsigned int depth)
{
	const struct imp_python_types *types = &py->types;
	PyObject *type = imp_python_type(py, object);
	struct imp_python_text text;
	PyObject *item;
	long long number;
	ssize_t i, size;
	int overflow;

	if (type == types->str) {
		imp_python_text_get(py, object, &text);
		if (repr)
			imp_text_add_quoted(b, text.data, text.len);
		else
			imp_text_add(b, text.data, text.len);
		imp_python_text_clear(py, &text);
	} else if (type == types->none) {
		imp_text_add_string(b, "None");
	} else if (type == types->int_ || type == types->bool_) {
		number = py->PyLong_AsLongLongAndOverflow(object, &overflow);
		if (overflow)
			imp_text_add_string(b, "<int>");
		else if (type == types->bool_)
			imp_text_add_string(b, number ? "True" : "False");
		else
			imp_text_add_number(b, number);
	} else if (type == types->bytes) {
		imp_text_add_string(b, "b");
		imp_text_add_quoted(b, py->PyBytes_AsString(object),
				    (size_t)py->PyBytes_Size(object));
	} else if (type == types->tuple && depth < MESSAGE_DEPTH_MAX) {
		size = py->PyTuple_Size(object);
		imp_text_add_string(b, "(");
		for (i = 0; i < size && i < MESSAGE_ITEMS_MAX; i++) {
			if (i)
				imp_text_add_string(b, ", ");
			item = py->PyTuple_GetItem(object, i);
			add_object(b, py, item, true, depth + 1);
		}
		imp_text_add_string(b, size == 1 ? ",)" : ")");
	} else if (!repr && depth < MESSAGE_DEPTH_MAX && imp_python_is_exception(py, object)) {
		add_message(b, py, object, depth + 1);
	} else if (object == types->none) {
		imp_text_add_string(b, "None");
	} else {
		imp_text_add_string(b, "<");
		imp_python_type_name(b, py, type, true);
		imp_text_add_string(b, ">");
	}
}

/* Has the class its __str__ from this type of CPython's? */
static bool str_is_of(const struct imp_python_api *py, PyObject *type, PyObject *base)
{
	PyObject *key, *found;
	bool is = false;

	if (!py->_PyType_Lookup)
		return type == base;
	key = imp_python_name(py, "__str__");
	if (key) {
		found = py->_PyType_Lookup(type, key);
		is = found && found == py->_PyType_Lookup(base, key);
	}
	py->PyErr_Clear();
	imp_python_drop(py, key);
	return is;
}

/* As OSError.__str__() does; false where it has not both, and BaseException's way is right. */
static bool add_os_error(struct imp_text_buf *b, const struct imp_python_api *py, PyObject *value)
{
	PyObject *base = py->types.os_error;
	PyObject *number = imp_python_member(py, value, base, "errno");
	PyObject *text = imp_python_member(py, value, base, "strerror");
	PyObject *file = imp_python_member(py, value, base, "filename");
	PyObject *file2 = imp_python_member(py, value, base, "filename2");
	bool has_file = file && file != py->types.none;
	bool ok = number && text && number != py->types.none && text != py->types.none;

	if (ok) {
		imp_text_add_string(b, "[Errno ");
		add_object(b, py, number, false, MESSAGE_DEPTH_MAX);
		imp_text_add_string(b, "] ");
		add_object(b, py, text, false, MESSAGE_DEPTH_MAX);
		if (has_file) {
			imp_text_add_string(b, ": ");
			add_object(b, py, file, true, MESSAGE_DEPTH_MAX);
		}
		if (has_file && file2 && file2 != py->types.none) {
			imp_text_add_string(b, " -> ");
			add_object(b, py, file2, true, MESSAGE_DEPTH_MAX);
		}
	}
	imp_python_drop(py, file2);
	imp_python_drop(py, file);
	imp_python_drop(py, text);
	imp_python_drop(py, number);
	return ok;
}

/* As SyntaxError.__str__() does: "message (file, line N)", of the file its last part. */
static bool add_syntax_error(struct imp_text_buf *b, const struct imp_python_api *py,
			     PyObject *value)
{
	PyObject *base = py->types.syntax_error;
	PyObject *message = imp_python_member(py, value, base, "msg");
	PyObject *file = imp_python_member(py, value, base, "filename");
	PyObject *line = imp_python_member(py, value, base, "lineno");
	bool has_line = imp_python_is(py, line, py->types.int_);
	struct imp_python_text text;
	bool has_file, ok = message;
	size_t start;

	if (ok) {
		add_object(b, py, message, false, MESSAGE_DEPTH_MAX);
		has_file = imp_python_text_get(py, file, &text);
		if (has_file || has_line)
			imp_text_add_string(b, " (");
		for (start = text.len; start > 0 && text.data[start - 1] != '/'; start--)
			;
		imp_text_add(b, text.data + start, text.len - start);
		if (has_line) {
			imp_text_add_string(b, has_file ? ", line " : "line ");
			add_object(b, py, line, false, MESSAGE_DEPTH_MAX);
		}
		if (has_file || has_line)
			imp_text_add_string(b, ")");
		imp_python_text_clear(py, &text);
	}
	imp_python_drop(py, line);
	imp_python_drop(py, file);
	imp_python_drop(py, message);
	return ok;
}

static bool add_import_error(struct imp_text_buf *b, const struct imp_python_api *py,
			     PyObject *value)
{
	PyObject *message = imp_python_member(py, value, py->types.import_error, "msg");
	bool ok = imp_python_is(py, message, py->types.str);

	if (ok)
		add_object(b, py, message, false, MESSAGE_DEPTH_MAX);
	imp_python_drop(py, message);
	return ok;
}

PyObject *imp_python_group_members(const struct imp_python_api *py, PyObject *value)
{
	PyObject *group = py->types.exception_group, *members;

	if (group)
		members = imp_python_member(py, value, group, "exceptions");
	else /* the package of that name, which is written in Python */
		members = imp_python_plain_attr(py, value, "_exceptions");
	if (members && !imp_python_is(py, members, py->types.tuple)) {
		py->Py_DecRef(members);
		members = NULL;
	}
	return members;
}

/* As BaseExceptionGroup.__str__() does. */
static bool add_group(struct imp_text_buf *b, const struct imp_python_api *py, PyObject *value)
{
	PyObject *message = imp_python_member(py, value, py->types.exception_group, "message");
	PyObject *members = imp_python_group_members(py, value);
	ssize_t size = members ? py->PyTuple_Size(members) : 0;
	bool ok = size > 0 && imp_python_is(py, message, py->types.str);

	if (ok) {
		add_object(b, py, message, false, MESSAGE_DEPTH_MAX);
		imp_text_add_string(b, " (");
		imp_text_add_number(b, size);
		imp_text_add_string(b, size > 1 ? " sub-exceptions)" : " sub-exception)");
	}
	imp_python_drop(py, members);
	imp_python_drop(py, message);
	return ok;
}

static void add_message(struct imp_text_buf *b, const struct imp_python_api *py, PyObject *value,
			unsigned int depth)
{
	PyObject *type = imp_python_type(py, value);
	PyObject *args, *arg;
	ssize_t size;

	if (str_is_of(py, type, py->types.import_error) && add_import_error(b, py, value))
		return;
	if (str_is_of(py, type, py->types.os_error) && add_os_error(b, py, value))
		return;
	if (str_is_of(py, type, py->types.syntax_error) && add_syntax_error(b, py, value))
		return;
	if (py->types.exception_group && str_is_of(py, type, py->types.exception_group) &&
	    add_group(b, py, value))
		return;
	args = imp_python_member(py, value, py->types.base_exception, "args");
	size = imp_python_is(py, args, py->types.tuple) ? py->PyTuple_Size(args) : 0;
	if (size == 1) {
		arg = py->PyTuple_GetItem(args, 0);
		add_object(b, py, arg, str_is_of(py, type, py->types.key_error), depth);
	} else if (size > 1) {
		add_object(b, py, args, false, depth);
	}
	imp_python_drop(py, args);
}

void imp_python_add_message(struct imp_text_buf *b, const struct imp_python_api *py,
			    PyObject *object)
{
	add_object(b, py, object, false, 0);
}

PyObject *imp_python_import_error_name(const struct imp_python_api *py, PyObject *value)
{
	PyObject *name;

	if (!imp_python_is_exception(py, value))
		return NULL;
	name = imp_python_member(py, value, py->types.import_error, "name");
	if (name && !imp_python_is(py, name, py->types.str)) {
		py->Py_DecRef(name);
		name = NULL;
	}
	return name;
}

static void put_member(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
		       PyObject *value, const char *name, bool path)
{
	PyObject *member = imp_python_member(py, value, py->types.import_error, name);

	if (path)
		imp_python_put_path(c, py, key, member);
	else
		imp_python_put_shared(c, py, key, member);
	imp_python_drop(py, member);
}

static void put_text_buf(struct imp_cbor *c, unsigned int key, const struct imp_text_buf *b)
{
	imp_put_text(c, key, b->data, b->len);
}

static void put_type(struct imp_cbor *c, struct imp_thread *t, const struct imp_python_api *py,
		     PyObject *type)
{
	struct imp_text_buf b = {.data = t->text, .size = sizeof(t->text)};

	imp_python_type_name(&b, py, type, true);
	imp_put_shared(c, IMP_EXC_TYPE, b.data, b.len);
}

struct put {
	struct imp_cbor *c;
	struct imp_thread *t;
	const struct imp_python_api *py;
	unsigned int members; /* how many more of groups' members may be put */
};

static void put_object(struct put *p, PyObject *value, PyObject *traceback, unsigned int left);

static void put_next(struct put *p, unsigned int key, PyObject *value, unsigned int left)
{
	PyObject *traceback = p->py->PyException_GetTraceback(value);

	imp_put_map(p->c, key);
	put_object(p, value, traceback, left);
	imp_cbor_map_end(p->c);
	imp_python_drop(p->py, traceback);
}

/* Those that there is room for: what did not fit must not cost the event. */
static void put_members(struct put *p, PyObject *members, unsigned int left)
{
	const struct imp_python_api *py = p->py;
	ssize_t i, size = py->PyTuple_Size(members);
	PyObject *member, *traceback;
	struct imp_cbor_mark mark;

	imp_put_array(p->c, IMP_EXC_MEMBERS);
	for (i = 0; i < size && p->members; i++) {
		member = py->PyTuple_GetItem(members, i);
		if (!imp_python_is_exception(py, member))
			continue;
		p->members--;
		mark = imp_cbor_mark(p->c);
		traceback = py->PyException_GetTraceback(member);
		imp_cbor_map_begin(p->c);
		put_object(p, member, traceback, left);
		imp_cbor_map_end(p->c);
		imp_python_drop(py, traceback);
		if (p->c->overflow || p->c->len > MEMBERS_ROOM) {
			imp_cbor_rewind(p->c, mark);
			p->members = 0;
		}
	}
	imp_cbor_array_end(p->c);
}

/* What the map of an exception holds; @left: how many more exceptions may be nested in it. */
static void put_object(struct put *p, PyObject *value, PyObject *traceback, unsigned int left)
{
	struct imp_text_buf b = {.data = p->t->text, .size = sizeof(p->t->text)};
	const struct imp_python_api *py = p->py;
	PyObject *cause, *context, *suppress, *members;
	struct imp_cbor *c = p->c;

	put_type(c, p->t, py, imp_python_type(py, value));
	add_message(&b, py, value, 0);
	put_text_buf(c, IMP_EXC_MESSAGE, &b);
	imp_put_uint(c, IMP_EXC_ID, (uintptr_t)value);
	put_member(c, py, IMP_EXC_NAME, value, "name", false);
	put_member(c, py, IMP_EXC_PATH, value, "path", true);
	cause = py->PyException_GetCause(value);
	context = py->PyException_GetContext(value);
	if (left && imp_python_is_exception(py, cause))
		put_next(p, IMP_EXC_CAUSE, cause, left - 1);
	else if (left && imp_python_is_exception(py, context))
		put_next(p, IMP_EXC_CONTEXT, context, left - 1);
	imp_python_drop(py, context);
	imp_python_drop(py, cause);
	imp_python_put_where(c, py, IMP_EXC_WHERE, traceback);
	put_member(c, py, IMP_EXC_NAME_FROM, value, "name_from", false);
	suppress = imp_python_member(py, value, py->types.base_exception, "__suppress_context__");
	if (imp_python_is(py, suppress, py->types.bool_)) {
		int overflow;

		if (py->PyLong_AsLongLongAndOverflow(suppress, &overflow))
			imp_put_bool(c, IMP_EXC_SUPPRESS, true);
	}
	imp_python_drop(py, suppress);
	members = left >= 2 ? imp_python_group_members(py, value) : NULL;
	if (members)
		put_members(p, members, left - 2);
	imp_python_drop(py, members);
}

void imp_python_put_exception(struct imp_cbor *c, struct imp_thread *t,
			      const struct imp_python_api *py, unsigned int key, PyObject *type,
			      PyObject *value, PyObject *traceback)
{
	struct put p = {.c = c, .t = t, .py = py, .members = IMP_EXC_MEMBERS_MAX};
	struct imp_text_buf b = {.data = t->text, .size = sizeof(t->text)};

	if (imp_python_is_exception(py, value)) {
		imp_put_map(c, key);
		put_object(&p, value, traceback, IMP_EXC_CHAIN_MAX - 1);
		imp_cbor_map_end(c);
		return;
	}
	/* Not normalized: a class and perhaps what would become its arguments. */
	if (!imp_python_is_class(py, type))
		return;
	imp_put_map(c, key);
	put_type(c, t, py, type);
	if (value && value != py->types.none)
		imp_python_add_message(&b, py, value);
	put_text_buf(c, IMP_EXC_MESSAGE, &b);
	imp_python_put_where(c, py, IMP_EXC_WHERE, traceback);
	imp_cbor_map_end(c);
}
