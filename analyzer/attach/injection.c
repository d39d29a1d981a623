/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "injection.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../base/fd.h"
#include "other_attach.h"
#include "thread_choice.h"

#define LIBRARY_NAME "imptrace-library"
#define AREA_NAME    "imptrace-area"
#define RETRY_MIN_NS 500000
#define RETRY_MAX_NS 20000000

/* ---- beforehand --------------------------------------------------------------------------------------------- */

/* A copy of an earlier attach is used again; @others: how many there are of other builds. */
static uint64_t find_loaded(struct imp_injection *in, unsigned int *others)
{
	struct imp_target *t = &in->target;
	uint64_t found = 0;

	*others = 0;
	for (size_t i = 0; i < t->maps.objects.n; i++) {
		const struct imp_mapped_object *o = &t->maps.objects.v[i];
		struct imp_arena arena = {0};
		struct imp_object_image img;

		if (strcmp(o->path, "/memfd:" LIBRARY_NAME) != 0 || !o->exec)
			continue;
		if (imp_object_image_read(&img, &arena, &t->mem, o->start, false) == 0 &&
		    img.build_id_len && img.build_id_len == in->library.build_id_len &&
		    memcmp(img.build_id, in->library.build_id, img.build_id_len) == 0)
			found = img.bias;
		else
			(*others)++;
		imp_arena_clear(&arena);
	}
	return found;
}

static int look_again(struct imp_injection *in, struct imp_error *err)
{
	int ret = imp_target_read_maps(&in->target, err);

	return ret < 0 ? ret : imp_safe_points_open(&in->points, &in->target, err);
}

int imp_injection_open(struct imp_injection *in, pid_t pid, const struct imp_injection_wishes *w,
		       struct imp_error *err)
{
	int ret;

	ret = imp_target_open(&in->target, pid, err);
	if (ret == 0)
		ret = imp_other_attach_end(&in->target, err);
	if (ret == 0)
		ret = imp_library_read(&in->library, w->library, err);
	if (ret == 0)
		ret = imp_safe_points_open(&in->points, &in->target, err);
	if (ret == 0)
		ret = imp_remote_open(&in->remote, &in->target, &in->points.libc, err);
	return ret;
}

/* ---- a thread at a place where it can make a call --------------------------------------------------------------- */

struct search {
	const struct imp_injection_wishes *wishes;
	uint64_t began_ns, pause_ns;
	pid_t avoid;
	char why[128]; /* the last thread was not fit */
};

static int hold(struct imp_injection *in, struct search *s, pid_t tid, struct imp_tracee *t,
		bool *unknown, struct imp_error *err)
{
	const unsigned long options = in->target.seccomp ? PTRACE_O_SUSPEND_SECCOMP : 0;
	const uint64_t over_ns = imp_monotonic_ns() - s->began_ns;
	const uint64_t left_ns =
		over_ns < s->wishes->timeout_ns ? s->wishes->timeout_ns - over_ns : 0;
	int ret;

	in->times.tries++;
	ret = imp_tracee_stop(t, in->target.pid, tid, options,
			      (unsigned int)(left_ns / 1000000) + 100, err);
	if (ret == -EPERM)
		return imp_target_why_refused(in->target.pid, err);
	if (ret < 0)
		return ret;
	/* Were the number another process's by now, this would be that one's thread. */
	if (imp_target_gone(&in->target)) {
		imp_tracee_release(t);
		return imp_error_set(err, -ESRCH, "process %d ended", (int)in->target.pid);
	}
	in->times.stack_ns = in->times.files_ns = in->times.call_ns = 0;
	if (!imp_safe_point(&in->points, t, s->why, sizeof(s->why), unknown)) {
		imp_tracee_release(t);
		s->avoid = tid;
		return -EAGAIN;
	}
	in->times.stack_ns = imp_monotonic_ns() - t->stopped_ns;
	ret = imp_remote_begin(&in->remote, t, err);
	if (ret < 0) {
		snprintf(s->why, sizeof(s->why), "it has no room on its stack");
		imp_tracee_release(t);
		return ret == -EFAULT ? -EAGAIN : ret;
	}
	in->times.tid = tid;
	return 0;
}

static int pause_search(struct search *s, const struct imp_injection *in, struct imp_error *err)
{
	const uint64_t over_ns = imp_monotonic_ns() - s->began_ns;
	const struct timespec step = {0, (long)s->pause_ns};
	const struct imp_injection_wishes *w = s->wishes;

	if (over_ns >= w->timeout_ns)
		return imp_error_set(
			err, -ETIMEDOUT,
			"there was no moment in %.3g seconds at which process %d (%s) could be entered; of the "
			"last thread: %s. Try again, or with a longer --timeout",
			(double)w->timeout_ns / 1e9, (int)in->target.pid, in->target.name, s->why);
	if (w->waiting && w->waiting(w->arg, false, over_ns, s->why))
		return imp_error_set(err, -ECANCELED, "interrupted");
	nanosleep(&step, NULL);
	s->pause_ns = s->pause_ns * 2 < RETRY_MAX_NS ? s->pause_ns * 2 : RETRY_MAX_NS;
	return 0;
}

/*
 * While a thread is held, it and we wait for each other in turns: on a busy machine the process would stand still
 * for as long as we wait for a processor. Where we may, we do not wait. Returns what to go back to.
 */
static int hurry(int priority)
{
	int before;

	errno = 0;
	before = getpriority(PRIO_PROCESS, 0);
	if (errno == 0)
		setpriority(PRIO_PROCESS, 0, priority);
	return before;
}

/* Returns 0 with a thread held and taken by in->remote. */
static int find_moment(struct imp_injection *in, const struct imp_injection_wishes *w,
		       struct imp_tracee *t, struct imp_error *err)
{
	struct search s = {.wishes = w, .began_ns = imp_monotonic_ns(), .pause_ns = RETRY_MIN_NS};
	struct imp_thread_candidate threads[IMP_THREADS_MAX];
	int ret;

	in->times.tries = 0;
	snprintf(s.why, sizeof(s.why), "none is in a state in which it can be held");
	for (;;) {
		const size_t n =
			imp_thread_choice(in->target.pid, threads, IMP_THREADS_MAX, s.avoid);
		bool unknown = false;

		if (!n && imp_target_gone(&in->target))
			return imp_error_set(err, -ESRCH, "process %d ended", (int)in->target.pid);
		for (size_t i = 0; i < n && !unknown; i++) {
			ret = hold(in, &s, threads[i].tid, t, &unknown, err);
			if (ret != -EAGAIN && ret != -ESRCH)
				return ret;
			if (ret == -ESRCH && imp_target_gone(&in->target))
				return ret;
		}
		ret = pause_search(&s, in, err);
		if (ret == 0 && unknown)
			ret = look_again(in, err);
		if (ret < 0)
			return ret;
	}
}

/* ---- attach --------------------------------------------------------------------------------------------------- */

static int wait_for_call(void *arg, uint64_t waited_ns)
{
	const struct imp_injection_wishes *w = arg;

	return w->waiting ? w->waiting(w->arg, true, waited_ns, "") : 0;
}

static int make_area(struct imp_injection *in, const struct imp_injection_wishes *w, int fd,
		     struct imp_error *err)
{
	struct imp_attach_area *a =
		mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (a == MAP_FAILED)
		return imp_error_set(err, -errno, "no memory for what process %d records: %s",
				     (int)in->target.pid, strerror(errno));
	memcpy(a->run_id, w->run_id, sizeof(a->run_id));
	a->stacks = w->stacks;
	a->dlsym = w->dlsym;
	imp_other_attach_sign(a);
	a->version = IMP_ATTACH_VERSION;
	a->magic = IMP_ATTACH_MAGIC;
	in->area = a;
	return 0;
}

static uint64_t libc_function(struct imp_injection *in, const char *name, const char *old)
{
	uint64_t address = imp_object_image_find(&in->points.libc, name);

	/* Before glibc 2.34 it was libdl's, and libc had one of its own. */
	if (!address && in->target.libdl) {
		struct imp_arena arena = {0};
		struct imp_object_image img;

		if (imp_object_image_read(&img, &arena, &in->target.mem, in->target.libdl->start,
					  true) == 0)
			address = imp_object_image_find(&img, name);
		imp_arena_clear(&arena);
	}
	if (!address && old)
		address = imp_object_image_find(&in->points.libc, old);
	return address;
}

/* What failed, in the words of the process's own loader. */
static int loader_refused(struct imp_injection *in, const struct imp_call_step *steps,
			  struct imp_error *err)
{
	char text[256], proc[64];
	bool no_proc;

	/* As the process sees it. */
	snprintf(proc, sizeof(proc), "/proc/%d/root/proc/meminfo", (int)in->target.pid);
	no_proc = access(proc, F_OK) < 0;
	if (!steps[2].ran || !steps[2].result ||
	    imp_memory_read_text(&in->target.mem, steps[2].result, text, sizeof(text)) < 0)
		snprintf(text, sizeof(text), "it gave no reason");
	return imp_error_set(
		err, -ENOEXEC, "the dynamic loader of process %d (%s) refused the recorder: %s%s",
		(int)in->target.pid, in->target.name, text,
		no_proc ? "; /proc is not mounted where it runs (chroot): mount it there, or "
			  "use --backend=bpf" :
			  "");
}

static int attach_refused(struct imp_injection *in, int code, struct imp_error *err)
{
	const char *remark = in->area->remark;
	char text[sizeof(in->area->remark)];

	if (code == -EBUSY)
		return imp_error_set(err, -EALREADY, "process %d (%s) is recorded already",
				     (int)in->target.pid, in->target.name);
	snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, remark);
	return imp_error_set(err, code, "the recorder in process %d (%s) could not begin: %s",
			     (int)in->target.pid, in->target.name, text[0] ? text : strerror(-code));
}

struct attach_call {
	int library_there, library_here, area_there, area_here;
	uint64_t dlopen_, dlerror_; /* in the process */
	unsigned int others;
};

/* The two memory files. A thread is held: what takes time here is time that it stands still. */
static int make_files(struct imp_injection *in, const struct imp_injection_wishes *w,
		      struct attach_call *c, struct imp_error *err)
{
	/* The block of the call lies behind the area: one file less. */
	const uint64_t behind =
		(sizeof(*in->area) + IMP_CALL_PAGE - 1) & ~(uint64_t)(IMP_CALL_PAGE - 1);
	struct imp_remote *r = &in->remote;
	int ret = imp_remote_memfd(r, AREA_NAME, &c->area_there, &c->area_here, err);

	if (ret == 0)
		ret = imp_remote_map(r, c->area_there, c->area_here, behind, err);
	if (ret == 0)
		ret = make_area(in, w, c->area_here, err);
	if (ret == 0 && !in->base) {
		ret = imp_remote_memfd(r, LIBRARY_NAME, &c->library_there, &c->library_here, err);
		if (ret == 0)
			ret = imp_fd_write(c->library_here, in->library.bytes, in->library.len);
		if (ret < 0 && err && !err->code)
			imp_error_set(err, ret, "no memory for the recorder: %s", strerror(-ret));
	}
	return ret;
}

static int call_attach(struct imp_injection *in, const struct imp_injection_wishes *w,
		       const struct attach_call *c, struct imp_error *err)
{
	const struct imp_patience patience = {wait_for_call, (void *)(uintptr_t)w};
	struct imp_call_step steps[3] = {{0}}, *last;
	char path[64], dots[24] = "";
	unsigned int n = 1;
	int ret;

	steps[0].function = in->base + in->library.attach;
	steps[0].args[0] = (uint64_t)c->area_there;
	steps[0].args[1] = (uint64_t)c->library_there;
	if (!in->base) {
		steps[1] = steps[0];
		steps[1].relative = 1;
		steps[1].when = IMP_WHEN_VALUE;
		steps[0].function = c->dlopen_;
		steps[0].args[0] = imp_remote_call_text(&in->remote);
		steps[0].args[1] = RTLD_NOW | RTLD_LOCAL;
		steps[2].function = c->dlerror_;
		steps[2].when = IMP_WHEN_ZERO;
		n = c->dlerror_ ? 3 : 2;
	}
	/*
	 * ld.so compares names first: the program may itself open /proc/self/fd/N for another file one day, and
	 * another build of ours may lie under the same number already. So each has a spelling that nobody else uses.
	 */
	for (unsigned int i = 0; i < c->others + 1 && i < 8; i++)
		strcat(dots, "./");
	snprintf(path, sizeof(path), "/proc/self/%sfd/%d", dots, c->library_there);
	ret = imp_remote_call(&in->remote, steps, n, path, &patience, err);
	if (ret < 0)
		return ret;
	last = in->base ? &steps[0] : &steps[1];
	if (!last->ran)
		return loader_refused(in, steps, err);
	return (int)last->result < 0 ? attach_refused(in, (int)last->result, err) : 0;
}

/* As it was: files closed, memory unmapped; the thread is still held. */
static void undo(struct imp_injection *in, const struct attach_call *c, bool files)
{
	long ignored;

	if (!in->remote.t || !in->remote.t->seized)
		return;
	if (files && c->library_there >= 0)
		imp_remote_syscall(&in->remote, &ignored, NULL, SYS_close,
				   (uint64_t)c->library_there, 0, 0, 0, 0, 0);
	if (files && c->area_there >= 0 && in->remote.t->seized)
		imp_remote_syscall(&in->remote, &ignored, NULL, SYS_close, (uint64_t)c->area_there,
				   0, 0, 0, 0, 0);
	if (in->remote.t->seized)
		imp_remote_unmap(&in->remote, NULL);
}

int imp_injection_attach(struct imp_injection *in, const struct imp_injection_wishes *w,
			 struct imp_error *err)
{
	struct attach_call c = {-1, -1, -1, -1, 0, 0, 0};
	struct imp_tracee t;
	int ret, before;

	c.dlopen_ = libc_function(in, "dlopen", "__libc_dlopen_mode");
	c.dlerror_ = libc_function(in, "dlerror", NULL);
	in->base = find_loaded(in, &c.others);
	if (!c.dlopen_)
		return imp_error_set(err, -ENOTSUP, "process %d (%s) has no dlopen() in its libc",
				     (int)in->target.pid, in->target.name);
	before = hurry(PRIO_MIN);
	ret = find_moment(in, w, &t, err);
	if (ret < 0) {
		hurry(before);
		return ret;
	}
	ret = make_files(in, w, &c, err);
	in->times.files_ns = imp_monotonic_ns() - t.stopped_ns - in->times.stack_ns;
	if (ret == 0) {
		const uint64_t began_ns = imp_monotonic_ns();

		ret = call_attach(in, w, &c, err);
		in->times.call_ns = imp_monotonic_ns() - began_ns;
		if (ret < 0)
			undo(in, &c, ret == -ENOEXEC);
	} else {
		undo(in, &c, true);
	}
	imp_remote_end(&in->remote);
	hurry(before);
	in->times.held_ns = t.held_ns;
	if (c.library_here >= 0)
		close(c.library_here);
	if (c.area_here >= 0)
		close(c.area_here);
	in->attached = ret == 0;
	if (ret == 0 && !in->base) {
		ret = look_again(in, err);
		in->base = ret < 0 ? 0 : find_loaded(in, &c.others);
	}
	return ret;
}

/* ---- detach ------------------------------------------------------------------------------------------------------ */

bool imp_injection_lives(const struct imp_injection *in)
{
	char byte;

	/* The memory that was opened is that of the program which it was then, also after an exec. */
	return !imp_target_gone(&in->target) &&
	       imp_memory_read(&in->target.mem, in->target.libc->start, &byte, 1) == 0;
}

int imp_injection_detach(struct imp_injection *in, const struct imp_injection_wishes *w,
			 struct imp_error *err)
{
	const struct imp_patience patience = {wait_for_call, (void *)(uintptr_t)w};
	struct imp_call_step step = {.function = in->base + in->library.detach};
	struct imp_tracee t = {0};
	int ret, before;

	if (!in->attached)
		return 0;
	__atomic_store_n(&in->area->stop, 1, __ATOMIC_SEQ_CST);
	if (!in->base)
		return imp_error_set(err, -EBADMSG, "the recorder in process %d is not found again",
				     (int)in->target.pid);
	ret = look_again(in, err);
	before = hurry(PRIO_MIN);
	if (ret == 0)
		ret = find_moment(in, w, &t, err);
	if (ret < 0) {
		hurry(before);
		return ret;
	}
	if (!imp_injection_lives(in))
		ret = imp_error_set(err, -ESRCH, "process %d executed another program",
				    (int)in->target.pid);
	if (ret == 0)
		ret = imp_remote_map(&in->remote, -1, -1, 0, err);
	if (ret == 0)
		ret = imp_remote_call(&in->remote, &step, 1, NULL, &patience, err);
	if (ret == 0 && in->remote.t->seized)
		imp_remote_unmap(&in->remote, NULL);
	imp_remote_end(&in->remote);
	hurry(before);
	in->times.held_ns = t.held_ns;
	if (ret == 0)
		in->attached = false;
	if (ret == 0 && (int)step.result < 0)
		ret = imp_error_set(err, (int)step.result,
				    "the recorder in process %d could not end: %s",
				    (int)in->target.pid, strerror(-(int)step.result));
	return ret;
}

void imp_injection_clear(struct imp_injection *in)
{
	imp_remote_close(&in->remote);
	imp_safe_points_close(&in->points);
	imp_library_clear(&in->library);
	imp_target_clear(&in->target);
	if (in->area)
		munmap(in->area, sizeof(*in->area));
	memset(in, 0, sizeof(*in));
	in->target.pidfd = -1;
	in->target.mem.fd = -1;
}
