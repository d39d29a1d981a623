// SPDX-License-Identifier: GPL-2.0-or-later
#include "module_file.h"

#include <string.h>

#include "abi_tag.h"

bool imp_starts_with(const char *s, const char *start)
{
	return strncmp(s, start, strlen(start)) == 0;
}

bool imp_ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

const char *imp_module_path(struct imp_arena *a, const char *module)
{
	char *path = imp_arena_strndup(a, module, strlen(module)), *s;

	for (s = path; *s; s++) {
		if (*s == '.')
			*s = '/';
	}
	return path;
}

bool imp_module_file_is(struct imp_arena *a, const char *path, const char *base)
{
	size_t len = strlen(base);
	const char *rest = path + len, *name;
	struct imp_abi_tag tag;

	if (!len || strncmp(path, base, len) != 0)
		return false;
	if (*rest == '/') { /* a package: its __init__ */
		if (strncmp(rest, "/__init__.", 10) != 0)
			return false;
		rest += 9;
	}
	if (*rest != '.' || strchr(rest, '/'))
		return false;
	if (strcmp(rest, ".py") == 0 || strcmp(rest, ".pyc") == 0)
		return true;
	if (strcmp(rest, ".pyd") != 0 && !imp_ends_with(rest, ".so") && !imp_ends_with(rest, ".pyd"))
		return false;
	name = strrchr(path, '/');
	return imp_abi_tag_parse(&tag, a, name ? name + 1 : path) == 0;
}

const char *imp_path_join(struct imp_arena *a, const char *dir, const char *name)
{
	size_t len = strlen(dir), more = strlen(name);
	char *path;

	if (name[0] == '/' || !len)
		return name;
	/* No printf: a search of this machine joins some 10,000 of them. */
	path = imp_arena_alloc(a, len + more + 2);
	memcpy(path, dir, len);
	if (dir[len - 1] != '/')
		path[len++] = '/';
	memcpy(path + len, name, more);
	return path;
}

const char *imp_path_normalize(struct imp_arena *a, const char *path)
{
	char *out = imp_arena_alloc(a, strlen(path) + 3);
	size_t len = 0, root = path[0] == '/', part;

	if (root)
		out[len++] = '/';
	for (; *path; path += part) {
		while (*path == '/')
			path++;
		part = strcspn(path, "/");
		if (!part || (part == 1 && path[0] == '.'))
			continue;
		if (part == 2 && path[0] == '.' && path[1] == '.') {
			size_t last = len;

			while (last > root && out[last - 1] != '/')
				last--;
			if (root && len == root)
				continue; /* "/.." is "/" */
			if (len > root && strcmp(out + last, "..") != 0) {
				len = last > root ? last - 1 : root;
				out[len] = '\0';
				continue;
			}
		}
		if (len > root)
			out[len++] = '/';
		memcpy(out + len, path, part);
		len += part;
		out[len] = '\0';
	}
	if (!len)
		out[len++] = '.';
	out[len] = '\0';
	return out;
}

const char *imp_path_parent(struct imp_arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return ".";
	return slash == path ? "/" : imp_arena_strndup(a, path, (size_t)(slash - path));
}

const char *imp_path_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
