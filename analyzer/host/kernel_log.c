/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel_log.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>

#define READ_ALL    3 /* SYSLOG_ACTION_READ_ALL, SYSLOG_ACTION_SIZE_BUFFER: see syslog(2) */
#define SIZE_BUFFER 10
#define LOG_MAX	    (64U << 20)
#define INIT_PID_NS \
	4026531836U	/* PROC_PID_INIT_INO: the numbers in the log are of this namespace */
#define NAME_MAX_LEN 15 /* TASK_COMM_LEN - 1 */

static const struct {
	const char *text;
	int signal;
} deaths[] = {
	{" trap invalid opcode ", SIGILL},
	{" segfault at ", SIGSEGV},
	{" general protection fault ", SIGSEGV},
	{" trap divide error ", SIGFPE},
	{" trap int3 ", SIGTRAP},
};

/* "<4>[   12.345678] text": where the text begins, NULL without a time. Some kernels say after it who wrote: "[   12.345678][  T123] ". */
static const char *after_time(const char *line, uint64_t *ns)
{
	unsigned long long seconds, micros;
	char *end;

	if (*line == '<')
		line += strspn(line, "<0123456789>");
	if (*line++ != '[')
		return NULL;
	line += strspn(line, " ");
	if (!isdigit((unsigned char)*line))
		return NULL;
	seconds = strtoull(line, &end, 10);
	if (end[0] != '.' || !isdigit((unsigned char)end[1]))
		return NULL;
	micros = strtoull(end + 1, &end, 10);
	if (*end++ != ']' || seconds > UINT64_MAX / 1000000000U - 1 || micros > 999999)
		return NULL;
	*ns = seconds * 1000000000U + micros * 1000;
	if (*end == '[') {
		end += strcspn(end, "]\n");
		end += *end == ']';
	}
	return *end == ' ' ? end + 1 : NULL;
}

/* "comm[pid]": what follows it in the line, or NULL */
static const char *after_name(const char *text, pid_t tid, const char *comm)
{
	size_t len = strcspn(text, "\n");
	char number[32];
	const char *at;

	if (!strncmp(text, "traps: ", 7)) {
		text += 7;
		len -= 7;
	}
	snprintf(number, sizeof(number), "[%d]", (int)tid);
	at = memmem(text, len, number, strlen(number));
	if (!at)
		return NULL;
	if (comm && ((size_t)(at - text) != strnlen(comm, NAME_MAX_LEN) ||
		     strncmp(text, comm, (size_t)(at - text))))
		return NULL;
	at += strlen(number);
	return at + (*at == ':');
}

int imp_kernel_death_parse(struct imp_arena *a, const char *log, pid_t tid, const char *comm,
			   uint64_t after_ns, struct imp_kernel_death *out)
{
	/* The log's clock is not disciplined, as CLOCK_MONOTONIC is: they drift apart over the days. */
	uint64_t slack_ns = 5 * 1000000000ULL + after_ns / 5000;

	for (const char *line = log, *next; line && *line; line = next) {
		const char *text, *rest;
		uint64_t ns;

		next = strchr(line, '\n');
		next = next ? next + 1 : NULL;
		text = after_time(line, &ns);
		if (!text || ns + slack_ns < after_ns)
			continue;
		rest = after_name(text, tid, comm);
		for (size_t i = 0; rest && i < sizeof(deaths) / sizeof(deaths[0]); i++)
			if (!strncmp(rest, deaths[i].text, strlen(deaths[i].text))) {
				out->signal = deaths[i].signal;
				out->line = imp_arena_strndup(a, text, strcspn(text, "\n"));
				return 0;
			}
	}
	return -ENOENT;
}

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

int imp_kernel_death_find(const struct imp_host *h, struct imp_arena *a,
			  const struct imp_image *image, pid_t tid, uint64_t after_ns,
			  struct imp_kernel_death *out)
{
	/* The kernel names a process after the file that was executed: a link's name, or that of a script with "#!". */
	const char *const names[] = {base_name(image->argv.n ? image->argv.v[0] : NULL),
				     base_name(image->exe),
				     base_name(image->argv.n > 1 ? image->argv.v[1] : NULL)};
	int size, n, ret = -ENOENT;
	struct stat ns;
	char *log;

	if (!h->enabled || !imp_host_same_boot(image) || stat("/proc/self/ns/pid", &ns) < 0 ||
	    ns.st_ino != INIT_PID_NS)
		return -ENODATA;
	size = klogctl(SIZE_BUFFER, NULL, 0);
	if (size <= 0 || (unsigned int)size > LOG_MAX)
		return -ENODATA;
	log = malloc((size_t)size + 1);
	if (!log)
		return -ENODATA;
	n = klogctl(READ_ALL, log, size);
	if (n < 0) {
		free(log);
		return -ENODATA;
	}
	log[n] = '\0';
	if (tid != image->pid) /* a thread may have been given any name */
		ret = imp_kernel_death_parse(a, log, tid, NULL, after_ns, out);
	else
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && ret; i++)
			if (names[i])
				ret = imp_kernel_death_parse(a, log, tid, names[i], after_ns, out);
	free(log);
	return ret;
}
