/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chains of failures, led to their roots: records built by hand, diagnosed without a host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../analyzer/diagnose/diagnose.h"

#define DIST "/usr/lib/python3/dist-packages"

struct world {
	struct imp_record record;
	struct imp_image *image;
	struct imp_interpreter *py;
	uint64_t now;
	uint64_t next_id;
};

static const struct imp_host no_host = {.enabled = false};

static void *make(struct world *w, size_t size)
{
	return imp_arena_alloc(&w->record.arena, size);
}

static void begin_world(struct world *w)
{
	struct imp_sys_path *path;

	*w = (struct world){.now = 1000000000ULL};
	w->image = make(w, sizeof(*w->image));
	*imp_vec_push(&w->record.arena, &w->record.images) = w->image;
	w->image->pid = 4242;
	w->image->started = w->image->ended = true;
	w->image->exe = "/usr/bin/python3.13";
	w->py = make(w, sizeof(*w->py));
	*imp_vec_push(&w->record.arena, &w->image->interpreters) = w->py;
	w->py->version = "3.13.0 (main)";
	w->py->implementation = "cpython";
	w->py->abiflags = "";
	w->py->executable = "/usr/bin/python3.13";
	w->py->stdlib = "/usr/lib/python3.13";
	*imp_vec_push(&w->record.arena, &w->py->suffixes) = ".cpython-313-x86_64-linux-gnu.so";
	*imp_vec_push(&w->record.arena, &w->py->suffixes) = ".abi3.so";
	*imp_vec_push(&w->record.arena, &w->py->suffixes) = ".so";
	path = imp_vec_push(&w->record.arena, &w->py->paths);
	path->phase = IMP_PHASE_START;
	*imp_vec_push(&w->record.arena, &path->path) = "/usr/lib/python3.13";
	*imp_vec_push(&w->record.arena, &path->path) = DIST;
}

static struct imp_attempt *begin(struct world *w, const char *name, struct imp_attempt *parent)
{
	struct imp_attempt *at = make(w, sizeof(*at));

	at->id = ++w->next_id;
	at->name = name;
	at->parent = parent;
	at->thread = 4242;
	at->frame = &imp_no_frame;
	at->outcome = &imp_no_outcome;
	at->begin_ns = w->now += 1000;
	*imp_vec_push(&w->record.arena, &w->image->attempts) = at;
	return at;
}

static struct imp_exception *exception(struct world *w, const char *type, const char *message,
				       uint64_t id)
{
	struct imp_exception *e = make(w, sizeof(*e));

	e->type = type;
	e->message = message;
	e->id = id;
	return e;
}

static void end(struct world *w, struct imp_attempt *at, struct imp_exception *e)
{
	at->ended = true;
	at->end_ns = w->now += 1000;
	at->exception = e;
}

/* An attempt for which the finder finds nothing. */
static struct imp_attempt *not_found(struct world *w, const char *name, struct imp_attempt *parent,
				     uint64_t id)
{
	struct imp_attempt *at = begin(w, name, parent);
	struct imp_exception *e = exception(w, "ModuleNotFoundError", "", id);
	struct imp_outcome *outcome = make(w, sizeof(*outcome));
	struct imp_entry *entry;

	e->message = imp_arena_printf(&w->record.arena, "No module named '%s'", name);
	e->name = name;
	end(w, at, e);
	outcome->snapshot = make(w, sizeof(*outcome->snapshot));
	at->outcome = outcome;
	entry = imp_vec_push(&w->record.arena, &outcome->snapshot->entries);
	entry->entry = DIST;
	entry->finder = "FileFinder";
	entry->state = IMP_PATH_DIRECTORY;
	return at;
}

static void add_candidate(struct world *w, struct imp_attempt *at, const char *file)
{
	struct imp_candidate *cand =
		imp_vec_push(&w->record.arena, &at->outcome->snapshot->entries.v[0].candidates);

	cand->name = file;
	cand->stat = (struct imp_stat){.known = true, .mode = 0100644, .size = 1};
	cand->on_disk = cand->in_cache = cand->in_cache_known = true;
}

static void uncaught(struct world *w, struct imp_exception *e)
{
	struct imp_uncaught_event *u = make(w, sizeof(*u));

	u->how = IMP_UNCAUGHT_MAIN;
	u->exception = e;
	u->thread = 4242;
	u->time_ns = w->now += 1000;
	*imp_vec_push(&w->record.arena, &w->image->uncaught) = u;
}

static struct imp_extension_call *extension(struct world *w, struct imp_attempt *at,
					    const char *path)
{
	struct imp_extension_call *x = make(w, sizeof(*x));

	x->step = IMP_STEP_CREATE;
	x->name = at->name;
	x->path = path;
	x->attempt = at;
	x->thread = at->thread;
	x->begin_ns = w->now += 1000;
	*imp_vec_push(&w->record.arena, &w->image->extensions) = x;
	return x;
}

static void diagnose(struct world *w, struct imp_diagnosis *d)
{
	w->image->end_ns = w->now += 1000;
	imp_diagnose(d, &w->record, &no_host, NULL);
}

static void end_world(struct world *w, struct imp_diagnosis *d)
{
	imp_diagnosis_clear(d);
	imp_arena_clear(&w->record.arena);
}

static void test_passes_through(void **state)
{
	struct imp_attempt *a, *b, *c;
	struct imp_diagnosis d;
	struct world w;

	(void)state;
	begin_world(&w);
	a = begin(&w, "app", NULL);
	b = begin(&w, "app.core", a);
	c = not_found(&w, "_cffi_backend", b, 77);
	add_candidate(&w, c, "_cffi_backend.cpython-311-x86_64-linux-gnu.so");
	end(&w, b, c->exception);
	end(&w, a, c->exception);
	uncaught(&w, c->exception);
	diagnose(&w, &d);
	assert_int_equal(d.findings.n, 1);
	assert_string_equal(d.findings.v[0]->module, "_cffi_backend");
	assert_int_equal(d.findings.v[0]->cause, IMP_CAUSE_ABI_TAG_MISMATCH);
	assert_true(d.findings.v[0]->fatal);
	assert_null(d.findings.v[0]->surfaced.type);
	assert_string_equal(d.findings.v[0]->path,
			    DIST "/_cffi_backend.cpython-311-x86_64-linux-gnu.so");
	assert_int_equal(d.findings.v[0]->affected.n, 2);
	assert_true(imp_diagnosis_fatal(&d));
	end_world(&w, &d);
}

/* The first initialization fails inside, is swallowed, and the second is refused. */
static void test_masked_by_refusal(void **state)
{
	struct imp_extension_call *x;
	struct imp_attempt *first, *second, *inner;
	struct imp_exception *refusal;
	struct imp_diagnosis d;
	struct world w;

	(void)state;
	begin_world(&w);
	first = begin(&w, "_rust", NULL);
	x = extension(&w, first, DIST "/_rust.abi3.so");
	inner = not_found(&w, "_cffi_backend", first, 5);
	add_candidate(&w, inner, "_cffi_backend.cpython-311-x86_64-linux-gnu.so");
	x->ended = true;
	x->end_ns = w.now += 1000;
	x->exception = inner->exception;
	end(&w, first, inner->exception);
	second = begin(&w, "_rust", NULL);
	x = extension(&w, second, DIST "/_rust.abi3.so");
	refusal = exception(&w, "ImportError",
			    "PyO3 modules compiled for CPython 3.8 or older may only be "
			    "initialized once per interpreter process",
			    6);
	x->ended = true;
	x->end_ns = w.now += 1000;
	x->exception = refusal;
	end(&w, second, refusal);
	uncaught(&w, refusal);
	diagnose(&w, &d);
	assert_int_equal(d.findings.n, 1);
	assert_string_equal(d.findings.v[0]->module, "_cffi_backend");
	assert_int_equal(d.findings.v[0]->cause, IMP_CAUSE_ABI_TAG_MISMATCH);
	assert_string_equal(d.findings.v[0]->surfaced.message, refusal->message);
	end_world(&w, &d);
}

static void test_own_text_of_a_package(void **state)
{
	struct imp_exception *text;
	struct imp_attempt *pkg, *inner;
	struct imp_diagnosis d;
	struct world w;

	(void)state;
	begin_world(&w);
	pkg = begin(&w, "numpy", NULL);
	inner = not_found(&w, "numpy._core", pkg, 9);
	inner->outcome->snapshot->entries.v[0].of_package = true;
	add_candidate(&w, inner, "_core.cpython-311-x86_64-linux-gnu.so");
	text = exception(&w, "ImportError", "IMPORTANT: PLEASE READ THIS", 10);
	text->cause = exception(&w, inner->exception->type, inner->exception->message, 9);
	text->where = (struct imp_frame){
		.file = DIST "/numpy/__init__.py", .line = 7, .function = "<module>"};
	end(&w, pkg, text);
	uncaught(&w, text);
	diagnose(&w, &d);
	assert_int_equal(d.findings.n, 1);
	assert_string_equal(d.findings.v[0]->module, "numpy._core");
	assert_string_equal(d.findings.v[0]->surfaced.message, "IMPORTANT: PLEASE READ THIS");
	end_world(&w, &d);
}

/* Two modules tried one after the other: the second one ended the program, the first is no root. */
static void test_alternatives(void **state)
{
	struct imp_attempt *fast, *slow;
	struct imp_diagnosis d;
	struct world w;

	(void)state;
	begin_world(&w);
	fast = not_found(&w, "fastjson", NULL, 3);
	slow = not_found(&w, "slowjson", NULL, 4);
	slow->exception->context = exception(&w, fast->exception->type, fast->exception->message, 3);
	uncaught(&w, slow->exception);
	diagnose(&w, &d);
	assert_int_equal(d.findings.n, 2);
	assert_string_equal(d.findings.v[0]->module, "slowjson");
	assert_true(d.findings.v[0]->fatal);
	assert_false(d.findings.v[1]->fatal);
	assert_true(d.findings.v[1]->optional);
	end_world(&w, &d);
}

/* The address of a freed exception is used again: type and text must agree as well. */
static void test_reused_address(void **state)
{
	struct imp_attempt *bad;
	struct imp_diagnosis d;
	struct world w;

	(void)state;
	begin_world(&w);
	not_found(&w, "optional_thing", NULL, 8);
	bad = not_found(&w, "needed_thing", NULL, 8);
	uncaught(&w, bad->exception);
	diagnose(&w, &d);
	assert_int_equal(d.findings.n, 2);
	assert_string_equal(d.findings.v[0]->module, "needed_thing");
	assert_false(d.findings.v[1]->fatal);
	end_world(&w, &d);
}

static void test_handled_only(void **state)
{
	struct imp_attempt *at;
	struct imp_diagnosis d;
	struct world w;

	(void)state;
	begin_world(&w);
	not_found(&w, "optional_thing", NULL, 8);
	at = not_found(&w, "_speedups", NULL, 9);
	add_candidate(&w, at, "_speedups.cpython-39-x86_64-linux-gnu.so");
	diagnose(&w, &d);
	assert_false(imp_diagnosis_fatal(&d));
	assert_int_equal(d.findings.n, 2);
	assert_string_equal(d.findings.v[0]->module, "_speedups");
	assert_false(d.findings.v[0]->optional);
	assert_true(d.findings.v[1]->optional);
	end_world(&w, &d);
}

/* An uncaught error that has nothing to do with importing is none of our business. */
static void test_other_errors(void **state)
{
	struct imp_diagnosis d;
	struct world w;

	(void)state;
	begin_world(&w);
	uncaught(&w, exception(&w, "ValueError", "bad value", 3));
	diagnose(&w, &d);
	assert_int_equal(d.findings.n, 0);
	end_world(&w, &d);
}

/* The traceback of a group shows each of its errors: each ended the program. */
static void test_group(void **state)
{
	struct imp_exception *group, *inner;
	struct imp_attempt *a, *b;
	struct imp_diagnosis d;
	struct world w;

	(void)state;
	begin_world(&w);
	a = not_found(&w, "absent_a", NULL, 3);
	b = not_found(&w, "absent_b", NULL, 4);
	not_found(&w, "optional_thing", NULL, 5);
	inner = exception(&w, "ExceptionGroup", "inner (1 sub-exception)", 6);
	*imp_vec_push(&w.record.arena, &inner->members) =
		exception(&w, b->exception->type, b->exception->message, 4);
	group = exception(&w, "ExceptionGroup", "tasks (3 sub-exceptions)", 7);
	*imp_vec_push(&w.record.arena, &group->members) =
		exception(&w, "ValueError", "bad value", 8);
	*imp_vec_push(&w.record.arena, &group->members) =
		exception(&w, a->exception->type, a->exception->message, 3);
	*imp_vec_push(&w.record.arena, &group->members) = inner;
	uncaught(&w, group);
	diagnose(&w, &d);
	assert_int_equal(d.findings.n, 3);
	assert_string_equal(d.findings.v[0]->module, "absent_a");
	assert_string_equal(d.findings.v[1]->module, "absent_b");
	assert_true(d.findings.v[0]->fatal && d.findings.v[1]->fatal);
	assert_false(d.findings.v[2]->fatal);
	assert_string_equal(d.findings.v[1]->surfaced.message, "tasks (3 sub-exceptions)");
	end_world(&w, &d);
	/* Nothing of it has to do with importing. */
	begin_world(&w);
	group = exception(&w, "ExceptionGroup", "tasks (1 sub-exception)", 7);
	*imp_vec_push(&w.record.arena, &group->members) =
		exception(&w, "ValueError", "bad value", 8);
	uncaught(&w, group);
	diagnose(&w, &d);
	assert_int_equal(d.findings.n, 0);
	end_world(&w, &d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passes_through),
		cmocka_unit_test(test_masked_by_refusal),
		cmocka_unit_test(test_own_text_of_a_package),
		cmocka_unit_test(test_alternatives),
		cmocka_unit_test(test_reused_address),
		cmocka_unit_test(test_handled_only),
		cmocka_unit_test(test_other_errors),
		cmocka_unit_test(test_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
