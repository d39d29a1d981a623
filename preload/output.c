/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <stdio.h>	/* renameat() */
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cbor_put.h"
#include "frame_writer.h"
#include "raw_syscall.h"

#include "poison.h"

/*
 * The header frame as we write it: a raw block of at most 255 bytes, so the run id stands at a fixed
 * place. Magic number, descriptor, content size; block header; then the item's constant beginning.
 */
#define HEADER_CONTENT	  9	/* 4 + 1 + 1 + 3 */
#define HEADER_MAX	  128
#define ZSTD_MAGIC	  "\x28\xb5\x2f\xfd"
#define SKIPPABLE_MAGIC	  "\x50\x2a\x4d\x18"	/* RFC 8878, section 3.1.2; then four bytes of length */
#define SKIPPABLE_MIN	  8
#define ANCESTORS_MAX	  128
#define CREATE_TRIES	  4	/* other runs may begin in the same directory at the same time */

struct header {
	uint8_t run_id[IMP_RUN_ID_SIZE];
	pid_t root_pid;
	uint64_t time_ns;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the header ---------------------------------------------------------------------------------- */

/* What is the same in every header, up to and with IMP_KEY_MAGIC's value; then up to the run id. */
static size_t put_header_start(struct imp_cbor *c)
{
	size_t magic_end;

	imp_cbor_map_begin(c);
	imp_cbor_uint(c, IMP_KEY_KIND);
	imp_cbor_uint(c, IMP_EV_HEADER);
	imp_cbor_uint(c, IMP_KEY_MAGIC);
	imp_cbor_bytes(c, IMP_FORMAT_MAGIC, sizeof(IMP_FORMAT_MAGIC) - 1);
	magic_end = c->len;
	imp_cbor_uint(c, IMP_KEY_VERSION);
	imp_cbor_array_begin(c);
	imp_cbor_uint(c, IMP_FORMAT_MAJOR);
	imp_cbor_uint(c, IMP_FORMAT_MINOR);
	imp_cbor_array_end(c);
	imp_cbor_uint(c, IMP_KEY_RUN_ID);
	return magic_end;
}

static ssize_t make_header(const struct imp_output *out, uint8_t *frame, size_t size)
{
	uint8_t item[HEADER_MAX];
	struct imp_cbor c;

	imp_cbor_init(&c, item, sizeof(item));
	put_header_start(&c);
	imp_cbor_bytes(&c, out->run_id, sizeof(out->run_id));
	imp_cbor_uint(&c, IMP_KEY_PID);
	imp_cbor_uint(&c, (uint64_t)out->root_pid);
	imp_cbor_uint(&c, IMP_KEY_REALTIME_NS);
	imp_cbor_uint(&c, clock_ns(CLOCK_REALTIME));
	imp_cbor_uint(&c, IMP_KEY_TIME_NS);
	imp_cbor_uint(&c, clock_ns(CLOCK_MONOTONIC));
	imp_cbor_map_end(&c);
	return c.overflow ? -EMSGSIZE : imp_frame_store(frame, size, item, c.len);
}

/* An unsigned integer; false where there is none. */
static bool get_uint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
	size_t bytes;

	if (*at >= end || **at > 27)
		return false;
	*value = *(*at)++;
	if (*value < 24)
		return true;
	bytes = (size_t)1 << (*value - 24);
	if ((size_t)(end - *at) < bytes)
		return false;
	for (*value = 0; bytes; bytes--)
		*value = *value << 8 | *(*at)++;
	return true;
}

/*
 * Returns 0 where @frame begins like one of our headers, -EBADMSG where it is a trace's, though of a
 * version whose rest we do not know, and -EINVAL otherwise.
 */
static int parse_header(const uint8_t *frame, size_t len, struct header *h)
{
	const uint8_t *at = frame + HEADER_CONTENT, *end = frame + len;
	uint64_t key, pid, realtime;
	uint8_t start[HEADER_MAX];
	struct imp_cbor c;
	size_t magic_end;

	imp_cbor_init(&c, start, sizeof(start));
	magic_end = put_header_start(&c);
	if (len < HEADER_CONTENT + magic_end || memcmp(frame, ZSTD_MAGIC, 4) != 0)
		return -EINVAL;
	/* The first byte, the map's head, says how many pairs there are: a later version may have more. */
	if ((*at & 0xe0) != 0xa0 || memcmp(at + 1, start + 1, magic_end - 1) != 0)
		return -EINVAL;
	if ((size_t)(end - at) < c.len + 1 + IMP_RUN_ID_SIZE ||
	    memcmp(at + 1, start + 1, c.len - 1) != 0 || at[c.len] != (2 << 5 | IMP_RUN_ID_SIZE))
		return -EBADMSG;
	at += c.len + 1;
	memcpy(h->run_id, at, IMP_RUN_ID_SIZE);
	at += IMP_RUN_ID_SIZE;
	if (!get_uint(&at, end, &key) || key != IMP_KEY_PID || !get_uint(&at, end, &pid) ||
	    !get_uint(&at, end, &key) || key != IMP_KEY_REALTIME_NS || !get_uint(&at, end, &realtime) ||
	    !get_uint(&at, end, &key) || key != IMP_KEY_TIME_NS || !get_uint(&at, end, &h->time_ns) ||
	    pid == 0 || pid > INT32_MAX)
		return -EBADMSG;
	h->root_pid = (pid_t)pid;
	return 0;
}

static int read_header(int fd, struct header *h)
{
	uint8_t frame[HEADER_MAX];
	ssize_t len = imp_sys(SYS_pread64, fd, (long)frame, sizeof(frame), 0, 0);

	return len < 0 ? (int)len : parse_header(frame, (size_t)len, h);
}

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
		if (out->scratch[0] != '/')	/* "(unreachable)/...": getcwd(2) */
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
	out->per_process = strstr(out->path, "%p") != NULL;	/* "%%p" can't be told: no harm */
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

/* ---- does the run of a trace that is there still go on, above us? -------------------------------- */

struct process_stat {
	pid_t parent;
	uint64_t start_ns;	/* CLOCK_BOOTTIME */
};

/* proc(5): "pid (comm) state ppid ... starttime ...", fields 4 and 22; comm may hold anything. */
static int read_stat(pid_t pid, struct process_stat *s)
{
	char path[32], text[512], *to, *field;
	unsigned long ticks = getauxval(AT_CLKTCK);
	uint64_t value = 0;
	ssize_t len;

	memcpy(path, "/proc/", 6);
	to = put_decimal(path + 6, (unsigned long)pid);
	memcpy(to, "/stat", 6);
	len = imp_sys_read_file(path, text, sizeof(text));
	if (len < 0)
		return (int)len;
	field = memrchr(text, ')', (size_t)len);
	if (!field || !ticks)
		return -EINVAL;
	for (int number = 2; number < 22; number++) {
		field = strchr(field, ' ');
		if (!field)
			return -EINVAL;
		field++;
		if (number + 1 != 4 && number + 1 != 22)
			continue;
		value = 0;
		for (const char *digit = field; *digit >= '0' && *digit <= '9'; digit++)
			value = value * 10 + (uint64_t)(*digit - '0');
		if (number + 1 == 4)
			s->parent = (pid_t)value;
	}
	s->start_ns = value / ticks * 1000000000u + value % ticks * 1000000000u / ticks;
	return 0;
}

/*
 * The number alone could be another process's by now: the first process of the run is older than its
 * trace. Time that the machine slept through makes processes look older only, which does no harm.
 */
static bool run_goes_on(const struct header *h)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), boot_ns = clock_ns(CLOCK_BOOTTIME);
	const uint64_t slack_ns = 20000000;	/* two clock ticks */
	pid_t pid = imp_sys_getpid();
	struct process_stat s;

	/* Mostly, it is no more: one look instead of a walk. */
	if (h->time_ns > now_ns || read_stat(h->root_pid, &s) < 0)
		return false;
	for (int i = 0; i < ANCESTORS_MAX && pid > 0; i++) {
		if (read_stat(pid, &s) < 0)
			return false;
		if (pid == h->root_pid)
			return boot_ns + slack_ns >= s.start_ns &&
			       boot_ns + slack_ns - s.start_ns >= now_ns - h->time_ns;
		pid = s.parent;
	}
	return false;
}

/* ---- creating ------------------------------------------------------------------------------------ */

/*
 * May the file be moved away, or replaced by one that is moved? Returns 0, -ENOENT, or why not. @h is
 * filled, and its run id's first byte left alone otherwise, where it is a trace of this version.
 */
static int inspect(const char *path, struct header *h, bool *is_ours, const char **why)
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
		int is = read_header(fd, h);

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
	struct header ignored;
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
	return ret == -ENOENT ? 0 : ret;	/* somebody else has moved it already */
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
	uint8_t frame[HEADER_MAX + IMP_FRAME_OVERHEAD];
	ssize_t len = make_header(out, frame, sizeof(frame));
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
	else if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)	/* an odd umask, or an ACL */
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
		imp_sys(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0);	/* ours: O_EXCL */
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
		struct header h;
		bool is_trace;

		ret = create_file(out);
		if (ret != -EEXIST)
			break;
		*why = NULL;
		ret = inspect(out->scratch, &h, &is_trace, why);
		if (ret == 0 && is_trace && memcmp(h.run_id, out->run_id, sizeof(out->run_id)) == 0)
			return 1;
		if (ret == 0 && is_trace && adopt && run_goes_on(&h)) {
			memcpy(out->run_id, h.run_id, sizeof(out->run_id));
			out->root_pid = h.root_pid;
			return 1;
		}
		if (ret == 0)
			ret = move_away(out, why);
		if (ret == 0 || ret == -ENOENT)
			ret = -EEXIST;	/* the name is free: once more */
		else
			break;
	}
	return ret;
}

int imp_output_create(struct imp_output *out, const char **why)
{
	long ret = imp_sys(SYS_getrandom, (long)out->run_id, sizeof(out->run_id), 1 /* GRND_NONBLOCK */, 0, 0);

	*why = NULL;
	if (ret != (long)sizeof(out->run_id)) {
		/* Early at boot, or an old kernel: it has to differ from other runs, no more than that. */
		uint64_t parts[2] = {clock_ns(CLOCK_REALTIME), clock_ns(CLOCK_MONOTONIC) << 20 ^
								       (uint64_t)imp_sys_getpid()};

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

static int open_ours(struct imp_output *out, const char *path, uint64_t *size)
{
	struct header h;
	struct stat st;
	int fd, ret = 0;

	fd = imp_sys_open(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		ret = -errno;
	else if (!S_ISREG(st.st_mode) || (out->known && (st.st_dev != out->dev || st.st_ino != out->ino)))
		ret = -ESTALE;
	else if (read_header(fd, &h) < 0 || memcmp(h.run_id, out->run_id, sizeof(h.run_id)) != 0)
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

static int open_trace(struct imp_output *out, uint64_t *size)
{
	const char *now = expand_now(out), *old = expand_old(out), *why;
	int fd, other;

	if (!now || !old)
		return -ENAMETOOLONG;
	fd = open_ours(out, out->moved ? old : now, size);
	if (fd >= 0)
		return fd;
	if (out->per_process && !out->known) {
		/* %p, and the first append of this process: the file is yet to be made. */
		int ret = create_or_find(out, false, &why);

		return ret < 0 ? ret : open_ours(out, now, size);
	}
	if (fd != -ENOENT && fd != -ESTALE)
		return fd;
	/* Another run that began here has moved it, as every run does with an older trace. */
	other = open_ours(out, out->moved ? now : old, size);
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

	if (len < sizeof(head)) {	/* too short for one: only if nobody came after us */
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
		if (at != start + done) {	/* somebody else was faster */
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

int imp_output_append(struct imp_output *out, const void *frame, size_t len)
{
	uint64_t size = 0;
	ssize_t ret;
	int fd;

	fd = open_trace(out, &size);
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
	imp_sys_close(fd);
	return (int)ret;
}
