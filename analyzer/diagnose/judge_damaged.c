/* SPDX-License-Identifier: GPL-2.0-or-later */
/* corrupt-file, of a Python source: it is not what its distribution installed, or no Python source at all. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../python/distribution.h"
#include "../python/module_file.h"
#include "from_clause.h"
#include "judge.h"

#define RECORD_MAX (16U << 20) /* bytes */
#define SOURCE_MAX (1U << 20)

/* "pkg/__init__.py,sha256=...,123": the size that RECORD gives, -1 where it gives none. */
static long long listed_size(const struct imp_case *c, const struct imp_distribution *dist,
			     const char *file)
{
	const char *site = imp_path_parent(c->a, dist->metadata), *line, *name;
	size_t len, site_len = strlen(site);
	char *text;

	if (strncmp(file, site, site_len) || file[site_len] != '/' ||
	    imp_host_read(c->host, c->a, imp_path_join(c->a, dist->metadata, "RECORD"), RECORD_MAX,
			  &text, &len))
		return -1;
	name = imp_arena_printf(c->a, "\n%s,", file + site_len + 1);
	line = !strncmp(text, name + 1, strlen(name) - 1) ? text - 1 : strstr(text, name);
	if (!line)
		return -1;
	line += strlen(name);
	line += strcspn(line, ",\r\n");
	return *line == ',' && line[1] >= '0' && line[1] <= '9' ? strtoll(line + 1, NULL, 10) : -1;
}

/* Left over from another version, or replaced by hand: it has not the name that is asked of it. */
static bool of_another_build(struct imp_case *c, const struct imp_distribution *dist,
			     const char *file, long long size, const struct stat *st)
{
	c->f->cause = IMP_CAUSE_MIXED_INSTALLATION;
	imp_finding_evidence(c->a, c->f, IMP_DERIVED,
			     "%s/RECORD lists it with %lld bytes, and it has %lld", dist->metadata,
			     size, (long long)st->st_size);
	c->f->summary = imp_arena_printf(c->a, "%s is not the file that %s%s%s installed", file,
					 dist->name ? dist->name : "its distribution",
					 dist->version ? " " : "", imp_case_text(dist->version));
	imp_remedy_repair(c, dist, file, "installs the file that belongs there");
	return true;
}

static bool other_than_listed(struct imp_case *c, const char *file, const struct stat *st)
{
	const struct imp_sys_path *path = imp_case_sys_path(c);
	struct imp_distribution dist = {0};
	long long size = -1;

	for (size_t i = 0; path && i < path->path.n && size < 0; i++)
		if (!imp_distribution_of_file(c->host, c->a, imp_case_directory(c, path->path.v[i]),
					      file, &dist) &&
		    dist.metadata)
			size = listed_size(c, &dist, file);
	if (imp_ends_with(file, ".so")) /* it was loaded, and so is whole */
		return size >= 0 && size != st->st_size &&
		       of_another_build(c, &dist, file, size, st);
	if (size <= st->st_size)
		return false;
	imp_finding_evidence(c->a, c->f, IMP_DERIVED,
			     "%s/RECORD lists it with %lld bytes, and it has %lld", dist.metadata,
			     size, (long long)st->st_size);
	c->f->cause = IMP_CAUSE_CORRUPT_FILE;
	c->f->summary = imp_arena_printf(c->a, "%s is not what %s installed: it is %s", file,
					 dist.name ? dist.name : "its distribution",
					 st->st_size ? "cut short" : "empty");
	imp_remedy_repair(c, &dist, file, "installs the whole file again");
	return true;
}

static bool no_source(struct imp_case *c, const char *file)
{
	const char *what = NULL;
	char *text;
	size_t len;

	if (imp_host_read(c->host, c->a, file, SOURCE_MAX, &text, &len))
		return false;
	if (imp_starts_with(text, "version https://git-lfs.github.com/"))
		what = "a pointer of Git LFS, and not the file itself (\"git lfs pull\" fetches it)";
	else if (imp_starts_with(text, "<!DOCTYPE") || imp_starts_with(text, "<html"))
		what = "a page of HTML";
	else if (len && !text[0])
		what = "full of null bytes: the disk did not keep what was written";
	if (!what)
		return false;
	c->f->cause = IMP_CAUSE_CORRUPT_FILE;
	c->f->summary = imp_arena_printf(c->a, "%s is no Python source: it is %s", file, what);
	imp_finding_evidence(c->a, c->f, IMP_DERIVED, "it has %zu bytes, and begins with \"%.40s\"",
			     len, imp_arena_strndup(c->a, text, strcspn(text, "\r\n")));
	return true;
}

/* The file that could not be compiled, or that has not the name which was asked of it. */
static const char *suspect(const struct imp_case *c)
{
	const struct imp_exception *e = c->exception;
	const struct imp_attempt *at;
	const char *module;

	if (imp_from_clause_name(c)) {
		module = imp_from_clause_module(c);
		at = module ? imp_case_loaded(c, module) : NULL;
		return e->path ? e->path : at ? at->outcome->origin : NULL;
	}
	if (!e->type || e->where.file || !c->attempt)
		return NULL;
	if (strcmp(e->type, "SyntaxError") && strcmp(e->type, "IndentationError") &&
	    !imp_case_has(e->message, "null bytes"))
		return NULL;
	for (size_t i = 0; i < c->attempt->outcome->searched.n; i++)
		if (c->attempt->outcome->searched.v[i].result == IMP_SEARCH_FOUND)
			return imp_judge_source_in(c, c->attempt->outcome->searched.v[i].entry);
	return NULL;
}

bool imp_judge_damaged(struct imp_case *c)
{
	const char *file = suspect(c), *path = c->f->path, *module = c->f->module;
	struct stat st;

	if (!file || imp_case_stdlib(c, file) || imp_host_stat(c->host, file, &st) ||
	    !S_ISREG(st.st_mode))
		return false;
	/* Before the remedy: it depends on where the file lies. */
	if (imp_from_clause_name(c))
		c->f->module = imp_from_clause_module(c);
	c->f->path = file;
	if (!other_than_listed(c, file, &st) && !no_source(c, file)) {
		c->f->path = path;
		c->f->module = module;
		return false;
	}
	return true;
}
