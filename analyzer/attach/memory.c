/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int imp_memory_open(struct imp_memory *m, pid_t pid)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	m->fd = open(path, O_RDWR | O_CLOEXEC);
	return m->fd < 0 ? -errno : 0;
}

void imp_memory_close(struct imp_memory *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

int imp_memory_read(const struct imp_memory *m, uint64_t address, void *data, size_t len)
{
	ssize_t n;

	/* Addresses from 2^63 on (vsyscall) are no file offsets. */
	if (address > INT64_MAX - len)
		return -EFAULT;
	for (size_t done = 0; done < len; done += (size_t)n) {
		n = pread(m->fd, (char *)data + done, len - done, (off_t)(address + done));
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return -EFAULT;
	}
	return 0;
}

int imp_memory_write(const struct imp_memory *m, uint64_t address, const void *data, size_t len)
{
	ssize_t n;

	if (address > INT64_MAX - len)
		return -EFAULT;
	for (size_t done = 0; done < len; done += (size_t)n) {
		n = pwrite(m->fd, (const char *)data + done, len - done, (off_t)(address + done));
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return -EFAULT;
	}
	return 0;
}

int imp_memory_read_text(const struct imp_memory *m, uint64_t address, char *text, size_t size)
{
	const size_t page = 4096;
	size_t len = 0, part, used;

	while (len + 1 < size) {
		part = page - (size_t)((address + len) % page);
		if (part > size - 1 - len)
			part = size - 1 - len;
		if (imp_memory_read(m, address + len, text + len, part) < 0)
			break;
		used = strnlen(text + len, part);
		len += used;
		if (used < part)
			return 0;
	}
	text[len] = '\0';
	return len ? 0 : -EFAULT;
}
