/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_LD_REPLAY_H
#define IMP_ELF_LD_REPLAY_H

#include "../trace/record.h"
#include "ld_disk.h"
#include "ld_tree.h"

/*
 * A recorded program's dynamic loader, brought to the state that it had at a moment: what was loaded and
 * by whom, what it knew of directories. Each dlopen of the trace is derived again, in order; where that
 * differs from what the trace saw mapped, the trace is right.
 */
struct imp_ld_replay {
	struct imp_arena *arena;       /* borrowed */
	const struct imp_image *image; /* borrowed */
	struct imp_ld_disk disk;
	struct imp_ld_system system;
	struct imp_ld_process process;
	struct imp_ld_tree start; /* how the objects of the program's start were found */
	size_t next;		  /* of image->dlopens, the first that was not replayed */
	bool complete; /* nothing of the image was lost, so what it does not have was not there */
};

/*
 * imp_ld_replay_init - the program at its start
 * @image, @host: borrowed as long as @r lives; where @host is not enabled, only what the trace kept counts
 *
 * Release with imp_ld_replay_clear(). Never fails: what is not known is not known.
 */
void imp_ld_replay_init(struct imp_ld_replay *r, struct imp_arena *arena,
			const struct imp_image *image, const struct imp_host *host);
void imp_ld_replay_clear(struct imp_ld_replay *r);

/* imp_ld_replay_until - replay the dlopens that had ended at @time_ns; time only goes forward */
void imp_ld_replay_until(struct imp_ld_replay *r, uint64_t time_ns);

/*
 * imp_ld_replay_dlopen - derive what one dlopen of the trace did, with versions and symbols
 * @d: of the image; those that ended before it began are replayed first
 * @out: as from imp_ld_tree_open()
 *
 * The state is as after it. Returns 0, or -EINVAL where @d opened no file (dlopen(NULL)).
 */
int imp_ld_replay_dlopen(struct imp_ld_replay *r, const struct imp_dlopen *d,
			 struct imp_ld_tree *out);

/* imp_ld_replay_object - the loaded object that is the trace's object of that number; NULL: unknown */
struct imp_ld_object *imp_ld_replay_object(struct imp_ld_replay *r, uint64_t number);

#endif
