/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Symbols of Python's C API: libpython that is not visible, or another version's API. */
#include <dlfcn.h>
#include <string.h>

#include "../python/installer.h"
#include "judge_loader.h"

/* Source: the "What's New in Python" of each version; Misc/stable_abi.toml. A name that ends in '_' is a prefix, and so is PyPy. */
static const struct {
	const char *name, *where;
} python_api[] = {
	{"PyString_", "Python 2"},
	{"PyInt_", "Python 2"},
	{"PyFile_AsFile", "Python 2"},
	{"PyCObject_", "Python 2"},
	{"PyClass_", "Python 2"},
	{"PyInstance_", "Python 2"},
	{"Py_InitModule4", "Python 2"},
	{"Py_InitModule4_", "Python 2"},
	{"PyUnicodeUCS2_", "Python before 3.3, in a narrow build"},
	{"PyUnicodeUCS4_", "Python before 3.3, in a wide build"},
	{"PyBuffer_FromMemory", "Python 2"},
	{"PyModule_Create2TraceRefs", "a debug build (Py_TRACE_REFS) of Python"},
	{"_Py_RefTotal", "a debug build of Python"},
	{"_Py_NegativeRefcount", "a debug build of Python"},
	{"_Py_AddToAllObjects", "a debug build of Python"},
	{"_Py_INCREF_IncRefTotal", "a debug build of CPython 3.12 or later"},
	{"_Py_DECREF_DecRefTotal", "a debug build of CPython 3.12 or later"},
	{"_Py_IncRefTotal_DO_NOT_USE_THIS", "a debug build of CPython 3.12 or later"},
	{"_Py_DecRefTotal_DO_NOT_USE_THIS", "a debug build of CPython 3.12 or later"},
	{"_Py_MergeZeroLocalRefcount", "a free-threaded build of CPython (3.13t and later)"},
	{"_Py_DecRefShared", "a free-threaded build of CPython (3.13t and later)"},
	{"_Py_DecRefSharedDebug", "a free-threaded debug build of CPython (3.13t and later)"},
	{"PyPy", "PyPy"},
	{"_PyUnicode_Ready", "CPython 3.3 to 3.11"},
	{"PyUnicode_AsUnicode", "CPython 3.0 to 3.11"},
	{"PyUnicode_FromUnicode", "CPython 3.0 to 3.11"},
	{"PyUnicode_GetSize", "CPython 3.0 to 3.11"},
	{"PyUnicode_AsUnicodeAndSize", "CPython 3.3 to 3.11"},
	{"PyEval_CallObjectWithKeywords", "CPython before 3.13"},
	{"PyCFunction_Call", "CPython before 3.13"},
	{"PyObject_Vectorcall", "CPython 3.9 and later"},
	{"PyModule_AddObjectRef", "CPython 3.10 and later"},
	{"Py_NewRef", "CPython 3.10 and later"},
	{"Py_XNewRef", "CPython 3.10 and later"},
	{"PyType_GetName", "CPython 3.11 and later"},
	{"PyErr_GetHandledException", "CPython 3.11 and later"},
	{"PyErr_GetRaisedException", "CPython 3.12 and later"},
	{"PyUnstable_", "CPython 3.12 and later"},
	{"PyList_GetItemRef", "CPython 3.13 and later"},
	{"PyDict_GetItemRef", "CPython 3.13 and later"},
	{"PyDict_GetItemStringRef", "CPython 3.13 and later"},
	{"PyObject_GetOptionalAttr", "CPython 3.13 and later"},
	{"PyThreadState_GetUnchecked", "CPython 3.13 and later"},
	{"PyWeakref_GetRef", "CPython 3.13 and later"},
	{"Py_GetConstantBorrowed", "CPython 3.13 and later"},
	{"PyLong_AsInt", "CPython 3.13 and later"},
	{"PyImport_AddModuleRef", "CPython 3.13 and later"},
};

bool imp_load_is_python_symbol(const char *symbol)
{
	return !strncmp(symbol, "Py", 2) || !strncmp(symbol, "_Py", 3);
}

static const char *which_python(const char *symbol)
{
	for (size_t i = 0; i < sizeof(python_api) / sizeof(python_api[0]); i++) {
		const char *name = python_api[i].name;
		size_t len = strlen(name);

		if (name[len - 1] == '_' || !strcmp(name, "PyPy") ? !strncmp(symbol, name, len) :
								    !strcmp(symbol, name))
			return python_api[i].where;
	}
	return NULL;
}

/* The shared library of this interpreter, and the dlopen that brought it in without RTLD_GLOBAL. */
static const struct imp_dlopen *local_libpython(const struct imp_load *l,
						const struct imp_object **libpython)
{
	const struct imp_image *image = l->c->image;
	const struct imp_object *o =
		l->c->py && l->c->py->object ? imp_record_object(image, l->c->py->object) : NULL;
	const struct imp_dlopen *found = NULL;

	for (size_t i = 0;
	     (!o || !o->path || !imp_case_has(o->path, "libpython")) && i < image->objects.n; i++)
		if (image->objects.v[i]->path &&
		    !strncmp(imp_load_base_name(image->objects.v[i]->path), "libpython", 9))
			o = image->objects.v[i];
	if (!o || !o->path || strncmp(imp_load_base_name(o->path), "libpython", 9))
		return NULL;
	for (size_t i = 0; i < image->dlopens.n; i++) {
		const struct imp_dlopen *d = image->dlopens.v[i];
		bool same = d->object == o->number ||
			    (d->name &&
			     !strcmp(imp_load_base_name(d->name), imp_load_base_name(o->path)));

		if (!d->handle || d->begin_ns >= l->d->begin_ns)
			continue;
		if (same && (d->flags & RTLD_GLOBAL))
			return NULL;
		/* Itself, or what needs it. */
		if (!found && d->begin_ns <= o->mapped_ns && (same || d->end_ns >= o->mapped_ns))
			found = d;
	}
	*libpython = o;
	return found && !(found->flags & RTLD_GLOBAL) ? found : NULL;
}

bool imp_judge_libpython(struct imp_load *l)
{
	const struct imp_object *libpython = NULL, *caller;
	const struct imp_dlopen *by = local_libpython(l, &libpython);
	struct imp_load_wanted w = {l->text.symbol, NULL};
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;

	if (!by || imp_load_offers(imp_load_image(l, libpython->path), &w) == 0)
		return false;
	caller = by->caller ? imp_record_object(c->image, by->caller) : NULL;
	f->cause = IMP_CAUSE_LIBPYTHON_NOT_GLOBAL;
	f->path = l->file ? l->file : l->root;
	f->summary = imp_arena_printf(
		c->a,
		"%s was opened with RTLD_LOCAL, so %s cannot see %s and the rest of Python's C API",
		imp_load_base_name(libpython->path), f->path, l->text.symbol);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	imp_finding_evidence(
		c->a, f, IMP_OBSERVED,
		"%s was mapped by dlopen(\"%s\", 0x%llx), without RTLD_GLOBAL (that is RTLD_LOCAL), called by %s",
		libpython->path, by->name ? by->name : "", (unsigned long long)by->flags,
		caller && caller->path && *caller->path ? caller->path :
		c->image->exe				? c->image->exe :
							  "the program");
	if (by->name_space)
		imp_finding_evidence(c->a, f, IMP_OBSERVED,
				     "it is in a link namespace of its own (dlmopen)");
	if (imp_load_image(l, libpython->path))
		imp_finding_evidence(c->a, f, IMP_DERIVED, "%s does export %s", libpython->path,
				     l->text.symbol);
	imp_finding_fix(c->a, f, IMP_LIKELY,
			imp_arena_printf(c->a, "export LD_PRELOAD=%s${LD_PRELOAD:+:$LD_PRELOAD}",
					 imp_shell_quote(c->a, libpython->path)),
			"makes libpython's symbols visible to everybody from the start");
	imp_finding_fix(
		c->a, f, IMP_LIKELY, NULL,
		"change the host program: dlopen libpython with RTLD_NOW | RTLD_GLOBAL, or link with it");
	return true;
}

/* Other Pythons of this machine that have the function. */
static void say_pythons(struct imp_load *l)
{
	const struct imp_sites *sites = imp_case_sites(l->c, true);
	struct imp_load_wanted w = {l->text.symbol, NULL};
	struct imp_case *c = l->c;
	struct imp_strings seen = {0};
	unsigned int n = 0;

	for (size_t i = 0; sites && i < sites->n && n < 4; i++) {
		const struct imp_site *s = &sites->v[i];
		const char *version = imp_arena_printf(c->a, "%d.%d", s->major, s->minor),
			   *files[3] = {0};
		const char *real, *lib = NULL;
		bool twice = false;

		if (!s->major || !s->interpreter ||
		    imp_host_realpath(c->host, c->a, s->interpreter, &real))
			continue;
		for (size_t k = 0; k < seen.n; k++)
			twice |= !strcmp(seen.v[k], real);
		if (twice)
			continue;
		*imp_vec_push(c->a, &seen) = real;
		if (strrchr(real, '/') != real)
			files[0] = imp_arena_printf(c->a, "%.*s/../lib/libpython%s.so.1.0",
						    (int)(strrchr(real, '/') - real), real, version);
		files[1] = real;
		for (size_t k = 0; k < 2 && !lib; k++)
			if (files[k] && imp_load_offers(imp_load_image(l, files[k]), &w) == 1)
				lib = files[k];
		if (!lib)
			continue;
		n++;
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "Python %s has it (%s)", version,
				     s->interpreter);
	}
}

void imp_judge_python_symbol(struct imp_load *l, const char *who)
{
	const char *where = which_python(l->text.symbol);
	struct imp_case *c = l->c;

	c->f->summary = imp_arena_printf(
		c->a,
		"%s was built for another Python: it needs %s of its C API, which %s does not have",
		who, l->text.symbol, imp_case_python(c));
	if (where)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%s is part of the C API of %s",
				     l->text.symbol, where);
	say_pythons(l);
}
