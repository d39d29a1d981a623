/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TESTS_TEMP_TREE_H
#define IMP_TESTS_TEMP_TREE_H

/* A directory of its own for a test, with files in it; for the analyzer's tests of what lies on disk. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct temp_tree {
	char root[4096];
};

static inline void temp_tree_make(struct temp_tree *t)
{
	char *made;

	snprintf(t->root, sizeof(t->root), "%s/imptrace-unit-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	made = mkdtemp(t->root);
	if (!made)
		abort();
	made = realpath(t->root, NULL); /* /tmp itself may be a link */
	if (!made || strlen(made) >= sizeof(t->root))
		abort();
	strcpy(t->root, made);
	free(made);
}

/* The path of a name in the tree; sixteen may be in use at once. */
static inline const char *temp_tree_path(const struct temp_tree *t, const char *name)
{
	static char paths[16][8192];
	static unsigned int next;
	char *path = paths[next++ % 16];

	snprintf(path, sizeof(paths[0]), "%s%s%s", t->root, *name ? "/" : "", name);
	return path;
}

static inline void temp_tree_parents(const char *path)
{
	char copy[8192], *s;

	snprintf(copy, sizeof(copy), "%s", path);
	for (s = copy + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		mkdir(copy, 0755);
		*s = '/';
	}
}

/* Write a file, with its parents; a name that ends in '/' makes a directory. */
static inline const char *temp_tree_bytes(const struct temp_tree *t, const char *name,
					  const void *data, size_t len)
{
	const char *path = temp_tree_path(t, name);
	FILE *f;

	temp_tree_parents(path);
	if (path[strlen(path) - 1] == '/')
		return path;
	f = fopen(path, "w");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0)
		abort();
	return path;
}

static inline const char *temp_tree_write(const struct temp_tree *t, const char *name,
					  const char *text)
{
	return temp_tree_bytes(t, name, text, strlen(text));
}

static inline void temp_tree_link(const struct temp_tree *t, const char *target, const char *name)
{
	const char *path = temp_tree_path(t, name);

	temp_tree_parents(path);
	if (symlink(target, path) != 0)
		abort();
}

static inline int temp_tree_remove_one(const char *path, const struct stat *st, int type,
				       struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void temp_tree_remove(struct temp_tree *t)
{
	nftw(t->root, temp_tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
