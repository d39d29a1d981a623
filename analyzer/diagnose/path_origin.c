/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "path_origin.h"

#include <string.h>

static size_t trimmed(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	return len;
}

static bool same_path(const char *a, const char *b)
{
	size_t len = trimmed(a);

	return len == trimmed(b) && !memcmp(a, b, len);
}

bool imp_path_on(const struct imp_strings *entries, const char *entry)
{
	for (size_t i = 0; i < entries->n; i++)
		if (same_path(entries->v[i], entry))
			return true;
	return false;
}

const char *imp_path_env_entry(const struct imp_case *c, size_t i)
{
	const char *p = imp_record_env(c->image, "PYTHONPATH");

	for (; p && *p; p += strcspn(p, ":"), p += *p == ':') {
		size_t len = strcspn(p, ":");

		if (len && !i--)
			return imp_arena_strndup(c->a, p, len);
	}
	return NULL;
}

bool imp_path_env_has(const struct imp_case *c, const char *entry)
{
	const char *item;

	for (size_t i = 0; (item = imp_path_env_entry(c, i)); i++)
		if (same_path(item, entry) ||
		    (item[0] != '/' && same_path(imp_case_join(c, "", item), entry)))
			return true;
	return false;
}

const char *imp_path_env_without(const struct imp_case *c, const char *entry)
{
	const char *left = "", *item;

	for (size_t i = 0; (item = imp_path_env_entry(c, i)); i++)
		if (!same_path(imp_case_directory(c, item), imp_case_directory(c, entry)))
			left = imp_arena_printf(c->a, "%s%s%s", left, *left ? ":" : "", item);
	return left;
}

static const char *site_kind(const char *entry)
{
	const char *base = strrchr(entry, '/');

	base = base ? base + 1 : entry;
	return !strcmp(base, "site-packages") || !strcmp(base, "dist-packages") ? base : NULL;
}

enum imp_path_origin imp_path_origin_of(const struct imp_case *c, const char *entry)
{
	const struct imp_sys_path *first = NULL;
	const char *home = imp_record_env(c->image, "HOME");

	for (size_t i = 0; c->py && i < c->py->paths.n && !first; i++)
		if (imp_path_on(&c->py->paths.v[i].path, entry))
			first = &c->py->paths.v[i];
	if (!first)
		return IMP_ORIGIN_UNKNOWN;
	if (first->phase == IMP_PHASE_ATTACH) {
		/* All of it was there already: what can be told of an entry is told by its name. */
		if (imp_path_env_has(c, entry))
			return IMP_ORIGIN_PYTHONPATH;
		if (site_kind(entry))
			return home && strstr(entry, "/.local/") &&
					       !strncmp(entry, home, strlen(home)) ?
				       IMP_ORIGIN_USER_SITE :
				       IMP_ORIGIN_SITE;
		return imp_case_stdlib(c, imp_case_join(c, entry, "x")) ||
				       strstr(entry, "lib-dynload") ?
			       IMP_ORIGIN_DEFAULT :
			       IMP_ORIGIN_UNKNOWN;
	}
	if (first->phase == IMP_PHASE_START) {
		if (imp_path_env_has(c, entry))
			return IMP_ORIGIN_PYTHONPATH;
		if (imp_case_stdlib(c, imp_case_join(c, entry, "x")) || strstr(entry, "/python") ||
		    strstr(entry, "lib-dynload"))
			return IMP_ORIGIN_DEFAULT;
		return first->path.n && same_path(first->path.v[0], entry) ? IMP_ORIGIN_SCRIPT :
									     IMP_ORIGIN_DEFAULT;
	}
	if (site_kind(entry)) {
		if (home && strstr(entry, "/.local/") && !strncmp(entry, home, strlen(home)))
			return IMP_ORIGIN_USER_SITE;
		return first->phase == IMP_PHASE_SITE ? IMP_ORIGIN_SITE : IMP_ORIGIN_RUN_TIME;
	}
	if (first->phase == IMP_PHASE_SITE)
		return IMP_ORIGIN_PTH;
	/*
	 * The directory of the script comes first, and only after site was imported: it is there in the first
	 * value that the program itself saw. What comes later, the program added.
	 */
	if (first->path.n && same_path(first->path.v[0], entry)) {
		for (size_t i = 0; i < c->py->paths.n; i++)
			if (c->py->paths.v[i].phase == IMP_PHASE_RUN)
				return first == &c->py->paths.v[i] ? IMP_ORIGIN_SCRIPT :
								     IMP_ORIGIN_RUN_TIME;
	}
	return IMP_ORIGIN_RUN_TIME;
}

const char *imp_path_origin_phrase(enum imp_path_origin origin)
{
	switch (origin) {
	case IMP_ORIGIN_SCRIPT: return "the directory of the script";
	case IMP_ORIGIN_PYTHONPATH: return "named by PYTHONPATH";
	case IMP_ORIGIN_DEFAULT: return "the interpreter's own";
	case IMP_ORIGIN_SITE: return "a site directory";
	case IMP_ORIGIN_USER_SITE: return "the user's site directory";
	case IMP_ORIGIN_PTH: return "added by a .pth file";
	case IMP_ORIGIN_RUN_TIME: return "added by the program";
	case IMP_ORIGIN_UNKNOWN: break;
	}
	return NULL;
}

const char *imp_path_lost(const struct imp_case *c, size_t i)
{
	const struct imp_sys_path *now = imp_case_sys_path(c);
	struct imp_strings seen = {0};

	for (size_t p = 0; now && c->py && p < c->py->paths.n; p++) {
		const struct imp_sys_path *then = &c->py->paths.v[p];

		if (then->time_ns > c->time_ns)
			break;
		for (size_t e = 0; e < then->path.n; e++) {
			if (imp_path_on(&now->path, then->path.v[e]) ||
			    imp_path_on(&seen, then->path.v[e]))
				continue;
			if (!i--)
				return then->path.v[e];
			*imp_vec_push(c->a, &seen) = then->path.v[e];
		}
	}
	return NULL;
}
