/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A library that is not found, though something of it is there: a link, a path, a rule that leads past it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "../elf/ld_conf.h"
#include "../python/installer.h"
#include "judge_loader.h"

/* ---- a symbolic link to nothing -------------------------------------------------------------------------- */

/* Where @path is a link, and leads to nothing: the last link on the way. */
static bool dangling(struct imp_load *l, const char *path, struct imp_file_link *link)
{
	const struct imp_file_facts *facts = imp_load_facts(l, path);
	const char *target;
	struct stat st;

	if (facts) {
		for (size_t i = 0;
		     (facts->err == ENOENT || facts->err == ELOOP) && i < facts->links.n; i++)
			if (!strcmp(imp_load_base_name(facts->links.v[i].path),
				    imp_load_base_name(path))) {
				*link = facts->links.v[facts->links.n - 1];
				return true;
			}
		return false;
	}
	/* Links to links: the one that leads nowhere is the last. */
	for (unsigned int n = 0; n < 40; n++) {
		if (imp_host_lstat(l->c->host, path, &st))
			return n > 0;
		if (!S_ISLNK(st.st_mode) || imp_host_readlink(l->c->host, l->c->a, path, &target))
			return false;
		*link = (struct imp_file_link){path, target};
		path = *target == '/' || !imp_load_parent(l->c->a, path) ?
			       target :
			       imp_arena_printf(l->c->a, "%s/%s", imp_load_parent(l->c->a, path),
						target);
	}
	return true; /* they lead round in a circle */
}

/* The same library beside the file that the link should lead to: it was upgraded, and its link was not. */
static void fix_link(struct imp_load *l, const struct imp_file_link *link, const char *name)
{
	struct imp_arena *a = l->c->a;
	const char *dir = imp_load_parent(
		a,
		*link->target == '/' ?
			link->target :
			imp_arena_printf(a, "%s/%s", imp_load_parent(a, link->path), link->target));
	struct imp_strings names = {0};

	/* No link is to be mended then: remedy_loader.c. */
	if (imp_host_exists(l->c->host, link->path) == 1) {
		imp_finding_evidence(
			a, l->c->f, IMP_DERIVED,
			"as this analysis sees it, the link leads to a file: it was mended since, or the process saw another file system (a mount of its own, a container)");
		return;
	}
	if (!dir || imp_host_list(l->c->host, a, dir, &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		const char *file = imp_arena_printf(a, "%s/%s", dir, names.v[i]);
		const struct imp_elf_image *img;

		if (!strstr(names.v[i], ".so") || !imp_load_fits(l, file) ||
		    !(img = imp_load_image(l, file)) || !img->soname || strcmp(img->soname, name))
			continue;
		imp_finding_evidence(a, l->c->f, IMP_DERIVED,
				     "%s says that it is %s (its soname): the link could lead there",
				     file, name);
		imp_finding_fix(a, l->c->f, IMP_LIKELY,
				imp_arena_printf(a, "ln -sfn %s %s",
						 imp_shell_quote(a, strchr(link->target, '/') ?
									    file :
									    names.v[i]),
						 imp_shell_quote(a, link->path)),
				"makes the link lead to the version that is there");
		return;
	}
}

bool imp_judge_dangling_library(struct imp_load *l)
{
	const struct imp_ld_search *s = l->search;
	struct imp_file_link link = {0};
	struct imp_case *c = l->c;
	const char *path = NULL, *needed_by;
	bool circle;

	for (size_t i = 0; s && !s->object && i < s->tried.n && !path; i++) {
		const char *file = imp_ld_process_absolute(&l->replay.process, s->tried.v[i].path);

		if (s->tried.v[i].result != IMP_LD_OPENED && file && dangling(l, file, &link))
			path = file;
	}
	if (!path && l->file && dangling(l, l->file, &link))
		path = l->file;
	if (!path)
		return false;
	l->file = path;
	c->f->cause = IMP_CAUSE_DANGLING_SYMLINK;
	imp_load_at_fault(l);
	needed_by = imp_load_needed_by(l, s);
	circle = l->text.reason && !strcmp(l->text.reason, "Too many levels of symbolic links");
	c->f->summary =
		circle ?
			imp_arena_printf(
				c->a,
				"%s is a symbolic link that leads round in a circle (%s to %s)",
				path, link.path, link.target) :
			imp_arena_printf(
				c->a, "%s%s%s%s is only a symbolic link, to %s, which is not there",
				needed_by ? needed_by : "", needed_by ? " needs " : "",
				needed_by && s ? imp_arena_printf(c->a, "%s, and ", s->name) : "",
				path, link.target);
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	imp_finding_evidence(c->a, c->f, imp_load_facts(l, path) ? IMP_OBSERVED : IMP_DERIVED,
			     "%s is a symbolic link to %s, and %s", link.path, link.target,
			     circle ? "following it comes back to itself" : "nothing is there");
	if (!circle)
		fix_link(l, &link,
			 s && s->name && !strchr(s->name, '/') ? s->name : imp_load_base_name(path));
	return true;
}

/* ---- a name with a slash: no directory is searched for it ------------------------------------------------- */

static const char *file_in(struct imp_load *l, const char *dir, const char *name)
{
	const char *path = dir && *dir == '/' ? imp_arena_printf(l->c->a, "%s/%s", dir, name) : NULL;

	return path && imp_load_fits(l, path) ? path : NULL;
}

/* The same relative path from the directory of the program's script, of its modules, of the object that asks. */
static const char *from_elsewhere(struct imp_load *l, const char *name, const char **dir)
{
	const struct imp_sys_path *path = imp_case_sys_path(l->c);

	for (size_t i = 0; path && i < path->path.n; i++)
		if (file_in(l, *dir = path->path.v[i], name))
			return file_in(l, *dir, name);
	*dir = l->c->image->exe ? imp_load_parent(l->c->a, l->c->image->exe) : NULL;
	if (file_in(l, *dir, name))
		return file_in(l, *dir, name);
	*dir = l->root ? imp_load_parent(l->c->a, l->root) : NULL;
	return file_in(l, *dir, name);
}

bool imp_load_say_path(struct imp_load *l, const struct imp_load_places *places, const char *name,
		       const char *needed_by)
{
	const char *base = imp_load_base_name(name), *dir = NULL, *there = NULL,
		   *cwd = l->c->image->cwd;
	const char *asker = needed_by ? needed_by : "the program";
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;

	imp_finding_evidence(
		c->a, f, IMP_DERIVED,
		"%s: the name has a slash, so it is the only path that is tried, and no directory is searched for it",
		name);
	if (*name != '/') {
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"it is a relative path, and counts from the current directory%s%s",
			cwd ? ": the program was started in " : "", cwd ? cwd : "");
		there = from_elsewhere(l, !strncmp(name, "./", 2) ? name + 2 : name, &dir);
	}
	for (size_t i = 0; i < places->n && !there; i++)
		there = file_in(l, dir = places->v[i].dir, base);
	if (!there)
		return false;
	imp_finding_evidence(c->a, f, IMP_DERIVED, "%s is there", there);
	f->summary =
		imp_arena_printf(c->a,
				 "%s %s the library by the path %s, and there is none; %s is there",
				 asker, needed_by ? "needs" : "opens", name, there);
	if (*name == '/')
		imp_finding_fix(
			c->a, f, IMP_LIKELY,
			imp_arena_printf(c->a, "mkdir -p %s && ln -s %s %s",
					 imp_shell_quote(c->a, imp_load_parent(c->a, name) ?
								       imp_load_parent(c->a, name) :
								       "/"),
					 imp_shell_quote(c->a, there), imp_shell_quote(c->a, name)),
			"makes a link at the path that is asked for");
	else if (dir && !strcmp(imp_arena_printf(c->a, "%s/%s", dir,
						 !strncmp(name, "./", 2) ? name + 2 : name),
				there))
		imp_finding_fix(
			c->a, f, IMP_LIKELY,
			imp_arena_printf(c->a, "cd %s", imp_shell_quote(c->a, dir)),
			"start the program from there: the relative path then leads to the library");
	if (needed_by)
		imp_finding_fix(
			c->a, f, IMP_POSSIBLE,
			imp_arena_printf(c->a, "patchelf --replace-needed %s %s %s",
					 imp_shell_quote(c->a, name), imp_shell_quote(c->a, there),
					 imp_shell_quote(c->a, needed_by)),
			"writes the path of the library that is there into %s; link with a library that has a soname (-Wl,-soname), and no path is written",
			needed_by);
	else
		imp_finding_fix(
			c->a, f, IMP_POSSIBLE, NULL,
			"give the program the whole path, %s, or one made from its own place (__file__)",
			there);
	return true;
}

/* ---- rules that lead past it --------------------------------------------------------------------------------- */

bool imp_load_say_cache(struct imp_load *l, const char *name, const char *needed_by)
{
	struct imp_ld_conf conf = {0};
	struct imp_case *c = l->c;

	if (!l->replay.system.cache.known ||
	    imp_ld_conf_read(&conf, c->a, c->host, IMP_LD_CONF_PATH))
		return false;
	for (size_t i = 0; i < conf.n; i++) {
		const char *path = file_in(l, conf.v[i].dir, name);

		if (!path)
			continue;
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"%s is there; %s names its directory (line %u), and /etc/ld.so.cache, which is all that the loader reads, has no entry for it",
			path, conf.v[i].file, conf.v[i].line);
		c->f->summary = imp_arena_printf(
			c->a,
			"%s needs %s, which is in %s: a directory of the loader's, but ldconfig was not run since it came there",
			needed_by ? needed_by : "the program", name, conf.v[i].dir);
		imp_finding_fix(c->a, c->f, IMP_LIKELY,
				c->image->ids_known && c->image->euid ? "sudo ldconfig" : "ldconfig",
				"lists the libraries of that directory in /etc/ld.so.cache");
		return true;
	}
	return false;
}

/* The cache is as old as the last run of ldconfig. */
void imp_load_say_gone(struct imp_load *l)
{
	for (size_t i = 0; l->search && i < l->search->tried.n; i++)
		if (l->search->tried.v[i].origin == IMP_LD_CACHE &&
		    l->search->tried.v[i].err == -ENOENT)
			imp_finding_evidence(
				l->c->a, l->c->f, IMP_DERIVED,
				"/etc/ld.so.cache lists %s, which is not there: it was removed after ldconfig had run, or lies on a file system that is not mounted",
				l->search->tried.v[i].path);
}

static bool same_directory(struct imp_load *l, const char *path, const char *dir)
{
	const char *x = imp_load_parent(l->c->a, path), *real_x, *real_dir;

	if (!x || imp_host_realpath(l->c->host, l->c->a, x, &real_x) ||
	    imp_host_realpath(l->c->host, l->c->a, dir, &real_dir))
		return false;
	return !strcmp(real_x, real_dir);
}

/* "$ORIGIN" in double quotes, or in a Makefile: the shell or make put the value of their own variable in its place. */
void imp_load_say_eaten_origin(struct imp_load *l)
{
	const struct imp_ld_object *who = l->search ? l->search->requester : NULL;
	const char *list = !who || !who->image ? NULL :
			   who->image->runpath ? who->image->runpath :
						 who->image->rpath;

	for (; list; list = strchr(list, ':') ? strchr(list, ':') + 1 : NULL) {
		static const char *const words[] = {"RIGIN", "ORIGIN/", "{ORIGIN}", "$(ORIGIN)"};
		bool eaten = false;

		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			eaten |= !strncmp(list, words[i], strlen(words[i]));
		if (!eaten)
			continue;
		imp_finding_evidence(
			l->c->a, l->c->f, IMP_DERIVED,
			"the %s of %s has %.*s: that was meant to be $ORIGIN, and the shell or make that ran the link editor took a part of it away",
			who->image->runpath ? "RUNPATH" : "RPATH", who->file ? who->file : "it",
			(int)strcspn(list, ":"), list);
		return;
	}
}

void imp_load_say_link(struct imp_load *l, const char *name)
{
	const struct imp_ld_object *who = l->search ? l->search->requester : NULL;
	const char *dir, *real;

	for (size_t i = 0; who && (dir = imp_load_behind_link(l, who->file, i)); i++) {
		if (!file_in(l, dir, name) ||
		    imp_host_realpath(l->c->host, l->c->a, who->file, &real))
			continue;
		imp_finding_evidence(
			l->c->a, l->c->f, IMP_DERIVED,
			"%s leads, by a symbolic link, to %s; but $ORIGIN, in its %s, is the directory of the link, and so %s was not looked for in %s",
			who->file, real, who->image->runpath ? "RUNPATH" : "RPATH", name, dir);
		return;
	}
}

void imp_load_say_inheritance(struct imp_load *l, const char *dir)
{
	const struct imp_ld_object *who = l->search ? l->search->requester : NULL;

	for (size_t i = 0; who && i < l->tree.searches.n; i++) {
		const struct imp_ld_search *s = l->tree.searches.v[i];

		for (size_t k = 0; k < s->tried.n; k++) {
			const struct imp_ld_candidate *t = &s->tried.v[k];
			bool run = t->origin == IMP_LD_RUNPATH;

			if ((!run && t->origin != IMP_LD_RPATH) || !t->of || t->of == who ||
			    !t->of->file || !same_directory(l, t->path, dir))
				continue;
			imp_finding_evidence(
				l->c->a, l->c->f, IMP_DERIVED,
				run ? "the RUNPATH of %s leads there (%s); but a RUNPATH serves only what that file itself needs, not what %s needs" :
				      "the RPATH of %s leads there (%s); but it does not count for %s, which has a RUNPATH of its own",
				t->of->file, t->entry ? t->entry : dir,
				who->file ? who->file : "the other");
			return;
		}
	}
}
