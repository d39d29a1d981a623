// SPDX-License-Identifier: GPL-2.0-or-later
#include "python/distribution.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "python/csv_record.h"
#include "python/module_file.h"
#include "temp_tree.h"

static struct temp_tree tree;
static struct imp_arena arena;
static const struct imp_host on = {.enabled = true}, off = {.enabled = false};

static int setup(void **state)
{
	(void)state;
	temp_tree_make(&tree);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	temp_tree_remove(&tree);
	imp_arena_clear(&arena);
	return 0;
}

static const struct {
	const char *file, *name, *version;
} names[] = {
	{"cffi-1.15.1.dist-info", "cffi", "1.15.1"},
	{"typing_extensions-4.4.0.dist-info", "typing_extensions", "4.4.0"},
	{"old-style-name-2.0.dist-info", "old-style-name", "2.0"},
	{"zope.interface-5.5.2.dist-info", "zope.interface", "5.5.2"},
	{"pkg-1!2.0+local.dist-info", "pkg", "1!2.0+local"},
	{"bare.dist-info", "bare", NULL},
	{"cffi-1.15.1.egg-info", "cffi", "1.15.1"},
	{"cffi-1.15.1-py3.11.egg-info", "cffi", "1.15.1"},
	{"cryptography.egg-info", "cryptography", NULL},
	{"lz4-4.0.2+dfsg.egg-info", "lz4", "4.0.2+dfsg"},
	{"cffi-1.15.1-py3.11-linux-x86_64.egg", "cffi", "1.15.1"},
	{"mine.egg-link", "mine", NULL},
	{"name-.dist-info", "name", NULL},
	{".dist-info", NULL, NULL},
	{"-1.0.dist-info", NULL, NULL},
	{"-1.0.egg-info", NULL, NULL},
	{"cffi", NULL, NULL},
	{"cffi-1.0.dist-info.bak", NULL, NULL},
	{"", NULL, NULL},
};

static void assert_text(const char *text, const char *wanted)
{
	if (wanted) {
		assert_non_null(text);
		assert_string_equal(text, wanted);
	} else {
		assert_null(text);
	}
}

static void test_parse_name(void **state)
{
	const char *name, *version;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(imp_distribution_parse_name(&arena, names[i].file, &name, &version),
				 names[i].name ? 0 : -EINVAL);
		assert_text(name, names[i].name);
		assert_text(version, names[i].version);
	}
}

/* ---- csv and names of files ---- */

static void test_csv(void **state)
{
	static const struct {
		const char *text;
		const char *paths[5];
	} cases[] = {
		{"", {NULL}},
		{"\r\n\n\r", {NULL}},
		{"a.py,sha256=x,1\nb.py,,\n", {"a.py", "b.py"}},
		{"a.py,,\r\nb.py,,", {"a.py", "b.py"}},
		{"\"a,b.py\",x,1\n\"say \"\"hi\"\".py\",,\n", {"a,b.py", "say \"hi\".py"}},
		{"\"two\nlines.py\",,\nnext.py,,\n", {"two\nlines.py", "next.py"}},
		{"alone\n", {"alone"}},
		{"\"never closed\nb.py,,\n", {"never closed\nb.py,,\n"}},
		{"\"", {""}},
		{"\"\"", {""}},
		{",x\n", {""}},
		{"\"a\"b,c\n", {"a"}},
	};
	struct imp_csv_row row;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *exact = malloc(strlen(cases[i].text) + !*cases[i].text);
		struct imp_csv csv = {.data = exact, .len = strlen(cases[i].text)};

		assert_non_null(exact);
		memcpy(exact, cases[i].text, csv.len); /* no NUL: a sanitizer sees the end */
		for (n = 0; imp_csv_next(&csv, &row); n++) {
			assert_true(n < 5 && cases[i].paths[n]);
			assert_string_equal(imp_csv_path(&row, &arena), cases[i].paths[n]);
			assert_true(strlen(imp_csv_line(&row, &arena)) <= 4096);
		}
		assert_true(n == 5 || !cases[i].paths[n]);
		free(exact);
	}
}

static void test_module_file(void **state)
{
	static const struct {
		const char *path, *base;
		bool is;
	} cases[] = {
		{"pkg/_native.cpython-311-x86_64-linux-gnu.so", "pkg/_native", true},
		{"pkg/_native.so", "pkg/_native", true},
		{"pkg/_native.abi3.so", "pkg/_native", true},
		{"pkg/_native.py", "pkg/_native", true},
		{"pkg/_native.pyc", "pkg/_native", true},
		{"pkg/_native/__init__.py", "pkg/_native", true},
		{"pkg/_native/__init__.cpython-311-x86_64-linux-gnu.so", "pkg/_native", true},
		{"pkg/_native.cp311-win_amd64.pyd", "pkg/_native", true},
		{"pkg/_native.pyi", "pkg/_native", false},
		{"pkg/_native2.so", "pkg/_native", false},
		{"pkg/_native/other.py", "pkg/_native", false},
		{"pkg/_native.libs/libz.so", "pkg/_native", false},
		{"pkg/_native", "pkg/_native", false},
		{"pkg/_native/__init__.pyi", "pkg/_native", false},
		{"pkg/_native.so.1", "pkg/_native", false},
		{"x/pkg/_native.so", "pkg/_native", false},
		{"", "", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(imp_module_file_is(&arena, cases[i].path, cases[i].base),
				 cases[i].is);
	assert_string_equal(imp_module_path(&arena, "a.b.c"), "a/b/c");
}

static void test_paths(void **state)
{
	static const char *const cases[][2] = {
		{"/a/b/../c", "/a/c"},
		{"/a//b/./c/", "/a/b/c"},
		{"/..", "/"},
		{"/../../x", "/x"},
		{"a/../..", ".."},
		{"../../x", "../../x"},
		{"", "."},
		{"a/..", "."},
		{"/", "/"},
		{"/a/b/../../../../c", "/c"},
		{"/...", "/..."},
		{"..a/..", "."},
		{"a/b/..", "a"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(imp_path_normalize(&arena, cases[i][0]), cases[i][1]);
	assert_string_equal(imp_path_join(&arena, "/a", "b"), "/a/b");
	assert_string_equal(imp_path_join(&arena, "/a/", "b"), "/a/b");
	assert_string_equal(imp_path_join(&arena, "/a", "/b"), "/b");
	assert_string_equal(imp_path_join(&arena, "", "b"), "b");
	assert_string_equal(imp_path_parent(&arena, "/a/b"), "/a");
	assert_string_equal(imp_path_parent(&arena, "/a"), "/");
	assert_string_equal(imp_path_parent(&arena, "a"), ".");
	assert_string_equal(imp_path_name("/a/b"), "b");
}

/* ---- claims ---- */

static const char *site(const char *name)
{
	return imp_arena_printf(&arena, "%s/%s/site-packages", tree.root, name);
}

static struct imp_owned_files claims(const char *module, const char *entry, const char *second)
{
	struct imp_strings entries = {0};
	struct imp_owned_files out = {0};

	*imp_vec_push(&arena, &entries) = entry;
	if (second)
		*imp_vec_push(&arena, &entries) = second;
	*imp_vec_push(&arena, &entries) = "relative";
	*imp_vec_push(&arena, &entries) = "/nonexistent";
	assert_int_equal(imp_distribution_claims(&on, &arena, &entries, module, &out), 0);
	return out;
}

static void test_record_claims(void **state)
{
	struct imp_owned_files out;

	(void)state;
	temp_tree_write(&tree, "rec/site-packages/pkg-1.2.dist-info/RECORD",
			"pkg/__init__.py,sha256=abc,10\n"
			"pkg/_native.cpython-311-x86_64-linux-gnu.so,sha256=def,20\n"
			"pkg/_native.pyi,sha256=def,20\n"
			"\"odd, name.py\",,\n"
			"../../bin/pkg-tool,,\n"
			"pkg-1.2.dist-info/RECORD,,\n");
	temp_tree_write(
		&tree, "rec/site-packages/pkg-1.2.dist-info/WHEEL",
		"Wheel-Version: 1.0\nGenerator: x\r\nTag:  cp311-cp311-linux_x86_64 \nTag: other\n");
	temp_tree_write(&tree, "rec/site-packages/pkg-1.2.dist-info/INSTALLER", "pip\n");
	temp_tree_write(&tree, "rec/site-packages/pkg/__init__.py", "");
	temp_tree_link(&tree, "rec", "alias");

	out = claims("pkg._native", site("rec"), site("alias"));
	assert_int_equal(out.n, 1); /* the same directory by two names counts once */
	assert_string_equal(
		out.v[0].path,
		temp_tree_path(&tree,
			       "rec/site-packages/pkg/_native.cpython-311-x86_64-linux-gnu.so"));
	assert_string_equal(out.v[0].line,
			    "pkg/_native.cpython-311-x86_64-linux-gnu.so,sha256=def,20");
	assert_int_equal(out.v[0].exists, 0);
	assert_string_equal(out.v[0].dist.name, "pkg");
	assert_string_equal(out.v[0].dist.version, "1.2");
	assert_string_equal(out.v[0].dist.installer, "pip");
	assert_string_equal(out.v[0].dist.wheel_tag, "cp311-cp311-linux_x86_64");
	assert_string_equal(out.v[0].dist.metadata,
			    temp_tree_path(&tree, "rec/site-packages/pkg-1.2.dist-info"));
	assert_false(out.v[0].dist.editable);

	out = claims("pkg", site("rec"), NULL);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.v[0].exists, 1);
	assert_int_equal(claims("odd, name", site("rec"), NULL).n, 1);
	assert_int_equal(claims("native", site("rec"), NULL).n, 0);
	assert_int_equal(claims("_native", site("rec"), NULL).n, 0);
	assert_int_equal(claims("", site("rec"), NULL).n, 0);
	assert_int_equal(claims("pkg-1.2.dist-info.RECORD", site("rec"), NULL).n, 0);
}

/* Quotes are doubled, other halves are reached by "..", absolute paths stand for themselves. */
static void test_record_paths(void **state)
{
	struct imp_owned_files out;

	(void)state;
	temp_tree_write(&tree, "lib/site-packages/far-1.dist-info/RECORD",
			imp_arena_printf(&arena,
					 "\"say \"\"hi\"\".py\",,\r\n"
					 "../../lib64/site-packages/half.so,,\r\n"
					 "../../share/half2.so,,\r\n"
					 "%s/lib/site-packages/whole.py,,\r\n"
					 "./dotted/./x/../name.py,,\n./dotted/name.so,,",
					 tree.root));
	out = claims("say \"hi\"", site("lib"), NULL);
	assert_int_equal(out.n, 1);
	assert_string_equal(imp_path_name(out.v[0].path), "say \"hi\".py");
	out = claims("half", site("lib"), NULL);
	assert_int_equal(out.n, 1);
	assert_string_equal(out.v[0].path, temp_tree_path(&tree, "lib64/site-packages/half.so"));
	assert_int_equal(claims("half2", site("lib"), NULL).n, 0);
	assert_int_equal(claims("whole", site("lib"), NULL).n, 1);
	assert_int_equal(claims("dotted.name", site("lib"), NULL).n, 1);
}

static void test_egg_claims(void **state)
{
	struct imp_owned_files out;

	(void)state;
	temp_tree_write(&tree, "egg/site-packages/a-1.0-py3.8.egg-info/installed-files.txt",
			"../a/__init__.py\n../a/_x.so\nPKG-INFO\n");
	temp_tree_write(&tree, "egg/site-packages/a-1.0-py3.8.egg-info/PKG-INFO", "Name: a\n");
	temp_tree_write(&tree, "egg/site-packages/b.egg-info/PKG-INFO",
			"Metadata-Version: 1.0\nversion: 3.7\n\nVersion: of the text\n");
	temp_tree_write(&tree, "egg/site-packages/b.egg-info/top_level.txt", "zero\nb\n");
	temp_tree_write(&tree, "egg/site-packages/b.egg-info/SOURCES.txt",
			"b/__init__.py\nb/_y.so\nb/mod.py\ntests/__init__.py\nsetup.py\n");
	temp_tree_write(&tree, "egg/site-packages/c-2.egg/EGG-INFO/PKG-INFO", "Version: 2\n");
	temp_tree_write(&tree, "egg/site-packages/c-2.egg/EGG-INFO/top_level.txt", "c");
	temp_tree_write(&tree, "egg/site-packages/c-2.egg/EGG-INFO/SOURCES.txt", "c.py");
	temp_tree_write(&tree, "egg/site-packages/file-9.egg-info", "Version: 9\n");

	out = claims("a._x", site("egg"), NULL);
	assert_int_equal(out.n, 1);
	assert_string_equal(out.v[0].path, temp_tree_path(&tree, "egg/site-packages/a/_x.so"));
	assert_string_equal(out.v[0].line, "../a/_x.so");
	assert_string_equal(out.v[0].dist.version, "1.0");
	out = claims("b.mod", site("egg"), NULL);
	assert_int_equal(out.n, 1);
	assert_string_equal(out.v[0].dist.version, "3.7");
	assert_int_equal(claims("b._y", site("egg"), NULL).n, 0);  /* sources hold no extension */
	assert_int_equal(claims("tests", site("egg"), NULL).n, 0); /* no top-level name of it */
	assert_int_equal(claims("setup", site("egg"), NULL).n, 0);
	out = claims("c", site("egg"), NULL);
	assert_int_equal(out.n, 1);
	assert_string_equal(out.v[0].path, temp_tree_path(&tree, "egg/site-packages/c-2.egg/c.py"));
	out = claims("c", imp_arena_printf(&arena, "%s/c-2.egg", site("egg")), NULL);
	assert_int_equal(out.n, 1); /* the egg itself on the path */
	assert_string_equal(out.v[0].path, temp_tree_path(&tree, "egg/site-packages/c-2.egg/c.py"));
}

/* Nothing that stands in these files may do harm. */
static void test_hostile_metadata(void **state)
{
	char *noise = malloc(300000);
	size_t i;

	(void)state;
	assert_non_null(noise);
	for (i = 0; i < 300000; i++)
		noise[i] = "\"\n,\0\xff/..x\r pkg"[(i * 7919) % 15];
	memcpy(noise + 299997, "pkg", 3);
	temp_tree_bytes(&tree, "bad/site-packages/pkg-1.dist-info/RECORD", noise, 300000);
	temp_tree_bytes(&tree, "bad/site-packages/pkg-1.dist-info/WHEEL", noise, 4096);
	temp_tree_bytes(&tree, "bad/site-packages/pkg-1.dist-info/METADATA", noise, 4096);
	temp_tree_bytes(&tree, "bad/site-packages/e.egg-info/installed-files.txt", noise, 300000);
	temp_tree_bytes(&tree, "bad/site-packages/f.egg-info/top_level.txt", "pkg\0pkg", 7);
	temp_tree_bytes(&tree, "bad/site-packages/f.egg-info/SOURCES.txt", noise, 300000);
	temp_tree_write(&tree, "bad/site-packages/d-1.dist-info/RECORD/", "");
	free(noise);
	assert_int_equal(claims("pkg", site("bad"), NULL).n, 0);
	temp_tree_bytes(&tree, "nul/site-packages/z-1.egg-info/installed-files.txt",
			"a\0b\n../z.py\n", 12);
	assert_int_equal(claims("z", site("nul"), NULL).n, 1);
}

static void test_of_file(void **state)
{
	struct imp_distribution dist;
	const char *entry = site("of");

	(void)state;
	temp_tree_write(&tree, "of/site-packages/one-1.dist-info/RECORD",
			"one/data.txt,,\none/__pycache__/x.cpython-311.pyc,,\n");
	temp_tree_write(&tree, "of/site-packages/two-2.dist-info/RECORD", "two/data.txt,,\n");
	assert_int_equal(imp_distribution_of_file(
				 &on, &arena, entry,
				 temp_tree_path(&tree, "of/site-packages/two/data.txt"), &dist),
			 0);
	assert_string_equal(dist.name, "two");
	assert_int_equal(imp_distribution_of_file(
				 &on, &arena, entry,
				 temp_tree_path(&tree, "of/site-packages/one/./data.txt"), &dist),
			 0);
	assert_string_equal(dist.name, "one");
	assert_int_equal(
		imp_distribution_of_file(&on, &arena, entry,
					 temp_tree_path(&tree, "of/site-packages/data.txt"), &dist),
		-ENOENT);
	assert_int_equal(imp_distribution_of_file(&on, &arena, temp_tree_path(&tree, "no"),
						  temp_tree_path(&tree, "no/x"), &dist),
			 -ENOENT);
	assert_int_equal(imp_distribution_of_file(&off, &arena, entry, "/x", &dist), -ENODATA);
	assert_int_equal(imp_distribution_of_file(&on, &arena, "", "x", &dist), -ENODATA);
}

static void test_list(void **state)
{
	struct imp_distributions all = {0};
	struct imp_strings entries = {0};
	struct imp_owned_files out = {0};

	(void)state;
	temp_tree_write(&tree, "list/a-1.dist-info/direct_url.json",
			"{\"url\": \"file:///x\", \"dir_info\": { \"editable\" : true}}");
	temp_tree_write(&tree, "list/b-2.dist-info/direct_url.json",
			"{\"url\": \"file:///x\", \"dir_info\": {\"editable\": false}}");
	temp_tree_write(&tree, "list/c.egg-link", "/home/u/c\n.");
	temp_tree_write(&tree, "list/d.egg-info", "Metadata-Version: 1.1\nVersion: 4.5\n");
	temp_tree_write(&tree, "list/e-5.dist-info/METADATA", "Name: E\nVersion: 6\n");
	temp_tree_write(&tree, "list/f.py", "");
	assert_int_equal(imp_distribution_list(&on, &arena, temp_tree_path(&tree, "list"), &all), 0);
	assert_int_equal(all.n, 5);
	assert_string_equal(all.v[0].name, "a");
	assert_true(all.v[0].editable);
	assert_false(all.v[1].editable);
	assert_string_equal(all.v[2].name, "c");
	assert_true(all.v[2].editable);
	assert_null(all.v[2].version);
	assert_string_equal(all.v[3].version, "4.5");
	assert_string_equal(all.v[4].version, "5");
	assert_null(all.v[4].installer);
	assert_null(all.v[4].wheel_tag);
	assert_int_equal(imp_distribution_list(&on, &arena, "/nonexistent", &all), -ENOENT);
	assert_int_equal(imp_distribution_list(&off, &arena, tree.root, &all), -ENODATA);
	assert_int_equal(imp_distribution_claims(&off, &arena, &entries, "x", &out), -ENODATA);
}

/* ---- dpkg, where this machine has it ---- */

static void test_dpkg(void **state)
{
	struct imp_owned_files out = {0};
	const char *package;

	(void)state;
	assert_int_equal(imp_distribution_dpkg_owner(&off, &arena, "/bin/sh", &package), -ENODATA);
	assert_int_equal(imp_distribution_dpkg_claims(&off, &arena, "x", &out), -ENODATA);
	assert_int_equal(imp_distribution_dpkg_package(&off, &arena, "x", &package), -ENODATA);
	if (access("/var/lib/dpkg/info/coreutils.list", F_OK) != 0) {
		assert_int_equal(imp_distribution_dpkg_claims(&on, &arena, "x", &out), 0);
		skip();
	}
	assert_int_equal(imp_distribution_dpkg_owner(&on, &arena, "/bin/ls", &package), 0);
	assert_string_equal(package, "coreutils");
	assert_int_equal(imp_distribution_dpkg_owner(&on, &arena, "/usr/bin/ls", &package), 0);
	assert_string_equal(package, "coreutils"); /* merged /usr: the list has only one of them */
	assert_int_equal(imp_distribution_dpkg_owner(&on, &arena, "/usr/bin/./ls", &package), 0);
	assert_int_equal(imp_distribution_dpkg_owner(&on, &arena, "/usr/bin/l", &package), -ENOENT);
	assert_int_equal(imp_distribution_dpkg_owner(&on, &arena, "/s", &package), -ENOENT);
	assert_int_equal(imp_distribution_dpkg_owner(&on, &arena, "/bin/ls\n/usr", &package),
			 -ENOENT);
	assert_int_equal(imp_distribution_dpkg_owner(&on, &arena, "bin/ls", &package), -ENODATA);
	assert_null(package);
	assert_int_equal(imp_distribution_dpkg_claims(&on, &arena, "no_such_module_17", &out), 0);
	assert_int_equal(out.n, 0);
	assert_int_equal(imp_distribution_dpkg_package(&on, &arena, "no_such_module_17", &package),
			 -ENOENT);
}

static void test_dpkg_module(void **state)
{
	struct imp_owned_files out = {0};
	const char *package;

	(void)state;
	if (access("/var/lib/dpkg/info/python3-cffi-backend.list", F_OK) != 0 &&
	    access("/var/lib/dpkg/info/python3-cffi-backend:amd64.list", F_OK) != 0)
		skip();
	assert_int_equal(imp_distribution_dpkg_claims(&on, &arena, "_cffi_backend", &out), 0);
	assert_true(out.n >= 1);
	assert_string_equal(out.v[0].dist.name, "python3-cffi-backend");
	assert_string_equal(out.v[0].dist.installer, "dpkg");
	assert_int_equal(out.v[0].exists, 1);
	assert_non_null(strstr(out.v[0].path, "/dist-packages/_cffi_backend."));
	assert_string_equal(out.v[0].line, out.v[0].path);
	assert_int_equal(imp_distribution_dpkg_package(&on, &arena, "_cffi_backend", &package), 0);
	assert_string_equal(package, "python3-cffi-backend");
	out.n = 0;
	assert_int_equal(imp_distribution_dpkg_claims(&on, &arena, "_cffi_back", &out), 0);
	assert_int_equal(out.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_name),    cmocka_unit_test(test_csv),
		cmocka_unit_test(test_module_file),   cmocka_unit_test(test_paths),
		cmocka_unit_test(test_record_claims), cmocka_unit_test(test_record_paths),
		cmocka_unit_test(test_egg_claims),    cmocka_unit_test(test_hostile_metadata),
		cmocka_unit_test(test_of_file),	      cmocka_unit_test(test_list),
		cmocka_unit_test(test_dpkg),	      cmocka_unit_test(test_dpkg_module),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
