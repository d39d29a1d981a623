/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines that run the same program in another way: what is printed is what a shell takes. */
#include "analyzer/diagnose/remedy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "analyzer/python/command_line.h"
#include "temp_tree.h"

static const struct imp_host on = {.enabled = true}, off = {.enabled = false};

struct world {
	struct imp_arena arena;
	struct imp_image image;
	struct imp_interpreter py;
	struct imp_finding finding;
	struct imp_case c;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	*state = w;
	w->image.exe = "/usr/bin/python3.13";
	w->image.cwd = "/w";
	w->py.executable = "/usr/bin/python3.13";
	w->py.version = "3.13.0 (main)";
	w->c = (struct imp_case){.a = &w->arena,
				 .host = &off,
				 .image = &w->image,
				 .py = &w->py,
				 .module = "pkg",
				 .f = &w->finding};
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	imp_arena_clear(&w->arena);
	free(w);
	return 0;
}

static void argv(struct world *w, size_t n, const char *const *words)
{
	w->image.argv.n = 0;
	for (size_t i = 0; i < n; i++)
		*imp_vec_push(&w->arena, &w->image.argv) = words[i];
}

#define ARGV(w, ...)                                                    \
	argv(w, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), \
	     (const char *[]){__VA_ARGS__})

static void test_run(void **state)
{
	struct world *w = *state;
	struct imp_run_change none = {0};
	struct imp_run_change change = {
		.before = "A=b", .interpreter = "/my py/python", .without = "S"};
	char long_word[400];

	ARGV(w, "python3", "-BS", "-W", "ignore", "my app.py", "-S", "");
	assert_string_equal(imp_remedy_run(&w->c, &none),
			    "/usr/bin/python3.13 -BS -W ignore 'my app.py' -S ''");
	assert_string_equal(imp_remedy_run(&w->c, &change),
			    "A=b '/my py/python' -B -W ignore 'my app.py' -S ''");
	assert_string_equal(imp_remedy_run_with(&w->c, "/v/bin/python"),
			    "/v/bin/python -BS -W ignore 'my app.py' -S ''");
	change = (struct imp_run_change){.module = "pkg.run"};
	assert_string_equal(imp_remedy_run(&w->c, &change),
			    "/usr/bin/python3.13 -BS -W ignore -m pkg.run -S ''");
	ARGV(w, "python3", "-Sc", "print('x')", "a");
	assert_string_equal(imp_remedy_run(&w->c, &none),
			    "/usr/bin/python3.13 -S -c 'print('\\''x'\\'')' a");
	ARGV(w, "python3", "-mpkg", "-v");
	assert_string_equal(imp_remedy_run(&w->c, &none), "/usr/bin/python3.13 -m pkg -v");
	/* what nobody can type again */
	ARGV(w, "python3");
	assert_null(imp_remedy_run(&w->c, &none));
	ARGV(w, "python3", "-");
	assert_null(imp_remedy_run(&w->c, &none));
	ARGV(w, "python3", "-c", "a\nb");
	assert_null(imp_remedy_run(&w->c, &none));
	memset(long_word, 'x', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	ARGV(w, "python3", "a.py", long_word);
	assert_null(imp_remedy_run(&w->c, &none));
	/* a host program's arguments are no interpreter's */
	ARGV(w, "blender", "-b", "a.py");
	w->image.exe = "/usr/bin/blender";
	assert_null(imp_remedy_run(&w->c, &none));
	w->image.argv.n = 0;
	assert_null(imp_remedy_run(&w->c, &none));
}

static const char *last(const struct world *w)
{
	return w->finding.fixes.v[w->finding.fixes.n - 1].command;
}

static void test_path(void **state)
{
	struct world *w = *state;

	ARGV(w, "python3", "-E", "-I", "a.py");
	imp_remedy_run_path(&w->c, "/w/my lib", "x");
	assert_string_equal(last(w), "PYTHONPATH='/w/my lib' /usr/bin/python3.13 a.py");
	*imp_vec_push(&w->arena, &w->image.env) = "PYTHONPATH=/a:/b";
	imp_remedy_run_path(&w->c, "/w/l\ni", "x");
	assert_string_equal(last(w), "PYTHONPATH=$'/w/l\\012i:/a:/b' /usr/bin/python3.13 a.py");
	ARGV(w, "python3", "-c", "a\nb");
	imp_remedy_run_path(&w->c, "/l", "x");
	assert_string_equal(last(w), "export PYTHONPATH=/l:/a:/b");
	assert_int_equal(w->finding.fixes.n, 3);
	/* which would not help where the interpreter ignores the variable */
	imp_vec_push(&w->arena, &w->py.flags)->name = "isolated";
	w->py.flags.v[0].value = 1;
	imp_remedy_run_path(&w->c, "/m", "x");
	assert_int_equal(w->finding.fixes.n, 3);
}

static void test_option(void **state)
{
	struct world *w = *state;

	ARGV(w, "python3", "-BS", "a.py");
	imp_remedy_drop_option(&w->c, 'S', "does good");
	assert_string_equal(last(w), "/usr/bin/python3.13 -B a.py");
	/* set by other means: the program's own command line would fail again */
	imp_remedy_drop_option(&w->c, 'I', "does good");
	assert_int_equal(w->finding.fixes.n, 2);
	assert_null(last(w));
}

static void test_module(void **state)
{
	static const struct {
		const char *script, *command;
	} cases[] = {
		{"pkg/run.py", "/usr/bin/python3.13 -m pkg.run -v"},
		{"pkg/__main__.py", "/usr/bin/python3.13 -m pkg -v"},
		{"pkg/a/b2.py", "/usr/bin/python3.13 -m pkg.a.b2 -v"},
		{"pkg/run-it.py", NULL},
		{"pkg/2to3.py", NULL},
		{"pkg/run", NULL},
		{"pkg/.py", NULL},
		{"pkgs/run.py", NULL},
		{"run.py", NULL},
	};
	struct world *w = *state;
	struct temp_tree tree;

	temp_tree_make(&tree);
	w->c.host = &on;
	w->py.executable = "/usr/bin/python3.13";
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		temp_tree_write(&tree, cases[i].script, "");
		ARGV(w, "python3", cases[i].script, "-v");
		w->image.cwd = tree.root;
		w->finding.fixes.n = 0;
		w->c.host = &on;
		assert_int_equal(imp_remedy_run_as_module(&w->c, tree.root, "pkg"),
				 cases[i].command != NULL);
		assert_int_equal(w->finding.fixes.n, cases[i].command != NULL);
		if (cases[i].command && !access("/usr/bin/python3.13", X_OK))
			assert_string_equal(last(w), cases[i].command);
		else if (cases[i].command)
			assert_string_equal(strstr(last(w), " -m"), strstr(cases[i].command, " -m"));
	}
	temp_tree_remove(&tree);
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_run),
		world_test(test_path),
		world_test(test_option),
		world_test(test_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
