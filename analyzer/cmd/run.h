/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_CMD_RUN_H
#define IMP_CMD_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../base/error.h"

/* The parts of "imptrace run", one file each. */

/* Whom COMMAND runs as, where that is another user than ours (run_user.c). */
struct imp_run_user {
	bool known;
	uid_t uid;
	gid_t gid;
	char *name; /* owned; NULL: it has none */
};

/*
 * imp_run_user_find - the user that --user names (a name or a number), else with @from_sudo the one who called sudo
 * @name: NULL: none was named
 * Release with imp_run_user_clear(). Returns 0 (@user->known is false where nothing is to be changed) or -ENOENT.
 */
int imp_run_user_find(struct imp_run_user *user, const char *name, bool from_sudo,
		      struct imp_error *err);
/* imp_run_user_become - take on the user's groups and ids, for good; 0 or a negative errno */
int imp_run_user_become(const struct imp_run_user *user);
void imp_run_user_clear(struct imp_run_user *user);

/* What COMMAND's environment gets. */
struct imp_run_setup {
	const char *preload; /* value of LD_PRELOAD; NULL: nothing is preloaded */
	const char *audit;   /* of LD_AUDIT; NULL: left as it is */
	const char *output;  /* of IMPTRACE_OUTPUT */
	const char *stacks;  /* of IMPTRACE_STACKS; NULL: left as it is */
	const struct imp_run_user *user;
};

/* How COMMAND ended. */
struct imp_run_result {
	pid_t pid;
	int exec_errno; /* it could not be executed; 0: it ran */
	int code;	/* exit status; -1: a signal ended it */
	int signal;
};

/*
 * imp_run_child - start COMMAND, wait for it and pass signals on (run_child.c)
 *
 * Terminal signals reach COMMAND by themselves, being in the same process group: we only stay alive. A
 * SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2 that is sent to us is sent on. Where COMMAND stops itself, we
 * stop as well, so that the shell sees a stopped job.
 * Returns 0, or a negative errno where no process could be made.
 */
int imp_run_child(const struct imp_run_setup *setup, char **argv, struct imp_run_result *result,
		  struct imp_error *err);

/* The trace that a run has left behind (run_trace.c). */
struct imp_run_trace {
	char path[4096]; /* where it is now: the name that was asked for, or NAME.old */
	uint8_t run_id[16];
	pid_t root_pid; /* the first process that recorded */
};

/*
 * imp_run_trace_find - the trace of the run that began at @since_ns (CLOCK_REALTIME)
 * @pattern: value of IMPTRACE_OUTPUT; "%p" stands for @pid
 * Returns 0, or -ENOENT where that run has recorded nothing.
 */
int imp_run_trace_find(struct imp_run_trace *t, const char *pattern, pid_t pid, uint64_t since_ns);

/* imp_run_trace_add_end - append how COMMAND ended (IMP_EV_WAIT) */
int imp_run_trace_add_end(const struct imp_run_trace *t, const struct imp_run_result *result,
			  uint64_t began_ns);

/* imp_run_trace_copy - write the whole trace to @fd */
int imp_run_trace_copy(const struct imp_run_trace *t, int fd, struct imp_error *err);

/*
 * imp_run_why_unrecorded - why nothing could be preloaded into COMMAND (run_why.c)
 * @command: argv[0], looked for as execvp() does; of a script, its interpreter is looked at
 * @buf:     filled with a clause: "/bin/x is statically linked: ..."
 * Returns 0, or -ENODATA where nothing of the kind stands against it.
 */
int imp_run_why_unrecorded(const char *command, char *buf, size_t size);

/*
 * imp_run_find_object - path of libimptrace.so or its like: beside the command (the build tree), else where it is installed
 * Returns 0 or -ENOENT (run.c).
 */
int imp_run_find_object(const char *name, char *path, size_t size, struct imp_error *err);

#endif
