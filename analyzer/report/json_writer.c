/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json_writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "../base/utf8.h"

void imp_json_begin(struct imp_json *j, FILE *out, bool pretty)
{
	memset(j, 0, sizeof(*j));
	j->out = out;
	j->pretty = pretty;
}

int imp_json_end(struct imp_json *j)
{
	assert(j->depth == 0 && !j->after_key);
	putc_unlocked('\n', j->out);
	/* stdio keeps no errno with its error flag; the command flushes, and tells what that says. */
	if (ferror(j->out))
		return -EIO;
	return 0;
}

static void new_line(struct imp_json *j)
{
	unsigned int i;

	if (!j->pretty)
		return;
	putc_unlocked('\n', j->out);
	for (i = 0; i < j->depth; i++)
		fputs("  ", j->out);
}

/* What comes before an item of an array, or before a key. */
static void separate(struct imp_json *j)
{
	if (!j->depth)
		return;
	if (j->open[j->depth - 1].filled)
		putc_unlocked(',', j->out);
	if (j->open[j->depth - 1].filled && !j->pretty)
		putc_unlocked(' ', j->out);
	j->open[j->depth - 1].filled = true;
	new_line(j);
}

static void before_value(struct imp_json *j)
{
	if (j->after_key) {
		j->after_key = false;
		return;
	}
	assert(!j->depth || !j->open[j->depth - 1].object);
	separate(j);
}

static void open_one(struct imp_json *j, bool object)
{
	before_value(j);
	assert(j->depth < IMP_JSON_DEPTH_MAX);
	putc_unlocked(object ? '{' : '[', j->out);
	j->open[j->depth].object = object;
	j->open[j->depth].filled = false;
	j->depth++;
}

static void close_one(struct imp_json *j, bool object)
{
	bool filled;

	assert(j->depth > 0 && j->open[j->depth - 1].object == object && !j->after_key);
	filled = j->open[--j->depth].filled;
	if (filled)
		new_line(j);
	putc_unlocked(object ? '}' : ']', j->out);
}

void imp_json_object_begin(struct imp_json *j)
{
	open_one(j, true);
}

void imp_json_object_end(struct imp_json *j)
{
	close_one(j, true);
}

void imp_json_array_begin(struct imp_json *j)
{
	open_one(j, false);
}

void imp_json_array_end(struct imp_json *j)
{
	close_one(j, false);
}

static void put_escape(FILE *out, uint32_t cp)
{
	static const char named[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
				     ['\r'] = 'r', ['"'] = '"',	 ['\\'] = '\\'};

	if (cp < sizeof(named) && named[cp])
		fprintf(out, "\\%c", named[cp]);
	else if (cp > 0xffff)
		fprintf(out, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd7c0 + (cp >> 10),
			0xdc00 + (cp & 0x3ff));
	else
		fprintf(out, "\\u%04" PRIx32, cp);
}

static void put_quoted(FILE *out, const char *s, size_t len)
{
	size_t start = 0, i = 0;

	putc_unlocked('"', out);
	while (i < len) {
		uint32_t cp;
		size_t n = imp_utf8_decode(s + i, len - i, &cp);

		if (n && cp != '"' && cp != '\\' && imp_utf8_is_plain(cp)) {
			i += n;
			continue;
		}
		fwrite(s + start, 1, i - start, out);
		put_escape(out, n ? cp : 0xdc00 + (uint32_t)(unsigned char)s[i]);
		i += n ? n : 1;
		start = i;
	}
	fwrite(s + start, 1, len - start, out);
	putc_unlocked('"', out);
}

void imp_json_key(struct imp_json *j, const char *key)
{
	assert(j->depth && j->open[j->depth - 1].object && !j->after_key);
	separate(j);
	put_quoted(j->out, key, strlen(key));
	fputs(": ", j->out);
	j->after_key = true;
}

void imp_json_string_n(struct imp_json *j, const char *s, size_t len)
{
	before_value(j);
	put_quoted(j->out, s, len);
}

void imp_json_string(struct imp_json *j, const char *s)
{
	if (s)
		imp_json_string_n(j, s, strlen(s));
	else
		imp_json_null(j);
}

void imp_json_uint(struct imp_json *j, uint64_t value)
{
	before_value(j);
	fprintf(j->out, "%" PRIu64, value);
}

void imp_json_int(struct imp_json *j, int64_t value)
{
	before_value(j);
	fprintf(j->out, "%" PRId64, value);
}

void imp_json_bool(struct imp_json *j, bool value)
{
	before_value(j);
	fputs(value ? "true" : "false", j->out);
}

void imp_json_null(struct imp_json *j)
{
	before_value(j);
	fputs("null", j->out);
}

void imp_json_put_string(struct imp_json *j, const char *key, const char *s)
{
	imp_json_key(j, key);
	imp_json_string(j, s);
}

void imp_json_put_uint(struct imp_json *j, const char *key, uint64_t value)
{
	imp_json_key(j, key);
	imp_json_uint(j, value);
}

void imp_json_put_int(struct imp_json *j, const char *key, int64_t value)
{
	imp_json_key(j, key);
	imp_json_int(j, value);
}

void imp_json_put_bool(struct imp_json *j, const char *key, bool value)
{
	imp_json_key(j, key);
	imp_json_bool(j, value);
}

void imp_json_put_null(struct imp_json *j, const char *key)
{
	imp_json_key(j, key);
	imp_json_null(j);
}

void imp_json_put_object(struct imp_json *j, const char *key)
{
	imp_json_key(j, key);
	imp_json_object_begin(j);
}

void imp_json_put_array(struct imp_json *j, const char *key)
{
	imp_json_key(j, key);
	imp_json_array_begin(j);
}
