/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "recorder_lock.h"

#include "raw_syscall.h"
#include "recorder.h"
#include "thread_slot.h"

#include "poison.h"

#define SPINS 200
/*
 * Then the event is lost: the program waits no longer for us. A holder that is not scheduled, among many threads on
 * few processors, needs some tenths of a second; one that never gives the lock back is waited for once.
 */
#define LOCK_WAIT_NS  500000000	 /* for one holder */
#define LOCK_TOTAL_NS 5000000000 /* for one after the other */
#define LOCK_SLEEP_NS 50000

static pid_t own_tid(void)
{
	struct imp_thread *t = imp_thread_get(false);

	return t ? t->tid : imp_sys_gettid();
}

static bool try_lock(struct imp_recorder_lock *l, pid_t from, pid_t tid)
{
	return atomic_compare_exchange_strong_explicit(&l->holder, &from, tid, memory_order_acquire,
						       memory_order_relaxed);
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/*
 * A signal handler that interrupted the holder is told that it is busy. A holder that was asynchronously
 * cancelled is no more; what it left is whole items (batch.c).
 */
enum imp_lock_result imp_recorder_lock_take(struct imp_recorder_lock *l, pid_t pid)
{
	pid_t tid = own_tid(), owner;
	uint64_t start_ns, turn_ns;
	uint32_t turn;

	for (int i = 0; i < SPINS; i++) {
		if (try_lock(l, 0, tid))
			return IMP_LOCK_TAKEN;
		if (atomic_load_explicit(&l->holder, memory_order_relaxed) == tid)
			return IMP_LOCK_BUSY;
		relax();
	}
	/*
	 * A holder whose signal handler left by longjmp() never gives it back: one wait for it is enough. It
	 * may also be one that writes to a slow disk.
	 */
	owner = atomic_load_explicit(&l->stuck, memory_order_relaxed);
	if (owner && owner == atomic_load_explicit(&l->holder, memory_order_relaxed) &&
	    imp_sys_thread_alive(pid, owner))
		return IMP_LOCK_BUSY;
	/* The holder may have been descheduled, or is writing: sleep, so that it can run. */
	start_ns = turn_ns = imp_now_ns();
	turn = atomic_load_explicit(&l->turns, memory_order_relaxed);
	for (;;) {
		const uint64_t now_ns = imp_now_ns();

		imp_sys_sleep_ns(LOCK_SLEEP_NS);
		if (try_lock(l, 0, tid))
			return IMP_LOCK_TAKEN;
		if (turn != atomic_load_explicit(&l->turns, memory_order_relaxed)) {
			turn = atomic_load_explicit(&l->turns, memory_order_relaxed);
			turn_ns = now_ns;
		}
		if (now_ns - turn_ns > LOCK_WAIT_NS || now_ns - start_ns > LOCK_TOTAL_NS)
			break;
	}
	owner = atomic_load_explicit(&l->holder, memory_order_relaxed);
	if (owner && !imp_sys_thread_alive(pid, owner) && try_lock(l, owner, tid))
		return IMP_LOCK_ORPHAN;
	atomic_store_explicit(&l->stuck, owner, memory_order_relaxed);
	return IMP_LOCK_BUSY;
}

void imp_recorder_lock_give(struct imp_recorder_lock *l)
{
	atomic_store_explicit(&l->stuck, 0, memory_order_relaxed);
	atomic_store_explicit(&l->turns, atomic_load_explicit(&l->turns, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	atomic_store_explicit(&l->holder, 0, memory_order_release);
}

bool imp_recorder_lock_mine(struct imp_recorder_lock *l)
{
	return atomic_load(&l->holder) == own_tid();
}
