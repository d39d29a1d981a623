/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_hook.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "attach.h"
#include "elf_symbols.h"
#include "python_attach.h"
#include "python_install.h"
#include "poison.h"

#define PYTHONS_MAX 4	/* CPythons in one process: a static one that dlopens another, local one */
#define INITTAB_MAX 256 /* built-in modules; a CPython has about 60 */
#define SLOTS_MAX   16	/* of a built-in module */

/* Include/cpython/import.h: the table of built-in modules. */
struct inittab {
	const char *name;
	PyObject *(*init)(void);
};

/* Include/moduleobject.h */
struct module_slot {
	int slot;
	void *value;
};
#define PY_MOD_EXEC 2

/*
 * Built-in modules through whose init functions we come into an interpreter, whichever is the first. All
 * are imported before the first file is. More than one, since CPython up to 3.8 does not call those of
 * posix and _weakref again in a further interpreter, as it does for the others.
 */
enum entrance {
	ENTRANCE_POSIX,
	ENTRANCE_WEAKREF,
	ENTRANCE_IO,
	ENTRANCE_MARSHAL,
	ENTRANCES,
};

static const char *const entrance_names[ENTRANCES] = {"posix", "_weakref", "_io", "marshal"};

/* One CPython in this process. */
struct python {
	bool used;
	struct imp_hooks hooks;
	PyObject *(*init[ENTRANCES])(void); /* the original functions; NULL: no such module */
	struct inittab table[INITTAB_MAX + 1];
	struct module_slot slots[SLOTS_MAX + 2];
	/* Where those two are put, and what stood there. */
	struct inittab **table_at, *table_before;
	struct module_slot **slots_at, *slots_before;
};

static struct python pythons[PYTHONS_MAX];
/*
 * PyImport_Inittab of a program that has it by copy relocation: then libpython's own is not the one that
 * is read.
 */
static struct inittab **copied_table;

static PyObject *enter(struct python *p, enum entrance entrance);
static int enter_again(struct python *p);

/* Functions without an argument that says which CPython calls: so each has its own. */
#define HOOK_FUNCTION(n, function, hook)                                                       \
	static PyObject *function##_##n(PyObject *self, const void *a, ssize_t b, PyObject *c) \
	{                                                                                      \
		return imp_hooks_call(&pythons[n].hooks, hook, self, a, b, c);                 \
	}
#define ENTRANCE_FUNCTION(n, function, entrance)     \
	static PyObject *function##_##n(void)        \
	{                                            \
		return enter(&pythons[n], entrance); \
	}
#define PYTHON_FUNCTIONS(n)                                       \
	ENTRANCE_FUNCTION(n, posix, ENTRANCE_POSIX)               \
	ENTRANCE_FUNCTION(n, weakref, ENTRANCE_WEAKREF)           \
	ENTRANCE_FUNCTION(n, io, ENTRANCE_IO)                     \
	ENTRANCE_FUNCTION(n, marshal, ENTRANCE_MARSHAL)           \
	static int exec_##n(PyObject *module)                     \
	{                                                         \
		(void)module;                                     \
		return enter_again(&pythons[n]);                  \
	}                                                         \
	HOOK_FUNCTION(n, create_dynamic, IMP_HOOK_CREATE_DYNAMIC) \
	HOOK_FUNCTION(n, exec_dynamic, IMP_HOOK_EXEC_DYNAMIC)     \
	HOOK_FUNCTION(n, excepthook, IMP_HOOK_EXCEPTHOOK)         \
	HOOK_FUNCTION(n, sys_exit, IMP_HOOK_EXIT)                 \
	HOOK_FUNCTION(n, thread_excepthook, IMP_HOOK_THREAD_EXCEPTHOOK)
#define PYTHON_FUNCTION_TABLE(n)                                                            \
	{                                                                                   \
		{posix_##n, weakref_##n, io_##n, marshal_##n}, exec_##n,                    \
		{                                                                           \
			create_dynamic_##n, exec_dynamic_##n, excepthook_##n, sys_exit_##n, \
				thread_excepthook_##n                                       \
		}                                                                           \
	}

PYTHON_FUNCTIONS(0)
PYTHON_FUNCTIONS(1)
PYTHON_FUNCTIONS(2)
PYTHON_FUNCTIONS(3)

static const struct {
	PyObject *(*init[ENTRANCES])(void);
	int (*exec)(PyObject *module);
	imp_c_function *hook[IMP_HOOKS];
} functions[PYTHONS_MAX] = {
	PYTHON_FUNCTION_TABLE(0),
	PYTHON_FUNCTION_TABLE(1),
	PYTHON_FUNCTION_TABLE(2),
	PYTHON_FUNCTION_TABLE(3),
};

/*
 * From 3.13 on, a further interpreter calls init functions with the main one as the current; only what is
 * executed in the module itself comes into the right one. So _weakref's definition gets a slot more. It is
 * a static PyModuleDef: a PyObject head and, in words, m_init, m_index, m_copy, m_name, m_doc, m_size,
 * m_methods, m_slots, as the stable ABI has it.
 */
static void add_slot(struct python *p, PyObject *def)
{
	const struct imp_python_api *py = &p->hooks.api;
	struct module_slot **slots;
	size_t n;

	if (p->slots_at) { /* taken out, when imptrace left */
		*p->slots_at = p->slots;
		return;
	}
	/* Otherwise it is a module: a single-phase initialization. */
	if (!py->PyDict_GetItemRef || !py->types.none || !def || imp_python_is_module(py, def) ||
	    p->slots[0].value)
		return;
	slots = (struct module_slot **)((char *)def + py->types.object_size) + 7;
	if (!*slots)
		return;
	for (n = 0; (*slots)[n].slot; n++)
		if (n == SLOTS_MAX)
			return;
	p->slots[0] = (struct module_slot){PY_MOD_EXEC, (void *)functions[p - pythons].exec};
	memcpy(p->slots + 1, *slots, n * sizeof(**slots));
	p->slots_at = slots;
	p->slots_before = *slots;
	*slots = p->slots;
}

static PyObject *enter(struct python *p, enum entrance entrance)
{
	PyObject *module;

	imp_hooks_install(&p->hooks);
	module = p->init[entrance]();
	if (entrance == ENTRANCE_WEAKREF)
		add_slot(p, module);
	return module;
}

static int enter_again(struct python *p)
{
	imp_hooks_install(&p->hooks);
	return 0;
}

static bool is_ours(const struct inittab *table)
{
	for (size_t i = 0; i < PYTHONS_MAX; i++)
		if (table == pythons[i].table)
			return true;
	return false;
}

/* A copy of the table, in which the entrances are ours. */
static bool copy_table(struct python *p, const struct inittab *table)
{
	bool any = false;
	size_t i, k;

	for (i = 0; table[i].name; i++) {
		if (i >= INITTAB_MAX)
			return false;
		p->table[i] = table[i];
		for (k = 0; k < ENTRANCES; k++) {
			if (!table[i].init || strcmp(table[i].name, entrance_names[k]))
				continue;
			p->init[k] = table[i].init;
			p->table[i].init = functions[p - pythons].init[k];
			any = true;
		}
	}
	p->table[i] = (struct inittab){0};
	return any;
}

static struct python *unused_python(void)
{
	for (size_t i = 0; i < PYTHONS_MAX; i++)
		if (!pythons[i].used)
			return &pythons[i];
	return NULL;
}

/* That of an attach before, in the same place still. */
static struct python *known_python(ElfW(Addr) base, const ElfW(Phdr) * phdr, void *function)
{
	for (size_t i = 0; i < PYTHONS_MAX; i++)
		if (pythons[i].used && pythons[i].hooks.base == base &&
		    pythons[i].hooks.phdr == phdr &&
		    (void *)pythons[i].hooks.api.Py_IsInitialized == function)
			return &pythons[i];
	return NULL;
}

bool imp_python_object_holds(ElfW(Addr) base, const ElfW(Phdr) * phdr, size_t phnum)
{
	struct imp_elf_symbols symbols;

	return imp_elf_symbols_open(&symbols, base, phdr, phnum) == 0 &&
	       imp_elf_symbols_find(&symbols, "PyImport_Inittab", NULL);
}

void imp_python_object_added(uint32_t object, ElfW(Addr) base, const ElfW(Phdr) * phdr, size_t phnum)
{
	struct imp_elf_symbols symbols;
	struct inittab **table, **read_table;
	struct python *p;
	const char *missing;
	int ret;

	(void)object;
	if (imp_elf_symbols_open(&symbols, base, phdr, phnum) < 0)
		return;
	table = imp_elf_symbols_find(&symbols, "PyImport_Inittab", NULL);
	if (!table)
		return;
	if (!imp_elf_symbols_find(&symbols, "Py_IsInitialized", NULL)) {
		copied_table = table;
		return;
	}
	p = known_python(base, phdr, imp_elf_symbols_find(&symbols, "Py_IsInitialized", NULL));
	if (!p) {
		p = unused_python();
		if (!p)
			return;
		ret = imp_python_api_load(&p->hooks.api, &symbols, &missing);
		if (ret == -ENOSYS)
			imp_hooks_tell_failure(missing);
		if (ret < 0)
			return;
		p->hooks.functions = functions[p - pythons].hook;
		p->hooks.base = base;
		p->hooks.phdr = phdr;
		p->hooks.phnum = phnum;
	}
	/* One that runs already: other threads may be in it. */
	if (p->hooks.api.Py_IsInitialized()) {
		p->used = imp_attach_is_on();
		if (p->used)
			imp_python_attach_add(&p->hooks);
		return;
	}
	read_table = copied_table && *copied_table ? copied_table : table;
	if (!*read_table || is_ours(*read_table) || !copy_table(p, *read_table))
		return;
	p->used = true;
	p->hooks.leaving = false;
	p->table_at = table;
	p->table_before = *table;
	*table = p->table;
	if (copied_table)
		*copied_table = p->table;
}

struct imp_hooks *imp_python_hooks_at(size_t i)
{
	for (size_t k = 0; k < PYTHONS_MAX; k++)
		if (pythons[k].used && !i--)
			return &pythons[k].hooks;
	return NULL;
}

void imp_python_hooks_leave(void)
{
	for (size_t i = 0; i < PYTHONS_MAX; i++) {
		struct python *p = &pythons[i];

		if (!p->used || !imp_python_attach_is_there(&p->hooks))
			continue;
		if (p->table_at && *p->table_at == p->table)
			*p->table_at = p->table_before;
		if (p->table_at && copied_table && *copied_table == p->table)
			*copied_table = p->table_before;
		if (p->slots_at && *p->slots_at == p->slots)
			*p->slots_at = p->slots_before;
	}
}
