/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "remote_call.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "guard_frame.h"

#define PATIENCE     200     /* pauses that a thread waits for us */
#define PAUSE_NS     1000000 /* one of them */
#define LOOK_NS	     10000000
#define MFD_CLOEXEC_ 1u
#define MFD_SEALED_ \
	8u /* MFD_NOEXEC_SEAL: all that vm.memfd_noexec=2 permits; may be mapped for execution */
#define DEFAULT_MXCSR 0x1f80
#define CPU_OSXSAVE   (1u << 27)

/* Signals that an instruction raises itself: blocked, they would end the process without its handler. */
#define OWN_SIGNALS                                                            \
	(1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGFPE - 1) | \
	 1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1) | 1ull << (SIGSYS - 1))

#if defined __x86_64__

#include <cpuid.h>

static struct imp_call_block *block_of(const struct imp_remote *r)
{
	return (struct imp_call_block *)(r->shared + IMP_CALL_PAGE);
}

int imp_remote_open(struct imp_remote *r, const struct imp_target *target,
		    const struct imp_object_image *libc, struct imp_error *err)
{
	static const uint8_t call_and_return[] = {0x0f, 0x05, 0xc3};
	static const uint8_t restore[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};

	memset(r, 0, sizeof(*r));
	r->target = target;
	r->call_and_return = imp_object_image_bytes(libc, &target->mem, call_and_return,
						    sizeof(call_and_return));
	r->restore = imp_object_image_bytes(libc, &target->mem, restore, sizeof(restore));
	r->errno_location = imp_object_image_find(libc, "__errno_location");
	if (!r->call_and_return || !r->restore || !r->errno_location)
		return imp_error_set(
			err, -ENOTSUP,
			"%s of process %d is not like any glibc that is known: it has no %s",
			target->libc->path, (int)target->pid,
			!r->errno_location ? "__errno_location" :
			!r->restore	   ? "__restore_rt" :
					     "system call that returns at once");
	return 0;
}

/* The registers for a system call on top of the guard frame. */
static struct user_regs_struct call_regs(const struct imp_remote *r)
{
	struct user_regs_struct regs = r->t->regs;

	regs.rip = r->call_and_return;
	regs.rsp = r->sp;
	regs.orig_rax = (unsigned long long)-1; /* nothing to be restarted */
	regs.rax = SYS_getpid;
	return regs;
}

static int gone(const struct imp_remote *r, struct imp_error *err)
{
	return imp_error_set(err, -ESRCH, "thread %d of process %d ended meanwhile", (int)r->t->tid,
			     (int)r->target->pid);
}

int imp_remote_begin(struct imp_remote *r, struct imp_tracee *t, struct imp_error *err)
{
	struct user_regs_struct regs;
	int ret;

	ret = imp_guard_frame_push(t, &r->target->mem, r->restore, IMP_REMOTE_TEXT, &r->sp,
				   &r->data);
	if (ret < 0)
		return imp_error_set(err, ret, "thread %d has no room on its stack: %s",
				     (int)t->tid, strerror(-ret));
	r->t = t;
	regs = call_regs(r);
	/* In this order: the frame restores the mask, should we be killed in between. */
	if (imp_tracee_set_regs(t, &regs) < 0 || imp_tracee_set_mask(t, ~OWN_SIGNALS | t->mask) < 0)
		return gone(r, err);
	return 0;
}

/* Wait for a stop of @kind; whatever else stops the thread is passed on. */
static int wait_for(struct imp_remote *r, enum imp_stop kind, int request, struct imp_error *err)
{
	for (;;) {
		const enum imp_stop stop = imp_tracee_wait(r->t, -1);

		if (stop == kind)
			return 0;
		if (stop == IMP_STOP_GONE)
			return gone(r, err);
		/* A stop of the whole process: the thread itself goes on until it is back, and stops then. */
		if (imp_tracee_resume(r->t, request, stop == IMP_STOP_SIGNAL ? r->t->signal : 0) < 0)
			return gone(r, err);
	}
}

int imp_remote_syscall(struct imp_remote *r, long *result, struct imp_error *err, long number,
		       uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	struct user_regs_struct regs = call_regs(r);
	int ret;

	regs.rax = (unsigned long long)number;
	regs.rdi = a;
	regs.rsi = b;
	regs.rdx = c;
	regs.r10 = d;
	regs.r8 = e;
	regs.r9 = f;
	if (imp_tracee_set_regs(r->t, &regs) < 0)
		return gone(r, err);
	for (int stops = 0; stops < 2; stops++) {
		if (imp_tracee_resume(r->t, PTRACE_SYSCALL, 0) < 0)
			return gone(r, err);
		ret = wait_for(r, IMP_STOP_SYSCALL, PTRACE_SYSCALL, err);
		if (ret < 0)
			return ret;
	}
	if (imp_tracee_get_regs(r->t, &regs) < 0)
		return gone(r, err);
	*result = (long)regs.rax;
	return 0;
}

uint64_t imp_remote_text(struct imp_remote *r, const char *text)
{
	const size_t len = strlen(text) + 1;

	if (len > IMP_REMOTE_TEXT || imp_memory_write(&r->target->mem, r->data, text, len) < 0)
		return 0;
	return r->data;
}

int imp_remote_memfd(struct imp_remote *r, const char *name, int *there, int *here,
		     struct imp_error *err)
{
	const uint64_t text = imp_remote_text(r, name);
	char path[64];
	long fd = -EFAULT;
	int ret = text ? 0 : -EFAULT;

	for (unsigned int flags = MFD_CLOEXEC_; ret == 0; flags |= MFD_SEALED_) {
		ret = imp_remote_syscall(r, &fd, err, SYS_memfd_create, text, flags, 0, 0, 0, 0);
		if (fd != -EACCES || flags & MFD_SEALED_)
			break;
	}
	if (ret < 0)
		return ret;
	if (fd < 0)
		return imp_error_set(err, (int)fd, "process %d cannot make a memory file: %s",
				     (int)r->target->pid, strerror((int)-fd));
	*there = (int)fd;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)r->t->tid, (int)fd);
	*here = open(path, O_RDWR | O_CLOEXEC);
	if (*here < 0)
		return imp_error_set(err, -errno, "%s cannot be opened: %s", path, strerror(errno));
	return 0;
}

static bool has_xsave(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c & CPU_OSXSAVE;
}

static int map_there(struct imp_remote *r, int there, uint64_t offset, struct imp_error *err)
{
	long base, code;
	int ret;

	ret = imp_remote_syscall(r, &base, err, SYS_mmap, 0, IMP_CALL_SIZE, PROT_READ | PROT_WRITE,
				 MAP_SHARED, (uint64_t)there, offset);
	if (ret < 0)
		return ret;
	if (base < 0 && base > -4096)
		return imp_error_set(err, (int)base, "process %d cannot map memory: %s",
				     (int)r->target->pid, strerror((int)-base));
	r->stub = (uint64_t)base;
	ret = imp_remote_syscall(r, &code, err, SYS_mmap, r->stub, IMP_CALL_PAGE,
				 PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, (uint64_t)there,
				 offset);
	if (ret == 0 && code != base)
		ret = imp_error_set(err, (int)code, "process %d may not run code from memory: %s",
				    (int)r->target->pid, strerror((int)-code));
	return ret;
}

static int map_here(struct imp_remote *r, int here, uint64_t offset, struct imp_error *err)
{
	void *shared = MAP_FAILED;

	if (ftruncate(here, (off_t)(offset + IMP_CALL_SIZE)) == 0)
		shared = mmap(NULL, IMP_CALL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, here,
			      (off_t)offset);
	if (shared == MAP_FAILED)
		return imp_error_set(err, -errno, "no memory for process %d: %s",
				     (int)r->target->pid, strerror(errno));
	r->shared = shared;
	memcpy(r->shared, imp_call_stub,
	       (size_t)((uintptr_t)imp_call_stub_end - (uintptr_t)imp_call_stub));
	return 0;
}

int imp_remote_map(struct imp_remote *r, int there, int here, uint64_t offset, struct imp_error *err)
{
	int own_there = -1, own_here = -1, ret = 0;
	long ignored;

	if (r->stub && !r->keep)
		return 0;
	/* Another thread may still be in the one that there was. */
	if (r->shared)
		munmap(r->shared, IMP_CALL_SIZE);
	r->shared = NULL;
	r->stub = 0;
	r->keep = false;
	if (there < 0) {
		ret = imp_remote_memfd(r, "imptrace-call", &own_there, &own_here, err);
		there = own_there;
		here = own_here;
		offset = 0;
	}
	if (ret == 0)
		ret = map_here(r, here, offset, err);
	if (ret == 0)
		ret = map_there(r, there, offset, err);
	if (own_there >= 0 && r->t && r->t->seized)
		imp_remote_syscall(r, &ignored, NULL, SYS_close, (uint64_t)own_there, 0, 0, 0, 0, 0);
	if (own_here >= 0)
		close(own_here);
	return ret;
}

int imp_remote_unmap(struct imp_remote *r, struct imp_error *err)
{
	long ignored;
	int ret;

	if (!r->stub || r->keep)
		return 0;
	ret = imp_remote_syscall(r, &ignored, err, SYS_munmap, r->stub, IMP_CALL_SIZE, 0, 0, 0, 0);
	if (ret == 0)
		r->stub = 0;
	return ret;
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

uint64_t imp_remote_call_text(const struct imp_remote *r)
{
	return r->stub + IMP_CALL_PAGE + offsetof(struct imp_call_block, text);
}

static void fill_block(struct imp_remote *r, const struct imp_call_step *steps,
		       unsigned int n_steps, const char *text)
{
	struct imp_call_block *b = block_of(r);
	const struct user_regs_struct *s = &r->t->regs;
	uint64_t ip, ax;

	imp_tracee_restart(r->t, true, &ip, &ax);
	memset(b, 0, sizeof(*b));
	b->has_xsave = has_xsave();
	b->patience = PATIENCE;
	b->n_steps = n_steps;
	b->mask = r->t->mask;
	b->mxcsr = DEFAULT_MXCSR;
	b->rip = ip;
	b->rflags = s->eflags;
	b->regs[0] = ax;
	b->regs[1] = s->rbx;
	b->regs[2] = s->rcx;
	b->regs[3] = s->rdx;
	b->regs[4] = s->rsi;
	b->regs[5] = s->rdi;
	b->regs[6] = s->rbp;
	b->regs[7] = s->rsp;
	b->regs[8] = s->r8;
	b->regs[9] = s->r9;
	b->regs[10] = s->r10;
	b->regs[11] = s->r11;
	b->regs[12] = s->r12;
	b->regs[13] = s->r13;
	b->regs[14] = s->r14;
	b->regs[15] = s->r15;
	b->pause[1] = PAUSE_NS;
	b->errno_location = r->errno_location;
	memcpy(b->steps, steps, n_steps * sizeof(*steps));
	if (text)
		snprintf(b->text, sizeof(b->text), "%s", text);
	__atomic_store_n(&b->phase, IMP_PHASE_RUNNING, __ATOMIC_SEQ_CST);
}

static uint32_t phase_of(const struct imp_remote *r)
{
	return __atomic_load_n(&block_of(r)->phase, __ATOMIC_SEQ_CST);
}

/* Until the calls are made. The thread runs, and is ours only in so far as that we hear when it ends. */
static int wait_until_done(struct imp_remote *r, const struct imp_patience *patience,
			   struct imp_error *err)
{
	const uint64_t began_ns = imp_monotonic_ns();
	const struct timespec look = {0, LOOK_NS};

	while (phase_of(r) == IMP_PHASE_RUNNING) {
		syscall(SYS_futex, &block_of(r)->phase, FUTEX_WAIT, IMP_PHASE_RUNNING, &look, NULL,
			0);
		if (phase_of(r) != IMP_PHASE_RUNNING)
			break;
		switch (imp_tracee_wait(r->t, 0)) {
		case IMP_STOP_GONE: return gone(r, err);
		case IMP_STOP_NONE: break;
		case IMP_STOP_EVENT:
			/* The process is stopped, and the thread with it, until somebody continues it. */
			if (r->t->signal != SIGTRAP) {
				ptrace(PTRACE_LISTEN, r->t->tid, NULL, NULL);
				break;
			}
			imp_tracee_resume(r->t, PTRACE_CONT, 0);
			break;
		default: imp_tracee_resume(r->t, PTRACE_CONT, r->t->signal);
		}
		if (patience && patience->wait &&
		    patience->wait(patience->arg, imp_monotonic_ns() - began_ns))
			return imp_error_set(err, -ECANCELED, "not waited for");
	}
	return 0;
}

/* Hold the thread again, which waits for that; or has gone back already. */
static int take_back(struct imp_remote *r, struct imp_error *err)
{
	int ret;

	if (imp_tracee_interrupt(r->t) < 0)
		return gone(r, err);
	ret = wait_for(r, IMP_STOP_EVENT, PTRACE_CONT, err);
	if (ret < 0)
		return ret;
	if (phase_of(r) == IMP_PHASE_DONE)
		return 0;
	/* Alone: it may be anywhere, even here yet, and has all that it needs. */
	r->keep = true;
	imp_tracee_leave(r->t);
	return 0;
}

int imp_remote_call(struct imp_remote *r, struct imp_call_step *steps, unsigned int n_steps,
		    const char *text, const struct imp_patience *patience, struct imp_error *err)
{
	struct user_regs_struct regs = r->t->regs;
	int ret;

	if (n_steps > IMP_CALL_STEPS_MAX || !r->stub)
		return imp_error_set(err, -EINVAL, "no call prepared");
	fill_block(r, steps, n_steps, text);
	regs.rip = r->stub;
	regs.rsp = r->stub + IMP_CALL_SIZE;
	regs.orig_rax = (unsigned long long)-1;
	regs.rax = 0;
	if (imp_tracee_set_regs(r->t, &regs) < 0 || imp_tracee_resume(r->t, PTRACE_CONT, 0) < 0)
		return gone(r, err);
	ret = wait_until_done(r, patience, err);
	if (ret == 0)
		ret = take_back(r, err);
	else if (ret == -ECANCELED)
		r->keep = true;
	memcpy(steps, block_of(r)->steps, n_steps * sizeof(*steps));
	return ret;
}

void imp_remote_end(struct imp_remote *r)
{
	struct imp_tracee *t = r->t;

	r->t = NULL;
	if (!t || !t->seized)
		return;
	/*
	 * Only within its signal handling does the kernel enter an interrupted system call again; behind a system
	 * call of ours the thread is elsewhere: it is brought there.
	 */
	if (t->stop == IMP_STOP_SYSCALL) {
		if (imp_tracee_interrupt(t) < 0 || imp_tracee_resume(t, PTRACE_CONT, 0) < 0)
			return;
		while (imp_tracee_wait(t, -1) == IMP_STOP_SIGNAL)
			imp_tracee_resume(t, PTRACE_CONT, t->signal);
	}
	imp_tracee_release(t);
}

#endif

void imp_remote_close(struct imp_remote *r)
{
	imp_remote_end(r);
	if (r->shared)
		munmap(r->shared, IMP_CALL_SIZE);
	memset(r, 0, sizeof(*r));
}
