/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_RECORDER_H
#define IMP_PRELOAD_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "thread_slot.h"
#include "trace_format.h"

enum imp_which { /* value of IMPTRACE_STACKS, IMPTRACE_DLSYM */
		 IMP_NONE,
		 IMP_FAILURES,
		 IMP_ALL,
};

/* What the environment asked for; read once in the constructor (init.c). */
struct imp_options {
	enum imp_which stacks;
	enum imp_which dlsym;
	bool follow;
	int level; /* zstd level, 1 to 19 */
};

extern struct imp_options imp_options;

/*
 * imp_recorder_on - is this process recorded, and is this the process (no vfork child)?
 * Cheap: one load, and a getpid() that is compared with the image's.
 */
bool imp_recorder_on(void);

/*
 * imp_record_begin - start encoding an event
 * @t:    this thread's block, from imp_thread_enter()
 * @kind: the event's kind
 *
 * Writes KIND, TIME_NS (now) and, outside the main thread, THREAD. The caller then puts further
 * keys with the imp_put_*() functions below, and calls imp_record_end() or imp_record_cancel().
 * No lock is held in between: CPython may be called.
 */
struct imp_cbor *imp_record_begin(struct imp_thread *t, enum imp_event_kind kind);

/*
 * imp_record_end - close the event and append it to the batch
 *
 * An event that did not fit, or that came while the lock was busy for too long, is counted as lost.
 * A full batch is written.
 */
void imp_record_end(struct imp_thread *t);
void imp_record_cancel(struct imp_thread *t);

/* imp_record_lost - so many events were lost before they came here */
void imp_record_lost(uint32_t count);

/*
 * imp_record_flush - write the batch to the trace now
 *
 * Called at exit, fork and exec, and where an error ends the program. Async-signal-safe.
 */
void imp_record_flush(void);

/*
 * imp_record_journal - what was recorded up to now is to survive a crash or SIGKILL
 *
 * Called before native code of a module runs, in which the process may die, and after it came back. Costs
 * less than a flush, and spoils no compression: the batch stays, and is copied into this image's slot in the
 * trace file (journal.h), which its frame supersedes later. A batch that the slot can't hold is
 * written as a frame instead. Where the slot can't be written nothing is lost or said: the batch is there
 * still. Called between imp_thread_enter() and imp_thread_leave(), as are the next three.
 */
void imp_record_journal(void);

/*
 * imp_record_keep - the same for what must be in the trace: tries a frame where the slot can't be written
 *
 * Called before control returns to the program after a failed import or load. A process that has recorded
 * little, and has no slot yet, writes a frame at once: that is shorter.
 */
void imp_record_keep(void);

/*
 * imp_record_journal_soon, imp_record_settle - put an imp_record_journal() off
 *
 * For what came back and is followed at once, as a rule, by something that is journaled itself. What came
 * in between settles it: imp_record_settle() is called where an import attempt ends, at the latest.
 */
void imp_record_journal_soon(void);
void imp_record_settle(void);

/*
 * imp_record_flush_last - the same before exec and at exit: there is no later
 *
 * After a write that failed, imp_record_flush() waits a while before it tries again; this one does not.
 */
void imp_record_flush_last(void);

/*
 * imp_record_intern - number of a string in this image; 0 when the table is full
 *
 * At the first use an IMP_EV_STRING goes into the batch. Bounded table, open addressing, under the
 * recorder's lock.
 */
uint32_t imp_record_intern(const void *text, size_t len);

/* imp_record_strings_gone - numbers of strings up to this one mean nothing any more */
uint32_t imp_record_strings_gone(void);

/* imp_record_next_id - next number for attempts and calls of this image; never 0 */
uint32_t imp_record_next_id(void);

/* imp_record_note - an IMP_EV_NOTE; @text may be NULL, @err 0 */
void imp_record_note(struct imp_thread *t, enum imp_note note, int err, const char *text);

/*
 * One key and its value. Texts longer than IMP_TEXT_MAX are cut and end in IMP_TEXT_CUT.
 * imp_put_text() writes the bytes as they are (for what is seen once); imp_put_shared() interns them
 * (for what comes again: file, module and type names, directories); imp_put_path() splits at the last
 * slash and interns the directory, and a library's long name. The value forms (imp_value_*) write no key: for arrays.
 */
void imp_put_uint(struct imp_cbor *c, unsigned int key, uint64_t value);
/* IMP_KEY_CALL, IMP_KEY_IMPORT, IMP_KEY_PARENT of this thread's event, outside of arrays: the batch spells it. */
void imp_put_number(struct imp_thread *t, unsigned int key, uint32_t number);
void imp_put_int(struct imp_cbor *c, unsigned int key, int64_t value);
void imp_put_bool(struct imp_cbor *c, unsigned int key, bool value);
void imp_put_bytes(struct imp_cbor *c, unsigned int key, const void *data, size_t len);
void imp_put_text(struct imp_cbor *c, unsigned int key, const char *text, size_t len);
void imp_put_shared(struct imp_cbor *c, unsigned int key, const char *text, size_t len);
void imp_put_path(struct imp_cbor *c, unsigned int key, const char *text, size_t len);
void imp_put_map(struct imp_cbor *c, unsigned int key);	  /* close with imp_cbor_map_end() */
void imp_put_array(struct imp_cbor *c, unsigned int key); /* close with imp_cbor_array_end() */
void imp_value_text(struct imp_cbor *c, const char *text, size_t len);
uint32_t imp_value_shared(struct imp_cbor *c, const char *text, size_t len); /* its number; 0: none */
void imp_value_path(struct imp_cbor *c, const char *text, size_t len);

/*
 * What the recorder has others do when a fork child is to be recorded: put off until it is known to do
 * something, since most children exec at once.
 */
struct imp_recorder_hooks {
	void (*process)(struct imp_thread *t); /* before the image's first event: write IMP_EV_PROCESS */
	void (*objects)(
		struct imp_thread *t); /* before the first that is no exec: imp_objects_update() */
	/* Whenever a thread enters; may be NULL. False: recording is over, and was stopped by it. */
	bool (*stay)(struct imp_thread *t);
};

/*
 * The image's life; called by init.c and interpose_process.c.
 *
 * imp_recorder_start() copies the output (with its run id) and the hooks (either may be NULL), and turns
 * recording on; @image_ns is CLOCK_MONOTONIC now. imp_recorder_fork_*() are the atfork handlers: the
 * parent's batch is written before fork, and nothing in between; the child drops what it has of it and
 * starts an image of its own, or turns itself off where children are not followed.
 */
struct imp_output; /* output.h */
int imp_recorder_start(const struct imp_output *out, uint64_t image_ns,
		       const struct imp_recorder_hooks *hooks);
/*
 * imp_recorder_take_area - after imp_recorder_stop(): nothing is written to the attach area any more
 * Returns it, for its owner to unmap; NULL: there is none, or a thread is at it still.
 */
struct imp_attach_area; /* attach_area.h */
struct imp_attach_area *imp_recorder_take_area(void);
/*
 * imp_recorder_stay_quiet - no line on stderr, should the trace not be written
 * The one of this process has been written; or it has not begun the run. Children that give up their rights or
 * change their root may well not reach the trace, and nobody waits for a word of ours in their output: the analyzer
 * says what is missing.
 */
void imp_recorder_stay_quiet(void);
/* imp_recorder_stop - write what is left, and record nothing more */
void imp_recorder_stop(void);
/* imp_recorder_pause, imp_recorder_resume - record nothing for a while, and make no system call */
void imp_recorder_pause(void);
void imp_recorder_resume(void);
void imp_recorder_fork_prepare(void);
void imp_recorder_fork_parent(void);
void imp_recorder_fork_child(void);
/* imp_recorder_catch_up - run the hooks that are due; imp_thread_enter() calls it */
bool imp_recorder_catch_up(struct imp_thread *t);
uint64_t imp_recorder_image_ns(void);
uint64_t imp_recorder_parent_image_ns(void); /* 0: this image was not forked by a recorded one */
pid_t imp_recorder_pid(void);

/* imp_now_ns - CLOCK_MONOTONIC */
uint64_t imp_now_ns(void);

#endif
