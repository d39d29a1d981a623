/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <stdio.h> /* renameat() */
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "attach_ring.h"
#include "frame_append.h"
#include "frame_writer.h"
#include "raw_syscall.h"
#include "trace_header.h"

#include "poison.h"

#define CREATE_TRIES 4 /* other runs may begin in the same directory at the same time */

/* ---- creating ------------------------------------------------------------------------------------ */

/*
 * May the file be moved away, or replaced by one that is moved? Returns 0, -ENOENT, or why not. @h is
 * filled, and its run id's first byte left alone otherwise, where it is a trace of this version.
 */
static int inspect(const char *path, struct imp_trace_header *h, bool *is_ours, const char **why)
{
	struct stat st;
	int fd, ret;

	*is_ours = false;
	/* O_NONBLOCK: to open a FIFO would wait for its writer. */
	fd = imp_sys_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd == -ELOOP)
		*why = "it is a symbolic link";
	if (fd < 0)
		return fd;
	ret = -EEXIST;
	if (fstat(fd, &st) < 0) {
		ret = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		*why = "it is not a regular file";
	} else if (st.st_uid != geteuid()) {
		*why = "it belongs to another user";
	} else if (st.st_size == 0) {
		ret = 0;
	} else {
		int is = imp_trace_header_read(fd, h);

		if (is == 0 || is == -EBADMSG)
			ret = 0;
		else
			*why = "it is another file, not a trace";
		*is_ours = is == 0;
	}
	imp_sys_close(fd);
	return ret;
}

static int move_away(struct imp_output *out, const char **why)
{
	const char *from = imp_output_name(out), *to = imp_output_old_name(out);
	struct imp_trace_header ignored;
	bool is_trace;
	int ret;

	if (!from || !to)
		return -ENAMETOOLONG;
	ret = inspect(to, &ignored, &is_trace, why);
	if (ret < 0 && ret != -ENOENT) {
		*why = "it can't be moved away, since what has the name NAME.old is no trace of this user's";
		return ret;
	}
	ret = (int)imp_sys(SYS_renameat2, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 0);
	return ret == -ENOENT ? 0 : ret; /* somebody else has moved it already */
}

/* Would the file grow beyond RLIMIT_FSIZE? The kernel would send SIGXFSZ, and that ends the program. */
static int check_size_limit(uint64_t size, size_t len)
{
	struct rlimit limit;
	uint64_t margin;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return 0;
	/* Others may append between this look and our write. */
	margin = limit.rlim_cur / 8 < IMP_BATCH_MAX ? limit.rlim_cur / 8 : IMP_BATCH_MAX;
	return size + len + margin > limit.rlim_cur ? -EFBIG : 0;
}

static int create_file(struct imp_output *out)
{
	const char *path = imp_output_name(out);
	uint8_t frame[IMP_TRACE_HEADER_MAX];
	ssize_t len = imp_trace_header_make(out->run_id, out->root_pid, frame, sizeof(frame));
	struct stat st;
	ssize_t ret;
	int fd;

	if (!path)
		return -ENAMETOOLONG;
	if (len < 0)
		return (int)len;
	ret = check_size_limit(0, (size_t)len);
	if (ret < 0)
		return (int)ret;
	/* To be read as well: each append compares the run id. */
	fd = imp_sys_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND, 0600);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		ret = -errno;
	else if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0) /* an odd umask, or an ACL */
		ret = -errno;
	else
		ret = imp_sys_write(fd, frame, (size_t)len);
	if (ret == len) {
		out->dev = st.st_dev;
		out->ino = st.st_ino;
		out->known = true;
		out->moved = false;
		ret = 0;
	} else {
		ret = ret < 0 ? ret : -ENOSPC;
		imp_sys(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0); /* ours: O_EXCL */
	}
	imp_sys_close(fd);
	return (int)ret;
}

/*
 * Returns 0; 1 where the file that is there is our run's, or, where @adopt is set, that of a run which goes
 * on above us; or an error.
 */
static int create_or_find(struct imp_output *out, bool adopt, const char **why)
{
	int ret = -EEXIST;

	for (int i = 0; i < CREATE_TRIES && ret == -EEXIST; i++) {
		struct imp_trace_header h;
		bool is_trace;

		ret = create_file(out);
		if (ret != -EEXIST)
			break;
		*why = NULL;
		ret = inspect(out->scratch, &h, &is_trace, why);
		if (ret == 0 && is_trace && memcmp(h.run_id, out->run_id, sizeof(out->run_id)) == 0)
			return 1;
		if (ret == 0 && is_trace && adopt && imp_trace_run_goes_on(&h)) {
			memcpy(out->run_id, h.run_id, sizeof(out->run_id));
			out->root_pid = h.root_pid;
			return 1;
		}
		if (ret == 0)
			ret = move_away(out, why);
		if (ret == 0 || ret == -ENOENT)
			ret = -EEXIST; /* the name is free: once more */
		else
			break;
	}
	return ret;
}

static int create(struct imp_output *out, pid_t root_pid, bool adopt, const char **why)
{
	long ret = imp_sys(SYS_getrandom, (long)out->run_id, sizeof(out->run_id),
			   1 /* GRND_NONBLOCK */, 0, 0);

	*why = NULL;
	if (ret != (long)sizeof(out->run_id)) {
		/* Early at boot, or an old kernel: it has to differ from other runs, no more than that. */
		struct timespec now;
		uint64_t parts[2];

		clock_gettime(CLOCK_REALTIME, &now);
		parts[0] = (uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec;
		parts[1] = (uint64_t)imp_sys_getpid() << 32 ^ (uint64_t)(uintptr_t)&now;
		memcpy(out->run_id, parts, sizeof(out->run_id));
	}
	out->root_pid = root_pid;
	out->known = false;
	out->moved = false;
	out->foreign = false;
	memset(out->head, 0, sizeof(out->head));
	return create_or_find(out, adopt, why);
}

int imp_output_create(struct imp_output *out, const char **why)
{
	return create(out, imp_sys_getpid(), true, why);
}

int imp_output_create_for(struct imp_output *out, pid_t root_pid, const char **why)
{
	return create(out, root_pid, false, why);
}

void imp_output_after_fork(struct imp_output *out)
{
	if (out->per_process) {
		out->known = false;
		out->moved = false;
		out->foreign = false;
	}
}

/* ---- appending ----------------------------------------------------------------------------------- */

/* Without O_NOATIME each look at the header writes the inode anew. It is for the file's owner alone. */
static int open_quietly(struct imp_output *out, const char *path, int flags)
{
	int fd = out->foreign ? -EPERM : imp_sys_open(path, flags | O_NOATIME, 0);

	if (fd != -EPERM)
		return fd;
	out->foreign = true;
	return imp_sys_open(path, flags, 0);
}

/*
 * fstat(), but for the times: a file whose times somebody has asked for gets new ones at the next write (Linux
 * 6.13, multigrain timestamps), and that takes longer than the write itself.
 */
static int stat_without_times(int fd, struct stat *st)
{
	struct statx some = {0};

	/* Before Linux 4.11 there is none; or a filter of the program's stands against it. */
	if (imp_sys(SYS_statx, fd, (long)"", AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_SIZE,
		    (long)&some) < 0)
		return fstat(fd, st) < 0 ? -errno : 0;
	st->st_mode = some.stx_mode;
	st->st_dev = makedev(some.stx_dev_major, some.stx_dev_minor);
	st->st_ino = some.stx_ino;
	st->st_size = (off_t)some.stx_size;
	return 0;
}

/* @append: O_APPEND, or 0 */
static int open_ours(struct imp_output *out, const char *path, int append, uint64_t *size)
{
	int fd = open_quietly(out, path, O_RDWR | append | O_NOFOLLOW | O_NONBLOCK), ret;
	struct stat st;

	if (fd < 0)
		return fd;
	ret = stat_without_times(fd, &st);
	if (ret == 0 && (!S_ISREG(st.st_mode) ||
			 (out->known && (st.st_dev != out->dev || st.st_ino != out->ino)) ||
			 !imp_trace_header_is(fd, out->run_id, out->head)))
		ret = -ESTALE;
	if (ret < 0) {
		imp_sys_close(fd);
		return ret;
	}
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	out->known = true;
	*size = (uint64_t)st.st_size;
	return fd;
}

static int open_trace(struct imp_output *out, int append, uint64_t *size)
{
	const char *name = out->moved ? imp_output_old_name(out) : imp_output_name(out), *why;
	int fd, other;

	if (!name)
		return -ENAMETOOLONG;
	fd = open_ours(out, name, append, size);
	if (fd >= 0)
		return fd;
	if (out->per_process && !out->known) {
		/* %p, and the first append of this process: the file is yet to be made. */
		int ret = create_or_find(out, false, &why);

		return ret < 0 ? ret : open_ours(out, name, append, size);
	}
	if (fd != -ENOENT && fd != -ESTALE)
		return fd;
	/* Another run that began here has moved it, as every run does with an older trace. */
	name = out->moved ? imp_output_name(out) : imp_output_old_name(out);
	other = name ? open_ours(out, name, append, size) : -ENAMETOOLONG;
	if (other < 0)
		return fd;
	out->moved = !out->moved;
	return other;
}

int imp_output_append_at(struct imp_output *out, const void *frame, size_t len, uint64_t *at)
{
	uint64_t size = 0;
	int fd, ret;

	if (out->area)
		return imp_attach_ring_append(out->area, imp_sys_getpid(), frame, len);
	fd = open_trace(out, O_APPEND, &size);
	if (fd < 0)
		return fd;
	ret = check_size_limit(size, len + IMP_FRAME_TAIL);
	if (ret == 0)
		ret = imp_frame_append(fd, size, frame, len, at);
	imp_sys_close(fd);
	return ret;
}

int imp_output_append(struct imp_output *out, const void *frame, size_t len)
{
	return imp_output_append_at(out, frame, len, NULL);
}

int imp_output_overwrite(struct imp_output *out, uint64_t at, const void *data, size_t len)
{
	uint64_t size = 0;
	ssize_t ret;
	int fd;

	fd = open_trace(out, 0, &size);
	if (fd < 0)
		return fd;
	/* Somebody has cut the file off: what stands there now is not what we wrote. */
	ret = size < at + len ? -ESTALE : check_size_limit(at, len);
	if (ret == 0) {
		do
			ret = imp_sys(SYS_pwrite64, fd, (long)data, (long)len, (long)at, 0);
		while (ret == -EINTR);
		if (ret >= 0)
			ret = ret == (ssize_t)len ? 0 : -ENOSPC;
	}
	imp_sys_close(fd);
	return (int)ret;
}
