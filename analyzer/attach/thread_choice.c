/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "thread_choice.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target.h"
#include "waiting_call.h"

enum { RANK_WAITS = 0, RANK_RUNS = 2, RANK_TIMED = 4, RANK_NONE = -1 };

static char state_of(pid_t pid, pid_t tid)
{
	char file[48], text[1024], *at;

	snprintf(file, sizeof(file), "task/%d/stat", (int)tid);
	if (imp_proc_read(pid, file, text, sizeof(text)) <= 0)
		return 'X';
	at = strrchr(text, ')');
	return at && at[1] == ' ' ? at[2] : 'X';
}

/* "0 0x3 0x7f... ... sp pc", "running", or "-1 sp pc": proc(5). */
static int rank_of(pid_t pid, pid_t tid)
{
	const char state = state_of(pid, tid);
	char file[48], text[256], *at;
	uint64_t args[6] = {0};
	long call;

	if (state != 'R' && state != 'S')
		return RANK_NONE;
	snprintf(file, sizeof(file), "task/%d/syscall", (int)tid);
	if (imp_proc_read(pid, file, text, sizeof(text)) <= 0) /* a kernel without it */
		return RANK_RUNS;
	if (strncmp(text, "running", 7) == 0)
		return RANK_RUNS;
	call = strtol(text, &at, 10);
	if (call < 0)
		return RANK_NONE;
	for (size_t i = 0; i < 6; i++)
		args[i] = strtoull(at, &at, 16);
	switch (imp_waiting_call(call, args)) {
	case IMP_WAITING_EXACT: return RANK_WAITS;
	case IMP_WAITING_TIMED: return RANK_TIMED;
	default: return RANK_NONE;
	}
}

static int by_rank(const void *a, const void *b)
{
	const struct imp_thread_candidate *x = a, *y = b;

	return x->rank != y->rank ? x->rank - y->rank : x->tid - y->tid;
}

size_t imp_thread_choice(pid_t pid, struct imp_thread_candidate *threads, size_t max, pid_t avoid)
{
	struct dirent *entry;
	char path[32];
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (n < max && (entry = readdir(dir))) {
		const pid_t tid = (pid_t)atoi(entry->d_name);
		const int rank = tid > 0 ? rank_of(pid, tid) : RANK_NONE;

		if (rank == RANK_NONE)
			continue;
		threads[n].tid = tid;
		threads[n++].rank = rank + (tid == avoid);
	}
	closedir(dir);
	if (n)
		qsort(threads, n, sizeof(*threads), by_rank);
	return n;
}
