/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "analyzer/diagnose/finding.h"

/* The codes of the report are an interface: each as it stands in the table of causes. */
static const char *const contract[] = {
	"not-installed",
	"installed-elsewhere",
	"abi-tag-mismatch",
	"broken-installation",
	"mixed-installation",
	"stdlib-extension-not-built",
	"frozen-bundle-incomplete",
	"version-mismatch",
	"shadowed",
	"blocked",
	"stale-finder-cache",
	"not-importable-from-archive",
	"case-mismatch",
	"dangling-symlink",
	"permission-denied",
	"noexec-mount",
	"missing-shared-library",
	"undefined-symbol",
	"symbol-version-missing",
	"wrong-library",
	"libpython-not-global",
	"wrong-elf-machine",
	"wrong-libc",
	"corrupt-file",
	"static-tls-exhausted",
	"executable-stack",
	"page-size-mismatch",
	"memory-limit",
	"illegal-instruction",
	"missing-init-function",
	"init-failed",
	"reinitialization-refused",
	"circular-import",
	"missing-attribute",
	"unknown",
};

static void test_codes(void **state)
{
	(void)state;
	assert_int_equal(IMP_CAUSE_COUNT, sizeof(contract) / sizeof(contract[0]));
	for (int i = 0; i < IMP_CAUSE_COUNT; i++) {
		assert_string_equal(imp_cause_code((enum imp_cause)i), contract[i]);
		assert_true(strlen(imp_cause_phrase((enum imp_cause)i)) > 10);
	}
	assert_string_equal(imp_cause_code(IMP_CAUSE_ABI_TAG_MISMATCH), "abi-tag-mismatch");
	assert_string_equal(imp_cause_code((enum imp_cause)IMP_CAUSE_COUNT), "unknown");
	assert_string_equal(imp_cause_code((enum imp_cause) - 1), "unknown");
	assert_string_equal(imp_cause_phrase((enum imp_cause)IMP_CAUSE_COUNT),
			    imp_cause_phrase(IMP_CAUSE_UNKNOWN));
}

static void test_builders(void **state)
{
	struct imp_arena a = {0};
	struct imp_finding f = {0};
	char command[] = "python3 -m pip install x";

	(void)state;
	for (int i = 0; i < 17; i++)
		imp_finding_evidence(&a, &f, i % 2 ? IMP_DERIVED : IMP_OBSERVED, "fact %d of %s", i,
				     "17");
	assert_int_equal(f.evidence.n, 17);
	assert_string_equal(f.evidence.v[16].fact, "fact 16 of 17");
	assert_int_equal(f.evidence.v[16].source, IMP_OBSERVED);
	assert_int_equal(f.evidence.v[3].source, IMP_DERIVED);
	imp_finding_evidence(&a, &f, IMP_DERIVED, "fact %d of 17", 3);
	assert_int_equal(f.evidence.n, 17);

	imp_finding_rule_out(&a, &f, IMP_CAUSE_CORRUPT_FILE, "%s was not opened", "it");
	imp_finding_rule_out(&a, &f, IMP_CAUSE_CORRUPT_FILE, "it was not opened");
	imp_finding_rule_out(&a, &f, IMP_CAUSE_SHADOWED, "it was not opened");
	assert_int_equal(f.ruled_out.n, 2);
	assert_int_equal(f.ruled_out.v[1].cause, IMP_CAUSE_SHADOWED);

	imp_finding_fix(&a, &f, IMP_CERTAIN, command, "installs %s", "x");
	imp_finding_fix(&a, &f, IMP_POSSIBLE, command, "the same command once more");
	imp_finding_fix(&a, &f, IMP_LIKELY, NULL, "ask %s", "somebody");
	imp_finding_fix(&a, &f, IMP_LIKELY, NULL, "ask somebody");
	imp_finding_fix(&a, &f, IMP_LIKELY, NULL, "ask somebody else");
	assert_int_equal(f.fixes.n, 3);
	memset(command, '!', strlen(command));
	assert_string_equal(f.fixes.v[0].command, "python3 -m pip install x");
	assert_string_equal(f.fixes.v[0].effect, "installs x");
	assert_int_equal(f.fixes.v[0].confidence, IMP_CERTAIN);
	assert_null(f.fixes.v[1].command);
	assert_string_equal(f.fixes.v[2].effect, "ask somebody else");
	imp_arena_clear(&a);
}

/* What comes from a trace is an argument, never a format; it is put in as it is. */
static void test_hostile_text_is_kept(void **state)
{
	struct imp_arena a = {0};
	struct imp_finding f = {0};

	(void)state;
	imp_finding_evidence(&a, &f, IMP_OBSERVED, "%s", "100%n \x1b[2J \xff");
	imp_finding_fix(&a, &f, IMP_CERTAIN, "rm '%s%n'", "removes %s", "\n");
	assert_string_equal(f.evidence.v[0].fact, "100%n \x1b[2J \xff");
	assert_string_equal(f.fixes.v[0].command, "rm '%s%n'");
	assert_string_equal(f.fixes.v[0].effect, "removes \n");
	imp_arena_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_builders),
		cmocka_unit_test(test_hostile_text_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
