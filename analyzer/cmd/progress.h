/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_CMD_PROGRESS_H
#define IMP_CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "../trace/record.h"

/*
 * A bar on standard error while a long trace is analyzed: from the second second on, and only where standard error is
 * a terminal. It is taken away before anything is printed.
 */
struct imp_progress {
	struct imp_watch watch; /* for imp_record_read() */
	uint64_t size;		/* of the file, bytes; 0: not known */
	struct timespec start, shown;
	bool visible;
};

/* imp_progress_begin - @fd: the trace */
void imp_progress_begin(struct imp_progress *p, int fd);
void imp_progress_end(struct imp_progress *p);

#endif
