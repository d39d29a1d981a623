// SPDX-License-Identifier: GPL-2.0-or-later
#include "python/environment.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "python/python_version.h"
#include "temp_tree.h"

static const struct imp_host on = {.enabled = true}, off = {.enabled = false};

/* A machine in a directory, and a program that runs there. */
struct world {
	struct temp_tree tree;
	struct imp_arena arena;
	struct imp_image image;
	struct imp_interpreter py;
	struct imp_strings searched;
	struct imp_sites sites;
};

static const char *in_world(struct world *w, const char *format)
{
	char *text = imp_arena_printf(&w->arena, "%s", format), *at = strchr(text, '@');

	return at ? imp_arena_printf(&w->arena, "%.*s%s%s", (int)(at - text), text, w->tree.root,
				     at + 1) :
		    text;
}

static void set_env(struct world *w, const char *assignment)
{
	*imp_vec_push(&w->arena, &w->image.env) = in_world(w, assignment);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	*state = w;
	temp_tree_make(&w->tree);
	temp_tree_write(&w->tree, "home/", "");
	temp_tree_write(&w->tree, "home/work/app/main.py", "");
	temp_tree_write(&w->tree, "opt/bin/python3.12", "");
	temp_tree_write(&w->tree, "opt/lib/python3.12/site-packages/", "");
	w->py.version = "3.12.1 (main, Jan  1 2024)";
	w->py.abiflags = "";
	w->py.executable = in_world(w, "@/opt/bin/python3.12");
	w->py.prefix = w->py.base_prefix = in_world(w, "@/opt");
	w->image.cwd = in_world(w, "@/home/work");
	*imp_vec_push(&w->arena, &w->image.argv) = "python3.12";
	*imp_vec_push(&w->arena, &w->image.argv) = "-X";
	*imp_vec_push(&w->arena, &w->image.argv) = "dev";
	*imp_vec_push(&w->arena, &w->image.argv) = "app/main.py";
	set_env(w, "HOME=@/home");
	*imp_vec_push(&w->arena, &w->searched) = in_world(w, "@/home/work/app");
	*imp_vec_push(&w->arena, &w->searched) = in_world(w, "@/opt/lib/python3.12/site-packages");
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	temp_tree_remove(&w->tree);
	imp_arena_clear(&w->arena);
	free(w);
	return 0;
}

static void find(struct world *w)
{
	memset(&w->sites, 0, sizeof(w->sites));
	assert_int_equal(
		imp_environment_find(&on, &w->arena, &w->image, &w->py, &w->searched, &w->sites), 0);
	assert_true(w->sites.n <= 256);
}

/* Place of a directory among the sites; -1: not there. It must not be there twice. */
static int place(struct world *w, const char *name)
{
	const char *dir = temp_tree_path(&w->tree, name);
	int at = -1;
	size_t i;

	for (i = 0; i < w->sites.n; i++) {
		if (strcmp(w->sites.v[i].directory, dir) != 0)
			continue;
		assert_int_equal(at, -1);
		at = (int)i;
	}
	return at;
}

static const struct imp_site *site(struct world *w, const char *name)
{
	int at = place(w, name);

	assert_true(at >= 0);
	return &w->sites.v[at];
}

static void make_venv(struct world *w, const char *root, const char *version)
{
	char name[512];

	snprintf(name, sizeof(name), "%s/pyvenv.cfg", root);
	temp_tree_write(&w->tree, name, "home = /usr/bin\n");
	snprintf(name, sizeof(name), "%s/lib/python%s/site-packages/", root, version);
	temp_tree_write(&w->tree, name, "");
	snprintf(name, sizeof(name), "%s/bin/python", root);
	temp_tree_write(&w->tree, name, "");
}

static void test_disabled(void **state)
{
	struct world *w = *state;
	const struct imp_site any = {.directory = "/"};
	const char *path = "x";
	bool importable = true;

	assert_int_equal(imp_environment_find(&off, &w->arena, &w->image, &w->py, &w->searched,
					      &w->sites),
			 -ENODATA);
	assert_int_equal(w->sites.n, 0);
	assert_int_equal(imp_environment_holds(&off, &w->arena, &any, "x", &path, &importable),
			 -ENODATA);
	assert_null(path);
}

/* The interpreter's own prefix: an environment that lost its pyvenv.cfg, or where the standard library lies. */
static void test_own_prefix(void **state)
{
	struct world *w = *state;

	temp_tree_write(&w->tree, "opt/lib/python3.11/site-packages/", "");
	find(w);
	assert_int_equal(site(w, "opt/lib/python3.11/site-packages")->kind, IMP_SITE_VENV);
	temp_tree_write(&w->tree, "opt/lib/python3.12/os.py", "");
	find(w);
	assert_int_equal(site(w, "opt/lib/python3.11/site-packages")->kind, IMP_SITE_SYSTEM);
	assert_null(site(w, "opt/lib/python3.11/site-packages")->interpreter);
	temp_tree_write(&w->tree, "opt/bin/python3.11", "");
	find(w);
	assert_non_null(site(w, "opt/lib/python3.11/site-packages")->interpreter);
}

/* Its interpreter is a link to another version than its packages are for: it does not search them. */
static void test_upgraded_environment(void **state)
{
	struct world *w = *state;

	make_venv(w, "home/work/.venv", "3.11");
	find(w);
	assert_non_null(site(w, "home/work/.venv/lib/python3.11/site-packages")->interpreter);
	temp_tree_write(&w->tree, "opt/bin/python3.11", "");
	unlink(temp_tree_path(&w->tree, "home/work/.venv/bin/python"));
	temp_tree_link(&w->tree, "../../../../opt/bin/python3.11", "home/work/.venv/bin/python");
	find(w);
	assert_non_null(site(w, "home/work/.venv/lib/python3.11/site-packages")->interpreter);
	unlink(temp_tree_path(&w->tree, "home/work/.venv/bin/python"));
	temp_tree_link(&w->tree, "../../../../opt/bin/python3.12", "home/work/.venv/bin/python");
	find(w);
	assert_null(site(w, "home/work/.venv/lib/python3.11/site-packages")->interpreter);
}

static void test_searched_ones_are_left_out(void **state)
{
	struct world *w = *state;

	temp_tree_link(&w->tree, "python3.12", "opt/lib/alias");
	w->searched.v[1] = in_world(w, "@/opt/lib/alias/site-packages");
	find(w);
	assert_int_equal(place(w, "opt/lib/python3.12/site-packages"), -1);
	assert_int_equal(place(w, "home/work/app"), -1);
	assert_int_equal(place(w, "opt/lib/alias/site-packages"), -1);
	assert_true(place(w, "home/work") >= 0);

	w->searched.v[0] = ""; /* sys.path[0] of -c: the working directory */
	find(w);
	assert_int_equal(place(w, "home/work"), -1);
	assert_true(place(w, "home/work/app") >= 0);

	w->searched.v[1] = "/nonexistent";
	find(w);
	assert_true(place(w, "opt/lib/python3.12/site-packages") >= 0);
}

static void test_venvs_near_the_program(void **state)
{
	static const char *const roots[] = {"home/work/app/.venv", "home/work/app/any name",
					    "home/work/venv",	   "home/work/envs/one",
					    "home/.venv",	   "home/work/.tox/py312"};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		make_venv(w, roots[i], "3.12");
	make_venv(w, "home/other", "3.12"); /* of any name in the home directory: not looked for */
	temp_tree_write(&w->tree, "home/work/app/novenv/lib/python3.12/site-packages/", "");
	find(w);
	for (i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		char name[512];
		const struct imp_site *s;

		snprintf(name, sizeof(name), "%s/lib/python3.12/site-packages", roots[i]);
		s = site(w, name);
		assert_int_equal(s->kind, IMP_SITE_VENV);
		assert_string_equal(s->root, temp_tree_path(&w->tree, roots[i]));
		assert_string_equal(s->interpreter,
				    imp_arena_printf(&w->arena, "%s/bin/python",
						     temp_tree_path(&w->tree, roots[i])));
		assert_int_equal(s->major, 3);
		assert_int_equal(s->minor, 12);
	}
	assert_int_equal(place(w, "home/other/lib/python3.12/site-packages"), -1);
	assert_int_equal(place(w, "home/work/app/novenv/lib/python3.12/site-packages"), -1);
}

/* The script itself lies in a virtual environment's bin, and was started with another Python. */
static void test_script_in_a_venv(void **state)
{
	struct world *w = *state;

	make_venv(w, "home/tool", "3.11");
	temp_tree_write(&w->tree, "home/tool/bin/run", "");
	w->image.argv.v[3] = in_world(w, "@/home/tool/bin/run");
	find(w);
	assert_int_equal(site(w, "home/tool/lib/python3.11/site-packages")->kind, IMP_SITE_VENV);
}

static void test_order(void **state)
{
	struct world *w = *state;
	const char *first = "home/active/lib/python3.12/site-packages";
	const char *second = "home/work/app/.venv/lib/python3.12/site-packages";
	const char *other = "home/work/app/old/lib/python3.9/site-packages";
	const char *user = "home/.local/lib/python3.12/site-packages";

	make_venv(w, "home/active", "3.12");
	make_venv(w, "home/work/app/.venv", "3.12");
	make_venv(w, "home/work/app/old", "3.9");
	make_venv(w, "home/work/app/t", "3.12t");
	temp_tree_write(&w->tree, "home/.local/lib/python3.12/site-packages/", "");
	set_env(w, "VIRTUAL_ENV=@/home/active");
	find(w);
	assert_int_equal(place(w, first), 0);
	assert_true(place(w, second) > 0);
	assert_true(place(w, "home/work") > place(w, second));
	assert_true(place(w, user) > place(w, "home/work"));
	assert_true(place(w, other) > place(w, user));
	assert_true(place(w, "home/work/app/t/lib/python3.12t/site-packages") > place(w, user));
	assert_true(site(w, "home/work/app/t/lib/python3.12t/site-packages")->free_threaded);
}

static void test_user_site(void **state)
{
	struct world *w = *state;
	const struct imp_site *s;

	temp_tree_write(&w->tree, "home/.local/lib/python3.12/site-packages/", "");
	temp_tree_write(&w->tree, "home/.local/lib/python3.7/site-packages/", "");
	temp_tree_write(&w->tree, "base/lib/python3.12/site-packages/", "");
	set_env(w, "PYTHONUSERBASE=@/base");
	find(w);
	s = site(w, "home/.local/lib/python3.12/site-packages");
	assert_int_equal(s->kind, IMP_SITE_USER);
	assert_string_equal(s->interpreter, w->py.executable);
	s = site(w, "home/.local/lib/python3.7/site-packages");
	assert_int_equal(s->minor, 7);
	assert_int_equal(site(w, "base/lib/python3.12/site-packages")->kind, IMP_SITE_USER);
}

static void test_managers(void **state)
{
	static const struct {
		const char *root, *lib;
		enum imp_site_kind kind;
	} cases[] = {
		{"home/.pyenv/versions/3.9.18", "lib/python3.9", IMP_SITE_PYENV},
		{"home/.virtualenvs/v", "lib/python3.10", IMP_SITE_VENV},
		{"home/.local/share/pipx/venvs/tool", "lib/python3.10", IMP_SITE_VENV},
		{"home/.cache/pypoetry/virtualenvs/app-x", "lib/python3.10", IMP_SITE_VENV},
		{"home/.local/share/uv/python/cpython-3.13", "lib/python3.13", IMP_SITE_SYSTEM},
		{"home/miniconda3", "lib/python3.11", IMP_SITE_CONDA},
		{"home/miniconda3/envs/science", "lib/python3.11", IMP_SITE_CONDA},
		{"pathdir", "lib/python3.8", IMP_SITE_SYSTEM},
		{"real", "lib64/python3.8", IMP_SITE_SYSTEM},
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[512];

		snprintf(name, sizeof(name), "%s/%s/site-packages/", cases[i].root, cases[i].lib);
		temp_tree_write(&w->tree, name, "");
		if (cases[i].kind == IMP_SITE_VENV) {
			snprintf(name, sizeof(name), "%s/pyvenv.cfg", cases[i].root);
			temp_tree_write(&w->tree, name, "");
		} else if (cases[i].kind == IMP_SITE_CONDA) {
			snprintf(name, sizeof(name), "%s/conda-meta/", cases[i].root);
			temp_tree_write(&w->tree, name, "");
		}
		snprintf(name, sizeof(name), "%s/bin/python%s", cases[i].root,
			 strrchr(cases[i].lib, 'n') + 1);
		temp_tree_write(&w->tree, name, "");
	}
	temp_tree_write(&w->tree, "shims/python3", "#!/bin/bash\n");
	temp_tree_write(&w->tree, "shims/python-config", "");
	temp_tree_link(&w->tree, "../real/bin/python3.8", "links/python3");
	set_env(w, imp_arena_printf(&w->arena, "PATH=%s:%s:relative::%s:/nonexistent",
				    temp_tree_path(&w->tree, "pathdir/bin"),
				    temp_tree_path(&w->tree, "links"),
				    temp_tree_path(&w->tree, "shims")));
	find(w);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[512];
		const struct imp_site *s;

		snprintf(name, sizeof(name), "%s/%s/site-packages", cases[i].root, cases[i].lib);
		s = site(w, name);
		assert_int_equal(s->kind, cases[i].kind);
		assert_string_equal(s->root, temp_tree_path(&w->tree, cases[i].root));
		assert_non_null(s->interpreter);
	}
}

/* A venv that does not see what its own base has. */
static void test_base_of_a_venv(void **state)
{
	struct world *w = *state;

	make_venv(w, "home/v", "3.12");
	w->py.prefix = in_world(w, "@/home/v");
	w->py.executable = in_world(w, "@/home/v/bin/python");
	w->searched.v[1] = in_world(w, "@/home/v/lib/python3.12/site-packages");
	find(w);
	assert_int_equal(place(w, "home/v/lib/python3.12/site-packages"), -1);
	assert_string_equal(site(w, "opt/lib/python3.12/site-packages")->interpreter,
			    temp_tree_path(&w->tree, "opt/bin/python3.12"));
}

static void test_project(void **state)
{
	struct world *w = *state;
	const struct imp_site *s;

	temp_tree_write(&w->tree, "home/work/src/", "");
	temp_tree_write(&w->tree, "home/work/app/__pypackages__/3.12/lib/", "");
	find(w);
	s = site(w, "home/work/src");
	assert_int_equal(s->kind, IMP_SITE_PROJECT);
	assert_string_equal(s->interpreter, w->py.executable);
	assert_int_equal(s->minor, 12);
	assert_true(place(w, "home/work/app/__pypackages__/3.12/lib") >= 0);
	assert_int_equal(place(w, "home"), -1); /* the home directory is no project */
	/* two levels up, where a mark says that the project begins there */
	assert_int_equal(place(w, ""), -1);
	temp_tree_write(&w->tree, "home/work/app/a/b/c/deep.py", "");
	temp_tree_write(&w->tree, "home/work/app/pyproject.toml", "");
	w->image.argv.v[3] = in_world(w, "@/home/work/app/a/b/c/deep.py");
	w->image.cwd = "/";
	w->searched.v[0] = in_world(w, "@/home/work/app/a/b/c");
	find(w);
	assert_true(place(w, "home/work/app") >= 0);
	assert_int_equal(place(w, "home/work/app/a"), -1);
}

/* A script deep inside a package: what holds the package is where it is imported from. */
static void test_script_in_a_package(void **state)
{
	struct world *w = *state;

	temp_tree_write(&w->tree, "home/work/app/top/pkg/__init__.py", "");
	temp_tree_write(&w->tree, "home/work/app/top/pkg/sub/__init__.py", "");
	temp_tree_write(&w->tree, "home/work/app/top/pkg/sub/run.py", "");
	w->image.argv.v[3] = in_world(w, "@/home/work/app/top/pkg/sub/run.py");
	w->image.cwd = "/";
	w->searched.v[0] = in_world(w, "@/home/work/app/top/pkg/sub");
	find(w);
	assert_true(place(w, "home/work/app/top") >= 0);
	assert_int_equal(place(w, "home/work/app"), -1);
}

static void test_no_clues(void **state)
{
	struct world *w = *state;

	memset(&w->image, 0, sizeof(w->image));
	memset(&w->py, 0, sizeof(w->py));
	memset(&w->searched, 0, sizeof(w->searched));
	find(w); /* the machine's own, whatever they are; and no crash */
	*imp_vec_push(&w->arena, &w->image.argv) = "python3";
	*imp_vec_push(&w->arena, &w->image.argv) = "-W";
	find(w);
	set_env(w, "HOME=relative");
	set_env(w, "PATH=:::");
	set_env(w, "VIRTUAL_ENV=");
	set_env(w, "PYENV_ROOT=/proc/self/mem");
	find(w);
}

static void test_at_most_256(void **state)
{
	struct world *w = *state;
	char name[64];
	int i;

	for (i = 0; i < 307; i++) {
		snprintf(name, sizeof(name), "home/.virtualenvs/v%d", i);
		make_venv(w, name, "3.12");
	}
	find(w);
	assert_int_equal(w->sites.n, 256);
}

/* ---- holds ---- */

static void test_holds(void **state)
{
	static const struct {
		const char *module;
		int holds;
		bool importable;
		const char *path;
	} cases[] = {
		{"plain", 1, true, "plain.py"},
		{"pkg", 1, true, "pkg/__init__.py"},
		{"pkg._native", 1, true, "pkg/_native.cpython-312-x86_64-linux-gnu.so"},
		{"pkg.absent", 0, false, NULL},
		{"old", 1, false, "old.cpython-39-x86_64-linux-gnu.so"},
		{"both", 1, true, "both.abi3.so"},
		{"stable", 1, true, "stable.abi3.so"},
		{"threaded", 1, false, "threaded.cpython-312t-x86_64-linux-gnu.so"},
		{"untagged", 1, true, "untagged.so"},
		{"windows", 0, false, NULL},
		{"space", 1, true, "space"},
		{"space.portion", 1, true, "space/portion.py"},
		{"void", 0, false, NULL},
		{"dangling", 0, false, NULL},
		{"linked", 1, true, "dev/linked/__init__.py"},
		{"evil", 0, false, NULL},
		{"plai", 0, false, NULL},
		{"", 0, false, NULL},
		{".", 0, false, NULL},
		{"../x", 0, false, NULL},
	};
	struct world *w = *state;
	struct imp_site s = {.kind = IMP_SITE_VENV, .major = 3, .minor = 12};
	const char *path;
	bool importable;
	size_t i;

	temp_tree_write(&w->tree, "site/plain.py", "");
	temp_tree_write(&w->tree, "site/pkg/__init__.py", "");
	temp_tree_write(&w->tree, "site/pkg/_native.cpython-311-x86_64-linux-gnu.so", "");
	temp_tree_write(&w->tree, "site/pkg/_native.cpython-312-x86_64-linux-gnu.so", "");
	temp_tree_write(&w->tree, "site/old.cpython-39-x86_64-linux-gnu.so", "");
	temp_tree_write(&w->tree, "site/both.cpython-39-x86_64-linux-gnu.so", "");
	temp_tree_write(&w->tree, "site/both.abi3.so", "");
	temp_tree_write(&w->tree, "site/stable.abi3.so", "");
	temp_tree_write(&w->tree, "site/threaded.cpython-312t-x86_64-linux-gnu.so", "");
	temp_tree_write(&w->tree, "site/untagged.so", "");
	temp_tree_write(&w->tree, "site/windows.pyd", "");
	temp_tree_write(&w->tree, "site/space/portion.py", "");
	temp_tree_write(&w->tree, "site/void/data.txt", "");
	temp_tree_link(&w->tree, "nowhere.py", "site/dangling.py");
	temp_tree_write(&w->tree, "dev/linked/__init__.py", "");
	temp_tree_write(&w->tree, "site/x.pth",
			imp_arena_printf(&w->arena, "# comment\nimport evil\n/nonexistent\r\n%s\n",
					 temp_tree_path(&w->tree, "dev")));
	s.directory = temp_tree_path(&w->tree, "site");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(imp_environment_holds(&on, &w->arena, &s, cases[i].module, &path,
						       &importable),
				 cases[i].holds);
		assert_int_equal(importable, cases[i].importable);
		if (!cases[i].path)
			assert_null(path);
		else if (strncmp(cases[i].path, "dev/", 4) == 0)
			assert_string_equal(path, temp_tree_path(&w->tree, cases[i].path));
		else
			assert_string_equal(path, imp_arena_printf(&w->arena, "%s/%s", s.directory,
								   cases[i].path));
	}
	/* a free-threaded Python takes other files */
	s.free_threaded = true;
	assert_int_equal(imp_environment_holds(&on, &w->arena, &s, "threaded", &path, &importable),
			 1);
	assert_true(importable);
	assert_int_equal(imp_environment_holds(&on, &w->arena, &s, "stable", &path, &importable), 1);
	assert_false(importable);
	/* any directory of a project may have a module's name */
	s.kind = IMP_SITE_PROJECT;
	assert_int_equal(imp_environment_holds(&on, &w->arena, &s, "space", &path, &importable), 0);
	assert_int_equal(imp_environment_holds(&on, &w->arena, &s, "linked", &path, &importable), 0);
	s.directory = "/nonexistent";
	assert_int_equal(imp_environment_holds(&on, &w->arena, &s, "plain", &path, &importable), 0);
}

static void test_python_version(void **state)
{
	static const struct {
		const char *name;
		bool known;
		int major, minor;
		bool free_threaded;
	} cases[] = {
		{"python3.12", true, 3, 12, false},
		{"python3.13t", true, 3, 13, true},
		{"python3", true, 3, 0, false},
		{"python", false, 0, 0, false},
		{"pypy3.10", true, 3, 10, false},
		{"3.11.2 (main, Oct  7)", true, 3, 11, false},
		{"3.13.0 experimental free-threading build", true, 3, 13, false},
		{"3.11.2.final.0", true, 3, 11, false},
		{"python3.", true, 3, 0, false},
		{"", false, 0, 0, false},
		{"x3.1", false, 0, 0, false},
		{"99999999999.99999999999", true, 9999, 0, false},
	};
	struct imp_python_version v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(imp_python_version_parse(cases[i].name, &v), cases[i].known);
		assert_int_equal(v.major, cases[i].major);
		assert_int_equal(v.minor, cases[i].minor);
		assert_int_equal(v.free_threaded, cases[i].free_threaded);
	}
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_disabled),
		world_test(test_own_prefix),
		world_test(test_upgraded_environment),
		world_test(test_searched_ones_are_left_out),
		world_test(test_venvs_near_the_program),
		world_test(test_script_in_a_venv),
		world_test(test_order),
		world_test(test_user_site),
		world_test(test_managers),
		world_test(test_base_of_a_venv),
		world_test(test_project),
		world_test(test_script_in_a_package),
		world_test(test_no_clues),
		world_test(test_at_most_256),
		world_test(test_holds),
		cmocka_unit_test(test_python_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
