/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_INSTALL_H
#define IMP_PRELOAD_PYTHON_INSTALL_H

#include "python_api.h"

/*
 * The functions that we put in the place of CPython's, in each of its interpreters.
 */
enum imp_hook {
	IMP_HOOK_FIND_AND_LOAD,
	IMP_HOOK_CREATE_DYNAMIC,
	IMP_HOOK_EXEC_DYNAMIC,
	IMP_HOOK_EXCEPTHOOK,
	IMP_HOOK_EXIT,
	IMP_HOOK_THREAD_EXCEPTHOOK,
	IMP_HOOK_FIND_SPEC,
	IMP_HOOKS,
};

#define IMP_HOOK_DOC_MAX 1600 /* of one function, signature included */

typedef PyObject *imp_hook_fn(PyObject *self, PyObject *args, PyObject *kwargs);

/* PyMethodDef, Include/methodobject.h */
struct imp_method_def {
	const char *name;
	imp_hook_fn *function;
	int flags;
	const char *doc;
};

/*
 * What the hooks of one CPython have in common. Written when its object is mapped and when its first
 * interpreter starts, and only read from then on.
 */
struct imp_hooks {
	struct imp_python_api api;
	imp_hook_fn *const *functions; /* IMP_HOOKS of them, that call imp_hooks_call() with this struct */
	/* Function objects refer to these as long as they live, which may be longer than an interpreter. */
	struct imp_method_def methods[IMP_HOOKS];
	char docs[IMP_HOOKS][IMP_HOOK_DOC_MAX];
};

/*
 * imp_hooks_install - put the hooks into the current interpreter, if they are not there yet
 *
 * While it is being set up: importlib's frozen part has been executed, and no file has been imported. A
 * pending exception stays. What fails is told by an IMP_NOTE_HOOKS_FAILED, and changes nothing.
 */
void imp_hooks_install(struct imp_hooks *p);

/* imp_hooks_call - a hook was called: record, and call what it stands for */
PyObject *imp_hooks_call(struct imp_hooks *p, enum imp_hook hook, PyObject *self, PyObject *args,
			 PyObject *kwargs);

/* imp_hooks_tell_failure - write IMP_NOTE_HOOKS_FAILED; @what may be NULL */
void imp_hooks_tell_failure(const char *what);

#endif
