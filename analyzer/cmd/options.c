/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "../base/strbuf.h"
#include "say.h"

#define OPTIONS_MAX 24
#define WIDTH	    80
#define HELP_COLUMN 26

static const struct imp_option help_option = {IMP_OPTION_HELP, "help", NULL,
					      "show this help and exit", NULL};

void imp_arguments_begin(struct imp_arguments *a, const struct imp_command *c, int argc,
			 char **argv, bool in_order)
{
	memset(a, 0, sizeof(*a));
	a->command = c;
	a->argc = argc;
	a->argv = argv;
	a->in_order = in_order;
	a->next = 1;
	optind = 0; /* glibc: begin anew */
}

int imp_arguments_wrong(const struct imp_command *c, const char *format, ...)
{
	char what[IMP_SAY_MAX / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	imp_say("imptrace %s: %s (see imptrace %s --help)", c->name, what, c->name);
	return c->usage_status;
}

static const struct imp_option *find_option(const struct imp_command *c, int id)
{
	const struct imp_option *o;

	for (o = c->options; o->id; o++)
		if (o->id == id)
			return o;
	return &help_option;
}

/* The two forms in which getopt_long() wants the table. */
static void fill_tables(const struct imp_command *c, char *letters, struct option *names)
{
	const struct imp_option *o = c->options;
	size_t n;

	*letters++ = '+';
	*letters++ = ':';
	for (n = 0;; n++) {
		const struct imp_option *one = o->id ? o++ : &help_option;

		assert(n < OPTIONS_MAX);
		if (one->id < IMP_OPTION_LONG) {
			*letters++ = (char)one->id;
			if (one->metavar)
				*letters++ = ':';
		}
		names[n].name = one->name;
		names[n].has_arg = one->metavar ? required_argument : no_argument;
		names[n].flag = NULL;
		names[n].val = one->id;
		if (one == &help_option)
			break;
	}
	*letters = '\0';
	memset(&names[n + 1], 0, sizeof(names[n + 1]));
}

static int wrong_option(struct imp_arguments *a, int result, int before)
{
	const char *word = a->argv[before];
	bool is_long = !strncmp(word, "--", 2);
	char letter[3] = {'-', (char)optopt, '\0'};
	const char *name = is_long ? word : letter;
	int len = (int)strcspn(name, "=");

	if (result == ':')
		imp_arguments_wrong(a->command, "%.*s wants a value: %s", len, name,
				    find_option(a->command, optopt)->metavar);
	else if (is_long && optopt)
		imp_arguments_wrong(a->command, "%.*s takes no value", len, name);
	else
		imp_arguments_wrong(a->command, "there is no option '%.*s'", len, name);
	return IMP_ARGUMENTS_WRONG;
}

int imp_arguments_next(struct imp_arguments *a)
{
	struct option names[OPTIONS_MAX + 1];
	char letters[2 * OPTIONS_MAX + 3];
	int before, result;

	a->value = a->operand = NULL;
	if (!a->only_operands) {
		fill_tables(a->command, letters, names);
		opterr = 0;
		before = optind ? optind : 1;
		optopt = 0;
		result = getopt_long(a->argc, a->argv, letters, names, NULL);
		a->next = optind;
		if (result == '?' || result == ':')
			return wrong_option(a, result, before);
		if (result != -1) {
			a->value = optarg;
			return result;
		}
		if (optind > before && !strcmp(a->argv[optind - 1], "--"))
			a->only_operands = true;
	}
	if (a->next >= a->argc)
		return IMP_ARGUMENTS_END;
	if (a->in_order) {
		a->operand = a->argv[a->next];
		return IMP_OPERAND; /* and the rest is left in argv + next */
	}
	/* The "+" makes getopt stop at each operand: step over it, options may follow. */
	a->operand = a->argv[a->next++];
	optind = a->next;
	return IMP_OPERAND;
}

int imp_choice(const char *value, const char *const *words)
{
	int i;

	for (i = 0; words[i]; i++)
		if (!strcmp(value, words[i]))
			return i;
	return -1;
}

void imp_print_wrapped(FILE *out, const char *text, int column, int indent, int width)
{
	bool first = true;

	while (*text) {
		size_t len = strcspn(text, " \n");

		if (*text == '\n') {
			fprintf(out, "\n%*s", text[1] == '\n' || !text[1] ? 0 : indent, "");
			column = indent;
			first = true;
			text++;
			continue;
		}
		if (*text == ' ') {
			text++;
			continue;
		}
		if (!first && column + 1 + (int)len > width) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
			first = true;
		}
		fprintf(out, "%s%.*s", first ? "" : " ", (int)len, text);
		column += (int)len + (first ? 0 : 1);
		first = false;
		text += len;
	}
	fputc('\n', out);
}

static void print_option(FILE *out, const struct imp_option *o)
{
	struct imp_strbuf help = {0};
	int column = fprintf(out, "  ");

	if (o->id < IMP_OPTION_LONG)
		column += fprintf(out, "-%c, ", o->id);
	else
		column += fprintf(out, "    ");
	column += fprintf(out, "--%s%s%s", o->name, o->metavar ? "=" : "",
			  o->metavar ? o->metavar : "");
	if (column > HELP_COLUMN - 2) {
		fputc('\n', out);
		column = 0;
	}
	fprintf(out, "%*s", HELP_COLUMN - column, "");
	imp_strbuf_puts(&help, o->help);
	if (o->otherwise)
		imp_strbuf_printf(&help, " (default: %s)", o->otherwise);
	imp_print_wrapped(out, help.s, HELP_COLUMN, HELP_COLUMN, WIDTH);
	imp_strbuf_clear(&help);
}

static void print_lines(FILE *out, const char *lines, int indent)
{
	while (*lines) {
		size_t len = strcspn(lines, "\n");

		fprintf(out, "%*s%.*s\n", indent, "", (int)len, lines);
		lines += len + (lines[len] == '\n');
	}
}

void imp_print_help(FILE *out, const struct imp_command *c)
{
	const struct imp_option *o;

	fprintf(out, "usage: imptrace %s %s\n\n", c->name, c->usage);
	imp_print_wrapped(out, c->about, 0, 0, WIDTH);
	fputs("\noptions:\n", out);
	for (o = c->options; o->id; o++)
		print_option(out, o);
	print_option(out, &help_option);
	fputs("\nexit status:\n", out);
	print_lines(out, c->status, 2);
}

int imp_finish_output(const struct imp_command *c)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	fprintf(stderr, "imptrace %s: standard output cannot be written: %s\n", c->name,
		strerror(errno));
	return -EIO;
}
