/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd.h"
#include "run.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/strbuf.h"
#include "../probe/probe.h"
#include "say.h"

#define STATUS_FAILED	    125
#define STATUS_NOT_EXECUTED 126
#define STATUS_NOT_FOUND    127
#define STATUS_SIGNAL	    128

#define PRELOAD_NAME "libimptrace.so"
#define AUDIT_NAME   "libimptrace-audit.so"

enum {
	OPT_OUTPUT = 'o',
	OPT_STACKS = IMP_OPTION_LONG,
	OPT_AUDIT,
	OPT_BPF,
	OPT_NO_PRELOAD,
	OPT_ALL_OPENS,
	OPT_USER
};

static const struct imp_option options[] = {
	{OPT_OUTPUT, "output", "FILE",
	 "where the trace goes; %p stands for the process id (one file for each process), - is standard "
	 "output, written when COMMAND has ended",
	 "$IMPTRACE_OUTPUT, else trace.zst"},
	{OPT_STACKS, "stacks", "WHICH", "none, failures or all: the events that carry stacks",
	 "$IMPTRACE_STACKS, else failures"},
	{OPT_AUDIT, "audit", NULL,
	 "also record every path that ld.so tried for a library, as ld.so itself tells it", NULL},
	{OPT_BPF, "bpf", NULL,
	 "also record what the kernel saw: the files that were tried, with the error of each (root, or CAP_BPF and "
	 "CAP_PERFMON; under sudo COMMAND runs as the user who called it)",
	 NULL},
	{OPT_NO_PRELOAD, "no-preload", NULL,
	 "with --bpf: the kernel alone records, with no code in the program", NULL},
	{OPT_ALL_OPENS, "all-opens", NULL,
	 "with --bpf: files that are opened outside of imports and dlopen, too", NULL},
	{OPT_USER, "user", "NAME", "run COMMAND as this user", NULL},
	{0, NULL, NULL, NULL, NULL},
};

struct arguments {
	const char *output; /* NULL: as the environment says */
	const char *stacks;
	bool audit, bpf, no_preload, all_opens;
	const char *user;
	char **command;
};

/* 0: go on; 1: help was printed; < 0: wrong, a sentence was printed */
static int parse(const struct imp_command *self, int argc, char **argv, struct arguments *args)
{
	static const char *const which[] = {"none", "failures", "all", NULL};
	struct imp_arguments a;
	int id;

	memset(args, 0, sizeof(*args));
	imp_arguments_begin(&a, self, argc, argv, true);
	while ((id = imp_arguments_next(&a)) != IMP_ARGUMENTS_END && id != IMP_OPERAND) {
		switch (id) {
		case IMP_OPTION_HELP: imp_print_help(stdout, self); return 1;
		case OPT_OUTPUT: args->output = a.value; break;
		case OPT_STACKS:
			if (imp_choice(a.value, which) < 0) {
				imp_arguments_wrong(self,
						    "--stacks is none, failures or all, not '%s'",
						    a.value);
				return -1;
			}
			args->stacks = a.value;
			break;
		case OPT_AUDIT: args->audit = true; break;
		case OPT_BPF: args->bpf = true; break;
		case OPT_NO_PRELOAD: args->no_preload = true; break;
		case OPT_ALL_OPENS: args->all_opens = true; break;
		case OPT_USER: args->user = a.value; break;
		default: return -1;
		}
	}
	if (id != IMP_OPERAND) {
		imp_arguments_wrong(self, "which program? It wants a COMMAND");
		return -1;
	}
	if (args->output && !*args->output) {
		imp_arguments_wrong(self, "--output wants the name of a file");
		return -1;
	}
	if (!args->bpf && (args->no_preload || args->all_opens)) {
		imp_arguments_wrong(self, "%s goes with --bpf",
				    args->no_preload ? "--no-preload" : "--all-opens");
		return -1;
	}
	if (args->no_preload && args->audit) {
		imp_arguments_wrong(
			self,
			"--audit hands what it sees to the preloaded recorder: leave --no-preload out");
		return -1;
	}
	args->command = argv + a.next;
	return 0;
}

static bool is_readable(const char *path)
{
	return access(path, R_OK) == 0;
}

/* Beside the command (the build tree), else where it is installed. */
int imp_run_find_object(const char *name, char *path, size_t size, struct imp_error *err)
{
	char own[PATH_MAX], beside[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	beside[0] = '\0';
	if (len > 0) {
		own[len] = '\0';
		slash = strrchr(own, '/');
		if (slash)
			*slash = '\0';
		if ((size_t)snprintf(beside, sizeof(beside), "%s/%s", own, name) >= sizeof(beside))
			beside[0] = '\0';
	}
	snprintf(path, size, IMP_LIBDIR "/%s", name);
	if (beside[0] && is_readable(beside))
		snprintf(path, size, "%s", beside);
	else if (!is_readable(path))
		return imp_error_set(err, -ENOENT,
				     "%s is neither beside imptrace (%s) nor in " IMP_LIBDIR
				     "; build it with make, or install it with make install",
				     name, beside[0] ? own : "/proc is not mounted");
	/* ld.so(8), LD_PRELOAD: "separated by spaces or colons, and there is no support for escaping". */
	if (strpbrk(path, " :"))
		return imp_error_set(err, -EINVAL,
				     "%s: LD_PRELOAD cannot name a path with a space or a colon; "
				     "move it, or install it with make install",
				     path);
	return 0;
}

static bool lists(const char *list, const char *path)
{
	size_t len = strlen(path);

	for (const char *at = strstr(list, path); at; at = strstr(at + 1, path))
		if ((at == list || at[-1] == ':') && (!at[len] || at[len] == ':'))
			return true;
	return false;
}

/*
 * Behind an audit object of the user's: that one may send a search elsewhere, and what counts is where it
 * then goes. Twice, under an imptrace that runs this one, would be two objects.
 */
static int make_audit(struct imp_strbuf *value, struct imp_error *err)
{
	const char *before = getenv("LD_AUDIT");
	char path[PATH_MAX];
	int ret = imp_run_find_object(AUDIT_NAME, path, sizeof(path), err);

	if (ret < 0)
		return ret;
	if (before && *before)
		imp_strbuf_puts(value, before);
	if (!value->len || !lists(before, path))
		imp_strbuf_printf(value, "%s%s", value->len ? ":" : "", path);
	return 0;
}

static int make_preload(struct imp_strbuf *value, struct imp_error *err)
{
	const char *before = getenv("LD_PRELOAD");
	char path[PATH_MAX];
	int ret = imp_run_find_object(PRELOAD_NAME, path, sizeof(path), err);

	if (ret < 0)
		return ret;
	imp_strbuf_puts(value, path);
	if (before && *before)
		imp_strbuf_printf(value, ":%s", before);
	return 0;
}

/*
 * The recorder takes a relative name from where the first process starts; a static COMMAND may have gone
 * elsewhere before it starts one that can record. But a %p in the working directory's own name is none.
 */
static void make_absolute(struct imp_strbuf *value, const char *output)
{
	char cwd[PATH_MAX];

	if (output[0] != '/' && getcwd(cwd, sizeof(cwd)) && cwd[0] == '/' && !strstr(cwd, "%p"))
		imp_strbuf_printf(value, "%s/", cwd[1] ? cwd : "");
	imp_strbuf_puts(value, output);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = {0, 0};

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int exit_status(const struct imp_run_result *result)
{
	if (result->exec_errno)
		return result->exec_errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTED;
	return result->signal ? STATUS_SIGNAL + result->signal : result->code;
}

static void say_not_executed(const char *command, int err)
{
	if (err == ENOENT && !strchr(command, '/'))
		imp_say("imptrace run: %s: no such command", command);
	else
		imp_say("imptrace run: %s: cannot be executed: %s", command, strerror(err));
}

/* Where the recorder was there, and had no place for its trace, it has said so itself. */
static void say_unrecorded(const char *command)
{
	char why[PATH_MAX + 128];

	if (imp_run_why_unrecorded(command, why, sizeof(why)) == 0)
		imp_say("imptrace: %s recorded nothing, because %s", command, why);
}

/* The kernel's part of the recording; NULL: it was not asked for. */
static int start_probe(struct imp_probe **probe, const struct arguments *args, const char *output,
		       const struct imp_run_user *user, struct imp_error *err)
{
	const char *ring = getenv("IMPTRACE_BPF_RING");
	struct imp_probe_setup setup = {
		.alone = args->no_preload,
		.all_opens = args->all_opens,
		.output = output,
		.uid = user->known ? user->uid : geteuid(),
		.gid = user->known ? user->gid : getegid(),
		.ring_size = ring ? strtoul(ring, NULL, 10) : 0,
	};

	*probe = NULL;
	return args->bpf ? imp_probe_start(probe, &setup, args->command, err) : 0;
}

static void stop_probe(struct imp_probe *probe, const struct imp_run_trace *trace)
{
	struct imp_error err = {0};

	if (probe && imp_probe_stop(probe, trace, &err) < 0)
		imp_say("imptrace run: %s", err.msg);
}

/* What is left to do when COMMAND has ended; < 0 where the trace was wanted on standard output and is not. */
static int complete_trace(const struct arguments *args, const char *pattern, bool to_stdout,
			  const struct imp_run_result *result, struct imp_probe *probe,
			  uint64_t began_real_ns, uint64_t began_ns)
{
	/* The trace is made by COMMAND's recorder; where there is none, by ourselves. */
	pid_t maker = args->no_preload ? getpid() : result->pid;
	struct imp_error err = {0};
	struct imp_run_trace trace;
	int ret = imp_run_trace_find(&trace, pattern, maker, began_real_ns);

	stop_probe(probe, ret < 0 ? NULL : &trace);
	if (ret < 0 || trace.root_pid != maker)
		say_unrecorded(args->command[0]);
	if (ret < 0)
		return to_stdout ? ret : 0;
	ret = imp_run_trace_add_end(&trace, result, began_ns);
	if (ret < 0)
		imp_say("imptrace: %s: how %s ended could not be added: %s", trace.path,
			args->command[0], strerror(-ret));
	if (!to_stdout)
		return 0;
	ret = imp_run_trace_copy(&trace, STDOUT_FILENO, &err);
	if (ret < 0)
		imp_say("imptrace run: %s", err.msg);
	unlink(trace.path);
	return ret;
}

static int run_command(const struct arguments *args, const char *output, bool to_stdout)
{
	struct imp_strbuf preload = {0}, audit = {0}, pattern = {0};
	struct imp_run_user user = {0};
	struct imp_run_setup setup = {.stacks = args->stacks, .user = &user};
	struct imp_probe *probe = NULL;
	struct imp_run_result result;
	struct imp_error err = {0};
	uint64_t began_real_ns = clock_ns(CLOCK_REALTIME), began_ns = clock_ns(CLOCK_MONOTONIC);
	int status = STATUS_FAILED;

	make_absolute(&pattern, output);
	if (imp_run_user_find(&user, args->user, args->bpf, &err) < 0 ||
	    (!args->no_preload && make_preload(&preload, &err) < 0) ||
	    (args->audit && make_audit(&audit, &err) < 0) ||
	    start_probe(&probe, args, pattern.s, &user, &err) < 0) {
		imp_say("imptrace run: %s", err.msg);
		goto out;
	}
	setup.preload = preload.s;
	setup.audit = audit.s;
	setup.output = pattern.s;
	fflush(NULL);
	if (imp_run_child(&setup, args->command, &result, &err) < 0) {
		imp_say("imptrace run: %s", err.msg);
		stop_probe(probe, NULL);
		goto out;
	}
	status = exit_status(&result);
	if (result.exec_errno) {
		stop_probe(probe, NULL);
		say_not_executed(args->command[0], result.exec_errno);
	} else if (complete_trace(args, pattern.s, to_stdout, &result, probe, began_real_ns,
				  began_ns) < 0) {
		status = status ? status : STATUS_FAILED;
	}
out:
	imp_run_user_clear(&user);
	imp_strbuf_clear(&preload);
	imp_strbuf_clear(&audit);
	imp_strbuf_clear(&pattern);
	return status;
}

/* The recorder appends to a file; for standard output that is one in a directory of our own. */
static int run_to_stdout(const struct arguments *args)
{
	const char *tmp = getenv("TMPDIR");
	char dir[PATH_MAX], file[PATH_MAX + 16];
	int status;

	if (isatty(STDOUT_FILENO)) {
		fputs("imptrace run: standard output is a terminal, and a trace is binary; redirect it, or name a "
		      "file\n",
		      stderr);
		return STATUS_FAILED;
	}
	if (snprintf(dir, sizeof(dir), "%s/imptrace-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp") >=
		    (int)sizeof(dir) ||
	    !mkdtemp(dir)) {
		fprintf(stderr, "imptrace run: %s: no directory can be made: %s\n", dir,
			strerror(errno));
		return STATUS_FAILED;
	}
	snprintf(file, sizeof(file), "%s/" IMP_TRACE_DEFAULT, dir);
	status = run_command(args, file, true);
	rmdir(dir);
	return status;
}

static int run(const struct imp_command *self, int argc, char **argv)
{
	struct arguments args;
	const char *output;
	int ret = parse(self, argc, argv, &args);

	if (ret < 0)
		return STATUS_FAILED;
	if (ret > 0)
		return imp_finish_output(self) < 0 ? STATUS_FAILED : 0;
	output = args.output ? args.output : getenv("IMPTRACE_OUTPUT");
	if (!output || !*output)
		output = IMP_TRACE_DEFAULT;
	return args.output && !strcmp(output, "-") ? run_to_stdout(&args) :
						     run_command(&args, output, false);
}

const struct imp_command imp_cmd_run = {
	.name = "run",
	.summary = "start a program under the recorder",
	.usage = "[-o FILE] [--stacks=WHICH] [--audit] [--bpf [--no-preload]\n"
		 "                    [--all-opens]] [--user=NAME] [--] COMMAND [ARG...]",
	.about =
		"Starts COMMAND with the recorder preloaded, and waits for it. One trace holds COMMAND and all "
		"processes that it starts; an older trace of that name becomes NAME.old. See it with: "
		"imptrace analyze FILE.",
	.options = options,
	.status = "COMMAND's own, or:\n"
		  "128+N  signal N ended COMMAND\n"
		  "125    imptrace itself failed, or was called wrongly\n"
		  "126    COMMAND cannot be executed\n"
		  "127    COMMAND was not found",
	.usage_status = STATUS_FAILED,
	.run = run,
};
