/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_INSTALL_H
#define IMP_PRELOAD_PYTHON_INSTALL_H

#include <link.h>

#include "python_call.h"

/*
 * The functions that we stand in for, in each of a CPython's interpreters.
 *
 * Those that are written in C are not replaced: the entry of theirs in the module's table of functions
 * gets our function's address, so that the function objects stay what they are, and nobody can tell. Those
 * of Python's are replaced by objects of our own (python_function.h).
 */
enum imp_hook { /* written in C */
		IMP_HOOK_CREATE_DYNAMIC,
		IMP_HOOK_EXEC_DYNAMIC,
		IMP_HOOK_EXCEPTHOOK,
		IMP_HOOK_EXIT,
		IMP_HOOK_THREAD_EXCEPTHOOK,
		IMP_HOOKS,
};

/* PyMethodDef, Include/methodobject.h */
struct imp_method_def {
	const char *name;
	imp_c_function *function;
	int flags;
	const char *doc;
};

/*
 * What the hooks of one CPython have in common. Written when its object is mapped and when its first
 * interpreter starts, and only read from then on.
 */
struct imp_hooks {
	struct imp_python_api api;
	imp_c_function *const
		*functions; /* IMP_HOOKS of them, that call imp_hooks_call() with this struct */
	struct {
		imp_c_function *function; /* NULL: not hooked */
		int flags;
		struct imp_method_def *def; /* where it stood, and ours stands; theirs */
	} originals[IMP_HOOKS];
	bool attached; /* it ran already when imptrace came */
	bool leaving;  /* imptrace is gone: what is hooked still comes out at its next call */
	struct imp_interp *interps; /* imp_interp_find() */
	/* Where the CPython is mapped. */
	ElfW(Addr) base;
	const ElfW(Phdr) * phdr;
	size_t phnum;
};

/*
 * imp_hooks_install - put the hooks into the current interpreter, if they are not there yet
 *
 * While it is being set up: importlib's frozen part has been executed, and no file has been imported. A
 * pending exception stays. What fails is told by an IMP_NOTE_HOOKS_FAILED, and changes nothing.
 */
void imp_hooks_install(struct imp_hooks *p);

/*
 * imp_hooks_remove - put the originals back, in the current interpreter and in what all of them share
 *
 * Only where ours is still in its place: whoever has put something of his own there since keeps it. A call that
 * is under way in one of ours ends well. A pending exception stays.
 */
void imp_hooks_remove(struct imp_hooks *p);

/* imp_hooks_remove_shared - the part of it that needs no GIL */
void imp_hooks_remove_shared(struct imp_hooks *p);

/* imp_hooks_restart - a new image: interpreters are numbered from 0 again */
void imp_hooks_restart(void);

/* imp_hooks_interp - the current interpreter, where it is hooked; else NULL */
struct imp_interp *imp_hooks_interp(struct imp_hooks *p);

/* imp_hooks_call - a hook was called: record, and call what it stands for; arguments as in struct imp_call */
PyObject *imp_hooks_call(struct imp_hooks *p, enum imp_hook hook, PyObject *self, const void *a,
			 ssize_t b, PyObject *c);

/* imp_hooks_tell_failure - write IMP_NOTE_HOOKS_FAILED; @what may be NULL */
void imp_hooks_tell_failure(const char *what);

#endif
