/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_FAILURE_H
#define IMP_DIAGNOSE_FAILURE_H

#include "case.h"

/*
 * Failures of one image, each led to its root.
 *
 * An exception passes through many attempts, is replaced by another, or is swallowed and comes back as
 * a consequence much later. A failure here is the attempt (or the uncaught exception) at which a chain
 * began, with what became of it.
 */

enum imp_fate {
	IMP_FATE_HANDLED = 0,
	IMP_FATE_UNCAUGHT,  /* it, or what followed from it, reached the top */
	IMP_FATE_THREAD,    /* ended a thread */
	IMP_FATE_SYS_EXIT,  /* sys.exit() was called while it was handled */
	IMP_FATE_EXIT,	    /* the process ended with an error right after it */
	IMP_FATE_COLLECTED, /* a runner of tests kept it, and ended with a status of its own */
	IMP_FATE_DIED,	    /* a signal ended the process within it */
};

struct imp_step_up {			   /* from the root outwards */
	const struct imp_attempt *attempt; /* NULL: no attempt, the top of the program */
	const struct imp_exception *exception;
	const char *how; /* why this belongs to the one before it; NULL: it is the same exception */
};

struct imp_failure {
	struct imp_case root;	      /* judged: root.f is filled */
	const struct imp_case *asked; /* the outermost import that it ended, where it was handled */
	enum imp_fate fate;
	const struct imp_exception *surfaced; /* what the user saw, NULL: unknown */
	const struct imp_sys_exit *exit;      /* IMP_FATE_SYS_EXIT */
	IMP_VEC(struct imp_step_up) steps;
	unsigned int repeats; /* further failures of the same module in the same way */
};

IMP_VEC_TYPE(imp_failures, struct imp_failure *);

/*
 * imp_failures_find - all failures of @image, judged, in the order of time
 */
void imp_failures_find(struct imp_diagnosis *d, const struct imp_host *host,
		       const struct imp_image *image, struct imp_failures *out);

#endif
