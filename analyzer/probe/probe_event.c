/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe_image.h"

/* ---- is it one? ---------------------------------------------------------------------------------- */

bool imp_probe_event_good(const void *data, size_t size)
{
	const struct imp_bpf_event *e = data;

	if (size < sizeof(*e) || e->len > size - sizeof(*e))
		return false;
	switch (e->kind) {
	case IMP_BPF_FORK:
	case IMP_BPF_EXEC: /* argv: may be cut anywhere */
	case IMP_BPF_EXIT:
	case IMP_BPF_DLOPEN_LEAVE:
	case IMP_BPF_IMPORT_BEGIN: /* characters, see probe_text.h */
	case IMP_BPF_IMPORT_END:
	case IMP_BPF_EXT_END: return true;
	case IMP_BPF_FILE:
	case IMP_BPF_MAP:
	case IMP_BPF_DLOPEN_ENTER:
	case IMP_BPF_DLSYM:
	case IMP_BPF_DLERROR: return !e->len || !e->text[e->len - 1];
	case IMP_BPF_UNCAUGHT:
		return e->len >= IMP_BPF_TYPE_MAX && memchr(e->text, '\0', IMP_BPF_TYPE_MAX);
	}
	return false;
}

/* ---- processes ----------------------------------------------------------------------------------- */

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
	imp_probe_modules_copy(&image->imported, &parent->imported);
	imp_strbuf_add(&image->sys_path, parent->sys_path.s, parent->sys_path.len);
	imp_strbuf_add(&image->sys_path_written, parent->sys_path_written.s,
		       parent->sys_path_written.len);
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

/* What was told of it so far has come to its end, though the process has not. */
static void say_exec(struct imp_probe_session *s, struct imp_probe_image *old,
		     const struct imp_bpf_event *e)
{
	struct imp_cbor *c;

	if (!s->alone || !old->described)
		return;
	c = imp_probe_stream_begin(&old->stream, IMP_EV_EXEC, e->time_ns, (pid_t)e->pid);
	imp_probe_image_put_exe(c, old);
	imp_cbor_uint(c, IMP_KEY_ARGV);
	imp_probe_image_put_argv(c, e->text, e->len);
	imp_probe_stream_end(&old->stream);
}

static void take_exec(struct imp_probe_session *s, const struct imp_bpf_event *e)
{
	struct imp_probe_image *old = imp_probe_image_get(s, (pid_t)e->pid), *image;
	pid_t ppid = old ? old->ppid : 0;
	bool our_root = old && old->our_root;
	char exe[64], target[4096];
	const char *name;
	ssize_t len;

	if (old) {
		say_exec(s, old, e);
		imp_probe_image_free(s, old);
	}
	image = imp_probe_image_new(s, (pid_t)e->pid, e->time_ns,
				    (pid_t)e->pid == s->root && !old ? IMP_START_FIRST :
								       IMP_START_EXEC);
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

static void take_exit(struct imp_probe_session *s, const struct imp_bpf_event *e)
{
	struct imp_probe_image *image = imp_probe_image_get(s, (pid_t)e->pid);
	struct imp_cbor *c;

	if (image) {
		if (e->b > image->stream.lost)
			image->stream.lost = e->b;
		if (s->alone && image->described) {
			bool signalled = (e->a & 0x7f) != 0;

			c = imp_probe_stream_begin(&image->stream,
						   signalled ? IMP_EV_WAIT : IMP_EV_PROCESS_END,
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
		if ((pid_t)e->pid == s->root || (pid_t)e->pid == s->watched)
			image->exited = true;
		else
			imp_probe_image_free(s, image);
	}
	if ((pid_t)e->pid == s->watched)
		s->ended = true;
}

static void take_file(struct imp_probe_image *image, struct imp_probe_thread *t, bool alone,
		      const struct imp_bpf_event *e)
{
	struct imp_cbor *c =
		imp_probe_stream_begin(&image->stream, IMP_EV_KERNEL_FILE, e->time_ns, t->tid);

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

void imp_probe_take_event(struct imp_probe_session *s, const struct imp_bpf_event *e)
{
	struct imp_probe_image *image;
	struct imp_probe_thread *t;

	switch (e->kind) {
	case IMP_BPF_FORK: take_fork(s, e); return;
	case IMP_BPF_EXEC: take_exec(s, e); return;
	case IMP_BPF_EXIT: take_exit(s, e); return;
	}
	image = imp_probe_image_get(s, (pid_t)e->pid);
	if (!image && (pid_t)e->pid != s->self) /* its beginning was lost */
		image = imp_probe_image_new(s, (pid_t)e->pid, e->time_ns,
					    (pid_t)e->pid == s->root ? IMP_START_FIRST :
								       IMP_START_EXEC);
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
