/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "judge.h"

#include <string.h>

#include "../python/installer.h"
#include "native_stack.h"
#include "vain_loads.h"

const char *imp_judge_runpy_module(const struct imp_case *c)
{
	static const char missing[] = "No module named ";
	const struct imp_exception *e = c->exception;
	const char *name;

	if (!e || !e->type || strcmp(e->type, "runpy._Error") || !e->message)
		return NULL;
	name = strstr(e->message, missing);
	if (!name)
		return imp_case_quoted(c, e->message,
				       "Error while finding module specification for ");
	name += sizeof(missing) - 1;
	name += strspn(name, "'");
	return imp_arena_strndup(c->a, name, strcspn(name, "';: "));
}

bool imp_judge_not_found(const struct imp_case *c)
{
	const struct imp_exception *e = c->exception;

	if (imp_judge_runpy_module(c))
		return true;
	if (!e || !e->type || strcmp(e->type, "ModuleNotFoundError") || c->extension ||
	    e->where.file)
		return false;
	if (!c->attempt)
		return false;
	return e->name ? !strcmp(e->name, c->attempt->name) :
			 imp_case_has(e->message, c->attempt->name);
}

static const char *entry_result(const struct imp_case *c, const struct imp_entry *e)
{
	switch (e->state) {
	case IMP_PATH_ABSENT: return "missing";
	case IMP_PATH_UNREADABLE: return "unreadable";
	case IMP_PATH_FILE: return e->candidates.n ? "near-miss" : "absent";
	case IMP_PATH_DIRECTORY:
	case IMP_PATH_OTHER: break;
	}
	for (size_t i = 0; c->attempt && i < c->attempt->outcome->searched.n; i++) {
		const struct imp_searched *s = &c->attempt->outcome->searched.v[i];

		if (!s->entry || strcmp(s->entry, e->entry))
			continue;
		if (s->result == IMP_SEARCH_FOUND)
			return "found";
		if (s->result == IMP_SEARCH_NAMESPACE)
			return "namespace";
		if (s->result == IMP_SEARCH_ERROR)
			return "error";
	}
	return e->candidates.n ? "near-miss" : "absent";
}

void imp_judge_searched(struct imp_case *c)
{
	static const char *const results[] = {
		[IMP_SEARCH_ABSENT] = "absent",
		[IMP_SEARCH_FOUND] = "found",
		[IMP_SEARCH_NAMESPACE] = "namespace",
		[IMP_SEARCH_ERROR] = "error",
	};

	if (c->snapshot && c->snapshot->sys_modules == IMP_MODULE_NONE)
		return; /* the entry in sys.modules ended it: nothing was searched */
	if (c->snapshot && imp_judge_not_found(c)) {
		for (size_t i = 0; i < c->snapshot->entries.n; i++) {
			const struct imp_entry *e = &c->snapshot->entries.v[i];
			struct imp_searched_entry *s = imp_vec_push(c->a, &c->f->searched);

			s->entry = e->entry;
			s->finder = e->finder;
			s->result = entry_result(c, e);
			for (size_t j = 0; j < e->candidates.n; j++)
				*imp_vec_push(c->a, &s->candidates) = e->candidates.v[j].name;
		}
		return;
	}
	for (size_t i = 0; c->attempt && i < c->attempt->outcome->searched.n; i++) {
		const struct imp_searched *from = &c->attempt->outcome->searched.v[i];
		struct imp_searched_entry *s = imp_vec_push(c->a, &c->f->searched);

		s->entry = from->entry;
		s->finder = from->finder;
		s->result = results[from->result];
	}
}

/* The finding is about another module than the one whose import failed: show where that one was looked for. */
static void searched_of(struct imp_case *c, const char *module)
{
	struct imp_case other = *c;

	c->f->searched.n = 0;
	other.snapshot = NULL;
	other.attempt = NULL;
	for (size_t i = 0; i < c->image->attempts.n; i++)
		if (c->image->attempts.v[i]->begin_ns <= c->time_ns &&
		    !strcmp(c->image->attempts.v[i]->name, module))
			other.attempt = c->image->attempts.v[i];
	imp_judge_searched(&other);
}

static void fill_importers(struct imp_case *c)
{
	struct imp_frame *copy;
	size_t n = 0;

	if (!c->attempt) {
		for (size_t i = 0; c->traceback && i < c->traceback->n; i++)
			*imp_vec_push(c->a, &c->f->importers) = c->traceback->v[i];
		if (!c->f->importers.n && c->exception && c->exception->where.file)
			*imp_vec_push(c->a, &c->f->importers) = c->exception->where;
		return;
	}
	if (c->attempt->outcome->stack.n) {
		for (size_t i = 0; i < c->attempt->outcome->stack.n; i++)
			*imp_vec_push(c->a, &c->f->importers) = c->attempt->outcome->stack.v[i];
		return;
	}
	/* No stack was recorded: each attempt around it knows who asked. Native code asks in its caller's name. */
	for (const struct imp_attempt *at = c->attempt; at && n < 1000; at = at->parent)
		n++;
	copy = imp_arena_alloc(c->a, (n + 1) * sizeof(*copy));
	for (const struct imp_attempt *at = c->attempt; at && n; at = at->parent)
		copy[--n] = *at->frame;
	for (const struct imp_attempt *at = c->attempt; at; at = at->parent, copy++) {
		const struct imp_frame *last =
			c->f->importers.n ? &c->f->importers.v[c->f->importers.n - 1] : NULL;

		if (copy->file &&
		    (!last || strcmp(last->file, copy->file) || last->line != copy->line))
			*imp_vec_push(c->a, &c->f->importers) = *copy;
	}
}

/* The file that a finder found in @entry: the exception came before any code of it ran. */
const char *imp_judge_source_in(const struct imp_case *c, const char *entry)
{
	const char *tail = imp_case_tail(c);
	const char *file = imp_case_join(c, entry, imp_arena_printf(c->a, "%s.py", tail));
	const char *init = imp_case_join(c, entry, imp_arena_printf(c->a, "%s/__init__.py", tail));

	return imp_host_exists(c->host, init) == 1 ? init : file;
}

/* What the finding is about, where no module is known. */
static const char *subject(const struct imp_case *c)
{
	const char *file = c->exception->where.file;

	return *c->module	      ? c->module :
	       file && file[0] != '<' ? file :
	       c->f->path	      ? c->f->path :
					"the program";
}

static bool no_syntax(const struct imp_exception *e)
{
	static const char *const types[] = {"SyntaxError", "IndentationError", "TabError"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(imp_case_text(e->type), types[i]))
			return true;
	return imp_case_has(e->message, "cannot contain null bytes");
}

/*
 * Who raised it: the innermost frame of its traceback outside of the import machinery tells. Where there is none (a
 * source that does not compile, a directory that cannot be read), no code of the module is known to have run.
 */
static const char *say_who(const struct imp_case *c)
{
	const struct imp_exception *e = c->exception;
	const struct imp_frame *where = &e->where;
	const char *type = e->type ? e->type : "an exception";
	const char *colon = e->message && *e->message ? ": " : "";
	const char *text = e->message ? e->message : "", *by;

	if (where->file && (!*c->module || !strcmp(imp_case_text(where->module), c->module)))
		return imp_arena_printf(c->a, "The code of %s raised %s%s%s", subject(c), type,
					colon, text);
	if (!where->file && c->attempt && c->f->path && no_syntax(e))
		return imp_arena_printf(c->a, "%s could not be compiled: %s%s%s", c->f->path, type,
					colon, text);
	if (!where->file && c->attempt)
		return imp_arena_printf(c->a, "The import of %s failed with %s%s%s", c->module,
					type, colon, text);
	if (!where->file)
		return imp_arena_printf(c->a, "%s failed with %s%s%s", subject(c), type, colon,
					text);
	by = where->module ? where->module : where->file;
	by = where->function && where->function[0] != '<' ?
		     imp_arena_printf(c->a, "%s() of %s", where->function, by) :
		     imp_arena_printf(c->a, "the code of %s", by);
	if (c->attempt)
		return imp_arena_printf(c->a,
					"The import of %s was ended by %s, which %s raised%s%s",
					c->module, type, by, colon, text);
	return imp_arena_printf(c->a,
				"%s raised %s, and no import in the record had failed with it%s%s",
				by, type, colon, text);
}

/* The loader needs one more descriptor than the process may have (RLIMIT_NOFILE). */
static void remedy_descriptors(struct imp_case *c)
{
	imp_finding_fix(
		c->a, c->f, IMP_POSSIBLE, "ulimit -n \"$(ulimit -Hn)\"",
		"lets the process open as many files as the hard limit allows, if it had not lowered the limit itself");
	imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL,
			"close what it no longer needs: see ls -l /proc/PID/fd while it runs");
}

void imp_judge_unknown(struct imp_case *c)
{
	struct imp_finding *f = c->f;
	const struct imp_exception *e = c->exception;

	f->cause = IMP_CAUSE_UNKNOWN;
	f->optional = !c->extension;
	if (!f->path && c->extension)
		f->path = c->extension->path;
	if (!f->path && e->path)
		f->path = e->path;
	/* "<string>" and "<frozen os>" are no files; what the library raised was for the module's own code. */
	if (!f->path && e->where.file && e->where.file[0] != '<' &&
	    !imp_case_stdlib(c, e->where.file))
		f->path = e->where.file;
	for (size_t i = 0; !f->path && c->attempt && i < c->attempt->outcome->searched.n; i++)
		if (c->attempt->outcome->searched.v[i].result == IMP_SEARCH_FOUND)
			f->path = imp_judge_source_in(c, c->attempt->outcome->searched.v[i].entry);
	if (imp_case_has(e->message, "attempted relative import")) {
		f->summary = imp_arena_printf(
			c->a, "A relative import was used outside of its package: %s", e->message);
		imp_remedy_run_script_as_module(c);
		imp_finding_fix(
			c->a, f, IMP_LIKELY, NULL,
			"run the file as a part of its package (python -m PACKAGE.MODULE), from the directory that holds the package");
		return;
	}
	/* Before 3.9 an item of sys.path in bytes ends each import that comes to it. */
	if (c->attempt && !e->where.file && !strcmp(imp_case_text(e->type), "TypeError"))
		imp_judge_say_no_strs(c);
	if (imp_case_has(e->message, "cannot open shared object file: Too many open files"))
		remedy_descriptors(c);
	if (c->extension)
		f->summary = imp_arena_printf(c->a, "%s was found, and could not be loaded: %s",
					      c->module, e->message ? e->message : e->type);
	else if (c->load)
		f->summary = imp_arena_printf(c->a, "%s could not be loaded: %s", c->load->name,
					      c->load->error);
	else
		f->summary = say_who(c);
	for (e = e->cause; e; e = e->cause)
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "it was raised because of %s: %s",
				     e->type ? e->type : "an exception", imp_case_text(e->message));
}

/* What is true of every finding: which interpreter, and through which errors it came to be raised. */
static void common_evidence(struct imp_case *c)
{
	const struct imp_exception *e = c->exception;

	if (e && e->where.file)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "%s was raised at %s:%u, in %s",
				     e->type ? e->type : "the exception", e->where.file,
				     e->where.line, e->where.function ? e->where.function : "?");
	/* PyErr_Print() within the import: a library told its own reason, and raised another one. */
	for (size_t i = 0; c->attempt && i < c->image->uncaught.n; i++) {
		const struct imp_uncaught_event *u = c->image->uncaught.v[i];

		if (u->exception && u->thread == c->thread && u->time_ns > c->attempt->begin_ns &&
		    u->time_ns < c->time_ns)
			imp_finding_evidence(
				c->a, c->f, IMP_OBSERVED, "before that it printed %s: %s",
				u->exception->type ? u->exception->type : "an exception",
				u->exception->message ? u->exception->message : "");
	}
	if (c->py && c->image->exe && imp_installer_is_guessed(c->host, c->a, c->image, c->py))
		imp_finding_evidence(
			c->a, c->f, IMP_OBSERVED,
			"the interpreter is %s, within %s; sys.executable, %s, is another program",
			imp_case_python(c), c->image->exe, c->py->executable);
	else if (c->py && c->py->executable && *c->py->executable)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the interpreter is %s, %s",
				     imp_case_python(c), c->py->executable);
	else if (c->py && c->image->exe)
		imp_finding_evidence(c->a, c->f, IMP_OBSERVED, "the interpreter is %s, within %s",
				     imp_case_python(c), c->image->exe);
}

static bool judge_absent(struct imp_case *c)
{
	static bool (*const rules[])(struct imp_case *) = {
		imp_judge_blocked,	 imp_judge_finders,	   imp_judge_candidates,
		imp_judge_not_a_package, imp_judge_stacked_copies, imp_judge_editable,
		imp_judge_claims,	 imp_judge_stdlib,	   imp_judge_home,
		imp_judge_elsewhere,
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i](c))
			return true;
	imp_judge_absent(c);
	return true;
}

static bool judge_present(struct imp_case *c)
{
	static bool (*const rules[])(struct imp_case *) = {
		imp_judge_blocked, imp_judge_extension, imp_judge_own_symbol,	imp_judge_compiled,
		imp_judge_denied,  imp_judge_version,	imp_judge_shadowed,	imp_judge_circular,
		imp_judge_damaged, imp_judge_attribute, imp_judge_find_library,
	};

	for (size_t i = 0; c->exception && i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i](c))
			return true;
	return false;
}

void imp_judge(struct imp_case *c)
{
	struct imp_finding *f = c->f;

	f->module = *c->module ? c->module : NULL;
	f->cause = IMP_CAUSE_UNKNOWN;
	f->image = c->image;
	f->attempt = c->attempt;
	f->time_ns = c->time_ns;
	if (c->exception) {
		f->error.type = c->exception->type;
		f->error.message = c->exception->message;
	}
	fill_importers(c);
	imp_native_stack_fill(c);
	imp_judge_searched(c);
	if (!c->exception)
		imp_judge_crash(c);
	else if (c->load && imp_judge_dlopen_error(c, c->load))
		c->f->module = c->attempt ? c->f->module : NULL;
	else if (imp_judge_not_found(c))
		judge_absent(c);
	else if (!judge_present(c))
		imp_judge_unknown(c);
	/* Who asked a module for what it has not: the statement itself, below the import that it is in. */
	if (c->attempt && c->exception && c->exception->where.file &&
	    (f->cause == IMP_CAUSE_SHADOWED || f->cause == IMP_CAUSE_CIRCULAR_IMPORT ||
	     f->cause == IMP_CAUSE_MISSING_ATTRIBUTE || f->cause == IMP_CAUSE_MIXED_INSTALLATION))
		*imp_vec_push(c->a, &f->importers) = c->exception->where;
	if (f->module && *c->module && strcmp(f->module, c->module))
		searched_of(c, f->module);
	common_evidence(c);
	if ((c->exception || c->extension) && f->cause == IMP_CAUSE_UNKNOWN)
		imp_vain_loads_say(c);
	if (!imp_judge_foreign_stdlib(c))
		imp_remedy(c);
	imp_rule_out(c);
}
