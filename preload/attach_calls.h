/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_ATTACH_CALLS_H
#define IMP_PRELOAD_ATTACH_CALLS_H

#include "elf_symbols.h"

/*
 * The calls of a running process that are led to us after an attach: those of the functions that libimptrace.so
 * interposes, as far as a trace that goes into memory has a use for them. The words are got_patch.h's.
 */

/*
 * imp_attach_calls_find - find libc's functions and ours
 * @own: the symbols of this copy of the library: those names mean libc's to everybody else
 */
void imp_attach_calls_find(const struct imp_elf_symbols *own);

/* As imp_got_update(), imp_got_restore() and imp_got_after_fork(). */
void imp_attach_calls_update(void);
int imp_attach_calls_restore(const char *except);
void imp_attach_calls_after_fork(void);

#endif
