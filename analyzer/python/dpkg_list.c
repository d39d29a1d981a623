// SPDX-License-Identifier: GPL-2.0-or-later
#include "distribution.h"

#include <errno.h>
#include <string.h>

#include "module_file.h"

/*
 * dpkg's own lists: /var/lib/dpkg/info/PACKAGE[:ARCH].list holds the absolute path of each file of
 * an installed package, a line each (dpkg(1), "FILES").
 */
#define DPKG_INFO "/var/lib/dpkg/info"
#define LIST_MAX  (32U << 20)

typedef bool (*list_visitor)(void *data, const char *package, const char *list,
			     const struct imp_host_buffer *b);

static bool is_python_package(const char *list)
{
	return imp_starts_with(list, "python3-") || imp_starts_with(list, "python-");
}

static bool visit_lists(const struct imp_host *h, struct imp_arena *a,
			const struct imp_strings *names, bool python, list_visitor visit, void *data)
{
	struct imp_host_buffer b = {0};
	bool found = false;
	const char *list;
	size_t i, len;

	for (i = 0; i < names->n && !found; i++) {
		if (!imp_ends_with(names->v[i], ".list") || is_python_package(names->v[i]) != python)
			continue;
		list = imp_path_join(a, DPKG_INFO, names->v[i]);
		if (imp_host_read_into(h, list, LIST_MAX, &b) < 0)
			continue;
		len = strlen(names->v[i]) - strlen(".list");
		if (memchr(names->v[i], ':', len))
			len = strcspn(names->v[i], ":");
		found = visit(data, imp_arena_strndup(a, names->v[i], len), list, &b);
	}
	imp_host_buffer_clear(&b);
	return found;
}

/* The python packages first: they hold nearly all that is asked for, in a tenth of the bytes. */
static int search_lists(const struct imp_host *h, struct imp_arena *a, list_visitor visit,
			void *data)
{
	struct imp_strings names;
	int ret = imp_host_list(h, a, DPKG_INFO, &names);

	if (ret < 0)
		return ret == -ENOENT ? -ENOENT : -ENODATA;
	return visit_lists(h, a, &names, true, visit, data) ||
			       visit_lists(h, a, &names, false, visit, data) ?
		       0 :
		       -ENOENT;
}

struct owner {
	const char *tail; /* the path without "/usr", and its line's end */
	const char *package;
};

/*
 * A list may name "/lib/x" for what is found as "/usr/lib/x" (merged /usr), and the other way
 * round.
 */
static bool visit_owner(void *data, const char *package, const char *list,
			const struct imp_host_buffer *b)
{
	struct owner *o = data;
	size_t n = strlen(o->tail);
	const char *s = b->data, *end = s + b->len;

	(void)list;
	while ((s = memmem(s, (size_t)(end - s), o->tail, n))) {
		size_t before = (size_t)(s - b->data);

		if (before == 0 || s[-1] == '\n' ||
		    (before >= 4 && memcmp(s - 4, "/usr", 4) == 0 &&
		     (before == 4 || s[-5] == '\n'))) {
			o->package = package;
			return true;
		}
		s++;
	}
	return false;
}

int imp_distribution_dpkg_owner(const struct imp_host *h, struct imp_arena *a, const char *path,
				const char **package)
{
	struct owner o = {0};
	int ret;

	*package = NULL;
	if (!h->enabled || path[0] != '/')
		return -ENODATA;
	path = imp_path_normalize(a, path);
	if (imp_starts_with(path, "/usr/"))
		path += 4;
	if (strchr(path, '\n'))
		return -ENOENT;
	o.tail = imp_arena_printf(a, "%s\n", path);
	ret = search_lists(h, a, visit_owner, &o);
	*package = o.package;
	return ret;
}

struct claims {
	const struct imp_host *h;
	struct imp_arena *a;
	const char *base;   /* "pkg/_native" */
	const char *needle; /* "/pkg/_native" */
	struct imp_owned_files *out;
	bool any;
};

/* What follows the directory that is an entry of Debian's search path; NULL: it lies in none. */
static const char *below_entry(const char *path)
{
	static const char *const dirs[] = {"/dist-packages/", "/site-packages/", "/lib-dynload/"};
	const char *s;
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		s = strstr(path, dirs[i]);
		if (s)
			return s + strlen(dirs[i]);
	}
	return NULL;
}

static bool visit_claims(void *data, const char *package, const char *list,
			 const struct imp_host_buffer *b)
{
	struct claims *c = data;
	const char *s = b->data, *end = s + b->len, *line, *rest, *path;
	struct imp_owned_file *f;
	size_t len;

	while ((s = memmem(s, (size_t)(end - s), c->needle, strlen(c->needle)))) {
		line = s;
		while (line > b->data && line[-1] != '\n')
			line--;
		len = strcspn(s, "\n");
		path = imp_arena_strndup(c->a, line, (size_t)(s - line) + len);
		s += len;
		rest = below_entry(path);
		if (path[0] != '/' || !rest || !imp_module_file_is(c->a, rest, c->base))
			continue;
		f = imp_vec_push(c->a, c->out);
		f->dist.name = package;
		f->dist.metadata = list;
		f->dist.installer = "dpkg";
		f->path = f->line = path;
		f->exists = imp_host_exists(c->h, path);
		c->any = true;
	}
	return false; /* several packages may ship it, for several Pythons */
}

static int init_claims(struct claims *c, const char *module, struct imp_strings *names)
{
	int ret;

	if (!c->h->enabled)
		return -ENODATA;
	if (!module[0] || strchr(module, '\n'))
		return 0;
	c->base = imp_module_path(c->a, module);
	c->needle = imp_arena_printf(c->a, "/%s", c->base);
	ret = imp_host_list(c->h, c->a, DPKG_INFO, names);
	return ret == -ENOENT ? 0 : ret < 0 ? -ENODATA : 0; /* no dpkg here: it claims nothing */
}

int imp_distribution_dpkg_claims(const struct imp_host *h, struct imp_arena *a, const char *module,
				 struct imp_owned_files *out)
{
	struct claims c = {.h = h, .a = a, .out = out};
	struct imp_strings names = {0};
	int ret = init_claims(&c, module, &names);

	visit_lists(h, a, &names, true, visit_claims, &c);
	if (!c.any)
		visit_lists(h, a, &names, false, visit_claims, &c);
	return ret;
}

int imp_distribution_dpkg_package(const struct imp_host *h, struct imp_arena *a, const char *module,
				  const char **package)
{
	struct imp_owned_files owned = {0};
	struct claims c = {.h = h, .a = a, .out = &owned};
	struct imp_strings names = {0};
	int ret = init_claims(&c, module, &names);

	*package = NULL;
	if (ret < 0)
		return ret;
	visit_lists(h, a, &names, true, visit_claims, &c);
	if (!owned.n)
		return -ENOENT;
	*package = owned.v[0].dist.name;
	return 0;
}
