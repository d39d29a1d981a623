/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "path_look.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "directory_listing.h"
#include "raw_syscall.h"
#include "recorder.h"
#include "poison.h"

#define INSIDE_MAX 8

int64_t imp_look_mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

void imp_look_put_stat(struct imp_cbor *c, unsigned int key, const struct stat *st)
{
	imp_put_array(c, key);
	imp_cbor_uint(c, st->st_mode);
	imp_cbor_uint(c, st->st_uid);
	imp_cbor_uint(c, st->st_gid);
	imp_cbor_uint(c, (uint64_t)st->st_size);
	imp_cbor_int(c, imp_look_mtime_ns(st));
	imp_cbor_array_end(c);
}

int imp_look_stat(const char *path, struct stat *st, int flags)
{
	return (int)imp_sys(SYS_newfstatat, AT_FDCWD, (long)path, (long)st, flags, 0);
}

int imp_look_access(const char *path, int mode)
{
	return (int)imp_sys(SYS_faccessat, AT_FDCWD, (long)path, mode, 0, 0);
}

/* The entry's path with @name behind it; NULL where it is too long. In t->path. */
const char *imp_look_path(struct imp_look *l, const char *name, size_t len)
{
	if (len >= sizeof(l->t->path) - l->path_len)
		return NULL;
	memcpy(l->t->path + l->path_len, name, len);
	l->t->path[l->path_len + len] = '\0';
	return l->t->path;
}

/* The entry's path itself. */
const char *imp_look_entry_path(struct imp_look *l)
{
	return imp_look_path(l, "", 0);
}

static void put_inside(struct imp_look *l, const char *path)
{
	static const char init[] = "__init__.";
	struct imp_directory d;
	const char *name;
	size_t len, count = 0;

	if (imp_directory_open(&d, path, l->t->listing + IMP_LOOK_DIRENTS_AT, IMP_LOOK_DIRENTS_SIZE,
			       IMP_LOOK_NAMES_MAX) < 0)
		return;
	imp_put_array(l->c, IMP_CAND_INSIDE);
	while (count < INSIDE_MAX && (name = imp_directory_next(&d, &len))) {
		if (len >= sizeof(init) - 1 && !memcmp(name, init, sizeof(init) - 1)) {
			imp_value_text(l->c, name, len);
			count++;
		}
	}
	imp_cbor_array_end(l->c);
	imp_directory_close(&d);
}

static void put_target(struct imp_look *l, const char *path)
{
	struct stat st;
	ssize_t len = imp_sys(SYS_readlinkat, AT_FDCWD, (long)path, (long)l->t->text,
			      (long)sizeof(l->t->text), 0);
	int ret;

	if (len > 0)
		imp_put_text(l->c, IMP_CAND_TARGET, l->t->text, (size_t)len);
	ret = imp_look_stat(path, &st, 0);
	if (ret < 0)
		imp_put_uint(l->c, IMP_CAND_TARGET_ERRNO, (uint64_t)-ret);
}

static void put_candidate(struct imp_look *l, const char *name, size_t len, unsigned int in_cache)
{
	const char *path = imp_look_path(l, name, len);
	struct imp_cbor *c = l->c;
	struct stat st = {0};
	int ret;

	if (!path)
		return;
	ret = imp_look_stat(path, &st, AT_SYMLINK_NOFOLLOW);
	imp_cbor_map_begin(c);
	imp_cbor_uint(c, IMP_CAND_NAME);
	imp_value_text(c, name, len);
	if (ret < 0) {
		imp_put_uint(c, IMP_CAND_ERRNO, (uint64_t)-ret);
		imp_put_bool(c, IMP_CAND_ON_DISK, ret != -ENOENT);
	} else {
		imp_look_put_stat(c, IMP_CAND_STAT, &st);
		if (S_ISLNK(st.st_mode))
			put_target(l, path);
	}
	if (in_cache != IMP_CACHE_UNKNOWN)
		imp_put_bool(c, IMP_CAND_IN_CACHE, in_cache == IMP_CACHE_YES);
	if (ret == 0) {
		int denied = S_ISLNK(st.st_mode) ? 0 : imp_look_access(path, R_OK);

		if (denied < 0)
			imp_put_uint(c, IMP_CAND_ACCESS, (uint64_t)-denied);
		if (S_ISDIR(st.st_mode) && !imp_near_names_is_metadata(name, len))
			put_inside(l, path);
	}
	imp_cbor_map_end(c);
}

void imp_look_put_candidates(struct imp_look *l)
{
	size_t i;

	if (!l->near.count)
		return;
	imp_put_array(l->c, IMP_ENTRY_CANDIDATES);
	for (i = 0; i < l->near.count; i++)
		put_candidate(l, l->near.buf + l->near.names[i].start, l->near.names[i].len,
			      l->near.names[i].in_cache);
	imp_cbor_array_end(l->c);
}
