// SPDX-License-Identifier: GPL-2.0-or-later
#include "python_attach.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>

#include "attach.h"
#include "python_hook.h"
#include "python_install.h"
#include "python_interpreter.h"
#include "python_modules.h"
#include "recorder.h"
#include "short_thread.h"

#include "poison.h"

#define JOBS_MAX	4	 /* as python_hook.c's */
#define PENDING_WAIT_NS 25000000 /* for the main thread to come around */
#define POLL_NS		1000000
#define INTERPS_MAX	256	   /* of one CPython */
#define OWED_WAIT_NS	1000000000 /* for threads to fetch dlerror()'s text */

enum turn { /* who does it */
	    IDLE,
	    WAITING,
	    TAKEN,
	    DONE,
};

static struct job {
	struct imp_hooks *_Atomic hooks;
	_Atomic int turn;
	_Atomic bool queued; /* a pending call is under way, perhaps of an attach long ago */
	_Atomic bool late;   /* our thread is gone without having seen that call */
	uint32_t pythons, hooked;
} jobs[JOBS_MAX];

static struct {
	_Atomic uint32_t wanted; /* counted up; odd: the hooks shall be in, even: out */
	_Atomic uint32_t served;
	_Atomic bool running; /* there is a thread */
	_Atomic bool due;     /* in a child: there should be one */
} state;

bool imp_python_attach_is_there(const struct imp_hooks *hooks)
{
	Dl_info info;

	return dladdr((const void *)hooks->phdr, &info) != 0;
}

/* For good: a pending call from long ago may still come for it. */
static void add_job(struct imp_hooks *hooks)
{
	hooks->attached = true;
	for (size_t i = 0; i < JOBS_MAX; i++) {
		struct imp_hooks *none = NULL;

		if (atomic_load(&jobs[i].hooks) == hooks ||
		    atomic_compare_exchange_strong(&jobs[i].hooks, &none, hooks))
			break;
	}
}

void imp_python_attach_add(struct imp_hooks *hooks)
{
	hooks->leaving = false;
	add_job(hooks);
	/* Found while we are in already: a library that was opened late, with a Python that runs. */
	if (atomic_load(&state.wanted) & 1)
		imp_python_attach_want(true);
}

/* ---- with the GIL held ------------------------------------------------------------------------------ */

static void serve_interpreter(struct job *job, struct imp_hooks *hooks, bool in)
{
	struct imp_python_error error;
	struct imp_interp *now;
	struct imp_thread *t;

	job->pythons++;
	if (!in) {
		imp_hooks_remove(hooks);
		return;
	}
	imp_hooks_install(hooks);
	now = imp_hooks_interp(hooks);
	if (!now)
		return;
	job->hooked++;
	/* Once in each image, also where the hooks were in still from an attach before. */
	t = now->image_ns == imp_recorder_image_ns() ? NULL : imp_thread_enter();
	if (!t)
		return;
	imp_python_error_save(&hooks->api, &error);
	imp_interpreter_look(t, now, 0);
	imp_python_modules_write(t, now);
	imp_python_error_restore(&hooks->api, &error);
	imp_thread_leave(t);
}

/*
 * The other interpreters: all share the GIL that is held, so none can end meanwhile. From 3.12 on they may have
 * their own, and no API tells; python_install.c hooks those when they load an extension module.
 */
static void serve_others(struct job *job, struct imp_hooks *hooks, bool in)
{
	const struct imp_python_api *py = &hooks->api;
	const void *current = imp_interp_key(py);
	void *list[INTERPS_MAX], *interp;
	size_t i, count = 0;

	if (!py->PyInterpreterState_Head || !py->PyInterpreterState_Next || !py->PyThreadState_New ||
	    !py->PyThreadState_Swap || !py->PyThreadState_Clear || !py->PyThreadState_Delete)
		return;
	interp = py->PyInterpreterState_Head();
	if (py->PyErr_GetRaisedException) { /* 3.12 */
		if (in && interp != current)
			imp_attach_remark("other interpreters of this Python are recorded only once "
					  "they load an extension module");
		return;
	}
	for (; interp && count < INTERPS_MAX; interp = py->PyInterpreterState_Next(interp))
		list[count++] = interp;
	if (count < 2)
		return;
	for (i = 0; i < count; i++) {
		void *thread, *held;

		/* Before 3.8 nobody says which is the current one: hooks that are there stay. */
		if (list[i] == current)
			continue;
		thread = py->PyThreadState_New(list[i]);
		if (!thread)
			continue;
		held = py->PyThreadState_Swap(thread);
		serve_interpreter(job, hooks, in);
		py->PyThreadState_Clear(thread);
		py->PyThreadState_Swap(held);
		py->PyThreadState_Delete(thread);
	}
}

static void report(uint32_t wanted);

static void serve(struct job *job)
{
	struct imp_hooks *hooks = atomic_load(&job->hooks);
	const bool in = atomic_load(&state.wanted) & 1;

	job->pythons = job->hooked = 0;
	if (!hooks)
		return;
	serve_interpreter(job, hooks, in);
	serve_others(job, hooks, in);
}

static bool take_turn(struct job *job)
{
	int waiting = WAITING;

	return atomic_compare_exchange_strong(&job->turn, &waiting, TAKEN);
}

/* In CPython's main thread, at a time that suits it. */
static int run_pending(void *arg)
{
	struct job *job = arg;
	struct imp_hooks *hooks = atomic_load(&job->hooks);
	int saved = errno;

	atomic_store(&job->queued, false);
	if (!hooks)
		return 0;
	/* Up to 3.8, whichever interpreter that thread happens to be in: then our own thread does it. */
	if (hooks->api.PyInterpreterState_Main &&
	    imp_interp_key(&hooks->api) != hooks->api.PyInterpreterState_Main())
		return 0;
	if (take_turn(job)) {
		serve(job);
		atomic_store(&job->turn, DONE);
		/* Nobody has waited for us. */
		if (atomic_exchange(&job->late, false))
			report(atomic_load(&state.wanted));
	}
	errno = saved;
	return 0;
}

/* ---- our own thread --------------------------------------------------------------------------------- */

static bool is_ending(const struct imp_python_api *py)
{
	if (!py->Py_IsInitialized())
		return true;
	if (py->Py_IsFinalizing)
		return py->Py_IsFinalizing();
	return py->_Py_IsFinalizing && py->_Py_IsFinalizing();
}

/*
 * Up to 3.6, a program that has no threads has no GIL either, and nothing would keep two of them apart. Then
 * that is for its only thread to do, whenever it comes around.
 */
static bool has_gil(const struct imp_python_api *py)
{
	return py->PyInterpreterState_Main || !py->PyEval_ThreadsInitialized ||
	       py->PyEval_ThreadsInitialized();
}

/* True where it was done by the main thread, or will be. */
static bool wait_for_main(struct job *job, const struct imp_python_api *py)
{
	const uint64_t start_ns = imp_now_ns();

	while (atomic_load(&job->turn) != DONE) {
		if (imp_now_ns() - start_ns > PENDING_WAIT_NS) {
			/* Before it may be taken: it is looked at behind that. */
			atomic_store(&job->late, !has_gil(py));
			if (atomic_load(&job->late) && atomic_load(&job->turn) == WAITING)
				return true;
			/* Once it is taken it ends soon, and before that nothing else may be done. */
			if (!atomic_load(&job->late) && take_turn(job))
				return false;
		}
		imp_sys_sleep_ns(POLL_NS);
	}
	atomic_store(&job->late, false);
	return true;
}

static void serve_job(struct job *job)
{
	struct imp_hooks *hooks = atomic_load(&job->hooks);
	const struct imp_python_api *py;
	bool no = false;
	int gil;

	if (!hooks || !imp_python_attach_is_there(hooks))
		return;
	py = &hooks->api;
	if (is_ending(py)) {
		imp_hooks_remove_shared(hooks);
		return;
	}
	if (py->_Py_DecRefShared) {
		imp_attach_remark("this Python has no GIL: its imports are not recorded");
		return;
	}
	if (!py->PyGILState_Ensure || !py->PyGILState_Release)
		return;
	atomic_store(&job->late, false);
	atomic_store(&job->turn, WAITING);
	if (py->Py_AddPendingCall && atomic_compare_exchange_strong(&job->queued, &no, true) &&
	    py->Py_AddPendingCall(run_pending, job) < 0)
		atomic_store(&job->queued, false);
	if (wait_for_main(job, py) || is_ending(py))
		return;
	gil = py->PyGILState_Ensure();
	serve(job);
	py->PyGILState_Release(gil);
	atomic_store(&job->turn, DONE);
}

/* Says that all is done, where it is. */
static void report(uint32_t wanted)
{
	uint32_t pythons = 0, hooked = 0;

	for (size_t i = 0; i < JOBS_MAX; i++) {
		if (atomic_load(&jobs[i].late))
			return;
		pythons += jobs[i].pythons;
		hooked += jobs[i].hooked;
	}
	if (atomic_load(&state.wanted) == wanted)
		imp_attach_served(wanted & 1, pythons, hooked);
}

static void serve_all(uint32_t wanted)
{
	const uint64_t start_ns = imp_now_ns();

	for (size_t i = 0; i < JOBS_MAX; i++) {
		jobs[i].pythons = jobs[i].hooked = 0;
		serve_job(&jobs[i]);
	}
	/* A text that was read for the record is to be handed out before dlerror() is libc's again. */
	while (!(wanted & 1) && imp_threads_owe_dlerror() && imp_now_ns() - start_ns < OWED_WAIT_NS)
		imp_sys_sleep_ns(POLL_NS);
	report(wanted);
}

static void *run_thread(void *unused)
{
	uint32_t wanted;

	(void)unused;
	imp_short_thread_name("imptrace");
	do {
		do {
			wanted = atomic_load(&state.wanted);
			serve_all(wanted);
			atomic_store(&state.served, wanted);
		} while (atomic_load(&state.wanted) != wanted);
		atomic_store(&state.running, false);
		/* What was wanted just before that saw a thread that is no more. */
	} while (atomic_load(&state.wanted) != wanted && !atomic_exchange(&state.running, true));
	return NULL;
}

static int start_thread(void)
{
	int ret;

	if (atomic_exchange(&state.running, true))
		return 0;
	ret = imp_short_thread_start(run_thread, NULL);
	if (ret < 0)
		atomic_store(&state.running, false);
	return ret;
}

int imp_python_attach_want(bool in)
{
	uint32_t wanted = atomic_load(&state.wanted);
	bool any = false;

	for (size_t i = 0; i < JOBS_MAX; i++)
		any |= atomic_load(&jobs[i].hooks) != NULL;
	/* Those that were started under our eyes come out the same way. */
	for (size_t i = 0; !in && i < JOBS_MAX; i++) {
		struct imp_hooks *hooks = imp_python_hooks_at(i);

		if (!hooks)
			break;
		hooks->leaving = true;
		if (hooks->attached || !imp_python_attach_is_there(hooks) ||
		    !hooks->api.Py_IsInitialized())
			continue;
		add_job(hooks);
		any = true;
	}
	/* By two: the same again, as for a Python that was found late. */
	wanted += (wanted & 1) == in ? 2 : 1;
	atomic_store(&state.wanted, wanted);
	if (!any && (in || !imp_threads_owe_dlerror()))
		return 1;
	return start_thread();
}

void imp_python_attach_after_fork(void)
{
	atomic_store(&state.due, atomic_load(&state.running));
	atomic_store(&state.running, false);
	for (size_t i = 0; i < JOBS_MAX; i++)
		atomic_store(&jobs[i].turn, IDLE);
}

void imp_python_attach_catch_up(void)
{
	if (atomic_load_explicit(&state.due, memory_order_relaxed) &&
	    atomic_exchange(&state.due, false))
		start_thread();
}
