/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_AUDIT_EVENTS_H
#define IMP_PRELOAD_AUDIT_EVENTS_H

#include "thread_slot.h"

/* What libimptrace-audit.so sees, where there is one in this process (audit_link.h). */

/*
 * imp_audit_events_start - record what ld.so has tried up to now, and from now on
 * Called when the image's IMP_EV_PROCESS has been written. Does nothing without an audit object.
 */
void imp_audit_events_start(struct imp_thread *t);

/* imp_audit_events_refuse - this process is not recorded: nothing needs to be kept for it */
void imp_audit_events_refuse(void);

#endif
