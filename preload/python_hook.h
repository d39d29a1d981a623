/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_HOOK_H
#define IMP_PRELOAD_PYTHON_HOOK_H

#include <link.h>
#include <stddef.h>
#include <stdint.h>

/*
 * imp_python_object_added - look whether an object that was just mapped holds a CPython
 * @object: its number (imp_objects_find()); @base, @phdr, @phnum: as dl_iterate_phdr() gives them
 *
 * Where it exports PyImport_Inittab and is not initialized yet, the entries of posix and _weakref
 * are led through our init function, which installs the hooks in each interpreter. Called for every
 * object once, with no lock held; costs one symbol look-up for others.
 */
void imp_python_object_added(uint32_t object, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			     size_t phnum);

#endif
