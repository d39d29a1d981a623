/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "judge.h"

#define ALONG_MAX 16 /* imports that one exception ended, by their names */

static void note(struct imp_diagnosis *d, const char *sentence)
{
	const char *known = imp_intern(&d->sentences, sentence, strlen(sentence));

	/* The same sentence once; there may be as many as processes. */
	if (imp_id_map_get(&d->said, (uint64_t)(uintptr_t)known, 0))
		return;
	imp_id_map_put(&d->arena, &d->said, (uint64_t)(uintptr_t)known, 0, d);
	*imp_vec_push(&d->arena, &d->notes) = sentence;
}

static void surfaced(const struct imp_failure *f)
{
	struct imp_finding *finding = f->root.f;
	const struct imp_exception *e = f->surfaced;
	const char *was = finding->error.message ? finding->error.message : "";

	if (f->exit && f->exit->message) {
		finding->surfaced.type = "SystemExit";
		finding->surfaced.message = f->exit->message;
	} else if (e &&
		   (strcmp(e->type ? e->type : "", finding->error.type ? finding->error.type : "") ||
		    strcmp(e->message ? e->message : "", was))) {
		finding->surfaced.type = e->type;
		finding->surfaced.message = e->message;
	}
}

static void say_along(struct imp_arena *a, struct imp_finding *finding, const char *along,
		      size_t imports)
{
	if (!along)
		return;
	imp_finding_evidence(a, finding, IMP_OBSERVED,
			     "the same exception then ended the import of %s%s", along,
			     imports <= ALONG_MAX ?
				     "" :
				     imp_arena_printf(a, " and %zu more", imports - ALONG_MAX));
}

/* From the root outwards: the imports that it took along, and the errors that followed from it. */
static void say_chain(struct imp_diagnosis *d, const struct imp_failure *f)
{
	struct imp_finding *finding = f->root.f;
	struct imp_arena *a = &d->arena;
	const char *along = NULL;
	size_t imports = 0;

	for (size_t i = 0; i < f->steps.n; i++) {
		const struct imp_step_up *step = &f->steps.v[i];
		const struct imp_exception *e = step->exception;

		if (!step->how && step->attempt) {
			if (++imports <= ALONG_MAX)
				along = along ? imp_arena_printf(a, "%s, %s", along,
								 step->attempt->name) :
						step->attempt->name;
			if (i + 1 < f->steps.n && !f->steps.v[i + 1].how)
				continue;
		}
		say_along(a, finding, along, imports);
		along = NULL;
		imports = 0;
		if (step->how)
			imp_finding_evidence(a, finding, IMP_OBSERVED,
					     "%s then failed with %s: %s (%s)",
					     step->attempt ? step->attempt->name : "the program",
					     e && e->type ? e->type : "an exception",
					     e && e->message ? e->message : "", step->how);
	}
	say_along(a, finding, along, imports);
	if (f->repeats)
		imp_finding_evidence(a, finding, IMP_OBSERVED,
				     "it failed %u more time%s in the same way", f->repeats,
				     f->repeats == 1 ? "" : "s");
}

static void say_fate(struct imp_diagnosis *d, const struct imp_failure *f)
{
	struct imp_finding *finding = f->root.f;

	switch (f->fate) {
	case IMP_FATE_THREAD:
		imp_finding_evidence(&d->arena, finding, IMP_OBSERVED,
				     "it ended the thread that asked for it");
		break;
	case IMP_FATE_SYS_EXIT:
		imp_finding_evidence(&d->arena, finding, IMP_OBSERVED,
				     "sys.exit() was called while it was being handled, at %s:%u",
				     f->exit && f->exit->frame.file ? f->exit->frame.file : "?",
				     f->exit ? f->exit->frame.line : 0);
		break;
	case IMP_FATE_EXIT:
		imp_finding_evidence(&d->arena, finding, IMP_DERIVED,
				     "it is taken for the end of the program: the process exited with "
				     "status %d right after it, and %s nothing more",
				     f->root.image->code, f->root.attempt ? "imported" : "loaded");
		break;
	case IMP_FATE_COLLECTED:
		imp_finding_evidence(
			&d->arena, finding, IMP_DERIVED,
			"the runner of tests that imported %s keeps such an error for its report, "
			"and the process ended with status %d",
			f->steps.n && f->steps.v[f->steps.n - 1].attempt ?
				f->steps.v[f->steps.n - 1].attempt->name :
				"it",
			f->root.image->code);
		break;
	case IMP_FATE_DIED:
	case IMP_FATE_UNCAUGHT:
	case IMP_FATE_HANDLED: break;
	}
}

/*
 * A module that was blocked, left out of this Python's build, or is of no use on this system, and
 * whose absence was provided for:
 * the standard library asked and went on, or the module was imported at another time (defusedxml
 * blocks _elementtree for the length of one import).
 */
static bool provided_for(const struct imp_failure *f)
{
	const struct imp_case *root = &f->root, *asked = f->asked ? f->asked : root;

	if (f->fate != IMP_FATE_HANDLED)
		return false;
	/* dateutil.tz tries dateutil.tz.win, which asks six.moves for winreg: the package guards its own. */
	if (root->f->cause == IMP_CAUSE_MISSING_ATTRIBUTE && asked->attempt &&
	    asked->attempt->frame->module) {
		const char *asker = asked->attempt->frame->module, *top = imp_case_top(asked);
		size_t len = strlen(top);

		return !strncmp(asker, top, len) && (!asker[len] || asker[len] == '.');
	}
	if ((root->f->cause != IMP_CAUSE_BLOCKED &&
	     root->f->cause != IMP_CAUSE_STDLIB_EXTENSION_NOT_BUILT))
		return false;
	if (asked->attempt && imp_case_stdlib(root, asked->attempt->frame->file))
		return true;
	for (size_t i = 0; i < root->image->attempts.n; i++) {
		const struct imp_attempt *at = root->image->attempts.v[i];

		if (at->ended && !at->exception && !strcmp(at->name, root->module))
			return true;
	}
	return false;
}

/*
 * A worker that sends its error to its parent goes on, and so does the next one that is given the same work: that is
 * what ended the parent, and no failure of its own that was handled.
 */
static bool handed_over(const struct imp_diagnosis *d, const struct imp_image *image,
			const struct imp_finding *finding)
{
	for (size_t i = 0; i < d->sent.n && !finding->fatal && finding->module; i++) {
		const struct imp_finding *told = d->sent.v[i];

		if ((told->image == image || told->image->ppid == image->ppid) && told->module &&
		    !strcmp(told->module, finding->module) &&
		    !strcmp(imp_case_text(told->error.message),
			    imp_case_text(finding->error.message)))
			return true;
	}
	return false;
}

static void diagnose_image(struct imp_diagnosis *d, const struct imp_host *host,
			   const struct imp_image *image)
{
	struct imp_host *here = imp_arena_alloc(&d->arena, sizeof(*here));
	struct imp_failures failures;
	const char *why;

	*here = *host;
	/* A program may have changed its root in the middle of a run. */
	here->enabled = host->enabled && (!image->started || imp_host_matches_image(image, &why));
	imp_failures_find(d, here, image, &failures);
	for (size_t i = 0; i < failures.n; i++) {
		struct imp_failure *f = failures.v[i];
		struct imp_finding *finding = f->root.f;

		finding->fatal = f->fate != IMP_FATE_HANDLED;
		finding->optional = !finding->fatal && (finding->optional || provided_for(f));
		surfaced(f);
		say_chain(d, f);
		say_fate(d, f);
		if (handed_over(d, image, finding))
			continue;
		*imp_vec_push(&d->arena, &d->findings) = finding;
		if (finding->fatal && finding->image != image)
			*imp_vec_push(&d->arena, &d->sent) = finding;
	}
}

/* Fatal, then handled, then optional; each in the order of time. */
static int compare_findings(const void *a, const void *b)
{
	const struct imp_finding *x = *(const struct imp_finding *const *)a;
	const struct imp_finding *y = *(const struct imp_finding *const *)b;

	if (x->fatal != y->fatal)
		return y->fatal - x->fatal;
	if (x->optional != y->optional)
		return x->optional - y->optional;
	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

/* The program took away from itself what recording takes, and was not refused: IMP_NOTE_SECCOMP. */
static bool ended_by_seccomp(const struct imp_image *image)
{
	for (size_t n = image->notes.n; n-- > 0;)
		if (image->notes.v[n].note == IMP_NOTE_SECCOMP)
			return !image->notes.v[n].err;
	return false;
}

/* By what it may have lost the trace from its reach: IMP_NOTE_REACH; NULL: nothing. */
static const char *out_of_reach(const struct imp_image *image)
{
	for (size_t n = image->notes.n; n-- > 0;)
		if (image->notes.v[n].note == IMP_NOTE_REACH)
			return image->notes.v[n].text ? image->notes.v[n].text : "a system call";
	return NULL;
}

/* What it then became by exec could not write either, where there is nothing of it. */
static bool followed(const struct imp_image *image)
{
	return image->next_of_pid && image->next_of_pid->image_ns > image->image_ns;
}

/* A child that its parent sent away, as a pool does with the workers that it no longer needs. */
static bool was_terminated(const struct imp_image *image, pid_t root_pid)
{
	return image->pid != root_pid &&
	       (image->signal == SIGTERM || image->signal == SIGINT || image->signal == SIGHUP);
}

static void check_complete(struct imp_diagnosis *d)
{
	const struct imp_record *r = d->record;

	d->complete = !r->damage.n && r->images.n;
	if (!r->images.n)
		note(d,
		     "the trace has a beginning and nothing more: no event of the program could be written to it");
	for (size_t i = 0; i < r->damage.n; i++)
		note(d, r->damage.v[i]);
	for (size_t i = 0; i < r->images.n; i++) {
		const struct imp_image *image = r->images.v[i];

		if (image->lost) {
			d->complete = false;
			note(d, imp_arena_printf(&d->arena, "process %d lost %llu events",
						 image->pid, (unsigned long long)image->lost));
		}
		for (size_t n = 0; n < image->notes.n; n++)
			if (image->notes.v[n].note == IMP_NOTE_WRITE_FAILED)
				note(d,
				     imp_arena_printf(
					     &d->arena,
					     "process %d could not write to the trace for a while: %s",
					     image->pid, strerror(image->notes.v[n].err)));
			else if (image->notes.v[n].note == IMP_NOTE_HOOKS_FAILED)
				note(d,
				     imp_arena_printf(
					     &d->arena,
					     "the imports of a Python in process %d could not be recorded%s%s",
					     image->pid, image->notes.v[n].text ? ": " : "",
					     image->notes.v[n].text ? image->notes.v[n].text : ""));
		if (image->signal && !was_terminated(image, d->record->root_pid)) {
			d->complete = false;
			note(d, imp_arena_printf(
					&d->arena, "process %d (%s) was killed by signal %d",
					image->pid, image->exe ? image->exe : "?", image->signal));
		} else if (ended_by_seccomp(image)) {
			d->complete = false;
			note(d,
			     imp_arena_printf(
				     &d->arena,
				     "process %d (%s) forbade itself system calls that recording takes (seccomp): "
				     "what it did from then on is not in the record",
				     image->pid, image->exe ? image->exe : "?"));
		} else if (out_of_reach(image) && image->started && !image->ended) {
			d->complete = false;
			note(d,
			     imp_arena_printf(
				     &d->arena,
				     "process %d (%s) has no end in the record: after %s() it may not have reached "
				     "the trace any more, or it was killed",
				     image->pid, image->exe ? image->exe : "?",
				     out_of_reach(image)));
		} else if (out_of_reach(image) && image->execs.n && image->ended &&
			   !image->code_known && !followed(image)) {
			d->complete = false;
			note(d,
			     imp_arena_printf(
				     &d->arena,
				     "process %d (%s) became another program after %s(), and of that there is nothing: "
				     "it may not have reached the trace",
				     image->pid, image->exe ? image->exe : "?",
				     out_of_reach(image)));
		} else if (image->started && !image->ended && !image->waited) {
			d->complete = false;
			note(d,
			     imp_arena_printf(
				     &d->arena,
				     "process %d (%s) has no end in the record: it was killed, or still runs",
				     image->pid, image->exe ? image->exe : "?"));
		}
	}
}

/* It was there when imptrace came: who asked for it, and where it was looked for, is not known. */
static void find_present(struct imp_diagnosis *d, const struct imp_image *image, const char *module)
{
	for (size_t i = 0; i < image->modules.n; i++) {
		const struct imp_present_module *m = &image->modules.v[i];
		struct imp_loaded *l;

		if (strcmp(m->name, module))
			continue;
		l = imp_vec_push(&d->arena, &d->loaded);
		l->module = m->name;
		l->path = m->origin;
		l->loader = m->loader;
		l->pid = image->pid;
		return;
	}
}

static void find_loaded(struct imp_diagnosis *d, const char *module)
{
	for (size_t i = 0; i < d->record->images.n; i++) {
		const struct imp_image *image = d->record->images.v[i];

		find_present(d, image, module);
		for (size_t k = 0; k < image->attempts.n; k++) {
			const struct imp_attempt *at = image->attempts.v[k];
			struct imp_loaded *l;

			if (!at->ended || at->exception || strcmp(at->name, module))
				continue;
			l = imp_vec_push(&d->arena, &d->loaded);
			l->module = at->name;
			l->path = at->outcome->origin;
			l->loader = at->outcome->loader;
			l->pid = image->pid;
			l->importer = *at->frame;
			for (size_t s = 0; s < at->outcome->searched.n; s++)
				if (at->outcome->searched.v[s].result == IMP_SEARCH_FOUND)
					l->entry = at->outcome->searched.v[s].entry;
			break;
		}
	}
}

void imp_diagnose(struct imp_diagnosis *d, const struct imp_record *record,
		  const struct imp_host *host, const char *module)
{
	*d = (struct imp_diagnosis){.record = record};
	d->sentences.arena = &d->arena;
	check_complete(d);
	for (size_t i = 0; i < record->images.n; i++) {
		if (record->watch.step)
			record->watch.step(record->watch.data, IMP_WATCH_JUDGING, i,
					   record->images.n);
		diagnose_image(d, host, record->images.v[i]);
	}
	if (d->findings.n)
		qsort(d->findings.v, d->findings.n, sizeof(*d->findings.v), compare_findings);
	if (module)
		find_loaded(d, module);
}

void imp_diagnosis_clear(struct imp_diagnosis *d)
{
	imp_interner_clear(&d->sentences);
	imp_arena_clear(&d->arena);
	*d = (struct imp_diagnosis){0};
}

bool imp_diagnosis_fatal(const struct imp_diagnosis *d)
{
	for (size_t i = 0; i < d->findings.n; i++)
		if (d->findings.v[i]->fatal)
			return true;
	return false;
}
