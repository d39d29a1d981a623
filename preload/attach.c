// SPDX-License-Identifier: GPL-2.0-or-later
#include "attach.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "attach_calls.h"
#include "dlsym_cache.h"
#include "elf_symbols.h"
#include "link_map_diff.h"
#include "needed_files.h"
#include "output.h"
#include "process_event.h"
#include "python_attach.h"
#include "python_hook.h"
#include "python_install.h"
#include "raw_syscall.h"
#include "recorder.h"

#include "poison.h"

#define EXPORT __attribute__((visibility("default")))

#define LOCK_SLEEP_NS 100000
#define LOCK_TRIES    200

extern char **environ;

/*
 * In the file, and not zero-filled memory: imptrace writes there. Read through the hidden name, since a
 * libimptrace.so that is preloaded as well would take the other one over.
 */
EXPORT uint32_t imptrace_attached __attribute__((section(".data"))) = 0;
extern uint32_t attached_here __attribute__((alias("imptrace_attached"), visibility("hidden")));

/* Does this copy record? For another copy of the library, in the same process. */
EXPORT uint32_t imptrace_recording = 0;
extern uint32_t recording_here __attribute__((alias("imptrace_recording"), visibility("hidden")));

static struct {
	_Atomic bool on;
	_Atomic uint32_t lock;
	bool registered; /* the handlers for fork and exit: once, they stay */
	/* Under the lock. */
	struct imp_attach_area *area;
	pid_t root; /* who attached: it alone writes the area's fields. A child has another number */
	bool finishing; /* hooks are still to come out */
	void *remains;	/* one page, of the area before */

	uint32_t beat; /* as it was last seen, and when it was first seen so */
	uint64_t beat_ns;
	int exit_status;
} attach;

bool imp_attach_is_copy(void)
{
	return *(volatile uint32_t *)&attached_here;
}

void imp_attach_set_recording(bool is)
{
	__atomic_store_n(&recording_here, is, __ATOMIC_RELEASE);
}

bool imp_attach_is_on(void)
{
	return atomic_load(&attach.on);
}

/* ---- the area --------------------------------------------------------------------------------------- */

static bool take_lock(void)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		uint32_t none = 0;

		if (atomic_compare_exchange_strong(&attach.lock, &none, 1))
			return true;
		imp_sys_sleep_ns(LOCK_SLEEP_NS);
	}
	return false;
}

static void drop_lock(void)
{
	atomic_store(&attach.lock, 0);
}

/* The area, where this process may write its fields. Under the lock. */
static struct imp_attach_area *own_area(void)
{
	return imp_sys_getpid() == attach.root ? attach.area : NULL;
}

static void set_state(enum imp_attach_state state)
{
	struct imp_attach_area *area = own_area();

	if (area)
		__atomic_store_n(&area->state, state, __ATOMIC_RELEASE);
}

void imp_attach_remark(const char *text)
{
	struct imp_attach_area *area;
	size_t used, len = strlen(text);

	if (!take_lock())
		return;
	area = own_area();
	used = area ? strnlen(area->remark, sizeof(area->remark)) : 0;
	/* Once each. The NUL behind it is there from the start. */
	if (area && !strstr(area->remark, text) && used + len + 3 < sizeof(area->remark)) {
		if (used) {
			memcpy(area->remark + used, "; ", 2);
			used += 2;
		}
		memcpy(area->remark + used, text, len);
	}
	drop_lock();
}

/*
 * A thread may have been about to look at it (is_over()) ever since we were on: its first page stays a page until
 * the next attach, but no longer the shared one.
 */
static void give_area_back(void)
{
	struct imp_attach_area *area = imp_recorder_take_area();
	const size_t page = getauxval(AT_PAGESZ);

	attach.area = NULL;
	if (!area) /* a thread is in the middle of writing to it: it stays mapped for good */
		return;
	if (mmap(area, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		return;
	munmap((char *)area + page, sizeof(*area) - page);
	attach.remains = area;
}

/* ---- leaving ---------------------------------------------------------------------------------------- */

/* All is out: the very last. Under the lock. */
static void finish(void)
{
	imp_attach_calls_restore(NULL);
	attach.finishing = false;
	set_state(IMP_ATTACH_OFF);
	give_area_back();
}

/*
 * Hooks out, as far as that can be done here and now. What a failed dlopen() has left for dlerror() is still
 * handed out, and CPython's hooks wait for CPython: python_attach.c does both, and calls imp_attach_served().
 */
static void leave(struct imp_thread *t)
{
	int ret;

	if (!atomic_exchange(&attach.on, false))
		return;
	if (take_lock()) {
		set_state(IMP_ATTACH_LEAVING);
		attach.finishing = true;
		drop_lock();
	}
	imp_attach_calls_restore("dlerror");
	imp_python_hooks_leave();
	if (t) {
		imp_dlsym_cache_drain(t);
		imp_process_event_end(t, IMP_END_DETACHED, 0);
	}
	imp_recorder_stop();
	imp_options.dlsym = IMP_NONE; /* whoever has kept a pointer to ours: straight to libc */
	imp_attach_set_recording(false);
	ret = imp_python_attach_want(false);
	if (ret && take_lock()) {
		finish();
		drop_lock();
	}
}

void imp_attach_served(bool in, uint32_t pythons, uint32_t hooked)
{
	struct imp_attach_area *area;

	if (!take_lock())
		return;
	area = own_area();
	if (in && area && atomic_load(&attach.on)) {
		__atomic_store_n(&area->pythons, pythons, __ATOMIC_RELAXED);
		__atomic_store_n(&area->hooked, hooked, __ATOMIC_RELAXED);
		set_state(IMP_ATTACH_ALL);
	} else if (!in && attach.finishing) {
		finish();
	}
	drop_lock();
	if (in)
		imp_record_flush();
}

/* Has imptrace asked us to go, or is it no more? Its beat is compared with our clock only where it stands. */
static bool is_over(void)
{
	const struct imp_attach_area *area = __atomic_load_n(&attach.area, __ATOMIC_ACQUIRE);
	uint32_t beat;

	if (!area)
		return true;
	if (__atomic_load_n(&area->stop, __ATOMIC_ACQUIRE))
		return true;
	beat = __atomic_load_n(&area->beat, __ATOMIC_RELAXED);
	if (beat != attach.beat) {
		attach.beat = beat;
		attach.beat_ns = imp_now_ns();
		return false;
	}
	return imp_now_ns() - attach.beat_ns > IMP_ATTACH_DEAD_MS * 1000000ull;
}

/* Whenever a thread begins to record something; it holds no lock. */
static bool stay(struct imp_thread *t)
{
	if (!atomic_load_explicit(&attach.on, memory_order_relaxed))
		return false;
	if (is_over()) {
		leave(t);
		return false;
	}
	imp_python_attach_catch_up();
	return true;
}

/* ---- fork and exit ---------------------------------------------------------------------------------- */

static void write_forked(struct imp_thread *t)
{
	imp_process_event_write(t, IMP_START_FORK, NULL);
}

void imp_attach_objects_changed(void)
{
	if (atomic_load_explicit(&attach.on, memory_order_relaxed))
		imp_attach_calls_update();
}

static void after_fork_in_child(void)
{
	imp_recorder_fork_child();
	imp_recorder_stay_quiet();
	imp_objects_forget();
	imp_dlsym_cache_forget();
	imp_attach_calls_after_fork();
	imp_python_attach_after_fork();
	atomic_store(&attach.lock, 0);
}

static void keep_status(int status, void *unused)
{
	(void)unused;
	attach.exit_status = status;
}

/* After the program's exit handlers: ld.so's, that calls destructors, was registered before any of them. */
__attribute__((destructor)) static void at_exit(void)
{
	struct imp_thread *t;

	if (!imp_attach_is_copy() || !atomic_load(&attach.on))
		return;
	t = imp_thread_enter_bare();
	if (!t)
		return;
	imp_dlsym_cache_drain(t);
	imp_process_event_end(t, IMP_END_EXIT, attach.exit_status);
	imp_recorder_stop();
	imp_thread_leave(t);
}

static void register_once(void)
{
	if (attach.registered)
		return;
	attach.registered = true;
	pthread_atfork(imp_recorder_fork_prepare, imp_recorder_fork_parent, after_fork_in_child);
	on_exit(keep_status, NULL);
}

/* ---- beginning -------------------------------------------------------------------------------------- */

struct copies {
	bool own;   /* ours was met: its symbols are in @symbols */
	bool other; /* another one records */
	struct imp_elf_symbols symbols;
};

static bool holds(const struct dl_phdr_info *info, const void *address)
{
	const ElfW(Addr) offset = (ElfW(Addr))address - info->dlpi_addr;

	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && offset >= info->dlpi_phdr[i].p_vaddr &&
		    offset - info->dlpi_phdr[i].p_vaddr < info->dlpi_phdr[i].p_memsz)
			return true;
	return false;
}

/* Runs under ld.so's lock: only reads. */
static int look_for_copies(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct copies *c = arg;
	struct imp_elf_symbols symbols;
	const uint32_t *recording;

	(void)size;
	if (imp_elf_symbols_open(&symbols, info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum) < 0)
		return 0;
	recording = imp_elf_symbols_find(&symbols, "imptrace_recording", NULL);
	if (!recording)
		return 0;
	if (holds(info, (const void *)look_for_copies)) {
		c->own = true;
		c->symbols = symbols;
	} else if (__atomic_load_n(recording, __ATOMIC_ACQUIRE)) {
		c->other = true;
	}
	return 0;
}

static int map_area(int fd, struct imp_attach_area **area)
{
	struct imp_attach_area *a;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -EBADF;
	if ((uint64_t)st.st_size < sizeof(*a))
		return -EPROTO;
	a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (a == MAP_FAILED)
		return -ENOMEM;
	if (a->magic != IMP_ATTACH_MAGIC || a->version != IMP_ATTACH_VERSION) {
		munmap(a, sizeof(*a));
		return -EPROTO;
	}
	*area = a;
	return 0;
}

/* What an attach before has left to be done is done now, without waiting. Under the lock. */
static int make_way(void)
{
	void *remains = attach.remains;

	if (attach.finishing)
		finish();
	else if (remains) {
		munmap(remains, getauxval(AT_PAGESZ));
		attach.remains = NULL;
	}
	if (imp_attach_calls_restore(NULL) < 0)
		return -EAGAIN;
	return imp_objects_restart() < 0 ? -EAGAIN : 0;
}

static int start(struct imp_attach_area *area, const struct imp_elf_symbols *own)
{
	static const struct imp_recorder_hooks hooks = {
		.process = write_forked,
		.objects = imp_objects_update,
		.stay = stay,
	};
	static struct imp_output out; /* too large for a stack */
	int ret = make_way();

	if (ret < 0)
		return ret;
	imp_options = (struct imp_options){
		.stacks = area->stacks <= IMP_ALL ? (enum imp_which)area->stacks : IMP_FAILURES,
		.dlsym = area->dlsym <= IMP_ALL ? (enum imp_which)area->dlsym : IMP_ALL,
		.follow = true,
		.level = 3,
	};
	memset(&out, 0, sizeof(out));
	memcpy(out.run_id, area->run_id, sizeof(out.run_id));
	out.root_pid = imp_sys_getpid();
	out.area = area;
	imp_attach_calls_find(own);
	imp_dlsym_cache_forget();
	imp_hooks_restart();
	attach.area = area;
	attach.root = imp_sys_getpid();
	attach.beat = __atomic_load_n(&area->beat, __ATOMIC_RELAXED);
	attach.beat_ns = imp_now_ns();
	atomic_store(&attach.on, true);
	ret = imp_recorder_start(&out, imp_now_ns(), &hooks);
	if (ret < 0) {
		atomic_store(&attach.on, false);
		attach.area = NULL;
		return ret;
	}
	imp_recorder_stay_quiet();
	register_once();
	return 0;
}

static void record_present(void)
{
	struct imp_thread *t = imp_thread_enter_bare();

	if (!t)
		return;
	imp_process_event_write(t, IMP_START_ATTACH, NULL);
	imp_needed_files_init(environ);
	imp_objects_update(t);
	imp_record_flush();
	imp_thread_leave(t);
}

EXPORT int imptrace_attach(int area_fd, int library_fd)
{
	struct imp_attach_area *area = NULL;
	struct copies copies = {.own = false};
	int saved = errno, ret;

	ret = map_area(area_fd, &area);
	imp_sys_close(area_fd);
	if (library_fd >= 0)
		imp_sys_close(library_fd);
	if (ret < 0)
		goto out;
	dl_iterate_phdr(look_for_copies, &copies);
	/* An imptrace that is gone, or is just leaving: we may not have seen that yet. */
	if (atomic_load(&attach.on) && is_over()) {
		struct imp_thread *t = imp_thread_enter_bare();

		leave(t);
		if (t)
			imp_thread_leave(t);
	}
	ret = -EBUSY;
	if (copies.other || atomic_load(&attach.on))
		goto out;
	ret = -EAGAIN;
	if (!copies.own || !take_lock())
		goto out;
	ret = start(area, &copies.symbols);
	drop_lock();
	if (ret < 0)
		goto out;
	imp_attach_set_recording(true);
	record_present();
	__atomic_store_n(&area->state, IMP_ATTACH_LOADER, __ATOMIC_RELEASE);
	ret = imp_python_attach_want(true);
	if (ret == 1)
		imp_attach_served(true, 0, 0);
	else if (ret < 0)
		imp_attach_remark("no thread could be started: Python's imports are not recorded");
	ret = 0;
	area = NULL;
out:
	if (area)
		munmap(area, sizeof(*area));
	errno = saved;
	return ret;
}

EXPORT int imptrace_detach(void)
{
	struct imp_thread *t;
	int saved = errno;

	t = imp_thread_enter_bare();
	leave(t);
	if (t)
		imp_thread_leave(t);
	errno = saved;
	return 0;
}
