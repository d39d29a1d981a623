/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_NS UINT64_C(1000000000) /* "from the second second on" */
#define AGAIN_NS UINT64_C(100000000)
#define WIDTH	 40 /* columns of the bar */
#define READING	 80 /* of 100: how much of the work reading is taken for */

static uint64_t since_ns(const struct timespec *from, const struct timespec *to)
{
	return (uint64_t)((to->tv_sec - from->tv_sec) * INT64_C(1000000000) + to->tv_nsec -
			  from->tv_nsec);
}

static void draw(struct imp_progress *p, enum imp_watch_stage stage, uint64_t done, uint64_t total)
{
	const char *what = stage == IMP_WATCH_READING ? "reading" : "judging";
	unsigned int percent, filled, i;
	char bar[WIDTH + 1];

	p->visible = true;
	if (stage == IMP_WATCH_READING && !p->size) {
		fprintf(stderr, "\rimptrace: reading: %llu MB",
			(unsigned long long)(done / 1000000));
		return;
	}
	total = stage == IMP_WATCH_READING ? p->size : total;
	done = done < total ? done : total;
	percent = total ? (unsigned int)(done * 100 / total) : 100; /* of this stage */
	percent = stage == IMP_WATCH_READING ? percent * READING / 100 :
					       READING + percent * (100 - READING) / 100;
	filled = percent * WIDTH / 100;
	for (i = 0; i < WIDTH; i++)
		bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
	bar[WIDTH] = '\0';
	fprintf(stderr, "\rimptrace: %s [%s] %3u %%", what, bar, percent);
}

static void step(void *data, enum imp_watch_stage stage, uint64_t done, uint64_t total)
{
	struct imp_progress *p = data;
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0 || since_ns(&p->start, &now) < FIRST_NS ||
	    (p->visible && since_ns(&p->shown, &now) < AGAIN_NS))
		return;
	p->shown = now;
	draw(p, stage, done, total);
}

void imp_progress_begin(struct imp_progress *p, int fd)
{
	struct stat st;

	memset(p, 0, sizeof(*p));
	if (!isatty(STDERR_FILENO))
		return; /* the watch stays empty */
	p->watch.step = step;
	p->watch.data = p;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		p->size = (uint64_t)st.st_size;
	clock_gettime(CLOCK_MONOTONIC, &p->start);
}

void imp_progress_end(struct imp_progress *p)
{
	/* Spaces, not an escape sequence: not every terminal knows one. */
	if (p->visible)
		fprintf(stderr, "\r%*s\r", WIDTH + 28, "");
	p->visible = false;
}
