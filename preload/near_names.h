/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_NEAR_NAMES_H
#define IMP_PRELOAD_NEAR_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMP_NEAR_NAMES_MAX 32 /* of one directory */

/* Is a name of that kind in the finder's cached listing? */
enum imp_in_cache {
	IMP_CACHE_UNKNOWN,
	IMP_CACHE_NO,
	IMP_CACHE_YES,
};

/* The names of a directory that come near to a module's, each once. */
struct imp_near_names {
	const char *tail; /* the last part of the module's name; borrowed */
	size_t tail_len;
	char *buf; /* borrowed; where the names are kept */
	size_t size;
	size_t used;
	size_t count;
	bool cut; /* there were more */
	struct {
		uint16_t start; /* in @buf, NUL-terminated */
		uint16_t len;
		uint8_t in_cache;
	} names[IMP_NEAR_NAMES_MAX];
};

/* imp_near_names_init - begin anew; @size below 64 KiB */
void imp_near_names_init(struct imp_near_names *n, const char *tail, size_t tail_len, char *buf,
			 size_t size);

/*
 * imp_near_names_match - does a file of that name look as if it were the module's?
 *
 * The tail, in any case of ASCII letters, alone or followed by '.' or '-': foo, foo.py, Foo.PY,
 * foo.cpython-311-x86_64-linux-gnu.so, foo-stubs, foo.libs, foo-1.0.dist-info. Not foobar.
 */
bool imp_near_names_match(const struct imp_near_names *n, const char *name, size_t len);

/*
 * imp_near_names_add - keep a name that matches
 * Where it is kept already, @in_cache is not changed.
 */
void imp_near_names_add(struct imp_near_names *n, const char *name, size_t len,
			enum imp_in_cache in_cache);

/*
 * imp_near_names_is_metadata - is it about an installed distribution or about the path?
 * *.dist-info, *.egg-info, *.egg-link, *.pth, __editable__*
 */
bool imp_near_names_is_metadata(const char *name, size_t len);

#endif
