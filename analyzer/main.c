/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/say.h"

static const struct imp_command *const commands[] = {&imp_cmd_run, &imp_cmd_analyze,
						     &imp_cmd_attach, &imp_cmd_dump};

static void print_top_help(FILE *out)
{
	size_t i;

	fputs("usage: imptrace COMMAND [ARGUMENT...]\n"
	      "       imptrace --help | --version\n"
	      "\n"
	      "Records how a program imports Python modules and loads shared objects, and says\n"
	      "why an import failed: the cause first, then the proof, then the remedy.\n"
	      "\n"
	      "commands:\n",
	      out);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-10s%s\n", commands[i]->name, commands[i]->summary);
	fputs("\n"
	      "imptrace COMMAND --help tells more about each. To record without this command:\n"
	      "\n"
	      "  LD_PRELOAD=libimptrace.so python3 prog.py     # writes ./trace.zst\n"
	      "  imptrace analyze trace.zst\n",
	      out);
}

static int is_any(const char *word, const char *a, const char *b)
{
	return !strcmp(word, a) || !strcmp(word, b);
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 2) {
		print_top_help(stderr);
		return 2;
	}
	if (is_any(argv[1], "--help", "-h") || !strcmp(argv[1], "help")) {
		print_top_help(stdout);
		return fflush(stdout) == 0 ? 0 : 2;
	}
	if (is_any(argv[1], "--version", "-V")) {
		puts("imptrace " IMP_VERSION);
		return fflush(stdout) == 0 ? 0 : 2;
	}
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i]->name))
			return commands[i]->run(commands[i], argc - 1, argv + 1);
	imp_say("imptrace: there is no %s '%s' (see imptrace --help)",
		argv[1][0] == '-' ? "option" : "command", argv[1]);
	return 2;
}
