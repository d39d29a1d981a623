/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "directory_listing.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "raw_syscall.h"
#include "poison.h"

/* getdents64(2) */
struct entry {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

int imp_directory_open(struct imp_directory *d, const char *path, void *buf, size_t size, size_t max)
{
	*d = (struct imp_directory){.buf = buf, .size = size, .left = max};
	d->fd = imp_sys_open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
	return d->fd < 0 ? d->fd : 0;
}

const char *imp_directory_next(struct imp_directory *d, size_t *len)
{
	const struct entry *entry;
	long ret;

	for (;;) {
		if (d->at >= d->len) {
			ret = imp_sys(SYS_getdents64, d->fd, (long)d->buf, (long)d->size, 0, 0);
			if (ret <= 0)
				return NULL;
			d->len = (size_t)ret;
			d->at = 0;
		}
		entry = (const struct entry *)(d->buf + d->at);
		d->at += entry->length;
		if (!strcmp(entry->name, ".") || !strcmp(entry->name, ".."))
			continue;
		if (!d->left)
			return NULL;
		d->left--;
		*len = strlen(entry->name);
		return entry->name;
	}
}

void imp_directory_close(struct imp_directory *d)
{
	if (d->fd >= 0)
		imp_sys_close(d->fd);
	d->fd = -1;
}
