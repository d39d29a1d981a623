/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_KERNEL_H
#define IMP_PROBE_PROBE_KERNEL_H

#include <stdint.h>

#include "../../bpf/bpf_event.h"
#include "probe.h"
#include "probe_target.h"

/* The probes in the kernel: loading, attaching, reading their ring buffer. The only user of libbpf. */
struct imp_probe_kernel;

typedef void imp_probe_handler(void *context, const struct imp_bpf_event *event);

struct imp_probe_wishes {
	bool all_opens;	  /* files outside of imports and dlopens too */
	bool files_only;  /* no imports, no loads: a preloaded recorder tells them */
	size_t ring_size; /* bytes; 0: the usual size */
};

/*
 * imp_probe_kernel_open - load the programs and attach what needs no file
 * @handle: called by imp_probe_kernel_poll()
 */
int imp_probe_kernel_open(struct imp_probe_kernel **k, const struct imp_probe_wishes *wishes,
			  imp_probe_handler *handle, void *context, struct imp_error *err);
void imp_probe_kernel_close(struct imp_probe_kernel *k);

/* imp_probe_kernel_trace - look at this process from now on; 0 or a negative errno */
int imp_probe_kernel_trace(struct imp_probe_kernel *k, pid_t pid);

/*
 * imp_probe_kernel_attach - put the probes into a file, for all processes that map it
 * Returns how many are in, or a negative errno where the first one failed.
 */
int imp_probe_kernel_attach(struct imp_probe_kernel *k, const char *path,
			    const struct imp_probe_target *target, struct imp_error *err);

/* imp_probe_kernel_detach - take all probes out; what is in the ring can still be read */
void imp_probe_kernel_detach(struct imp_probe_kernel *k);

/*
 * imp_probe_kernel_leave - have the probes taken out by a process of its own, without waiting for it
 * That one keeps no other descriptor open. @k is only good for imp_probe_kernel_close() then.
 */
void imp_probe_kernel_leave(struct imp_probe_kernel *k);

/* imp_probe_kernel_poll - handle what is there; waits up to @timeout_ms where nothing is */
int imp_probe_kernel_poll(struct imp_probe_kernel *k, int timeout_ms);

/* imp_probe_kernel_wake - whoever waits in imp_probe_kernel_poll() comes back, now and always; from any thread */
void imp_probe_kernel_wake(struct imp_probe_kernel *k);

/* imp_probe_kernel_lost - events that found no room so far; of one process, while it lives: @pid, else 0 */
uint64_t imp_probe_kernel_lost(struct imp_probe_kernel *k, pid_t pid);

#endif
