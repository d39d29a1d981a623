/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "time_budget.h"

#include "raw_syscall.h"
#include "recorder.h"

#include "poison.h"

/* The second number, "time spent waiting on a runqueue". Source: Linux, Documentation/scheduler/sched-stats.rst. */
static uint64_t waited(void)
{
	char text[96], *p = text;
	uint64_t ns = 0;

	if (imp_sys_read_file("/proc/thread-self/schedstat", text, sizeof(text)) <= 0)
		return 0;
	while (*p >= '0' && *p <= '9')
		p++;
	while (*p == ' ')
		p++;
	for (; *p >= '0' && *p <= '9'; p++)
		ns = ns * 10 + (uint64_t)(*p - '0');
	return ns;
}

void imp_time_budget_start(struct imp_time_budget *b, uint64_t ns)
{
	b->waited_ns = waited();
	b->deadline_ns = imp_now_ns() + ns;
}

bool imp_time_budget_over(struct imp_time_budget *b)
{
	uint64_t now = imp_now_ns(), ns;

	if (now <= b->deadline_ns)
		return false;
	ns = b->waited_ns ? waited() : 0;
	if (ns > b->waited_ns) {
		b->deadline_ns += ns - b->waited_ns;
		b->waited_ns = ns;
	}
	return now > b->deadline_ns;
}
