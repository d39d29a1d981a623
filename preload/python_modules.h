/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_MODULES_H
#define IMP_PRELOAD_PYTHON_MODULES_H

#include "python_interpreter.h"
#include "thread_slot.h"

/*
 * imp_python_modules_write - an IMP_EV_MODULE for each native module that is in sys.modules
 *
 * For an interpreter that ran before we came. Looks at the modules' own __dict__ only: none of the program's
 * code runs. No exception may be pending.
 */
void imp_python_modules_write(struct imp_thread *t, struct imp_interp *in);

#endif
