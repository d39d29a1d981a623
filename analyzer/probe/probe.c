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
#include "probe_image.h"
#include "probe_kernel.h"

#define POLL_MS	 50
#define FLUSH_NS (500 * 1000000ull) /* what is recorded is in the file so soon, though imptrace be killed */

struct imp_probe {
	struct imp_probe_session s;
	pthread_t thread;
	bool running;
	bool stop; /* __atomic: the thread ends when the ring is empty */
	uint64_t flushed_ns;
	pid_t watched; /* by attach: its end ends the recording */
	bool ended;
};

static uint64_t now_ns(void)
{
	struct timespec now = {0, 0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- events -------------------------------------------------------------------------------------- */

static void take_fork(struct imp_probe_session *s, const struct imp_bpf_event *e)
{
	struct imp_probe_image *parent = imp_probe_image_get(s, (pid_t)e->pid), *image;
	pid_t child = (pid_t)e->a;

	if ((pid_t)e->pid == s->self) {
		if (!s->root)
			s->root = child; /* COMMAND; its image begins when it is executed */
		return;
	}
	image = imp_probe_image_get(s, child);
	if (image)
		imp_probe_image_free(s, image);
	image = imp_probe_image_new(s, child, e->time_ns, IMP_START_FORK);
	if (!image || !parent)
		return;
	image->ppid = parent->pid;
	image->parent_image_ns = parent->image_ns;
	image->our_root = image->our_root || parent->our_root;
	image->python = parent->python;
	image->python_path = parent->python_path ? strdup(parent->python_path) : NULL;
	image->stdlib = parent->stdlib ? strdup(parent->stdlib) : NULL;
	image->interpreter_written = parent->interpreter_written;
	imp_strbuf_add(&image->imported, parent->imported.s, parent->imported.len);
	imp_strbuf_add(&image->sys_path, parent->sys_path.s, parent->sys_path.len);
	imp_strbuf_add(&image->sys_path_written, parent->sys_path_written.s, parent->sys_path_written.len);
	/* It has its parent's objects, under the same numbers. */
	for (size_t i = 0; i < parent->n_objects; i++) {
		struct imp_probe_object *grown = realloc(image->objects, (i + 1) * sizeof(*grown));

		if (!grown)
			break;
		image->objects = grown;
		image->objects[i] = parent->objects[i];
		image->objects[i].path = strdup(parent->objects[i].path);
		image->n_objects = image->cap_objects = i + 1;
	}
}

static void take_exec(struct imp_probe_session *s, const struct imp_bpf_event *e)
{
	struct imp_probe_image *old = imp_probe_image_get(s, (pid_t)e->pid), *image;
	pid_t ppid = old ? old->ppid : 0;
	bool our_root = old && old->our_root;
	char exe[64], target[4096];
	const char *name;
	ssize_t len;

	if (old)
		imp_probe_image_free(s, old);
	image = imp_probe_image_new(s, (pid_t)e->pid, e->time_ns,
				    (pid_t)e->pid == s->root && !old ? IMP_START_FIRST : IMP_START_EXEC);
	if (!image)
		return;
	image->ppid = ppid;
	image->our_root |= our_root;
	if (e->len) {
		image->argv = malloc(e->len);
		if (image->argv)
			memcpy(image->argv, e->text, e->len);
		image->argv_len = image->argv ? e->len : 0;
	}
	/* At once: what the program asks for in its first milliseconds should be seen. */
	snprintf(exe, sizeof(exe), "/proc/%d/exe", (int)e->pid);
	len = readlink(exe, target, sizeof(target) - 1);
	if (len > 0) {
		target[len] = '\0';
		name = strrchr(target, '/');
		if (name && imp_probe_target_wanted(name + 1))
			imp_probe_file_attach(s, exe, name + 1);
	}
	imp_probe_image_describe(s, image);
	image->maps_changed = true;
}

static void take_exit(struct imp_probe *p, const struct imp_bpf_event *e)
{
	struct imp_probe_image *image = imp_probe_image_get(&p->s, (pid_t)e->pid);
	struct imp_cbor *c;

	if (image) {
		if (e->b > image->stream.lost)
			image->stream.lost = e->b;
		if (p->s.alone && image->described) {
			bool signalled = (e->a & 0x7f) != 0;

			c = imp_probe_stream_begin(&image->stream, signalled ? IMP_EV_WAIT : IMP_EV_PROCESS_END,
						   e->time_ns, (pid_t)e->pid);
			if (signalled) {
				imp_probe_put_uint(c, IMP_KEY_PID, e->pid);
				imp_probe_put_uint(c, IMP_KEY_SIGNAL, e->a & 0x7f);
			} else {
				imp_probe_put_uint(c, IMP_KEY_HOW, IMP_END_EXIT);
				imp_probe_put_uint(c, IMP_KEY_CODE, e->a >> 8 & 0xff);
			}
			imp_probe_stream_end(&image->stream);
		}
		if ((pid_t)e->pid == p->s.root || (pid_t)e->pid == p->watched)
			image->exited = true;
		else
			imp_probe_image_free(&p->s, image);
	}
	if ((pid_t)e->pid == p->watched)
		p->ended = true;
}

static void take_file(struct imp_probe_image *image, struct imp_probe_thread *t, bool alone,
		      const struct imp_bpf_event *e)
{
	struct imp_cbor *c = imp_probe_stream_begin(&image->stream, IMP_EV_KERNEL_FILE, e->time_ns, t->tid);

	imp_probe_put_text(c, IMP_KEY_TEXT, e->len ? e->text : "");
	imp_probe_put_uint(c, IMP_KEY_SYSCALL, e->call);
	if (e->result < 0)
		imp_probe_put_uint(c, IMP_KEY_ERRNO, (uint64_t)-e->result);
	if (e->a)
		imp_probe_put_uint(c, IMP_KEY_FLAGS, e->a);
	if (e->b)
		imp_probe_put_uint(c, IMP_KEY_MODE, e->b);
	imp_probe_stream_end(&image->stream);
	if (e->call == IMP_BPF_OPEN && e->result >= 0) {
		free(t->opened.path);
		t->opened.path = e->len ? strdup(e->text) : NULL;
		t->opened.fd = (int)e->result;
	}
	if (alone)
		imp_probe_import_looks(image, t, e);
}

static void take_event(void *context, const struct imp_bpf_event *e)
{
	struct imp_probe *p = context;
	struct imp_probe_session *s = &p->s;
	struct imp_probe_image *image;
	struct imp_probe_thread *t;

	switch (e->kind) {
	case IMP_BPF_FORK: take_fork(s, e); return;
	case IMP_BPF_EXEC: take_exec(s, e); return;
	case IMP_BPF_EXIT: take_exit(p, e); return;
	}
	image = imp_probe_image_get(s, (pid_t)e->pid);
	if (!image && (pid_t)e->pid != s->self) /* its beginning was lost */
		image = imp_probe_image_new(s, (pid_t)e->pid, e->time_ns,
					    (pid_t)e->pid == s->root ? IMP_START_FIRST : IMP_START_EXEC);
	t = image ? imp_probe_thread_get(image, (pid_t)e->tid) : NULL;
	if (!t)
		return;
	switch (e->kind) {
	case IMP_BPF_FILE: take_file(image, t, s->alone, e); break;
	case IMP_BPF_MAP: imp_probe_take_map(s, image, t, e); break;
	case IMP_BPF_DLOPEN_ENTER:
	case IMP_BPF_DLOPEN_LEAVE:
	case IMP_BPF_DLSYM:
	case IMP_BPF_DLERROR:
	case IMP_BPF_EXT_END:
		if (s->alone)
			imp_probe_take_load(s, image, e);
		break;
	case IMP_BPF_IMPORT_BEGIN:
	case IMP_BPF_IMPORT_END:
	case IMP_BPF_UNCAUGHT:
		if (s->alone)
			imp_probe_take_import(s, image, e);
		break;
	}
}

/* ---- the loop ------------------------------------------------------------------------------------ */

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

static void poll_once(struct imp_probe *p)
{
	imp_probe_kernel_poll(p->s.kernel, POLL_MS);
	if (now_ns() - p->flushed_ns > FLUSH_NS)
		flush_all(p);
}

static void *poll_loop(void *argument)
{
	struct imp_probe *p = argument;

	while (!__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE))
		poll_once(p);
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
	pid_t first = p->s.root ? p->s.root : p->watched;
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
		ret = imp_probe_sink_create(&p->s.sink, setup->output, 0, setup->uid, setup->gid, err);
	if (ret == 0 && command)
		imp_probe_command_attach(&p->s, command);
	/* COMMAND is the child that this process makes next: it is followed from its first moment. */
	if (ret == 0)
		ret = imp_probe_kernel_trace(p->s.kernel, p->s.self);
	if (ret == 0)
		ret = start_thread(p);
	if (ret < 0) {
		if (err && !err->msg[0])
			imp_error_set(err, ret, "what the kernel sees cannot be recorded: %s", strerror(-ret));
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
		imp_error_set(err, ret, "what the kernel saw could not be written: %s", strerror(-ret));
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
		return imp_error_set(err, -ESRCH, "process %d maps no object: it has ended, or is one of the kernel's own",
				     (int)a->pid);
	ret = imp_probe_sink_create(&p->s.sink, a->output, a->pid, geteuid(), getegid(), err);
	if (ret < 0)
		return ret;
	imp_probe_python_describe(&p->s, image, image->image_ns, a->pid);
	imp_probe_stream_flush(&image->stream);
	ret = imp_probe_kernel_trace(p->s.kernel, a->pid);
	return ret < 0 ? imp_error_set(err, ret, "process %d cannot be recorded: %s", (int)a->pid, strerror(-ret)) :
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
	int ret;

	if (!p)
		return imp_error_set(err, -ENOMEM, "there is no memory");
	p->s.alone = true;
	p->watched = a->pid;
	ret = begin_attach(p, a, err);
	if (ret == 0)
		a->began(a->pid);
	while (ret == 0 && !*a->stop && !p->ended && now_ns() < until) {
		poll_once(p);
		if (kill(a->pid, 0) < 0 && errno == ESRCH)
			break; /* it had ended before it was in the kernel's list */
	}
	if (ret == 0) {
		a->lost = imp_probe_kernel_lost(p->s.kernel, 0);
		a->ended = p->ended || (kill(a->pid, 0) < 0 && errno == ESRCH);
		say_detached(p);
		release(p);
		a->bytes = p->s.sink.bytes;
		ret = p->s.sink.err;
		if (ret < 0)
			imp_error_set(err, ret, "%s: the trace could not be written: %s", a->output, strerror(-ret));
	}
	destroy(p);
	return ret;
}
