/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel saw (eBPF): to which image, and to which dlopen, it belongs. */
#include "record_build.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void take_file(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	struct imp_kernel_file *f = imp_vec_push(&b->r->arena, &s->image->kernel_files);
	uint64_t call = imp_event_uint(ev, IMP_KEY_SYSCALL, 0),
		 err = imp_event_uint(ev, IMP_KEY_ERRNO, 0);

	f->path = imp_build_text(b, ev, IMP_KEY_TEXT);
	if (!f->path)
		f->path = "?";
	f->call = call >= IMP_SYSCALL_OPEN && call <= IMP_SYSCALL_READLINK ?
			  (enum imp_syscall)call :
			  0;
	f->err = err <= INT_MAX ? (int)err : 0;
	f->mode = (uint32_t)imp_event_uint(ev, IMP_KEY_MODE, 0);
	f->thread = (uint32_t)ev->thread;
	f->time_ns = ev->time_ns;
}

bool imp_build_kernel(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	switch (ev->kind) {
	case IMP_EV_KERNEL_FILE: take_file(b, s, ev); break;
	case IMP_EV_KERNEL_MAP: break; /* for "imptrace dump" */
	default: return false;
	}
	s->image->kernel_events++;
	return true;
}

/*
 * Beside a preloaded recorder, the kernel's events come as an image of their own: it began when the program was
 * executed, the recorder's a moment later. An image of the kernel's that has none beside it was not recorded
 * otherwise: nothing can be said of it.
 */
static struct imp_image *recorded_by_preload(const struct imp_record *r,
					     const struct imp_image *kernel)
{
	struct imp_image *found = NULL;
	size_t i;

	for (i = 0; i < r->images.n; i++) {
		struct imp_image *image = r->images.v[i];

		if (image->pid != kernel->pid || image->image_ns < kernel->image_ns ||
		    image == kernel)
			continue;
		if (!image->started && image->kernel_events)
			break; /* the next one of the kernel's: r->images is in the order of time */
		if (!found)
			found = image;
	}
	return found;
}

void imp_build_join_kernel(struct imp_builder *b)
{
	struct imp_record *r = b->r;
	size_t i, n = 0;

	for (i = 0; i < r->images.n; i++) {
		struct imp_image *image = r->images.v[i], *other;

		if (image->started || !image->kernel_events || image->kernel_events != image->events)
			continue;
		other = recorded_by_preload(r, image);
		if (!other)
			continue;
		other->kernel_files.v = image->kernel_files.v;
		other->kernel_files.n = other->kernel_files.cap = image->kernel_files.n;
		other->kernel_events += image->kernel_events;
		other->lost += image->lost;
		other->missing_batches += image->missing_batches;
	}
	for (i = 0; i < r->images.n; i++) {
		const struct imp_image *image = r->images.v[i];

		if (image->started || !image->kernel_events || image->kernel_events != image->events)
			r->images.v[n++] = r->images.v[i];
	}
	r->images.n = n;
}

/* ---- what ld.so tried ---------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
	const struct imp_kernel_file *x = a, *y = b;

	return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

size_t imp_record_kernel_since(const struct imp_image *image, uint64_t time_ns)
{
	size_t low = 0, high = image->kernel_files.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (image->kernel_files.v[middle].time_ns < time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static struct imp_ld_lookup_seen *new_lookup(struct imp_builder *b, struct imp_image *image,
					     struct imp_dlopen *d, const struct imp_kernel_file *f,
					     const char *name)
{
	struct imp_ld_lookup_seen *l = imp_arena_alloc(&b->r->arena, sizeof(*l));

	l->name = name;
	l->call = d;
	l->thread = f->thread;
	l->time_ns = f->time_ns;
	*imp_vec_push(&b->r->arena, &image->lookups) = l;
	return l;
}

/* Objects that were opened within a dlopen: a name for which several are tried in a row is one search. */
static void take_opens(struct imp_builder *b, struct imp_image *image, struct imp_dlopen *d)
{
	struct imp_ld_lookup_seen *lookup = NULL;
	size_t i;

	for (i = imp_record_kernel_since(image, d->begin_ns); i < image->kernel_files.n; i++) {
		const struct imp_kernel_file *f = &image->kernel_files.v[i];
		const char *name;

		if (f->time_ns > d->end_ns)
			break;
		if (f->in != d || f->call != IMP_SYSCALL_OPEN ||
		    !strstr(last_part(f->path), ".so") || !strcmp(f->path, "/etc/ld.so.cache") ||
		    !strcmp(f->path, "/etc/ld.so.preload"))
			continue;
		name = d->name && !strcmp(f->path, d->name) ? d->name : last_part(f->path);
		if (!lookup || strcmp(last_part(lookup->name), last_part(name)) != 0 ||
		    lookup->opened)
			lookup = new_lookup(b, image, d, f, name);
		if (!strchr(lookup->name, '/')) {
			struct imp_tried_path *tried = imp_vec_push(&b->r->arena, &lookup->tried);

			tried->path =
				f->path; /* which rule led there the kernel can't know: flag 0 */
		}
		if (!f->err)
			lookup->opened = f->path;
	}
}

void imp_build_kernel_lookups(struct imp_builder *b, struct imp_image *image)
{
	size_t i, k;

	if (!image->kernel_files.n)
		return;
	qsort(image->kernel_files.v, image->kernel_files.n, sizeof(*image->kernel_files.v), by_time);
	if (image->lookups.n)
		return; /* rtld-audit was there: ld.so itself knows more */
	/* In the order in which they began: what is within an inner one stays with that. */
	for (i = 0; i < image->dlopens.n; i++) {
		struct imp_dlopen *d = image->dlopens.v[i];

		if (!d->ended)
			continue;
		for (k = imp_record_kernel_since(image, d->begin_ns); k < image->kernel_files.n;
		     k++) {
			struct imp_kernel_file *f = &image->kernel_files.v[k];

			if (f->time_ns > d->end_ns)
				break;
			if (f->thread == d->thread)
				f->in = d;
		}
	}
	image->lookups_by_kernel = true;
	for (i = 0; i < image->dlopens.n; i++)
		if (image->dlopens.v[i]->ended)
			take_opens(b, image, image->dlopens.v[i]);
}
