// SPDX-License-Identifier: GPL-2.0-or-later
#include "python/command_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* Words with a single space between them; "_" stands for an empty one. */
static struct imp_strings split(struct imp_arena *a, const char *text)
{
	struct imp_strings out = {0};

	while (*text) {
		size_t len = strcspn(text, " ");

		*imp_vec_push(a, &out) =
			len == 1 && *text == '_' ? "" : imp_arena_strndup(a, text, len);
		text += len + (text[len] != '\0');
	}
	return out;
}

static const char *join(struct imp_arena *a, const struct imp_strings *words)
{
	const char *out = "";
	size_t i;

	for (i = 0; i < words->n; i++)
		out = imp_arena_printf(a, "%s%s%s", out, i ? " " : "", words->v[i]);
	return out;
}

static void test_parse(void **state)
{
	static const struct {
		const char *argv;
		enum imp_run_how how;
		const char *what;
		size_t options, args;
	} cases[] = {
		{"python", IMP_RUN_NOTHING, NULL, 1, 1},
		{"python -i", IMP_RUN_NOTHING, NULL, 2, 2},
		{"python -", IMP_RUN_NOTHING, NULL, 1, 2},
		{"python - x", IMP_RUN_NOTHING, NULL, 1, 2},
		{"python a.py", IMP_RUN_SCRIPT, "a.py", 1, 2},
		{"python a.py -S -c x", IMP_RUN_SCRIPT, "a.py", 1, 2},
		{"python _", IMP_RUN_SCRIPT, "", 1, 2},
		{"python -S -BE a.py -v", IMP_RUN_SCRIPT, "a.py", 3, 4},
		{"python -W ignore a.py", IMP_RUN_SCRIPT, "a.py", 3, 4},
		{"python -Wignore a.py", IMP_RUN_SCRIPT, "a.py", 2, 3},
		{"python -BW ignore -X dev a.py", IMP_RUN_SCRIPT, "a.py", 5, 6},
		{"python --check-hash-based-pycs always a.py", IMP_RUN_SCRIPT, "a.py", 3, 4},
		{"python -B -- -a.py x", IMP_RUN_SCRIPT, "-a.py", 2, 4},
		{"python -m pkg.run x", IMP_RUN_MODULE, "pkg.run", 1, 3},
		{"python -mpkg x", IMP_RUN_MODULE, "pkg", 1, 2},
		{"python -S -Bm pkg x", IMP_RUN_MODULE, "pkg", 2, 4},
		{"python -c pass -m x", IMP_RUN_CODE, "pass", 1, 3},
		{"python -Icpass", IMP_RUN_CODE, "pass", 1, 2},
		{"python -c", IMP_RUN_NOTHING, NULL, 1, 2},
		{"python -W", IMP_RUN_NOTHING, NULL, 2, 2},
	};
	struct imp_arena a = {0};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imp_strings argv = split(&a, cases[i].argv);
		struct imp_command_line line;

		imp_command_line_parse(&argv, &line);
		assert_int_equal(line.how, cases[i].how);
		assert_int_equal(line.options, cases[i].options);
		assert_int_equal(line.args, cases[i].args);
		if (cases[i].what)
			assert_string_equal(line.what, cases[i].what);
		else
			assert_null(line.what);
	}
	imp_arena_clear(&a);
}

static void test_has(void **state)
{
	static const struct {
		const char *argv;
		char letter;
		bool has;
	} cases[] = {
		{"python -S a.py", 'S', true},	       {"python -IS a.py", 'S', true},
		{"python a.py -S", 'S', false},	       {"python -WS a.py", 'S', false},
		{"python -W S a.py", 'S', false},      {"python -c S", 'S', false},
		{"python -Sc x", 'S', true},	       {"python -m S -S", 'S', false},
		{"python -W x -B -S a.py", 'S', true}, {"python --S a.py", 'S', false},
		{"python -- -S", 'S', false},	       {"python", 'S', false},
		{"python -s a.py", 'S', false},	       {"python -cS x", 'S', false},
	};
	struct imp_arena a = {0};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imp_strings argv = split(&a, cases[i].argv);

		assert_int_equal(imp_command_line_has(&argv, cases[i].letter), cases[i].has);
	}
	imp_arena_clear(&a);
}

static void test_without(void **state)
{
	static const char *const cases[][3] = {
		{"python -S a.py -S", "S", ""},
		{"python -IS -B a.py", "S", "-I -B"},
		{"python -IS a.py", "SI", ""},
		{"python -B a.py", "", "-B"},
		{"python -W SI -XS -S a.py", "SI", "-W SI -XS"},
		{"python -BSW S a.py", "S", "-BW S"},
		{"python -Sc pass", "B", "-S"},
		{"python -BSm pkg", "S", "-B"},
		{"python -Sm pkg", "S", ""},
		{"python -c -S", "S", ""},
		{"python --check-hash-based-pycs never -S a.py", "S",
		 "--check-hash-based-pycs never"},
		{"python -B -- -S", "B", ""},
		{"python", "S", ""},
	};
	struct imp_arena a = {0};
	struct imp_strings left;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imp_strings argv = split(&a, cases[i][0]);

		imp_command_line_without(&a, &argv, cases[i][1], &left);
		assert_string_equal(join(&a, &left), cases[i][2]);
	}
	imp_arena_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_has),
		cmocka_unit_test(test_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
