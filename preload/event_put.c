/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "recorder.h"

#include <string.h>

#include "poison.h"

#define CUT_LEN	  (sizeof(IMP_TEXT_CUT) - 1)
#define LONG_NAME 20 /* bytes */

/* Bytes as they are; beyond IMP_TEXT_MAX their beginning and a sign that they were cut. */
static void value_bytes(struct imp_cbor *c, const char *text, size_t len)
{
	size_t before = c->len;

	if (len <= IMP_TEXT_MAX) {
		imp_cbor_bytes(c, text, len);
		return;
	}
	imp_cbor_bytes(c, text, IMP_TEXT_MAX);
	if (!c->overflow && c->len > before)
		memcpy(c->buf + c->len - CUT_LEN, IMP_TEXT_CUT, CUT_LEN);
}

void imp_value_text(struct imp_cbor *c, const char *text, size_t len)
{
	value_bytes(c, text, len);
}

uint32_t imp_value_shared(struct imp_cbor *c, const char *text, size_t len)
{
	uint32_t id = len <= IMP_TEXT_MAX ? imp_record_intern(text, len) : 0;

	if (id)
		imp_cbor_uint(c, id);
	else
		value_bytes(c, text, len);
	return id;
}

/*
 * An extension is told of again and again: found, opened, mapped, initialized; and with its ABI tag its name is long.
 * To look for a short one ("libz.so.1") in the table would cost more than it saves.
 */
static bool is_long_library(const char *name, size_t len)
{
	return len >= LONG_NAME && memmem(name, len, ".so", 3) != NULL;
}

void imp_value_path(struct imp_cbor *c, const char *text, size_t len)
{
	const char *slash = len <= IMP_TEXT_MAX ? memrchr(text, '/', len) : NULL, *name;

	if (!slash) {
		value_bytes(c, text, len);
		return;
	}
	name = slash + 1;
	len -= (size_t)(name - text);
	imp_cbor_array_begin(c);
	imp_value_shared(c, text, (size_t)(slash - text));
	if (is_long_library(name, len))
		imp_value_shared(c, name, len);
	else
		value_bytes(c, name, len);
	imp_cbor_array_end(c);
}

void imp_put_uint(struct imp_cbor *c, unsigned int key, uint64_t value)
{
	imp_cbor_pair(c, key, value);
}

void imp_put_number(struct imp_thread *t, unsigned int key, uint32_t number)
{
	struct imp_cbor *c = &t->cbor;

	imp_cbor_uint(c, key);
	if (t->marks.count < IMP_MARKS_MAX) {
		t->marks.number[t->marks.count++] = (uint32_t)c->len;
		imp_cbor_wide4(c, number);
	} else {
		imp_cbor_uint(c, number);
	}
}

void imp_put_int(struct imp_cbor *c, unsigned int key, int64_t value)
{
	imp_cbor_uint(c, key);
	imp_cbor_int(c, value);
}

void imp_put_bool(struct imp_cbor *c, unsigned int key, bool value)
{
	imp_cbor_uint(c, key);
	imp_cbor_bool(c, value);
}

void imp_put_bytes(struct imp_cbor *c, unsigned int key, const void *data, size_t len)
{
	imp_cbor_uint(c, key);
	imp_cbor_bytes(c, data, len);
}

void imp_put_text(struct imp_cbor *c, unsigned int key, const char *text, size_t len)
{
	imp_cbor_uint(c, key);
	imp_value_text(c, text, len);
}

void imp_put_shared(struct imp_cbor *c, unsigned int key, const char *text, size_t len)
{
	imp_cbor_uint(c, key);
	imp_value_shared(c, text, len);
}

void imp_put_path(struct imp_cbor *c, unsigned int key, const char *text, size_t len)
{
	imp_cbor_uint(c, key);
	imp_value_path(c, text, len);
}

void imp_put_map(struct imp_cbor *c, unsigned int key)
{
	imp_cbor_uint(c, key);
	imp_cbor_map_begin(c);
}

void imp_put_array(struct imp_cbor *c, unsigned int key)
{
	imp_cbor_uint(c, key);
	imp_cbor_array_begin(c);
}
