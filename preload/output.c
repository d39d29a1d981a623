/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <stdio.h> /* renameat() */
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "frame_writer.h"
#include "raw_syscall.h"
#include "trace_header.h"

#include "poison.h"

#define SKIPPABLE_MAGIC "\x50\x2a\x4d\x18" /* RFC 8878, section 3.1.2; then four bytes of length */
#define SKIPPABLE_MIN	8
#define CREATE_TRIES	4 /* other runs may begin in the same directory at the same time */

/* ---- paths and the variable ---------------------------------------------------------------------- */

/* Only the %p of the variable's own value stands for something. */
static int add_path(struct imp_output *out, size_t *len, const char *path, bool is_value)
{
	for (; *path; path++) {
		if (*len + 2 >= sizeof(out->path))
			return -ENAMETOOLONG;
		out->path[(*len)++] = *path;
		if (*path != '%')
			continue;
		if (is_value && path[1] == 'p') {
			out->path[(*len)++] = *++path;
			out->per_process = true;
		} else {
			out->path[(*len)++] = '%';
		}
	}
	out->path[*len] = '\0';
	return 0;
}

int imp_output_set_path(struct imp_output *out, const char *path)
{
	size_t len = 0;
	int ret;

	out->per_process = false;
	if (path[0] != '/') {
		ret = (int)imp_sys(SYS_getcwd, (long)out->scratch, sizeof(out->scratch), 0, 0, 0);
		if (ret < 0)
			return ret;
		if (out->scratch[0] != '/') /* "(unreachable)/...": getcwd(2) */
			return -ENOENT;
		ret = add_path(out, &len, out->scratch, false);
		if (ret == 0 && out->scratch[1])
			ret = add_path(out, &len, "/", false);
		if (ret < 0)
			return ret;
	}
	return add_path(out, &len, path, true);
}

static char *put_decimal(char *to, unsigned long value)
{
	char digits[24];
	size_t n = 0;

	do
		digits[n++] = (char)('0' + value % 10);
	while (value /= 10);
	while (n)
		*to++ = digits[--n];
	return to;
}

/* The path of this process with @suffix. NULL where it would be too long. */
static const char *expand(const struct imp_output *out, char *name, size_t size, const char *suffix)
{
	char *to = name, *end = name + size - 28;

	for (const char *from = out->path; *from; from++) {
		if (to >= end)
			return NULL;
		if (from[0] != '%') {
			*to++ = *from;
			continue;
		}
		if (*++from == 'p')
			to = put_decimal(to, (unsigned long)imp_sys_getpid());
		else
			*to++ = '%';
		if (!*from)
			break;
	}
	memcpy(to, suffix, strlen(suffix) + 1);
	return name;
}

static const char *expand_now(struct imp_output *out)
{
	return expand(out, out->scratch, sizeof(out->scratch), "");
}

static const char *expand_old(struct imp_output *out)
{
	return expand(out, out->old, sizeof(out->old), IMP_OUTPUT_OLD);
}

const char *imp_output_name(struct imp_output *out)
{
	return expand_now(out);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int imp_output_join(struct imp_output *out, const char *marker)
{
	unsigned long pid = 0;
	size_t len;

	for (size_t i = 0; i < IMP_RUN_ID_SIZE; i++) {
		int high = hex_digit(*marker), low = high < 0 ? -1 : hex_digit(marker[1]);

		if (low < 0)
			return -EINVAL;
		out->run_id[i] = (uint8_t)(high << 4 | low);
		marker += 2;
	}
	if (*marker++ != ':')
		return -EINVAL;
	for (; *marker >= '0' && *marker <= '9' && pid <= INT32_MAX; marker++)
		pid = pid * 10 + (unsigned long)(*marker - '0');
	if (!pid || pid > INT32_MAX || marker[0] != ':' || marker[1] != '/')
		return -EINVAL;
	len = strlen(++marker);
	if (len >= sizeof(out->path))
		return -EINVAL;
	memcpy(out->path, marker, len + 1);
	out->per_process = strstr(out->path, "%p") != NULL; /* "%%p" can't be told: no harm */
	out->root_pid = (pid_t)pid;
	out->known = false;
	out->moved = false;
	return 0;
}

size_t imp_output_marker(const struct imp_output *out, char *marker, size_t size)
{
	size_t len = strlen(out->path);
	char *to = marker;

	if (size < 2 * IMP_RUN_ID_SIZE + 24 + len + 1)
		return 0;
	for (size_t i = 0; i < IMP_RUN_ID_SIZE; i++) {
		*to++ = "0123456789abcdef"[out->run_id[i] >> 4];
		*to++ = "0123456789abcdef"[out->run_id[i] & 15];
	}
	*to++ = ':';
	to = put_decimal(to, (unsigned long)out->root_pid);
	*to++ = ':';
	memcpy(to, out->path, len + 1);
	return (size_t)(to - marker) + len;
}

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
	const char *from = expand_now(out), *to = expand_old(out);
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
	const char *path = expand_now(out);
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

int imp_output_create(struct imp_output *out, const char **why)
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
	out->root_pid = imp_sys_getpid();
	out->known = false;
	out->moved = false;
	return create_or_find(out, true, why);
}

void imp_output_after_fork(struct imp_output *out)
{
	if (out->per_process) {
		out->known = false;
		out->moved = false;
	}
}

/* ---- appending ----------------------------------------------------------------------------------- */

/* @append: O_APPEND, or 0 */
static int open_ours(struct imp_output *out, const char *path, int append, uint64_t *size)
{
	struct imp_trace_header h;
	struct stat st;
	int fd, ret = 0;

	fd = imp_sys_open(path, O_RDWR | append | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		ret = -errno;
	else if (!S_ISREG(st.st_mode) ||
		 (out->known && (st.st_dev != out->dev || st.st_ino != out->ino)))
		ret = -ESTALE;
	else if (imp_trace_header_read(fd, &h) < 0 ||
		 memcmp(h.run_id, out->run_id, sizeof(h.run_id)) != 0)
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
	const char *now = expand_now(out), *old = expand_old(out), *why;
	int fd, other;

	if (!now || !old)
		return -ENAMETOOLONG;
	fd = open_ours(out, out->moved ? old : now, append, size);
	if (fd >= 0)
		return fd;
	if (out->per_process && !out->known) {
		/* %p, and the first append of this process: the file is yet to be made. */
		int ret = create_or_find(out, false, &why);

		return ret < 0 ? ret : open_ours(out, now, append, size);
	}
	if (fd != -ENOENT && fd != -ESTALE)
		return fd;
	/* Another run that began here has moved it, as every run does with an older trace. */
	other = open_ours(out, out->moved ? now : old, append, size);
	if (other < 0)
		return fd;
	out->moved = !out->moved;
	return other;
}

/*
 * Make what stands at @start a skippable frame: whoever reads the trace passes over it. To overwrite our
 * own bytes disturbs nobody who appends at the same time; to cut the file off could take away what they
 * have written since the last look. It does not grow again either: on a full disk the next write fails
 * with nothing written.
 */
static void void_part(int fd, uint64_t start, size_t len)
{
	uint8_t head[SKIPPABLE_MIN];
	uint64_t rest = len - sizeof(head);
	struct stat st;

	if (len < sizeof(head)) { /* too short for one: only if nobody came after us */
		if (fstat(fd, &st) == 0 && (uint64_t)st.st_size == start + len)
			imp_sys(SYS_ftruncate, fd, (long)start, 0, 0, 0);
		return;
	}
	memcpy(head, SKIPPABLE_MAGIC, 4);
	for (size_t i = 0; i < 4; i++)
		head[4 + i] = (uint8_t)(rest >> (8 * i));
	/* With O_APPEND, Linux appends whatever offset pwrite() is given: pwrite(2), "BUGS". */
	imp_sys(SYS_fcntl, fd, F_SETFL, O_NONBLOCK, 0, 0);
	imp_sys(SYS_pwrite64, fd, (long)head, sizeof(head), (long)start, 0);
}

/* A write came back short: go on, as long as our part is the file's last; else, or if it fails, mend. */
static int finish(int fd, const uint8_t *frame, size_t len, size_t done)
{
	uint64_t start = (uint64_t)lseek(fd, 0, SEEK_CUR) - done;
	int err = -ENOSPC;

	while (done < len) {
		struct stat st;
		ssize_t more;
		uint64_t at;

		if (fstat(fd, &st) < 0 || (uint64_t)st.st_size != start + done)
			break;
		more = imp_sys_write(fd, frame + done, len - done);
		if (more <= 0) {
			err = more < 0 ? (int)more : err;
			break;
		}
		at = (uint64_t)lseek(fd, 0, SEEK_CUR) - (uint64_t)more;
		if (at != start + done) { /* somebody else was faster */
			void_part(fd, at, (size_t)more);
			break;
		}
		done += (size_t)more;
	}
	if (done == len)
		return 0;
	void_part(fd, start, done);
	return err;
}

int imp_output_append_at(struct imp_output *out, const void *frame, size_t len, uint64_t *at)
{
	uint64_t size = 0;
	ssize_t ret;
	int fd;

	fd = open_trace(out, O_APPEND, &size);
	if (fd < 0)
		return fd;
	ret = check_size_limit(size, len);
	if (ret == 0) {
		ret = imp_sys_write(fd, frame, len);
		if (ret == (ssize_t)len)
			ret = 0;
		else if (ret > 0)
			ret = finish(fd, frame, len, (size_t)ret);
		else if (ret == 0)
			ret = -ENOSPC;
	}
	/* Where our own write ended, whoever has appended since. */
	if (ret == 0 && at)
		*at = (uint64_t)lseek(fd, 0, SEEK_CUR) - len;
	imp_sys_close(fd);
	return (int)ret;
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
