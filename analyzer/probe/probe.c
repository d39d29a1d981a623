/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../cmd/run.h"
#include "probe_event.h"
#include "probe_image.h"
#include "probe_kernel.h"

/* The programs in the kernel call for what cannot wait; else reading is better done when the import is over. */
#define POLL_MS 200
#define FLUSH_NS \
	(500 * 1000000ull) /* what is recorded is in the file so soon, though imptrace be killed */

struct imp_probe {
	struct imp_probe_session s;
	pthread_t thread;
	bool running;
	bool stop; /* __atomic: the thread ends when the ring is empty */
	uint64_t flushed_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now = {0, 0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the loop ------------------------------------------------------------------------------------ */

static void take_event(void *context, const struct imp_bpf_event *e)
{
	struct imp_probe *p = context;

	imp_probe_take_event(&p->s, e);
}

static void flush_all(struct imp_probe *p)
{
	for (struct imp_probe_image *image = p->s.images; image; image = image->next) {
		uint64_t lost;

		if (image->exited)
			continue;
		lost = imp_probe_kernel_lost(p->s.kernel, image->pid);

		if (lost > image->stream.lost)
			image->stream.lost = lost;
		imp_probe_stream_flush(&image->stream);
	}
	p->flushed_ns = now_ns();
}

static void poll_once(struct imp_probe *p, int timeout_ms)
{
	imp_probe_kernel_poll(p->s.kernel, timeout_ms);
	if (now_ns() - p->flushed_ns > FLUSH_NS)
		flush_all(p);
}

static void *poll_loop(void *argument)
{
	struct imp_probe *p = argument;

	while (!__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE))
		poll_once(p, POLL_MS);
	return NULL;
}

static int start_thread(struct imp_probe *p)
{
	sigset_t all, before;
	int ret;

	/* Signals are for the thread that waits for COMMAND. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&p->thread, NULL, poll_loop, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	p->running = ret == 0;
	return -ret;
}

/* What no process could be told to have lost, since the event of its end was lost too, stands under the first one. */
static void tell_lost(struct imp_probe *p)
{
	uint64_t lost = imp_probe_kernel_lost(p->s.kernel, 0), told = p->s.lost_told;
	pid_t first = p->s.root ? p->s.root : p->s.watched;
	struct imp_probe_image *image;
	struct imp_cbor *c;

	for (image = p->s.images; image; image = image->next)
		told += image->stream.lost;
	if (!lost || !first)
		return;
	image = imp_probe_image_get(&p->s, first);
	if (!image)
		image = imp_probe_image_new(&p->s, first, now_ns(), IMP_START_FIRST);
	if (!image)
		return;
	imp_probe_image_describe(&p->s, image);
	if (lost > told)
		image->stream.lost += lost - told;
	c = imp_probe_stream_begin(&image->stream, IMP_EV_NOTE, now_ns(), image->pid);
	imp_probe_put_uint(c, IMP_KEY_NOTE, IMP_NOTE_KERNEL_LOST);
	imp_probe_stream_end(&image->stream);
}

static void release(struct imp_probe *p)
{
	if (p->running) {
		__atomic_store_n(&p->stop, true, __ATOMIC_RELEASE);
		imp_probe_kernel_wake(p->s.kernel);
		pthread_join(p->thread, NULL);
		p->running = false;
	}
	if (p->s.kernel) {
		while (imp_probe_kernel_poll(p->s.kernel, 0) > 0)
			;
		flush_all(p);
		tell_lost(p);
	}
	while (p->s.images)
		imp_probe_image_free(&p->s, p->s.images);
}

static void destroy(struct imp_probe *p)
{
	release(p);
	imp_probe_kernel_close(p->s.kernel);
	imp_probe_sink_clear(&p->s.sink);
	imp_probe_listings_clear(&p->s.listings);
	imp_arena_clear(&p->s.arena);
	free(p);
}

/* ---- run ----------------------------------------------------------------------------------------- */

int imp_probe_start(struct imp_probe **out, const struct imp_probe_setup *setup, char **command,
		    struct imp_error *err)
{
	const struct imp_probe_wishes wishes = {
		.all_opens = setup->all_opens,
		.files_only = !setup->alone,
		.ring_size = setup->ring_size,
	};
	struct imp_probe *p = calloc(1, sizeof(*p));
	int ret;

	*out = NULL;
	if (!p)
		return imp_error_set(err, -ENOMEM, "there is no memory");
	p->s.alone = setup->alone;
	p->s.self = getpid();
	ret = imp_probe_kernel_open(&p->s.kernel, &wishes, take_event, p, err);
	if (ret == 0 && setup->alone)
		ret = imp_probe_sink_create(&p->s.sink, setup->output, 0, setup->uid, setup->gid,
					    err);
	if (ret == 0 && command)
		imp_probe_command_attach(&p->s, command);
	/* COMMAND is the child that this process makes next: it is followed from its first moment. */
	if (ret == 0)
		ret = imp_probe_kernel_trace(p->s.kernel, p->s.self);
	if (ret == 0)
		ret = start_thread(p);
	if (ret < 0) {
		if (err && !err->msg[0])
			imp_error_set(err, ret, "what the kernel sees cannot be recorded: %s",
				      strerror(-ret));
		destroy(p);
		return ret;
	}
	*out = p;
	return 0;
}

int imp_probe_stop(struct imp_probe *p, const struct imp_run_trace *trace, struct imp_error *err)
{
	int ret;

	release(p);
	if (!p->s.alone && trace)
		imp_probe_sink_join(&p->s.sink, trace->path, trace->run_id, trace->root_pid);
	ret = p->s.sink.err;
	if (ret < 0)
		imp_error_set(err, ret, "what the kernel saw could not be written: %s",
			      strerror(-ret));
	imp_probe_kernel_leave(p->s.kernel);
	destroy(p);
	return ret;
}

/* ---- attach -------------------------------------------------------------------------------------- */

static int begin_attach(struct imp_probe *p, const struct imp_probe_attach *a, struct imp_error *err)
{
	struct imp_probe_image *image;
	int ret;

	if (kill(a->pid, 0) < 0 && errno == ESRCH)
		return imp_error_set(err, -ESRCH, "there is no process %d", (int)a->pid);
	ret = imp_probe_kernel_open(&p->s.kernel, &(struct imp_probe_wishes){0}, take_event, p, err);
	if (ret < 0)
		return ret;
	image = imp_probe_image_new(&p->s, a->pid, now_ns(), IMP_START_ATTACH);
	if (!image)
		return imp_error_set(err, -ENOMEM, "there is no memory");
	imp_probe_image_describe(&p->s, image);
	imp_probe_objects_read(&p->s, image, image->image_ns, a->pid);
	if (!image->n_objects)
		return imp_error_set(
			err, -ESRCH,
			"process %d maps no object: it has ended, or is one of the kernel's own",
			(int)a->pid);
	ret = imp_probe_sink_create(&p->s.sink, a->output, a->pid, geteuid(), getegid(), err);
	if (ret < 0)
		return ret;
	imp_probe_python_describe(&p->s, image, image->image_ns, a->pid);
	imp_probe_stream_flush(&image->stream);
	ret = imp_probe_kernel_trace(p->s.kernel, a->pid);
	return ret < 0 ? imp_error_set(err, ret, "process %d cannot be recorded: %s", (int)a->pid,
				       strerror(-ret)) :
			 0;
}

/* They run on, and nothing more is recorded of them. */
static void say_detached(struct imp_probe *p)
{
	struct imp_probe_image *image;
	struct imp_cbor *c;

	while (imp_probe_kernel_poll(p->s.kernel, 0) > 0)
		;
	for (image = p->s.images; image; image = image->next) {
		if (!image->described)
			continue;
		c = imp_probe_stream_begin(&image->stream, IMP_EV_PROCESS_END, now_ns(), image->pid);
		imp_probe_put_uint(c, IMP_KEY_HOW, IMP_END_DETACHED);
		imp_probe_stream_end(&image->stream);
	}
}

int imp_probe_attach(struct imp_probe_attach *a, struct imp_error *err)
{
	struct imp_probe *p = calloc(1, sizeof(*p));
	uint64_t until = a->duration_s > 0 ? now_ns() + (uint64_t)(a->duration_s * 1e9) : UINT64_MAX;
	uint64_t now;
	int ret;

	if (!p)
		return imp_error_set(err, -ENOMEM, "there is no memory");
	p->s.alone = true;
	p->s.watched = a->pid;
	ret = begin_attach(p, a, err);
	if (ret == 0)
		a->began(a->pid);
	while (ret == 0 && !*a->stop && !p->s.ended && (now = now_ns()) < until) {
		poll_once(p, until - now < POLL_MS * 1000000ull ?
				     (int)((until - now) / 1000000 + 1) :
				     POLL_MS);
		if (kill(a->pid, 0) < 0 && errno == ESRCH)
			break; /* it had ended before it was in the kernel's list */
	}
	if (ret == 0) {
		a->lost = imp_probe_kernel_lost(p->s.kernel, 0);
		a->ended = p->s.ended || (kill(a->pid, 0) < 0 && errno == ESRCH);
		say_detached(p);
		release(p);
		a->bytes = p->s.sink.bytes;
		ret = p->s.sink.err;
		if (ret < 0)
			imp_error_set(err, ret, "%s: the trace could not be written: %s", a->output,
				      strerror(-ret));
	}
	destroy(p);
	return ret;
}
