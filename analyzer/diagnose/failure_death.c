/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a process came to its end, where nothing that it raised tells. */
#include <string.h>

#include "../python/module_file.h"
#include "failure_graph.h"
#include "judge.h"

#define PROC_STAT_MAX 4096		  /* bytes of /proc/PID/stat */
#define HANG_NS	      (1000 * 1000000ULL) /* a load that takes as long, and then is ended from outside */

/* Nobody may have asked for its end yet: then its number is still there. */
static bool is_gone(const struct imp_graph *s)
{
	struct imp_arena *a = &s->d->arena;
	const char *dir = imp_arena_printf(a, "/proc/%d", s->image->pid), *name_end;
	char *data;
	size_t len;

	if (imp_host_exists(s->host, dir) != 1)
		return true;
	if (imp_host_read(s->host, a, imp_arena_printf(a, "%s/stat", dir), PROC_STAT_MAX, &data,
			  &len))
		return false;
	name_end = strrchr(data, ')');
	return name_end && imp_starts_with(name_end, ") Z");
}

bool imp_graph_ended_itself(const struct imp_graph *s)
{
	const struct imp_image *image = s->image;

	if (image->signal)
		return imp_judge_own_signal(image->signal);
	if (image->ended)
		return image->end_how != IMP_END_DETACHED && image->code_known && image->code &&
		       !image->execs.n;
	if (!image->started || image->derived)
		return false;
	/* Who waited for it saw a status, and nobody a call of exit(): ld.so leaves so, where it can't bind a symbol. */
	if (image->waited)
		return image->code_known && image->code && !image->execs.n && !image->notes.n;
	/* Nobody saw how it ended: but it has ended, and not as a process does that comes so far as to exit. */
	return is_gone(s);
}

/* A worker that its parent no longer needs is sent away in the middle of whatever it does: its parent is a Python too. */
static bool is_worker(const struct imp_graph *s)
{
	const struct imp_record *r = s->d->record;

	for (size_t i = 0; i < r->images.n; i++)
		if (r->images.v[i]->pid == s->image->ppid && r->images.v[i]->interpreters.n)
			return true;
	return false;
}

bool imp_graph_hung(const struct imp_graph *s, const struct imp_extension_call *ext)
{
	const struct imp_image *image = s->image;

	return image->waited && image->signal && ext->thread == (uint64_t)image->pid &&
	       image->end_ns >= ext->begin_ns + HANG_NS && image->attempts.n &&
	       image->attempts.v[image->attempts.n - 1]->begin_ns <= ext->begin_ns && !is_worker(s);
}
