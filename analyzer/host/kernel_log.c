/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel_log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>

#define READ_ALL 3		/* SYSLOG_ACTION_READ_ALL, SYSLOG_ACTION_SIZE_BUFFER: see syslog(2) */
#define SIZE_BUFFER 10
#define LOG_MAX (64U << 20)
#define INIT_PID_NS 4026531836U	/* PROC_PID_INIT_INO: the numbers in the log are of this namespace */
#define SLACK_NS (5 * 1000000000ULL)	/* the log's clock is not disciplined as CLOCK_MONOTONIC is */

static const struct {
	const char *text;
	int signal;
} deaths[] = {
	{ " trap invalid opcode ", SIGILL },
	{ " segfault at ", SIGSEGV },
	{ " general protection fault ", SIGSEGV },
	{ " trap divide error ", SIGFPE },
	{ " trap int3 ", SIGTRAP },
};

/* "comm[pid]", and what follows it */
static const char *after_name(const char *line, pid_t pid, const char *comm)
{
	char number[32];
	const char *at, *name;

	snprintf(number, sizeof(number), "[%d]", (int)pid);
	at = strstr(line, number);
	if (!at)
		return NULL;
	name = !strncmp(line, "traps: ", 7) ? line + 7 : line;
	if (comm && (strlen(comm) != (size_t)(at - name) || strncmp(name, comm, strlen(comm))))
		return NULL;
	return at + strlen(number);
}

int imp_kernel_death_parse(struct imp_arena *a, const char *log, pid_t pid, const char *comm, uint64_t after_ns,
			   struct imp_kernel_death *out)
{
	for (const char *next = log; *next;) {
		const char *line = next;
		unsigned long seconds, micros;
		const char *rest;
		char *text;
		int used = 0;

		next = strchr(line, '\n') ? strchr(line, '\n') + 1 : line + strlen(line);
		if (*line == '<')
			line += strspn(line, "<0123456789>");
		if (sscanf(line, "[%lu.%lu] %n", &seconds, &micros, &used) != 2 || !used || line + used >= next)
			continue;
		if ((uint64_t)seconds * 1000000000ULL + (uint64_t)micros * 1000 + SLACK_NS < after_ns)
			continue;
		text = imp_arena_strndup(a, line + used, strcspn(line + used, "\n"));
		rest = after_name(text, pid, comm);
		for (size_t i = 0; rest && i < sizeof(deaths) / sizeof(deaths[0]); i++)
			if (strncmp(rest + (*rest == ':'), deaths[i].text, strlen(deaths[i].text)) == 0) {
				out->signal = deaths[i].signal;
				out->line = text;
				return 0;
			}
	}
	return -ENOENT;
}

/* The name that the kernel prints: the file's, cut off. A program may have given itself another: then nothing matches. */
static void name_of(const struct imp_image *image, char comm[16])
{
	const char *file = image->argv.n ? image->argv.v[0] : image->exe;
	const char *slash = strrchr(file, '/');

	snprintf(comm, 16, "%s", slash ? slash + 1 : file);
}

int imp_kernel_death_find(const struct imp_host *h, struct imp_arena *a, const struct imp_image *image,
			  uint64_t after_ns, struct imp_kernel_death *out)
{
	struct stat ns;
	char *log, comm[16];
	int size, n, ret;

	if (!h->enabled || !image->exe || !imp_host_same_boot(image) || stat("/proc/self/ns/pid", &ns) < 0 ||
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
	name_of(image, comm);
	ret = imp_kernel_death_parse(a, log, image->pid, comm, after_ns, out);
	if (ret) {	/* started by the name of a link, or by a shell under another name: the file's own */
		const char *slash = strrchr(image->exe, '/');

		snprintf(comm, sizeof(comm), "%s", slash ? slash + 1 : image->exe);
		ret = imp_kernel_death_parse(a, log, image->pid, comm, after_ns, out);
	}
	free(log);
	return ret;
}
