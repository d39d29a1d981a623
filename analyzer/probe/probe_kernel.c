/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_kernel.h"

#include "probe_event.h"
#include "probe_links.h"
#include "probe_types.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if IMP_HAVE_BPF

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "imptrace.skel.h"

#define RING_SIZE      (8u << 20)
#define CAP_PERFMON_NR 38
#define CAP_BPF_NR     39
#define INIT_PID_NS    0xEFFFFFFCu /* PROC_PID_INIT_INO */

struct imp_probe_kernel {
	struct imptrace_bpf *skel;
	struct ring_buffer *ring;
	int bell; /* eventfd: imp_probe_kernel_wake() */
	struct imp_probe_links links;
	imp_probe_handler *handle;
	void *context;
	uint64_t unread; /* events that were none */
};

/* libbpf's own words, when something fails: the last one that says why. */
static char last_words[192];

static int keep_words(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN)
		vsnprintf(last_words, sizeof(last_words), format, args);
	return 0;
}

static bool has_capability(unsigned int number)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &head, data) < 0)
		return geteuid() == 0;
	return data[number / 32].effective >> (number % 32) & 1;
}

bool imp_probe_missing(char *why, size_t size)
{
	char link[64];
	ssize_t len;

	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0) {
		snprintf(why, size,
			 "the kernel does not describe its types (no /sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF)");
		return true;
	}
	if (!has_capability(CAP_SYS_ADMIN) &&
	    !(has_capability(CAP_BPF_NR) && has_capability(CAP_PERFMON_NR))) {
		snprintf(why, size,
			 "it takes root, or the capabilities CAP_BPF and CAP_PERFMON: start it with sudo");
		return true;
	}
	len = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);
	if (len > 0) {
		link[len] = '\0';
		if (strncmp(link, "pid:[", 5) == 0 && strtoul(link + 5, NULL, 10) != INIT_PID_NS) {
			snprintf(why, size,
				 "imptrace runs in a pid namespace of its own (a container), and the kernel counts processes from outside: start it on the host");
			return true;
		}
	}
	return false;
}

static int handle_record(void *context, void *data, size_t size)
{
	struct imp_probe_kernel *k = context;
	const struct imp_bpf_event *e = data;

	if (imp_probe_event_good(data, size))
		k->handle(k->context, e);
	else
		k->unread++;
	return 0;
}

static int attach_tracepoints(struct imp_probe_kernel *k)
{
	struct bpf_program *const programs[] = {k->skel->progs.on_fork, k->skel->progs.on_exec,
						k->skel->progs.on_exit, k->skel->progs.on_sys_exit};
	int ret = 0;

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]) && ret == 0; i++)
		ret = imp_probe_links_add(&k->links, bpf_program__attach(programs[i]));
	return ret;
}

/* @types: a file that gets the kernel's types that are asked for; negative: libbpf looks through all of them. */
static int load_with(struct imp_probe_kernel *k, const struct imp_probe_wishes *wishes, int types)
{
	char path[64];
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = types < 0 ? NULL : path);
	struct bpf_program *program;
	size_t size = 4096;
	int ret;

	while (size < (wishes->ring_size ? wishes->ring_size : RING_SIZE))
		size *= 2;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", types);
	k->skel = imptrace_bpf__open_opts(&opts);
	if (!k->skel)
		return -errno;
	k->skel->rodata->all_opens = wishes->all_opens;
	k->skel->rodata->files_only = wishes->files_only;
	k->skel->rodata->wake_size = size / 8;
	k->links.multi = imp_probe_links_multi();
	k->skel->rodata->has_cookies = k->links.multi;
	bpf_object__for_each_program(program, k->skel->obj)
	{
		if (k->links.multi && bpf_program__type(program) == BPF_PROG_TYPE_KPROBE)
			bpf_program__set_expected_attach_type(program, (enum bpf_attach_type)48);
	}
	bpf_map__set_max_entries(k->skel->maps.ring, (uint32_t)size);
	ret = types < 0 ? 0 : imp_probe_types_write(bpf_object__btf(k->skel->obj), types);
	return ret < 0 ? ret : imptrace_bpf__load(k->skel);
}

static int load(struct imp_probe_kernel *k, const struct imp_probe_wishes *wishes)
{
	int types = memfd_create("types", MFD_CLOEXEC), ret = -1;

	if (types >= 0) {
		ret = load_with(k, wishes, types);
		close(types);
	}
	if (ret == 0)
		return 0;
	imptrace_bpf__destroy(k->skel);
	k->skel = NULL;
	return load_with(k, wishes, -1); /* the long way */
}

int imp_probe_kernel_open(struct imp_probe_kernel **out, const struct imp_probe_wishes *wishes,
			  imp_probe_handler *handle, void *context, struct imp_error *err)
{
	struct imp_probe_kernel *k = calloc(1, sizeof(*k));
	char why[200];
	int ret;

	*out = NULL;
	if (!k)
		return imp_error_set(err, -ENOMEM, "there is no memory");
	if (imp_probe_missing(why, sizeof(why))) {
		free(k);
		return imp_error_set(err, -EPERM, "what the kernel sees cannot be recorded: %s",
				     why);
	}
	libbpf_set_print(keep_words);
	last_words[0] = '\0';
	k->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k->handle = handle;
	k->context = context;
	ret = load(k, wishes);
	if (ret == 0)
		ret = attach_tracepoints(k);
	if (ret == 0) {
		k->ring = ring_buffer__new(bpf_map__fd(k->skel->maps.ring), handle_record, k, NULL);
		ret = k->ring ? 0 : -errno;
	}
	if (ret < 0) {
		last_words[strcspn(last_words, "\n")] = '\0';
		imp_error_set(err, ret, "what the kernel sees cannot be recorded: %s%s%s",
			      strerror(-ret), *last_words ? ": " : "", last_words);
		imp_probe_kernel_close(k);
		return ret;
	}
	*out = k;
	return 0;
}

void imp_probe_kernel_detach(struct imp_probe_kernel *k)
{
	imp_probe_links_clear(&k->links);
}

void imp_probe_kernel_leave(struct imp_probe_kernel *k)
{
	imp_probe_links_leave(&k->links);
}

/* In sight of LeakSanitizer. */
static struct imp_probe_kernel *left_behind __attribute__((used));

void imp_probe_kernel_close(struct imp_probe_kernel *k)
{
	if (!k)
		return;
	if (k->links.left) {
		left_behind = k; /* to destroy a link is to wait; they go with this process */
		return;
	}
	imp_probe_kernel_detach(k);
	ring_buffer__free(k->ring);
	if (k->bell >= 0)
		close(k->bell);
	imptrace_bpf__destroy(k->skel);
	free(k);
}

int imp_probe_kernel_trace(struct imp_probe_kernel *k, pid_t pid)
{
	const struct { /* struct process of imptrace.bpf.c */
		uint32_t inside, lost;
	} fresh = {0, 0};
	uint32_t key = (uint32_t)pid;

	return bpf_map__update_elem(k->skel->maps.traced, &key, sizeof(key), &fresh, sizeof(fresh),
				    BPF_ANY);
}

struct point_programs {
	struct bpf_program *enter, *leave;
};

static struct point_programs programs_of(struct imp_probe_kernel *k, enum imp_probe_point point,
					 const struct imp_probe_target *t)
{
	struct point_programs p = {NULL, NULL};

	switch (point) {
	case IMP_PROBE_DLOPEN:
		p.enter = k->skel->progs.enter_dlopen_2;
		p.leave = k->skel->progs.leave_dlopen;
		break;
	case IMP_PROBE_DLMOPEN:
		p.enter = k->skel->progs.enter_dlmopen;
		p.leave = k->skel->progs.leave_dlopen;
		break;
	case IMP_PROBE_DLSYM:
		p.enter = k->skel->progs.enter_dlsym;
		p.leave = k->skel->progs.leave_dlsym;
		break;
	case IMP_PROBE_DLERROR: p.leave = k->skel->progs.leave_dlerror; break;
	case IMP_PROBE_EXTENSION: p.leave = k->skel->progs.leave_extension; break;
	case IMP_PROBE_DISPLAY:
		if (t->layout == IMP_LAYOUT_WSTR)
			p.enter = k->skel->progs.uncaught_wstr;
		else if (t->layout == IMP_LAYOUT_PLAIN)
			p.enter = k->skel->progs.uncaught_plain;
		else if (t->layout == IMP_LAYOUT_FREE)
			p.enter = k->skel->progs.uncaught_free;
		break;
	case IMP_PROBE_POINTS: break;
	}
	return p;
}

static int attach_point(struct imp_probe_kernel *k, const char *path,
			const struct imp_probe_target *target, enum imp_probe_point point)
{
	struct point_programs p = programs_of(k, point, target);
	struct imp_probe_place returns[IMP_PROBE_RETURNS_MAX] = {{0}},
			       enter = {.offset = target->offset[point]};
	size_t n = target->n_returns[point];
	int ret = 0;

	/* What is told to begin, and never to end, would be taken for a crash. */
	if (!enter.offset || (p.leave && !n))
		return 0;
	for (size_t i = 0; i < n; i++) {
		const struct imp_probe_return *back = &target->returns[point][i];

		if (k->links.multi)
			returns[i] = (struct imp_probe_place){back->early, back->result};
		else
			returns[i].offset = back->offset;
	}
	/* The way back first: a call that is told to begin must be told to end. */
	if (p.leave)
		ret = imp_probe_links_attach(&k->links, p.leave, path, returns, n);
	if (ret == 0 && p.enter)
		ret = imp_probe_links_attach(&k->links, p.enter, path, &enter, 1);
	return ret;
}

static const struct bpf_program *import_program(struct imp_probe_kernel *k,
						const struct imp_probe_target *t)
{
	if (t->layout == IMP_LAYOUT_PLAIN)
		return k->skel->progs.enter_import_plain;
	if (t->layout == IMP_LAYOUT_FREE)
		return k->skel->progs.enter_import_free;
	if (t->layout != IMP_LAYOUT_WSTR)
		return NULL;
	switch (t->method) {
	case IMP_METHOD_LINKED: return k->skel->progs.enter_import_linked;
	case IMP_METHOD_IDENTIFIER: return k->skel->progs.enter_import_identifier;
	case IMP_METHOD_STR: break;
	}
	return k->skel->progs.enter_import_wstr;
}

static int attach_imports(struct imp_probe_kernel *k, const char *path,
			  const struct imp_probe_target *t)
{
	const struct bpf_program *enter = import_program(k, t);
	struct imp_probe_place calls[IMP_PROBE_CALLS_MAX] = {{0}}, next[IMP_PROBE_CALLS_MAX] = {{0}};
	int ret;

	if (!enter || !t->n_imports)
		return 0;
	for (size_t i = 0; i < t->n_imports; i++) {
		calls[i].offset = t->imports[i].call;
		next[i].offset = t->imports[i].next;
	}
	ret = imp_probe_links_attach(&k->links, k->skel->progs.leave_import, path, next,
				     t->n_imports);
	return ret < 0 ? ret : imp_probe_links_attach(&k->links, enter, path, calls, t->n_imports);
}

int imp_probe_kernel_attach(struct imp_probe_kernel *k, const char *path,
			    const struct imp_probe_target *target, struct imp_error *err)
{
	size_t before = k->links.n + k->links.n_fds;
	int ret = 0;

	for (int point = 0; point < IMP_PROBE_POINTS && ret == 0; point++)
		ret = attach_point(k, path, target, (enum imp_probe_point)point);
	if (ret == 0)
		ret = attach_imports(k, path, target);
	if (ret < 0)
		return imp_error_set(err, ret, "%s: no probe can be put there: %s", path,
				     strerror(-ret));
	return (int)(k->links.n + k->links.n_fds - before);
}

int imp_probe_kernel_poll(struct imp_probe_kernel *k, int timeout_ms)
{
	struct pollfd fds[] = {{.fd = ring_buffer__epoll_fd(k->ring), .events = POLLIN},
			       {.fd = k->bell, .events = POLLIN}};
	int ret = ring_buffer__consume(k->ring);

	if (ret || poll(fds, sizeof(fds) / sizeof(fds[0]), timeout_ms) <= 0)
		return ret;
	return ring_buffer__consume(k->ring);
}

void imp_probe_kernel_wake(struct imp_probe_kernel *k)
{
	const uint64_t one = 1;

	if (write(k->bell, &one, sizeof(one)) < 0)
		return; /* then it comes back at its timeout */
}

uint64_t imp_probe_kernel_lost(struct imp_probe_kernel *k, pid_t pid)
{
	uint32_t key = (uint32_t)pid;
	struct {
		uint32_t inside, lost;
	} value;

	if (!pid)
		return k->skel->bss->lost_events + k->unread;
	if (bpf_map__lookup_elem(k->skel->maps.traced, &key, sizeof(key), &value, sizeof(value),
				 0) < 0)
		return 0;
	return value.lost;
}

#else

bool imp_probe_missing(char *why, size_t size)
{
	snprintf(why, size, "this imptrace was built without it (%s)", IMP_BPF_WHY);
	return true;
}

int imp_probe_kernel_open(struct imp_probe_kernel **k, const struct imp_probe_wishes *wishes,
			  imp_probe_handler *handle, void *context, struct imp_error *err)
{
	(void)wishes, (void)handle, (void)context;
	*k = NULL;
	return imp_error_set(
		err, -ENOSYS,
		"what the kernel sees cannot be recorded: this imptrace was built without it (%s)",
		IMP_BPF_WHY);
}

/* Never reached: there is no struct imp_probe_kernel to give to them. */
void imp_probe_kernel_close(struct imp_probe_kernel *k)
{
	(void)k;
}

int imp_probe_kernel_trace(struct imp_probe_kernel *k, pid_t pid)
{
	(void)k, (void)pid;
	return -ENOSYS;
}

int imp_probe_kernel_attach(struct imp_probe_kernel *k, const char *path,
			    const struct imp_probe_target *target, struct imp_error *err)
{
	(void)k, (void)path, (void)target, (void)err;
	return -ENOSYS;
}

void imp_probe_kernel_detach(struct imp_probe_kernel *k)
{
	(void)k;
}

void imp_probe_kernel_leave(struct imp_probe_kernel *k)
{
	(void)k;
}

int imp_probe_kernel_poll(struct imp_probe_kernel *k, int timeout_ms)
{
	(void)k, (void)timeout_ms;
	return -ENOSYS;
}

void imp_probe_kernel_wake(struct imp_probe_kernel *k)
{
	(void)k;
}

uint64_t imp_probe_kernel_lost(struct imp_probe_kernel *k, pid_t pid)
{
	(void)k, (void)pid;
	return 0;
}

#endif
