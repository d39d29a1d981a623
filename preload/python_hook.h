/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_HOOK_H
#define IMP_PRELOAD_PYTHON_HOOK_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * imp_python_object_holds - may an object that was just mapped hold a CPython?
 * @base, @phdr, @phnum: as dl_iterate_phdr() gives them
 *
 * Called under ld.so's lock, since another thread may unmap the object at any other time; takes none
 * and calls nothing. Costs one symbol look-up.
 */
bool imp_python_object_holds(ElfW(Addr) base, const ElfW(Phdr) * phdr, size_t phnum);

/*
 * imp_python_object_added - take up an object for which imp_python_object_holds() is true
 * @object: its number (imp_objects_find()); @base, @phdr, @phnum: as dl_iterate_phdr() gives them
 *
 * Where CPython is not initialized yet, the entries of posix and _weakref in PyImport_Inittab are led
 * through our init function, which installs the hooks in each interpreter. Called once for such an
 * object, with no lock held.
 */
void imp_python_object_added(uint32_t object, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			     size_t phnum);

struct imp_hooks;

/*
 * imp_python_hooks_at - the CPythons that we have to do with, by number from 0; NULL: no more
 * imp_python_hooks_leave - imptrace leaves the process: what was prepared for interpreters to come is undone
 */
struct imp_hooks *imp_python_hooks_at(size_t i);
void imp_python_hooks_leave(void);

#endif
