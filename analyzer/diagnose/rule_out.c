/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people would try next, and by which evidence it is not the cause. Nothing is ruled out unseen. */
#include <string.h>

#include "../python/module_file.h"
#include "judge.h"
#include "path_origin.h"
#include "vain_loads.h"

/* The search ended before any file was opened: nothing below dlopen can be the cause. */
static void never_opened(struct imp_case *c)
{
	struct imp_finding *f = c->f;

	for (size_t i = 0; i < c->image->dlopens.n; i++) {
		const struct imp_dlopen *d = c->image->dlopens.v[i];

		if (c->attempt && d->thread == c->thread && d->begin_ns >= c->attempt->begin_ns &&
		    d->begin_ns <= c->time_ns)
			return;
	}
	if (!c->attempt)
		return;
	imp_finding_rule_out(
		c->a, f, IMP_CAUSE_MISSING_SHARED_LIBRARY,
		"no library was looked for: the search for the module ended before any file was opened "
		"(installing -dev packages or libraries will not help)");
	imp_finding_rule_out(c->a, f, IMP_CAUSE_CORRUPT_FILE, "no file of it was opened");
}

static void not_elsewhere(struct imp_case *c)
{
	const char *dir =
		c->f->path ?
			imp_arena_strndup(c->a, c->f->path,
					  strrchr(c->f->path, '/') ?
						  (size_t)(strrchr(c->f->path, '/') - c->f->path) :
						  0) :
			NULL;

	if (dir)
		imp_finding_rule_out(c->a, c->f, IMP_CAUSE_INSTALLED_ELSEWHERE,
				     "%s was searched: sys.path and PYTHONPATH do lead there", dir);
}

static void not_blocked(struct imp_case *c)
{
	if (c->snapshot && c->snapshot->sys_modules == IMP_MODULE_ABSENT)
		imp_finding_rule_out(c->a, c->f, IMP_CAUSE_BLOCKED,
				     "sys.modules has no entry of that name");
}

/* The loader was asked: all that comes before it went well. */
static void was_opened(struct imp_case *c)
{
	if (!c->extension || !c->extension->path)
		return;
	if (c->f->library && !strcmp(c->f->library->name, c->extension->path))
		return; /* a path that the program made up: it is what the loader did not find */
	imp_finding_rule_out(c->a, c->f, IMP_CAUSE_NOT_INSTALLED,
			     "%s was found, and the dynamic loader was asked to load it",
			     c->extension->path);
	imp_finding_rule_out(c->a, c->f, IMP_CAUSE_ABI_TAG_MISMATCH, "its name's tag was accepted");
	if (c->f->cause == IMP_CAUSE_UNDEFINED_SYMBOL ||
	    c->f->cause == IMP_CAUSE_SYMBOL_VERSION_MISSING ||
	    c->f->cause == IMP_CAUSE_WRONG_LIBRARY || c->f->cause == IMP_CAUSE_LIBPYTHON_NOT_GLOBAL)
		imp_finding_rule_out(c->a, c->f, IMP_CAUSE_MISSING_SHARED_LIBRARY,
				     "every library that it needs was found");
	if (c->f->cause == IMP_CAUSE_MISSING_SHARED_LIBRARY)
		imp_finding_rule_out(c->a, c->f, IMP_CAUSE_CORRUPT_FILE,
				     "the loader could read the file");
}

void imp_rule_out(struct imp_case *c)
{
	struct imp_arena *a = c->a;
	struct imp_finding *f = c->f;
	struct imp_loads vain;

	switch (f->cause) {
	case IMP_CAUSE_ABI_TAG_MISMATCH:
	case IMP_CAUSE_DANGLING_SYMLINK:
	case IMP_CAUSE_STALE_FINDER_CACHE:
	case IMP_CAUSE_CASE_MISMATCH:
	case IMP_CAUSE_NOT_IMPORTABLE_FROM_ARCHIVE:
		if (f->library) { /* a link of the loader's */
			was_opened(c);
			break;
		}
		imp_finding_rule_out(a, f, IMP_CAUSE_NOT_INSTALLED, "%s is there",
				     f->path ? f->path : "a file of it");
		not_elsewhere(c);
		never_opened(c);
		not_blocked(c);
		break;
	case IMP_CAUSE_NOT_INSTALLED:
	case IMP_CAUSE_BROKEN_INSTALLATION:
	case IMP_CAUSE_INSTALLED_ELSEWHERE:
	case IMP_CAUSE_STDLIB_EXTENSION_NOT_BUILT:
		/* "python -m NAME" is looked up without an import: nobody noted what the directories held. */
		if (c->snapshot)
			imp_finding_rule_out(
				a, f, IMP_CAUSE_ABI_TAG_MISMATCH,
				"no directory that was searched holds a build of it for another Python");
		never_opened(c);
		not_blocked(c);
		if (f->cause != IMP_CAUSE_INSTALLED_ELSEWHERE && c->host->enabled &&
		    f->cause == IMP_CAUSE_NOT_INSTALLED)
			imp_finding_rule_out(
				a, f, IMP_CAUSE_INSTALLED_ELSEWHERE,
				"none of the other Pythons and environments that were found on this machine has it");
		break;
	case IMP_CAUSE_BLOCKED: never_opened(c); break;
	case IMP_CAUSE_MIXED_INSTALLATION:
	case IMP_CAUSE_SHADOWED:
	case IMP_CAUSE_VERSION_MISMATCH:
	case IMP_CAUSE_MISSING_ATTRIBUTE:
	case IMP_CAUSE_CIRCULAR_IMPORT:
		if (f->path && imp_ends_with(f->path, ".pyc") &&
		    f->cause == IMP_CAUSE_VERSION_MISMATCH) {
			imp_finding_rule_out(a, f, IMP_CAUSE_NOT_INSTALLED, "%s was found", f->path);
			break;
		}
		imp_finding_rule_out(a, f, IMP_CAUSE_NOT_INSTALLED, "%s was imported%s%s",
				     f->module, f->path ? " from " : "", f->path ? f->path : "");
		break;
	case IMP_CAUSE_INIT_FAILED:
	case IMP_CAUSE_REINITIALIZATION_REFUSED:
	case IMP_CAUSE_MISSING_INIT_FUNCTION:
		imp_finding_rule_out(a, f, IMP_CAUSE_NOT_INSTALLED, "%s was found and loaded",
				     f->path ? f->path : "it");
		imp_vain_loads(c, &vain); /* what its code asked for */
		if (!vain.n)
			imp_finding_rule_out(
				a, f, IMP_CAUSE_MISSING_SHARED_LIBRARY,
				"dlopen succeeded: every library that it needs was found");
		imp_finding_rule_out(a, f, IMP_CAUSE_ABI_TAG_MISMATCH,
				     "its name's tag was accepted");
		break;
	case IMP_CAUSE_MISSING_SHARED_LIBRARY:
	case IMP_CAUSE_UNDEFINED_SYMBOL:
	case IMP_CAUSE_SYMBOL_VERSION_MISSING:
	case IMP_CAUSE_WRONG_LIBRARY:
	case IMP_CAUSE_LIBPYTHON_NOT_GLOBAL:
	case IMP_CAUSE_WRONG_ELF_MACHINE:
	case IMP_CAUSE_WRONG_LIBC:
	case IMP_CAUSE_CORRUPT_FILE:
	case IMP_CAUSE_STATIC_TLS_EXHAUSTED:
	case IMP_CAUSE_EXECUTABLE_STACK:
	case IMP_CAUSE_PAGE_SIZE_MISMATCH:
	case IMP_CAUSE_MEMORY_LIMIT:
	case IMP_CAUSE_NOEXEC_MOUNT:
	case IMP_CAUSE_PERMISSION_DENIED: was_opened(c); break;
	default: break;
	}
}
