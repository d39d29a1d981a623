/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process died while a native module was being loaded: nothing was raised, the signal is all that is left. */
#include <signal.h>
#include <string.h>

#include "../elf/ld_replay.h"
#include "judge.h"

/* Was the loader still at work on it (a constructor runs within dlopen), or was it the init function? */
static const struct imp_dlopen *open_load(const struct imp_case *c)
{
	for (size_t i = c->image->dlopens.n; i-- > 0;) {
		const struct imp_dlopen *d = c->image->dlopens.v[i];

		if (!d->ended && d->thread == c->extension->thread && d->begin_ns >= c->extension->begin_ns)
			return d;
	}
	return NULL;
}

/* Instruction sets that builds for newer processors use, by their names in /proc/cpuinfo. */
static void say_processor(struct imp_case *c)
{
	static const char *const sets[] = { "sse4_2", "avx", "avx2", "fma", "bmi2", "avx512f" };
	const char *flags, *has = NULL, *lacks = NULL;
	char *data;
	size_t len;

	if (imp_host_read(c->host, c->a, "/proc/cpuinfo", 1 << 20, &data, &len))
		return;
	flags = strstr(data, "\nflags");
	if (!flags)
		return;
	flags = imp_arena_printf(c->a, "%.*s ", (int)strcspn(flags + 1, "\n"), flags + 1);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		bool there = imp_case_has(flags, imp_arena_printf(c->a, " %s ", sets[i]));
		const char **list = there ? &has : &lacks;

		*list = *list ? imp_arena_printf(c->a, "%s, %s", *list, sets[i]) : sets[i];
	}
	imp_finding_evidence(c->a, c->f, IMP_DERIVED, "this machine's processor has %s, and lacks %s (its flags in /proc/cpuinfo)", has ? has : "none of them",
			     lacks ? lacks : "none of the usual ones");
}

/* Constructors of the libraries that it brings in run as well: which one it was, nobody saw. */
static void say_new_libraries(struct imp_case *c, const struct imp_elf_image *image)
{
	for (size_t i = 0; image && i < image->needed.n; i++) {
		bool mapped = false;

		for (size_t k = 0; k < c->image->objects.n && !mapped; k++)
			mapped = imp_case_has(c->image->objects.v[k]->path,
					      imp_arena_printf(c->a, "/%s", image->needed.v[i]));
		if (!mapped)
			imp_finding_evidence(c->a, c->f, IMP_DERIVED, "it needs %s, which had not been loaded before: it may have been that library's constructor",
					     image->needed.v[i]);
	}
}

/* A file that is shorter than its headers promise: touching a page behind its end is SIGBUS. */
static bool cut_short(struct imp_case *c, const struct imp_elf_image *image)
{
	struct imp_finding *f = c->f;

	if (c->image->signal != SIGBUS || !image || !image->damage)
		return false;
	f->cause = IMP_CAUSE_CORRUPT_FILE;
	f->summary = imp_arena_printf(c->a, "%s is damaged: it %s", f->path, image->damage);
	imp_finding_evidence(c->a, f, IMP_DERIVED, "%s %s", f->path, image->damage);
	return true;
}

static void judge(struct imp_case *c, const struct imp_elf_image *image)
{
	const struct imp_dlopen *load = open_load(c);
	struct imp_finding *f = c->f;
	const char *doing = load ? "it was being loaded (within dlopen: mapping it, or a constructor)"
				 : c->extension->step == IMP_STEP_EXEC ? "its Py_mod_exec slot ran" : "its init function ran";

	const char *how = c->image->signal
				  ? imp_arena_printf(c->a, "signal %d, SIG%s: %s", c->image->signal,
						     sigabbrev_np(c->image->signal), strsignal(c->image->signal))
				  : "something that nobody saw";

	if (cut_short(c, image)) {
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s ended the process while %s", how, doing);
		return;
	}
	f->cause = c->image->signal == SIGILL ? IMP_CAUSE_ILLEGAL_INSTRUCTION : IMP_CAUSE_UNKNOWN;
	if (f->cause == IMP_CAUSE_ILLEGAL_INSTRUCTION) {
		f->summary = imp_arena_printf(c->a, load ? "Loading %s ran an instruction that this processor does not know"
							 : "%s uses an instruction that this processor does not know",
					      c->module);
		say_processor(c);
		imp_finding_fix(c->a, f, IMP_POSSIBLE, NULL, "install a build of %s for older processors, or build it on this machine (without -march=native of another)",
				c->module);
	} else {
		f->summary = imp_arena_printf(c->a, "The process died (%s) while %s was loaded", how, c->module);
	}
	if (load)
		say_new_libraries(c, image);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s ended the process while %s", how, doing);
	imp_finding_rule_out(c->a, f, IMP_CAUSE_NOT_INSTALLED, "%s was found", f->path ? f->path : "it");
}

void imp_judge_crash(struct imp_case *c)
{
	struct imp_ld_replay replay;
	const char *file;

	c->f->path = c->extension->path;
	imp_ld_replay_init(&replay, c->a, c->image, c->host);
	file = c->f->path ? imp_ld_process_absolute(&replay.process, c->f->path) : NULL;
	judge(c, file ? imp_ld_disk_image(&replay.disk, file) : NULL);
	imp_ld_replay_clear(&replay);
}
