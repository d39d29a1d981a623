/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process died while a native module was being loaded: nothing was raised, the signal is all that is left. */
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "../host/kernel_log.h"
#include "judge_loader.h"

#define LAZY_MAX       4   /* symbols that are named */
#define LOADER_GAVE_UP 127 /* the status of ld.so's own end: glibc, _dl_fatal_printf() */

bool imp_judge_own_signal(int signal)
{
	static const int own[] = {SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (signal == own[i])
			return true;
	return false;
}

/* Was the loader still at work on it (a constructor runs within dlopen), or was it the init function? */
static const struct imp_dlopen *open_load(const struct imp_case *c)
{
	if (!c->extension)
		return c->load;
	for (size_t i = c->image->dlopens.n; i-- > 0;) {
		const struct imp_dlopen *d = c->image->dlopens.v[i];

		if (!d->ended && d->thread == c->extension->thread &&
		    d->begin_ns >= c->extension->begin_ns)
			return d;
	}
	return NULL;
}

/* Instruction sets that builds for newer processors use, by their names in /proc/cpuinfo. */
bool imp_load_say_processor(struct imp_case *c)
{
	static const char *const sets[] = {"sse4_2", "avx", "avx2", "fma", "bmi2", "avx512f"};
	const char *flags, *has = NULL, *lacks = NULL;
	char *data;
	size_t len;

	if (imp_host_read(c->host, c->a, "/proc/cpuinfo", 1 << 20, &data, &len))
		return true;
	flags = strstr(data, "\nflags");
	if (!flags)
		return true;
	flags = imp_arena_printf(c->a, "%.*s ", (int)strcspn(flags + 1, "\n"), flags + 1);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		bool there = imp_case_has(flags, imp_arena_printf(c->a, " %s ", sets[i]));
		const char **list = there ? &has : &lacks;

		*list = *list ? imp_arena_printf(c->a, "%s, %s", *list, sets[i]) : sets[i];
	}
	imp_finding_evidence(
		c->a, c->f, IMP_DERIVED,
		"this machine's processor has %s, and lacks %s (its flags in /proc/cpuinfo)",
		has ? has : "none of them", lacks ? lacks : "none of the usual ones");
	return lacks;
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
			imp_finding_evidence(
				c->a, c->f, IMP_DERIVED,
				"it needs %s, which had not been loaded before: it may have been that library's constructor",
				image->needed.v[i]);
	}
}

/* Was it the last thing that its thread was seen to do: no code of what was loaded got so far as to ask for more? */
static bool is_last(const struct imp_load *l)
{
	const struct imp_image *image = l->c->image;

	for (size_t i = 0; i < image->attempts.n; i++)
		if (image->attempts.v[i]->thread == l->d->thread &&
		    image->attempts.v[i]->begin_ns > l->d->begin_ns)
			return false;
	for (size_t i = 0; i < image->dlopens.n; i++)
		if (image->dlopens.v[i]->thread == l->d->thread &&
		    image->dlopens.v[i]->begin_ns > l->d->begin_ns)
			return false;
	return true;
}

/* Is what lies on the disk what was loaded? A file that was written or put there later tells nothing of it. */
static bool is_unchanged(const struct imp_load *l, const char *file)
{
	const struct imp_record *r = l->c->record;
	int64_t since_ns = r->realtime_ns + (int64_t)(l->c->image->last_ns - r->start_ns);
	struct stat st;

	return !imp_host_stat(l->c->host, file, &st) &&
	       st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec <= since_ns;
}

/*
 * A file that is shorter than its headers promise: touching a page behind its end is SIGBUS. Where nobody was told the
 * signal (the parent was not recorded), the file is proof enough, if its load was the last thing before the end.
 */
static bool cut_short(struct imp_load *l, int signal)
{
	const struct imp_elf_image *image = imp_load_image(l, l->root);
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;

	if (signal ? signal != SIGBUS : c->image->ended || !l->d || !is_last(l))
		return false;
	l->file = l->root;
	/* What it needs is mapped before any code runs. */
	for (size_t i = 0; (!image || !image->damage) && i < l->tree.objects.n; i++)
		if (l->tree.objects.v[i]->file && l->tree.objects.v[i]->image) {
			image = l->tree.objects.v[i]->image;
			l->file = l->tree.objects.v[i]->file;
		}
	if (!image || !image->damage ||
	    (!signal && (image->promised <= image->bytes.size || !is_unchanged(l, l->file))))
		return false;
	f->cause = IMP_CAUSE_CORRUPT_FILE;
	l->search = imp_load_search(l, l->file);
	imp_load_at_fault(l);
	f->summary = imp_arena_printf(c->a, "%s is damaged: it %s", f->path, image->damage);
	imp_finding_evidence(c->a, f, IMP_DERIVED, "%s %s", f->path, image->damage);
	if (!signal)
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"no signal was recorded: touching memory that lies behind the end of its file is SIGBUS, and ends the process");
	return true;
}

/* How it ended, in words; NULL: not known. What the kernel's log says of it may tell the signal. */
static const char *ending(struct imp_case *c, int *signal)
{
	uint64_t begin_ns = c->extension ? c->extension->begin_ns : c->load->begin_ns;
	struct imp_kernel_death death;

	*signal = c->image->signal;
	if (!c->image->ended &&
	    !imp_kernel_death_find(c->host, c->a, c->image, (pid_t)c->thread, begin_ns, &death)) {
		if (!*signal)
			*signal = death.signal;
		if (*signal == death.signal)
			imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the kernel's log says: %s",
					     death.line);
	}
	if (!*signal)
		return NULL;
	return imp_arena_printf(c->a, "signal %d, SIG%s: %s", *signal, sigabbrev_np(*signal),
				strsignal(*signal));
}

/* Only Python's own handler tells more of a crash that nobody reported. */
static void remedy_watch(struct imp_case *c)
{
	struct imp_run_change change = {.before = "PYTHONFAULTHANDLER=1", .without = "EI"};
	const char *command = imp_remedy_run(c, &change);

	imp_finding_fix(
		c->a, c->f, IMP_POSSIBLE, command,
		command ?
			"mends nothing, but prints which signal it was, if it was a crash, and where Python was" :
			"run it again with PYTHONFAULTHANDLER=1 set: that prints which signal it was, if it was a crash");
}

/* Nobody but a debugger tells what native code waits for. */
static void remedy_hang(struct imp_case *c)
{
	uint64_t begin_ns = c->extension ? c->extension->begin_ns : c->load->begin_ns;

	if (c->image->end_ns > begin_ns)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED,
				     "it had been at work for %.1f seconds",
				     (double)(c->image->end_ns - begin_ns) / 1e9);
	imp_finding_fix(
		c->a, c->f, IMP_POSSIBLE, NULL,
		"mends nothing, but tells what it waits for: run it again, and while it hangs, gdb -p PID -batch -ex 'thread apply all bt'");
}

/* Somebody waited for it and got a status, though it was not seen to call exit(): it made the system call itself. */
static bool left_past_exit(const struct imp_case *c)
{
	return !c->image->ended && c->image->waited && c->image->code_known && c->image->code;
}

/* The load that brought in the module whose init function was at work */
static const struct imp_dlopen *load_of_module(const struct imp_case *c)
{
	for (size_t i = 0; c->extension && i < c->image->dlopens.n; i++) {
		const struct imp_dlopen *d = c->image->dlopens.v[i];

		if (d->thread == c->extension->thread && d->begin_ns >= c->extension->begin_ns &&
		    d->name && !strcmp(d->name, imp_case_text(c->extension->path)))
			return d->ended && d->handle ? d : NULL;
	}
	return NULL;
}

/*
 * With RTLD_LAZY (sys.setdlopenflags) a module is loaded although a function that it calls is nowhere: the first call ends
 * the process. @ended: so it did, as ld.so does; else that is not known.
 */
static bool say_lazy(struct imp_load *l, bool ended)
{
	const struct imp_dlopen *d = load_of_module(l->c);
	const struct imp_ld_undefined *u;
	const char *names = NULL, *who;
	struct imp_case *c = l->c;

	if (!d || d->flags & RTLD_NOW || c->image->ended ||
	    imp_ld_replay_dlopen(&l->replay, d, &l->tree) || !l->tree.undefined_known ||
	    l->tree.unknown || l->tree.failed || !l->tree.undefined.n)
		return false;
	u = l->tree.undefined.v;
	who = u->object->file;
	for (size_t i = 0; i < l->tree.undefined.n && i < LAZY_MAX; i++) {
		const char *name = imp_load_readable(l, u[i].symbol.name);

		if (u[i].object == u->object)
			names = names ? imp_arena_printf(c->a, "%s, %s", names, name) : name;
	}
	imp_finding_evidence(
		c->a, c->f, IMP_DERIVED,
		"%s calls %s, which none of the loaded libraries has; it was loaded with RTLD_LAZY, so that the first call ends the process (\"symbol lookup error\", status %d)",
		who, names, LOADER_GAVE_UP);
	if (ended) {
		c->f->cause = IMP_CAUSE_UNDEFINED_SYMBOL;
		c->f->path = who;
		c->f->summary = imp_arena_printf(
			c->a,
			"%s needs the symbol %s, and none of the loaded libraries has it: its first call ended the process",
			who, imp_load_readable(l, u->symbol.name));
	}
	return true;
}

/* @how: the signal, as it is told; NULL: none is known; @doing: what it was at */
static void say_end(struct imp_case *c, const char *how, const char *doing)
{
	struct imp_finding *f = c->f;

	if (how)
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s ended the process while %s", how,
				     doing);
	else if (c->image->ended)
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s while %s",
				     c->image->derived			    ? "it ended itself" :
				     c->image->end_how == IMP_END_FAST_EXIT ? "_exit() was called" :
									      "exit() was called",
				     doing);
	else if (left_past_exit(c))
		imp_finding_evidence(
			c->a, f, IMP_OBSERVED,
			"the process ended with status %d while %s, and neither exit() nor _exit() was seen to be called",
			c->image->code, doing);
	else
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "the last thing recorded: %s", doing);
}

static void judge(struct imp_load *l)
{
	struct imp_case *c = l->c;
	const struct imp_elf_image *image = imp_load_image(l, l->root);
	const struct imp_dlopen *load = l->d;
	const char *name = *c->module ? c->module : l->root ? l->root : l->d->name;
	struct imp_finding *f = c->f;
	bool exec = c->extension && c->extension->step == IMP_STEP_EXEC;
	const char *doing =
		load ? "it was being loaded (within dlopen: mapping it, or a constructor)" :
		exec ? "its Py_mod_exec slot ran" :
		       "its init function ran";
	const char *when = load ? "while it was loaded" :
			   exec ? "in its Py_mod_exec slot" :
				  "in its init function";
	int signal;
	const char *how = ending(c, &signal);
	bool loader = c->image->code_known && c->image->code == LOADER_GAVE_UP &&
		      (c->image->derived || !c->image->ended);

	if (cut_short(l, signal)) {
		imp_finding_evidence(c->a, f, IMP_OBSERVED,
				     how ? "%s ended the process while %s" : "%s: %s",
				     how ? how : "the last thing recorded", doing);
		return;
	}
	f->cause = signal == SIGILL ? IMP_CAUSE_ILLEGAL_INSTRUCTION : IMP_CAUSE_UNKNOWN;
	if (f->cause == IMP_CAUSE_ILLEGAL_INSTRUCTION) {
		f->summary = imp_arena_printf(
			c->a,
			load ? "Loading %s ran an instruction that this processor does not know" :
			       "%s uses an instruction that this processor does not know",
			name);
		if (!imp_load_say_processor(c))
			imp_finding_evidence(
				c->a, f, IMP_DERIVED,
				"it may also be a stop on purpose: compilers put an invalid instruction (ud2) where a program must not come");
		imp_finding_fix(
			c->a, f, IMP_POSSIBLE, NULL,
			"install a build of %s for older processors, or build it on this machine (without -march=native of another)",
			name);
	} else if (how && !imp_judge_own_signal(signal)) {
		f->summary = imp_arena_printf(
			c->a, "%s was still %s when the process was ended from outside (%s)", name,
			load ? "being loaded" :
			exec ? "in its Py_mod_exec slot" :
			       "in its init function",
			how);
		remedy_hang(c);
	} else if (how) {
		f->summary =
			imp_arena_printf(c->a, "%s crashed the process %s (%s)", name, when, how);
	} else if (c->image->ended || left_past_exit(c)) {
		f->summary = imp_arena_printf(c->a, "%s ended the process %s, with exit status %d",
					      name, when, c->image->code);
	} else {
		f->summary = imp_arena_printf(
			c->a,
			"The record ends %s%s: a crash, a kill or an end past exit(), and which was not recorded",
			load ? "while it was loading " :
			exec ? "in the Py_mod_exec slot of " :
			       "in the init function of ",
			name);
		remedy_watch(c);
	}
	if (load)
		say_new_libraries(c, image);
	say_end(c, how, doing);
	if (!load && !how && !exec && say_lazy(l, loader))
		loader = false;
	if (loader)
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			"the dynamic loader itself ends a process with status %d, after a line on stderr, where a function that is looked up at its first call is nowhere (\"symbol lookup error\"), or where the libraries contradict one another",
			LOADER_GAVE_UP);
	imp_finding_rule_out(c->a, f, IMP_CAUSE_NOT_INSTALLED, "%s was found",
			     f->path ? f->path : "it");
}

void imp_judge_crash(struct imp_case *c)
{
	struct imp_load l = {.c = c, .d = open_load(c)};

	imp_ld_replay_init(&l.replay, c->a, c->image, c->host);
	if (!l.d || imp_ld_replay_dlopen(&l.replay, l.d, &l.tree))
		l.tree = (struct imp_ld_tree){0};
	if (c->extension)
		c->f->path = c->extension->path;
	else if (strchr(l.d->name, '/'))
		c->f->path = imp_ld_process_absolute(&l.replay.process, l.d->name);
	else if (l.tree.object)
		c->f->path = l.tree.object->file;
	l.root = c->f->path ? imp_ld_process_absolute(&l.replay.process, c->f->path) : NULL;
	judge(&l);
	if (!c->extension && !c->f->library)
		imp_load_library(&l, l.d->name, NULL,
				 l.tree.searches.n ? l.tree.searches.v[0] : NULL);
	if (!c->extension)
		imp_load_say_caller(&l);
	imp_ld_replay_clear(&l.replay);
}
