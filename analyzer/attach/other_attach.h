/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_OTHER_ATTACH_H
#define IMP_ATTACH_OTHER_ATTACH_H

#include "../../preload/attach_area.h"
#include "target.h"

/*
 * Another imptrace that records the same process, or did until it was killed: then its area is still mapped
 * there, and the recorder in the process has not noticed yet.
 *
 * imp_other_attach_end - where the other one is gone, tell its recorder to stop
 * Returns 0: nobody stands in the way; -EALREADY: an imptrace that lives records the process. Takes a second
 * where that can't be told at once.
 */
int imp_other_attach_end(const struct imp_target *t, struct imp_error *err);

/* imp_other_attach_sign - write into a new area whose it is, so that the next one need not wait */
void imp_other_attach_sign(struct imp_attach_area *area);

#endif
