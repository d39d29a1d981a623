/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_TEXT_H
#define IMP_PRELOAD_PYTHON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "cbor_put.h"
#include "python_api.h"

/*
 * The bytes of a str object. @data lives until imp_python_text_clear(), and is "" for what is no str.
 */
struct imp_python_text {
	PyObject *bytes; /* owned */
	const char *data;
	size_t len;
};

/*
 * imp_python_text_get - the text as UTF-8
 *
 * Lone surrogates become the bytes that they stand for (surrogateescape), or those of their code point
 * where they stand for none (surrogatepass). Of longer texts, IMP_TEXT_MAX characters.
 * Returns false, with an empty @text, where @object is no str: subclasses of str are left alone.
 */
bool imp_python_text_get(const struct imp_python_api *py, PyObject *object,
			 struct imp_python_text *text);

/* imp_python_text_get_path - the same in the file system's encoding: the bytes on the disk */
bool imp_python_text_get_path(const struct imp_python_api *py, PyObject *object,
			      struct imp_python_text *text);

void imp_python_text_clear(const struct imp_python_api *py, struct imp_python_text *text);

/*
 * Put a str object: nothing at all where it is none, except for the value forms, which put "" then (an
 * array's items have their places). See recorder.h for text, shared and path.
 */
void imp_python_put_text(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			 PyObject *object);
void imp_python_put_shared(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			   PyObject *object);
void imp_python_put_path(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			 PyObject *object);
/* imp_python_value_shared_path - the same, encoded as imp_python_text_get_path() does */
void imp_python_value_shared_path(struct imp_cbor *c, const struct imp_python_api *py,
				  PyObject *object);
void imp_python_value_shared(struct imp_cbor *c, const struct imp_python_api *py, PyObject *object);
void imp_python_value_path(struct imp_cbor *c, const struct imp_python_api *py, PyObject *object);

/*
 * imp_python_put_strs - an array of the str items of a list or tuple; directories: interned whole
 * At most @max items; what is no str is left out.
 */
void imp_python_put_strs(struct imp_cbor *c, const struct imp_python_api *py, unsigned int key,
			 PyObject *sequence, size_t max);

/*
 * A text that is put together in a caller's buffer: what does not fit is cut off. Never NUL-terminated
 * by itself.
 */
struct imp_text_buf {
	char *data;
	size_t size;
	size_t len;
};
void imp_text_add(struct imp_text_buf *b, const char *text, size_t len);
void imp_text_add_string(struct imp_text_buf *b, const char *text);
void imp_text_add_number(struct imp_text_buf *b, long long value);
/* As Python's repr() of that text would be, but for characters that are not ASCII, which stay. */
void imp_text_add_quoted(struct imp_text_buf *b, const char *text, size_t len);

/*
 * imp_python_type_name - the name of a type, with its module unless that is builtins
 * @qualified: with the module
 *
 * Appends to @b; a metaclass that computes these attributes is not asked, "?" stands for its answer.
 */
void imp_python_type_name(struct imp_text_buf *b, const struct imp_python_api *py, PyObject *type,
			  bool qualified);

/* imp_python_type_qualname - a new reference to the type's __qualname__, a str; NULL as above */
PyObject *imp_python_type_qualname(const struct imp_python_api *py, PyObject *type);

#endif
