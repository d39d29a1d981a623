/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a library might lie that no rule of the loader leads to. */
#include <string.h>

#include "../python/module_file.h"
#include "judge_loader.h"

#define ANCESTORS    6	  /* directories above the extension that are looked into */
#define PACKAGES_MAX 4000 /* names of one directory of sys.path */
#define PARTS_MAX    200  /* directories of one package */

static void add_place(struct imp_load *l, struct imp_load_places *out, const char *dir,
		      const char *package)
{
	for (size_t i = 0; i < out->n; i++)
		if (!strcmp(out->v[i].dir, dir))
			return;
	if (*dir == '/' && imp_host_is_directory(l->c->host, dir))
		*imp_vec_push(l->c->a, out) = (struct imp_load_place){dir, package};
}

const char *imp_load_parent(struct imp_arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash > path ? imp_arena_strndup(a, path, (size_t)(slash - path)) : NULL;
}

/* The directory of an extension, and those above it: PREFIX/lib of an environment that has libraries of its own. */
static void add_above(struct imp_load *l, struct imp_load_places *out, const char *file)
{
	struct imp_arena *a = l->c->a;
	const char *dir = file ? imp_load_parent(a, file) : NULL;

	for (unsigned int i = 0; dir && i < ANCESTORS; i++, dir = imp_load_parent(a, dir)) {
		add_place(l, out, dir, NULL);
		add_place(l, out, imp_arena_printf(a, "%s/lib", dir), NULL);
		add_place(l, out, imp_arena_printf(a, "%s/lib64", dir), NULL);
	}
}

const char *imp_load_behind_link(struct imp_load *l, const char *file, size_t i)
{
	const struct imp_elf_image *img = file ? imp_load_image(l, file) : NULL;
	const char *list = !img ? NULL : img->runpath ? img->runpath : img->rpath, *real;

	if (!list || imp_host_realpath(l->c->host, l->c->a, file, &real) || !strcmp(real, file))
		return NULL;
	for (; *list; list += *list == ':') {
		size_t len = strcspn(list, ":");
		size_t origin = !strncmp(list, "$ORIGIN", 7)   ? 7 :
				!strncmp(list, "${ORIGIN}", 9) ? 9 :
								 0;

		if (origin && !i--)
			return imp_path_normalize(
				l->c->a,
				imp_arena_printf(l->c->a, "%s%.*s", imp_path_parent(l->c->a, real),
						 (int)(len - origin), list + origin));
		list += len;
	}
	return NULL;
}

/* A farm of links (bazel, conda): what the file needs may lie beside the file, and not beside the link. */
static void add_behind_link(struct imp_load *l, struct imp_load_places *out, const char *file)
{
	const char *dir, *real;

	for (size_t i = 0; (dir = imp_load_behind_link(l, file, i)); i++)
		add_place(l, out, dir, NULL);
	if (file && !imp_host_realpath(l->c->host, l->c->a, file, &real) && strcmp(real, file))
		add_above(l, out, real);
}

bool imp_load_ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* A directory that an import would load something from; without this it just lies beside a program. */
static bool is_package(struct imp_load *l, const char *dir)
{
	static const char *const files[] = {"__init__.py", "__init__.pyc", "__init__.so"};
	bool found = false;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !found; i++)
		found = imp_host_exists(l->c->host,
					imp_arena_printf(l->c->a, "%s/%s", dir, files[i])) == 1;
	return found;
}

/* PACKAGE/PART/lib: nvidia/cuda_runtime/lib and its like, which hold libraries alone. Nothing loads them by an import. */
static void add_parts(struct imp_load *l, struct imp_load_places *out, const char *dir)
{
	struct imp_arena *a = l->c->a;
	struct imp_strings names = {0};

	if (imp_host_list(l->c->host, a, dir, &names))
		return;
	for (size_t i = 0; i < names.n && i < PARTS_MAX; i++)
		if (!strchr(names.v[i], '.') && names.v[i][0] != '_')
			add_place(l, out, imp_arena_printf(a, "%s/%s/lib", dir, names.v[i]), NULL);
}

/* Where packages keep the libraries that they bring: NAME.libs (auditwheel), NAME/lib (torch), NAME/.libs. */
static void add_packages(struct imp_load *l, struct imp_load_places *out, const char *entry)
{
	static const char *const below[] = {"lib", "lib64", "libs", ".libs", "core/lib"};
	const char *top = imp_case_top(l->c);
	struct imp_arena *a = l->c->a;
	struct imp_strings names = {0};

	if (!entry || *entry != '/' || imp_host_list(l->c->host, a, entry, &names))
		return;
	for (size_t i = 0; i < names.n && i < PACKAGES_MAX; i++) {
		const char *name = names.v[i], *package = name;
		const char *dir = imp_arena_printf(a, "%s/%s", entry, name);
		bool libs = imp_load_ends_with(name, ".libs");

		if (libs)
			package = imp_arena_strndup(a, name, strlen(name) - 5);
		else if (strchr(name, '.') || name[0] == '_')
			continue;
		if ((*top && !strcmp(package, top)) || (!libs && !is_package(l, dir)))
			package = NULL;
		add_place(l, out, dir, package);
		for (size_t k = 0; !libs && k < sizeof(below) / sizeof(below[0]); k++)
			add_place(l, out, imp_arena_printf(a, "%s/%s", dir, below[k]), package);
		if (!libs)
			add_parts(l, out, dir);
	}
}

void imp_load_places_find(struct imp_load *l, struct imp_load_places *out)
{
	const struct imp_sys_path *path = imp_case_sys_path(l->c);
	const struct imp_interpreter *py = l->c->py;
	const char *conda = imp_record_env(l->c->image, "CONDA_PREFIX");
	const char *dir, *item, *why;
	struct imp_arena *a = l->c->a;

	*out = (struct imp_load_places){0};
	if (!l->c->host->enabled)
		return;
	for (size_t i = 0; (dir = imp_load_meant_entry(l, i, &item, &why)); i++)
		add_place(l, out, dir, NULL);
	if (l->search && l->search->requester)
		add_behind_link(l, out, l->search->requester->file);
	add_behind_link(l, out, l->root);
	if (l->search && l->search->requester)
		add_above(l, out, l->search->requester->file);
	add_above(l, out, l->root);
	if (l->c->image->cwd)
		add_place(l, out, l->c->image->cwd, NULL);
	for (size_t i = 0; path && i < path->path.n; i++)
		if (!imp_case_has(path->path.v[i], "/lib-dynload"))
			add_place(l, out, path->path.v[i], NULL);
	for (size_t i = 0; path && i < path->path.n; i++)
		if (!imp_case_has(path->path.v[i], "/lib-dynload"))
			add_packages(l, out, path->path.v[i]);
	if (py && py->prefix)
		add_place(l, out, imp_arena_printf(a, "%s/lib", py->prefix), NULL);
	if (py && py->base_prefix)
		add_place(l, out, imp_arena_printf(a, "%s/lib", py->base_prefix), NULL);
	if (conda)
		add_place(l, out, imp_arena_printf(a, "%s/lib", conda), NULL);
	add_place(l, out, "/usr/local/lib", NULL);
	add_place(l, out, "/usr/local/lib64", NULL);
}
