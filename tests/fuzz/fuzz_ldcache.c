/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer target: any bytes as an ld.so.cache, as an ld.so.conf, and as the loader itself. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elf/ld_conf.h"
#include "elf/ld_system.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imp_ld_cpu cpu = { .isa_level = 3 };
	struct imp_ld_system system = { .bits = 64, .machine = 62 };
	const struct imp_ld_cache_entry *e;
	struct imp_arena arena = { 0 };
	struct imp_ld_conf conf;
	size_t i;

	imp_ld_system_scan(&system, &arena, (const char *)data, size);
	imp_ld_system_subdirs(&system, &arena, &cpu);
	if (imp_ld_cache_parse(&system.cache, &arena, data, size, NULL) == 0) {
		for (i = 0; i < system.cache.entries.n && i < 64; i++) {
			const char *name = system.cache.entries.v[i].name;

			if (imp_ld_cache_compare(name, name) != 0 || !imp_ld_cache_next(&system.cache, name, NULL))
				abort();
			e = imp_ld_cache_find(&system.cache, &system.filter, name);
			if (e && (e->flags != system.filter.flags || imp_ld_cache_compare(e->name, name) != 0))
				abort();
		}
	}
	imp_ld_conf_text(&conf, &arena, NULL, "/etc/ld.so.conf", imp_arena_strndup(&arena, (const char *)data, size));
	imp_arena_clear(&arena);
	return 0;
}
