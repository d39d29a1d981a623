// SPDX-License-Identifier: GPL-2.0-or-later
#include "python/package_name.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct imp_arena arena;
static const struct imp_host on = {.enabled = true}, off = {.enabled = false};

static int teardown(void **state)
{
	(void)state;
	imp_arena_clear(&arena);
	return 0;
}

static void assert_text(const char *text, const char *wanted)
{
	if (wanted) {
		assert_non_null(text);
		assert_string_equal(text, wanted);
	} else {
		assert_null(text);
	}
}

static void test_pypi_name(void **state)
{
	static const char *const cases[][2] = {
		{"cv2", "opencv-python"},
		{"cv2.gapi", "opencv-python"},
		{"PIL", "Pillow"},
		{"PIL.Image", "Pillow"},
		{"PIL._imagingtk", "Pillow"},
		{"yaml", "PyYAML"},
		{"_yaml", "PyYAML"},
		{"sklearn.utils._x", "scikit-learn"},
		{"skimage", "scikit-image"},
		{"bs4", "beautifulsoup4"},
		{"dateutil", "python-dateutil"},
		{"dotenv", "python-dotenv"},
		{"_cffi_backend", "cffi"},
		{"OpenSSL", "pyOpenSSL"},
		{"Crypto", "pycryptodome"},
		{"Crypto.Cipher._raw_aes", "pycryptodome"},
		{"Cryptodome", "pycryptodomex"},
		{"nacl", "PyNaCl"},
		{"jwt", "PyJWT"},
		{"git", "GitPython"},
		{"serial", "pyserial"},
		{"usb", "pyusb"},
		{"MySQLdb", "mysqlclient"},
		{"zmq", "pyzmq"},
		{"attr", "attrs"},
		{"pkg_resources", "setuptools"},
		{"win32api", "pywin32"},
		{"_brotli", "Brotli"},
		{"_ruamel_yaml", "ruamel.yaml.clib"},
		{"_argon2_cffi_bindings", "argon2-cffi-bindings"},
		{"_bcrypt", "bcrypt"},
		{"simplejson._speedups", "simplejson"},
		{"markupsafe._speedups", "MarkupSafe"},
		{"grpc._cython.cygrpc", "grpcio"},
		{"rpds.rpds", "rpds-py"},
		{"pydantic_core._pydantic_core", "pydantic-core"},
		{"orjson", "orjson"},
		{"msgpack._cmsgpack", "msgpack"},
		/* namespaces: a part of its own each, and nothing for the bare name */
		{"google.protobuf", "protobuf"},
		{"google.protobuf.internal", "protobuf"},
		{"google._upb._message", "protobuf"},
		{"google.cloud.storage", "google-cloud-storage"},
		{"google.cloud.storage.blob", "google-cloud-storage"},
		{"google", NULL},
		{"google.auth.transport", "google-auth"},
		{"azure", NULL},
		{"azure.storage.blob", "azure-storage-blob"},
		{"azure.mgmt.compute", "azure-mgmt-compute"},
		{"ruamel.yaml", "ruamel.yaml"},
		{"ruamel", NULL},
		{"zope.schema", "zope.schema"},
		{"zope.interface._zope_interface_coptimizations", "zope.interface"},
		{"backports.tarfile", "backports.tarfile"},
		{"sphinxcontrib.spelling", "sphinxcontrib-spelling"},
		{"google.\xff.x", NULL},
		{"google..", NULL},
		/* not in the table: the name itself, normalized */
		{"requests_toolbelt", "requests-toolbelt"},
		{"Some__Thing.sub", "some-thing"},
		{"supabase", "supabase"},
		{"yamlish", "yamlish"},
		{"PILLOW", "pillow"},
		/* what can be the name of no distribution */
		{"_native_17", NULL},
		{"x_", NULL},
		{"", NULL},
		{".", NULL},
		{"\xc3\xa4pfel", NULL},
		{"a b", NULL},
		{"x;rm", NULL},
		{"--pre", NULL},
		/* Debian alone has it */
		{"apt_pkg", NULL},
		{"rpm", NULL},
		/* the standard library, of this Python and of Python 2 */
		{"sqlite3", NULL},
		{"_sqlite3", NULL},
		{"os.path", NULL},
		{"distutils", NULL},
		{"urllib2", NULL},
		{"ConfigParser", NULL},
		{"_zstd", NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_text(imp_package_pypi_name(&arena, cases[i][0]), cases[i][1]);
	assert_true(imp_package_is_translated("cv2"));
	assert_true(imp_package_is_translated("_cffi_backend"));
	assert_false(imp_package_is_translated("requests_toolbelt"));
	assert_false(imp_package_is_translated("apt_pkg"));
}

/* The tables themselves: sorted where they say so, nothing twice, names that can be typed. */
static void test_same_name(void **state)
{
	static const struct {
		const char *one, *two;
		bool same;
	} cases[] = {
		{"my_pkg", "My-Pkg", true}, {"a.b", "a-_-b", true}, {"pkg", "pkg", true},
		{"a--b", "a.b", true},	    {"ab", "a-b", false},   {"a-", "a", false},
		{"a", "a-", false},	    {"pkg", "pkg2", false}, {"", "", true},
		{"-", "_", true},	    {"-a", "_b", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(imp_package_same_name(cases[i].one, cases[i].two), cases[i].same);
}

static void test_tables(void **state)
{
	static const char *const names[][3] = {
#define PACKAGE(module, pypi, debian) {module, pypi, debian},
#include "python/package_names.def"
#undef PACKAGE
	};
	static const struct {
		const char *name;
		int since, removed;
		bool optional;
		const char *build, *debian;
	} stdlib[] = {
#define STDLIB(name, since, removed, optional, build, debian) \
	{name, since, removed, optional, build, debian},
#include "python/stdlib_modules.def"
#undef STDLIB
	};
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t i, translated = 0;
	int k;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (i)
			assert_true(strcmp(names[i - 1][0], names[i][0]) < 0);
		assert_true(names[i][1] || names[i][2]);
		for (k = 0; k < 3; k++)
			assert_true(!names[i][k] ||
				    (names[i][k][0] && !names[i][k][strspn(names[i][k], safe)]));
		assert_false(imp_package_is_stdlib(names[i][0], NULL));
		translated += names[i][1] && strcasecmp(names[i][0], names[i][1]) != 0;
	}
	assert_true(translated >= 150);
	for (i = 0; i < sizeof(stdlib) / sizeof(stdlib[0]); i++) {
		if (i)
			assert_true(strcmp(stdlib[i - 1].name, stdlib[i].name) < 0);
		assert_true(!stdlib[i].removed || stdlib[i].removed > stdlib[i].since);
		assert_true(!stdlib[i].build || stdlib[i].optional);
		assert_null(strchr(stdlib[i].name, '.'));
	}
}

static void test_stdlib(void **state)
{
	static const struct {
		const char *module;
		bool stdlib, optional;
		const char *build;
	} cases[] = {
		{"os", true, false, NULL},
		{"os.path", true, false, NULL},
		{"xml.etree.cElementTree", true, false, NULL},
		{"_ssl", true, true, "libssl-dev"},
		{"_hashlib", true, true, "libssl-dev"},
		{"_sqlite3", true, true, "libsqlite3-dev"},
		{"_tkinter", true, true, "tk-dev"},
		{"tkinter", true, true, "tk-dev"},
		{"_ctypes", true, true, "libffi-dev"},
		{"_bz2", true, true, "libbz2-dev"},
		{"_lzma", true, true, "liblzma-dev"},
		{"zlib", true, true, "zlib1g-dev"},
		{"_curses", true, true, "libncurses-dev"},
		{"_gdbm", true, true, "libgdbm-dev"},
		{"_dbm", true, true, "libgdbm-compat-dev"},
		{"readline", true, true, "libreadline-dev"},
		{"_uuid", true, true, "uuid-dev"},
		{"_zstd", true, true, "libzstd-dev"},
		{"nis", true, true, "libnsl-dev"},
		{"pyexpat", true, true, "libexpat1-dev"},
		{"_crypt", true, true, "libcrypt-dev"},
		{"_decimal", true, true, NULL},
		{"ossaudiodev", true, true, NULL},
		{"spwd", true, true, NULL},
		{"sqlite3", true, false, "libsqlite3-dev"},
		{"ctypes.util", true, false, "libffi-dev"},
		{"lib2to3", true, false, NULL},
		{"test", true, false, NULL},
		{"numpy", false, false, NULL},
		{"", false, false, NULL},
		{"o", false, false, NULL},
		{"oss", false, false, NULL},
		{"_sqlite", false, false, NULL},
	};
	bool optional;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(imp_package_is_stdlib(cases[i].module, &optional), cases[i].stdlib);
		assert_int_equal(optional, cases[i].optional);
		assert_text(imp_package_build_dependency(cases[i].module), cases[i].build);
	}
}

static void test_stdlib_range(void **state)
{
	static const struct {
		const char *module;
		int since, removed;
	} cases[] = {
		{"os", 0, 0},
		{"tomllib", 11, 0},
		{"imp", 0, 12},
		{"distutils.core", 0, 12},
		{"cgi", 0, 13},
		{"zoneinfo", 9, 0},
		{"dataclasses", 7, 0},
		{"asyncore", 0, 12},
		{"formatter", 0, 10},
		{"binhex", 0, 11},
		{"compression.zstd", 14, 0},
		{"annotationlib", 14, 0},
		{"telnetlib", 0, 13},
		{"dummy_threading", 0, 9},
	};
	int since, removed;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(imp_package_stdlib_range(cases[i].module, &since, &removed));
		assert_int_equal(since, cases[i].since);
		assert_int_equal(removed, cases[i].removed);
	}
	assert_false(imp_package_stdlib_range("numpy", &since, &removed));
}

static void test_backport(void **state)
{
	static const struct {
		const char *module;
		int minor;
		const char *pypi;
	} cases[] = {
		{"distutils", 12, "setuptools"},
		{"distutils.core", 13, "setuptools"},
		{"distutils", 11, NULL},
		{"cgi", 13, "legacy-cgi"},
		{"cgi", 12, NULL},
		{"audioop", 13, "audioop-lts"},
		{"imp", 12, "zombie-imp"},
		{"dataclasses", 6, "dataclasses"},
		{"dataclasses", 7, NULL},
		{"asyncore", 14, "pyasyncore"},
		{"tomllib", 10, NULL},
		{"os", 13, NULL},
		{"numpy", 13, NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_text(imp_package_backport(cases[i].module, cases[i].minor), cases[i].pypi);
	assert_text(imp_package_python2_successor("urllib2"), "urllib.request");
	assert_text(imp_package_python2_successor("Tkinter"), "tkinter");
	assert_text(imp_package_python2_successor("tkinter"), NULL);
	assert_text(imp_package_python2_successor(""), NULL);
}

static void test_debian_name_without_host(void **state)
{
	static const char *const cases[][2] = {
		{"_cffi_backend", "python3-cffi-backend"},
		{"yaml", "python3-yaml"},
		{"_tkinter", "python3-tk"},
		{"tkinter", "python3-tk"},
		{"tkinter.ttk", "python3-tk"},
		{"_gdbm", "python3-gdbm"},
		{"PIL.Image", "python3-pil"},
		{"PIL.ImageTk", "python3-pil.imagetk"},
		{"dbus", "python3-dbus"},
		{"gi", "python3-gi"},
		{"gi._gi", "python3-gi"},
		{"gi._gi_cairo", "python3-gi-cairo"},
		{"apt_pkg", "python3-apt"},
		{"ensurepip", "python3-venv"},
		{"distutils", "python3-distutils"},
		{"jwt", "python3-jwt"},
		{"cryptography.x", "python3-cryptography"},
		/* unknown without anybody to ask: a guess could be another program's package */
		{"foo", NULL},
		{"_native", NULL},
		{"os", NULL},
		{"_sqlite3", NULL},
		{"", NULL},
		{"cx_Oracle", NULL},
	};
	bool confirmed;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_text(imp_package_debian_name(&off, &arena, cases[i][0]), cases[i][1]);
		imp_package_debian_find(&off, &arena, cases[i][0], &confirmed);
		assert_false(confirmed);
	}
	assert_int_equal(imp_package_debian_exists(&off, &arena, "coreutils"), -ENODATA);
	assert_false(imp_package_debian_installed(&off, &arena, "coreutils"));
}

static void test_debian_of_this_machine(void **state)
{
	bool confirmed;
	int ret;

	(void)state;
	if (access("/var/lib/dpkg/info/coreutils.list", F_OK) != 0)
		skip();
	assert_int_equal(imp_package_debian_exists(&on, &arena, "coreutils"), 1);
	assert_true(imp_package_debian_installed(&on, &arena, "coreutils"));
	ret = imp_package_debian_exists(&on, &arena, "python3-no-such-package-17");
	assert_true(ret == 0 || ret == -ENODATA);
	assert_false(imp_package_debian_installed(&on, &arena, "python3-no-such-package-17"));
	assert_null(imp_package_debian_name(&on, &arena, "no_such_package_17"));
	assert_null(imp_package_debian_name(&on, &arena, "_no_such_package_17"));
	if (!imp_package_debian_installed(&on, &arena, "python3-cffi-backend"))
		skip();
	assert_text(imp_package_debian_find(&on, &arena, "_cffi_backend", &confirmed),
		    "python3-cffi-backend");
	assert_true(confirmed);
}

/* Not in the table, and not to be guessed from its name: dpkg's lists hold it. */
static void test_debian_through_lists(void **state)
{
	bool confirmed;

	(void)state;
	if (access("/usr/lib/python3/dist-packages/_distutils_hack", F_OK) != 0 ||
	    !imp_package_debian_installed(&on, &arena, "python3-contourpy"))
		skip();
	assert_text(imp_package_debian_find(&on, &arena, "contourpy._contourpy", &confirmed),
		    "python3-contourpy");
	assert_true(confirmed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pypi_name),
		cmocka_unit_test(test_same_name),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_stdlib),
		cmocka_unit_test(test_stdlib_range),
		cmocka_unit_test(test_backport),
		cmocka_unit_test(test_debian_name_without_host),
		cmocka_unit_test(test_debian_of_this_machine),
		cmocka_unit_test(test_debian_through_lists),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
