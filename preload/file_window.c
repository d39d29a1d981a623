/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "file_window.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "raw_syscall.h"

#include "poison.h"

int imp_file_window_open(struct imp_file_window *w, int fd, uint64_t at, size_t len)
{
	const size_t skip = at & (getauxval(AT_PAGESZ) - 1);
	int saved = errno, ret = 0;
	void *pages;

	imp_file_window_forget(w);
	if (imp_sys(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) > 0)
		return -EPERM;
	pages = mmap(NULL, skip + len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(at - skip));
	if (pages == MAP_FAILED) {
		ret = -errno;
	} else {
		w->pages = pages;
		w->len = skip + len;
		w->skip = skip;
		w->pid = imp_sys_getpid();
		if (madvise(pages, w->len, MADV_DONTFORK) < 0) {
			ret = -errno;
			imp_file_window_close(w);
		}
	}
	errno = saved;
	return ret;
}

int imp_file_window_put(const struct imp_file_window *w, size_t offset, const void *data, size_t len)
{
	struct iovec to = {.iov_base = w->pages + w->skip + offset, .iov_len = len};
	struct iovec from = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	/* The process itself is the "remote" one: this is the call that copies and takes a fault for an error. */
	long ret = imp_sys(SYS_process_vm_readv, w->pid, (long)&to, 1, (long)&from, 1);

	if (ret < 0)
		return (int)ret;
	return ret == (long)len ? 0 : -EFAULT;
}

void imp_file_window_close(struct imp_file_window *w)
{
	int saved = errno;

	if (w->pages)
		munmap(w->pages, w->len);
	errno = saved;
	imp_file_window_forget(w);
}

void imp_file_window_forget(struct imp_file_window *w)
{
	memset(w, 0, sizeof(*w));
}
