/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TESTS_UNIT_TRACE_FILE_H
#define IMP_TESTS_UNIT_TRACE_FILE_H

/*
 * Reads a trace back for the recorder's tests with readers that are not ours: libzstd and libcbor. To be
 * included after cmocka.h.
 */
#include <cbor.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "trace_format.h"

#define TRACE_ITEMS_MAX 262144

struct trace_file {
	size_t frames; /* skippable ones not counted */
	size_t skippable;
	size_t items;
	cbor_item_t *item[TRACE_ITEMS_MAX];
	size_t frame_of[TRACE_ITEMS_MAX];
	uint64_t string[TRACE_ITEMS_MAX]; /* number of an IMP_EV_STRING */
};

static inline uint8_t *trace_slurp(const char *path, size_t *len)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	uint8_t *bytes;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size + 1);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	*len = (size_t)st.st_size;
	return bytes;
}

/* A value of an item; NULL where the key is absent. */
static inline cbor_item_t *trace_get(const cbor_item_t *item, unsigned int key)
{
	for (size_t i = 0; i < cbor_map_size(item); i++)
		if (cbor_get_int(cbor_map_handle(item)[i].key) == key)
			return cbor_map_handle(item)[i].value;
	return NULL;
}

static inline uint64_t trace_uint(const cbor_item_t *item, unsigned int key)
{
	cbor_item_t *value = trace_get(item, key);

	assert_non_null(value);
	assert_true(cbor_isa_uint(value));
	return cbor_get_int(value);
}

static inline unsigned int trace_kind(const cbor_item_t *item)
{
	assert_true(cbor_map_size(item) > 0);
	assert_int_equal(cbor_get_int(cbor_map_handle(item)[0].key), IMP_KEY_KIND);
	return (unsigned int)cbor_get_int(cbor_map_handle(item)[0].value);
}

/* The last item's number, where it is a string: what it says, or that of the string before it and one. */
static inline void trace_number_string(struct trace_file *f)
{
	size_t last = f->items - 1, i = last;

	if (trace_kind(f->item[last]) != IMP_EV_STRING)
		return;
	if (trace_get(f->item[last], IMP_KEY_ID)) {
		f->string[last] = trace_uint(f->item[last], IMP_KEY_ID);
		return;
	}
	while (i-- > 0 && f->frame_of[i] == f->frame_of[last] && !f->string[i])
		;
	assert_true(i < last && f->frame_of[i] == f->frame_of[last]);
	f->string[last] = f->string[i] + 1;
}

/* The whole file must be whole frames of whole items, the first of each a header or batch. */
static inline struct trace_file *trace_load(const char *path)
{
	static uint8_t plain[IMP_BATCH_MAX];
	struct trace_file *f = calloc(1, sizeof(*f));
	size_t len, at = 0;
	uint8_t *bytes = trace_slurp(path, &len);

	assert_non_null(f);
	while (at < len) {
		size_t size = ZSTD_findFrameCompressedSize(bytes + at, len - at), used = 0, ret;

		assert_false(ZSTD_isError(size));
		if (bytes[at] == 0x50) {
			f->skippable++;
			at += size;
			continue;
		}
		ret = ZSTD_decompress(plain, sizeof(plain), bytes + at, size);
		assert_false(ZSTD_isError(ret));
		while (used < ret) {
			struct cbor_load_result result;
			cbor_item_t *item = cbor_load(plain + used, ret - used, &result);

			assert_non_null(item);
			assert_true(cbor_isa_map(item) && cbor_map_is_definite(item));
			assert_true(f->items < TRACE_ITEMS_MAX);
			f->frame_of[f->items] = f->frames;
			f->item[f->items++] = item;
			trace_number_string(f);
			used += result.read;
		}
		f->frames++;
		at += size;
	}
	free(bytes);
	return f;
}

static inline void trace_free(struct trace_file *f)
{
	for (size_t i = 0; i < f->items; i++)
		cbor_decref(&f->item[i]);
	free(f);
}

static inline size_t trace_count(const struct trace_file *f, unsigned int kind)
{
	size_t n = 0;

	for (size_t i = 0; i < f->items; i++)
		n += trace_kind(f->item[i]) == kind;
	return n;
}

/* The @n-th item of a kind. */
static inline const cbor_item_t *trace_find(const struct trace_file *f, unsigned int kind, size_t n)
{
	for (size_t i = 0; i < f->items; i++)
		if (trace_kind(f->item[i]) == kind && n-- == 0)
			return f->item[i];
	return NULL;
}

/* What a text of the item at @index says, whichever way it is spelled, looked up as a reader would. */
static inline bool trace_text(const struct trace_file *f, size_t index, const cbor_item_t *value,
			      char *out, size_t size)
{
	if (cbor_isa_bytestring(value)) {
		assert_true(cbor_bytestring_length(value) < size);
		memcpy(out, cbor_bytestring_handle(value), cbor_bytestring_length(value));
		out[cbor_bytestring_length(value)] = '\0';
		return true;
	}
	if (cbor_isa_uint(value)) {
		const uint64_t id = cbor_get_int(value);

		for (size_t i = index; i-- > 0;)
			if (f->string[i] == id && trace_kind(f->item[i]) == IMP_EV_STRING)
				return trace_text(f, i, trace_get(f->item[i], IMP_KEY_TEXT), out,
						  size);
		return false;
	}
	if (cbor_isa_array(value) && cbor_array_size(value) == 2) {
		char name[IMP_TEXT_MAX + 1];

		if (!trace_text(f, index, cbor_array_handle(value)[0], out, size) ||
		    !trace_text(f, index, cbor_array_handle(value)[1], name, sizeof(name)))
			return false;
		assert_true(strlen(out) + strlen(name) + 1 < size);
		strcat(strcat(out, "/"), name);
		return true;
	}
	return false;
}

#endif
