/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "thread_slot.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "raw_syscall.h"
#include "recorder.h"

#include "poison.h"

/*
 * How many blocks are asked whether their thread still lives when another thread needs one: a system
 * call each. Short threads that follow one another find the block of the last.
 */
#define PROBES_MAX 16

struct block {
	struct imp_thread t; /* its tid: whose it is; 0: nobody's. Read and written atomically */
	struct block *next;  /* blocks are never unmapped */
};

static struct {
	_Atomic(struct block *) first;
	_Atomic(struct block *) probe; /* where the next look for an ended thread begins */
} pool;

/* initial-exec: with the other models, the first use in a thread may allocate. */
static __thread struct imp_thread *slot __attribute__((tls_model("initial-exec")));

static bool claim(struct block *b, pid_t from, pid_t to)
{
	/* With the store in leave: all that the thread before did with the block comes before. */
	(void)__atomic_load_n(&b->t.depth, __ATOMIC_ACQUIRE);
	return __atomic_compare_exchange_n(&b->t.tid, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static void reset(struct imp_thread *t)
{
	__atomic_store_n(&t->depth, 0, __ATOMIC_RELAXED);
	t->attempt_depth = 0;
	t->search_count = 0;
	t->extension_depth = 0;
	t->dlerror_kept = false;
	t->known.caller = NULL;
	t->known.writing = false;
	imp_line_places_clear(&t->lines, NULL);
}

static struct block *take_used(pid_t pid, pid_t tid)
{
	struct block *b = atomic_load(&pool.probe);

	for (int i = 0; i < PROBES_MAX; i++) {
		pid_t owner;

		if (!b)
			b = atomic_load(&pool.first);
		if (!b)
			return NULL;
		owner = __atomic_load_n(&b->t.tid, __ATOMIC_ACQUIRE);
		/* Our own number: a thread before us had it. */
		if ((owner == 0 || owner == tid || !imp_sys_thread_alive(pid, owner)) &&
		    claim(b, owner, tid)) {
			atomic_store(&pool.probe, b);
			return b;
		}
		b = b->next;
	}
	atomic_store(&pool.probe, b);
	return NULL;
}

static struct block *take_new(pid_t tid)
{
	struct block *b =
		mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (b == MAP_FAILED)
		return NULL;
	b->t.tid = tid;
	b->next = atomic_load(&pool.first);
	while (!atomic_compare_exchange_weak(&pool.first, &b->next, b))
		;
	return b;
}

struct imp_thread *imp_thread_get(bool make)
{
	int saved = errno;
	struct block *b;
	pid_t tid;

	if (slot || !make)
		return slot;
	tid = imp_sys_gettid();
	b = take_used(imp_sys_getpid(), tid);
	if (!b)
		b = take_new(tid);
	errno = saved;
	if (!b)
		return NULL;
	if (slot) { /* a signal handler was here in between, and has made one */
		__atomic_store_n(&b->t.tid, 0, __ATOMIC_RELEASE);
		return slot;
	}
	reset(&b->t);
	slot = &b->t;
	return slot;
}

static struct imp_thread *enter(struct imp_thread *t, int saved)
{
	if (!t || t->depth > 0)
		return NULL;
	__atomic_store_n(&t->depth, t->depth + 1, __ATOMIC_RELAXED); /* see claim() */
	/* From here on, a signal handler in this thread passes through and leaves the block alone. */
	atomic_signal_fence(memory_order_seq_cst);
	t->saved_errno = saved;
	return t;
}

struct imp_thread *imp_thread_enter_bare(void)
{
	int saved = errno;

	return imp_recorder_on() ? enter(imp_thread_get(true), saved) : NULL;
}

struct imp_thread *imp_thread_enter_block(void)
{
	return enter(slot, errno);
}

struct imp_thread *imp_thread_enter(void)
{
	struct imp_thread *t = imp_thread_enter_bare();

	if (t && !imp_recorder_catch_up(t)) {
		imp_thread_leave(t);
		return NULL;
	}
	return t;
}

void imp_thread_leave(struct imp_thread *t)
{
	int saved = t->saved_errno;

	atomic_signal_fence(memory_order_seq_cst);
	__atomic_store_n(&t->depth, t->depth - 1, __ATOMIC_RELEASE);
	errno = saved;
}

bool imp_threads_owe_dlerror(void)
{
	const pid_t pid = imp_sys_getpid();

	for (struct block *b = atomic_load(&pool.first); b; b = b->next) {
		const pid_t tid = __atomic_load_n(&b->t.tid, __ATOMIC_ACQUIRE);

		if (tid && __atomic_load_n(&b->t.dlerror_kept, __ATOMIC_RELAXED) &&
		    imp_sys_thread_alive(pid, tid))
			return true;
	}
	return false;
}

void imp_thread_after_fork(void)
{
	for (struct block *b = atomic_load(&pool.first); b; b = b->next)
		if (&b->t != slot)
			__atomic_store_n(&b->t.tid, 0, __ATOMIC_RELEASE);
	if (slot)
		__atomic_store_n(&slot->tid, imp_sys_gettid(), __ATOMIC_RELEASE);
}
