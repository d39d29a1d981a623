/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_REMOTE_CALL_H
#define IMP_ATTACH_REMOTE_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "call_block.h"
#include "object_image.h"
#include "target.h"
#include "tracee.h"

/*
 * System calls and function calls in a thread that is held, after which it goes on as if nothing had happened;
 * also when imptrace is killed at any moment in between: then it gets back by itself.
 *
 * While this is under way all its signals but those that its own instructions raise are blocked: the kernel
 * delivers them when it is back where it was, at the system call that it was in.
 */
struct imp_remote {
	const struct imp_target *target; /* borrowed */
	uint64_t call_and_return;	 /* `syscall; ret` */
	uint64_t restore;		 /* __restore_rt */
	uint64_t errno_location;

	struct imp_tracee *t; /* borrowed, from begin to end; NULL: none */
	uint64_t sp, data;    /* of the guard frame */

	/* The block that both have mapped. */
	uint64_t stub; /* its address there; 0: not mapped */
	uint8_t *shared;
	bool keep; /* a thread may still be in it: it stays mapped */
};

/* What to do while a call takes long: called about every 10 ms; non-zero: do not wait any longer. */
struct imp_patience {
	int (*wait)(void *arg, uint64_t waited_ns);
	void *arg;
};

/* imp_remote_open - look for what is needed in the target's libc; 0 or a negative errno */
int imp_remote_open(struct imp_remote *r, const struct imp_target *target,
		    const struct imp_object_image *libc, struct imp_error *err);

/* imp_remote_begin - take a thread that imp_tracee_stop() has stopped; -EFAULT: it has no room on its stack */
int imp_remote_begin(struct imp_remote *r, struct imp_tracee *t, struct imp_error *err);

/*
 * imp_remote_syscall - have the thread make a system call
 * @result: set to what the kernel returned: a value, or a negative errno
 * Returns 0, or a negative errno where it could not be made (the thread is gone).
 */
int imp_remote_syscall(struct imp_remote *r, long *result, struct imp_error *err, long number,
		       uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);

/* imp_remote_text - put a string where the thread can read it until imp_remote_end(); its address, 0: failed */
#define IMP_REMOTE_TEXT 128
uint64_t imp_remote_text(struct imp_remote *r, const char *text);

/*
 * imp_remote_memfd - make a memory file there, and open it here
 * @there: set to its number in the process
 * @here:  set to our own descriptor of it
 */
int imp_remote_memfd(struct imp_remote *r, const char *name, int *there, int *here,
		     struct imp_error *err);

/*
 * imp_remote_map - map the block there; nothing is done where it is mapped and free
 * @there, @here: a memory file that it may be a part of, or -1: it gets one of its own
 * @offset: in that file; its size becomes at least @offset + IMP_CALL_SIZE
 * imp_remote_unmap - the other way
 */
int imp_remote_map(struct imp_remote *r, int there, int here, uint64_t offset,
		   struct imp_error *err);
int imp_remote_unmap(struct imp_remote *r, struct imp_error *err);

/*
 * imp_remote_call - have the thread make the calls that @steps says
 * @text: what step.args may point at, by imp_remote_call_text(); may be NULL
 *
 * Returns 0: made, and the thread is held again; -ESRCH: it is gone; -ECANCELED: @patience did not want to
 * wait any longer. Then the thread goes on with the calls, gets back by itself, and is no longer held.
 */
int imp_remote_call(struct imp_remote *r, struct imp_call_step *steps, unsigned int n_steps,
		    const char *text, const struct imp_patience *patience, struct imp_error *err);
uint64_t imp_remote_call_text(const struct imp_remote *r);

/* imp_remote_end - let the thread go on; safe to call at any time, also twice */
void imp_remote_end(struct imp_remote *r);

void imp_remote_close(struct imp_remote *r);

#endif
