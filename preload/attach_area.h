/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_ATTACH_AREA_H
#define IMP_PRELOAD_ATTACH_AREA_H

#include <stddef.h>
#include <stdint.h>

#include "trace_format.h"

/*
 * The memory that a process which is recorded by `imptrace attach` shares with imptrace: one memfd, mapped
 * by both. What the recorder would append to a trace file goes into a ring here instead, and imptrace
 * appends it to the file: so the process needs no descriptor, no right to write anywhere, and no path that
 * both see, whatever namespaces and user it runs in.
 *
 * A fork child inherits the mapping and writes into the same ring. Nobody ever waits for the other side: a
 * full ring loses a batch, which is counted, and an imptrace that was killed is noticed by its @beat.
 *
 * Both sides are built from the same source (@version), on the same machine. Fields are written by one side
 * only, as said; all shared ones are accessed with __atomic_*.
 */
#define IMP_ATTACH_MAGIC   0x61706d69 /* "impa" */
#define IMP_ATTACH_VERSION 1
#define IMP_ATTACH_RING	   (4u << 20) /* bytes of @ring; a power of two */
#define IMP_ATTACH_BEAT_MS 100	      /* imptrace counts @beat up at least so often */
#define IMP_ATTACH_DEAD_MS 5000 /* where it stood still for so long, imptrace is taken to be gone */

enum imp_attach_state {			     /* how far the process is */
			IMP_ATTACH_NONE = 0, /* nothing done yet */
			IMP_ATTACH_LOADER,   /* calls of the dynamic loader are recorded */
			IMP_ATTACH_ALL,	     /* those of every CPython too; or there is none */
			IMP_ATTACH_LEAVING,  /* being taken out: waits for CPython */
			IMP_ATTACH_OFF,	     /* all hooks are out, everything is in the ring */
};

struct imp_attach_area {
	/* By imptrace, before the process sees it. */
	uint32_t magic, version;
	uint8_t run_id[IMP_RUN_ID_SIZE];
	uint32_t stacks, dlsym; /* enum imp_which */
	/* Whose the area is: for the next imptrace, that may find it without an owner. 0: not known. */
	uint32_t owner_pid;
	uint64_t owner_start;	  /* when that process was started, as /proc/PID/stat says it */
	uint64_t owner_namespace; /* inode of its pid namespace */

	/* By imptrace, at any time. */
	uint32_t beat; /* counted up while imptrace lives */
	uint32_t stop; /* 1: take the hooks out */
	uint64_t tail; /* bytes taken out of @ring since the start */

	/* By the process. */
	uint32_t state;		  /* enum imp_attach_state */
	uint32_t lost;		  /* frames that found no room */
	uint32_t pythons, hooked; /* CPython interpreters that were found; with hooks in them */
	char remark[512]; /* for people: what could not be done and why; "" or ends in NUL */

	uint64_t head; /* bytes reserved in @ring since the start; by whoever appends (compare and swap) */

	/*
	 * Records, each aligned to 8 bytes: struct imp_attach_record, then its @len bytes; it may wrap around
	 * at the end. imptrace zeroes what it took out before it moves @tail.
	 */
	_Alignas(64) uint8_t ring[IMP_ATTACH_RING];
};

struct imp_attach_record {
	uint32_t len; /* bytes of the frame that follows; written last: 0 while it is not complete */
	uint32_t pid; /* who reserved it, as in the process's own pid namespace */
};

/*
 * What imptrace calls in the process, once it has been mapped by dlopen(). Both run in a thread that was
 * stopped at a place where it holds no lock of libc or ld.so. They return 0 or a negative errno; what has to
 * wait for CPython is done later, and @state tells.
 *
 * imptrace_attach - map the area and begin to record
 * @area_fd:    the memfd; closed before it returns, also at a failure
 * @library_fd: the memfd that the library was loaded from; closed too; -1: none
 * -EBUSY: this process is recorded already. -EPROTO: the area is not of this version.
 *
 * imptrace_detach - take the hooks out, write what is left, and be silent
 */
int imptrace_attach(int area_fd, int library_fd);
int imptrace_detach(void);

/*
 * 0 in the file. imptrace sets it to 1 in the copy that it has a running process open, so that its
 * constructor does nothing: recording starts with imptrace_attach().
 */
extern uint32_t imptrace_attached;

#endif
