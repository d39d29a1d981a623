/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A library that is not found: where it is, if it is anywhere; and one of another C library. */
#include <string.h>
#include <sys/stat.h>

#include "../python/distribution.h"
#include "../python/installer.h"
#include "judge_loader.h"
#include "remedy.h"
#include "vain_loads.h"

#define SHOWN_MAX 4 /* copies that one piece of evidence names */

/* Who it is that lacks the library, for a sentence. */
static const char *needing(const struct imp_finding *f)
{
	if (f->library && f->library->needed_by)
		return f->library->needed_by;
	return f->path ? f->path : "the program";
}

/* An earlier program of the run, this one's parent or the one that became it. */
static const struct imp_image *came_from(const struct imp_load *l, const struct imp_image *image)
{
	const struct imp_image *before = NULL;

	for (size_t i = 0; i < l->c->record->images.n; i++) {
		const struct imp_image *other = l->c->record->images.v[i];

		if (other != image && other->pid == image->pid &&
		    other->image_ns < image->image_ns &&
		    (!before || other->image_ns > before->image_ns))
			before = other;
	}
	if (before || image->parent)
		return before ? before : image->parent;
	for (size_t i = 0; i < l->c->record->images.n;
	     i++) { /* vfork(2) and posix_spawn(3) leave no image in between */
		const struct imp_image *other = l->c->record->images.v[i];

		if (other->pid == image->ppid && other->image_ns < image->image_ns &&
		    (!before || other->image_ns > before->image_ns))
			before = other;
	}
	return before;
}

/* LD_LIBRARY_PATH was there, and was dropped on the way. */
static bool say_dropped(struct imp_load *l, const char *name)
{
	const char *now = imp_record_env(l->c->image, "LD_LIBRARY_PATH");
	const struct imp_image *image = l->c->image;
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;
	unsigned int n = 0;

	while ((image = came_from(l, image)) && n++ < 1000) {
		const char *was = imp_record_env(image, "LD_LIBRARY_PATH");
		char *rest, *dir;

		if (!was || !*was || (now && !strcmp(now, was)))
			continue;
		rest = imp_arena_strndup(c->a, was, strlen(was));
		while ((dir = strsep(&rest, ":;"))) {
			const char *path = imp_arena_printf(c->a, "%s/%s", dir, name);

			if (*dir != '/' || (c->host->enabled && !imp_load_fits(l, path)))
				continue;
			if (!c->host->enabled && now && imp_case_has(now, dir))
				continue;
			imp_finding_evidence(
				c->a, f, IMP_OBSERVED,
				"process %d (%s), from which this one came, had LD_LIBRARY_PATH=%s; this one had %s%s",
				image->pid, image->exe ? image->exe : "?", was,
				now ? "LD_LIBRARY_PATH=" : "none", now ? now : "");
			if (c->host->enabled) {
				imp_finding_evidence(
					c->a, f, IMP_DERIVED,
					"%s is there: with that LD_LIBRARY_PATH it would have been found",
					path);
				f->summary = imp_arena_printf(
					c->a,
					"%s needs %s, which is in %s; the LD_LIBRARY_PATH that leads there was dropped on the way to this process",
					needing(f), name, dir);
			}
			imp_load_fix_path(
				l, dir, IMP_LIKELY,
				"sets the variable again; what starts the program (sudo, env, a service) must pass it on as well");
			return true;
		}
	}
	return false;
}

/* It was mapped later: the trace shows who brought it. */
static bool say_mapped_later(struct imp_load *l, const char *name)
{
	const struct imp_object *o = imp_load_mapped(l, name);
	struct imp_case *c = l->c;
	const struct imp_attempt *by = NULL;

	if (!o || o->mapped_ns <= c->time_ns)
		return false;
	for (size_t i = 0; i < c->image->attempts.n; i++) {
		const struct imp_attempt *at = c->image->attempts.v[i];

		if (at->begin_ns <= o->mapped_ns && at->ended && at->end_ns >= o->mapped_ns)
			by = by && by->begin_ns > at->begin_ns ? by : at;
	}
	imp_finding_evidence(
		c->a, c->f, IMP_OBSERVED,
		"%s was mapped later%s%s: it is only there once another module has been imported",
		o->path, by ? ", during the import of " : "", by ? by->name : "");
	if (by)
		imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL, "import %s before %s", by->name,
				c->module);
	return true;
}

/* The directory to be searched for @name: that of the file to which a link in @dir leads, if only there its own needs are met. */
static const char *complete_place(struct imp_load *l, const char *dir, const char *name,
				  const char **lacks)
{
	const char *still = imp_load_still_missing(l, dir, name), *real, *other;
	const char *file = imp_arena_printf(l->c->a, "%s/%s", dir, name);

	if (!still)
		return dir;
	if (!imp_host_realpath(l->c->host, l->c->a, file, &real) &&
	    !strcmp(imp_load_base_name(real), name) && (other = imp_load_parent(l->c->a, real)) &&
	    strcmp(other, dir) && !imp_load_still_missing(l, other, name)) {
		imp_finding_evidence(
			l->c->a, l->c->f, IMP_DERIVED,
			"%s is a symbolic link to %s, and what that needs in its turn is found from there alone",
			file, real);
		return other;
	}
	if (lacks)
		*lacks = still;
	return dir;
}

static bool say_places(struct imp_load *l, const struct imp_load_places *places, const char *name)
{
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;
	const struct imp_load_place *own = NULL, *foreign = NULL;
	const char *lacks = NULL, *missing; /* what the first of several copies may not have */
	unsigned int n_lacking = 0;

	for (size_t i = 0; i < places->n && (!own || lacks || !foreign); i++) {
		const struct imp_load_place *place = &places->v[i];
		const char *file = imp_arena_printf(c->a, "%s/%s", place->dir, name);

		if (!imp_load_fits(l, file))
			continue;
		if (place->package) {
			foreign = foreign ? foreign : place;
			continue;
		}
		if (own && !lacks)
			continue;
		missing = imp_load_lacks(l, place->dir, name);
		if (missing && n_lacking++ < SHOWN_MAX)
			imp_finding_evidence(c->a, f, IMP_DERIVED,
					     "%s is there as well, and has no %s", file, missing);
		if (!own || !missing) {
			own = place;
			lacks = missing;
		}
	}
	if (own) {
		const char *target =
			f->library && f->library->needed_by ? f->library->needed_by : f->path;
		const char *dir = complete_place(l, own->dir, name, lacks ? NULL : &lacks);

		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"%s/%s is there, in a directory that no rule of the loader leads to",
			own->dir, name);
		f->summary = imp_arena_printf(
			c->a, "%s needs %s, which is in %s, where the dynamic loader does not look",
			needing(f), name, own->dir);
		imp_load_say_entry(l, name);
		imp_load_say_inheritance(l, own->dir);
		if (c->image->cwd && !strcmp(c->image->cwd, own->dir))
			imp_finding_evidence(
				c->a, f, IMP_DERIVED,
				"that is the directory in which the program was started: for a name without a slash the current directory is not searched");
		if (imp_load_fix_path(
			    l, dir, lacks ? IMP_POSSIBLE : IMP_LIKELY,
			    lacks ? imp_arena_printf(
					    c->a, "makes the loader look there; %s is then missing",
					    lacks) :
				    "makes the loader look there") &&
		    target)
			imp_finding_fix(
				c->a, f, IMP_POSSIBLE,
				imp_arena_printf(c->a, "patchelf --add-rpath %s %s",
						 imp_shell_quote(c->a, dir),
						 imp_shell_quote(c->a, target)),
				"writes the directory into the file, so that it works without the variable");
	}
	if (foreign) {
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"%s/%s comes with the package %s: it is only there once %s has been imported",
			foreign->dir, name, foreign->package, foreign->package);
		if (!own) {
			f->summary = imp_arena_printf(
				c->a,
				"%s needs %s, which the package %s brings: importing %s first loads it",
				needing(f), name, foreign->package, foreign->package);
			imp_finding_fix(c->a, f, IMP_LIKELY, NULL,
					"import %s before %s: it loads the library",
					foreign->package,
					*c->module ? c->module : "this library is opened");
			imp_load_fix_path(l, foreign->dir, IMP_POSSIBLE,
					  "makes the loader look there");
		}
	}
	return own || foreign;
}

/* "libffi.so" of "libffi.so.7"; 0: it has no such form */
static size_t stem_length(const char *name)
{
	const char *so = strstr(name, ".so");

	return so && so > name && (so[3] == '.' || !so[3]) ? (size_t)(so - name) + 3 : 0;
}

static const char *other_soname_in(struct imp_load *l, const char *dir, const char *name)
{
	size_t stem = stem_length(name);
	struct imp_strings names = {0};
	const char *best = NULL;

	if (!stem || imp_host_list(l->c->host, l->c->a, dir, &names))
		return NULL;
	for (size_t i = 0; i < names.n; i++)
		if (!strncmp(names.v[i], name, stem) &&
		    (names.v[i][stem] == '.' || !names.v[i][stem]) && strcmp(names.v[i], name) &&
		    imp_load_fits(l, imp_arena_printf(l->c->a, "%s/%s", dir, names.v[i])) &&
		    (!best || strlen(names.v[i]) < strlen(best) || !best[stem]))
			best = names.v[i];
	return best ? imp_arena_printf(l->c->a, "%s%s%s", dir,
				       imp_load_ends_with(dir, "/") ? "" : "/", best) :
		      NULL;
}

/* The very library, under a file name that nobody asks for: its link was lost. */
static void say_renamed(struct imp_load *l, const char *file, const char *name)
{
	const char *base = imp_load_base_name(file), *dir = imp_load_parent(l->c->a, file);
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;

	f->summary = imp_arena_printf(c->a, "%s needs %s; it is there, but under the name %s",
				      needing(f), name, file);
	imp_finding_evidence(
		c->a, f, IMP_DERIVED,
		"%s says that it is %s (its soname), and no file of that name leads to it", file,
		name);
	imp_finding_fix(
		c->a, f, IMP_LIKELY,
		imp_arena_printf(c->a, "ln -s %s %s", imp_shell_quote(c->a, base),
				 imp_shell_quote(c->a, imp_arena_printf(c->a, "%s/%s",
									dir ? dir : "", name))),
		"makes the link that is missing");
}

/*
 * "libcairo.so", without a version, is the link that the link editor follows (-lcairo): it comes with the development
 * files alone, and a program that opens it works only where those are installed.
 */
static void say_development_name(struct imp_load *l, const char *file, const char *name,
				 const char *as)
{
	struct imp_case *c = l->c;

	c->f->summary = imp_arena_printf(
		c->a,
		"the program opens %s, the name that only a library's development files bring; the library itself is here, as %s",
		name, as);
	imp_finding_evidence(
		c->a, c->f, IMP_DERIVED,
		"%s is there; %s, without a version, would be a link to it for the link editor (ld, gcc), and is not installed",
		file, name);
	imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL, "open %s in place of %s in the program", as,
			name);
	imp_finding_fix(
		c->a, c->f, IMP_POSSIBLE, NULL,
		"install the library's development files (Debian: its -dev package; Fedora: -devel), which bring the link %s",
		name);
}

static bool say_other_soname(struct imp_load *l, const struct imp_load_places *places,
			     const char *name)
{
	struct imp_strings seen = {0}, told = {0};
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;
	const char *found = NULL;
	size_t n = 0, searched;

	if (strchr(name, '/'))
		return false;
	for (size_t i = 0; l->search && i < l->search->tried.n; i++) {
		const char *dir =
			imp_ld_process_absolute(&l->replay.process, l->search->tried.v[i].path);

		dir = dir ? imp_load_parent(c->a, dir) : NULL;
		if (dir)
			*imp_vec_push(c->a, &seen) = dir;
	}
	for (size_t i = 0; i < l->replay.system.default_dirs.n; i++)
		*imp_vec_push(c->a, &seen) = l->replay.system.default_dirs.v[i];
	searched = seen.n;
	for (size_t i = 0; i < places->n; i++)
		*imp_vec_push(c->a, &seen) = places->v[i].dir;
	for (size_t i = 0; i < seen.n && n < SHOWN_MAX; i++) {
		const char *other = other_soname_in(l, seen.v[i], name), *real;
		struct imp_elf_image *img;
		bool twice = false;

		if (!other)
			continue;
		if (imp_host_realpath(c->host, c->a, other, &real))
			real = other;
		for (size_t k = 0; k < told.n; k++)
			twice |= !strcmp(told.v[k], real);
		for (size_t k = 0; k < f->evidence.n; k++)
			twice |= imp_case_has(f->evidence.v[k].fact, other);
		if (twice)
			continue;
		n++;
		*imp_vec_push(c->a, &told) = real;
		img = imp_load_image(l, other);
		if (img && img->soname && !strcmp(img->soname, name)) {
			if (i < searched) {
				say_renamed(l, other, name);
				return true;
			}
			imp_finding_evidence(
				c->a, f, IMP_DERIVED,
				"%s is that library, by its soname: under another file name, in a directory that the loader does not search",
				other);
			continue;
		}
		if (!imp_load_needed_by(l, l->search) && !strcmp(name, l->d->name) &&
		    !name[stem_length(name)] && img && img->soname) {
			say_development_name(l, other, name, i < searched ? img->soname : other);
			return true;
		}
		found = found ? found : other;
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"%s is there, under another soname%s%s: that version's interface is another one",
			other, img && img->soname ? ", " : "",
			img && img->soname ? img->soname : "");
	}
	if (found)
		f->summary =
			imp_arena_printf(c->a,
					 "%s needs %s; this machine has another version of it, %s",
					 needing(f), name, strrchr(found, '/') + 1);
	return found;
}

/* The distribution that brought a path that was tried; the loader's paths are not normal ("a/../b"). */
static void say_recorded(struct imp_load *l)
{
	const struct imp_sys_path *path = imp_case_sys_path(l->c);
	struct imp_case *c = l->c;

	for (size_t i = 0; l->search && path && i < l->search->tried.n; i++) {
		const struct imp_ld_candidate *t = &l->search->tried.v[i];
		const char *dir, *real, *file;

		if (*t->path != '/' || !(dir = imp_load_parent(c->a, t->path)) ||
		    (imp_host_realpath(c->host, c->a, dir, &real) && !(real = dir)))
			continue;
		file = imp_arena_printf(c->a, "%s%s", real, strrchr(t->path, '/'));
		for (size_t k = 0; k < path->path.n; k++) {
			struct imp_distribution dist;
			size_t len = strlen(path->path.v[k]);

			if (!len || strncmp(file, path->path.v[k], len) ||
			    imp_distribution_of_file(c->host, c->a, path->path.v[k], file, &dist))
				continue;
			imp_finding_evidence(c->a, c->f, IMP_DERIVED,
					     "the RECORD of %s %s lists %s, and it is gone",
					     dist.name, dist.version ? dist.version : "", file);
			imp_remedy_repair(c, &dist, file, "puts the library back");
			return;
		}
	}
}

bool imp_judge_missing_library(struct imp_load *l)
{
	const char *name = l->text.object ? l->text.object : l->d->name;
	const char *needed_by = imp_load_needed_by(l, l->search), *opener = NULL;
	struct imp_load_places places;
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;
	bool elsewhere;

	f->cause = IMP_CAUSE_MISSING_SHARED_LIBRARY;
	if (!needed_by && l->root && strcmp(name, l->d->name))
		needed_by = imp_load_image(l, l->root) && !imp_load_image(l, l->root)->partial ?
				    NULL :
				    l->root;
	f->path = l->root && strcmp(name, l->d->name) ? l->root : NULL;
	if (!needed_by && !strcmp(name, l->d->name))
		opener = imp_load_opener(c->image, l->d);
	if (opener)
		f->path = opener;
	imp_load_library(l, name, needed_by ? needed_by : opener, l->search);
	if (opener)
		f->summary = imp_arena_printf(
			c->a, "The library %s, which %s opens with dlopen(), is not found", name,
			opener);
	else if (needed_by)
		f->summary = imp_arena_printf(
			c->a, "The library %s is not found; it is needed by %s", name, needed_by);
	else if (!*c->module && !strcmp(name, l->d->name))
		f->summary = imp_arena_printf(
			c->a, "The library %s, which the program itself opens, is not found", name);
	else
		f->summary = imp_arena_printf(c->a, "The library %s is not found", name);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	if (opener && *c->module)
		imp_load_say_caller(l);
	imp_load_say_chain(l, name, l->search);
	if (imp_judge_other_libpython(l, name, needed_by))
		return true;
	imp_load_say_eaten_origin(l);
	imp_load_say_gone(l);
	imp_load_say_link(l, name);
	imp_load_places_find(l, &places);
	elsewhere = say_dropped(l, name);
	if (!strchr(name, '/')) {
		say_recorded(l);
		elsewhere |= say_mapped_later(l, name);
		elsewhere |= imp_load_say_cache(l, name, needed_by ? needed_by : opener) ||
			     say_places(l, &places, name);
		elsewhere |= say_other_soname(l, &places, name);
		if (!elsewhere && c->host->enabled)
			imp_finding_evidence(
				c->a, f, IMP_DERIVED,
				"no file of that name was found on this machine: not in the loader's directories, "
				"not beside the packages, not in the prefix");
	} else if (!imp_load_say_path(l, &places, name, needed_by) &&
		   imp_host_exists(c->host, name) == 0) {
		imp_finding_evidence(c->a, f, IMP_DERIVED, "there is no file %s", name);
	}
	return true;
}

/* ---- another C library ---------------------------------------------------------------------------------------- */

static bool musl_name(const char *name)
{
	return name && (!strncmp(name, "libc.musl-", 10) || !strncmp(name, "ld-musl-", 8));
}

bool imp_judge_wrong_libc(struct imp_load *l)
{
	const char *name = l->text.object ? l->text.object : "", *slash = strrchr(name, '/');
	const char *base = slash ? slash + 1 : name, *needed_by = imp_load_needed_by(l, l->search);
	const struct imp_ld_object *who = needed_by ? l->search->requester : NULL;
	struct imp_case *c = l->c;
	bool plain = !strcmp(base, "libc.so");

	if (!musl_name(base) && !plain)
		return false;
	if (l->root && (!strcmp(name, l->root) || !strcmp(name, l->d->name)))
		return false; /* the program asked for it by its path */
	c->f->cause = IMP_CAUSE_WRONG_LIBC;
	if (!needed_by)
		needed_by = l->root;
	c->f->path = needed_by;
	imp_load_library(l, l->search ? l->search->name : base, needed_by, l->search);
	c->f->summary = imp_arena_printf(
		c->a, "%s was built for another C library (musl); this program runs with glibc%s%s",
		needed_by ? needed_by : l->d->name, c->image->libc ? " " : "",
		c->image->libc ? c->image->libc : "");
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	imp_finding_evidence(
		c->a, c->f, IMP_DERIVED,
		plain ? "it needs %s: that is the name of musl's C library; glibc's is libc.so.6" :
			"it needs %s: that is musl's C library",
		base);
	if (who && who->image && who->image->interpreter)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "the loader that it names is %s",
				     who->image->interpreter);
	imp_load_say_chain(l, base, l->search);
	return true;
}
