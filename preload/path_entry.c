/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "path_look.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "raw_syscall.h"
#include "recorder.h"
#include "set_walk.h"
#include "poison.h"

/* For "", the finder of the working directory. */
static PyObject *finder_of(struct imp_look *l, PyObject *entry, size_t len)
{
	const struct imp_python_api *py = l->in->py;
	PyObject *cache = imp_python_dict_get(py, l->in->sys_dict, "path_importer_cache");
	PyObject *finder = NULL, *key = NULL;
	long ret;

	if (!imp_python_is(py, cache, py->types.dict)) {
		imp_python_drop(py, cache);
		return NULL;
	}
	if (len) {
		finder = imp_python_dict_find(py, cache, entry);
	} else {
		ret = imp_sys(SYS_getcwd, (long)l->t->text, (long)sizeof(l->t->text), 0, 0, 0);
		if (ret > 1)
			key = py->PyUnicode_DecodeFSDefaultAndSize(l->t->text, ret - 1);
		finder = imp_python_dict_find(py, cache, key);
		py->PyErr_Clear();
		imp_python_drop(py, key);
	}
	imp_python_drop(py, cache);
	if (finder == py->types.none) {
		py->Py_DecRef(finder);
		finder = NULL;
	}
	return finder;
}

static void put_finder(struct imp_look *l)
{
	struct imp_text_buf b = {.data = l->t->text, .size = sizeof(l->t->text)};

	if (!l->finder)
		return;
	imp_python_type_name(&b, l->in->py, imp_python_type(l->in->py, l->finder), false);
	imp_put_shared(l->c, IMP_ENTRY_FINDER, b.data, b.len);
}

/* The listing that a FileFinder holds, and whether it is of now. */
static void look_at_cache(struct imp_look *l, double *when)
{
	const struct imp_python_api *py = l->in->py;
	PyObject *mtime;

	*when = -1;
	if (!l->finder || !l->in->file_finder ||
	    imp_python_type(py, l->finder) != l->in->file_finder)
		return;
	l->cache = imp_python_plain_attr(py, l->finder, "_path_cache");
	if (!imp_python_is(py, l->cache, py->types.set)) {
		imp_python_drop(py, l->cache);
		l->cache = NULL;
		return;
	}
	mtime = imp_python_plain_attr(py, l->finder, "_path_mtime");
	if (imp_python_is(py, mtime, py->types.float_))
		*when = py->PyFloat_AsDouble(mtime);
	imp_python_drop(py, mtime);
	/* As os.stat() computes st_mtime. */
	l->fresh = *when == (double)l->st.st_mtim.tv_sec + 1e-9 * (double)l->st.st_mtim.tv_nsec;
}

static int64_t ctime_ns(const struct stat *st)
{
	return (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

static enum imp_path_state state_of(struct imp_look *l, const char *path)
{
	int ret = imp_look_stat(path, &l->st, 0);

	l->err = ret < 0 ? -ret : 0;
	if (ret < 0) {
		memset(&l->st, 0, sizeof(l->st));
		return l->err == ENOENT || l->err == ENOTDIR ? IMP_PATH_ABSENT : IMP_PATH_UNREADABLE;
	}
	if (S_ISREG(l->st.st_mode))
		return IMP_PATH_FILE;
	if (!S_ISDIR(l->st.st_mode))
		return IMP_PATH_OTHER;
	/* Listed and searched: both it must be. */
	ret = imp_look_access(path, R_OK | X_OK);
	l->err = ret < 0 ? -ret : 0;
	return ret < 0 ? IMP_PATH_UNREADABLE : IMP_PATH_DIRECTORY;
}

static void put_entry_of(struct imp_look *l, PyObject *entry, const struct imp_python_text *text)
{
	struct imp_cbor *c = l->c;
	enum imp_path_state state;
	double when = -1;
	bool fits = true;

	memcpy(l->t->path, text->data, text->len);
	if (!text->len)
		l->t->path[0] = '.';
	l->path_len = text->len ? text->len : 1;
	state = state_of(l, imp_look_entry_path(l));
	l->finder = finder_of(l, entry, text->len);
	if (l->t->path[l->path_len - 1] != '/')
		l->t->path[l->path_len++] = '/';
	imp_near_names_init(&l->near, l->tail, l->tail_len, l->t->listing, IMP_LOOK_NAMES_SIZE);

	imp_cbor_map_begin(c);
	imp_cbor_uint(c, IMP_ENTRY_ENTRY);
	imp_value_shared(c, text->data, text->len);
	put_finder(l);
	look_at_cache(l, &when);
	if (state == IMP_PATH_DIRECTORY) {
		if (l->cache)
			imp_look_match_cached_names(l);
		if (!l->cache || !l->fresh)
			imp_look_match_names_on_disk(l);
		/* While site runs, the listings are as young as the process. */
		if (l->finder && l->in->phase != IMP_PHASE_SITE &&
		    !(l->fresh && imp_interpreter_is_old(l->in, ctime_ns(&l->st))))
			imp_look_probe_names(l);
		if (l->err)
			state = IMP_PATH_UNREADABLE;
	} else if (l->finder && state != IMP_PATH_UNREADABLE) {
		imp_look_match_members(l, text);
	}
	imp_put_uint(c, IMP_ENTRY_STATE, state);
	if (l->err)
		imp_put_uint(c, IMP_ENTRY_ERRNO, (uint64_t)l->err);
	if (l->st.st_mode)
		imp_look_put_stat(c, IMP_ENTRY_STAT, &l->st);
	if (l->cache) {
		imp_put_int(c, IMP_ENTRY_FINDER_MTIME,
			    l->fresh ? imp_look_mtime_ns(&l->st) : (int64_t)(when * 1e9));
		imp_put_uint(c, IMP_ENTRY_FINDER_NAMES, (uint64_t)l->in->py->PySet_Size(l->cache));
	}
	if (state == IMP_PATH_DIRECTORY) {
		imp_look_put_candidates(l);
		fits = imp_look_put_metadata(l);
	} else {
		imp_look_put_members(l);
	}
	if (l->near.cut || !fits)
		imp_put_bool(c, IMP_ENTRY_CUT, true);
	if (l->hooked)
		imp_put_bool(c, IMP_ENTRY_HOOKED, true);
	imp_cbor_map_end(c);
	imp_python_drop(l->in->py, l->cache);
	imp_python_drop(l->in->py, l->finder);
	l->cache = NULL;
	l->finder = NULL;
	l->fresh = false;
}

void imp_look_put_entry(struct imp_look *l, PyObject *entry)
{
	struct imp_cbor_mark mark = imp_cbor_mark(l->c);
	struct imp_python_text text;

	/* What is no str is no directory that CPython would search. */
	if (imp_python_text_get_path(l->in->py, entry, &text) && text.len + 2 < sizeof(l->t->path)) {
		put_entry_of(l, entry, &text);
		/* The entries after it may still fit. */
		if (l->c->overflow)
			imp_cbor_rewind(l->c, mark);
	}
	imp_python_text_clear(l->in->py, &text);
}

/*
 * A submodule's distribution is described beside the top-level package: for each directory of the parent's
 * __path__, the one that many levels up. Only as far as a finder has listed it, which is the case where
 * the package came from there.
 */
void imp_look_consider_above(struct imp_look *l, PyObject *entry, const char *name, size_t name_len)
{
	const struct imp_python_api *py = l->in->py;
	struct imp_set_walk walk = {0};
	struct imp_python_text text, dir;
	PyObject *key, *item;
	double when;
	size_t i;

	if (!imp_python_text_get_path(py, entry, &text) || text.len + 2 > sizeof(l->t->path))
		goto out;
	dir = text;
	for (i = 0; i < name_len; i++) {
		if (name[i] != '.')
			continue;
		while (dir.len && dir.data[dir.len - 1] != '/')
			dir.len--;
		if (dir.len < 2)
			goto out;
		dir.len--;
	}
	memcpy(l->t->path, dir.data, dir.len);
	l->t->path[dir.len] = '/';
	l->path_len = dir.len + 1;
	key = py->PyUnicode_DecodeFSDefaultAndSize(dir.data, (ssize_t)dir.len);
	l->finder = key ? finder_of(l, key, dir.len) : NULL;
	py->PyErr_Clear();
	imp_python_drop(py, key);
	look_at_cache(l, &when);
	while (l->cache && (item = imp_set_next(py, l->cache, &walk))) {
		if (imp_python_is(py, item, py->types.str) && imp_look_may_be_metadata(py, item)) {
			imp_python_text_get_path(py, item, &dir);
			imp_claim_scan_consider(&l->claims, l->t->path, l->path_len, dir.data,
						dir.len);
			imp_python_text_clear(py, &dir);
		}
	}
	imp_set_walk_end(py, &walk);
	imp_python_drop(py, l->cache);
	imp_python_drop(py, l->finder);
	l->cache = NULL;
	l->finder = NULL;
out:
	imp_python_text_clear(py, &text);
}
