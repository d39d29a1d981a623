/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sleep_time.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "target.h"

/* "se.exec_start   :   12559449.292223", in milliseconds. */
static uint64_t exec_start_ns(pid_t pid, const char *file)
{
	char text[2048], *at, *end;
	double ms;

	if (imp_proc_read(pid, file, text, sizeof(text)) <= 0)
		return 0;
	at = strstr(text, "se.exec_start");
	at = at ? strchr(at, ':') : NULL;
	if (!at)
		return 0;
	ms = strtod(at + 1, &end);
	return end > at + 1 && ms > 0 ? (uint64_t)(ms * 1e6) : 0;
}

/* proc(5), stat, field 39; the name, which is field 2, may hold anything. */
static int processor_of(pid_t pid, pid_t tid)
{
	char file[48], text[1024], *at;

	snprintf(file, sizeof(file), "task/%d/stat", (int)tid);
	if (imp_proc_read(pid, file, text, sizeof(text)) <= 0)
		return -1;
	at = strrchr(text, ')');
	for (int field = 2; at && field < 39; field++)
		at = strchr(at + 1, ' ');
	return at ? atoi(at + 1) : -1;
}

uint64_t imp_sleep_since(pid_t pid, pid_t tid)
{
	const int cpu = processor_of(pid, tid);
	uint64_t theirs, ours, now_ns = 0;
	cpu_set_t before, one;
	struct timespec now;
	char file[48];

	snprintf(file, sizeof(file), "task/%d/sched", (int)tid);
	theirs = exec_start_ns(pid, file);
	if (!theirs || cpu < 0 || cpu >= CPU_SETSIZE ||
	    sched_getaffinity(0, sizeof(before), &before) < 0)
		return 0;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		return 0;
	sched_yield(); /* the scheduler notes that we run now */
	ours = exec_start_ns(getpid(), "sched");
	clock_gettime(CLOCK_MONOTONIC, &now);
	sched_setaffinity(0, sizeof(before), &before);
	now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	if (ours <= theirs || ours - theirs > now_ns)
		return 0;
	return now_ns - (ours - theirs);
}
