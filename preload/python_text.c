/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_text.h"

#include <string.h>

#include "recorder.h"
#include "poison.h"

static const struct imp_python_text no_text = {.data = ""};

/* Takes @bytes. */
static bool set_text(const struct imp_python_api *py, struct imp_python_text *text, PyObject *bytes)
{
	if (!bytes) {
		py->PyErr_Clear();
		return false;
	}
	text->bytes = bytes;
	text->data = py->PyBytes_AsString(bytes);
	text->len = (size_t)py->PyBytes_Size(bytes);
	return true;
}

static bool encode(const struct imp_python_api *py, PyObject *str, struct imp_python_text *text)
{
	if (set_text(py, text, py->PyUnicode_AsUTF8String(str)))
		return true;
	if (set_text(py, text, py->PyUnicode_AsEncodedString(str, "utf-8", "surrogateescape")))
		return true;
	return set_text(py, text, py->PyUnicode_AsEncodedString(str, "utf-8", "surrogatepass"));
}

bool imp_python_text_get(const struct imp_python_api *py, PyObject *object,
			 struct imp_python_text *text)
{
	PyObject *part = NULL;
	bool ok;

	*text = no_text;
	if (!imp_python_is(py, object, py->types.str))
		return false;
	/* One character more than is kept, so that it is seen to be cut. */
	if (py->PyUnicode_GetLength(object) > IMP_TEXT_MAX + 1) {
		part = py->PyUnicode_Substring(object, 0, IMP_TEXT_MAX + 1);
		if (!part) {
			py->PyErr_Clear();
			return false;
		}
		object = part;
	}
	ok = encode(py, object, text);
	imp_python_drop(py, part);
	return ok;
}

bool imp_python_text_get_path(const struct imp_python_api *py, PyObject *object,
			      struct imp_python_text *text)
{
	ssize_t len;

	*text = no_text;
	if (!imp_python_is(py, object, py->types.str))
		return false;
	len = py->PyUnicode_GetLength(object);
	/* ASCII is the same in both, and at start-up the file system's encoding is a slow one. */
	if (len <= IMP_TEXT_MAX && set_text(py, text, py->PyUnicode_AsUTF8String(object))) {
		if (text->len == (size_t)len)
			return true;
		imp_python_text_clear(py, text);
	}
	if (len <= IMP_TEXT_MAX && set_text(py, text, py->PyUnicode_EncodeFSDefault(object)))
		return true;
	return imp_python_text_get(py, object, text);
}

void imp_python_text_clear(const struct imp_python_api *py, struct imp_python_text *text)
{
	imp_python_drop(py, text->bytes);
	*text = no_text;
}

void imp_python_put_text(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			 PyObject *object)
{
	struct imp_python_text text;

	if (imp_python_text_get(py, object, &text))
		imp_put_text(c, key, text.data, text.len);
	imp_python_text_clear(py, &text);
}

void imp_python_put_shared(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			   PyObject *object)
{
	struct imp_python_text text;

	if (imp_python_text_get(py, object, &text))
		imp_put_shared(c, key, text.data, text.len);
	imp_python_text_clear(py, &text);
}

void imp_python_put_path(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			 PyObject *object)
{
	struct imp_python_text text;

	if (imp_python_text_get_path(py, object, &text))
		imp_put_path(c, key, text.data, text.len);
	imp_python_text_clear(py, &text);
}

static size_t string_place(PyObject *object)
{
	return ((uintptr_t)object >> 4 ^ (uintptr_t)object >> 11) % IMP_PYTHON_STRINGS;
}

/* The number that this very object got before, where that still means something. */
static bool put_known_string(struct imp_cbor *c, const struct imp_python_api *py, PyObject *object)
{
	const struct imp_python_names *names = py->names;
	const size_t i = string_place(object);

	if (!names || !object || names->strings[i].str != object ||
	    names->strings[i].id <= imp_record_strings_gone())
		return false;
	imp_cbor_uint(c, names->strings[i].id);
	return true;
}

/* ASCII only: other text has two encodings. */
static void put_new_string(struct imp_cbor *c, const struct imp_python_api *py, PyObject *object,
			   const struct imp_python_text *text)
{
	struct imp_python_names *names = py->names;
	const size_t i = string_place(object);
	uint32_t id = imp_value_shared(c, text->data, text->len);

	if (!id || !names || !names->strings_at || !text->bytes ||
	    py->PyUnicode_GetLength(object) != (ssize_t)text->len)
		return;
	py->Py_IncRef(object);
	names->strings[i].str = NULL;
	if (py->PyList_SetItem(names->kept, names->strings_at + (ssize_t)i, object) < 0) {
		py->PyErr_Clear();
		return;
	}
	names->strings[i].id = id;
	names->strings[i].str = object;
}

void imp_python_value_shared(struct imp_cbor *c, const struct imp_python_api *py, PyObject *object)
{
	struct imp_python_text text;

	if (put_known_string(c, py, object))
		return;
	imp_python_text_get(py, object, &text);
	put_new_string(c, py, object, &text);
	imp_python_text_clear(py, &text);
}

void imp_python_value_shared_path(struct imp_cbor *c, const struct imp_python_api *py,
				  PyObject *object)
{
	struct imp_python_text text;

	if (put_known_string(c, py, object))
		return;
	imp_python_text_get_path(py, object, &text);
	put_new_string(c, py, object, &text);
	imp_python_text_clear(py, &text);
}

void imp_python_value_path(struct imp_cbor *c, const struct imp_python_api *py, PyObject *object)
{
	struct imp_python_text text;

	imp_python_text_get_path(py, object, &text);
	imp_value_path(c, text.data, text.len);
	imp_python_text_clear(py, &text);
}

void imp_python_put_strs(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			 PyObject *sequence, size_t max)
{
	ssize_t size = imp_python_sequence_size(py, sequence);
	struct imp_python_text text;
	PyObject *item;
	ssize_t i;

	if (size < 0)
		return;
	imp_put_array(c, key);
	for (i = 0; i < size && (size_t)i < max; i++) {
		item = imp_python_sequence_item(py, sequence, i);
		if (imp_python_text_get_path(py, item, &text))
			imp_value_shared(c, text.data, text.len);
		imp_python_text_clear(py, &text);
		imp_python_drop(py, item);
	}
	imp_cbor_array_end(c);
}

void imp_text_add(struct imp_text_buf *b, const char *text, size_t len)
{
	if (len > b->size - b->len)
		len = b->size - b->len;
	memcpy(b->data + b->len, text, len);
	b->len += len;
}

void imp_text_add_string(struct imp_text_buf *b, const char *text)
{
	imp_text_add(b, text, strlen(text));
}

void imp_text_add_number(struct imp_text_buf *b, long long value)
{
	unsigned long long left = value < 0 ? -(unsigned long long)value : (unsigned long long)value;
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (value < 0)
		digits[--at] = '-';
	imp_text_add(b, digits + at, sizeof(digits) - at);
}

void imp_text_add_quoted(struct imp_text_buf *b, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	/* repr() prefers single quotes, unless only these occur. */
	char quote = memchr(text, '\'', len) && !memchr(text, '"', len) ? '"' : '\'';
	size_t i;

	imp_text_add(b, &quote, 1);
	for (i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)text[i];
		char escaped[4] = {'\\', (char)byte, 0, 0};
		size_t n = 2;

		if (byte == '\n')
			escaped[1] = 'n';
		else if (byte == '\r')
			escaped[1] = 'r';
		else if (byte == '\t')
			escaped[1] = 't';
		else if (byte < 0x20 || byte == 0x7f) {
			escaped[1] = 'x';
			escaped[2] = hex[byte >> 4];
			escaped[3] = hex[byte & 15];
			n = 4;
		} else if (byte != (unsigned char)quote && byte != '\\') {
			imp_text_add(b, text + i, 1);
			continue;
		}
		imp_text_add(b, escaped, n);
	}
	imp_text_add(b, &quote, 1);
}

/* Of @type's attribute @name, where its metaclass has it from type itself. */
static PyObject *type_attr(const struct imp_python_api *py, PyObject *type, const char *name)
{
	PyObject *metatype = imp_python_type(py, type);
	PyObject *key, *getter = NULL, *value = NULL;

	if (metatype != py->types.type) {
		/* A __getattribute__ or a property of a metaclass (say, Enum's) would be the program's code. */
		key = imp_python_name(py, "__getattribute__");
		if (key && py->_PyType_Lookup)
			getter = py->_PyType_Lookup(metatype, key);
		if (!getter || getter != py->_PyType_Lookup(py->types.type, key)) {
			imp_python_drop(py, key);
			py->PyErr_Clear();
			return NULL;
		}
		imp_python_drop(py, key);
	}
	key = imp_python_name(py, name);
	if (key && (metatype == py->types.type ||
		    py->_PyType_Lookup(metatype, key) == py->_PyType_Lookup(py->types.type, key)))
		value = py->PyObject_GetAttr(type, key);
	if (!value)
		py->PyErr_Clear();
	imp_python_drop(py, key);
	return value;
}

PyObject *imp_python_type_qualname(const struct imp_python_api *py, PyObject *type)
{
	PyObject *name = type_attr(py, type, "__qualname__");

	if (name && !imp_python_is(py, name, py->types.str)) {
		py->Py_DecRef(name);
		name = NULL;
	}
	return name;
}

void imp_python_type_name(struct imp_text_buf *b, const struct imp_python_api *py, PyObject *type,
			  bool qualified)
{
	PyObject *module = qualified ? type_attr(py, type, "__module__") : NULL;
	PyObject *name = type_attr(py, type, "__qualname__");
	struct imp_python_text text;

	if (imp_python_text_get(py, module, &text) && strcmp(text.data, "builtins")) {
		imp_text_add(b, text.data, text.len);
		imp_text_add_string(b, ".");
	}
	imp_python_text_clear(py, &text);
	if (imp_python_text_get(py, name, &text))
		imp_text_add(b, text.data, text.len);
	else
		imp_text_add_string(b, "?");
	imp_python_text_clear(py, &text);
	imp_python_drop(py, module);
	imp_python_drop(py, name);
}
