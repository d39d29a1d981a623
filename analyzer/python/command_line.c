// SPDX-License-Identifier: GPL-2.0-or-later
#include "command_line.h"

#include <string.h>

/* In "-Bc" the letter that ends the cluster: one that takes a value. NULL: none does. */
static const char *value_letter(const char *option)
{
	return strpbrk(option + 1, "cmWXQ");
}

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1];
}

/* Words that an option takes besides itself: 1 where its value is the next one. */
static size_t value_words(const char *option)
{
	const char *letter;

	if (option[1] == '-')
		return !strcmp(option, "--check-hash-based-pycs");
	letter = value_letter(option);
	return letter && !letter[1];
}

void imp_command_line_parse(const struct imp_strings *argv, struct imp_command_line *out)
{
	const char *arg, *letter;
	size_t i;

	*out = (struct imp_command_line){.how = IMP_RUN_NOTHING, .options = argv->n, .args = argv->n};
	for (i = 1; i < argv->n; i += 1 + value_words(arg)) {
		arg = argv->v[i];
		if (!is_option(arg))
			break;
		if (!strcmp(arg, "--")) {
			out->options = i++;
			goto script;
		}
		letter = arg[1] == '-' ? NULL : value_letter(arg);
		if (!letter || (*letter != 'c' && *letter != 'm'))
			continue;
		out->options = i;
		if (letter[1])
			out->what = letter + 1;
		else if (i + 1 < argv->n)
			out->what = argv->v[i + 1];
		else
			return;
		out->how = *letter == 'c' ? IMP_RUN_CODE : IMP_RUN_MODULE;
		out->args = i + 1 + value_words(arg);
		return;
	}
	out->options = i < argv->n ? i : argv->n;
script:
	if (i >= argv->n)
		return;
	out->args = i + 1;
	if (!strcmp(argv->v[i], "-"))
		return;
	out->how = IMP_RUN_SCRIPT;
	out->what = argv->v[i];
}

bool imp_command_line_has(const struct imp_strings *argv, char letter)
{
	const char *arg, *value, *at;
	size_t i;

	for (i = 1; i < argv->n; i += 1 + value_words(arg)) {
		arg = argv->v[i];
		if (!is_option(arg) || !strcmp(arg, "--"))
			return false;
		if (arg[1] == '-')
			continue;
		value = value_letter(arg);
		at = strchr(arg + 1, letter);
		if (at && (!value || at <= value))
			return true;
		if (value && (*value == 'c' || *value == 'm'))
			return false;
	}
	return false;
}

/* @option less some of its first @len letters; "-" where none is left. */
static const char *without_letters(struct imp_arena *a, const char *option, size_t len,
				   const char *letters)
{
	char *kept = imp_arena_strndup(a, option, strlen(option));
	size_t i, n = 0;

	for (i = 0; option[i]; i++) {
		if (!i || i >= len || !strchr(letters, option[i]))
			kept[n++] = option[i];
	}
	kept[n] = '\0';
	return kept;
}

void imp_command_line_without(struct imp_arena *a, const struct imp_strings *argv,
			      const char *letters, struct imp_strings *out)
{
	bool last = false;
	size_t i, words;

	*out = (struct imp_strings){0};
	for (i = 1; i < argv->n && !last; i += 1 + words) {
		const char *arg = argv->v[i], *value;

		if (!is_option(arg) || !strcmp(arg, "--"))
			break;
		words = value_words(arg);
		value = arg[1] == '-' ? NULL : value_letter(arg);
		last = value && (*value == 'c' || *value == 'm');
		if (last) { /* "-Sc": what stands before the letter is an option all the same */
			arg = imp_arena_strndup(a, arg, (size_t)(value - arg));
			value = NULL;
			words = 0;
		}
		if (arg[1] != '-')
			arg = without_letters(a, arg, value ? (size_t)(value - arg) : strlen(arg),
					      letters);
		if (strcmp(arg, "-") == 0)
			continue;
		*imp_vec_push(a, out) = arg;
		if (words && i + 1 < argv->n)
			*imp_vec_push(a, out) = argv->v[i + 1];
	}
}
