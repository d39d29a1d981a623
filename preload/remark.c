/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "remark.h"

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "raw_syscall.h"

#include "poison.h"

void imp_remark_begin(struct imp_remark *r)
{
	r->len = 0;
	imp_remark_add(r, "imptrace: ");
}

void imp_remark_add(struct imp_remark *r, const char *text)
{
	for (; *text && r->len < sizeof(r->text) - 1; text++)
		r->text[r->len++] = *text >= ' ' && *text <= '~' ? *text : '?';
}

void imp_remark_add_error(struct imp_remark *r, int err)
{
	const char *text = strerrordesc_np(-err); /* not strerror: that follows the locale */

	imp_remark_add(r, text ? text : "unknown error");
}

void imp_remark_write(struct imp_remark *r)
{
	struct pollfd fd = {.fd = 2, .events = POLLOUT};
	struct timespec now = {0};
	int saved = errno;
	struct rlimit limit;
	struct stat st;

	r->text[r->len++] = '\n';
	/* POLLERR: a pipe that nobody reads any more. */
	if (imp_sys(SYS_ppoll, (long)&fd, 1, (long)&now, 0, 0) != 1 || fd.revents != POLLOUT)
		return;
	if (fstat(2, &st) == 0 && S_ISREG(st.st_mode) && getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY && (uint64_t)st.st_size + r->len > limit.rlim_cur) {
		errno = saved;
		return;
	}
	errno = saved;
	imp_sys_write(2, r->text, r->len);
}
