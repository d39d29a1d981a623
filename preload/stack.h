/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_STACK_H
#define IMP_PRELOAD_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "thread_slot.h"

#define IMP_STACK_MAX 64 /* frames of a native stack; the outermost of a deeper one are left out */

/*
 * Native stacks (IMP_EV_NATIVE_STACK): return addresses as the ELF files have them, our own frames left
 * out. Unwound by cfi_step.h; the names are for the analyzer to find. Must be called by the function that
 * holds @t, with no event begun.
 *
 * Not here: what throws. _Unwind_RaiseException is libgcc_s's, which many programs do not have. A definition
 * of ours in front of it would satisfy objects that lack their DT_NEEDED of it (bare: "undefined
 * symbol"), answer weak references and RTLD_DEFAULT look-ups that find nothing bare, and would have to
 * guess which unwinder the caller's own scope leads to, since those do not mix.
 */

/* imp_stack_record_load - at the end of a dlopen(), as far as IMPTRACE_STACKS wants it */
void imp_stack_record_load(struct imp_thread *t, uint32_t call, bool failed);

/*
 * imp_stack_record_import - at the end of an import
 * @from_c: no Python frame asked: a host program did, through the C API
 * Of failed ones, those that native code asked for (an extension module's or the host's): in others, the
 * stack holds nothing but CPython's own frames.
 */
void imp_stack_record_import(struct imp_thread *t, uint32_t import, bool failed, bool from_c);

#endif
