/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trace_header.h"

#include <string.h>
#include <sys/auxv.h>

#include "cbor_put.h"
#include "frame_writer.h"
#include "raw_syscall.h"

#include "poison.h"

/*
 * The header frame as we write it: a raw block of at most 255 bytes, so the run id stands at a fixed
 * place. Magic number, descriptor, content size; block header; then the item's constant beginning.
 */
#define HEADER_CONTENT 9 /* 4 + 1 + 1 + 3 */
#define ITEM_MAX       128
#define ZSTD_MAGIC     "\x28\xb5\x2f\xfd"
#define ANCESTORS_MAX  128

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

ssize_t imp_trace_header_make(const uint8_t *run_id, pid_t root_pid, uint8_t *frame, size_t size)
{
	uint8_t item[ITEM_MAX];
	struct imp_cbor c;

	imp_cbor_init(&c, item, sizeof(item));
	put_header_start(&c);
	imp_cbor_bytes(&c, run_id, IMP_RUN_ID_SIZE);
	imp_cbor_uint(&c, IMP_KEY_PID);
	imp_cbor_uint(&c, (uint64_t)root_pid);
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
static int parse_header(const uint8_t *frame, size_t len, struct imp_trace_header *h)
{
	const uint8_t *at = frame + HEADER_CONTENT, *end = frame + len;
	uint64_t key, pid, realtime;
	uint8_t start[ITEM_MAX];
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
	    !get_uint(&at, end, &key) || key != IMP_KEY_REALTIME_NS ||
	    !get_uint(&at, end, &realtime) || !get_uint(&at, end, &key) || key != IMP_KEY_TIME_NS ||
	    !get_uint(&at, end, &h->time_ns) || pid == 0 || pid > INT32_MAX)
		return -EBADMSG;
	h->root_pid = (pid_t)pid;
	return 0;
}

int imp_trace_header_read(int fd, struct imp_trace_header *h)
{
	uint8_t frame[IMP_TRACE_HEADER_MAX];
	ssize_t len = imp_sys(SYS_pread64, fd, (long)frame, sizeof(frame), 0, 0);

	return len < 0 ? (int)len : parse_header(frame, (size_t)len, h);
}

/* Asked before each write. The run id stands within the first IMP_TRACE_HEADER_SEEN bytes. */
bool imp_trace_header_is(int fd, const uint8_t *run_id, uint8_t *seen)
{
	uint8_t frame[IMP_TRACE_HEADER_MAX];
	struct imp_trace_header h;
	ssize_t len = imp_sys(SYS_pread64, fd, (long)frame, sizeof(frame), 0, 0);

	if (len < IMP_TRACE_HEADER_SEEN)
		return false;
	if (memcmp(frame, seen, IMP_TRACE_HEADER_SEEN) == 0)
		return true;
	if (parse_header(frame, (size_t)len, &h) < 0 ||
	    memcmp(h.run_id, run_id, sizeof(h.run_id)) != 0)
		return false;
	memcpy(seen, frame, IMP_TRACE_HEADER_SEEN);
	return true;
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

/* ---- does the run still go on, above us? --------------------------------------------------------- */

struct process_stat {
	pid_t parent;
	uint64_t start_ns; /* CLOCK_BOOTTIME */
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
bool imp_trace_run_goes_on(const struct imp_trace_header *h)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), boot_ns = clock_ns(CLOCK_BOOTTIME);
	const uint64_t slack_ns = 20000000; /* two clock ticks */
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
