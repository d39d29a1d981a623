/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer target: any bytes as the name of a Rust symbol (v0 scheme). */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elf/demangle_rust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imp_arena arena = { 0 };
	char *symbol = malloc(size + 3);
	const char *name;

	if (!symbol)
		return 0;
	memcpy(symbol, "_R", 2);
	memcpy(symbol + 2, data, size);
	symbol[size + 2] = '\0';
	name = imp_demangle_rust(&arena, symbol);
	if (name && (!*name || strlen(name) > 4096))
		abort();
	free(symbol);
	imp_arena_clear(&arena);
	return 0;
}
