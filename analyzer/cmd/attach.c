/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd.h"
#include "run.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "../attach/drain.h"
#include "../attach/injection.h"
#include "../probe/probe.h"
#include "../../preload/recorder.h"
#include "say.h"

#define STATUS_USAGE	    2
#define STATUS_NOT_POSSIBLE 3

#define LIBRARY	       "libimptrace.so"
#define TIMEOUT	       "10"
#define TICK_MS	       10 /* how long a frame may wait in memory; well below IMP_ATTACH_BEAT_MS */
#define SAY_WAITING_NS 2000000000u
#define LEAVE_MS       2000 /* for CPython to give its hooks back */
#define SECONDS_MAX    1000000

enum {
	OPT_OUTPUT = 'o',
	OPT_VERBOSE = 'v',
	OPT_BACKEND = IMP_OPTION_LONG,
	OPT_DURATION,
	OPT_TIMEOUT,
	OPT_STACKS
};

static const struct imp_option options[] = {
	{OPT_OUTPUT, "output", "FILE", "where the trace goes; - is standard output",
	 IMP_TRACE_DEFAULT},
	{OPT_BACKEND, "backend", "WHICH",
	 "inject: a recorder is put into the process; bpf: the kernel records; auto: inject, or else bpf",
	 "auto"},
	{OPT_DURATION, "duration", "SECONDS", "stop after so many seconds", "when the process exits"},
	{OPT_TIMEOUT, "timeout", "SECONDS",
	 "how long to wait for a moment at which the process can be entered", TIMEOUT},
	{OPT_STACKS, "stacks", "WHICH", "none, failures or all: the events that carry stacks",
	 "failures"},
	{OPT_VERBOSE, "verbose", NULL, "say also for how long a thread was held", NULL},
	{0, NULL, NULL, NULL, NULL},
};

struct arguments {
	pid_t pid;
	const char *output;
	int backend;	   /* index in backends */
	double duration_s; /* 0: no limit */
	double timeout_s;
	uint32_t stacks;
	bool verbose;
};

static const char *const backends[] = {"auto", "inject", "bpf", NULL};
enum { AUTO, INJECT, BPF };

/* Set by SIGINT and SIGTERM. */
static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static bool take_seconds(const char *s, double *value)
{
	char *end;

	errno = 0;
	*value = strtod(s, &end);
	return end != s && !*end && !errno && *value > 0 && *value <= SECONDS_MAX;
}

static bool take_pid(const char *s, pid_t *pid)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(s, &end, 10);
	*pid = (pid_t)value;
	return end != s && !*end && !errno && value >= 1 && value <= INT_MAX;
}

/* 0: go on; 1: help was printed; < 0: wrong, a sentence was printed */
static int parse(const struct imp_command *self, int argc, char **argv, struct arguments *args)
{
	static const char *const which[] = {"none", "failures", "all", NULL};
	const char *pid = NULL;
	struct imp_arguments a;
	int id;

	*args = (struct arguments){.output = IMP_TRACE_DEFAULT, .stacks = IMP_FAILURES};
	take_seconds(TIMEOUT, &args->timeout_s);
	imp_arguments_begin(&a, self, argc, argv, false);
	while ((id = imp_arguments_next(&a)) != IMP_ARGUMENTS_END) {
		switch (id) {
		case IMP_OPERAND:
			if (pid)
				return -imp_arguments_wrong(
					self, "one PID at a time, and '%s' is the second",
					a.operand);
			pid = a.operand;
			break;
		case IMP_OPTION_HELP: imp_print_help(stdout, self); return 1;
		case OPT_OUTPUT: args->output = a.value; break;
		case OPT_VERBOSE: args->verbose = true; break;
		case OPT_BACKEND:
			args->backend = imp_choice(a.value, backends);
			if (args->backend < 0)
				return -imp_arguments_wrong(
					self, "--backend is auto, inject or bpf, not '%s'", a.value);
			break;
		case OPT_STACKS:
			if (imp_choice(a.value, which) < 0)
				return -imp_arguments_wrong(
					self, "--stacks is none, failures or all, not '%s'",
					a.value);
			args->stacks = (uint32_t)imp_choice(a.value, which);
			break;
		case OPT_DURATION:
			if (!take_seconds(a.value, &args->duration_s))
				return -imp_arguments_wrong(
					self, "--duration is a number of seconds, not '%s'",
					a.value);
			break;
		case OPT_TIMEOUT:
			if (!take_seconds(a.value, &args->timeout_s))
				return -imp_arguments_wrong(
					self, "--timeout is a number of seconds, not '%s'", a.value);
			break;
		default: return -STATUS_USAGE;
		}
	}
	if (!pid)
		return -imp_arguments_wrong(self, "which process? It wants a PID");
	if (!take_pid(pid, &args->pid))
		return -imp_arguments_wrong(self, "'%s' is no process id", pid);
	if (!*args->output)
		return -imp_arguments_wrong(self, "--output wants the name of a file");
	return 0;
}

/* ---- inject -------------------------------------------------------------------------------------------------- */

struct session {
	const struct arguments *args;
	struct imp_injection in;
	struct imp_injection_wishes wishes;
	struct imp_drain drain;
	bool said_waiting, said_recording, said_loads_only;
	uint64_t began_ns;
	char remark[512]; /* of the recorder, as it was said last */
};

/* imptrace lives: the process goes on recording. */
static void beat(struct session *s)
{
	if (!s->in.area)
		return;
	__atomic_fetch_add(&s->in.area->beat, 1, __ATOMIC_RELAXED);
	imp_drain_take(&s->drain, s->in.area);
}

static int waiting(void *arg, bool in_call, uint64_t waited_ns, const char *why)
{
	struct session *s = arg;

	beat(s);
	if (waited_ns > SAY_WAITING_NS && !s->said_waiting) {
		s->said_waiting = true;
		if (in_call)
			fprintf(stderr,
				"imptrace: process %d is still busy in its dynamic loader; waiting (Ctrl-C: it goes "
				"on by itself)\n",
				(int)s->in.target.pid);
		else
			fprintf(stderr,
				"imptrace: waiting for a moment to enter process %d; of one thread: %s\n",
				(int)s->in.target.pid, why);
	}
	return interrupted;
}

static void say_held(const struct session *s, const char *what)
{
	if (s->args->verbose)
		fprintf(stderr,
			"imptrace: %s: thread %d was held for %.3f ms (stack %.3f, files %.3f, call %.3f); "
			"%u looked at\n",
			what, (int)s->in.times.tid, (double)s->in.times.held_ns / 1e6,
			(double)s->in.times.stack_ns / 1e6, (double)s->in.times.files_ns / 1e6,
			(double)s->in.times.call_ns / 1e6, s->in.times.tries);
}

/* What the recorder in the process has to say to people, once each. */
static void pass_remark(struct session *s)
{
	char text[sizeof(s->remark)];

	if (!s->in.area)
		return;
	memcpy(text, s->in.area->remark, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	if (!text[0] || strcmp(text, s->remark) == 0)
		return;
	memcpy(s->remark, text, sizeof(text));
	imp_say("imptrace: %s", text);
}

static enum imp_attach_state state_of(const struct session *s)
{
	return (enum imp_attach_state)__atomic_load_n(&s->in.area->state, __ATOMIC_ACQUIRE);
}

/* That recording began: with CPython's imports, for which its interpreter has to run a moment. */
static void say_recording(struct session *s)
{
	const enum imp_attach_state state = state_of(s);

	if (s->said_recording)
		return;
	if (state == IMP_ATTACH_LOADER && !s->said_loads_only &&
	    imp_monotonic_ns() - s->began_ns > SAY_WAITING_NS) {
		s->said_loads_only = true;
		imp_say("imptrace: recording what process %d (%s) loads; its imports as soon as its interpreter lets "
			"us in",
			(int)s->args->pid, s->in.target.name);
	}
	if (state != IMP_ATTACH_ALL)
		return;
	s->said_recording = true;
	imp_say("imptrace: recording PID %d (%s), %s", (int)s->args->pid, s->in.target.name,
		s->args->duration_s > 0 ? "for a while; Ctrl-C ends it earlier" : "Ctrl-C ends it");
}

static void tick(struct session *s)
{
	struct pollfd fd = {.fd = s->in.target.pidfd, .events = POLLIN};

	beat(s);
	say_recording(s);
	pass_remark(s);
	poll(&fd, 1, TICK_MS);
}

/* Until something ends it. */
static void record(struct session *s)
{
	const double limit_ns = s->args->duration_s * 1e9;

	s->began_ns = imp_monotonic_ns();
	while (!interrupted && imp_injection_lives(&s->in) && state_of(s) < IMP_ATTACH_LEAVING &&
	       (limit_ns <= 0 || (double)(imp_monotonic_ns() - s->began_ns) < limit_ns))
		tick(s);
}

/* The hooks of CPython come out when CPython runs next: a while is given to it. */
static void wait_until_off(struct session *s)
{
	const uint64_t end_ns = imp_monotonic_ns() + (uint64_t)LEAVE_MS * 1000000u;

	while (state_of(s) == IMP_ATTACH_LEAVING && imp_injection_lives(&s->in) &&
	       imp_monotonic_ns() < end_ns)
		tick(s);
	if (state_of(s) == IMP_ATTACH_LEAVING && imp_injection_lives(&s->in))
		fprintf(stderr,
			"imptrace: process %d is busy: its import hooks are silent, and come out when its "
			"interpreter runs next\n",
			(int)s->in.target.pid);
}

static void leave(struct session *s)
{
	struct imp_error err = {0};
	int ret;

	if (!imp_injection_lives(&s->in)) {
		imp_say("imptrace: process %d (%s) has ended, or executed another program",
			(int)s->in.target.pid, s->in.target.name);
		return;
	}
	s->said_waiting = false;
	interrupted = 0; /* a second Ctrl-C does not wait */
	ret = imp_injection_detach(&s->in, &s->wishes, &err);
	if (ret == 0) {
		say_held(s, "detach");
		wait_until_off(s);
	} else if (imp_injection_lives(&s->in)) {
		imp_say("imptrace: %s; the recorder in it is silent from now on, and takes its hooks out by itself",
			err.msg);
	}
}

static void say_written(const char *file, uint64_t bytes)
{
	const unsigned long long kb = (unsigned long long)(bytes + 999) / 1000;
	const bool usual = strcmp(file, IMP_TRACE_DEFAULT) == 0;

	if (strcmp(file, "-") == 0)
		fprintf(stderr, "imptrace: %llu kB written to standard output\n", kb);
	else
		imp_say("imptrace: %llu kB written to %s; see it with: imptrace analyze%s%s", kb,
			file, usual ? "" : " ", usual ? "" : file);
}

static void say_result(const struct session *s)
{
	const struct imp_attach_area *area = s->in.area;
	const uint32_t lost = __atomic_load_n(&area->lost, __ATOMIC_RELAXED) + s->drain.torn;
	const char *file = s->args->output;

	if (lost)
		fprintf(stderr, "imptrace: %u batches of events were lost\n", lost);
	if (s->drain.error)
		imp_say("imptrace: %s: a part could not be written: %s", file,
			strerror(-s->drain.error));
	say_written(file, s->drain.bytes);
}

static void catch_signals(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction act = {.sa_handler = interrupt}, old;

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (sigaction(ends[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(ends[i], &act, NULL);
	signal(SIGPIPE,
	       SIG_IGN); /* a reader of standard output that went away: a failed write tells */
}

static int begin(struct session *s, struct imp_error *err)
{
	char library[PATH_MAX];
	int ret = imp_run_find_object(LIBRARY, library, sizeof(library), err);

	if (ret < 0)
		return ret;
	s->wishes.library = library;
	s->wishes.stacks = s->args->stacks;
	s->wishes.dlsym = IMP_ALL;
	s->wishes.timeout_ns = (uint64_t)(s->args->timeout_s * 1e9);
	s->wishes.waiting = waiting;
	s->wishes.arg = s;
	ret = imp_injection_open(&s->in, s->args->pid, &s->wishes, err);
	s->wishes.library = NULL;
	if (ret == 0)
		ret = imp_drain_open(&s->drain, s->args->output, s->in.target.own_pid, err);
	if (ret < 0)
		return ret;
	memcpy(s->wishes.run_id, s->drain.output.file.run_id, sizeof(s->wishes.run_id));
	ret = imp_injection_attach(&s->in, &s->wishes, err);
	if (ret < 0 && !s->in.attached)
		imp_drain_abandon(&s->drain);
	return ret;
}

/* 0, or why the process could not be entered, with nothing done; a sentence is in @err */
static int inject(const struct arguments *args, struct imp_error *err)
{
	struct session *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return imp_error_set(err, -ENOMEM, "no memory");
	s->args = args;
	s->in = (struct imp_injection)IMP_INJECTION_INIT;
	catch_signals();
	ret = begin(s, err);
	if (ret == 0) {
		say_held(s, "attach");
		record(s);
		leave(s);
		pass_remark(s);
		imp_drain_finish(&s->drain, s->in.area);
		say_result(s);
	}
	imp_injection_clear(&s->in);
	free(s);
	return ret;
}

/* ---- bpf ----------------------------------------------------------------------------------------------------- */

static void say_probing(pid_t pid)
{
	fprintf(stderr, "imptrace: recording PID %d through the kernel, Ctrl-C ends it\n", (int)pid);
}

static int probe(const struct arguments *args, struct imp_error *err)
{
	struct imp_probe_attach a = {
		.pid = args->pid,
		.output = args->output,
		.duration_s = args->duration_s,
		.stop = &interrupted,
		.began = say_probing,
	};
	int ret;

	catch_signals();
	ret = imp_probe_attach(&a, err);
	if (ret < 0)
		return ret;
	if (a.lost)
		fprintf(stderr, "imptrace: %llu events were lost\n", (unsigned long long)a.lost);
	say_written(args->output, a.bytes);
	return 0;
}

/* What an injection would fail for, and the kernel's view would not. */
static bool may_help(int error)
{
	return error != -ESRCH && error != -EINVAL && error != -ECANCELED && error != -EALREADY;
}

static int run(const struct imp_command *self, int argc, char **argv)
{
	struct imp_error err = {0}, other = {0};
	struct arguments args;
	int ret = parse(self, argc, argv, &args);

	if (ret < 0)
		return STATUS_USAGE;
	if (ret > 0)
		return imp_finish_output(self) < 0 ? STATUS_USAGE : 0;
	if (strcmp(args.output, "-") == 0 && isatty(STDOUT_FILENO)) {
		fputs("imptrace attach: standard output is a terminal, and a trace is binary; redirect it, or name a "
		      "file\n",
		      stderr);
		return STATUS_USAGE;
	}
	ret = args.backend == BPF ? probe(&args, &err) : inject(&args, &err);
	if (ret < 0 && args.backend == AUTO && may_help(ret)) {
		char why[256];

		if (!imp_probe_missing(why, sizeof(why))) {
			imp_say("imptrace attach: %s", err.msg);
			imp_say("imptrace attach: so the kernel records it (--backend=bpf): without what only the "
				"interpreter knows");
			if (probe(&args, &other) == 0)
				return 0;
			err = other;
		}
	}
	if (ret < 0)
		imp_say("imptrace attach: %s", err.msg);
	return ret < 0 ? STATUS_NOT_POSSIBLE : 0;
}

const struct imp_command imp_cmd_attach = {
	.name = "attach",
	.summary = "record a process that already runs",
	.usage = "PID [-o FILE] [--backend=auto|inject|bpf]\n"
		 "                       [--duration=SECONDS] [--timeout=SECONDS]",
	.about =
		"Records a process that already runs: what is loaded in it now, and every import and load from "
		"now on, until it exits, Ctrl-C, or the duration is over. Then it is left as it was. An older "
		"trace of that name becomes NAME.old. See it with: imptrace analyze FILE.",
	.options = options,
	.status = "0  it was recorded\n"
		  "2  wrong usage\n"
		  "3  no such process, not permitted, or not possible; the reason is said",
	.usage_status = STATUS_USAGE,
	.run = run,
};
