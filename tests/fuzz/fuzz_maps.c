/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer target: any bytes as /proc/PID/maps. What is found lies where it was looked for. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "attach/proc_maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imp_maps maps = { 0 };
	size_t i;

	imp_maps_parse(&maps, (const char *)data, size);
	for (i = 0; i < maps.maps.n; i++) {
		const struct imp_map *m = &maps.maps.v[i], *found = imp_maps_find(&maps, m->start);

		if (!m->path || (m->object != UINT32_MAX && m->object >= maps.objects.n) ||
		    (found && (found->start > m->start || found->end <= m->start)))
			abort();
		imp_maps_object(&maps, m->start);
		imp_maps_object(&maps, m->end);
	}
	for (i = 0; i < maps.objects.n; i++) {
		const struct imp_mapped_object *o = &maps.objects.v[i];

		if (!o->path || !o->name || o->name < o->path || o->name > o->path + strlen(o->path))
			abort();
	}
	imp_maps_clear(&maps);
	return 0;
}
