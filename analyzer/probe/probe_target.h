/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_TARGET_H
#define IMP_PROBE_PROBE_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../base/arena.h"
#include "probe_calls.h"
#include "probe_return.h"

/*
 * What there is to probe in a file: functions of a C library or of CPython, by file offset. (libbpf can't be
 * asked by name: glibc exports dlopen in two versions.)
 */
enum imp_probe_point {
	IMP_PROBE_DLOPEN = 0,
	IMP_PROBE_DLMOPEN,
	IMP_PROBE_DLSYM,
	IMP_PROBE_DLERROR,
	IMP_PROBE_EXTENSION, /* _PyImport_LoadDynamicModuleWithSpec */
	IMP_PROBE_DISPLAY,   /* PyErr_Display */
	IMP_PROBE_POINTS,
};

/* How the objects of that CPython lie in memory; see imptrace.bpf.c. */
enum imp_probe_layout {
	IMP_LAYOUT_UNKNOWN = 0,
	IMP_LAYOUT_PYTHON2,
	IMP_LAYOUT_WSTR,  /* 3.3 to 3.11 */
	IMP_LAYOUT_PLAIN, /* 3.12 and later */
	IMP_LAYOUT_FREE,  /* free-threaded */
};

/* How CPython names the method _find_and_load when it calls it. */
enum imp_probe_method {
	IMP_METHOD_LINKED = 0, /* up to 3.9: struct _Py_Identifier, its text behind a link */
	IMP_METHOD_IDENTIFIER, /* 3.10: the text first */
	IMP_METHOD_STR,	       /* a str object */
};

struct imp_probe_target {
	uint64_t offset[IMP_PROBE_POINTS]; /* in the file; 0: not there */
	struct imp_probe_return returns[IMP_PROBE_POINTS][IMP_PROBE_RETURNS_MAX];
	size_t n_returns[IMP_PROBE_POINTS]; /* 0: its result can't be seen */
	/*
	 * Where PyImport_ImportModuleLevelObject() calls importlib. Not the USDT probes import__find__load__*: while
	 * their semaphore is raised, CPython encodes each name, and an import of one that cannot be encoded ends in
	 * a SystemError ("returned a result with an exception set": seen with 3.11).
	 */
	struct imp_probe_call_site imports[IMP_PROBE_CALLS_MAX];
	size_t n_imports;
	enum imp_probe_method method;
	bool has_libc; /* one of the dl functions */
	bool has_python;
	unsigned int major, minor, micro; /* of CPython; 0.0: not known */
	bool micro_known;
	bool free_threaded, debug;
	enum imp_probe_layout layout;
	const char *suffix; /* ".cpython-311-x86_64-linux-gnu.so", as it stands in the file; NULL: none */
	bool abi3;	    /* ".abi3.so" stands there too */
};

/* imp_probe_target_wanted - does the last part of a path look like a C library's or a Python's? */
bool imp_probe_target_wanted(const char *name);

/*
 * imp_probe_target_read - what is in that file
 * @path: absolute; may go through /proc/PID/root
 * @name: what the process calls it: a version may stand in it
 * Returns 0, or a negative errno where it is no ELF object that can be read.
 */
int imp_probe_target_read(struct imp_probe_target *t, struct imp_arena *arena, const char *path,
			  const char *name);

#endif
