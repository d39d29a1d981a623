/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_API_H
#define IMP_PRELOAD_PYTHON_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct imp_elf_symbols;

/*
 * The functions of CPython's C API that we use, declared by hand: one libimptrace.so serves every
 * version, and no structure of CPython's is looked into, but for what the stable ABI lays down. (PyObject is CPython's own name for an
 * incomplete type; it is the one typedef of this project.)
 *
 * Left out on purpose:
 * - what can run code of the program: PyObject_Str() and PyObject_Repr() even run its signal handlers
 * - PyUnicode_AsUTF8(): it keeps its result in the str object
 * - data symbols (PyUnicode_Type, _Py_NoneStruct): a host that was linked with copy relocations has its
 *   own copy of them, which is the one that counts. The types come from the builtins (imp_python_types).
 */
typedef struct _object PyObject;

/* X(type, name, parameters): where one is missing, this is no CPython that we can hook. */
#define IMP_PYTHON_FUNCTIONS(X)                                                            \
	X(int, Py_IsInitialized, (void))                                                   \
	X(void, Py_IncRef, (PyObject *))                                                   \
	X(void, Py_DecRef, (PyObject *))                                                   \
	X(PyObject *, Py_BuildValue, (const char *, ...))                                  \
	X(PyObject *, PyImport_GetModuleDict, (void))                                      \
	X(PyObject *, PyEval_GetBuiltins, (void))                                          \
	X(PyObject *, PyEval_GetFrame, (void))                                             \
	X(PyObject *, PyObject_Type, (PyObject *))                                         \
	X(PyObject *, PyObject_Call, (PyObject *, PyObject *, PyObject *))                 \
	X(PyObject *, PyObject_GetAttr, (PyObject *, PyObject *))                          \
	X(int, PyObject_SetAttr, (PyObject *, PyObject *, PyObject *))                     \
	X(int, PyObject_SetAttrString, (PyObject *, const char *, PyObject *))             \
	X(PyObject *, PyObject_Repr, (PyObject *)) /* where it was asked of us */          \
	X(int, PyUnicode_CompareWithASCIIString, (PyObject *, const char *))               \
	X(PyObject *, PyObject_GenericGetAttr, (PyObject *, PyObject *))                   \
	X(PyObject *, PyObject_GetIter, (PyObject *))                                      \
	X(PyObject *, PyIter_Next, (PyObject *))                                           \
	X(ssize_t, PyObject_Hash, (PyObject *))                                            \
	X(PyObject *, PyUnicode_InternFromString, (const char *))                          \
	X(PyObject *, PyUnicode_DecodeFSDefaultAndSize, (const char *, ssize_t))           \
	X(PyObject *, PyUnicode_EncodeFSDefault, (PyObject *))                             \
	X(PyObject *, PyUnicode_AsUTF8String, (PyObject *))                                \
	X(PyObject *, PyUnicode_AsEncodedString, (PyObject *, const char *, const char *)) \
	X(PyObject *, PyUnicode_Substring, (PyObject *, ssize_t, ssize_t))                 \
	X(ssize_t, PyUnicode_GetLength, (PyObject *))                                      \
	X(uint32_t, PyUnicode_ReadChar, (PyObject *, ssize_t))                             \
	X(PyObject *, PyBytes_FromStringAndSize, (const char *, ssize_t))                  \
	X(char *, PyBytes_AsString, (PyObject *))                                          \
	X(ssize_t, PyBytes_Size, (PyObject *))                                             \
	X(PyObject *, PyDict_GetItemWithError, (PyObject *, PyObject *))                   \
	X(PyObject *, PyDict_GetItemString, (PyObject *, const char *))                    \
	X(PyObject *, PyDict_New, (void))                                                  \
	X(int, PyDict_SetItem, (PyObject *, PyObject *, PyObject *))                       \
	X(int, PyDict_SetItemString, (PyObject *, const char *, PyObject *))               \
	X(int, PyDict_Next, (PyObject *, ssize_t *, PyObject **, PyObject **))             \
	X(ssize_t, PyList_Size, (PyObject *))                                              \
	X(PyObject *, PyList_New, (ssize_t))                                               \
	X(int, PyList_Append, (PyObject *, PyObject *))                                    \
	X(int, PyList_SetItem, (PyObject *, ssize_t, PyObject *))                          \
	X(PyObject *, PyList_GetItem, (PyObject *, ssize_t))                               \
	X(ssize_t, PyTuple_Size, (PyObject *))                                             \
	X(PyObject *, PyTuple_GetItem, (PyObject *, ssize_t))                              \
	X(ssize_t, PySet_Size, (PyObject *))                                               \
	X(long long, PyLong_AsLongLongAndOverflow, (PyObject *, int *))                    \
	X(double, PyFloat_AsDouble, (PyObject *))                                          \
	X(PyObject *, PyModule_GetDict, (PyObject *))                                      \
	X(void *, PyCFunction_GetFunction, (PyObject *))                                   \
	X(int, PyCFunction_GetFlags, (PyObject *))                                         \
	X(PyObject *, PyMethod_New, (PyObject *, PyObject *))                              \
	X(PyObject *, PyType_FromSpec, (void *))                                           \
	X(PyObject *, PyType_GenericAlloc, (PyObject *, ssize_t))                          \
	X(void *, PyType_GetSlot, (PyObject *, int))                                       \
	X(void, PyObject_GC_UnTrack, (void *))                                             \
	X(void, PyObject_ClearWeakRefs, (PyObject *))                                      \
	X(void, PyErr_Clear, (void))                                                       \
	X(void, PyErr_Fetch, (PyObject **, PyObject **, PyObject **))                      \
	X(void, PyErr_Restore, (PyObject *, PyObject *, PyObject *))                       \
	X(void, PyErr_GetExcInfo, (PyObject **, PyObject **, PyObject **))                 \
	X(PyObject *, PyException_GetTraceback, (PyObject *))                              \
	X(PyObject *, PyException_GetCause, (PyObject *))                                  \
	X(PyObject *, PyException_GetContext, (PyObject *))                                \
	X(int, PyType_IsSubtype, (PyObject *, PyObject *))                                 \
	X(unsigned long, PyType_GetFlags, (PyObject *))                                    \
	X(int, PyFrame_GetLineNumber, (PyObject *))

/* Not in every version: NULL where it is missing. */
#define IMP_PYTHON_OPTIONAL(X)                                                                  \
	X(PyObject *, PyErr_GetRaisedException, (void))				  /* 3.12 */    \
	X(void, PyErr_SetRaisedException, (PyObject *))				  /* 3.12 */    \
	X(PyObject *, PyFrame_GetBack, (PyObject *))				  /* 3.9 */     \
	X(PyObject *, PyFrame_GetCode, (PyObject *))				  /* 3.9 */     \
	X(PyObject *, PyFrame_GetGlobals, (PyObject *))				  /* 3.11 */    \
	X(int, PyFrame_GetLasti, (PyObject *))					  /* 3.11 */    \
	X(int, PyDict_GetItemRef, (PyObject *, PyObject *, PyObject **))	  /* 3.13 */    \
	X(PyObject *, PyList_GetItemRef, (PyObject *, ssize_t))			  /* 3.13 */    \
	X(int, _PySet_NextEntry, (PyObject *, ssize_t *, PyObject **, ssize_t *)) /* to 3.13 */ \
	X(void *, PyModule_GetDef, (PyObject *))                                                \
	X(void *, PyInterpreterState_Get, (void))  /* 3.9 */                                    \
	X(void *, _PyInterpreterState_Get, (void)) /* 3.8 */                                    \
	X(PyObject *, PyObject_VectorcallDict,	   /* 3.9 */                                    \
	  (PyObject *, PyObject *const *, size_t, PyObject *))                                  \
	X(PyObject *, _PyType_Lookup, (PyObject *, PyObject *))                                 \
	/* for one that runs already (python_attach.c) */                                       \
	X(int, Py_AddPendingCall, (int (*)(void *), void *))                                    \
	X(int, PyEval_ThreadsInitialized, (void)) /* to 3.12 */                                 \
	X(int, PyGILState_Ensure, (void))                                                       \
	X(void, PyGILState_Release, (int))                                                      \
	X(int, Py_IsFinalizing, (void))		   /* 3.13 */                                   \
	X(int, _Py_IsFinalizing, (void))	   /* 3.7 */                                    \
	X(void *, PyInterpreterState_Main, (void)) /* 3.8 */                                    \
	X(void *, PyInterpreterState_Head, (void))                                              \
	X(void *, PyInterpreterState_Next, (void *))                                            \
	X(void *, PyThreadState_New, (void *))                                                  \
	X(void *, PyThreadState_Swap, (void *))                                                 \
	X(void, PyThreadState_Clear, (void *))                                                  \
	X(void, PyThreadState_Delete, (void *))                                                 \
	X(PyObject *, PyDict_Keys, (PyObject *))                                                \
	X(void, _Py_DecRefShared, (PyObject *)) /* without a GIL */

/* Types and objects; static in CPython, so the same in all its interpreters. Borrowed. */
struct imp_python_types {
	PyObject *none;
	PyObject *type, *object, *str, *bytes, *bool_, *int_, *float_, *list, *tuple, *dict, *set;
	PyObject *module, *builtin_function, *function;
	PyObject *base_exception, *import_error, *module_not_found, *os_error, *syntax_error,
		*key_error, *system_exit, *runtime_error;
	PyObject *exception_group; /* BaseExceptionGroup; NULL before 3.11 */
	size_t object_size; /* object.__basicsize__: how long a PyObject head is in this build */
};

/*
 * The str objects of the names that we look up all the time, by the address of the C string: made at the
 * first use in an interpreter, and kept in @kept, a list, as long as its hooks.
 */
#define IMP_PYTHON_NAMES   128
#define IMP_PYTHON_STRINGS 128
#define IMP_PYTHON_SETS	   16
struct imp_python_names {
	PyObject *kept;	   /* borrowed */
	PyObject *modules; /* sys.modules, borrowed from @kept */
	struct {
		const char *name;
		PyObject *str; /* borrowed from @kept */
	} slots[IMP_PYTHON_NAMES];
	ssize_t sets_at; /* where in @kept the sets of name_index.c begin; 0: none are kept */
	/* The program's strings that were interned last: a file imports more than once. Not where there is no GIL. */
	ssize_t strings_at; /* where in @kept their str objects begin; 0: none are remembered */
	struct {
		PyObject *str; /* borrowed from @kept */
		uint32_t id;   /* of imp_record_intern() */
	} strings[IMP_PYTHON_STRINGS];
};

/* The functions are the same for all interpreters of a CPython; each has a copy with names of its own. */
struct imp_python_api {
	struct imp_python_names *names; /* NULL: none are kept */
#define X(type, name, parameters) type(*name) parameters;
	IMP_PYTHON_FUNCTIONS(X)
	IMP_PYTHON_OPTIONAL(X)
#undef X
	struct imp_python_types types;
};

/*
 * imp_python_api_load - look the functions up
 * Returns 0; -ENOENT where it is no CPython 3 at all (2.7); -ENOSYS where a function is missing, whose
 * name is in @missing then.
 */
int imp_python_api_load(struct imp_python_api *py, const struct imp_elf_symbols *symbols,
			const char **missing);

/*
 * imp_python_types_load - find the types, once an interpreter has its builtins and sys
 * Returns 0 or -ENOSYS.
 */
int imp_python_types_load(struct imp_python_api *py);

/*
 * The exception that may be pending, put aside while we work. Neither normalized nor looked at.
 */
struct imp_python_error {
	PyObject *type, *value, *traceback; /* owned between save and restore */
	bool raised; /* @value alone was pending (3.12); the others are for reading */
};
void imp_python_error_save(const struct imp_python_api *py, struct imp_python_error *error);
void imp_python_error_restore(const struct imp_python_api *py, struct imp_python_error *error);

/*
 * imp_python_modules - sys.modules, borrowed
 *
 * PyImport_GetModuleDict() ends the process where the interpreter has given its modules up already; what
 * the program left to be destroyed after that may still import.
 */
static inline PyObject *imp_python_modules(const struct imp_python_api *py)
{
	return py->names ? py->names->modules : py->PyImport_GetModuleDict();
}

/* imp_python_name - a new reference to the str of a string literal, or NULL with no exception set */
PyObject *imp_python_name(const struct imp_python_api *py, const char *literal);

/*
 * Access that can neither fail loudly nor run code of the program. All return new references, or NULL
 * with no exception set. Each @name is a string literal.
 */
/* An attribute of an object whose exact type is CPython's own (frame, code, traceback, namespace). */
PyObject *imp_python_attr(const struct imp_python_api *py, PyObject *object, const char *name);
/* What stands in the object's own __dict__, where no class has a descriptor of that name. */
PyObject *imp_python_plain_attr(const struct imp_python_api *py, PyObject *object, const char *name);
/* A member or getter that @base, a type of CPython's, defines, and no class between it and @object. */
PyObject *imp_python_member(const struct imp_python_api *py, PyObject *object, PyObject *base,
			    const char *name);
PyObject *imp_python_dict_get(const struct imp_python_api *py, PyObject *dict, const char *key);
PyObject *imp_python_dict_find(const struct imp_python_api *py, PyObject *dict, PyObject *key);
/* Items of exact lists and tuples. */
ssize_t imp_python_sequence_size(const struct imp_python_api *py, PyObject *sequence);
PyObject *imp_python_sequence_item(const struct imp_python_api *py, PyObject *sequence, ssize_t i);

/*
 * type(object), borrowed: it lives as long as the object. Behind the reference count, in a head of two words:
 * the stable ABI has it so. Other builds (debug, no GIL) are asked.
 */
static inline PyObject *imp_python_type(const struct imp_python_api *py, PyObject *object)
{
	PyObject *type;

	if (py->types.object_size == 2 * sizeof(void *))
		return ((PyObject *const *)object)[1];
	type = py->PyObject_Type(object);

	py->Py_DecRef(type);
	return type;
}

/* Is it of exactly this type? NULL is of none. */
static inline bool imp_python_is(const struct imp_python_api *py, PyObject *object, PyObject *type)
{
	return object && imp_python_type(py, object) == type;
}

/* A module or of a class derived from it. */
static inline bool imp_python_is_module(const struct imp_python_api *py, PyObject *object)
{
	PyObject *type = object ? imp_python_type(py, object) : NULL;

	return type && (type == py->types.module || py->PyType_IsSubtype(type, py->types.module));
}

#define IMP_PYTHON_TPFLAGS_BASE_EXC (1UL << 30)
#define IMP_PYTHON_TPFLAGS_TYPE	    (1UL << 31)

static inline bool imp_python_is_exception(const struct imp_python_api *py, PyObject *object)
{
	return object &&
	       py->PyType_GetFlags(imp_python_type(py, object)) & IMP_PYTHON_TPFLAGS_BASE_EXC;
}

static inline bool imp_python_is_class(const struct imp_python_api *py, PyObject *object)
{
	return object && py->PyType_GetFlags(imp_python_type(py, object)) & IMP_PYTHON_TPFLAGS_TYPE;
}

/* Give a reference back; NULL is fine. */
static inline void imp_python_drop(const struct imp_python_api *py, PyObject *object)
{
	if (object)
		py->Py_DecRef(object);
}

#endif
