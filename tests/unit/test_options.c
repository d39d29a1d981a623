/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "cmd/cmd.h"

enum { OPT_OUT = 'o', OPT_ALL = IMP_OPTION_LONG, OPT_WORD };

static const struct imp_option options[] = {
	{OPT_OUT, "out", "FILE",
	 "a help that is long enough to need a second line, and so is broken", "x"},
	{OPT_ALL, "all", NULL, "short", NULL},
	{OPT_WORD, "a-word-that-is-rather-long", "WORD", "help on a line of its own", NULL},
	{0, NULL, NULL, NULL, NULL},
};

static const struct imp_command command = {
	.name = "test",
	.usage = "[ARG]",
	.about = "Tests.",
	.options = options,
	.status = "0  good\n1  bad",
	.usage_status = 42,
};

/* What the parser makes of an argument list, in short. */
static const char *parse(bool in_order, int argc, const char **argv)
{
	static char text[512];
	struct imp_arguments a;
	size_t n = 0;
	int id;

	text[0] = '\0';
	imp_arguments_begin(&a, &command, argc, (char **)(uintptr_t)argv, in_order);
	while ((id = imp_arguments_next(&a)) != IMP_ARGUMENTS_END) {
		if (id == IMP_ARGUMENTS_WRONG)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "wrong ");
		else if (id == IMP_OPERAND)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "<%s> ", a.operand);
		else
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%d=%s ",
					      id < IMP_OPTION_LONG ? id : id - IMP_OPTION_LONG,
					      a.value ? a.value : "");
		if (id == IMP_ARGUMENTS_WRONG || (in_order && id == IMP_OPERAND))
			break;
	}
	return text;
}

#define PARSE(in_order, ...)                                                                     \
	parse(in_order, (int)(sizeof((const char *[]){"test", ##__VA_ARGS__}) / sizeof(char *)), \
	      (const char *[]){"test", ##__VA_ARGS__, NULL})

static void test_parsing(void **state)
{
	(void)state;
	assert_string_equal(PARSE(false), "");
	assert_string_equal(PARSE(false, "-o", "f", "--all"), "111=f 0= ");
	assert_string_equal(PARSE(false, "-of", "--out=g", "--out", "h"), "111=f 111=g 111=h ");
	assert_string_equal(PARSE(false, "file", "-o", "f"), "<file> 111=f ");
	assert_string_equal(PARSE(false, "a", "--all", "b", "-", "-h"), "<a> 0= <b> <-> 104= ");
	assert_string_equal(PARSE(false, "--", "--all", "-o"), "<--all> <-o> ");
	assert_string_equal(PARSE(false, "a", "--", "--", "-o"), "<a> <--> <-o> ");
	assert_string_equal(PARSE(false, "-o", "--", "--"), "111=-- ");
	assert_string_equal(PARSE(true, "--all", "cmd", "--all", "-o"), "0= <cmd> ");
	assert_string_equal(PARSE(true, "--", "-o"), "<-o> ");
	assert_string_equal(PARSE(true, "--"), "");
	assert_string_equal(PARSE(false, ""), "<> ");
}

/* Runs with stderr in a file; returns what was said there. */
static const char *said(bool in_order, int argc, const char **argv)
{
	static char text[512];
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(file);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	assert_non_null(strstr(parse(in_order, argc, argv), "wrong"));
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

#define SAID(...)                                                                            \
	said(false, (int)(sizeof((const char *[]){"test", ##__VA_ARGS__}) / sizeof(char *)), \
	     (const char *[]){"test", ##__VA_ARGS__, NULL})
#define SEE " (see imptrace test --help)\n"

static void test_what_is_wrong_is_said(void **state)
{
	(void)state;
	assert_string_equal(SAID("-x"), "imptrace test: there is no option '-x'" SEE);
	assert_string_equal(SAID("--x=y"), "imptrace test: there is no option '--x'" SEE);
	assert_string_equal(SAID("a", "--x"), "imptrace test: there is no option '--x'" SEE);
	assert_string_equal(SAID("-o"), "imptrace test: -o wants a value: FILE" SEE);
	assert_string_equal(SAID("--out"), "imptrace test: --out wants a value: FILE" SEE);
	assert_string_equal(SAID("--all=3"), "imptrace test: --all takes no value" SEE);
	assert_string_equal(SAID("--a"), "imptrace test: there is no option '--a'" SEE);
}

static void test_help(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	imp_print_help(out, &command);
	fclose(out);
	assert_string_equal(
		text,
		"usage: imptrace test [ARG]\n\nTests.\n\noptions:\n"
		"  -o, --out=FILE          a help that is long enough to need a second line, and\n"
		"                          so is broken (default: x)\n"
		"      --all               short\n"
		"      --a-word-that-is-rather-long=WORD\n"
		"                          help on a line of its own\n"
		"  -h, --help              show this help and exit\n"
		"\nexit status:\n  0  good\n  1  bad\n");
	free(text);
}

/* The help of every subcommand, as wide as a terminal, with each of its options. */
static void test_help_of_all(void **state)
{
	static const struct imp_command *const all[] = {&imp_cmd_run, &imp_cmd_analyze,
							&imp_cmd_attach, &imp_cmd_dump};
	size_t i, size;

	(void)state;
	for (i = 0; i < 4; i++) {
		const struct imp_option *o;
		char *text = NULL, *line, *save = NULL;
		FILE *out = open_memstream(&text, &size);

		assert_non_null(out);
		imp_print_help(out, all[i]);
		fclose(out);
		for (o = all[i]->options; o->id; o++) {
			char name[64];

			snprintf(name, sizeof(name), "--%s", o->name);
			if (!strstr(text, name))
				fail_msg("%s: %s", all[i]->name, name);
		}
		for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			if (strlen(line) > 80)
				fail_msg("%s: %s", all[i]->name, line);
		free(text);
	}
}

static void test_choice(void **state)
{
	static const char *const words[] = {"text", "json", NULL};

	(void)state;
	assert_int_equal(imp_choice("text", words), 0);
	assert_int_equal(imp_choice("json", words), 1);
	assert_int_equal(imp_choice("", words), -1);
	assert_int_equal(imp_choice("jso", words), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parsing), cmocka_unit_test(test_what_is_wrong_is_said),
		cmocka_unit_test(test_help),	cmocka_unit_test(test_help_of_all),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
