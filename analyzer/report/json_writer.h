/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_REPORT_JSON_WRITER_H
#define IMP_REPORT_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define IMP_JSON_DEPTH_MAX 32

/*
 * A streaming JSON writer (RFC 8259). Nothing is allocated; integers are exact to 64 bits.
 *
 * Strings are bytes. What is UTF-8 is written as it is; a byte that is not becomes \udc80 to \udcff,
 * as Python's os.fsencode() takes it back; a lone surrogate that was encoded ("surrogatepass")
 * becomes \ud800 to \udfff. Characters that could steer a terminal are escaped as well.
 *
 * Wrong nesting is a bug of the caller (assert). Write errors stick; imp_json_end() tells them.
 */
struct imp_json {
	FILE *out;   /* borrowed */
	bool pretty; /* two spaces a level; else everything on one line */
	bool after_key;
	unsigned int depth; /* open objects and arrays */
	struct {
		bool object;
		bool filled; /* something was put into it: a comma comes first */
	} open[IMP_JSON_DEPTH_MAX];
};

void imp_json_begin(struct imp_json *j, FILE *out, bool pretty);

/* imp_json_end - after the one value (all closed): writes a newline; 0 or -errno of writing */
int imp_json_end(struct imp_json *j);

void imp_json_object_begin(struct imp_json *j);
void imp_json_object_end(struct imp_json *j);
void imp_json_array_begin(struct imp_json *j);
void imp_json_array_end(struct imp_json *j);

void imp_json_key(struct imp_json *j, const char *key);
void imp_json_string(struct imp_json *j, const char *s); /* NULL: null */
void imp_json_string_n(struct imp_json *j, const char *s, size_t len);
void imp_json_uint(struct imp_json *j, uint64_t value);
void imp_json_int(struct imp_json *j, int64_t value);
void imp_json_bool(struct imp_json *j, bool value);
void imp_json_null(struct imp_json *j);

/* A key and its value in one call. */
void imp_json_put_string(struct imp_json *j, const char *key, const char *s); /* NULL: null */
void imp_json_put_uint(struct imp_json *j, const char *key, uint64_t value);
void imp_json_put_int(struct imp_json *j, const char *key, int64_t value);
void imp_json_put_bool(struct imp_json *j, const char *key, bool value);
void imp_json_put_null(struct imp_json *j, const char *key);
void imp_json_put_object(struct imp_json *j, const char *key); /* close with imp_json_object_end() */
void imp_json_put_array(struct imp_json *j, const char *key);  /* close with imp_json_array_end() */

#endif
