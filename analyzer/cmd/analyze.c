/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../diagnose/diagnose.h"
#include "../host/host.h"
#include "../host/host_cache.h"
#include "../python/distribution.h"
#include "../report/report.h"
#include "../report/selection.h"
#include "../trace/record.h"
#include "progress.h"
#include "say.h"

#define STATUS_FATAL 1
#define STATUS_ERROR 2

enum { OPT_MODULE = 'm', OPT_ALL = IMP_OPTION_LONG, OPT_FORMAT, OPT_NO_HOST, OPT_COLOR };

static const struct imp_option options[] = {
	{OPT_MODULE, "module", "MODULE",
	 "ask about one module: why it failed, or from where it was loaded", "all that failed"},
	{OPT_ALL, "all", NULL,
	 "also list the failures that the program handled and for which nothing is broken", NULL},
	{OPT_FORMAT, "format", "FORMAT", "text or json", "text"},
	{OPT_NO_HOST, "no-host", NULL,
	 "read the trace alone, and look at nothing on this machine. A trace from another machine is noticed "
	 "without this option",
	 NULL},
	{OPT_COLOR, "color", "WHEN", "auto, always or never; auto also heeds NO_COLOR", "auto"},
	{0, NULL, NULL, NULL, NULL},
};

struct arguments {
	const char *file;
	const char *module;
	bool all, json, no_host;
	int color; /* index into color_words */
};

static const char *const format_words[] = {"text", "json", NULL};
static const char *const color_words[] = {"auto", "always", "never", NULL};

int imp_open_trace(const char *file, const char **name)
{
	struct stat st;
	int fd;

	if (!strcmp(file, "-")) {
		*name = "standard input";
		if (isatty(STDIN_FILENO)) {
			imp_say("imptrace: standard input is a terminal, and a trace is binary; "
				"name the file");
			return -1;
		}
		return STDIN_FILENO;
	}
	*name = file;
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && errno == ENOENT) {
		imp_say("imptrace: %s: no such file; record one with: imptrace run python3 prog.py",
			file);
		return -1;
	}
	if (fd < 0) {
		imp_say("imptrace: %s: cannot be opened: %s", file, strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		imp_say("imptrace: %s: is a directory; name the trace in it", file);
		close(fd);
		return -1;
	}
	return fd;
}

/* 0: go on; 1: help was printed; < 0: wrong, a sentence was printed */
static int parse(const struct imp_command *self, int argc, char **argv, struct arguments *args)
{
	struct imp_arguments a;
	int id, choice;

	memset(args, 0, sizeof(*args));
	imp_arguments_begin(&a, self, argc, argv, false);
	while ((id = imp_arguments_next(&a)) != IMP_ARGUMENTS_END) {
		switch (id) {
		case IMP_OPERAND:
			if (args->file) {
				imp_arguments_wrong(self,
						    "one FILE at a time, and '%s' is the second",
						    a.operand);
				return -1;
			}
			args->file = a.operand;
			break;
		case IMP_OPTION_HELP: imp_print_help(stdout, self); return 1;
		case OPT_MODULE: args->module = a.value; break;
		case OPT_ALL: args->all = true; break;
		case OPT_NO_HOST: args->no_host = true; break;
		case OPT_FORMAT:
			choice = imp_choice(a.value, format_words);
			if (choice < 0) {
				imp_arguments_wrong(self, "--format is text or json, not '%s'",
						    a.value);
				return -1;
			}
			args->json = choice == 1;
			break;
		case OPT_COLOR:
			args->color = imp_choice(a.value, color_words);
			if (args->color < 0) {
				imp_arguments_wrong(self,
						    "--color is auto, always or never, not '%s'",
						    a.value);
				return -1;
			}
			break;
		default: return -1;
		}
	}
	if (!args->file)
		args->file = IMP_TRACE_DEFAULT;
	return 0;
}

static bool want_color(int choice)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (choice != 0)
		return choice == 1;
	return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static int terminal_columns(void)
{
	const char *text = getenv("COLUMNS");
	struct winsize size;
	long columns = 80;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
		columns = size.ws_col;
	else if (text && *text)
		columns = strtol(text, NULL, 10);
	return columns < 40 ? 80 : columns > 400 ? 400 : (int)columns;
}

/* Asked about one module, it is that module's failure that counts. */
static bool is_fatal(const struct imp_diagnosis *d, const struct imp_report_options *opt)
{
	size_t i;

	if (!opt->module)
		return imp_diagnosis_fatal(d);
	for (i = 0; i < d->findings.n; i++)
		if (d->findings.v[i]->fatal && imp_report_shows(d->findings.v[i], opt))
			return true;
	return false;
}

static int analyze(const struct imp_command *self, const struct arguments *args, const char *name,
		   const struct imp_record *record, struct imp_progress *progress)
{
	struct imp_dpkg_index dpkg = {.built = false};
	struct imp_host_cache cache;
	struct imp_host host = {.enabled = false, .dpkg = &dpkg, .cache = &cache};
	struct imp_report_options opt = {
		.trace = name,
		.module = args->module,
		.all = args->all,
		.color = want_color(args->color),
		.columns = terminal_columns(),
	};
	struct imp_diagnosis d;
	const char *why = NULL;
	int ret;

	imp_host_cache_init(&cache);
	if (!args->no_host)
		host.enabled = imp_host_matches(record, &why);
	imp_diagnose(&d, record, &host, args->module);
	imp_progress_end(progress);
	if (!args->no_host && !host.enabled) {
		d.foreign = true;
		*imp_vec_push(&d.arena, &d.notes) = imp_arena_printf(
			&d.arena, "the files on this machine were not looked at: %s",
			why ? why : "the trace does not say where it was recorded");
	}
	ret = args->json ? imp_report_json(stdout, &d, &opt) : imp_report_text(stdout, &d, &opt);
	if (imp_finish_output(self) < 0 || ret < 0)
		ret = STATUS_ERROR;
	else
		ret = is_fatal(&d, &opt) ? STATUS_FATAL : 0;
	imp_diagnosis_clear(&d);
	imp_dpkg_index_clear(&dpkg);
	imp_host_cache_clear(&cache);
	return ret;
}

static int run(const struct imp_command *self, int argc, char **argv)
{
	struct imp_record record;
	struct imp_progress progress;
	struct imp_error err = {0};
	struct arguments args;
	const char *name;
	int fd, ret;

	ret = parse(self, argc, argv, &args);
	if (ret < 0)
		return STATUS_ERROR;
	if (ret > 0)
		return imp_finish_output(self) < 0 ? STATUS_ERROR : 0;
	fd = imp_open_trace(args.file, &name);
	if (fd < 0)
		return STATUS_ERROR;
	imp_progress_begin(&progress, fd);
	ret = imp_record_read_watched(&record, fd, name, &progress.watch, &err);
	if (fd != STDIN_FILENO)
		close(fd);
	if (ret < 0) {
		imp_progress_end(&progress);
		imp_say("imptrace: %s", err.msg);
		return STATUS_ERROR;
	}
	ret = analyze(self, &args, name, &record, &progress);
	imp_record_clear(&record);
	return ret;
}

const struct imp_command imp_cmd_analyze = {
	.name = "analyze",
	.summary = "say what failed in a trace, and why",
	.usage = "[FILE] [-m MODULE] [--all] [--format=text|json]\n"
		 "                        [--no-host] [--color=auto|always|never]",
	.about =
		"Reads a trace and says which imports failed, why, and what helps: the root of each "
		"failure, not the error that came up last. FILE is trace.zst where none is given; - is "
		"standard input.",
	.options = options,
	.status = "0  no import failed fatally (with -m: not that of MODULE)\n"
		  "1  at least one did\n"
		  "2  wrong usage, or the trace cannot be read",
	.usage_status = STATUS_ERROR,
	.run = run,
};
