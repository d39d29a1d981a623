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

#define STATUS_FAILED	    125
#define STATUS_NOT_EXECUTED 126
#define STATUS_NOT_FOUND    127
#define STATUS_SIGNAL	    128

#define PRELOAD_NAME "libimptrace.so"

enum { OPT_OUTPUT = 'o', OPT_STACKS = IMP_OPTION_LONG, OPT_AUDIT, OPT_BPF };

static const struct imp_option options[] = {
	{OPT_OUTPUT, "output", "FILE",
	 "where the trace goes; %p stands for the process id (one file for each process), - is standard "
	 "output, written when COMMAND has ended",
	 "$IMPTRACE_OUTPUT, else trace.zst"},
	{OPT_STACKS, "stacks", "WHICH", "none, failures or all: the events that carry stacks",
	 "$IMPTRACE_STACKS, else failures"},
	{OPT_AUDIT, "audit", NULL,
	 "also record every path that ld.so tried (not in this version: refused)", NULL},
	{OPT_BPF, "bpf", NULL, "also record what the kernel saw (not in this version: refused)",
	 NULL},
	{0, NULL, NULL, NULL, NULL},
};

struct arguments {
	const char *output; /* NULL: as the environment says */
	const char *stacks;
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
		case OPT_AUDIT:
			fputs("imptrace run: this version cannot record through rtld-audit; leave --audit out\n",
			      stderr);
			return -1;
		case OPT_BPF:
			fputs("imptrace run: this version cannot record what the kernel saw; leave --bpf out\n",
			      stderr);
			return -1;
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
	args->command = argv + a.next;
	return 0;
}

static bool is_readable(const char *path)
{
	return access(path, R_OK) == 0;
}

/* Beside the command (the build tree), else where it is installed. */
static int find_preload(char *path, size_t size, struct imp_error *err)
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
		if ((size_t)snprintf(beside, sizeof(beside), "%s/" PRELOAD_NAME, own) >=
		    sizeof(beside))
			beside[0] = '\0';
	}
	if (beside[0] && is_readable(beside))
		snprintf(path, size, "%s", beside);
	else if (is_readable(IMP_LIBDIR "/" PRELOAD_NAME))
		snprintf(path, size, "%s", IMP_LIBDIR "/" PRELOAD_NAME);
	else
		return imp_error_set(err, -ENOENT,
				     PRELOAD_NAME
				     " is neither beside imptrace (%s) nor in " IMP_LIBDIR
				     "; build it with make, or install it with make install",
				     beside[0] ? own : "/proc is not mounted");
	/* ld.so(8), LD_PRELOAD: "separated by spaces or colons, and there is no support for escaping". */
	if (strpbrk(path, " :"))
		return imp_error_set(err, -EINVAL,
				     "%s: LD_PRELOAD cannot name a path with a space or a colon; "
				     "move it, or install it with make install",
				     path);
	return 0;
}

static int make_preload(struct imp_strbuf *value, struct imp_error *err)
{
	const char *before = getenv("LD_PRELOAD");
	char path[PATH_MAX];
	int ret = find_preload(path, sizeof(path), err);

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
		fprintf(stderr, "imptrace run: %s: no such command\n", command);
	else
		fprintf(stderr, "imptrace run: %s: cannot be executed: %s\n", command,
			strerror(err));
}

/* Where the recorder was there, and had no place for its trace, it has said so itself. */
static void say_unrecorded(const char *command)
{
	char why[PATH_MAX + 128];

	if (imp_run_why_unrecorded(command, why, sizeof(why)) == 0)
		fprintf(stderr, "imptrace: %s recorded nothing, because %s\n", command, why);
}

/* What is left to do when COMMAND has ended; < 0 where the trace was wanted on standard output and is not. */
static int complete_trace(const struct arguments *args, const char *pattern, bool to_stdout,
			  const struct imp_run_result *result, uint64_t began_real_ns,
			  uint64_t began_ns)
{
	struct imp_error err = {0};
	struct imp_run_trace trace;
	int ret = imp_run_trace_find(&trace, pattern, result->pid, began_real_ns);

	if (ret < 0 || trace.root_pid != result->pid)
		say_unrecorded(args->command[0]);
	if (ret < 0)
		return to_stdout ? ret : 0;
	ret = imp_run_trace_add_end(&trace, result, began_ns);
	if (ret < 0)
		fprintf(stderr, "imptrace: %s: how %s ended could not be added: %s\n", trace.path,
			args->command[0], strerror(-ret));
	if (!to_stdout)
		return 0;
	ret = imp_run_trace_copy(&trace, STDOUT_FILENO, &err);
	if (ret < 0)
		fprintf(stderr, "imptrace run: %s\n", err.msg);
	unlink(trace.path);
	return ret;
}

static int run_command(const struct arguments *args, const char *output, bool to_stdout)
{
	struct imp_strbuf preload = {0}, pattern = {0};
	struct imp_run_setup setup = {.stacks = args->stacks};
	struct imp_run_result result;
	struct imp_error err = {0};
	uint64_t began_real_ns = clock_ns(CLOCK_REALTIME), began_ns = clock_ns(CLOCK_MONOTONIC);
	int status = STATUS_FAILED;

	make_absolute(&pattern, output);
	if (make_preload(&preload, &err) < 0) {
		fprintf(stderr, "imptrace run: %s\n", err.msg);
		goto out;
	}
	setup.preload = preload.s;
	setup.output = pattern.s;
	fflush(NULL);
	if (imp_run_child(&setup, args->command, &result, &err) < 0) {
		fprintf(stderr, "imptrace run: %s\n", err.msg);
		goto out;
	}
	status = exit_status(&result);
	if (result.exec_errno)
		say_not_executed(args->command[0], result.exec_errno);
	else if (complete_trace(args, pattern.s, to_stdout, &result, began_real_ns, began_ns) < 0)
		status = status ? status : STATUS_FAILED;
out:
	imp_strbuf_clear(&preload);
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
	.usage = "[-o FILE] [--stacks=WHICH] [--audit] [--bpf]\n"
		 "                    [--] COMMAND [ARG...]",
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
