/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_USAGE	    2
#define STATUS_NOT_POSSIBLE 3

enum { OPT_OUTPUT = 'o', OPT_BACKEND = IMP_OPTION_LONG, OPT_DURATION };

/* The options are those of the contract: a script that is written today is judged as it will be then. */
static const struct imp_option options[] = {
	{OPT_OUTPUT, "output", "FILE", "where the trace goes; - is standard output",
	 IMP_TRACE_DEFAULT},
	{OPT_BACKEND, "backend", "WHICH", "auto, inject or bpf", "auto"},
	{OPT_DURATION, "duration", "SECONDS", "stop after so many seconds", "when the process exits"},
	{0, NULL, NULL, NULL, NULL},
};

static bool is_number(const char *s, long min)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(s, &end, 10);
	return end != s && !*end && !errno && value >= min && value <= INT_MAX;
}

static int run(const struct imp_command *self, int argc, char **argv)
{
	static const char *const backends[] = {"auto", "inject", "bpf", NULL};
	struct imp_arguments a;
	const char *pid = NULL;
	int id;

	imp_arguments_begin(&a, self, argc, argv, false);
	while ((id = imp_arguments_next(&a)) != IMP_ARGUMENTS_END) {
		switch (id) {
		case IMP_OPERAND:
			if (pid)
				return imp_arguments_wrong(
					self, "one PID at a time, and '%s' is the second",
					a.operand);
			pid = a.operand;
			break;
		case IMP_OPTION_HELP:
			imp_print_help(stdout, self);
			return imp_finish_output(self) < 0 ? STATUS_USAGE : 0;
		case OPT_OUTPUT: break;
		case OPT_BACKEND:
			if (imp_choice(a.value, backends) < 0)
				return imp_arguments_wrong(
					self, "--backend is auto, inject or bpf, not '%s'", a.value);
			break;
		case OPT_DURATION:
			if (!is_number(a.value, 1))
				return imp_arguments_wrong(
					self, "--duration is a number of seconds, not '%s'",
					a.value);
			break;
		default: return STATUS_USAGE;
		}
	}
	if (!pid)
		return imp_arguments_wrong(self, "which process? It wants a PID");
	if (!is_number(pid, 1))
		return imp_arguments_wrong(self, "'%s' is no process id", pid);
	fprintf(stderr, "imptrace attach: this version cannot record a process that already runs; "
			"start it with: imptrace run COMMAND\n");
	return STATUS_NOT_POSSIBLE;
}

const struct imp_command imp_cmd_attach = {
	.name = "attach",
	.summary = "record a process that already runs (not in this version)",
	.usage = "PID [-o FILE] [--backend=auto|inject|bpf]\n"
		 "                       [--duration=SECONDS]",
	.about =
		"Will record a process that already runs. This version cannot do that: it checks its "
		"arguments, says so, and exits with status 3. What can be done today is to start the program "
		"with imptrace run.",
	.options = options,
	.status = "2  wrong usage\n"
		  "3  not possible: always, in this version",
	.usage_status = STATUS_USAGE,
	.run = run,
};
