/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_function.h"

#include <stddef.h>
#include <string.h>

#include "python_interpreter.h"
#include "python_uncaught.h"
#include "poison.h"

/* Include/typeslots.h, part of the stable ABI */
enum {
	TP_CALL = 50,
	TP_DEALLOC = 52,
	TP_DESCR_GET = 54,
	TP_GETATTRO = 58,
	TP_METHODS = 64,
	TP_NEW = 65,
	TP_REPR = 66,
	TP_SETATTRO = 69,
	TP_TRAVERSE = 71,
	TP_MEMBERS = 72,
	TP_FREE = 74,
};

/* Include/object.h. Where a version does not know one, the bit means nothing. */
#define TPFLAGS_DISALLOW_INSTANTIATION (1U << 7) /* 3.10 */
#define TPFLAGS_IMMUTABLETYPE	       (1U << 8) /* 3.10 */
#define TPFLAGS_HEAPTYPE	       (1U << 9)
#define TPFLAGS_HAVE_VECTORCALL	       (1U << 11) /* 3.8; we ask for it from 3.9 on */
#define TPFLAGS_HAVE_GC		       (1U << 14)
#define TPFLAGS_METHOD_DESCRIPTOR      (1U << 17) /* 3.8 */
#define TPFLAGS_HAVE_VERSION_TAG       (1U << 18)

#define VECTORCALL_OFFSET_FLAG ((size_t)1 << (8 * sizeof(size_t) - 1))

struct type_slot {
	int slot;
	void *value;
};

struct type_spec {
	const char *name;
	int basicsize;
	int itemsize;
	unsigned int flags;
	struct type_slot *slots;
};

/* Include/structmember.h */
struct member_def {
	const char *name;
	int type;
	ssize_t offset;
	int flags;
	const char *doc;
};
#define T_PYSSIZET 19
#define READONLY   1

struct method_def {
	const char *name;
	PyObject *(*function)(PyObject *self, PyObject *arg);
	int flags;
	const char *doc;
};

/*
 * Ours, behind the PyObject head: that takes 16 bytes, and 32 in builds that trace references or have no
 * GIL. At one place for all, so that what is called for a type needs no other way to find out.
 */
#define FIELDS_AT 64
struct fields {
	PyObject *(*vectorcall)(PyObject *self, PyObject *const *args, size_t nargsf,
				PyObject *names);
	PyObject *weakrefs;
	const struct imp_python_api *py;
	PyObject *original; /* owned, as is the next */
	PyObject *kept;
	struct imp_interp *in;
	imp_function_fn *run;
};

static struct fields *fields_of(PyObject *self)
{
	return (struct fields *)((char *)self + FIELDS_AT);
}

static PyObject *run(PyObject *self, int flags, const void *a, ssize_t b, PyObject *c)
{
	const struct fields *f = fields_of(self);
	struct imp_call call = {
		.py = f->py,
		.original = f->original,
		.flags = flags | IMP_METH_KEYWORDS,
		.a = a,
		.b = b,
		.c = c,
	};
	PyObject *result;

	/* Whoever calls may hold no reference, and the program may put something else in our place. */
	f->py->Py_IncRef(self);
	result = f->run(f->in, &call);
	call.py->Py_DecRef(self);
	/* cppcheck-suppress returnDanglingLifetime ; it takes the result for a part of the struct */
	return result;
}

static PyObject *vectorcall(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
	return run(self, IMP_METH_FASTCALL, args, (ssize_t)(nargsf & ~VECTORCALL_OFFSET_FLAG),
		   names);
}

static PyObject *call_with_tuple(PyObject *self, PyObject *args, PyObject *kwargs)
{
	return run(self, IMP_METH_VARARGS, args, (ssize_t)kwargs, NULL);
}

static PyObject *get_attribute(PyObject *self, PyObject *name)
{
	const struct fields *f = fields_of(self);

	if (f->py->PyUnicode_CompareWithASCIIString(name, "__reduce_ex__") == 0)
		return f->py->PyObject_GenericGetAttr(self, name);
	return f->py->PyObject_GetAttr(f->original, name);
}

static int set_attribute(PyObject *self, PyObject *name, PyObject *value)
{
	const struct fields *f = fields_of(self);

	return f->py->PyObject_SetAttr(f->original, name, value);
}

static PyObject *represent(PyObject *self)
{
	const struct fields *f = fields_of(self);

	return f->py->PyObject_Repr(f->original);
}

/* As function's: what is found through an instance is a bound method. */
static PyObject *bind(PyObject *self, PyObject *object, PyObject *type)
{
	const struct imp_python_api *py = fields_of(self)->py;

	(void)type;
	if (object && object != py->types.none)
		return py->PyMethod_New(self, object);
	py->Py_IncRef(self);
	return self;
}

/* pickle and copy do for functions of Python's what they do for whoever gives his name. */
static PyObject *reduce(PyObject *self, PyObject *protocol)
{
	const struct fields *f = fields_of(self);

	(void)protocol;
	return imp_python_attr(f->py, f->original, "__qualname__");
}

/* No tp_clear: as with a tuple, a cycle is broken elsewhere, and the function can be called until its end. */
static int traverse(PyObject *self, int (*visit)(PyObject *, void *), void *arg)
{
	const struct fields *f = fields_of(self);
	PyObject *const owned[] = {f->original, f->kept};
	int ret = 0;

	if (!f->py)
		return 0;
	imp_uncaught_look(f->in);
	for (size_t i = 0; !ret && i < sizeof(owned) / sizeof(*owned); i++)
		if (owned[i])
			ret = visit(owned[i], arg);
	return ret ? ret : visit(imp_python_type(f->py, self), arg);
}

static void destroy(PyObject *self)
{
	struct fields f = *fields_of(self);
	PyObject *type = imp_python_type(f.py, self);
	void (*release)(void *) = (void (*)(void *))f.py->PyType_GetSlot(type, TP_FREE);

	f.py->PyObject_GC_UnTrack(self);
	if (f.weakrefs)
		f.py->PyObject_ClearWeakRefs(self);
	imp_python_drop(f.py, f.original);
	imp_python_drop(f.py, f.kept);
	if (f.in)
		imp_interp_release(f.in);
	release(self);
	f.py->Py_DecRef(type); /* an object of a heap type has a reference of it */
}

/* An object without a function is nothing: type(f)() is refused. SystemError says that, before 3.10. */
static PyObject *refuse(PyObject *type, PyObject *args, PyObject *kwargs)
{
	(void)type;
	(void)args;
	(void)kwargs;
	return NULL;
}

/*
 * <class 'function'>, and not 'builtins.function': a spec's name has to have the module in it, and repr()
 * shows tp_name, the first of a type's fields behind the PyVarObject head.
 */
static void shorten_name(const struct imp_python_api *py, PyObject *type, const char *name)
{
	char *at = (char *)type + py->types.object_size + sizeof(ssize_t);
	const char *tp_name;
	int overflow;
	PyObject *basicsize = imp_python_attr(py, type, "__basicsize__");

	/* In a type the itemsize and the size of its objects follow: if that is so, this is tp_name. */
	memcpy(&tp_name, at, sizeof(tp_name));
	if (basicsize &&
	    py->PyLong_AsLongLongAndOverflow(basicsize, &overflow) ==
		    *(ssize_t *)(at + sizeof(tp_name)) &&
	    strcmp(tp_name, name) == 0) {
		tp_name += strcspn(tp_name, ".") + 1;
		memcpy(at, &tp_name, sizeof(tp_name));
	}
	imp_python_drop(py, basicsize);
}

PyObject *imp_function_type(const struct imp_python_api *py)
{
	/* CPython goes on to use these: PyType_FromSpec() copies the spec and the members only. */
	static const struct method_def methods[] = {
		{"__reduce_ex__", reduce, IMP_METH_O, NULL},
		{0},
	};
	struct member_def members[] = {
		{"__weaklistoffset__", T_PYSSIZET, FIELDS_AT + offsetof(struct fields, weakrefs),
		 READONLY, NULL},
		{"__vectorcalloffset__", T_PYSSIZET,
		 FIELDS_AT + offsetof(struct fields, vectorcall), READONLY, NULL},
		{0},
	};
	struct type_slot slots[] = {
		{TP_CALL, (void *)call_with_tuple},
		{TP_DEALLOC, (void *)destroy},
		{TP_DESCR_GET, (void *)bind},
		{TP_GETATTRO, (void *)get_attribute},
		{TP_METHODS, (void *)methods},
		{TP_NEW, (void *)refuse},
		{TP_REPR, (void *)represent},
		{TP_SETATTRO, (void *)set_attribute},
		{TP_TRAVERSE, (void *)traverse},
		{0}, /* members, where they have a meaning (3.9) */
		{0},
	};
	struct type_spec spec = {
		.name = "builtins.function",
		.basicsize = FIELDS_AT + (int)sizeof(struct fields),
		.flags = TPFLAGS_HAVE_VERSION_TAG | TPFLAGS_HAVE_GC | TPFLAGS_IMMUTABLETYPE |
			 TPFLAGS_DISALLOW_INSTANTIATION | TPFLAGS_METHOD_DESCRIPTOR,
		.slots = slots,
	};
	PyObject *type;

	if (py->types.object_size > FIELDS_AT)
		return NULL;
	if (py->PyObject_VectorcallDict) {
		slots[sizeof(slots) / sizeof(*slots) - 2] = (struct type_slot){TP_MEMBERS, members};
		spec.flags |= TPFLAGS_HAVE_VECTORCALL;
	}
	type = py->PyType_FromSpec(&spec);
	if (type)
		shorten_name(py, type, spec.name);
	else
		py->PyErr_Clear();
	/* cppcheck-suppress returnDanglingLifetime ; it takes the type for a part of the spec */
	return type;
}

PyObject *imp_function_new(const struct imp_python_api *py, PyObject *type, PyObject *original,
			   PyObject *kept, struct imp_interp *in, imp_function_fn *run_hook)
{
	PyObject *self = py->PyType_GenericAlloc(type, 0);

	if (!self) {
		py->PyErr_Clear();
		return NULL;
	}
	py->Py_IncRef(original);
	py->Py_IncRef(kept);
	*fields_of(self) = (struct fields){
		.vectorcall = vectorcall,
		.py = py,
		.original = original,
		.kept = kept,
		.in = in,
		.run = run_hook,
	};
	return self;
}

bool imp_function_is(const struct imp_python_api *py, PyObject *object)
{
	PyObject *type = object ? imp_python_type(py, object) : NULL;

	return type && py->PyType_GetFlags(type) & TPFLAGS_HEAPTYPE &&
	       py->PyType_GetSlot(type, TP_CALL) == (void *)call_with_tuple;
}

PyObject *imp_function_original(PyObject *function)
{
	return fields_of(function)->original;
}
