/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_LINKS_H
#define IMP_PROBE_PROBE_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_link;
struct bpf_program;

/*
 * Programs in their places: what keeps them there, and takes them out again.
 *
 * Since Linux 6.6 one link puts a program into many places of a file (uprobe_multi). Before that each place takes a
 * perf event, and the kernel waits some 100 ms for each that is taken out, one after the other.
 */
#define IMP_PROBE_LINKS_MAX  512
#define IMP_PROBE_PLACES_MAX 64

struct imp_probe_links {
	bool multi; /* the kernel has uprobe_multi; the programs must be loaded for it */
	bool left;  /* another process takes them out */
	size_t n, n_fds;
	struct bpf_link *v[IMP_PROBE_LINKS_MAX];
	int fds[IMP_PROBE_LINKS_MAX]; /* of uprobe_multi */
};

struct imp_probe_place {
	uint64_t offset; /* in the file */
	uint64_t cookie; /* bpf_get_attach_cookie() */
};

/* imp_probe_links_multi - does this kernel have uprobe_multi? */
bool imp_probe_links_multi(void);

/* imp_probe_links_add - take a link over; NULL: errno says why there is none. 0 or a negative errno */
int imp_probe_links_add(struct imp_probe_links *links, struct bpf_link *link);

/* imp_probe_links_attach - put a program into @n places of a file, for all processes that map it */
int imp_probe_links_attach(struct imp_probe_links *links, const struct bpf_program *program,
			   const char *path, const struct imp_probe_place *places, size_t n);

/* imp_probe_links_clear - take all out, and wait until it is done */
void imp_probe_links_clear(struct imp_probe_links *links);

/*
 * imp_probe_links_leave - have them taken out by a process of its own, without waiting for it
 * That one keeps no other descriptor open. Nothing is to be done with @links then.
 */
void imp_probe_links_leave(struct imp_probe_links *links);

#endif
