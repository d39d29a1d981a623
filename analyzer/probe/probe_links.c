/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_links.h"

#if IMP_HAVE_BPF

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- uprobe_multi -------------------------------------------------------------------------------- */

/* The part of union bpf_attr that BPF_LINK_CREATE takes for it; Debian 12's <linux/bpf.h> is older. */
struct multi_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, semaphores, cookies; /* user addresses */
	uint32_t count, multi_flags, pid;
};

static int create_multi(int program, const char *path, const uint64_t *offsets,
			const uint64_t *cookies, size_t n)
{
	struct multi_attr attr = {
		.prog_fd = (uint32_t)program,
		.attach_type = 48, /* BPF_TRACE_UPROBE_MULTI */
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)offsets,
		.cookies = (uintptr_t)cookies,
		.count = (uint32_t)n,
	};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}

bool imp_probe_links_multi(void)
{
	/* r0 = 0; exit */
	const struct bpf_insn body[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K},
					{.code = BPF_JMP | BPF_EXIT}};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = 48);
	const uint64_t offset = 0;
	int program = bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", body, 2, &opts), fd;

	if (program < 0)
		return false;
	/* A directory is no file to put probes into: the kernel that knows what is asked of it says so. */
	fd = create_multi(program, "/", &offset, NULL, 1);
	close(program);
	if (fd >= 0)
		close(fd);
	return fd == -EBADF;
}

static int attach_multi(struct imp_probe_links *links, int program, const char *path,
			const struct imp_probe_place *places, size_t n)
{
	uint64_t offsets[IMP_PROBE_PLACES_MAX], cookies[IMP_PROBE_PLACES_MAX];
	int fd;

	if (links->n_fds == IMP_PROBE_LINKS_MAX)
		return -ENOSPC;
	for (size_t i = 0; i < n; i++) {
		offsets[i] = places[i].offset;
		cookies[i] = places[i].cookie;
	}
	fd = create_multi(program, path, offsets, cookies, n);
	if (fd < 0)
		return fd;
	links->fds[links->n_fds++] = fd;
	return 0;
}

/* ---- all ----------------------------------------------------------------------------------------- */

int imp_probe_links_add(struct imp_probe_links *links, struct bpf_link *link)
{
	if (!link)
		return errno ? -errno : -EINVAL;
	if (links->n == IMP_PROBE_LINKS_MAX) {
		bpf_link__destroy(link);
		return -ENOSPC;
	}
	links->v[links->n++] = link;
	return 0;
}

int imp_probe_links_attach(struct imp_probe_links *links, const struct bpf_program *program,
			   const char *path, const struct imp_probe_place *places, size_t n)
{
	int ret = 0;

	if (n > IMP_PROBE_PLACES_MAX)
		return -E2BIG;
	if (links->multi)
		return n ? attach_multi(links, bpf_program__fd(program), path, places, n) : 0;
	for (size_t i = 0; i < n && ret == 0; i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = places[i].cookie);

		ret = imp_probe_links_add(links,
					  bpf_program__attach_uprobe_opts(program, -1, path,
									  places[i].offset, &opts));
	}
	return ret;
}

static void *destroy_link(void *link)
{
	bpf_link__destroy(link);
	return NULL;
}

static void *close_fd(void *fd)
{
	close((int)(intptr_t)fd);
	return NULL;
}

/* Where the kernel waits for a grace period in each, all at once they wait for the same one. */
void imp_probe_links_clear(struct imp_probe_links *links)
{
	pthread_t threads[2 * IMP_PROBE_LINKS_MAX];
	size_t n = 0;

	while (links->n_fds) {
		void *fd = (void *)(intptr_t)links->fds[--links->n_fds];

		if (pthread_create(&threads[n], NULL, close_fd, fd) == 0)
			n++;
		else
			close_fd(fd);
	}
	while (links->n) {
		struct bpf_link *link = links->v[--links->n];

		if (pthread_create(&threads[n], NULL, destroy_link, link) == 0)
			n++;
		else
			bpf_link__destroy(link);
	}
	while (n)
		pthread_join(threads[--n], NULL);
}

/* Whoever waits for the end of our output, or of any pipe that we were given, must not wait for us. */
static void close_foreign(void)
{
	DIR *dir = opendir("/proc/self/fd");
	char path[32 + NAME_MAX], target[64];
	const struct dirent *entry;
	ssize_t len;
	int fd;

	while (dir && (entry = readdir(dir))) {
		fd = atoi(entry->d_name);
		if (entry->d_name[0] == '.' || fd == dirfd(dir))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		len = readlink(path, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = '\0';
		if (strncmp(target, "anon_inode:", 11) != 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
	else
		for (fd = 0; fd < 3; fd++)
			close(fd);
}

void imp_probe_links_leave(struct imp_probe_links *links)
{
	pid_t pid = fork();

	if (pid < 0)
		return;
	if (pid == 0) {
		close_foreign();
		setsid();
		if (chdir("/") == 0)
			imp_probe_links_clear(links);
		_exit(0);
	}
	links->left = true;
}

#else
typedef int imp_probe_links_unused; /* built without probes: ISO C wants a declaration */
#endif
