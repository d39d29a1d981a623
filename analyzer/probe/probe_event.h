/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_EVENT_H
#define IMP_PROBE_PROBE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/bpf_event.h"

struct imp_probe_session;

/*
 * imp_probe_event_good - is that a record of the ring buffer that can be looked at?
 * Its kind is known, its text lies within it, and ends in a NUL where it is read as a string. What the numbers in it
 * say is for the readers to doubt: they come from another process.
 */
bool imp_probe_event_good(const void *data, size_t size);

/* imp_probe_take_event - what the kernel saw, in the order in which it saw it; a good one */
void imp_probe_take_event(struct imp_probe_session *s, const struct imp_bpf_event *e);

#endif
