/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_NATIVE_STACK_H
#define IMP_DIAGNOSE_NATIVE_STACK_H

#include "case.h"

/*
 * imp_native_stack_fill - the native frames that asked for the failed import or load, innermost first
 *
 * From the stack that the recorder took, its symbols looked up in the objects' dynamic symbol tables;
 * where it took none, from the calls into native modules that were open at that time.
 */
void imp_native_stack_fill(struct imp_case *c);

#endif
