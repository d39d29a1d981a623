// SPDX-License-Identifier: GPL-2.0-or-later
#include "python/abi_tag.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct imp_arena arena;

static int teardown(void **state)
{
	(void)state;
	imp_arena_clear(&arena);
	return 0;
}

static const struct parse_case {
	const char *file, *module, *tag, *implementation;
	int major, minor;
	const char *flags, *pypy, *platform, *suffix, *described;
	bool abi3, abi3t, windows, darwin;
} parse_cases[] = {
	{"_cffi_backend.cpython-311-x86_64-linux-gnu.so", "_cffi_backend",
	 "cpython-311-x86_64-linux-gnu", "cpython", 3, 11, "", "", "x86_64-linux-gnu",
	 ".cpython-311-x86_64-linux-gnu.so", "CPython 3.11 on x86_64-linux-gnu", 0, 0, 0, 0},
	{"x.cpython-36m-x86_64-linux-gnu.so", "x", "cpython-36m-x86_64-linux-gnu", "cpython", 3, 6,
	 "m", "", "x86_64-linux-gnu", ".cpython-36m-x86_64-linux-gnu.so",
	 "CPython 3.6 on x86_64-linux-gnu", 0, 0, 0, 0},
	{"x.cpython-38d-aarch64-linux-gnu.so", "x", "cpython-38d-aarch64-linux-gnu", "cpython", 3,
	 8, "d", "", "aarch64-linux-gnu", ".cpython-38d-aarch64-linux-gnu.so",
	 "a debug build of CPython 3.8 on aarch64-linux-gnu", 0, 0, 0, 0},
	{"x.cpython-313t-x86_64-linux-gnu.so", "x", "cpython-313t-x86_64-linux-gnu", "cpython", 3,
	 13, "t", "", "x86_64-linux-gnu", ".cpython-313t-x86_64-linux-gnu.so",
	 "free-threaded CPython 3.13 on x86_64-linux-gnu", 0, 0, 0, 0},
	{"x.cpython-314td-x86_64-linux-musl.so", "x", "cpython-314td-x86_64-linux-musl", "cpython",
	 3, 14, "td", "", "x86_64-linux-musl", ".cpython-314td-x86_64-linux-musl.so",
	 "a debug build of free-threaded CPython 3.14 on x86_64-linux-musl", 0, 0, 0, 0},
	{"x.cpython-311-darwin.so", "x", "cpython-311-darwin", "cpython", 3, 11, "", "", "darwin",
	 ".cpython-311-darwin.so", "CPython 3.11 on macOS", 0, 0, 0, 1},
	{"x.cpython-311.so", "x", "cpython-311", "cpython", 3, 11, "", "", "", ".cpython-311.so",
	 "CPython 3.11", 0, 0, 0, 0},
	{"x.cp311-win_amd64.pyd", "x", "cp311-win_amd64", "cpython", 3, 11, "", "", "win_amd64",
	 ".cp311-win_amd64.pyd", "CPython 3.11 on Windows", 0, 0, 1, 0},
	{"x.pyd", "x", "", "", 0, 0, "", "", "", ".pyd",
	 "any Python (its name has no ABI tag) on Windows", 0, 0, 1, 0},
	{"x.abi3.so", "x", "abi3", "abi3", 3, 0, "", "", "", ".abi3.so",
	 "any CPython 3 (stable ABI)", 1, 0, 0, 0},
	{"x.abi3t.so", "x", "abi3t", "abi3", 3, 0, "", "", "", ".abi3t.so",
	 "any free-threaded CPython 3 (stable ABI)", 0, 1, 0, 0},
	{"x.abi3-x86_64-linux-gnu.so", "x", "abi3-x86_64-linux-gnu", "abi3", 3, 0, "", "",
	 "x86_64-linux-gnu", ".abi3-x86_64-linux-gnu.so",
	 "any CPython 3 (stable ABI) on x86_64-linux-gnu", 1, 0, 0, 0},
	{"x.pypy39-pp73-x86_64-linux-gnu.so", "x", "pypy39-pp73-x86_64-linux-gnu", "pypy", 3, 9, "",
	 "pp73", "x86_64-linux-gnu", ".pypy39-pp73-x86_64-linux-gnu.so",
	 "PyPy 3.9 (7.3) on x86_64-linux-gnu", 0, 0, 0, 0},
	{"x.pypy310-pp73-darwin.so", "x", "pypy310-pp73-darwin", "pypy", 3, 10, "", "pp73",
	 "darwin", ".pypy310-pp73-darwin.so", "PyPy 3.10 (7.3) on macOS", 0, 0, 0, 1},
	{"x.pypy-41.so", "x", "pypy-41", "pypy", 2, 0, "", "41", "", ".pypy-41.so", "PyPy 2", 0, 0,
	 0, 0},
	{"x.graalpy240-311-native-x86_64-linux.so", "x", "graalpy240-311-native-x86_64-linux",
	 "graalpy", 3, 11, "", "", "x86_64-linux", ".graalpy240-311-native-x86_64-linux.so",
	 "GraalPy 3.11 on x86_64-linux", 0, 0, 0, 0},
	{"x.x86_64-linux-gnu.so", "x", "x86_64-linux-gnu", "", 0, 0, "", "", "x86_64-linux-gnu",
	 ".x86_64-linux-gnu.so", "any Python (no version in its name) on x86_64-linux-gnu", 0, 0, 0,
	 0},
	{"x.so", "x", "", "", 0, 0, "", "", "", ".so", "any Python (its name has no ABI tag)", 0, 0,
	 0, 0},
	{"libx.so.1.2", "libx", "", "", 0, 0, "", "", "", ".so.1.2",
	 "any Python (its name has no ABI tag)", 0, 0, 0, 0},
	{"x.dylib", "x", "", "", 0, 0, "", "", "", ".dylib",
	 "any Python (its name has no ABI tag) on macOS", 0, 0, 0, 1},
	{"x.strange.so", "x", "strange", "", 0, 0, "", "", "", ".strange.so",
	 "something unknown (\"strange\" is no ABI tag)", 0, 0, 0, 0},
	/* what only looks like a tag */
	{"x.cpython-.so", "x", "cpython-", "", 0, 0, "", "", "", ".cpython-.so",
	 "something unknown (\"cpython-\" is no ABI tag)", 0, 0, 0, 0},
	{"x.cpython-311_x.so", "x", "cpython-311_x", "", 0, 0, "", "", "", ".cpython-311_x.so",
	 "something unknown (\"cpython-311_x\" is no ABI tag)", 0, 0, 0, 0},
	{"x.abi33.so", "x", "abi33", "", 0, 0, "", "", "", ".abi33.so",
	 "something unknown (\"abi33\" is no ABI tag)", 0, 0, 0, 0},
	{"x..so", "x", "", "", 0, 0, "", "", "", "..so", "any Python (its name has no ABI tag)", 0,
	 0, 0, 0},
	{"\xff\n.so", "\xff\n", "", "", 0, 0, "", "", "", ".so",
	 "any Python (its name has no ABI tag)", 0, 0, 0, 0},
};

static void test_parse(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(parse_cases) / sizeof(parse_cases[0]); i++) {
		const struct parse_case *c = &parse_cases[i];
		struct imp_abi_tag t;

		assert_int_equal(imp_abi_tag_parse(&t, &arena, c->file), 0);
		assert_string_equal(t.module, c->module);
		assert_string_equal(t.tag, c->tag);
		assert_string_equal(t.implementation, c->implementation);
		assert_string_equal(t.flags, c->flags);
		assert_string_equal(t.pypy_version, c->pypy);
		assert_string_equal(t.platform, c->platform);
		assert_string_equal(imp_abi_tag_suffix(&t, &arena), c->suffix);
		assert_string_equal(imp_abi_tag_describe(&t, &arena), c->described);
		assert_int_equal(t.major, c->major);
		assert_int_equal(t.minor, c->minor);
		assert_int_equal(t.abi3, c->abi3);
		assert_int_equal(t.abi3t, c->abi3t);
		assert_int_equal(t.windows, c->windows);
		assert_int_equal(t.darwin, c->darwin);
	}
}

static void test_refused(void **state)
{
	static const char *const names[] = {"",	     ".so",	 ".",	       "x",	"x.py",
					    "x.so.", "x.so.1.",	 "so",	       "x.sob", "x.1",
					    "1.2.3", "dir/x.so", ".hidden.so", "x.pyc"};
	struct imp_abi_tag t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(imp_abi_tag_parse(&t, &arena, names[i]), -EINVAL);
		assert_string_equal(imp_abi_tag_suffix(&t, &arena), "");
	}
}

/* Every prefix of the longest forms: nothing is read beyond the end. */
static void test_cut_anywhere(void **state)
{
	static const char *const names[] = {"x.cpython-313td-x86_64-linux-gnu.so.1",
					    "x.pypy310-pp73-x86_64-linux-gnu.so",
					    "x.graalpy240-311-native-x86_64-linux.so"};
	struct imp_abi_tag t;
	size_t i, n;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (n = strlen(names[i]); n > 2; n--) {
			char *file = imp_arena_printf(&arena, "%.*s.so", (int)n, names[i]);
			char *exact = strdup(file); /* so that a sanitizer sees its end */

			assert_non_null(exact);
			assert_int_equal(imp_abi_tag_parse(&t, &arena, exact), 0);
			assert_true(strlen(imp_abi_tag_describe(&t, &arena)) > 0);
			free(exact);
		}
	}
}

static void test_accepted(void **state)
{
	const char *list[] = {".cpython-313-x86_64-linux-gnu.so", ".abi3.so", ".so"};
	const struct imp_strings suffixes = {.v = list, .n = 3}, none = {0};

	(void)state;
	assert_true(imp_abi_tag_accepted("x.so", "x", &suffixes));
	assert_true(imp_abi_tag_accepted("x.abi3.so", "x", &suffixes));
	assert_true(imp_abi_tag_accepted("x.cpython-313-x86_64-linux-gnu.so", "x", &suffixes));
	assert_false(imp_abi_tag_accepted("x.cpython-311-x86_64-linux-gnu.so", "x", &suffixes));
	assert_false(imp_abi_tag_accepted("x.cpython-313t-x86_64-linux-gnu.so", "x", &suffixes));
	assert_false(imp_abi_tag_accepted("xy.so", "x", &suffixes));
	assert_false(imp_abi_tag_accepted("x.so.1", "x", &suffixes));
	assert_false(imp_abi_tag_accepted("X.so", "x", &suffixes));
	assert_false(imp_abi_tag_accepted("x.so", "x", &none));
}

static void interpreter(struct imp_interpreter *py, const char *implementation, const char *version,
			const char *abiflags, const char *suffix)
{
	memset(py, 0, sizeof(*py));
	py->implementation = implementation;
	py->version = version;
	py->abiflags = abiflags;
	if (suffix)
		*imp_vec_push(&arena, &py->suffixes) = suffix;
	*imp_vec_push(&arena, &py->suffixes) = ".abi3.so";
	*imp_vec_push(&arena, &py->suffixes) = ".so";
}

static const struct difference_case {
	const char *file, *implementation, *version, *abiflags, *suffix, *says;
} difference_cases[] = {
	{"x.cpython-311-x86_64-linux-gnu.so", "cpython", "3.13.0 (main, Oct  7)", "",
	 ".cpython-313-x86_64-linux-gnu.so", "built for CPython 3.11, this is CPython 3.13"},
	{"x.cpython-36m-x86_64-linux-gnu.so", "cpython", "3.7.16", "m",
	 ".cpython-37m-x86_64-linux-gnu.so", "built for CPython 3.6, this is CPython 3.7"},
	{"x.cpython-313t-x86_64-linux-gnu.so", "cpython", "3.13.0", "",
	 ".cpython-313-x86_64-linux-gnu.so",
	 "built for free-threaded CPython 3.13, this is CPython 3.13 with the GIL"},
	{"x.cpython-313-x86_64-linux-gnu.so", "cpython", "3.13.0", "t",
	 ".cpython-313t-x86_64-linux-gnu.so",
	 "built for CPython 3.13 with the GIL, this is free-threaded CPython 3.13"},
	{"x.cpython-38d-x86_64-linux-gnu.so", "cpython", "3.8.18", "",
	 ".cpython-38-x86_64-linux-gnu.so",
	 "built for a debug build of CPython 3.8, this is CPython 3.8"},
	{"x.cpython-311-aarch64-linux-gnu.so", "cpython", "3.11.2", "",
	 ".cpython-311-x86_64-linux-gnu.so",
	 "built for aarch64-linux-gnu, this is x86_64-linux-gnu"},
	{"x.cpython-311-x86_64-linux-musl.so", "cpython", "3.11.2", "",
	 ".cpython-311-x86_64-linux-gnu.so",
	 "built for x86_64-linux-musl, this is x86_64-linux-gnu"},
	{"x.cpython-310-aarch64-linux-gnu.so", "cpython", "3.11.2", "",
	 ".cpython-311-x86_64-linux-gnu.so",
	 "built for CPython 3.10 on aarch64-linux-gnu, this is CPython 3.11 on x86_64-linux-gnu"},
	{"x.pypy39-pp73-x86_64-linux-gnu.so", "cpython", "3.9.18", "",
	 ".cpython-39-x86_64-linux-gnu.so", "built for PyPy 3.9 (7.3), this is CPython 3.9"},
	{"x.cpython-39-x86_64-linux-gnu.so", "pypy", "3.9.17 (abc)\n[PyPy 7.3.12]", "",
	 ".pypy39-pp73-x86_64-linux-gnu.so", "built for CPython 3.9, this is PyPy 3.9 (7.3)"},
	{"x.abi3.so", "cpython", "3.13.0", "t", ".cpython-313t-x86_64-linux-gnu.so",
	 "built for the stable ABI of the build with the GIL, this is free-threaded CPython 3.13"},
	{"x.abi3t.so", "cpython", "3.15.0", "", ".cpython-315-x86_64-linux-gnu.so",
	 "built for the free-threaded build's stable ABI, this is CPython 3.15"},
	{"x.abi3.so", "cpython", "2.7.18", "", NULL,
	 "built for the stable ABI of CPython 3, this is CPython 2.7"},
	{"x.abi3-aarch64-linux-gnu.so", "cpython", "3.15.0", "", ".cpython-315-x86_64-linux-gnu.so",
	 "built for aarch64-linux-gnu, this is x86_64-linux-gnu"},
	{"x.cp311-win_amd64.pyd", "cpython", "3.11.2", "", ".cpython-311-x86_64-linux-gnu.so",
	 "built for Windows"},
	{"x.cpython-311-darwin.so", "cpython", "3.11.2", "", ".cpython-311-x86_64-linux-gnu.so",
	 "built for macOS"},
	{"x.strange.so", "cpython", "3.11.2", "", ".cpython-311-x86_64-linux-gnu.so",
	 "its suffix .strange.so is none that CPython 3.11 accepts"},
	{"x.so.1", "cpython", "3.11.2", "", ".cpython-311-x86_64-linux-gnu.so",
	 "its suffix .so.1 is none that CPython 3.11 accepts"},
	/* an interpreter of which little is known */
	{"x.cpython-311-x86_64-linux-gnu.so", NULL, NULL, NULL, NULL,
	 "built for CPython 3.11, this is CPython"},
};

static void test_difference(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(difference_cases) / sizeof(difference_cases[0]); i++) {
		const struct difference_case *c = &difference_cases[i];
		struct imp_interpreter py;
		struct imp_abi_tag t;

		interpreter(&py, c->implementation, c->version, c->abiflags, c->suffix);
		assert_int_equal(imp_abi_tag_parse(&t, &arena, c->file), 0);
		assert_string_equal(imp_abi_tag_difference(&t, &py, &arena), c->says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cut_anywhere), cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_difference),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
