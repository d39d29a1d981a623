/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PYTHON_COMMAND_LINE_H
#define IMP_PYTHON_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/arena.h"
#include "../trace/record.h"

/*
 * An interpreter's command line, taken apart: python [OPTION]... [-c CODE | -m MODULE | SCRIPT]
 * [ARG]... Sources: Python's docs, "Command line and environment"; CPython's Python/getopt.c.
 */
enum imp_run_how {
	IMP_RUN_NOTHING, /* from standard input, or interactively */
	IMP_RUN_SCRIPT,
	IMP_RUN_MODULE,
	IMP_RUN_CODE,
};

struct imp_command_line {
	enum imp_run_how how;
	const char *what; /* the script, the module's name, the code; NULL for IMP_RUN_NOTHING; borrowed */
	size_t options; /* argv[1] up to here are options of the interpreter's own */
	size_t args;	/* from here on they are the program's */
};

/* imp_command_line_parse - @argv[0] is the interpreter, whatever its name */
void imp_command_line_parse(const struct imp_strings *argv, struct imp_command_line *out);

/* imp_command_line_has - is a single-letter option given, alone ("-S") or among others ("-IS")? */
bool imp_command_line_has(const struct imp_strings *argv, char letter);

/*
 * imp_command_line_without - the options alone (argv[1] up to what is run), some of them left out
 * @letters: single-letter options without a value: "SI"
 * Strings are borrowed, or go to @a where an option loses a letter.
 */
void imp_command_line_without(struct imp_arena *a, const struct imp_strings *argv,
			      const char *letters, struct imp_strings *out);

#endif
