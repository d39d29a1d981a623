/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the trace goes: the path that was asked for, and the run's variable. */
#include "output.h"

#include <stdio.h>
#include <string.h>

#include "raw_syscall.h"

#include "poison.h"

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

	out->area = NULL;
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

const char *imp_output_name(struct imp_output *out)
{
	return expand(out, out->scratch, sizeof(out->scratch), "");
}

const char *imp_output_old_name(struct imp_output *out)
{
	return expand(out, out->old, sizeof(out->old), IMP_OUTPUT_OLD);
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
	out->area = NULL;
	out->per_process = strstr(out->path, "%p") != NULL; /* "%%p" can't be told: no harm */
	out->root_pid = (pid_t)pid;
	out->known = false;
	out->moved = false;
	memset(out->head, 0, sizeof(out->head));
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
