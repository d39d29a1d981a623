// SPDX-License-Identifier: GPL-2.0-or-later
#include "distribution.h"

#include <errno.h>
#include <string.h>

#include "../host/host_cache.h"
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

/*
 * Every file that a package ships into an entry of Debian's search path, as one text of lines
 * "PATH\tLIST\n": reading 1,500 lists again for each module that failed would cost more than all else.
 */
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

static void index_list(struct imp_dpkg_index *index, const char *list, char *data)
{
	char *line, *next;

	if (!strstr(data, "-packages/") && !strstr(data, "/lib-dynload/"))
		return;
	for (line = data; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (line[0] != '/' || !below_entry(line))
			continue;
		imp_strbuf_puts(&index->text, line);
		imp_strbuf_puts(&index->text, "\t");
		imp_strbuf_puts(&index->text, list);
		imp_strbuf_puts(&index->text, "\n");
	}
}

static int build_index(const struct imp_host *h, struct imp_arena *a, struct imp_dpkg_index *index)
{
	struct imp_host_buffer b = {0};
	struct imp_strings names;
	int ret;

	if (index->built)
		return 0;
	ret = imp_host_list(h, a, DPKG_INFO, &names);
	if (ret < 0 && ret != -ENOENT)
		return -ENODATA;
	/* Debian's Python packages first: another package's private copy of a module comes after them. */
	for (int others = 0; !ret && others < 2; others++) {
		for (size_t i = 0; i < names.n; i++) {
			const char *list = names.v[i];

			if (imp_ends_with(list, ".list") && is_python_package(list) == !others &&
			    imp_host_read_into(h, imp_path_join(a, DPKG_INFO, list), LIST_MAX,
					       &b) >= 0)
				index_list(index, list, b.data);
		}
	}
	imp_host_buffer_clear(&b);
	index->built = true;
	return 0;
}

static void add_line(const struct imp_host *h, struct imp_arena *a, const char *line, size_t len,
		     const char *base, struct imp_owned_files *out)
{
	const char *tab = memchr(line, '\t', len), *list;
	struct imp_owned_file *f;
	char *path;

	if (!tab)
		return;
	path = imp_arena_strndup(a, line, (size_t)(tab - line));
	if (!imp_module_file_is(a, below_entry(path), base))
		return;
	list = imp_arena_strndup(a, tab + 1, len - (size_t)(tab + 1 - line));
	f = imp_vec_push(a, out);
	f->dist.name = imp_arena_strndup(a, list, strlen(list) - strlen(".list"));
	f->dist.name = imp_arena_strndup(a, f->dist.name, strcspn(f->dist.name, ":"));
	f->dist.metadata = imp_path_join(a, DPKG_INFO, list);
	f->dist.installer = "dpkg";
	f->path = f->line = path;
	f->exists = imp_host_exists(h, path);
}

static int find_claims(const struct imp_host *h, struct imp_arena *a, const char *module,
		       struct imp_owned_files *out)
{
	struct imp_dpkg_index local = {0}, *index = h->dpkg ? h->dpkg : &local;
	const char *base, *needle, *s, *end;
	int ret;

	ret = build_index(h, a, index);
	base = imp_module_path(a, module);
	needle = imp_arena_printf(a, "/%s", base);
	s = index->text.s;
	end = s + index->text.len;
	while (s && (s = memmem(s, (size_t)(end - s), needle, strlen(needle)))) {
		const char *line = s, *stop = memchr(s, '\n', (size_t)(end - s));

		while (line > index->text.s && line[-1] != '\n')
			line--;
		if (!stop)
			break;
		add_line(h, a, line, (size_t)(stop - line), base, out);
		s = stop;
	}
	imp_dpkg_index_clear(&local);
	return ret;
}

int imp_distribution_dpkg_claims(const struct imp_host *h, struct imp_arena *a, const char *module,
				 struct imp_owned_files *out)
{
	struct imp_owned_files found = {0};
	struct imp_host_answer *answer;
	const struct imp_owned_file *v;
	size_t i;

	if (!h->enabled)
		return -ENODATA;
	if (!module[0] || strchr(module, '\n'))
		return 0;
	answer = imp_host_cache_get(h, module, IMP_HOST_DPKG);
	if (!answer)
		return find_claims(h, a, module, out);
	if (!answer->known) {
		answer->ret = find_claims(h, &h->cache->arena, module, &found);
		answer->v = found.v;
		answer->n = found.n;
		answer->known = true;
	}
	for (v = answer->v, i = 0; i < answer->n; i++)
		*imp_vec_push(a, out) = v[i];
	return answer->ret;
}

void imp_dpkg_index_clear(struct imp_dpkg_index *index)
{
	imp_strbuf_clear(&index->text);
	index->built = false;
}

int imp_distribution_dpkg_package(const struct imp_host *h, struct imp_arena *a, const char *module,
				  const char **package)
{
	struct imp_owned_files owned = {0};
	int ret = imp_distribution_dpkg_claims(h, a, module, &owned);

	*package = NULL;
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < owned.n; i++) {
		if (!is_python_package(owned.v[i].dist.name))
			continue;
		*package = owned.v[i].dist.name;
		return 0;
	}
	return -ENOENT;
}
