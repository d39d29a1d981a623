/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_TIME_BUDGET_H
#define IMP_PRELOAD_TIME_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How long a look at something may take. Time in which the thread could have run, and had no processor, does not
 * count: what is kept of a failure must not depend on how busy the machine is.
 */
struct imp_time_budget {
	uint64_t deadline_ns; /* of CLOCK_MONOTONIC */
	uint64_t waited_ns; /* by the thread for a processor, when @deadline_ns was set; 0: not known */
};

void imp_time_budget_start(struct imp_time_budget *b, uint64_t ns);

/* imp_time_budget_over - is it used up? Of the calling thread: it must be the one that started it. */
bool imp_time_budget_over(struct imp_time_budget *b);

#endif
