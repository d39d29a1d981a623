// SPDX-License-Identifier: GPL-2.0-or-later
#include "ld_process.h"

#include <string.h>

#include "../base/strbuf.h"

#define EXPANDED_MAX 65536U
#define ENTRIES_MAX  10000U /* directories in one list */

/* ---- directories ----------------------------------------------------------------------------------- */

static struct imp_ld_dir *get_dir(struct imp_ld_process *p, const char *path, size_t len)
{
	size_t subdirs = p->system->subdirs.n, i;
	struct imp_ld_dir *d;

	for (i = 0; i < p->dirs.n; i++) {
		if (p->dirs.v[i]->len == len && memcmp(p->dirs.v[i]->path, path, len) == 0)
			return p->dirs.v[i];
	}
	d = imp_arena_alloc(p->arena, sizeof(*d));
	d->path = imp_arena_strndup(p->arena, path, len);
	d->len = len;
	d->status = imp_arena_alloc(p->arena, subdirs);
	/* The working directory may change: a relative one is looked into each time. */
	if (path[0] != '/')
		memset(d->status, 1, subdirs);
	*imp_vec_push(p->arena, &p->dirs) = d;
	return d;
}

static void add_dir(struct imp_ld_process *p, struct imp_ld_dirs *list, const char *path,
		    size_t len, const char *entry)
{
	struct imp_ld_dir *d = get_dir(p, path, len);
	const char **entries;
	size_t i, cap = list->cap;

	for (i = 0; i < list->n; i++) {
		if (list->v[i] == d)
			return;
	}
	*imp_vec_push(p->arena, list) = d;
	if (list->cap != cap) {
		entries = imp_arena_alloc(p->arena, list->cap * sizeof(*entries));
		if (list->n > 1)
			memcpy(entries, list->entries, (list->n - 1) * sizeof(*entries));
		list->entries = entries;
	}
	list->entries[list->n - 1] = entry;
}

/* fillin_rpath() */
struct imp_ld_dirs *imp_ld_process_dirs(struct imp_ld_process *p, const struct imp_ld_object *o,
					const char *list, const char *separators)
{
	struct imp_ld_dirs *dirs = imp_arena_alloc(p->arena, sizeof(*dirs));
	char *rest = imp_arena_strndup(p->arena, list, strlen(list)), *slashed;
	const char *entry, *path;
	size_t len;

	while ((entry = strsep(&rest, separators)) && dirs->n < ENTRIES_MAX) {
		if (!*entry) { /* an empty entry is the working directory */
			add_dir(p, dirs, "", 0, entry);
			continue;
		}
		path = imp_ld_process_expand(p, o, entry);
		if (!path || !*path) {
			*imp_vec_push(p->arena, &dirs->dropped) = entry;
			dirs->why_dropped =
				p->secure ?
					"$ORIGIN is not used in a program that runs with raised privileges" :
					"a token in it has no value";
			continue;
		}
		len = strlen(path);
		while (len > 1 && path[len - 1] == '/')
			len--;
		slashed = imp_arena_strndup(p->arena, path, len + 1);
		if (slashed[len - 1] != '/')
			slashed[len++] = '/';
		add_dir(p, dirs, slashed, len, entry);
	}
	return dirs;
}

/* ---- dynamic string tokens ------------------------------------------------------------------------ */

/* Length of a token behind its '$', with the braces; 0: it is not this one. */
static size_t is_token(const char *s, const char *name)
{
	bool braces = *s == '{';
	size_t len = strlen(name);
	char c;

	s += braces;
	if (strncmp(s, name, len) != 0)
		return 0;
	c = s[len];
	if (braces)
		return c == '}' ? len + 2 : 0;
	if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')
		return 0;
	return len;
}

static bool is_trusted(const struct imp_ld_system *sys, struct imp_arena *a, const char *path)
{
	char *normal = imp_arena_alloc(a, strlen(path) + 2), *out = normal;
	size_t i, len;

	if (*path != '/')
		return false;
	while (*path) {
		while (*path == '/')
			path++;
		len = strcspn(path, "/");
		if (len == 2 && memcmp(path, "..", 2) == 0) {
			while (out > normal && *--out != '/')
				;
		} else if (len && !(len == 1 && *path == '.')) {
			*out++ = '/';
			memcpy(out, path, len);
			out += len;
		}
		path += len;
	}
	*out++ = '/';
	*out = '\0';
	for (i = 0; i < sys->default_dirs.n; i++) {
		if (strncmp(normal, sys->default_dirs.v[i], strlen(sys->default_dirs.v[i])) == 0)
			return true;
	}
	return false;
}

/* The value of the token behind a '$', and its length; *len 0: it is none that is known. */
static const char *token_value(const struct imp_ld_process *p, const struct imp_ld_object *o,
			       const char *text, const char *token, size_t *len)
{
	if ((*len = is_token(token, "ORIGIN"))) {
		/* With raised privileges only as the first element of the path. */
		bool whole = token == text + 1 && (token[*len] == '\0' || token[*len] == '/');

		return o && (!p->secure || whole) ? imp_ld_process_origin(p, o) : NULL;
	}
	if ((*len = is_token(token, "PLATFORM")))
		return p->system->platform;
	if ((*len = is_token(token, "LIB")))
		return p->system->lib;
	return NULL;
}

const char *imp_ld_process_expand(const struct imp_ld_process *p, const struct imp_ld_object *o,
				  const char *text)
{
	struct imp_strbuf b = {.limit = EXPANDED_MAX};
	const char *s = text, *value;
	bool failed = false;
	size_t len = 0;
	char *out;

	if (!strchr(text, '$'))
		return text;
	while (*s && !failed) {
		value = *s == '$' ? token_value(p, o, text, s + 1, &len) : NULL;
		if (value) {
			imp_strbuf_puts(&b, value);
			s += 1 + len;
		} else if (*s == '$' && len) {
			failed = true;
		} else {
			imp_strbuf_add(&b, s++, 1);
		}
	}
	failed |= b.cut;
	out = failed ? NULL : imp_arena_strndup(p->arena, b.s ? b.s : "", b.len);
	imp_strbuf_clear(&b);
	if (out && p->secure && o && o->program && strstr(text, "ORIGIN") &&
	    !is_trusted(p->system, p->arena, out))
		return NULL;
	return out;
}

const char *imp_ld_process_absolute(const struct imp_ld_process *p, const char *path)
{
	if (*path == '/')
		return path;
	if (!p->cwd)
		return NULL;
	return imp_arena_printf(p->arena, "%s%s%s", p->cwd,
				p->cwd[strlen(p->cwd) - 1] == '/' ? "" : "/", path);
}

const char *imp_ld_process_origin(const struct imp_ld_process *p, const struct imp_ld_object *o)
{
	const char *slash = o->file ? strrchr(o->file, '/') : NULL;

	if (!slash)
		return NULL;
	return imp_arena_strndup(p->arena, o->file,
				 slash == o->file ? 1 : (size_t)(slash - o->file));
}

/* ---- objects ------------------------------------------------------------------------------------- */

void imp_ld_process_init(struct imp_ld_process *p)
{
	size_t i;

	p->defaults = imp_arena_alloc(p->arena, sizeof(*p->defaults));
	for (i = 0; i < p->system->default_dirs.n; i++)
		add_dir(p, p->defaults, p->system->default_dirs.v[i],
			strlen(p->system->default_dirs.v[i]), p->system->default_dirs.v[i]);
	p->environment = NULL; /* once the program is known: its $ORIGIN counts */
}

struct imp_ld_object *imp_ld_process_add(struct imp_ld_process *p, const char *name,
					 const char *file, const struct imp_ld_object *loader,
					 int64_t name_space)
{
	struct imp_ld_object *o = imp_arena_alloc(p->arena, sizeof(*o));
	struct imp_ld_file found = {.err = 0};

	o->name = imp_arena_strndup(p->arena, name, strlen(name));
	o->file = file ? imp_ld_process_absolute(p, file) : NULL;
	o->loader = loader;
	o->name_space = name_space;
	o->program = !*name && !name_space && !p->program;
	if (o->file) {
		p->lookup.file(p->lookup.data, o->file, &found);
		if (found.err == 0) {
			o->image = found.image;
			o->dev = found.dev;
			o->ino = found.ino;
		}
	}
	if (o->program)
		p->program = o;
	o->is_loader = !name_space && p->system->loader && o->file &&
		       strcmp(o->file, p->system->loader) == 0;
	/* The kernel maps these two: ld.so does not know their inodes, and maps them again by another path. */
	o->identified = found.err == 0 && o->file && !o->program && !o->is_loader;
	*imp_vec_push(p->arena, &p->objects) = o;
	return o;
}

struct imp_ld_object *imp_ld_process_find(const struct imp_ld_process *p, const char *path,
					  int64_t name_space)
{
	size_t i;

	for (i = 0; i < p->objects.n; i++) {
		const struct imp_ld_object *o = p->objects.v[i];

		if (o->name_space == name_space && o->file && strcmp(o->file, path) == 0)
			return p->objects.v[i];
	}
	return NULL;
}

bool imp_ld_process_has_name(const struct imp_ld_object *o, const char *name)
{
	size_t i;

	if (strcmp(o->name, name) == 0)
		return true;
	if (o->image && o->image->soname && strcmp(o->image->soname, name) == 0)
		return true;
	for (i = 0; i < o->names.n; i++) {
		if (strcmp(o->names.v[i], name) == 0)
			return true;
	}
	return false;
}

struct imp_ld_object *imp_ld_process_match(struct imp_ld_process *p, const char *name,
					   int64_t name_space, const char **by)
{
	const char *unused;
	size_t i;

	if (!by)
		by = &unused;
	for (i = 0; i < p->objects.n; i++) {
		struct imp_ld_object *o = p->objects.v[i];

		if (o->name_space != name_space)
			continue;
		*by = o->image && o->image->soname && strcmp(o->image->soname, name) == 0 ?
			      "soname" :
			      "name";
		if (imp_ld_process_has_name(o, name))
			return o;
	}
	*by = NULL;
	return NULL;
}

void imp_ld_process_remove(struct imp_ld_process *p, const struct imp_ld_object *o)
{
	size_t i;

	for (i = 0; i < p->objects.n; i++) {
		if (p->objects.v[i] == o) {
			memmove(&p->objects.v[i], &p->objects.v[i + 1],
				(p->objects.n - i - 1) * sizeof(struct imp_ld_object *));
			p->objects.n--;
			return;
		}
	}
}
