/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has a symbol, or a version of symbols: for the rules about failed loads. */
#include <string.h>

#include "../elf/demangle.h"
#include "judge_loader.h"

#define LIBRARIES_MAX 3000 /* files that are asked for one symbol */

int imp_load_offers(struct imp_elf_image *img, const struct imp_load_wanted *w)
{
	if (!img || !img->header)
		return -1;
	if (w->symbol) {
		int has = imp_elf_symbol_find(img, w->symbol, w->version, NULL);

		/* Of a large library a trace keeps the names of the versions alone: who has that one has its symbols. */
		if (has >= 0 || !w->version || !img->version_defs.n)
			return has;
	}
	for (size_t i = 0; i < img->version_defs.n; i++)
		if (!strcmp(img->version_defs.v[i].version, w->version))
			return 1;
	return 0;
}

const char *imp_load_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *imp_load_readable(const struct imp_load *l, const char *symbol)
{
	const char *name = imp_demangle(l->c->a, symbol);

	return name ? name : symbol;
}

const struct imp_ld_object *imp_load_object_at(const struct imp_load *l, const char *file)
{
	for (size_t i = 0; file && i < l->replay.process.objects.n; i++) {
		const struct imp_ld_object *o = l->replay.process.objects.v[i];

		if (o->file && !strcmp(o->file, file))
			return o;
	}
	for (size_t i = 0; file && i < l->tree.objects.n; i++)
		if (l->tree.objects.v[i]->file && !strcmp(l->tree.objects.v[i]->file, file))
			return l->tree.objects.v[i];
	return NULL;
}

/* Extensions may hold a library, statically linked, and export its symbols: nobody is meant to link with them. */
static bool is_extension(struct imp_elf_image *img)
{
	struct imp_elf_symbol_list init = {0};

	return !imp_elf_symbol_exported(img, "PyInit_", 1, &init) && init.n;
}

static const char *exporter_in(struct imp_load *l, const char *dir, const struct imp_load_wanted *w,
			       unsigned int *left, const char **extension)
{
	struct imp_strings names = {0};

	if (imp_host_list(l->c->host, l->c->a, dir, &names))
		return NULL;
	for (size_t i = 0; i < names.n && *left; i++) {
		const char *path = imp_arena_printf(l->c->a, "%s/%s", dir, names.v[i]),
			   *so = strstr(names.v[i], ".so");

		if (!so || (so[3] && so[3] != '.') || (l->file && !strcmp(path, l->file)))
			continue;
		--*left;
		if (!imp_load_fits(l, path) || imp_load_offers(imp_load_image(l, path), w) != 1)
			continue;
		if (!is_extension(imp_load_image(l, path)))
			return path;
		*extension = *extension ? *extension : path;
	}
	return NULL;
}

/* A library of this machine that has it: one that was never linked, or another copy. */
const char *imp_load_exporter(struct imp_load *l, const struct imp_load_wanted *w)
{
	const struct imp_ld_cache *cache = &l->replay.system.cache;
	unsigned int left = LIBRARIES_MAX;
	struct imp_load_places places;
	const char *found = NULL, *extension = NULL;

	if (!l->c->host->enabled)
		return NULL;
	imp_load_places_find(l, &places);
	for (size_t i = 0; i < places.n && !found && left; i++) {
		/* Below /usr/lib and the like the cache knows better. */
		if (strncmp(places.v[i].dir, "/usr/lib", 8) ||
		    imp_case_has(places.v[i].dir, "-packages"))
			found = exporter_in(l, places.v[i].dir, w, &left, &extension);
	}
	for (size_t i = 0; cache->known && i < cache->entries.n && !found && left; i++, left--)
		if (cache->entries.v[i].flags == l->replay.system.filter.flags &&
		    imp_load_offers(imp_load_image(l, cache->entries.v[i].path), w) == 1)
			found = cache->entries.v[i].path;
	return found ? found : extension;
}
