/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "remote_call.h"

#if !defined __x86_64__ /* imp_target_open() has refused already, and says what can be done */

#include <errno.h>

static int not_here(struct imp_error *err)
{
	return imp_error_set(err, -ENOSYS,
			     "calls in another process are not there for this processor");
}

int imp_remote_open(struct imp_remote *r, const struct imp_target *target,
		    const struct imp_object_image *libc, struct imp_error *err)
{
	(void)r;
	(void)target;
	(void)libc;
	return not_here(err);
}

int imp_remote_begin(struct imp_remote *r, struct imp_tracee *t, struct imp_error *err)
{
	(void)r;
	(void)t;
	return not_here(err);
}

int imp_remote_syscall(struct imp_remote *r, long *result, struct imp_error *err, long number,
		       uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	(void)r;
	(void)number;
	(void)(a + b + c + d + e + f);
	*result = -ENOSYS;
	return not_here(err);
}

uint64_t imp_remote_text(struct imp_remote *r, const char *text)
{
	(void)r;
	(void)text;
	return 0;
}

int imp_remote_memfd(struct imp_remote *r, const char *name, int *there, int *here,
		     struct imp_error *err)
{
	(void)r;
	(void)name;
	*there = *here = -1;
	return not_here(err);
}

int imp_remote_map(struct imp_remote *r, int there, int here, uint64_t offset, struct imp_error *err)
{
	(void)r;
	(void)there;
	(void)here;
	(void)offset;
	return not_here(err);
}

int imp_remote_unmap(struct imp_remote *r, struct imp_error *err)
{
	(void)r;
	return not_here(err);
}

int imp_remote_call(struct imp_remote *r, struct imp_call_step *steps, unsigned int n_steps,
		    const char *text, const struct imp_patience *patience, struct imp_error *err)
{
	(void)r;
	(void)steps;
	(void)n_steps;
	(void)text;
	(void)patience;
	return not_here(err);
}

uint64_t imp_remote_call_text(const struct imp_remote *r)
{
	(void)r;
	return 0;
}

void imp_remote_end(struct imp_remote *r)
{
	r->t = NULL;
}

#endif
