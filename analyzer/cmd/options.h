/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_CMD_OPTIONS_H
#define IMP_CMD_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

/*
 * A subcommand's options, in one table: getopt_long is fed from it and --help is printed from it.
 * The table ends with an entry whose @id is 0.
 */
struct imp_option {
	int id;		     /* 'o': also -o; from 256 on: no letter */
	const char *name;    /* --output */
	const char *metavar; /* "FILE"; NULL: it takes no value */
	const char *help;
	const char *otherwise; /* what holds where it is not given; NULL: nothing to say */
};

struct imp_command {
	const char *name;
	const char *usage; /* what follows "imptrace NAME": one line for each way to call it */
	const char *about; /* paragraphs, separated by an empty line */
	const struct imp_option *options;
	const char *status; /* exit statuses: "0  no import failed", a line each */
	int usage_status;   /* of a wrong call */
	int (*run)(const struct imp_command *self, int argc, char **argv);
	const char *summary; /* for the list of "imptrace --help" */
};

#define IMP_OPTION_HELP 'h' /* --help, which every table gets without naming it */
#define IMP_OPTION_LONG 256 /* ids from here on have no letter */

/* Going through an argument list: options, and operands that may stand between them. */
struct imp_arguments {
	const struct imp_command *command;
	int argc;
	char **argv;
	bool in_order;	     /* the first operand ends the options (run: they are COMMAND's) */
	bool only_operands;  /* "--" was there */
	const char *value;   /* of the option returned last */
	const char *operand; /* set where imp_arguments_next() returned IMP_OPERAND */
	int next;	     /* index in @argv of what was not looked at yet */
};

enum {
	IMP_OPERAND = -1,
	IMP_ARGUMENTS_END = 0,
	IMP_ARGUMENTS_WRONG = -2, /* a sentence was printed */
};

void imp_arguments_begin(struct imp_arguments *a, const struct imp_command *c, int argc,
			 char **argv, bool in_order);
/* imp_arguments_next - an option's id, IMP_OPERAND, IMP_ARGUMENTS_END or IMP_ARGUMENTS_WRONG */
int imp_arguments_next(struct imp_arguments *a);

/* imp_arguments_wrong - print "imptrace NAME: sentence" and where help is; returns the status of a wrong call */
int imp_arguments_wrong(const struct imp_command *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* imp_choice - index of @value in a list of words that ends with NULL; -1: none of them */
int imp_choice(const char *value, const char *const *words);

/* imp_print_help - what "imptrace NAME --help" says, at most 80 columns wide */
void imp_print_help(FILE *out, const struct imp_command *c);

/* imp_print_wrapped - text, broken between words; @indent columns in front of all lines but the first */
void imp_print_wrapped(FILE *out, const char *text, int column, int indent, int width);

/* imp_finish_output - flush stdout: 0, or -errno after a sentence about what could not be written */
int imp_finish_output(const struct imp_command *c);

#endif
