/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record_build.h"

#include <stdlib.h>

/* What can be said only when the whole trace was read. */

static int by_begin(const void *a, const void *b)
{
	const struct imp_attempt *x = *(struct imp_attempt *const *)a,
				 *y = *(struct imp_attempt *const *)b;

	if (x->begin_ns != y->begin_ns)
		return x->begin_ns < y->begin_ns ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int by_number(const void *a, const void *b)
{
	const struct imp_object *x = *(struct imp_object *const *)a,
				*y = *(struct imp_object *const *)b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int by_image_ns(const void *a, const void *b)
{
	const struct imp_image *x = *(struct imp_image *const *)a,
			       *y = *(struct imp_image *const *)b;

	if (x->image_ns != y->image_ns)
		return x->image_ns < y->image_ns ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* Of objects with one number (a made-up trace), the last stays. */
static void drop_duplicates(struct imp_image *image)
{
	size_t i, n = 0;

	for (i = 0; i < image->objects.n; i++) {
		if (n && image->objects.v[n - 1]->number == image->objects.v[i]->number)
			n--;
		image->objects.v[n++] = image->objects.v[i];
	}
	image->objects.n = n;
}

static void list_attempts(struct imp_builder *b, const struct imp_image_state *s)
{
	struct imp_image *image = s->image;
	const struct imp_attempt_block *block;
	size_t i;

	if (!s->n_attempts)
		return;
	image->attempts.v =
		imp_arena_alloc(&b->r->arena, s->n_attempts * sizeof(*image->attempts.v));
	image->attempts.cap = s->n_attempts;
	for (block = s->first; block; block = block->next)
		for (i = 0; i < block->n; i++)
			image->attempts.v[image->attempts.n++] = (struct imp_attempt *)&block->v[i];
}

static bool attempts_in_order(const struct imp_image *image)
{
	size_t i;

	for (i = 1; i < image->attempts.n; i++)
		if (by_begin(&image->attempts.v[i - 1], &image->attempts.v[i]) > 0)
			return false;
	return true;
}

static void sort_lists(struct imp_image *image)
{
	/* They nearly always come in order. */
	if (!attempts_in_order(image))
		qsort(image->attempts.v, image->attempts.n, sizeof(*image->attempts.v), by_begin);
	if (image->objects.n) {
		qsort(image->objects.v, image->objects.n, sizeof(*image->objects.v), by_number);
		drop_duplicates(image);
	}
}

#define INHERITED_MAX 16 /* interpreters, and values of sys.path, that a forked child takes over */

/* What the child saw change comes behind what its parent had at the fork. */
static void inherit_paths(struct imp_builder *b, struct imp_interpreter *ours,
			  const struct imp_interpreter *theirs, uint64_t until_ns)
{
	struct imp_interpreter own = *ours;
	size_t i, n = 0;

	while (n < theirs->paths.n && theirs->paths.v[n].time_ns <= until_ns)
		n++;
	*ours = *theirs;
	ours->paths.v = NULL;
	ours->paths.n = ours->paths.cap = 0;
	for (i = n > INHERITED_MAX ? n - INHERITED_MAX : 0; i < n; i++)
		*imp_vec_push(&b->r->arena, &ours->paths) = theirs->paths.v[i];
	for (i = 0; i < own.paths.n; i++)
		*imp_vec_push(&b->r->arena, &ours->paths) = own.paths.v[i];
	if (own.meta_paths.n) {
		ours->meta_paths.v = own.meta_paths.v;
		ours->meta_paths.n = own.meta_paths.n;
		ours->meta_paths.cap = own.meta_paths.cap;
	}
}

/* A forked child goes on with the interpreters that it was born with, and need not describe them again. */
static void inherit_interpreters(struct imp_builder *b, struct imp_image *image)
{
	size_t i, k;

	if (image->how != IMP_START_FORK || !image->parent || image->interpreters.n > INHERITED_MAX)
		return;
	for (i = 0; i < image->parent->interpreters.n && i < INHERITED_MAX; i++) {
		struct imp_interpreter *theirs = image->parent->interpreters.v[i];

		for (k = 0; k < image->interpreters.n; k++)
			if (image->interpreters.v[k]->number == theirs->number)
				break;
		if (k == image->interpreters.n)
			*imp_vec_push(&b->r->arena, &image->interpreters) = theirs;
		else if (!image->interpreters.v[k]->version)
			inherit_paths(b, image->interpreters.v[k], theirs, image->image_ns);
	}
}

static void link_children(struct imp_builder *b)
{
	struct imp_id_map lists = {0};
	struct imp_images *list;
	size_t i;

	for (i = 0; i < b->r->images.n; i++) {
		struct imp_image *image = b->r->images.v[i];

		list = imp_id_map_get(&lists, (uint64_t)image->ppid, 0);
		if (!list) {
			list = imp_arena_alloc(&b->r->arena, sizeof(*list));
			imp_id_map_put(&b->scratch, &lists, (uint64_t)image->ppid, 0, list);
		}
		*imp_vec_push(&b->r->arena, list) = image;
	}
	for (i = 0; i < b->r->images.n; i++)
		b->r->images.v[i]->children =
			imp_id_map_get(&lists, (uint64_t)b->r->images.v[i]->pid, 0);
}

static void link_parents(struct imp_builder *b)
{
	size_t i;

	for (i = 0; i < b->r->images.n; i++) {
		struct imp_image *image = b->r->images.v[i];
		const struct imp_trace_image *from;
		const struct imp_image_state *s;

		if (!image->parent_image_ns || image->parent_image_ns >= image->image_ns)
			continue; /* a parent is older: no circle can come up, whatever the trace says */
		from = imp_id_map_get(&b->t.image_map, (uint64_t)image->ppid,
				      image->parent_image_ns);
		s = from ? from->user : NULL;
		if (s)
			image->parent = s->image;
	}
}

/* An exec that came back says so; one that did not is followed by nothing, or by the next image. */
static void find_exec_end(struct imp_image *image, const struct imp_image *next)
{
	const struct imp_exec *last;

	if (image->ended || !image->execs.n)
		return;
	last = image->execs.v[image->execs.n - 1];
	if (last->failed_errno || (!next && image->last_ns > last->time_ns))
		return;
	image->ended = true;
	image->end_how = IMP_END_FAST_EXIT;
	image->end_ns = last->time_ns;
}

/* Numbers are used again: it is the last image with it that had begun by then, and a child of who waited. */
static struct imp_image *waited_for(const struct imp_id_map *first, const struct imp_wait *w)
{
	const struct imp_image_state *by = w->by->user;
	struct imp_image *image = imp_id_map_get(first, (uint64_t)w->pid, 0), *found = NULL;

	for (; image && image->image_ns <= w->time_ns; image = image->next_of_pid)
		found = image;
	if (found && by && by->image->started && found->ppid != by->image->pid)
		return NULL;
	return found;
}

static void find_ends(struct imp_builder *b)
{
	struct imp_id_map first = {0}, last = {0};
	size_t i;

	for (i = b->r->images.n; i-- > 0;) {
		struct imp_image *image = b->r->images.v[i];
		const struct imp_image *next = imp_id_map_get(&last, (uint64_t)image->pid, 0);

		find_exec_end(image, next);
		image->next_of_pid = imp_id_map_get(&first, (uint64_t)image->pid, 0);
		imp_id_map_put(&b->scratch, &first, (uint64_t)image->pid, 0, image);
		if (!next)
			imp_id_map_put(&b->scratch, &last, (uint64_t)image->pid, 0, image);
	}
	for (i = 0; i < b->waits.n; i++) {
		const struct imp_wait *w = &b->waits.v[i];
		struct imp_image *image = waited_for(&first, w);

		if (!image)
			continue;
		image->waited = true;
		image->signal = w->signal;
		if (w->code_known) {
			image->code = w->code;
			image->code_known = true;
		} else {
			image->code_known = false; /* a signal ended it, whatever it had announced */
		}
		if (!image->end_ns)
			image->end_ns = w->time_ns;
	}
}

void imp_build_finish(struct imp_builder *b)
{
	struct imp_record *r = b->r;
	size_t i;

	r->major = b->t.major;
	r->minor = b->t.minor;
	r->root_pid = b->t.root_pid;
	r->realtime_ns = (int64_t)b->t.realtime_ns;
	r->start_ns = b->t.start_ns;
	for (i = 0; i < b->t.images.n; i++) {
		const struct imp_trace_image *from = b->t.images.v[i];
		const struct imp_image_state *s = from->user;

		if (!s)
			continue;
		list_attempts(b, s);
		s->image->lost = from->lost;
		s->image->missing_batches = from->missing_batches;
	}
	if (r->images.n)
		qsort(r->images.v, r->images.n, sizeof(*r->images.v), by_image_ns);
	imp_build_join_kernel(b);
	link_parents(b);
	link_children(b);
	for (i = 0; i < r->images.n; i++) {
		inherit_interpreters(b, r->images.v[i]);
		sort_lists(r->images.v[i]);
		imp_build_kernel_lookups(b, r->images.v[i]);
	}
	find_ends(b);
}
