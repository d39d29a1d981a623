/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory that was taken for a namespace package: what it lacks, and why. */
#include <string.h>

#include "../python/abi_tag.h"
#include "../python/installer.h"
#include "../python/module_file.h"
#include "judge.h"
#include "remedy.h"

#define GITMODULES_MAX 65536 /* bytes */

bool imp_judge_foreign_init(struct imp_case *c, const char *dir, const char *name)
{
	struct imp_strings names = {0};
	struct imp_finding *f = c->f;
	struct imp_abi_tag tag;

	if (!c->py || !c->py->suffixes.n || imp_host_list(c->host, c->a, dir, &names))
		return false;
	for (size_t i = 0; i < names.n; i++) {
		if (!imp_starts_with(names.v[i], "__init__.") ||
		    imp_abi_tag_parse(&tag, c->a, names.v[i]) || strcmp(tag.module, "__init__") ||
		    imp_abi_tag_accepted(names.v[i], "__init__", &c->py->suffixes))
			continue;
		c->module =
			f->module; /* an AttributeError has none of its own; the remedy is for this one */
		f->cause = IMP_CAUSE_ABI_TAG_MISMATCH;
		f->path = imp_path_join(c->a, dir, names.v[i]);
		f->summary = imp_arena_printf(c->a, "%s is there, but built for %s: %s skips it",
					      f->module, imp_abi_tag_describe(&tag, c->a),
					      imp_case_python(c));
		imp_finding_evidence(c->a, f, IMP_DERIVED,
				     "%s, which makes a package of that directory, lies in %s",
				     names.v[i], dir);
		imp_finding_evidence(c->a, f, IMP_DERIVED, "the name of the file says: %s",
				     imp_abi_tag_difference(&tag, c->py, c->a));
		imp_finding_evidence(
			c->a, f, IMP_OBSERVED,
			"so the directory was taken for a namespace package, which has no %s", name);
		return true;
	}
	return false;
}

/* A submodule of git that was not checked out leaves an empty directory. */
void imp_judge_say_empty(struct imp_case *c, const char *dir)
{
	struct imp_strings names = {0};
	const char *root = dir, *line;
	size_t len;
	char *text;

	if (imp_host_list(c->host, c->a, dir, &names) || names.n)
		return;
	imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%s is empty", dir);
	for (int up = 0; up < 6 && root[0] == '/' && root[1]; up++) {
		root = imp_path_parent(c->a, root);
		if (imp_host_read(c->host, c->a, imp_path_join(c->a, root, ".gitmodules"),
				  GITMODULES_MAX, &text, &len))
			continue;
		line = strstr(text, imp_arena_printf(c->a, "path = %s\n", dir + strlen(root) + 1));
		if (!line)
			return;
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "%s/.gitmodules says that a submodule belongs there", root);
		imp_finding_fix(c->a, c->f, IMP_LIKELY,
				imp_arena_printf(c->a, "git -C %s submodule update --init %s",
						 imp_shell_quote(c->a, root),
						 imp_shell_quote(c->a, dir + strlen(root) + 1)),
				"fetches that submodule, which was not checked out");
		return;
	}
}

void imp_remedy_namespace_directory(struct imp_case *c)
{
	struct imp_strings names = {0};
	bool own = strchr(c->f->module, '.') || imp_host_list(c->host, c->a, c->f->path, &names);

	/* What has modules in it is somebody's own: a stranger's distribution of that name is no remedy. */
	for (size_t i = 0; i < names.n; i++)
		own |= imp_ends_with(names.v[i], ".py") || imp_ends_with(names.v[i], ".so");
	if (!own)
		imp_remedy_install(c, c->f->module, false, IMP_POSSIBLE, NULL,
				   "installs the package of that name, if that is what is meant");
	imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
			"put what belongs to the package %s into %s, or install the whole package",
			c->f->module, c->f->path);
}
