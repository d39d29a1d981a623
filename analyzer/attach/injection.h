/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_INJECTION_H
#define IMP_ATTACH_INJECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "../../preload/attach_area.h"
#include "library.h"
#include "remote_call.h"
#include "safe_point.h"
#include "target.h"

/*
 * Puts the recorder into a running process and takes it out again.
 *
 * One thread is held, for some milliseconds, where it can make a call; the others run on. It makes two memory
 * files in the process, which imptrace fills through /proc, and calls dlopen() and imptrace_attach(): so
 * neither a path nor a right is needed there, whatever namespaces the process lives in.
 */
struct imp_injection_times { /* for people who want to know what it cost */
	uint64_t held_ns; /* for which a thread stood still or worked for us, at the last attach or detach */
	uint64_t stack_ns, files_ns,
		call_ns;    /* of that: its stack was read, files were made, it worked */
	unsigned int tries; /* threads that were looked at */
	pid_t tid;	    /* which was used */
};

struct imp_injection {
	struct imp_target target;
	struct imp_library library;
	struct imp_safe_points points;
	struct imp_remote remote;
	struct imp_attach_area *area; /* shared with the process; NULL: not yet */
	uint64_t base;		      /* of the library in the process; 0: not loaded */
	bool attached;		      /* imptrace_detach() is owed to it */
	struct imp_injection_times times;
};

#define IMP_INJECTION_INIT                \
	{                                 \
		.target = IMP_TARGET_INIT \
	}

struct imp_injection_wishes {
	const char *library; /* path of libimptrace.so */
	uint8_t run_id[IMP_RUN_ID_SIZE];
	uint32_t stacks, dlsym; /* enum imp_which */
	uint64_t timeout_ns;	/* for how long to wait for a safe moment */
	/* Called now and then while waiting: non-zero ends it. @in_call: a call is under way. */
	int (*waiting)(void *arg, bool in_call, uint64_t waited_ns, const char *why);
	void *arg;
};

/*
 * imp_injection_open - look at the process, and read all that is needed; nothing is done to it
 * @in: IMP_INJECTION_INIT; release with imp_injection_clear()
 */
int imp_injection_open(struct imp_injection *in, pid_t pid, const struct imp_injection_wishes *w,
		       struct imp_error *err);

/*
 * imp_injection_attach - have the process begin to record into @in->area
 * Returns 0; -ETIMEDOUT: no safe moment; -ECANCELED: @w->waiting said so; -ESRCH: it ended; or why not.
 */
int imp_injection_attach(struct imp_injection *in, const struct imp_injection_wishes *w,
			 struct imp_error *err);

/* imp_injection_detach - have it end that; the same answers. What was recorded is in the area then. */
int imp_injection_detach(struct imp_injection *in, const struct imp_injection_wishes *w,
			 struct imp_error *err);

/* imp_injection_lives - is the program still there that was attached to? Not after its end, or an exec. */
bool imp_injection_lives(const struct imp_injection *in);

void imp_injection_clear(struct imp_injection *in);

#endif
