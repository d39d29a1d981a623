// SPDX-License-Identifier: GPL-2.0-or-later
/* The texts of dlerror(), and demangled names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "diagnose/loader_text.h"
#include "elf/demangle.h"

static struct imp_arena arena;

static int teardown(void **state)
{
	(void)state;
	imp_arena_clear(&arena);
	return 0;
}

static struct imp_loader_text parsed(const char *text, enum imp_loader_complaint complaint)
{
	struct imp_loader_text t;

	assert_true(imp_loader_text_parse(&t, &arena, text));
	assert_int_equal(t.complaint, complaint);
	return t;
}

static void test_open(void **state)
{
	struct imp_loader_text t;

	(void)state;
	t = parsed("libx.so.1: cannot open shared object file: No such file or directory",
		   IMP_LOADER_OPEN);
	assert_string_equal(t.object, "libx.so.1");
	assert_string_equal(t.reason, "No such file or directory");
	t = parsed("/a b/x: y.so: cannot open shared object file: Permission denied",
		   IMP_LOADER_OPEN);
	assert_string_equal(t.object, "/a b/x: y.so");
	assert_string_equal(t.reason, "Permission denied");
}

static void test_symbol(void **state)
{
	struct imp_loader_text t;

	(void)state;
	t = parsed("/a/x.so: undefined symbol: foo", IMP_LOADER_SYMBOL);
	assert_string_equal(t.object, "/a/x.so");
	assert_string_equal(t.symbol, "foo");
	assert_null(t.version);
	t = parsed("/a/x.so: undefined symbol: foo, version FOO_2.0", IMP_LOADER_SYMBOL);
	assert_string_equal(t.symbol, "foo");
	assert_string_equal(t.version, "FOO_2.0");
	t = parsed("/a/x.so: symbol lookup error: undefined symbol: foo", IMP_LOADER_SYMBOL);
	assert_string_equal(t.symbol, "foo");
	t = parsed(
		"/a/x.so: symbol foo, version FOO_2 not defined in file libfoo.so.1 with link time reference",
		IMP_LOADER_SYMBOL);
	assert_string_equal(t.object, "/a/x.so");
	assert_string_equal(t.symbol, "foo");
	assert_string_equal(t.version, "FOO_2");
}

static void test_version(void **state)
{
	struct imp_loader_text t, none;

	(void)state;
	t = parsed("/lib/libc.so.6: version `GLIBC_2.99' not found (required by /a/(b)/x.so)",
		   IMP_LOADER_VERSION);
	assert_string_equal(t.object, "/lib/libc.so.6");
	assert_string_equal(t.version, "GLIBC_2.99");
	assert_string_equal(t.required_by, "/a/(b)/x.so");
	assert_false(imp_loader_text_parse(&none, &arena, "/a/x.so: version `FOO"));
	assert_int_equal(none.complaint, IMP_LOADER_OTHER);
}

static void test_others(void **state)
{
	(void)state;
	assert_string_equal(parsed("/x.so: wrong ELF class: ELFCLASS32", IMP_LOADER_MACHINE).object,
			    "/x.so");
	parsed("/x.so: file too short", IMP_LOADER_FILE);
	assert_string_equal(
		parsed("/x.so: cannot read file data: Is a directory", IMP_LOADER_FILE).reason,
		"Is a directory");
	parsed("/x.so: ELF load command address/offset not page-aligned", IMP_LOADER_PAGE);
	parsed("/x.so: cannot allocate memory in static TLS block", IMP_LOADER_TLS);
	parsed("x.so: cannot enable executable stack as shared object requires: Permission denied",
	       IMP_LOADER_STACK);
	assert_null(
		parsed("/x.so: failed to map segment from shared object", IMP_LOADER_MAP).reason);
	parsed("/x.so: cannot change memory protections: Permission denied", IMP_LOADER_PROTECT);
	assert_null(parsed("file too short", IMP_LOADER_FILE).object);
}

static void test_the_last_one_counts(void **state)
{
	struct imp_loader_text t;

	(void)state;
	/* A directory may be called like a message. */
	t = parsed("/a: file too short/x.so: undefined symbol: f", IMP_LOADER_SYMBOL);
	assert_string_equal(t.object, "/a: file too short/x.so");
	/* What is no message of its own does not count. */
	assert_false(imp_loader_text_parse(&t, &arena, "/a/file too short/x.so: something new"));
	assert_false(imp_loader_text_parse(&t, &arena, ""));
	assert_false(imp_loader_text_parse(&t, &arena, NULL));
}

static void test_demangle(void **state)
{
	const char *name = imp_demangle(&arena, "_ZN6shapes6Circle5namedEi");

	(void)state;
	assert_null(imp_demangle(&arena, "plain_c"));
	assert_null(imp_demangle(&arena, NULL));
	assert_null(imp_demangle(&arena, "_Z"));
	if (!name)
		skip(); /* there is no libstdc++.so.6 here */
	assert_string_equal(name, "shapes::Circle::named(int)");
	assert_string_equal(imp_demangle(&arena, "_ZN4core3fmt5write17h0123456789abcdefE"),
			    "core::fmt::write");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_symbol),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_the_last_one_counts),
		cmocka_unit_test(test_demangle),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
