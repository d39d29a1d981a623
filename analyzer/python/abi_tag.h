/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PYTHON_ABI_TAG_H
#define IMP_PYTHON_ABI_TAG_H

#include <stdbool.h>

#include "../base/arena.h"
#include "../trace/record.h"

/*
 * The name of an extension module's file, taken apart:
 * "_cffi_backend.cpython-311-x86_64-linux-gnu.so".
 * Sources: PEP 3149, PEP 384 (abi3), PEP 703/PEP 803 (free-threaded), CPython's
 * configure.ac (SOABI) and Python/dynload_shlib.c (_PyImport_DynLoadFiletab), PyPy's SOABI.
 */
struct imp_abi_tag {
	const char *module; /* "_cffi_backend" */
	const char *tag;    /* "cpython-311-x86_64-linux-gnu"; "" where there is none ("foo.so") */
	const char *implementation; /* "cpython", "pypy", "graalpy"; "abi3"; "" */
	int major, minor;	    /* 3, 11; 0: not told */
	const char *flags;	    /* "d", "t", "td", "m", ""; letters after the version */
	const char *pypy_version;   /* "pp73"; "" */
	const char *platform;	    /* "x86_64-linux-gnu"; "" */
	const char *suffix; /* all that follows the module: ".cpython-311-x86_64-linux-gnu.so" */
	bool abi3, abi3t;
	bool windows, darwin; /* .pyd; -darwin */
};

/*
 * imp_abi_tag_parse - take the file name of a (possible) extension module apart
 * @file: base name
 * Returns 0, or -EINVAL where it is no extension module's name (does not end in .so, .pyd, .dylib,
 * also .so.N). Strings go to @a.
 */
int imp_abi_tag_parse(struct imp_abi_tag *t, struct imp_arena *a, const char *file);

/*
 * imp_abi_tag_suffix - what follows the module's name ("." included), e.g.
 * ".cpython-311-x86_64-linux-gnu.so"
 */
const char *imp_abi_tag_suffix(const struct imp_abi_tag *t, struct imp_arena *a);

/* imp_abi_tag_accepted - would an interpreter with these suffixes take the file? */
bool imp_abi_tag_accepted(const char *file, const char *module_tail,
			  const struct imp_strings *suffixes);

/*
 * imp_abi_tag_describe - "CPython 3.11 on x86_64-linux-gnu", "free-threaded CPython 3.13",
 * "a debug build of CPython 3.8", "PyPy 3.9 (7.3)", "any CPython 3 (stable ABI)"
 */
const char *imp_abi_tag_describe(const struct imp_abi_tag *t, struct imp_arena *a);

/*
 * imp_abi_tag_difference - what makes it unacceptable to the interpreter, in one phrase: "built for
 * CPython 3.11, this is CPython 3.13"; "built for the free-threaded build"; "built for
 * aarch64-linux-gnu, this is x86_64-linux-gnu".
 */
const char *imp_abi_tag_difference(const struct imp_abi_tag *t, const struct imp_interpreter *py,
				   struct imp_arena *a);

#endif
