/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BASE_FD_H
#define IMP_BASE_FD_H

#include <stddef.h>

/* imp_fd_write - write(2) all of it, whatever interrupts. Returns 0 or a negative errno. */
int imp_fd_write(int fd, const void *data, size_t len);

#endif
