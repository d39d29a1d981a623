/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mends permission-denied: the mode bits that are in the way, be they the file's or those of a directory above it. */
#include <string.h>
#include <sys/stat.h>

#include "../python/module_file.h"
#include "../python/installer.h"
#include "remedy.h"

#define ABOVE_MAX 64

/* The process's other groups are not known: where one of them may be what counts, nothing is said. */
static bool surely_denied(const struct imp_case *c, const struct stat *st, mode_t bit)
{
	mode_t shift = 0;

	if (!c->image->ids_known || !c->image->euid)
		return false;
	if (st->st_uid == c->image->euid)
		shift = 6;
	else if (st->st_gid == c->image->egid)
		shift = 3;
	else if (st->st_mode & (bit << 3))
		return false;
	return !(st->st_mode & (bit << shift));
}

/* "sudo chmod a+x DIR..." for the directories above @path that the process may not pass through; NULL: none. */
static const char *open_way(struct imp_case *c, const char *path, bool *other_owner)
{
	const char *up[ABOVE_MAX], *words = NULL;
	size_t n = 0;

	for (const char *dir = imp_path_parent(c->a, path);
	     n < ABOVE_MAX && dir[0] == '/' && dir[1]; dir = imp_path_parent(c->a, dir))
		up[n++] = dir;
	while (n--) {
		struct stat st;

		if (imp_host_stat(c->host, up[n], &st) || !surely_denied(c, &st, S_IXOTH))
			continue;
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "%s may not be passed through: mode %04o, owner %u, group %u",
				     up[n], (unsigned int)st.st_mode & 07777, st.st_uid, st.st_gid);
		*other_owner |= st.st_uid != c->image->euid;
		words = imp_arena_printf(c->a, "%s %s", words ? words : "",
					 imp_shell_quote(c->a, up[n]));
	}
	return words;
}

/* The same by the trace alone: the recorder notes the directories that were closed. */
static const char *open_recorded_way(struct imp_case *c, const char *path)
{
	const char *words = NULL;

	for (size_t i = c->image->files.n; i-- > 0;) {
		const struct imp_file_facts *facts = c->image->files.v[i];

		if (strcmp(imp_case_text(facts->path), path))
			continue;
		for (size_t k = 0; k < facts->directories.n; k++)
			words = imp_arena_printf(c->a, "%s %s", words ? words : "",
						 imp_shell_quote(c->a, facts->directories.v[k].path));
		break;
	}
	return words;
}

/* Installed under a umask of 077: what lies in the package is closed as well, and would be the next to fail. */
static bool is_closed_package(const struct imp_case *c, const char *dir)
{
	struct imp_strings names = {0};
	struct stat st;

	if (imp_host_exists(c->host, imp_path_join(c->a, dir, "__init__.py")) != 1 ||
	    imp_host_list(c->host, c->a, dir, &names))
		return false;
	for (size_t i = 0; i < names.n; i++)
		if (strcmp(names.v[i], "__pycache__") &&
		    !imp_host_stat(c->host, imp_path_join(c->a, dir, names.v[i]), &st) &&
		    surely_denied(c, &st, S_IROTH))
			return true;
	return false;
}

void imp_remedy_permission(struct imp_case *c)
{
	bool directory = false, known, other_owner = false, closed;
	const char *path = c->f->path, *real, *way, *command = NULL, *sudo;
	struct stat st;

	if (!path)
		return;
	for (size_t i = 0; c->snapshot && i < c->snapshot->entries.n; i++)
		directory |= c->snapshot->entries.v[i].state != IMP_PATH_FILE &&
			     !strcmp(c->snapshot->entries.v[i].entry, path);
	if (!imp_host_realpath(c->host, c->a, path, &real))
		path = real;
	known = !imp_host_stat(c->host, path, &st);
	if (known)
		directory = S_ISDIR(st.st_mode);
	way = open_way(c, path, &other_owner);
	if (!way && !c->host->enabled)
		way = open_recorded_way(c, path);
	closed = !known || !way || surely_denied(c, &st, S_IROTH) ||
		 (directory && surely_denied(c, &st, S_IXOTH));
	if (closed)
		other_owner |= !known || st.st_uid != c->image->euid;
	sudo = c->image->ids_known && c->image->euid && other_owner ? "sudo " : "";
	if (way)
		command = imp_arena_printf(c->a, "%schmod a+x%s", sudo, way);
	if (closed)
		command = imp_arena_printf(c->a, "%s%s%schmod %s %s", command ? command : "",
					   command ? " && " : "", sudo,
					   directory && is_closed_package(c, path) ? "-R a+rX" :
					   directory				   ? "a+rx" :
										     "a+r",
					   imp_shell_quote(c->a, path));
	imp_finding_fix(c->a, c->f, IMP_LIKELY, command, "lets every user %s it",
			closed ? "read" : "get to");
}
