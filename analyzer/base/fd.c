/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fd.h"

#include <errno.h>
#include <unistd.h>

int imp_fd_write(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		const ssize_t n = write(fd, at, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}
