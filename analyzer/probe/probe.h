/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_H
#define IMP_PROBE_PROBE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../base/error.h"

/*
 * Recording through the kernel: what "imptrace run --bpf" and "imptrace attach --backend=bpf" use.
 * Everything is in probe_*.c; only probe_kernel.c sees libbpf.
 */
struct imp_probe;
struct imp_run_trace;

struct imp_probe_setup {
	bool alone; /* no recorder is preloaded: the probe writes the whole trace, not just its part */
	bool all_opens; /* also what the processes ask of the file system outside of imports and dlopens */
	const char *output; /* of IMPTRACE_OUTPUT; absolute; "%p" is the process id */
	uid_t uid;	    /* whose the trace is to be, where the probe makes it */
	gid_t gid;
	size_t ring_size; /* bytes; 0: the usual size */
};

/*
 * imp_probe_missing - what stands against it here, as one sentence without a full stop
 * Returns false where nothing does, as far as can be told without trying.
 */
bool imp_probe_missing(char *why, size_t size);

/*
 * imp_probe_start - load the probes; from now on, this process's children are recorded
 * @command: what is going to be run, to put the probes of its interpreter in place before it starts; NULL: none
 * Fails with a sentence in @err: -EPERM, -ENOSYS, or what the kernel said.
 */
int imp_probe_start(struct imp_probe **p, const struct imp_probe_setup *setup, char **command,
		    struct imp_error *err);

/*
 * imp_probe_stop - take the probes out and write what is left
 * @trace: the trace that the recorder made; NULL: it made none, or the probe writes it @alone
 * Releases @p. Returns 0 or a negative errno where the trace could not be written.
 */
int imp_probe_stop(struct imp_probe *p, const struct imp_run_trace *trace, struct imp_error *err);

/*
 * imp_probe_attach - record a process that already runs, and its children, until it ends, @stop is set or
 * the time is over; it is not stopped for a moment
 * Returns 0; -ESRCH, -EPERM, -ENOSYS ... with a sentence in @err.
 */
struct imp_probe_attach {
	pid_t pid;
	const char *output;		   /* "-": standard output; may hold "%p" */
	double duration_s;		   /* 0: no limit */
	const volatile sig_atomic_t *stop; /* set by a signal handler */
	void (*began)(pid_t pid);	   /* called when the probes are in */
	/* filled */
	uint64_t bytes; /* of the trace */
	uint64_t lost;	/* events */
	bool ended;	/* the process did */
};

int imp_probe_attach(struct imp_probe_attach *a, struct imp_error *err);

#endif
