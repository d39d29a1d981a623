/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_ATTACH_RING_H
#define IMP_PRELOAD_ATTACH_RING_H

#include <stddef.h>
#include <sys/types.h>

#include "attach_area.h"

/*
 * imp_attach_ring_append - put one whole frame into the ring
 * @area: mapped, and of this version
 * @pid:  of this process
 *
 * Never waits: where there is no room, the frame is counted in @area->lost. Any number of threads and
 * processes may append at the same time. One that dies in between leaves a record whose length stays 0.
 *
 * Async-signal-safe. Returns 0, or -ENOBUFS where there is no room, -EMSGSIZE where there never is.
 */
int imp_attach_ring_append(struct imp_attach_area *area, pid_t pid, const void *frame, size_t len);

#endif
