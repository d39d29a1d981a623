/* SPDX-License-Identifier: GPL-2.0-or-later */
/* broken-installation: what installed distributions list for a module, and is gone. */
#include <string.h>

#include "../python/distribution.h"
#include "../python/module_file.h"
#include "judge.h"
#include "remedy.h"

/* "pkg/_native.cpython-311-x86_64-linux-gnu.so": is this line of a RECORD a file of the very module? */
static bool lists_module(const struct imp_case *c, const char *path)
{
	const char *base = strrchr(path, '/'), *tail = imp_case_tail(c);
	bool extension;

	base = base ? base + 1 : path;
	if (imp_judge_is_file_of(c, base, tail, &extension))
		return true;
	return !strncmp(base, "__init__.", 9) && base > path &&
	       imp_case_has(path, imp_arena_printf(c->a, "%s/__init__.", tail));
}

/* Was the directory that the file should lie in searched for it? Another copy of its package was not. */
static bool was_searched(const struct imp_case *c, const char *path)
{
	const char *dir = imp_path_parent(c->a, path);

	if (!strncmp(imp_path_name(path), "__init__.", 9))
		dir = imp_path_parent(c->a, dir);
	for (size_t i = 0; c->snapshot && i < c->snapshot->entries.n; i++)
		if (c->snapshot->entries.v[i].of_package &&
		    !strcmp(c->snapshot->entries.v[i].entry, dir))
			return true;
	return !imp_case_parent(c);
}

/* What the recorder saw of distributions that claim the module. */
static void observed_claims(struct imp_case *c, struct imp_owned_files *files)
{
	for (size_t i = 0; i < c->image->claims.n; i++) {
		const struct imp_claims *claims = c->image->claims.v[i];

		for (size_t j = 0; !strcmp(claims->module, c->module) && j < claims->list.n; j++) {
			const struct imp_claim *claim = &claims->list.v[j];
			const char *slash = claim->metadata ? strrchr(claim->metadata, '/') : NULL;
			struct imp_owned_file *file;
			const char *path;

			if (!slash || !claim->record)
				continue;
			path = imp_arena_strndup(c->a, claim->record, strcspn(claim->record, ","));
			if (!lists_module(c, path))
				continue;
			file = imp_vec_push(c->a, files);
			imp_distribution_parse_name(c->a, slash + 1, &file->dist.name,
						    &file->dist.version);
			file->dist.metadata = claim->metadata;
			file->dist.wheel_tag = claim->wheel_tag;
			file->line = claim->record;
			file->path =
				imp_arena_printf(c->a, "%.*s/%s", (int)(slash - claim->metadata),
						 claim->metadata, path);
			/* The search has just shown that no such file is there for it to find. */
			file->exists = imp_host_exists(c->host, file->path);
			if (file->exists < 0 && was_searched(c, file->path))
				file->exists = 0;
		}
	}
}

/* pip gives what it replaces a name that begins with "~", until it is done (pip's req_uninstall.py). */
static bool is_moved_away(const struct imp_distribution *dist)
{
	return dist->name && dist->name[0] == '~';
}

static const struct imp_owned_file *first_gone(const struct imp_case *c,
					       const struct imp_owned_files *files)
{
	const struct imp_sys_path *sys_path = imp_case_sys_path(c);

	for (size_t i = 0; i < files->n; i++)
		for (size_t e = 0; sys_path && e < sys_path->path.n; e++) {
			const char *dir = imp_case_directory(c, sys_path->path.v[e]);

			/* A part of what pip has moved away: the package that is here need not have it. */
			if (is_moved_away(&files->v[i].dist) && imp_case_parent(c))
				continue;
			if (files->v[i].exists == 0 && !strncmp(files->v[i].path, dir, strlen(dir)))
				return &files->v[i];
		}
	return NULL;
}

/* Files that a distribution lists for this module, and that are gone. */
bool imp_judge_claims(struct imp_case *c)
{
	const struct imp_sys_path *sys_path = imp_case_sys_path(c);
	struct imp_owned_files observed = {0}, listed = {0}, dpkg = {0};
	const struct imp_owned_file *gone;
	enum imp_source source = IMP_OBSERVED;
	struct imp_strings dirs = {0};
	struct imp_finding *f = c->f;
	const char *tag;

	observed_claims(c, &observed);
	gone = first_gone(c, &observed);
	if (!gone) {
		source = IMP_DERIVED;
		for (size_t i = 0; sys_path && i < sys_path->path.n; i++)
			*imp_vec_push(c->a, &dirs) = imp_case_directory(c, sys_path->path.v[i]);
		imp_distribution_claims(c->host, c->a, &dirs, c->module, &listed);
		gone = first_gone(c, &listed);
	}
	if (!gone) {
		imp_distribution_dpkg_claims(c->host, c->a, c->module, &dpkg);
		gone = first_gone(c, &dpkg);
	}
	if (!gone)
		return false;
	f->cause = IMP_CAUSE_BROKEN_INSTALLATION;
	f->path = gone->path;
	f->summary = imp_arena_printf(c->a, "%s is installed (%s%s%s), but its file is gone",
				      c->module, gone->dist.name ? gone->dist.name : "by a package",
				      gone->dist.version ? " " : "",
				      gone->dist.version ? gone->dist.version : "");
	imp_finding_evidence(c->a, f, source, "%s lists it: %s",
			     gone->dist.metadata ? gone->dist.metadata : "?",
			     gone->line ? gone->line : "?");
	imp_finding_evidence(c->a, f, source, "%s does not exist", gone->path);
	tag = gone->dist.wheel_tag;
	if (tag && imp_starts_with(tag, "Tag: "))
		tag += strlen("Tag: ");
	if (tag && *tag)
		imp_finding_evidence(c->a, f, source, "it was installed from a wheel for %s", tag);
	if (is_moved_away(&gone->dist)) {
		f->summary = imp_arena_printf(
			c->a, "%s is gone: an installer was interrupted while it replaced it",
			c->module);
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"pip gives what it replaces a name that begins with '~', and removes it at the end");
		imp_remedy_install(c, c->module, true, IMP_LIKELY, NULL, "installs it anew");
		return true;
	}
	imp_remedy_repair(c, &gone->dist, gone->path, "puts the missing file back");
	return true;
}
