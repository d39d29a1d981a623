/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "case.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *imp_case_tail(const struct imp_case *c)
{
	const char *dot = strrchr(c->module, '.');

	return dot ? dot + 1 : c->module;
}

const char *imp_case_parent(const struct imp_case *c)
{
	const char *dot = strrchr(c->module, '.');

	return dot ? imp_arena_strndup(c->a, c->module, (size_t)(dot - c->module)) : NULL;
}

const char *imp_case_top(const struct imp_case *c)
{
	return imp_arena_strndup(c->a, c->module, strcspn(c->module, "."));
}

const struct imp_sys_path *imp_case_sys_path(const struct imp_case *c)
{
	const struct imp_sys_path *found = NULL;

	if (!c->py)
		return NULL;
	for (size_t i = 0; i < c->py->paths.n; i++) {
		if (c->py->paths.v[i].time_ns > c->time_ns && found)
			break;
		found = &c->py->paths.v[i];
	}
	return found;
}

void imp_case_path(const struct imp_case *c, struct imp_strings *out)
{
	const struct imp_sys_path *path;

	*out = (struct imp_strings){0};
	if (c->snapshot && c->snapshot->entries.n) {
		for (size_t i = 0; i < c->snapshot->entries.n; i++)
			*imp_vec_push(c->a, out) = c->snapshot->entries.v[i].entry;
		return;
	}
	if (c->attempt && c->attempt->outcome->submodule_path.n) {
		*out = c->attempt->outcome->submodule_path;
		return;
	}
	path = imp_case_sys_path(c);
	if (path)
		*out = path->path;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_path(const struct imp_sys_path *a, const struct imp_sys_path *b)
{
	if (!a || !b || a->path.n != b->path.n)
		return a == b;
	for (size_t i = 0; i < a->path.n; i++)
		if (strcmp(a->path.v[i], b->path.v[i]))
			return false;
	return true;
}

static bool same_place(const struct imp_image *a, const struct imp_image *b)
{
	static const char *const variables[] = {"PATH", "HOME", "VIRTUAL_ENV", "CONDA_PREFIX",
						"PYENV_ROOT"};

	if (a == b)
		return true;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		if (!same_text(imp_record_env(a, variables[i]), imp_record_env(b, variables[i])))
			return false;
	/* The script's directory is looked at as well. */
	return same_text(a->cwd, b->cwd) && a->argv.n > 1 && b->argv.n > 1 &&
	       same_text(a->argv.v[1], b->argv.v[1]);
}

const struct imp_sites *imp_case_sites(const struct imp_case *c, bool all)
{
	const struct imp_sys_path *path = all ? NULL : imp_case_sys_path(c);
	struct imp_strings none = {0};
	struct imp_case_memo *memo;

	if (!c->host->enabled || !c->py)
		return NULL;
	for (memo = *c->memos; memo; memo = memo->next)
		if (same_place(memo->image, c->image) &&
		    same_text(memo->py->executable, c->py->executable) &&
		    same_text(memo->py->version, c->py->version) && same_path(memo->path, path))
			return &memo->sites;
	memo = imp_arena_alloc(c->a, sizeof(*memo));
	*memo = (struct imp_case_memo){
		.image = c->image, .py = c->py, .path = path, .next = *c->memos};
	*c->memos = memo;
	if (imp_environment_find(c->host, c->a, c->image, c->py, path ? &path->path : &none,
				 &memo->sites))
		memo->sites.n = 0;
	return &memo->sites;
}

int64_t imp_case_flag(const struct imp_case *c, const char *name)
{
	if (c->py)
		for (size_t i = 0; i < c->py->flags.n; i++)
			if (!strcmp(c->py->flags.v[i].name, name))
				return c->py->flags.v[i].value;
	return 0;
}

const struct imp_attempt *imp_case_loaded(const struct imp_case *c, const char *module)
{
	const struct imp_attempt *found = NULL;

	for (size_t i = 0; i < c->image->attempts.n; i++) {
		const struct imp_attempt *at = c->image->attempts.v[i];

		if (at->begin_ns > c->time_ns)
			break;
		if (at->ended && !at->exception && at->end_ns <= c->time_ns &&
		    (!c->py || at->interp == c->py->number) && !strcmp(at->name, module))
			found = at;
	}
	return found;
}

const struct imp_attempt *imp_case_in_progress(const struct imp_case *c, const char *module)
{
	for (size_t i = c->image->attempts.n; i-- > 0;) {
		const struct imp_attempt *at = c->image->attempts.v[i];

		if (at->begin_ns < c->time_ns && (!at->ended || at->end_ns > c->time_ns) &&
		    at->thread == c->thread && !strcmp(at->name, module))
			return at;
	}
	return NULL;
}

const char *imp_case_python(const struct imp_case *c)
{
	const char *version, *name = "Python";

	if (!c->py || !c->py->version)
		return "this Python";
	version = c->py->version;
	if (c->py->implementation && !strcmp(c->py->implementation, "cpython"))
		name = "CPython";
	/* "3.13.0 (main, ...)" -> "3.13.0" */
	return imp_arena_printf(c->a, "%s%s %.*s",
				c->py->abiflags && strchr(c->py->abiflags, 't') ? "free-threaded " :
										  "",
				name, (int)strcspn(version, " "), version);
}

bool imp_case_version(const struct imp_case *c, unsigned int *major, unsigned int *minor)
{
	return c->py && c->py->version && sscanf(c->py->version, "%u.%u", major, minor) == 2;
}

const char *imp_case_directory(const struct imp_case *c, const char *entry)
{
	const char *cwd = c->image->cwd ? c->image->cwd : ".";

	if (!*entry)
		return cwd;
	if (*entry == '/')
		return entry;
	return imp_arena_printf(c->a, "%s/%s", cwd, entry);
}

const char *imp_case_join(const struct imp_case *c, const char *entry, const char *name)
{
	const char *dir = imp_case_directory(c, entry);
	size_t len = strlen(dir);

	return imp_arena_printf(c->a, "%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/", name);
}

static bool below(const char *path, const char *dir)
{
	size_t len = dir ? strlen(dir) : 0;

	while (len > 1 && dir[len - 1] == '/')
		len--;
	return len && !strncmp(path, dir, len) && (path[len] == '/' || dir[len - 1] == '/');
}

/* "lib/python3.11": where the standard library lies below a prefix. */
static const char *stdlib_dir(const struct imp_case *c, const char *prefix)
{
	unsigned int major, minor;

	if (!prefix || !imp_case_version(c, &major, &minor))
		return NULL;
	return imp_arena_printf(c->a, "%s/lib/python%u.%u%s", prefix, major, minor,
				c->py->abiflags && strchr(c->py->abiflags, 't') ? "t" : "");
}

bool imp_case_stdlib(const struct imp_case *c, const char *path)
{
	const char *dirs[4];

	if (!path || !c->py)
		return false;
	if (!strcmp(path, "built-in") || !strcmp(path, "frozen"))
		return true;
	if (strstr(path, "/site-packages/") || strstr(path, "/dist-packages/"))
		return false;
	dirs[0] = c->py->stdlib;
	dirs[1] = stdlib_dir(c, c->py->base_prefix);
	dirs[2] = stdlib_dir(c, c->py->base_exec_prefix);
	dirs[3] = stdlib_dir(c, c->py->prefix);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (dirs[i] && below(path, dirs[i]))
			return true;
	return false;
}

bool imp_case_has(const char *text, const char *part)
{
	return text && part && *part && strstr(text, part);
}

static bool is_letter(char ch)
{
	return isalnum((unsigned char)ch) || ch == '_';
}

bool imp_case_has_word(const char *text, const char *word)
{
	size_t len = word ? strlen(word) : 0;

	for (const char *p = text; p && len && (p = strstr(p, word)); p++)
		if ((p == text || !is_letter(p[-1])) && !is_letter(p[len]))
			return true;
	return false;
}

const char *imp_case_quoted(const struct imp_case *c, const char *text, const char *after)
{
	const char *start, *end;

	if (!text)
		return NULL;
	start = after ? strstr(text, after) : text;
	if (!start)
		return NULL;
	if (after)
		start += strlen(after);
	start = strchr(start, '\'');
	if (!start)
		return NULL;
	end = strchr(++start, '\'');
	return end ? imp_arena_strndup(c->a, start, (size_t)(end - start)) : NULL;
}
