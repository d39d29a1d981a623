/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_ATTACH_H
#define IMP_PRELOAD_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "attach_area.h"

/* What the rest of the recorder has to know of an attach; imptrace's side of it is in attach_area.h. */

/* imp_attach_is_copy - is this the copy that imptrace had a running process open? */
bool imp_attach_is_copy(void);

/* imp_attach_is_on - is this process recorded by `imptrace attach`? */
bool imp_attach_is_on(void);

/* imp_attach_set_recording - this process is recorded, in whatever way: nobody else may attach */
void imp_attach_set_recording(bool is);

/* imp_attach_objects_changed - objects were mapped or unmapped: their calls are to lead to us as well */
void imp_attach_objects_changed(void);

/*
 * imp_attach_served - python_attach.c has done what was wanted
 * @in: the hooks are in; else they are out
 * @pythons: interpreters that were found; @hooked: those with hooks in them
 */
void imp_attach_served(bool in, uint32_t pythons, uint32_t hooked);

/* imp_attach_remark - say for people what could not be done; several are put one behind the other */
void imp_attach_remark(const char *text);

#endif
