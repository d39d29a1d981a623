/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __x86_64__
#define OUR_MACHINE EM_X86_64
#define HAVE_INJECT 1
#elif defined __aarch64__
#define OUR_MACHINE EM_AARCH64
#define HAVE_INJECT 0
#else
#define OUR_MACHINE EM_NONE
#define HAVE_INJECT 0
#endif

#define STATUS_SIZE 8192
#define CAP_PTRACE  19 /* CAP_SYS_PTRACE, capability.h */
#define CAP_ADMIN   21
#define PF_KTHREAD  0x00200000
#define RUN_INSTEAD "start it with imptrace run instead"

ssize_t imp_proc_read(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[64];
	size_t len = 0;
	ssize_t n;
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len + 1 < size && (n = read(fd, buf + len, size - 1 - len)) != 0) {
		if (n > 0) {
			len += (size_t)n;
		} else if (errno != EINTR) {
			ret = -errno;
			break;
		}
	}
	close(fd);
	buf[len] = '\0';
	return ret < 0 ? ret : (ssize_t)len;
}

const char *imp_status_field(const char *text, const char *name)
{
	const size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " \t");
	}
	return NULL;
}

static unsigned long field(const char *status, const char *name, int base)
{
	const char *value = imp_status_field(status, name);

	return value ? strtoul(value, NULL, base) : 0;
}

/* The name of a process, for messages about another one. */
static void name_of(pid_t pid, char *name, size_t size)
{
	char link[40], path[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	n = readlink(link, path, sizeof(path) - 1);
	if (n > 0) {
		path[n] = '\0';
		base = strrchr(path, '/');
		base = base ? base + 1 : path;
		snprintf(name, size, "%.*s", (int)strcspn(base, " "), base);
		return;
	}
	n = imp_proc_read(pid, "comm", name, size);
	if (n < 0)
		snprintf(name, size, "?");
	name[strcspn(name, "\n")] = '\0';
}

/* ---- who may trace whom ------------------------------------------------------------------------------- */

static bool has_capability(unsigned int number)
{
	char status[STATUS_SIZE];

	return imp_proc_read(getpid(), "status", status, sizeof(status)) > 0 &&
	       field(status, "CapEff", 16) >> number & 1;
}

static ssize_t namespace_of(const char *pid, const char *which, char *buf, size_t size)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, which);
	n = readlink(path, buf, size - 1);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

static int yama_scope(void)
{
	char text[16];
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return atoi(text);
}

/* Source: ptrace(2), "Ptrace access mode checking"; Documentation/admin-guide/LSM/Yama.rst. */
int imp_target_why_refused(pid_t pid, struct imp_error *err)
{
	char status[STATUS_SIZE], theirs[64], ours[64], number[16];
	const bool may_all = has_capability(CAP_PTRACE);
	unsigned long uid;
	const int scope = yama_scope();

	if (imp_proc_read(pid, "status", status, sizeof(status)) <= 0)
		return imp_error_set(err, -ESRCH, "there is no process %d any more", (int)pid);
	uid = field(status, "Uid", 10);
	snprintf(number, sizeof(number), "%d", (int)pid);
	if (scope == 3)
		return imp_error_set(
			err, -EPERM,
			"this system lets nobody trace a process (kernel.yama.ptrace_scope is 3, "
			"until it is booted anew): " RUN_INSTEAD);
	if (!may_all && uid != geteuid())
		return imp_error_set(
			err, -EPERM,
			"process %d belongs to another user (uid %lu): run imptrace as that user or as root",
			(int)pid, uid);
	if (!may_all && scope > 0)
		return imp_error_set(
			err, -EPERM,
			"this system lets only root trace a process that is already running "
			"(kernel.yama.ptrace_scope is %d): run imptrace attach with sudo, or set that to 0",
			scope);
	if (namespace_of("self", "user", ours, sizeof(ours)) > 0 &&
	    namespace_of(number, "user", theirs, sizeof(theirs)) > 0 && strcmp(ours, theirs) != 0)
		return imp_error_set(
			err, -EPERM,
			"process %d is in another user namespace, and nothing here may trace it: run imptrace "
			"attach as root of the host",
			(int)pid);
	if (!may_all && geteuid() == 0)
		return imp_error_set(
			err, -EPERM,
			"this container may not trace processes: give it the capability SYS_PTRACE (docker run "
			"--cap-add SYS_PTRACE), or run imptrace attach on the host");
	if (!may_all)
		return imp_error_set(
			err, -EPERM,
			"process %d protects itself from being traced (it gained rights, or said so with "
			"PR_SET_DUMPABLE): run imptrace attach as root",
			(int)pid);
	return imp_error_set(
		err, -EPERM,
		"the kernel does not let us trace process %d, though we have CAP_SYS_PTRACE: a security "
		"module (SELinux, AppArmor) forbids it, or it has capabilities that we lack",
		(int)pid);
}

/* ---- the checks, in the order in which their answers help most ------------------------------------------ */

static int check_state(struct imp_target *t, const char *status, struct imp_error *err)
{
	const char *state = imp_status_field(status, "State");
	const pid_t group = (pid_t)field(status, "Tgid", 10);
	const pid_t tracer = (pid_t)field(status, "TracerPid", 10);
	char stat[1024], name[64], *at;
	unsigned long flags = 0;

	if (group != t->pid)
		return imp_error_set(err, -EINVAL,
				     "%d is a thread of process %d: imptrace attach %d",
				     (int)t->pid, (int)group, (int)group);
	if (state && (*state == 'Z' || *state == 'X'))
		return imp_error_set(
			err, -ESRCH,
			"process %d has ended already: it is a zombie that its parent (process %lu) has not "
			"waited for",
			(int)t->pid, field(status, "PPid", 10));
	/* proc(5), stat: the flags are the seventh field behind the name in parentheses. */
	if (imp_proc_read(t->pid, "stat", stat, sizeof(stat)) > 0 && (at = strrchr(stat, ')'))) {
		for (int i = 0; at && i < 7; i++)
			at = strchr(at + 1, ' ');
		flags = at ? strtoul(at + 1, NULL, 10) : 0;
	}
	if (flags & PF_KTHREAD)
		return imp_error_set(
			err, -EINVAL,
			"process %d (%s) is a thread of the kernel: it loads no modules of a program",
			(int)t->pid, t->name);
	if (tracer) {
		name_of(tracer, name, sizeof(name));
		return imp_error_set(
			err, -EBUSY,
			"process %d is traced already, by process %d (%s), and there can be one tracer only: "
			"let that one detach first",
			(int)t->pid, (int)tracer, name);
	}
	if (state && (*state == 'T' || *state == 't'))
		return imp_error_set(
			err, -EBUSY,
			"process %d is stopped, so nothing can run in it: let it go on first (kill -CONT %d)",
			(int)t->pid, (int)t->pid);
	return 0;
}

static int check_machine(struct imp_target *t, struct imp_error *err)
{
	unsigned char head[20] = {0};
	char path[40];
	uint16_t machine;
	ssize_t n;
	int fd;

	/* Not through its name: this works in another mount namespace, and after an upgrade took the file away. */
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)t->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);
	if (fd >= 0)
		close(fd);
	if (n != (ssize_t)sizeof(head)) /* a file that we may not read: its mappings tell later */
		return 0;
	memcpy(&machine, head + 18, sizeof(machine));
	if (head[EI_CLASS] == ELFCLASS32)
		return imp_error_set(
			err, -ENOEXEC,
			"process %d (%s) is a 32-bit program, and imptrace records 64-bit ones only",
			(int)t->pid, t->name);
	if (machine != OUR_MACHINE)
		return imp_error_set(
			err, -ENOEXEC,
			"process %d (%s) is built for another processor than imptrace (ELF machine %u)",
			(int)t->pid, t->name, machine);
	if (!HAVE_INJECT)
		return imp_error_set(
			err, -ENOSYS,
			"on this processor imptrace cannot enter a running process yet: " RUN_INSTEAD);
	return 0;
}

/* libc.so.6 or, of glibc before 2.34, perhaps libc-2.31.so, which the soname is a link to. */
static bool is_named(const struct imp_mapped_object *o, const char *prefix, const char *soname)
{
	return o->exec &&
	       (strcmp(o->name, soname) == 0 ||
		(strncmp(o->name, prefix, strlen(prefix)) == 0 && strstr(o->name, ".so")));
}

static int find_libc(struct imp_target *t, struct imp_error *err)
{
	const struct imp_mapped_object *loader = NULL;

	t->libc = t->libdl = NULL;
	for (size_t i = 0; i < t->maps.objects.n; i++) {
		const struct imp_mapped_object *o = &t->maps.objects.v[i];

		if (is_named(o, "libc-2.", "libc.so.6"))
			t->libc = o;
		else if (is_named(o, "libdl-2.", "libdl.so.2"))
			t->libdl = o;
		else if (o->exec && (strncmp(o->name, "ld-linux", 8) == 0 ||
				     strncmp(o->name, "ld-2.", 5) == 0))
			loader = o;
		else if (o->exec && (strncmp(o->name, "ld-musl-", 8) == 0 ||
				     strncmp(o->name, "libc.musl-", 10) == 0))
			return imp_error_set(
				err, -ENOTSUP,
				"process %d (%s) runs with the musl C library (%s), and what imptrace would put "
				"into it needs glibc",
				(int)t->pid, t->name, o->path);
		else if (o->exec && (strcmp(o->name, "linker64") == 0 ||
				     strncmp(o->name, "ld64-uClibc", 11) == 0))
			return imp_error_set(
				err, -ENOTSUP,
				"process %d (%s) runs with another C library than glibc (%s)",
				(int)t->pid, t->name, o->path);
	}
	if (t->libc)
		return 0;
	if (loader)
		return imp_error_set(
			err, -ENOTSUP,
			"process %d (%s) has no libc.so.6 loaded: it uses the dynamic loader without glibc, or is "
			"just starting",
			(int)t->pid, t->name);
	return imp_error_set(
		err, -ENOTSUP,
		"process %d (%s) is statically linked: it has no dynamic loader that could load anything",
		(int)t->pid, t->name);
}

static int check_recorded(const struct imp_target *t, struct imp_error *err)
{
	for (size_t i = 0; i < t->maps.objects.n; i++) {
		const struct imp_mapped_object *o = &t->maps.objects.v[i];

		if (strcmp(o->name, "libimptrace.so") == 0)
			return imp_error_set(
				err, -EALREADY,
				"process %d (%s) has been recorded since its start (%s is loaded): see the trace of "
				"that run with imptrace analyze",
				(int)t->pid, t->name, o->path);
	}
	return 0;
}

/* seccomp(2): a filter sees the system calls that we have the process make. */
static int check_seccomp(struct imp_target *t, const char *status, struct imp_error *err)
{
	const unsigned long mode = field(status, "Seccomp", 10);

	if (mode == 1)
		return imp_error_set(
			err, -EPERM,
			"process %d (%s) is in seccomp's strict mode: the kernel would kill it for the first "
			"system call of ours",
			(int)t->pid, t->name);
	t->seccomp = mode == 2;
	if (t->seccomp && !has_capability(CAP_ADMIN))
		return imp_error_set(
			err, -EPERM,
			"process %d (%s) runs under a seccomp filter, which only root may suspend: run imptrace "
			"attach as root",
			(int)t->pid, t->name);
	return 0;
}

int imp_target_read_maps(struct imp_target *t, struct imp_error *err)
{
	int ret = imp_maps_read(&t->maps, t->pid, err);

	return ret < 0 ? ret : find_libc(t, err);
}

static int no_process(pid_t pid, struct imp_error *err)
{
	/* /proc may hide the processes of others (hidepid, proc(5)). */
	if (kill(pid, 0) < 0 && errno == ESRCH)
		return imp_error_set(err, -ESRCH, "there is no process %d", (int)pid);
	if (access("/proc/self/status", R_OK) < 0)
		return imp_error_set(err, -ENOENT,
				     "/proc is not mounted here, and imptrace attach needs it");
	return imp_error_set(
		err, -EPERM,
		"process %d is hidden from us in /proc, so it is another user's: run imptrace attach as root",
		(int)pid);
}

int imp_target_open(struct imp_target *t, pid_t pid, struct imp_error *err)
{
	char status[STATUS_SIZE];
	const char *own;
	int ret;

	t->pid = t->own_pid = pid;
	if (pid == getpid())
		return imp_error_set(err, -EINVAL, "%d is imptrace itself", (int)pid);
#if defined SYS_pidfd_open
	t->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
#endif
	if (imp_proc_read(pid, "status", status, sizeof(status)) <= 0)
		return no_process(pid, err);
	name_of(pid, t->name, sizeof(t->name));
	/* One number for each pid namespace, the innermost last. Before Linux 4.1: none. */
	own = imp_status_field(status, "NSpid");
	for (size_t n; own && (n = strspn(own, "0123456789")); own += strspn(own, " \t")) {
		t->own_pid = (pid_t)atoi(own);
		own += n;
	}
	ret = check_state(t, status, err);
	if (ret == 0)
		ret = imp_memory_open(&t->mem, pid) < 0 ? imp_target_why_refused(pid, err) : 0;
	if (ret == 0)
		ret = check_machine(t, err);
	if (ret == 0)
		ret = imp_target_read_maps(t, err);
	if (ret == 0)
		ret = check_recorded(t, err);
	return ret < 0 ? ret : check_seccomp(t, status, err);
}

bool imp_target_gone(const struct imp_target *t)
{
	struct pollfd fd = {.fd = t->pidfd, .events = POLLIN};
	char status[STATUS_SIZE];
	const char *state;

	if (t->pidfd >= 0)
		return poll(&fd, 1, 0) == 1;
	if (imp_proc_read(t->pid, "status", status, sizeof(status)) <= 0)
		return true;
	state = imp_status_field(status, "State");
	return state && (*state == 'Z' || *state == 'X');
}

void imp_target_clear(struct imp_target *t)
{
	imp_memory_close(&t->mem);
	if (t->pidfd >= 0)
		close(t->pidfd);
	t->pidfd = -1;
	imp_maps_clear(&t->maps);
	t->libc = t->libdl = NULL;
}
