/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "demangle.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "demangle_rust.h"

#define NAME_MAX_LENGTH \
	8192U /* a longer one is left as it is: nobody reads it, and the work grows with it */
#define RUST_HASH 19U /* "::h" and 16 digits */

typedef char *demangle_fn(const char *name, char *buffer, size_t *len, int *status);

/* Of the C++ ABI, and in every libstdc++: opened when it is first needed, so that imptrace needs no C++. */
static demangle_fn *find_demangle(void)
{
	static bool tried;
	static demangle_fn *found;
	void *lib;

	if (tried)
		return found;
	tried = true;
	lib = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
	if (lib)
		*(void **)&found = dlsym(lib, "__cxa_demangle");
	return found;
}

static size_t without_rust_hash(const char *name)
{
	size_t len = strlen(name);

	if (len > RUST_HASH && !strncmp(name + len - RUST_HASH, "::h", 3) &&
	    strspn(name + len - RUST_HASH + 3, "0123456789abcdef") == RUST_HASH - 3)
		return len - RUST_HASH;
	return len;
}

const char *imp_demangle(struct imp_arena *a, const char *symbol)
{
	demangle_fn *demangle;
	const char *result;
	int status = -1;
	char *name;

	if (!symbol || symbol[0] != '_' || strlen(symbol) > NAME_MAX_LENGTH)
		return NULL;
	if (symbol[1] == 'R')
		return imp_demangle_rust(a, symbol);
	if (symbol[1] != 'Z')
		return NULL;
	demangle = find_demangle();
	name = demangle ? demangle(symbol, NULL, NULL, &status) : NULL;
	result = name && !status ? imp_arena_strndup(a, name, without_rust_hash(name)) : NULL;
	free(name);
	return result;
}
