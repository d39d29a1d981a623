/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_snapshot.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "directory_listing.h"
#include "near_names.h"
#include "python_claims.h"
#include "python_text.h"
#include "raw_syscall.h"
#include "recorder.h"
#include "poison.h"

#define ENTRIES_MAX	 256
#define NAMES_SIZE	 12288				/* of t->listing; python_claims.c has the next 4 KiB */
#define DIRENTS_AT	 16384				/* the rest is for entries of the disk */
#define DIRENTS_SIZE	 (IMP_LISTING_MAX - DIRENTS_AT)
#define LIST_MAX	 20000				/* names of one directory that are looked at */
#define INSIDE_MAX	 8
#define SUFFIXES_MAX	 16
#define ARCHIVE_MAX	 20000				/* members of one archive */
#define ITEM_RESERVE	 8192				/* of an event, kept for what follows the metadata names */

/* One entry of the search path while it is looked at. */
struct look {
	struct imp_thread *t;
	struct imp_interp *in;
	struct imp_cbor *c;
	const char *tail;
	size_t tail_len;
	size_t path_len;		/* of the entry's path in t->path, with a slash behind it */
	struct stat st;
	int err;			/* of stat, or of listing: a positive errno */
	PyObject *finder;		/* owned; NULL: none in path_importer_cache */
	PyObject *cache;		/* owned; a FileFinder's listing, a set, or NULL */
	bool fresh;			/* it is of the directory as it is now */
	bool hooked;
	struct imp_near_names near;
	struct imp_claim_scan claims;
};

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static void put_stat(struct imp_cbor *c, unsigned int key, const struct stat *st)
{
	imp_put_array(c, key);
	imp_cbor_uint(c, st->st_mode);
	imp_cbor_uint(c, st->st_uid);
	imp_cbor_uint(c, st->st_gid);
	imp_cbor_uint(c, (uint64_t)st->st_size);
	imp_cbor_int(c, mtime_ns(st));
	imp_cbor_array_end(c);
}

static int do_stat(const char *path, struct stat *st, int flags)
{
	return (int)imp_sys(SYS_newfstatat, AT_FDCWD, (long)path, (long)st, flags, 0);
}

static int do_access(const char *path, int mode)
{
	return (int)imp_sys(SYS_faccessat, AT_FDCWD, (long)path, mode, 0, 0);
}

/* The entry's path with @name behind it; NULL where it is too long. In t->path. */
static const char *path_of(struct look *l, const char *name, size_t len)
{
	if (len >= sizeof(l->t->path) - l->path_len)
		return NULL;
	memcpy(l->t->path + l->path_len, name, len);
	l->t->path[l->path_len + len] = '\0';
	return l->t->path;
}

/* The entry's path itself. */
static const char *entry_path(struct look *l)
{
	return path_of(l, "", 0);
}

/* ---- candidates ---------------------------------------------------------------------------------- */

static void put_inside(struct look *l, const char *path)
{
	static const char init[] = "__init__.";
	struct imp_directory d;
	const char *name;
	size_t len, count = 0;

	if (imp_directory_open(&d, path, l->t->listing + DIRENTS_AT, DIRENTS_SIZE, LIST_MAX) < 0)
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

static void put_target(struct look *l, const char *path)
{
	struct stat st;
	ssize_t len = imp_sys(SYS_readlinkat, AT_FDCWD, (long)path, (long)l->t->text,
			      (long)sizeof(l->t->text), 0);
	int ret;

	if (len > 0)
		imp_put_text(l->c, IMP_CAND_TARGET, l->t->text, (size_t)len);
	ret = do_stat(path, &st, 0);
	if (ret < 0)
		imp_put_uint(l->c, IMP_CAND_TARGET_ERRNO, (uint64_t)-ret);
}

static void put_candidate(struct look *l, const char *name, size_t len, unsigned int in_cache)
{
	const char *path = path_of(l, name, len);
	struct imp_cbor *c = l->c;
	struct stat st;
	int ret;

	if (!path)
		return;
	ret = do_stat(path, &st, AT_SYMLINK_NOFOLLOW);
	imp_cbor_map_begin(c);
	imp_cbor_uint(c, IMP_CAND_NAME);
	imp_value_text(c, name, len);
	if (ret < 0) {
		imp_put_uint(c, IMP_CAND_ERRNO, (uint64_t)-ret);
		imp_put_bool(c, IMP_CAND_ON_DISK, ret != -ENOENT);
	} else {
		put_stat(c, IMP_CAND_STAT, &st);
		if (S_ISLNK(st.st_mode))
			put_target(l, path);
	}
	if (in_cache != IMP_CACHE_UNKNOWN)
		imp_put_bool(c, IMP_CAND_IN_CACHE, in_cache == IMP_CACHE_YES);
	if (ret == 0) {
		int denied = S_ISLNK(st.st_mode) ? 0 : do_access(path, R_OK);

		if (denied < 0)
			imp_put_uint(c, IMP_CAND_ACCESS, (uint64_t)-denied);
		if (S_ISDIR(st.st_mode) && !imp_near_names_is_metadata(name, len))
			put_inside(l, path);
	}
	imp_cbor_map_end(c);
}

static void put_candidates(struct look *l)
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

/* ---- the finder's cached listing ----------------------------------------------------------------- */

/*
 * Steps through a set. Directly where there is a GIL, and CPython exports it; else with an iterator, which
 * is an object more for the garbage collector.
 */
struct set_walk {
	PyObject *iterator;
	ssize_t at;
};

static bool walks_directly(const struct imp_python_api *py)
{
	return py->_PySet_NextEntry && py->types.object_size == 2 * sizeof(void *);
}

/* A new reference, or NULL at the end. */
static PyObject *set_next(const struct imp_python_api *py, PyObject *set, struct set_walk *walk)
{
	PyObject *item;
	ssize_t hash;

	if (walks_directly(py)) {
		if (!py->_PySet_NextEntry(set, &walk->at, &item, &hash))
			return NULL;
		py->Py_IncRef(item);
		return item;
	}
	if (!walk->iterator)
		walk->iterator = py->PyObject_GetIter(set);
	item = walk->iterator ? py->PyIter_Next(walk->iterator) : NULL;
	if (!item)
		py->PyErr_Clear();
	return item;
}

static void set_walk_end(const struct imp_python_api *py, struct set_walk *walk)
{
	imp_python_drop(py, walk->iterator);
}

static uint32_t lower(uint32_t c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* A quick look at a str, before it is worth to be encoded: most names begin otherwise. */
static bool may_match(const struct imp_python_api *py, const char *tail, PyObject *name)
{
	unsigned char first = (unsigned char)tail[0];

	return first >= 0x80 || (py->PyUnicode_GetLength(name) > 0 &&
				 lower(py->PyUnicode_ReadChar(name, 0)) == lower(first));
}

static bool may_be_metadata(const struct imp_python_api *py, PyObject *name)
{
	ssize_t len = py->PyUnicode_GetLength(name);
	uint32_t last;

	if (len < 4)
		return false;
	last = py->PyUnicode_ReadChar(name, len - 1);
	return last == 'o' || last == 'k' || last == 'h' || py->PyUnicode_ReadChar(name, 0) == '_';
}

/* A name that the directory holds: is it a candidate, or a distribution that may claim the module? */
static void look_at_name(struct look *l, const char *name, size_t len, enum imp_in_cache in_cache)
{
	if (imp_near_names_match(&l->near, name, len))
		imp_near_names_add(&l->near, name, len, in_cache);
	imp_claim_scan_consider(&l->claims, l->t->path, l->path_len, name, len);
}

static void match_cached_names(struct look *l)
{
	const struct imp_python_api *py = l->in->py;
	struct set_walk walk = {0};
	struct imp_python_text text;
	PyObject *name;

	while ((name = set_next(py, l->cache, &walk))) {
		if (imp_python_is(py, name, py->types.str) &&
		    (may_match(py, l->tail, name) || (l->claims.modules_count && may_be_metadata(py, name)))) {
			imp_python_text_get_path(py, name, &text);
			look_at_name(l, text.data, text.len, IMP_CACHE_YES);
			imp_python_text_clear(py, &text);
		}
		py->Py_DecRef(name);
	}
	set_walk_end(py, &walk);
}

/* ---- the disk ------------------------------------------------------------------------------------ */

static enum imp_in_cache unlisted(const struct look *l)
{
	return l->cache ? IMP_CACHE_NO : IMP_CACHE_UNKNOWN;
}

static void match_names_on_disk(struct look *l)
{
	struct imp_directory d;
	const char *name;
	size_t len;
	int ret = imp_directory_open(&d, entry_path(l), l->t->listing + DIRENTS_AT,
				     DIRENTS_SIZE, LIST_MAX);

	if (ret < 0) {
		l->err = -ret;
		return;
	}
	while ((name = imp_directory_next(&d, &len)))
		look_at_name(l, name, len, unlisted(l));
	imp_directory_close(&d);
}

static void probe(struct look *l, const char *suffix, size_t suffix_len)
{
	char *name = l->t->text;
	size_t len = l->tail_len + suffix_len;
	const char *path;
	struct stat st;

	if (len > sizeof(l->t->text))
		return;
	memcpy(name, l->tail, l->tail_len);
	memcpy(name + l->tail_len, suffix, suffix_len);
	path = path_of(l, name, len);
	if (path && do_stat(path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		imp_near_names_add(&l->near, name, len, unlisted(l));
}

/*
 * The very names that the finder tries, asked of the disk: its cached listing counts as fresh as long as
 * the directory's mtime is the same, which a file made in the same tick of the clock does not change.
 */
static void probe_names(struct look *l)
{
	const struct imp_python_api *py = l->in->py;
	PyObject *loaders = imp_python_plain_attr(py, l->finder, "_loaders");
	ssize_t i, size = imp_python_sequence_size(py, loaders);
	struct imp_python_text text;
	PyObject *loader, *suffix;

	probe(l, "", 0);
	for (i = 0; i < size && i < SUFFIXES_MAX; i++) {
		loader = imp_python_sequence_item(py, loaders, i);
		if (imp_python_sequence_size(py, loader) > 0) {
			suffix = imp_python_sequence_item(py, loader, 0);
			if (imp_python_text_get_path(py, suffix, &text))
				probe(l, text.data, text.len);
			imp_python_text_clear(py, &text);
			imp_python_drop(py, suffix);
		}
		imp_python_drop(py, loader);
	}
	imp_python_drop(py, loaders);
}

/* ---- metadata names ------------------------------------------------------------------------------ */

/* Room for one more name? Else the list ends here. */
static bool metadata_fits(struct look *l)
{
	return !l->c->overflow && l->c->len + ITEM_RESERVE + 256 < l->c->size;
}

static bool put_cached_metadata(struct look *l)
{
	const struct imp_python_api *py = l->in->py;
	struct set_walk walk = {0};
	struct imp_python_text text;
	bool fits = true;
	PyObject *name;

	while (fits && (name = set_next(py, l->cache, &walk))) {
		if (imp_python_is(py, name, py->types.str) && may_be_metadata(py, name)) {
			imp_python_text_get_path(py, name, &text);
			if (imp_near_names_is_metadata(text.data, text.len)) {
				fits = metadata_fits(l);
				if (fits)
					imp_value_text(l->c, text.data, text.len);
			}
			imp_python_text_clear(py, &text);
		}
		py->Py_DecRef(name);
	}
	set_walk_end(py, &walk);
	return fits;
}

static bool put_metadata_on_disk(struct look *l)
{
	struct imp_directory d;
	bool fits = true;
	const char *name;
	size_t len;

	if (imp_directory_open(&d, entry_path(l), l->t->listing + DIRENTS_AT, DIRENTS_SIZE, LIST_MAX) < 0)
		return true;
	while (fits && (name = imp_directory_next(&d, &len))) {
		if (!imp_near_names_is_metadata(name, len))
			continue;
		fits = metadata_fits(l);
		if (fits)
			imp_value_text(l->c, name, len);
	}
	imp_directory_close(&d);
	return fits;
}

/*
 * Which distributions are installed there; once for each directory and mtime. Not while site runs:
 * sitecustomize and usercustomize are missing at almost every start.
 */
static bool put_metadata(struct look *l)
{
	bool fits;

	if (l->in->phase == IMP_PHASE_SITE ||
	    !imp_interpreter_first_look(l->in, l->t->path, l->path_len, mtime_ns(&l->st)))
		return true;
	imp_put_array(l->c, IMP_ENTRY_METADATA);
	fits = l->cache && l->fresh ? put_cached_metadata(l) : put_metadata_on_disk(l);
	imp_cbor_array_end(l->c);
	return fits;
}

/* ---- archives ------------------------------------------------------------------------------------ */

/*
 * The members of the archive at this path, as zipimport has read them: a dict, whose keys are their
 * paths in it. @inside: what stands in the entry behind the archive's own path, if it is below it.
 */
static PyObject *archive_members(struct look *l, const struct imp_python_text *entry,
				 struct imp_python_text *inside)
{
	const struct imp_python_api *py = l->in->py;
	PyObject *module = imp_python_dict_get(py, py->PyImport_GetModuleDict(), "zipimport");
	PyObject *all = NULL, *members = NULL, *key;
	size_t len = entry->len;

	if (imp_python_is_module(py, module))
		all = imp_python_dict_get(py, py->PyModule_GetDict(module), "_zip_directory_cache");
	while (len && imp_python_is(py, all, py->types.dict)) {
		key = py->PyUnicode_DecodeFSDefaultAndSize(entry->data, (ssize_t)len);
		members = imp_python_dict_find(py, all, key);
		py->PyErr_Clear();
		imp_python_drop(py, key);
		if (members)
			break;
		do
			len--;
		while (len && entry->data[len] != '/');
	}
	if (members && !imp_python_is(py, members, py->types.dict)) {
		py->Py_DecRef(members);
		members = NULL;
	}
	*inside = (struct imp_python_text){.data = entry->data + len, .len = entry->len - len};
	if (inside->len) {		/* not the slash */
		inside->data++;
		inside->len--;
	}
	imp_python_drop(py, all);
	imp_python_drop(py, module);
	return members;
}

/* A member right in the searched folder, or the __init__ of a package there. */
static void match_member(struct look *l, const char *name, size_t len)
{
	const char *slash = memchr(name, '/', len);
	size_t first = slash ? (size_t)(slash - name) : len;

	if (imp_near_names_match(&l->near, name, first) &&
	    (!slash || !strncmp(slash, "/__init__.", 10)))
		imp_near_names_add(&l->near, name, len, IMP_CACHE_YES);
}

static void match_members(struct look *l, const struct imp_python_text *entry)
{
	const struct imp_python_api *py = l->in->py;
	struct imp_python_text inside, text;
	PyObject *members = archive_members(l, entry, &inside);
	PyObject *key, *value;
	ssize_t at = 0;
	size_t steps = 0;

	/* Without a GIL, a dict that another thread may change is not stepped through. */
	if (members && py->types.object_size != 2 * sizeof(void *)) {
		py->Py_DecRef(members);
		return;
	}
	while (members && steps++ < ARCHIVE_MAX && py->PyDict_Next(members, &at, &key, &value)) {
		if (!imp_python_is(py, key, py->types.str) ||
		    !may_match(py, inside.len ? inside.data : l->tail, key))
			continue;
		imp_python_text_get_path(py, key, &text);
		if (!inside.len)
			match_member(l, text.data, text.len);
		else if (text.len > inside.len + 1 && text.data[inside.len] == '/' &&
			 !memcmp(text.data, inside.data, inside.len))
			match_member(l, text.data + inside.len + 1, text.len - inside.len - 1);
		imp_python_text_clear(py, &text);
	}
	imp_python_drop(py, members);
}

static void put_members(struct look *l)
{
	size_t i;

	if (!l->near.count)
		return;
	imp_put_array(l->c, IMP_ENTRY_CANDIDATES);
	for (i = 0; i < l->near.count; i++) {
		imp_cbor_map_begin(l->c);
		imp_cbor_uint(l->c, IMP_CAND_NAME);
		imp_value_text(l->c, l->near.buf + l->near.names[i].start, l->near.names[i].len);
		imp_put_bool(l->c, IMP_CAND_ON_DISK, false);
		imp_put_bool(l->c, IMP_CAND_IN_CACHE, true);
		imp_cbor_map_end(l->c);
	}
	imp_cbor_array_end(l->c);
}

/* ---- one entry ----------------------------------------------------------------------------------- */

/* For "", the finder of the working directory. */
static PyObject *finder_of(struct look *l, PyObject *entry, size_t len)
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

static void put_finder(struct look *l)
{
	struct imp_text_buf b = {.data = l->t->text, .size = sizeof(l->t->text)};

	if (!l->finder)
		return;
	imp_python_type_name(&b, l->in->py, imp_python_type(l->in->py, l->finder), false);
	imp_put_shared(l->c, IMP_ENTRY_FINDER, b.data, b.len);
}

/* The listing that a FileFinder holds, and whether it is of now. */
static void look_at_cache(struct look *l, double *when)
{
	const struct imp_python_api *py = l->in->py;
	PyObject *mtime;

	*when = -1;
	if (!l->finder || !l->in->file_finder || imp_python_type(py, l->finder) != l->in->file_finder)
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

static enum imp_path_state state_of(struct look *l, const char *path)
{
	int ret = do_stat(path, &l->st, 0);

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
	ret = do_access(path, R_OK | X_OK);
	l->err = ret < 0 ? -ret : 0;
	return ret < 0 ? IMP_PATH_UNREADABLE : IMP_PATH_DIRECTORY;
}

static void put_entry_of(struct look *l, PyObject *entry, const struct imp_python_text *text)
{
	struct imp_cbor *c = l->c;
	enum imp_path_state state;
	double when = -1;
	bool fits = true;

	memcpy(l->t->path, text->data, text->len);
	if (!text->len)
		l->t->path[0] = '.';
	l->path_len = text->len ? text->len : 1;
	state = state_of(l, entry_path(l));
	l->finder = finder_of(l, entry, text->len);
	if (l->t->path[l->path_len - 1] != '/')
		l->t->path[l->path_len++] = '/';
	imp_near_names_init(&l->near, l->tail, l->tail_len, l->t->listing, NAMES_SIZE);

	imp_cbor_map_begin(c);
	imp_cbor_uint(c, IMP_ENTRY_ENTRY);
	imp_value_shared(c, text->data, text->len);
	put_finder(l);
	look_at_cache(l, &when);
	if (state == IMP_PATH_DIRECTORY) {
		if (l->cache)
			match_cached_names(l);
		if (!l->cache || !l->fresh)
			match_names_on_disk(l);
		if (l->finder)
			probe_names(l);
		if (l->err)
			state = IMP_PATH_UNREADABLE;
	} else if (l->finder && state != IMP_PATH_UNREADABLE) {
		match_members(l, text);
	}
	imp_put_uint(c, IMP_ENTRY_STATE, state);
	if (l->err)
		imp_put_uint(c, IMP_ENTRY_ERRNO, (uint64_t)l->err);
	if (l->st.st_mode)
		put_stat(c, IMP_ENTRY_STAT, &l->st);
	if (l->cache) {
		imp_put_int(c, IMP_ENTRY_FINDER_MTIME,
			    l->fresh ? mtime_ns(&l->st) : (int64_t)(when * 1e9));
		imp_put_uint(c, IMP_ENTRY_FINDER_NAMES, (uint64_t)l->in->py->PySet_Size(l->cache));
	}
	if (state == IMP_PATH_DIRECTORY) {
		put_candidates(l);
		fits = put_metadata(l);
	} else {
		put_members(l);
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

static void put_entry(struct look *l, PyObject *entry)
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
static void consider_above(struct look *l, PyObject *entry, const char *name, size_t name_len)
{
	const struct imp_python_api *py = l->in->py;
	struct set_walk walk = {0};
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
	while (l->cache && (item = set_next(py, l->cache, &walk))) {
		if (imp_python_is(py, item, py->types.str) && may_be_metadata(py, item)) {
			imp_python_text_get_path(py, item, &dir);
			imp_claim_scan_consider(&l->claims, l->t->path, l->path_len, dir.data,
						dir.len);
			imp_python_text_clear(py, &dir);
		}
		py->Py_DecRef(item);
	}
	set_walk_end(py, &walk);
	imp_python_drop(py, l->cache);
	imp_python_drop(py, l->finder);
	l->cache = NULL;
	l->finder = NULL;
out:
	imp_python_text_clear(py, &text);
}

/* ---- the event ----------------------------------------------------------------------------------- */

/* The name's part before its last dot: a new reference, NULL where there is none. */
static PyObject *parent_name(const struct imp_python_api *py, PyObject *name)
{
	ssize_t i = py->PyUnicode_GetLength(name);
	PyObject *parent;

	while (i > 0 && py->PyUnicode_ReadChar(name, i - 1) != '.')
		i--;
	if (i <= 0)
		return NULL;
	parent = py->PyUnicode_Substring(name, 0, i - 1);
	if (!parent)
		py->PyErr_Clear();
	return parent;
}

/* A value of the parent package's __dict__. */
static PyObject *parent_value(struct imp_interp *in, PyObject *name, const char *key)
{
	const struct imp_python_api *py = in->py;
	PyObject *parent = parent_name(py, name), *module, *value = NULL;

	if (!parent)
		return NULL;
	module = imp_python_dict_find(py, py->PyImport_GetModuleDict(), parent);
	if (imp_python_is_module(py, module))
		value = imp_python_dict_get(py, py->PyModule_GetDict(module), key);
	imp_python_drop(py, module);
	imp_python_drop(py, parent);
	return value;
}

PyObject *imp_snapshot_parent_path(struct imp_interp *in, PyObject *name)
{
	PyObject *path = parent_value(in, name, "__path__"), *list;

	if (!path || imp_python_sequence_size(in->py, path) >= 0)
		return path;
	/* A namespace package's: an object that computes it; what it computed last is a list in it. */
	list = imp_python_plain_attr(in->py, path, "_path");
	in->py->Py_DecRef(path);
	if (list && imp_python_sequence_size(in->py, list) < 0) {
		in->py->Py_DecRef(list);
		list = NULL;
	}
	return list;
}

static enum imp_module_state module_state(struct imp_interp *in, PyObject *name)
{
	PyObject *module = imp_python_dict_find(in->py, in->py->PyImport_GetModuleDict(), name);
	enum imp_module_state state = IMP_MODULE_PRESENT;

	if (!module)
		state = IMP_MODULE_ABSENT;
	else if (module == in->py->types.none)
		state = IMP_MODULE_NONE;
	imp_python_drop(in->py, module);
	return state;
}

/* What frozen programs set: sys._MEIPASS is a directory, sys.frozen a word or True. */
static void put_frozen(struct imp_cbor *c, struct imp_interp *in)
{
	const struct imp_python_api *py = in->py;
	PyObject *place = imp_python_dict_get(py, in->sys_dict, "_MEIPASS");
	PyObject *frozen = imp_python_dict_get(py, in->sys_dict, "frozen");

	if (imp_python_is(py, place, py->types.str))
		imp_python_put_text(c, py, IMP_KEY_FROZEN, place);
	else if (imp_python_is(py, frozen, py->types.str))
		imp_python_put_text(c, py, IMP_KEY_FROZEN, frozen);
	else if (frozen && frozen != py->types.none)
		imp_put_text(c, IMP_KEY_FROZEN, "True", 4);
	imp_python_drop(py, frozen);
	imp_python_drop(py, place);
}

void imp_snapshot_write(struct imp_thread *t, struct imp_interp *in, uint32_t attempt, PyObject *name,
			PyObject *parent_path)
{
	const struct imp_python_api *py = in->py;
	struct look l = {.t = t, .in = in, .hooked = parent_path};
	struct imp_python_text text;
	PyObject *path = NULL, *item;
	const char *dot;
	ssize_t i, size;

	imp_python_text_get(py, name, &text);
	dot = memrchr(text.data, '.', text.len);
	l.tail = dot ? dot + 1 : text.data;
	l.tail_len = text.len - (size_t)(l.tail - text.data);
	if (parent_path) {
		path = parent_path;
		py->Py_IncRef(path);
	} else if (!dot) {
		path = imp_python_dict_get(py, in->sys_dict, "path");
	}
	imp_claims_begin(&l.claims, t, in, text.data, text.len);
	l.c = imp_record_begin(t, IMP_EV_SNAPSHOT);
	imp_put_uint(l.c, IMP_KEY_IMPORT, attempt);
	imp_put_shared(l.c, IMP_KEY_TEXT, text.data, text.len);
	imp_put_uint(l.c, IMP_KEY_SYS_MODULES, module_state(in, name));
	imp_put_array(l.c, IMP_KEY_ENTRIES);
	size = imp_python_sequence_size(py, path);
	for (i = 0; i < size && i < ENTRIES_MAX; i++) {
		item = imp_python_sequence_item(py, path, i);
		if (item)
			put_entry(&l, item);
		imp_python_drop(py, item);
	}
	imp_cbor_array_end(l.c);
	imp_interpreter_put_meta_path(l.c, t, in);
	put_frozen(l.c, in);
	if (dot) {
		item = parent_value(in, name, "__file__");
		imp_python_put_path(l.c, py, IMP_KEY_MODULE_FILE, item);
		imp_python_drop(py, item);
	}
	imp_record_end(t);
	for (i = 0; parent_path && l.claims.modules_count && i < size && i < ENTRIES_MAX; i++) {
		item = imp_python_sequence_item(py, path, i);
		consider_above(&l, item, text.data, text.len);
		imp_python_drop(py, item);
	}
	imp_claims_write(&l.claims, t);
	imp_python_drop(py, path);
	imp_python_text_clear(py, &text);
}
