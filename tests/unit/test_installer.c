// SPDX-License-Identifier: GPL-2.0-or-later
#include "python/installer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "python/package_name.h"
#include "temp_tree.h"

static const struct imp_host on = {.enabled = true}, off = {.enabled = false};

/* An interpreter, and the program that it ran. */
struct world {
	struct temp_tree tree;
	struct imp_arena arena;
	struct imp_image image;
	struct imp_interpreter py;
	struct imp_install_command out[4];
	int n;
	const char *target; /* of imp_installer_repair() */
};

static const char *in_world(struct world *w, const char *name)
{
	return imp_arena_printf(&w->arena, "%s/%s", w->tree.root, name);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	*state = w;
	temp_tree_make(&w->tree);
	temp_tree_write(&w->tree, "py/bin/python3.12", "");
	temp_tree_write(&w->tree, "py/lib/python3.12/ensurepip/__main__.py", "");
	temp_tree_write(&w->tree, "py/lib/python3.12/site-packages/pip/__main__.py", "");
	w->py.version = "3.12.1 (main, Jan  1 2024)";
	w->py.abiflags = "";
	w->py.executable = in_world(w, "py/bin/python3.12");
	w->py.prefix = w->py.base_prefix = in_world(w, "py");
	w->image.ids_known = true;
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

/* "@" in a wanted command stands for the tree. */
static const char *wanted(struct world *w, const char *text)
{
	char *out = imp_arena_strndup(&w->arena, "", 0);

	for (; *text; text++)
		out = *text == '@' ? imp_arena_printf(&w->arena, "%s%s", out, w->tree.root) :
				     imp_arena_printf(&w->arena, "%s%c", out, *text);
	return out;
}

static void install(struct world *w, const struct imp_host *h, const char *module, bool reinstall)
{
	int i;

	memset(w->out, 0, sizeof(w->out));
	w->n = imp_installer_install(h, &w->arena, &w->image, &w->py, module, reinstall, w->out, 4);
	assert_true(w->n >= 0 && w->n <= 4);
	for (i = 0; i < w->n; i++)
		assert_non_null(w->out[i].package);
}

static void assert_command(struct world *w, int i, const char *command, const char *package,
			   bool certain)
{
	assert_true(i < w->n);
	assert_string_equal(w->out[i].command, wanted(w, command));
	assert_string_equal(w->out[i].package, package);
	assert_int_equal(w->out[i].certain, certain);
}

/* ---- shell ---- */

static void test_quote(void **state)
{
	static const char *const cases[][2] = {
		{"plain", "plain"},
		{"/usr/bin/python3.11", "/usr/bin/python3.11"},
		{"cffi==1.15.1", "cffi==1.15.1"},
		{"--python=/x", "--python=/x"},
		{"A=b", "'A=b'"},
		{"=x", "'=x'"},
		{"", "''"},
		{"a b", "'a b'"},
		{"it's", "'it'\\''s'"},
		{"$(rm)", "'$(rm)'"},
		{"`x`", "'`x`'"},
		{"~", "'~'"},
		{"a\\b", "'a\\b'"},
		{"*", "'*'"},
		{"!x", "'!x'"},
		{"\xc3\xa4", "'\xc3\xa4'"},
		{"a\nb", "$'a\\012b'"},
		{"\x1b[31m'", "$'\\033[31m\\047'"},
		{"\xff"
		 "1",
		 "$'\\3771'"},
		{"\xe2\x80\xae", "$'\\342\\200\\256'"},
		{"\x7f\\", "$'\\177\\134'"},
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(imp_shell_quote(&w->arena, cases[i][0]), cases[i][1]);
}

/* What a shell makes of it is the word itself, for every byte. */
static void test_quote_through_a_shell(void **state)
{
	struct world *w = *state;
	char word[300], got[600];
	size_t n, i;
	FILE *f;

	if (access("/bin/bash", X_OK) != 0)
		skip();
	for (i = 1; i < 256; i++)
		word[i - 1] = (char)i;
	memcpy(word + 255,
	       "7'\"\xff"
	       "9",
	       6);
	for (i = 0; i < 2; i++) {
		temp_tree_write(
			&w->tree, "script",
			imp_arena_printf(&w->arena, "printf %%s %s",
					 imp_shell_quote(&w->arena, i ? "a 'b' $HOME" : word)));
		f = popen(imp_arena_printf(&w->arena, "/bin/bash %s",
					   temp_tree_path(&w->tree, "script")),
			  "r");
		assert_non_null(f);
		n = fread(got, 1, sizeof(got), f);
		assert_int_equal(pclose(f), 0);
		assert_int_equal(n, strlen(i ? "a 'b' $HOME" : word));
		assert_memory_equal(got, i ? "a 'b' $HOME" : word, n);
	}
}

/* ---- an interpreter with a pip of its own ---- */

static void test_pip(void **state)
{
	struct world *w = *state;

	install(w, &on, "_cffi_backend", false);
	assert_int_equal(w->n, 1);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install cffi", "cffi", true);
	install(w, &on, "cv2", true);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install --force-reinstall opencv-python",
		       "opencv-python", true);
	install(w, &off, "cv2", false);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install opencv-python", "opencv-python",
		       false);
	w->py.executable = in_world(w, "my py/python3.12");
	temp_tree_write(&w->tree, "my py/python3.12", "");
	install(w, &on, "yaml", false);
	assert_command(w, 0, "'@/my py/python3.12' -m pip install PyYAML", "PyYAML", true);
}

static void test_nothing_to_type(void **state)
{
	static const char *const modules[] = {"_native_17", "apt_pkg", "urllib2", "google",
					      "",	    "x y",     "os",	  "_sqlite3"};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		install(w, &on, modules[i], i & 1);
		assert_int_equal(w->n, 0);
	}
	w->n = imp_installer_install(&on, &w->arena, &w->image, &w->py, "yaml", false, w->out, 0);
	assert_int_equal(w->n, 0);
}

/* Outside of a venv, pip would take Debian's package on PYTHONPATH for its own, and even uninstall it. */
static void test_pythonpath_is_kept_from_pip(void **state)
{
	struct world *w = *state;

	*imp_vec_push(&w->arena, &w->image.env) = "PYTHONPATH=/usr/lib/python3/dist-packages";
	install(w, &on, "_cffi_backend", true);
	assert_command(w, 0,
		       "env -u PYTHONPATH @/py/bin/python3.12 -m pip install --force-reinstall cffi",
		       "cffi", true);
	w->image.env.v[0] = "PYTHONPATH=";
	install(w, &on, "_cffi_backend", true);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install --force-reinstall cffi", "cffi",
		       true);
}

static void test_without_pip(void **state)
{
	struct world *w = *state;
	struct imp_sys_path *path;

	remove(temp_tree_path(&w->tree, "py/lib/python3.12/site-packages/pip/__main__.py"));
	install(w, &on, "yaml", false);
	assert_int_equal(w->n, 1);
	assert_command(
		w, 0,
		"@/py/bin/python3.12 -m ensurepip --upgrade && @/py/bin/python3.12 -m pip install PyYAML",
		"PyYAML", false);
	/* a pip on PYTHONPATH is not there once that is unset; one elsewhere on the path is */
	temp_tree_write(&w->tree, "other/pip/__main__.py", "");
	path = imp_vec_push(&w->arena, &w->py.paths);
	*imp_vec_push(&w->arena, &path->path) = in_world(w, "other");
	*imp_vec_push(&w->arena, &w->image.env) =
		imp_arena_printf(&w->arena, "PYTHONPATH=/x:%s", in_world(w, "other"));
	install(w, &on, "yaml", false);
	assert_non_null(strstr(w->out[0].command, "ensurepip"));
	w->image.env.n = 0;
	install(w, &on, "yaml", false);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install PyYAML", "PyYAML", true);
	/* neither pip nor ensurepip: nothing that would work */
	path->path.n = 0;
	remove(temp_tree_path(&w->tree, "py/lib/python3.12/ensurepip/__main__.py"));
	install(w, &on, "yaml", false);
	assert_int_equal(w->n, 0);
}

static void test_venv(void **state)
{
	struct world *w = *state;

	temp_tree_write(&w->tree, "py/lib/python3.12/EXTERNALLY-MANAGED", "");
	temp_tree_write(&w->tree, "v/pyvenv.cfg", "home = x\nuv = 0.5.1\n");
	temp_tree_write(&w->tree, "v/bin/python", "");
	w->py.prefix = in_world(w, "v");
	w->py.executable = in_world(w, "v/bin/python");
	install(w, &on, "yaml", false);
	assert_int_equal(w->n, 2);
	assert_command(w, 0, "uv pip install --python @/v/bin/python PyYAML", "PyYAML", false);
	assert_command(
		w, 1,
		"@/v/bin/python -m ensurepip --upgrade && @/v/bin/python -m pip install PyYAML",
		"PyYAML", false);
	install(w, &on, "yaml", true);
	assert_command(w, 0, "uv pip install --reinstall --python @/v/bin/python PyYAML", "PyYAML",
		       false);
	temp_tree_write(&w->tree, "v/lib/python3.12/site-packages/pip/__main__.py", "");
	install(w, &on, "yaml", false);
	assert_int_equal(w->n, 1);
	assert_command(w, 0, "@/v/bin/python -m pip install PyYAML", "PyYAML", true);
}

/*
 * Before CPython 3.14 the prefix is the base's until site has run: what the interpreter said of itself at the
 * start is not yet that of the virtual environment.
 */
static void test_venv_that_site_tells(void **state)
{
	struct world *w = *state;
	struct imp_sys_path *path;

	temp_tree_write(&w->tree, "py/lib/python3.12/EXTERNALLY-MANAGED", "");
	temp_tree_write(&w->tree, "v/bin/python", "");
	temp_tree_write(&w->tree, "v/lib/python3.12/site-packages/pip/__main__.py", "");
	w->py.executable = in_world(w, "v/bin/python");
	path = imp_vec_push(&w->arena, &w->py.paths);
	path->phase = IMP_PHASE_START;
	path->prefix = w->py.prefix;
	path = imp_vec_push(&w->arena, &w->py.paths);
	path->phase = IMP_PHASE_SITE;
	path->prefix = in_world(w, "v");
	assert_string_equal(imp_installer_prefix(&off, &w->arena, &w->py), in_world(w, "v"));
	install(w, &on, "yaml", false);
	assert_int_equal(w->n, 1);
	assert_command(w, 0, "@/v/bin/python -m pip install PyYAML", "PyYAML", true);
	assert_null(w->out[0].environment);
	/* with -S, site never ran: pyvenv.cfg beside the interpreter tells */
	w->py.paths.n = 0;
	assert_string_equal(imp_installer_prefix(&on, &w->arena, &w->py), in_world(w, "py"));
	temp_tree_write(&w->tree, "v/pyvenv.cfg", "home = x\n");
	assert_string_equal(imp_installer_prefix(&on, &w->arena, &w->py), in_world(w, "v"));
	install(w, &on, "yaml", false);
	assert_command(w, 0, "@/v/bin/python -m pip install PyYAML", "PyYAML", true);
	w->py.prefix = w->py.base_prefix = NULL;
	w->py.executable = NULL;
	assert_string_equal(imp_installer_prefix(&on, &w->arena, &w->py), "");
}

/* "-m pip" has not what the program itself put on sys.path. */
static void test_pip_that_the_program_added(void **state)
{
	struct world *w = *state;
	struct imp_sys_path *path;

	remove(temp_tree_path(&w->tree, "py/lib/python3.12/site-packages/pip/__main__.py"));
	temp_tree_write(&w->tree, "mine/pip/__main__.py", "");
	path = imp_vec_push(&w->arena, &w->py.paths);
	path->phase = IMP_PHASE_SITE;
	path = imp_vec_push(&w->arena, &w->py.paths);
	path->phase = IMP_PHASE_RUN;
	*imp_vec_push(&w->arena, &path->path) = in_world(w, "mine");
	install(w, &on, "yaml", false);
	assert_non_null(strstr(w->out[0].command, "-m ensurepip"));
}

static void test_guess(void **state)
{
	struct world *w = *state;

	install(w, &on, "helpr_17", false);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install helpr-17", "helpr-17", true);
	assert_true(w->out[0].guessed);
	install(w, &on, "yaml", false);
	assert_false(w->out[0].guessed);
	install(w, &on, "distutils", false);
	assert_int_equal(w->n, 1);
	assert_false(w->out[0].guessed);
}

static void test_editable(void **state)
{
	struct world *w = *state;

	w->n = imp_installer_editable(&on, &w->arena, &w->image, &w->py, ".", w->out, 4);
	assert_int_equal(w->n, 1);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install -e .", ".", true);
	w->n = imp_installer_editable(&on, &w->arena, &w->image, &w->py, "/my src", w->out, 4);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install -e '/my src'", "/my src", true);
	temp_tree_write(&w->tree, "py/lib/python3.12/EXTERNALLY-MANAGED", "");
	w->n = imp_installer_editable(&on, &w->arena, &w->image, &w->py, ".", w->out, 4);
	assert_command(w, 0,
		       "@/py/bin/python3.12 -m venv --system-site-packages .venv && "
		       ".venv/bin/python -m pip install -e .",
		       ".", false);
}

/* PEP 668, and no package of the system's that could be offered. */
static void test_externally_managed(void **state)
{
	struct world *w = *state;

	temp_tree_write(&w->tree, "py/lib/python3.12/EXTERNALLY-MANAGED", "");
	install(w, &on, "yaml", false);
	assert_int_equal(w->n, 1);
	assert_command(w, 0,
		       "@/py/bin/python3.12 -m venv --system-site-packages .venv && "
		       ".venv/bin/python -m pip install PyYAML",
		       "PyYAML", false);
	assert_string_equal(w->out[0].environment, ".venv");
	/* the name is taken: somebody's own environment is left alone */
	temp_tree_write(&w->tree, "work/.venv/pyvenv.cfg", "");
	w->image.cwd = in_world(w, "work");
	install(w, &on, "yaml", false);
	assert_command(w, 0,
		       "@/py/bin/python3.12 -m venv --system-site-packages .venv-3.12 && "
		       ".venv-3.12/bin/python -m pip install PyYAML",
		       "PyYAML", false);
	assert_string_equal(w->out[0].environment, ".venv-3.12");
	w->n = imp_installer_install(&on, &w->arena, &w->image, &w->py, "yaml", false, w->out, 0);
	assert_int_equal(w->n, 0);
	w->py.stdlib = "/nonexistent";
	install(w, &on, "yaml", false);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install PyYAML", "PyYAML", true);
}

static void test_embedded(void **state)
{
	struct world *w = *state;

	temp_tree_write(&w->tree, "host/app", "");
	w->py.executable = in_world(w, "host/app");
	assert_string_equal(imp_installer_python(&on, &w->arena, &w->image, &w->py),
			    in_world(w, "py/bin/python3.12"));
	/* The first python3 of PATH is taken for the host program's: of the same version or not. */
	w->image.exe = in_world(w, "host/app");
	temp_tree_write(&w->tree, "host/python3.11", "");
	temp_tree_write(&w->tree, "host/python3", "");
	w->py.executable = in_world(w, "host/python3.11");
	assert_true(imp_installer_is_guessed(&on, &w->arena, &w->image, &w->py));
	assert_string_equal(imp_installer_python(&on, &w->arena, &w->image, &w->py),
			    in_world(w, "py/bin/python3.12"));
	w->py.executable = in_world(w, "host/python3");
	assert_true(imp_installer_is_guessed(&on, &w->arena, &w->image, &w->py));
	w->py.executable = in_world(w, "py/bin/python3.12");
	assert_false(imp_installer_is_guessed(&on, &w->arena, &w->image, &w->py));
	w->image.exe = "/usr/bin/python3.11";
	w->py.executable = in_world(w, "host/python3");
	assert_false(imp_installer_is_guessed(&on, &w->arena, &w->image, &w->py));
	w->image.exe = NULL;
	w->py.executable = "";
	install(w, &on, "yaml", false);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install PyYAML", "PyYAML", true);
	w->py.executable = NULL;
	remove(temp_tree_path(&w->tree, "py/bin/python3.12"));
	assert_null(imp_installer_python(&on, &w->arena, &w->image, &w->py));
	install(w, &on, "yaml", false);
	assert_int_equal(w->n, 0);
	w->py.executable = "/nonexistent/python3"; /* its program was removed meanwhile */
	assert_null(imp_installer_python(&on, &w->arena, &w->image, &w->py));
	assert_string_equal(imp_installer_python(&off, &w->arena, &w->image, &w->py),
			    "/nonexistent/python3");
	memset(&w->py, 0, sizeof(w->py));
	install(w, &on, "yaml", false);
	assert_int_equal(w->n, 0);
}

static void test_conda(void **state)
{
	struct world *w = *state;

	temp_tree_write(&w->tree, "py/conda-meta/", "");
	install(w, &on, "torch", false);
	assert_int_equal(w->n, 2);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install torch", "torch", true);
	assert_command(w, 1, "conda install -p @/py pytorch", "pytorch", false);
	install(w, &on, "yaml", true);
	assert_command(w, 1, "conda install -p @/py --force-reinstall pyyaml", "pyyaml", false);
}

static void test_backport(void **state)
{
	struct world *w = *state;

	install(w, &on, "distutils.core", false);
	assert_int_equal(w->n, 1);
	assert_command(w, 0, "@/py/bin/python3.12 -m pip install setuptools", "setuptools", true);
	install(w, &on, "cgi", false); /* 3.12 has it */
	assert_int_equal(w->n, 0);
}

/* ---- Debian's own, told from the trace alone ---- */

static void debian(struct world *w)
{
	struct imp_sys_path *path = imp_vec_push(&w->arena, &w->py.paths);

	*imp_vec_push(&w->arena, &path->path) = "/usr/lib/python3.11";
	*imp_vec_push(&w->arena, &path->path) = "/usr/lib/python3/dist-packages";
	w->py.version = "3.11.2 (main, Oct  7 2024)";
	w->py.executable = "/usr/bin/python3";
	w->py.prefix = w->py.base_prefix = "/usr";
}

static void test_debian_without_host(void **state)
{
	struct world *w = *state;

	assert_false(imp_installer_is_debian(&off, &w->py));
	debian(w);
	assert_true(imp_installer_is_debian(&off, &w->py));
	install(w, &off, "_cffi_backend", false);
	assert_int_equal(w->n, 2);
	assert_command(w, 0, "apt install python3-cffi-backend", "python3-cffi-backend", false);
	assert_command(w, 1,
		       "/usr/bin/python3 -m venv --system-site-packages .venv && "
		       ".venv/bin/python -m pip install cffi",
		       "cffi", false);
	w->image.euid = 1000;
	install(w, &off, "_cffi_backend", true);
	assert_command(w, 0, "sudo apt install --reinstall python3-cffi-backend",
		       "python3-cffi-backend", false);
	install(w, &off, "_tkinter", false);
	assert_int_equal(w->n, 1);
	assert_command(w, 0, "sudo apt install python3-tk", "python3-tk", false);
	install(w, &off, "_sqlite3", false);
	assert_int_equal(w->n, 0);
	w->py.version = "3.13.5 (main)"; /* which has no distutils any more */
	install(w, &off, "distutils", false);
	assert_int_equal(w->n, 2);
	assert_command(w, 0, "sudo apt install python3-setuptools", "python3-setuptools", false);
	w->py.version = "3.11.2 (main)";
	w->image.ids_known = false;
	w->image.euid = 0;
	install(w, &off, "apt_pkg", false);
	assert_int_equal(w->n, 1);
	assert_command(w, 0, "sudo apt install python3-apt", "python3-apt", false);
	/* a venv of it gets its own, but Debian's part of the standard library from apt */
	w->py.prefix = "/home/u/v";
	w->py.executable = "/home/u/v/bin/python";
	install(w, &off, "yaml", false);
	assert_int_equal(w->n, 1);
	assert_command(w, 0, "/home/u/v/bin/python -m pip install PyYAML", "PyYAML", false);
	install(w, &off, "tkinter", false);
	assert_command(w, 0, "sudo apt install python3-tk", "python3-tk", false);
}

static void test_debian_of_this_machine(void **state)
{
	struct world *w = *state;

	if (access("/usr/bin/python3.11", X_OK) != 0 ||
	    access("/usr/lib/python3.11/EXTERNALLY-MANAGED", F_OK) != 0 ||
	    !imp_package_debian_installed(&on, &w->arena, "python3-cffi-backend"))
		skip();
	assert_false(imp_installer_is_debian(&on, &w->py));
	debian(w);
	w->py.paths.n = 0;
	assert_true(imp_installer_is_debian(&on, &w->py));
	install(w, &on, "_cffi_backend", false);
	/* it is installed already: only --reinstall does anything */
	assert_command(w, 0, "apt install --reinstall python3-cffi-backend", "python3-cffi-backend",
		       true);
	/* a second Python that searches the same dist-packages: apt has nothing for it */
	w->py.version = "3.12.9 (main)";
	assert_false(imp_installer_is_debian(&on, &w->py));
}

/* ---- repair ---- */

static void repair(struct world *w, const struct imp_host *h, const struct imp_distribution *dist,
		   const char *path)
{
	memset(w->out, 0, sizeof(w->out));
	w->n = imp_installer_repair(h, &w->arena, &w->image, &w->py, dist, path, w->target, w->out,
				    4);
}

static void test_repair(void **state)
{
	struct imp_distribution dist = {
		.name = "broken_dist", .version = "1.2rc1", .installer = "pip"};
	struct world *w = *state;

	repair(w, &on, &dist, "/nonexistent/file");
	assert_int_equal(w->n, 1);
	assert_command(
		w, 0,
		"@/py/bin/python3.12 -m pip install --force-reinstall --no-deps broken_dist==1.2rc1",
		"broken_dist==1.2rc1", true);
	dist.version = "1.2+cpu"; /* PyPI has no local versions */
	repair(w, &on, &dist, NULL);
	assert_command(w, 0,
		       "@/py/bin/python3.12 -m pip install --force-reinstall --no-deps broken_dist",
		       "broken_dist", true);
	w->target =
		"/work/my deps"; /* PYTHONPATH names it: installed elsewhere, it would not be taken */
	repair(w, &on, &dist, NULL);
	assert_int_equal(w->n, 1);
	assert_command(w, 0,
		       "@/py/bin/python3.12 -m pip install --upgrade --force-reinstall --no-deps "
		       "--target '/work/my deps' broken_dist",
		       "broken_dist", true);
	w->target = NULL;
	dist.version = NULL;
	repair(w, &off, &dist, NULL);
	assert_command(w, 0,
		       "@/py/bin/python3.12 -m pip install --force-reinstall --no-deps broken_dist",
		       "broken_dist", false);
	dist.installer = "dpkg";
	dist.name = "python3-foo";
	repair(w, &off, &dist, NULL);
	assert_int_equal(w->n, 1);
	assert_command(w, 0, "apt install --reinstall python3-foo", "python3-foo", false);
	dist.editable = true;
	repair(w, &on, &dist, NULL);
	assert_int_equal(w->n, 0);
	memset(&dist, 0, sizeof(dist));
	repair(w, &on, &dist, NULL);
	assert_int_equal(w->n, 0);
}

/* Debian's metadata beside its modules: the file's own package mends it, not the distribution's name. */
static void test_repair_debian(void **state)
{
	struct imp_distribution dist = {
		.name = "cffi",
		.version = "1.15.1",
		.metadata = "/usr/lib/python3/dist-packages/cffi-1.15.1.egg-info"};
	struct world *w = *state;

	if (!imp_package_debian_installed(&on, &w->arena, "python3-cffi-backend") ||
	    access("/usr/lib/python3/dist-packages/_cffi_backend.cpython-311-x86_64-linux-gnu.so",
		   F_OK) != 0)
		skip();
	repair(w, &on, &dist,
	       "/usr/lib/python3/dist-packages/_cffi_backend.cpython-311-x86_64-linux-gnu.so");
	assert_command(w, 0, "apt install --reinstall python3-cffi-backend", "python3-cffi-backend",
		       true);
	if (access(dist.metadata, F_OK) != 0)
		skip();
	repair(w, &on, &dist, NULL);
	assert_command(w, 0, "apt install --reinstall python3-cffi", "python3-cffi", true);
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_quote),
		world_test(test_quote_through_a_shell),
		world_test(test_pip),
		world_test(test_nothing_to_type),
		world_test(test_pythonpath_is_kept_from_pip),
		world_test(test_without_pip),
		world_test(test_venv),
		world_test(test_venv_that_site_tells),
		world_test(test_pip_that_the_program_added),
		world_test(test_guess),
		world_test(test_editable),
		world_test(test_externally_managed),
		world_test(test_embedded),
		world_test(test_conda),
		world_test(test_backport),
		world_test(test_debian_without_host),
		world_test(test_debian_of_this_machine),
		world_test(test_repair),
		world_test(test_repair_debian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
