/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What belongs to another Python than the one that runs: a libpython that is linked, a standard library on PYTHONPATH. */
#include <stdio.h>
#include <string.h>

#include "../python/installer.h"
#include "../python/module_file.h"
#include "judge_loader.h"
#include "path_origin.h"

/* "libpython3.13t.so.1.0" -> 3, 13, true. libpython3.so, of the stable ABI, belongs to no version. */
static bool parse_libpython(const char *name, unsigned int *major, unsigned int *minor,
			    bool *free_threaded)
{
	int end = 0;

	if (sscanf(name, "libpython%u.%u%n", major, minor, &end) != 2 || !end)
		return false;
	*free_threaded = false;
	for (name += end; *name >= 'a' && *name <= 'z'; name++) /* m, u, d, t */
		*free_threaded |= *name == 't';
	return imp_starts_with(name, ".so");
}

/* The Python of that version on this machine, and its library. */
static void say_that_python(struct imp_load *l, const char *name, int major, int minor,
			    bool free_threaded)
{
	const struct imp_sites *sites = imp_case_sites(l->c, true);
	struct imp_case *c = l->c;

	for (size_t i = 0; sites && i < sites->n; i++) {
		const struct imp_site *s = &sites->v[i];
		const char *real, *lib, *command;

		if (s->major != major || s->minor != minor || s->free_threaded != free_threaded ||
		    !s->interpreter || imp_host_realpath(c->host, c->a, s->interpreter, &real))
			continue;
		lib = imp_path_join(c->a, imp_path_parent(c->a, imp_path_parent(c->a, real)),
				    imp_arena_printf(c->a, "lib/%s", name));
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     imp_load_fits(l, lib) ?
					     "that Python is %s, and its library is %s" :
					     "that Python is %s",
				     s->interpreter, lib);
		command = imp_remedy_run_with(c, s->interpreter);
		if (command)
			imp_finding_fix(c->a, c->f, IMP_POSSIBLE, command,
					"runs the program with the Python that it was built for");
		return;
	}
}

bool imp_judge_other_libpython(struct imp_load *l, const char *name, const char *needed_by)
{
	unsigned int major, minor, own_major, own_minor;
	struct imp_case *c = l->c;
	bool threaded, own_threaded;
	const char *built;

	if (!needed_by || !*c->module || !imp_case_version(c, &own_major, &own_minor) ||
	    !parse_libpython(name, &major, &minor, &threaded))
		return false;
	own_threaded = c->py->abiflags && strchr(c->py->abiflags, 't');
	if (major == own_major && minor == own_minor && threaded == own_threaded)
		return false;
	built = imp_arena_printf(c->a, "%sPython %u.%u", threaded ? "free-threaded " : "", major,
				 minor);
	c->f->cause = IMP_CAUSE_VERSION_MISMATCH;
	c->f->summary =
		imp_arena_printf(c->a, "%s was built for %s: it is linked with %s, and this is %s",
				 needed_by, built, name, imp_case_python(c));
	imp_finding_evidence(c->a, c->f, IMP_DERIVED,
			     "%s is the library of %s; %s has no use for it, were it found or not",
			     name, built, imp_case_python(c));
	if (imp_remedy_is_installed(c, needed_by))
		imp_remedy_install(c, c->module, true, IMP_LIKELY, NULL,
				   "installs a build of it for this interpreter");
	imp_finding_fix(c->a, c->f, IMP_LIKELY, NULL,
			"install a build of %s for %s, or build it again from its sources",
			c->module, imp_case_python(c));
	say_that_python(l, name, (int)major, (int)minor, threaded);
	return true;
}

/* Has the directory a standard library's modules or extensions, and not those of the interpreter that runs? */
static bool is_foreign_stdlib(const struct imp_case *c, const char *dir)
{
	if (imp_case_stdlib(c, imp_path_join(c->a, dir, "x")))
		return false;
	return !strcmp(imp_path_name(dir), "lib-dynload") ||
	       (imp_host_exists(c->host, imp_path_join(c->a, dir, "os.py")) == 1 &&
		imp_host_is_directory(c->host, imp_path_join(c->a, dir, "encodings")));
}

/* The same, where PYTHONHOME leads to it: then it counts as the interpreter's own. */
static bool comes_from_home(struct imp_case *c)
{
	const char *home = imp_remedy_foreign_home(c);
	struct imp_finding *f = c->f;

	if (!home || !imp_case_stdlib(c, f->path) ||
	    !imp_starts_with(f->path, imp_arena_printf(c->a, "%.*s/", (int)strcspn(home, ":"), home)))
		return false;
	f->summary = imp_arena_printf(
		c->a, "PYTHONHOME leads to the standard library of another Python, %s: %s", home,
		f->summary);
	imp_finding_evidence(
		c->a, f, IMP_OBSERVED,
		"PYTHONHOME is %s, and %s, which runs, has a standard library of its own", home,
		c->image->exe);
	imp_finding_fix(c->a, f, IMP_LIKELY, "unset PYTHONHOME",
			"lets this Python take its own standard library");
	return true;
}

bool imp_judge_foreign_stdlib(struct imp_case *c)
{
	const char *item, *left = "", *which = NULL;
	struct imp_finding *f = c->f;

	if (!f->path ||
	    (f->cause != IMP_CAUSE_UNDEFINED_SYMBOL && f->cause != IMP_CAUSE_UNKNOWN &&
	     f->cause != IMP_CAUSE_SYMBOL_VERSION_MISSING && f->cause != IMP_CAUSE_INIT_FAILED))
		return false;
	if (comes_from_home(c))
		return true;
	for (size_t i = 0; (item = imp_path_env_entry(c, i)); i++) {
		const char *dir = imp_path_normalize(c->a, imp_case_directory(c, item));

		if (!is_foreign_stdlib(c, dir)) {
			left = imp_arena_printf(c->a, "%s%s%s", left, *left ? ":" : "", item);
			continue;
		}
		if (imp_starts_with(f->path, imp_arena_printf(c->a, "%s/", dir)) &&
		    !strstr(f->path, "/site-packages/"))
			which = dir;
	}
	if (!which)
		return false;
	f->summary =
		imp_arena_printf(c->a,
				 "PYTHONPATH names the standard library of another Python, %s: %s",
				 which, f->summary);
	imp_finding_evidence(
		c->a, f, IMP_OBSERVED,
		"%s comes from %s, which PYTHONPATH names, and is taken before the standard library of %s",
		f->path, which, imp_case_python(c));
	imp_finding_fix(c->a, f, IMP_LIKELY,
			*left ? imp_arena_printf(c->a, "export PYTHONPATH=%s",
						 imp_shell_quote(c->a, left)) :
				"unset PYTHONPATH",
			"lets this Python take its own standard library");
	return true;
}
