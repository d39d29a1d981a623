// SPDX-License-Identifier: GPL-2.0-or-later
#include "ld_conf.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <string.h>

#include "../host/host.h"

#define CONF_MAX  ((size_t)1 << 20)
#define DEPTH_MAX 8U	/* includes within includes; a file may include itself */
#define FILES_MAX 1000U /* and each of them may include all the others */
#define DIRS_MAX  10000U

static int read_file(struct imp_ld_conf *c, struct imp_arena *a, const struct imp_host *h,
		     const char *path, unsigned int depth);

static const char *blanks = " \t\r\f\v";

/* One pattern of an include line. Wildcards are looked for in the last part alone. */
static void include(struct imp_ld_conf *c, struct imp_arena *a, const struct imp_host *h,
		    const char *file, const char *pattern, unsigned int depth)
{
	const char *slash, *path = pattern;
	struct imp_strings names;
	char *dir;
	size_t i;

	if (pattern[0] != '/') {
		slash = strrchr(file, '/');
		path = imp_arena_printf(a, "%.*s%s", slash ? (int)(slash - file + 1) : 0, file,
					pattern);
	}
	slash = strrchr(path, '/');
	if (!slash)
		return;
	if (!strpbrk(slash, "*?[")) {
		read_file(c, a, h, path, depth);
		return;
	}
	dir = imp_arena_strndup(a, path, slash == path ? 1 : (size_t)(slash - path));
	if (imp_host_list(h, a, dir, &names) < 0)
		return;
	for (i = 0; i < names.n; i++) { /* sorted, as glob(3) sorts them */
		if (fnmatch(slash + 1, names.v[i], FNM_PERIOD) == 0)
			read_file(c, a, h, imp_arena_printf(a, "%s/%s", dir, names.v[i]), depth);
	}
}

static void line(struct imp_ld_conf *c, struct imp_arena *a, const struct imp_host *h,
		 const char *file, char *text, unsigned int number, unsigned int depth)
{
	struct imp_ld_conf_dir *d;
	char *word, *rest;
	size_t len;

	text[strcspn(text, "#")] = '\0';
	text += strspn(text, blanks);
	len = strlen(text);
	while (len && strchr(blanks, text[len - 1]))
		text[--len] = '\0';
	if (!*text)
		return;
	if (strncmp(text, "include", 7) == 0 && text[7] && strchr(blanks, text[7])) {
		for (word = strtok_r(text + 7, blanks, &rest); word;
		     word = strtok_r(NULL, blanks, &rest))
			include(c, a, h, file, word, depth);
		return;
	}
	if (strncmp(text, "hwcap", 5) == 0 && text[5] && strchr(blanks, text[5]))
		return; /* obsolete */
	/* "directory=TYPE" is a relic of libc5. */
	if ((word = strrchr(text, '=')) &&
	    (strcmp(word, "=libc6") == 0 || strcmp(word, "=libc5") == 0 ||
	     strcmp(word, "=libc4") == 0))
		*word = '\0';
	len = strlen(text);
	while (len > 1 && text[len - 1] == '/')
		text[--len] = '\0';
	if (c->n >= DIRS_MAX)
		return;
	d = imp_vec_push(a, c);
	d->dir = imp_arena_strndup(a, text, len);
	d->file = file;
	d->line = number;
}

static void lines(struct imp_ld_conf *c, struct imp_arena *a, const struct imp_host *h,
		  const char *file, char *text, unsigned int depth)
{
	unsigned int number = 0;
	char *one;

	while ((one = strsep(&text, "\n")))
		line(c, a, h, file, one, ++number, depth);
}

static int read_file(struct imp_ld_conf *c, struct imp_arena *a, const struct imp_host *h,
		     const char *path, unsigned int depth)
{
	size_t len;
	char *data;
	int ret;

	if (depth >= DEPTH_MAX || c->files++ >= FILES_MAX)
		return 0;
	ret = imp_host_read(h, a, path, CONF_MAX, &data, &len);
	if (ret == 0)
		lines(c, a, h, imp_arena_strndup(a, path, strlen(path)), data, depth + 1);
	return ret;
}

int imp_ld_conf_read(struct imp_ld_conf *c, struct imp_arena *a, const struct imp_host *h,
		     const char *path)
{
	memset(c, 0, sizeof(*c));
	return read_file(c, a, h, path, 0);
}

void imp_ld_conf_text(struct imp_ld_conf *c, struct imp_arena *a, const struct imp_host *h,
		      const char *file, const char *text)
{
	memset(c, 0, sizeof(*c));
	lines(c, a, h, file, imp_arena_strndup(a, text, strlen(text)), 1);
}
