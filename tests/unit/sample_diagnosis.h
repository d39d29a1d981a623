/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TESTS_SAMPLE_DIAGNOSIS_H
#define IMP_TESTS_SAMPLE_DIAGNOSIS_H

/*
 * Diagnoses filled in by hand, for the tests of the reports: the failure that this project was made for, and
 * the same failure masked by what followed from it.
 */
#include <string.h>

#include "analyzer/diagnose/finding.h"

#define SAMPLE_DIST    "/usr/lib/python3/dist-packages"
#define SAMPLE_HOME    "/home/ada/.pyenv/versions/3.13.0"
#define SAMPLE_BACKEND "_cffi_backend.cpython-311-x86_64-linux-gnu.so"

struct sample {
	struct imp_diagnosis d;
	struct imp_record record;
	struct imp_image image;
	struct imp_interpreter py;
	struct imp_attempt attempt;
	struct imp_finding finding;
};

static inline void sample_string(struct sample *s, struct imp_strings *to, const char *text)
{
	*imp_vec_push(&s->d.arena, to) = text;
}

static inline void sample_searched(struct sample *s, const char *entry, const char *finder,
				   const char *result, const char *candidate)
{
	struct imp_searched_entry *e = imp_vec_push(&s->d.arena, &s->finding.searched);

	e->entry = entry;
	e->finder = finder;
	e->result = result;
	if (candidate)
		sample_string(s, &e->candidates, candidate);
}

static inline void sample_importer(struct sample *s, const char *file, unsigned int line,
				   const char *function, const char *module)
{
	struct imp_frame *frame = imp_vec_push(&s->d.arena, &s->finding.importers);

	*frame = (struct imp_frame){
		.file = file, .line = line, .function = function, .module = module};
}

/* A process with an interpreter, and nothing wrong. */
static inline void sample_init(struct sample *s)
{
	struct imp_sys_path *path;

	memset(s, 0, sizeof(*s));
	s->py = (struct imp_interpreter){
		.version = "3.13.0 (main, Nov 20 2024, 21:45:07) [GCC 12.2.0]",
		.implementation = "cpython",
		.cache_tag = "cpython-313",
		.executable = SAMPLE_HOME "/bin/python3.13",
		.prefix = SAMPLE_HOME,
		.base_prefix = SAMPLE_HOME,
	};
	sample_string(s, &s->py.suffixes, ".cpython-313-x86_64-linux-gnu.so");
	sample_string(s, &s->py.suffixes, ".abi3.so");
	sample_string(s, &s->py.suffixes, ".so");
	path = imp_vec_push(&s->d.arena, &s->py.paths);
	sample_string(s, &path->path, "/early");
	path = imp_vec_push(&s->d.arena, &s->py.paths);
	sample_string(s, &path->path, "/home/ada/notes");
	sample_string(s, &path->path, SAMPLE_DIST);

	s->image = (struct imp_image){
		.pid = 4711,
		.ppid = 4242,
		.started = true,
		.exe = SAMPLE_HOME "/bin/python3.13",
		.code_known = true,
		.code = 1,
	};
	sample_string(s, &s->image.argv, "python3.13");
	sample_string(s, &s->image.argv, "fetch.py");
	*imp_vec_push(&s->d.arena, &s->image.interpreters) = &s->py;
	s->attempt = (struct imp_attempt){.id = 1,
					  .name = "_cffi_backend",
					  .ended = true,
					  .frame = &imp_no_frame,
					  .outcome = &imp_no_outcome};
	for (int i = 0; i < 149; i++)
		*imp_vec_push(&s->d.arena, &s->image.attempts) = &s->attempt;
	*imp_vec_push(&s->d.arena, &s->record.images) = &s->image;
	s->d.record = &s->record;
	s->d.complete = true;
}

static inline void sample_clear(struct sample *s)
{
	imp_arena_clear(&s->d.arena);
}

/* Debian's cryptography, imported by another CPython. */
static inline void sample_headline(struct sample *s)
{
	struct imp_finding *f = &s->finding;
	struct imp_arena *a = &s->d.arena;

	sample_init(s);
	*f = (struct imp_finding){
		.module = "_cffi_backend",
		.cause = IMP_CAUSE_ABI_TAG_MISMATCH,
		.fatal = true,
		.image = &s->image,
		.attempt = &s->attempt,
		.summary =
			"_cffi_backend is there, but built for CPython 3.11: CPython 3.13.0 does not accept "
			"the tag in the name of " SAMPLE_DIST "/" SAMPLE_BACKEND,
		.path = SAMPLE_DIST "/" SAMPLE_BACKEND,
		.error = {"ModuleNotFoundError", "No module named '_cffi_backend'"},
	};
	sample_importer(s, "fetch.py", 10, "<module>", "__main__");
	sample_importer(s, "/home/ada/notes/supabase_client/__init__.py", 4, "<module>",
			"supabase_client");
	sample_importer(s, "/home/ada/notes/supabase_client/auth.py", 7, "<module>",
			"supabase_client.auth");
	sample_importer(s, SAMPLE_DIST "/jwt/__init__.py", 1, "<module>", "jwt");
	sample_importer(s, SAMPLE_DIST "/cryptography/exceptions.py", 9, "<module>",
			"cryptography.exceptions");
	sample_importer(s, SAMPLE_DIST "/cryptography/hazmat/bindings/_rust.abi3.so", 0, NULL, NULL);
	sample_searched(s, "/home/ada/notes", "FileFinder", "absent", NULL);
	sample_searched(s, SAMPLE_DIST, "FileFinder", "near-miss", SAMPLE_BACKEND);
	sample_searched(s, SAMPLE_HOME "/lib/python313.zip", NULL, "missing", NULL);
	sample_searched(s, SAMPLE_HOME "/lib/python3.13", "FileFinder", "absent", NULL);
	sample_searched(s, SAMPLE_HOME "/lib/python3.13/lib-dynload", "FileFinder", "absent", NULL);
	sample_searched(s, SAMPLE_HOME "/lib/python3.13/site-packages", "FileFinder", "absent",
			NULL);
	imp_finding_evidence(a, f, IMP_OBSERVED,
			     "%s lay in %s, which was searched, and was passed over",
			     SAMPLE_BACKEND, SAMPLE_DIST);
	imp_finding_evidence(a, f, IMP_DERIVED,
			     "its tag cpython-311 stands for CPython 3.11; this is %s",
			     "CPython 3.13.0");
	imp_finding_evidence(a, f, IMP_OBSERVED, "PYTHONPATH=%s put that directory on the path",
			     SAMPLE_DIST);
	imp_finding_fix(
		a, f, IMP_CERTAIN,
		SAMPLE_HOME "/bin/python3.13 -m pip install --force-reinstall cffi",
		"installs _cffi_backend, built for CPython 3.13, where this interpreter searches");
	imp_finding_fix(a, f, IMP_LIKELY, "/usr/bin/python3.11 fetch.py",
			"runs the program with the interpreter that the file was built for");
	imp_finding_fix(a, f, IMP_POSSIBLE, NULL,
			"take %s off PYTHONPATH: its modules are meant for Debian's own Python",
			SAMPLE_DIST);
	imp_finding_rule_out(a, f, IMP_CAUSE_NOT_INSTALLED, "a file of that module is in %s",
			     SAMPLE_DIST);
	imp_finding_rule_out(a, f, IMP_CAUSE_MISSING_SHARED_LIBRARY,
			     "dlopen was never called for it, so libffi can't be what is missing");
	imp_finding_rule_out(a, f, IMP_CAUSE_CORRUPT_FILE, "no file of it was opened");
	*imp_vec_push(a, &s->d.findings) = f;
}

/* The same root; what the user sees is PyO3's refusal of the second attempt. */
static inline void sample_masked(struct sample *s)
{
	sample_headline(s);
	s->finding.surfaced = (struct imp_error_text){
		"ImportError",
		"PyO3 modules compiled for CPython 3.8 or older may only be initialized once per "
		"interpreter process",
	};
	sample_string(s, &s->finding.affected, "jwt");
}

#endif
