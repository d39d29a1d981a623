/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_SLEEP_TIME_H
#define IMP_ATTACH_SLEEP_TIME_H

#include <stdint.h>
#include <sys/types.h>

/*
 * imp_sleep_since - since when (CLOCK_MONOTONIC) a thread that sleeps has not run
 *
 * A wait with a timeout that is entered again has to be the shorter by what is over already, and no interface
 * says when it began. The scheduler's own note does: se.exec_start of /proc/PID/task/TID/sched. Its clock is
 * one for each processor, so ours is read on the processor where that thread ran last.
 * Returns 0 where it can't be told (a kernel without that file, a processor that we may not run on).
 */
uint64_t imp_sleep_since(pid_t pid, pid_t tid);

#endif
