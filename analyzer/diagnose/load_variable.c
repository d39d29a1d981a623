/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries of LD_LIBRARY_PATH that mean nothing to ld.so as they stand, and what they were meant to be. */
#include <string.h>
#include <sys/stat.h>

#include "judge_loader.h"

#define BLANKS_QUOTES " \t\r\n\"'"

/* "~/lib", "$HOME/lib", "${HOME}/lib": a shell would have put the directory there; what reads an .env file, or a unit, does not. */
static const char *expanded(struct imp_load *l, const char *item, const char **why)
{
	static const char *const words[] = {"~", "$HOME", "${HOME}"};
	const char *home = imp_record_env(l->c->image, "HOME");

	for (size_t i = 0; home && *home == '/' && i < sizeof(words) / sizeof(words[0]); i++) {
		size_t len = strlen(words[i]);

		if (strncmp(item, words[i], len) || (item[len] && item[len] != '/'))
			continue;
		*why = imp_arena_printf(
			l->c->a,
			"no shell put the home directory in the place of %s, and the loader does not",
			words[i]);
		return imp_arena_printf(l->c->a, "%s%s", home, item + len);
	}
	return item;
}

/* The directory that was meant; NULL: the entry means what it says */
static const char *meant(struct imp_load *l, const char *item, const char **why)
{
	struct imp_arena *a = l->c->a;
	const char *dir = item + strspn(item, BLANKS_QUOTES), *parent;
	size_t len = strlen(dir);
	struct stat st;

	while (len && strchr(BLANKS_QUOTES, dir[len - 1]))
		len--;
	dir = imp_arena_strndup(a, dir, len);
	if (strcmp(dir, item))
		*why = "the quotes and blanks in it are taken for a part of the name";
	dir = expanded(l, dir, why);
	if (*dir != '/' || imp_host_stat(l->c->host, dir, &st))
		return NULL;
	if (S_ISREG(st.st_mode) && (parent = imp_load_parent(a, dir))) {
		*why = "that is a file, and the loader wants directories";
		dir = parent;
	}
	return *why ? dir : NULL;
}

const char *imp_load_meant_entry(struct imp_load *l, size_t i, const char **item, const char **why)
{
	const char *value = imp_record_env(l->c->image, "LD_LIBRARY_PATH"), *dir;
	char *rest = value && l->c->host->enabled ?
			     imp_arena_strndup(l->c->a, value, strlen(value)) :
			     NULL;

	while ((*item = strsep(&rest, ":;"))) {
		*why = NULL;
		dir = **item ? meant(l, *item, why) : NULL;
		if (dir && !i--)
			return dir;
	}
	return NULL;
}

void imp_load_say_entry(struct imp_load *l, const char *name)
{
	const char *dir, *item, *why;

	for (size_t i = 0; (dir = imp_load_meant_entry(l, i, &item, &why)); i++)
		if (imp_load_fits(l, imp_arena_printf(l->c->a, "%s/%s", dir, name)))
			imp_finding_evidence(l->c->a, l->c->f, IMP_DERIVED,
					     "LD_LIBRARY_PATH has the entry %s: %s", item, why);
}
