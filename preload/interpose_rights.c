/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "real_symbols.h"

#include <stdatomic.h>
#include <sched.h>
#include <stdint.h>
#include <unistd.h>

#include "dlsym_cache.h"
#include "recorder.h"
#include "thread_slot.h"

#include "poison.h"

/*
 * What may take the trace out of the process's reach: another user, to whom it does not belong, another root
 * directory, other mounts. What was recorded is written before, and a note tells a reader why it may end there.
 */
#define EXPORT __attribute__((visibility("default")))

enum step { SETUID, SETEUID, SETREUID, SETRESUID, CHROOT, UNSHARE, SETNS };

/* In which image the note of that step was written: one is enough for a server that goes to and fro. */
static _Atomic uint64_t noted[SETNS + 1];

static void before(enum step step, const char *name)
{
	struct imp_thread *t = imp_thread_enter();
	uint64_t image_ns = imp_recorder_image_ns();

	if (!t)
		return;
	if (atomic_exchange(&noted[step], image_ns) != image_ns) {
		imp_dlsym_cache_drain(t);
		imp_record_note(t, IMP_NOTE_REACH, 0, name);
	}
	imp_record_flush_last();
	imp_thread_leave(t);
}

EXPORT int setuid(uid_t uid)
{
	before(SETUID, "setuid");
	return imp_real.setuid(uid);
}

EXPORT int seteuid(uid_t uid)
{
	before(SETEUID, "seteuid");
	return imp_real.seteuid(uid);
}

EXPORT int setreuid(uid_t real, uid_t effective)
{
	before(SETREUID, "setreuid");
	return imp_real.setreuid(real, effective);
}

EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	before(SETRESUID, "setresuid");
	return imp_real.setresuid(real, effective, saved);
}

EXPORT int chroot(const char *path)
{
	before(CHROOT, "chroot");
	return imp_real.chroot(path);
}

EXPORT int unshare(int flags)
{
	before(UNSHARE, "unshare");
	return imp_real.unshare(flags);
}

EXPORT int setns(int fd, int type)
{
	before(SETNS, "setns");
	return imp_real.setns(fd, type);
}
