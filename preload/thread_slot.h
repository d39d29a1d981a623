/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_THREAD_SLOT_H
#define IMP_PRELOAD_THREAD_SLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "batch.h"
#include "cbor_put.h"
#include "known_caller.h"
#include "python_frame.h"
#include "trace_format.h"

#define IMP_ATTEMPTS_MAX \
	512 /* nested import attempts followed in one thread; deeper ones are counted only */
#define IMP_SEARCHES_MAX \
	2048 /* path entries searched, over all attempts of a thread that are open */
#define IMP_THREAD_PATH_MAX 8192
#define IMP_LISTING_MAX	    32768
#define IMP_DLERROR_MAX	    4096 /* bytes of a kept dlerror() text */

/*
 * One path entry that was searched. Only references to str objects, which nobody sees: their texts are
 * interned when the attempt ends, since a fork or a lost batch in between starts the numbers anew.
 */
struct imp_search {
	void *entry;	/* PyObject, a str */
	void *finder;	/* PyObject, a str: its type's name; NULL: FileFinder */
	uint8_t result; /* enum imp_search_result */
};

/* An import attempt that is under way. */
struct imp_attempt {
	uint32_t id; /* IMP_KEY_IMPORT; 0: ended before one that it began earlier than (greenlets) */
	uint32_t first_search; /* index into searches[] */
	uint64_t image_ns; /* an attempt of the parent's image is not continued in a forked child */
	int64_t name_hash; /* of its full name: a search for another name is not part of it */
	const void *key;   /* whose attempt: the interpreter's state */
	const void *failed; /* exception that left the last attempt within this one, or NULL */
	bool load_failed;   /* its extension module could not be created */
};

/*
 * What a thread needs while it records: in one mmapped block that an initial-exec TLS word points
 * to. Blocks of threads that have ended are used again; there are no thread-exit hooks.
 */
struct imp_thread {
	pid_t tid;
	int depth; /* > 0: inside the recorder, its own calls pass through */
	int saved_errno;
	uint64_t event_image_ns; /* the image for which the event in @cbor was begun */
	uint32_t attempt_depth;
	uint32_t search_count;
	uint32_t loads;		  /* dlopen() calls whose object was not known before */
	uint32_t extension_depth; /* create and exec steps of extension modules under way */
	struct imp_cbor cbor;	  /* the event being encoded, in @scratch */
	struct imp_marks marks;	  /* what in it the batch spells */
	struct imp_known_caller known;
	bool dlerror_kept; /* the text of @dlerror_real is owed to the program's next dlerror() */
	char *dlerror_real; /* what the real dlerror() gave us; libc's, valid until the next dl call */
	int dlerror_errno;		    /* what it set errno to; 0: nothing */
	char dlerror_text[IMP_DLERROR_MAX]; /* its beginning, to see that it is still that text */
	struct imp_line_places lines; /* of code that imports, as long as an attempt is under way */
	struct imp_attempt attempts[IMP_ATTEMPTS_MAX];
	struct imp_search searches[IMP_SEARCHES_MAX];
	char text[IMP_TEXT_MAX + 64]; /* what the Python side puts together: messages, file names */
	char path[IMP_THREAD_PATH_MAX]; /* a path for a system call */
	char listing[IMP_LISTING_MAX];	/* directory entries, lines of metadata files */
	_Alignas(uint64_t) uint8_t scratch[IMP_ITEM_MAX];
};

/*
 * imp_thread_enter - begin to record something in this thread
 *
 * Saves errno. Returns NULL when the recorder is off or already runs in this thread (a signal
 * handler, a nested call), in a vfork child, or where no block is to be had: then pass through.
 * Not held while the real function or CPython's original runs: enter, record, leave, call, enter...
 */
struct imp_thread *imp_thread_enter(void);

/*
 * imp_thread_enter_bare - the same for exec, _exit and wait
 *
 * imp_thread_enter() brings a fork child's objects up to date first (imp_recorder_catch_up()); a child
 * that only execs has no use for them.
 */
struct imp_thread *imp_thread_enter_bare(void);

/*
 * imp_thread_enter_block - the same for what is only noted in the block, and recorded by somebody else
 * Does not ask whose process this is; NULL where the thread has no block yet.
 */
struct imp_thread *imp_thread_enter_block(void);

/* imp_thread_leave - the counterpart; restores errno */
void imp_thread_leave(struct imp_thread *t);

/*
 * imp_thread_get - this thread's block, for what lasts between enter and leave (kept dlerror text)
 * Makes it if needed (@make); NULL if there is none. Async-signal-safe; errno is kept.
 */
struct imp_thread *imp_thread_get(bool make);

/* imp_threads_owe_dlerror - is there a thread whose next dlerror() is to be answered by us? */
bool imp_threads_owe_dlerror(void);

/* imp_thread_after_fork - the child's only thread: correct tid, forget other threads' blocks */
void imp_thread_after_fork(void);

#endif
