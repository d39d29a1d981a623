/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file that is good, and that the kernel does not map: no room, or not permitted. */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "judge_loader.h"

/* Is the file system mounted noexec? 1, 0, -ENODATA; @observed: the trace says so */
static int noexec(const struct imp_load *l, const char *path, bool *observed)
{
	const struct imp_file_facts *facts = imp_load_facts(l, path);
	struct statvfs vfs;

	*observed = facts && facts->mount_known;
	if (*observed)
		return (facts->mount_flags & ST_NOEXEC) != 0;
	if (!l->c->host->enabled || !path || *path != '/' || statvfs(path, &vfs))
		return -ENODATA;
	return (vfs.f_flag & ST_NOEXEC) != 0;
}

static uint64_t limit_of(const struct imp_load *l)
{
	uint64_t limit = 0;

	for (size_t i = 0; i < l->c->image->files.n; i++)
		if (l->c->image->files.v[i]->time_ns <= l->c->time_ns &&
		    l->c->image->files.v[i]->limit_as)
			limit = l->c->image->files.v[i]->limit_as;
	for (size_t i = 0; !limit && i < l->c->image->files.n; i++)
		limit = l->c->image->files.v[i]->limit_as;
	return limit;
}

static void say_memory(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *img = imp_load_image(l, l->file);
	uint64_t limit = limit_of(l), size = 0;

	for (size_t i = 0; img && i < img->segments.n; i++)
		if (img->segments.v[i].type == 1 &&
		    img->segments.v[i].address + img->segments.v[i].memory_size > size)
			size = img->segments.v[i].address + img->segments.v[i].memory_size;
	if (size)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "mapping it takes %llu bytes (%llu MiB) of address space",
				     (unsigned long long)size, (unsigned long long)(size >> 20));
	if (limit)
		imp_finding_evidence(
			c->a, c->f, IMP_OBSERVED,
			"the address space of the process is limited (RLIMIT_AS, ulimit -v) to %llu bytes (%llu MiB)",
			(unsigned long long)limit, (unsigned long long)(limit >> 20));
	else
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"no limit of the address space (RLIMIT_AS) was recorded: the machine itself or its control group may have had no memory left");
}

bool imp_judge_memory(struct imp_load *l)
{
	l->c->f->cause = IMP_CAUSE_MEMORY_LIMIT;
	imp_load_at_fault(l);
	l->c->f->summary =
		imp_arena_printf(l->c->a, "There was no address space left to map %s%s",
				 imp_load_name(l), limit_of(l) ? ": the process has a limit" : "");
	imp_finding_evidence(l->c->a, l->c->f, IMP_OBSERVED, "the dynamic loader says: %s",
			     l->d->error);
	say_memory(l);
	return true;
}

/* The only path that a rule of the object itself or of the environment leads to; NULL: there are more, or none. */
static const char *only_path(struct imp_load *l)
{
	const struct imp_ld_search *s = l->search;
	const char *path = NULL;

	for (size_t i = 0; s && i < s->tried.n; i++) {
		enum imp_ld_origin origin = s->tried.v[i].origin;

		if (origin == IMP_LD_CACHE || origin == IMP_LD_DEFAULT || s->tried.v[i].in_subdir)
			continue;
		if (path)
			return NULL;
		path = imp_ld_process_absolute(&l->replay.process, s->tried.v[i].path);
	}
	return path;
}

/*
 * A library that is named without its path, and is not to be seen from here: its mount was not recorded. The kernel
 * refuses to map a file for want of address space, or of permission.
 */
static bool judge_by_exclusion(struct imp_load *l)
{
	struct imp_case *c = l->c;
	bool recorded = false;

	for (size_t i = 0; i < c->image->files.n; i++)
		recorded |= c->image->files.v[i]->call == l->d->call;
	if (!recorded)
		return false;
	if (!l->file)
		l->file = only_path(l);
	c->f->cause = IMP_CAUSE_NOEXEC_MOUNT;
	imp_load_at_fault(l);
	c->f->summary = imp_arena_printf(
		c->a,
		"The kernel would not map %s for execution: its file system seems to be mounted noexec",
		imp_load_name(l));
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	imp_finding_evidence(
		c->a, c->f, IMP_DERIVED,
		"the address space of the process was not limited (RLIMIT_AS), so room was not what it lacked: "
		"what is left is a mount with the flag noexec, or a security policy");
	return true;
}

bool imp_judge_mapping(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const char *why = l->text.reason;
	bool observed, denied = why && (!strcmp(why, "Permission denied") ||
					!strcmp(why, "Operation not permitted"));
	int mount = noexec(l, l->file, &observed);

	if (why && !strcmp(why, "Cannot allocate memory"))
		return imp_judge_memory(l);
	if (mount == 1 || (mount < 0 && why && !strcmp(why, "Operation not permitted"))) {
		c->f->cause = IMP_CAUSE_NOEXEC_MOUNT;
		imp_load_at_fault(l);
		c->f->summary = imp_arena_printf(
			c->a,
			"%s may not be mapped for execution: its file system is mounted noexec",
			imp_load_name(l));
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s",
				     l->d->error);
		if (mount == 1)
			imp_finding_evidence(
				c->a, c->f, observed ? IMP_OBSERVED : IMP_DERIVED,
				"the file system that holds %s is mounted with the flag noexec",
				imp_load_name(l));
		return true;
	}
	if (denied) {
		c->f->cause = IMP_CAUSE_PERMISSION_DENIED;
		imp_load_at_fault(l);
		c->f->summary = imp_arena_printf(
			c->a,
			"%s may not be mapped for execution: a security policy (SELinux, AppArmor, seccomp) forbids it",
			imp_load_name(l));
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s",
				     l->d->error);
		if (!mount)
			imp_finding_evidence(c->a, c->f, observed ? IMP_OBSERVED : IMP_DERIVED,
					     "its file system is not mounted noexec");
		imp_load_say_ids(c);
		imp_remedy_loader(c);
		return true;
	}
	if (!why && (limit_of(l) || !mount))
		return imp_judge_memory(l);
	return !why && judge_by_exclusion(l);
}

bool imp_judge_protection(struct imp_load *l)
{
	struct imp_case *c = l->c;

	if (l->text.reason && !strcmp(l->text.reason, "Cannot allocate memory"))
		return imp_judge_memory(l);
	if (!l->text.reason || strcmp(l->text.reason, "Permission denied"))
		return false;
	c->f->cause = IMP_CAUSE_PERMISSION_DENIED;
	imp_load_at_fault(l);
	c->f->summary = imp_arena_printf(
		c->a,
		"The code of %s would have to be changed while it is loaded (text relocations), and a security policy forbids it",
		imp_load_name(l));
	imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	imp_load_say_ids(c);
	imp_remedy_loader(c);
	return true;
}
