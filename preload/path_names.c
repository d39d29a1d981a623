/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "path_look.h"

#include <fcntl.h>
#include <string.h>

#include "directory_listing.h"
#include "name_index.h"
#include "recorder.h"
#include "set_walk.h"
#include "poison.h"

#define SUFFIXES_MAX 16
#define ITEM_RESERVE 8192 /* of an event, kept for what follows the metadata names */

static uint32_t lower(uint32_t c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* A quick look at a str, before it is worth to be encoded: most names begin otherwise. */
bool imp_look_may_match(const struct imp_python_api *py, const char *tail, PyObject *name)
{
	unsigned char first = (unsigned char)tail[0];

	return first >= 0x80 || (py->PyUnicode_GetLength(name) > 0 &&
				 lower(py->PyUnicode_ReadChar(name, 0)) == lower(first));
}

static bool may_be_metadata(uint32_t first, uint32_t last)
{
	return last == 'o' || last == 'k' || last == 'h' || first == '_';
}

bool imp_look_may_be_metadata(const struct imp_python_api *py, PyObject *name)
{
	ssize_t len = py->PyUnicode_GetLength(name);

	return len >= 4 && may_be_metadata(py->PyUnicode_ReadChar(name, 0),
					   py->PyUnicode_ReadChar(name, len - 1));
}

/* Both of the above, of a name in an index (name_index.h). */
static bool is_worth_a_look(const struct imp_look *l, uint8_t first, uint8_t last)
{
	const unsigned char wanted = (unsigned char)l->tail[0];

	return wanted >= 0x80 || first == lower(wanted) ||
	       (l->claims.modules_count && may_be_metadata(first, last));
}

/* A name that the directory holds: is it a candidate, or a distribution that may claim the module? */
static void look_at_name(struct imp_look *l, const char *name, size_t len,
			 enum imp_in_cache in_cache)
{
	if (imp_near_names_match(&l->near, name, len))
		imp_near_names_add(&l->near, name, len, in_cache);
	imp_claim_scan_consider(&l->claims, l->t->path, l->path_len, name, len);
}

static void look_at_str(struct imp_look *l, PyObject *name)
{
	struct imp_python_text text;

	imp_python_text_get_path(l->in->py, name, &text);
	look_at_name(l, text.data, text.len, IMP_CACHE_YES);
	imp_python_text_clear(l->in->py, &text);
}

void imp_look_match_cached_names(struct imp_look *l)
{
	const struct imp_python_api *py = l->in->py;
	const struct imp_indexed_name *names;
	struct imp_set_walk walk = {0};
	size_t i, count;
	PyObject *name;

	names = imp_name_index_get(&l->in->listings, py, l->cache, &count);
	for (i = 0; names && i < count; i++)
		if (is_worth_a_look(l, names[i].first, names[i].last))
			look_at_str(l, names[i].name);
	if (names)
		return;
	while ((name = imp_set_next(py, l->cache, &walk)))
		if (imp_python_is(py, name, py->types.str) &&
		    (imp_look_may_match(py, l->tail, name) ||
		     (l->claims.modules_count && imp_look_may_be_metadata(py, name))))
			look_at_str(l, name);
	imp_set_walk_end(py, &walk);
}

static enum imp_in_cache unlisted(const struct imp_look *l)
{
	return l->cache ? IMP_CACHE_NO : IMP_CACHE_UNKNOWN;
}

void imp_look_match_names_on_disk(struct imp_look *l)
{
	struct imp_directory d;
	const char *name;
	size_t len;
	int ret = imp_directory_open(&d, imp_look_entry_path(l), l->t->listing + IMP_LOOK_DIRENTS_AT,
				     IMP_LOOK_DIRENTS_SIZE, IMP_LOOK_NAMES_MAX);

	if (ret < 0) {
		l->err = -ret;
		return;
	}
	while ((name = imp_directory_next(&d, &len)))
		look_at_name(l, name, len, unlisted(l));
	imp_directory_close(&d);
}

static void probe(struct imp_look *l, const char *suffix, size_t suffix_len)
{
	char *name = l->t->text;
	size_t len = l->tail_len + suffix_len;
	const char *path;
	struct stat st;

	if (len > sizeof(l->t->text))
		return;
	memcpy(name, l->tail, l->tail_len);
	memcpy(name + l->tail_len, suffix, suffix_len);
	path = imp_look_path(l, name, len);
	if (path && imp_look_stat(path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		imp_near_names_add(&l->near, name, len, unlisted(l));
}

/*
 * The very names that the finder tries, asked of the disk: its cached listing counts as fresh as long as
 * the directory's mtime is the same, which a file made in the same tick of the clock does not change.
 */
void imp_look_probe_names(struct imp_look *l)
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

/* Room for one more name? Else the list ends here. */
static bool metadata_fits(struct imp_look *l)
{
	return !l->c->overflow && l->c->len + ITEM_RESERVE + 256 < l->c->size;
}

static bool put_cached_metadata(struct imp_look *l)
{
	const struct imp_python_api *py = l->in->py;
	struct imp_set_walk walk = {0};
	struct imp_python_text text;
	bool fits = true;
	PyObject *name;

	while (fits && (name = imp_set_next(py, l->cache, &walk))) {
		if (imp_python_is(py, name, py->types.str) && imp_look_may_be_metadata(py, name)) {
			imp_python_text_get_path(py, name, &text);
			if (imp_near_names_is_metadata(text.data, text.len)) {
				fits = metadata_fits(l);
				if (fits)
					imp_value_text(l->c, text.data, text.len);
			}
			imp_python_text_clear(py, &text);
		}
	}
	imp_set_walk_end(py, &walk);
	return fits;
}

static bool put_metadata_on_disk(struct imp_look *l)
{
	struct imp_directory d;
	bool fits = true;
	const char *name;
	size_t len;

	if (imp_directory_open(&d, imp_look_entry_path(l), l->t->listing + IMP_LOOK_DIRENTS_AT,
			       IMP_LOOK_DIRENTS_SIZE, IMP_LOOK_NAMES_MAX) < 0)
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
bool imp_look_put_metadata(struct imp_look *l)
{
	bool fits;

	if (l->in->phase == IMP_PHASE_SITE ||
	    !imp_interpreter_first_look(l->in, l->t->path, l->path_len, imp_look_mtime_ns(&l->st)))
		return true;
	imp_put_array(l->c, IMP_ENTRY_METADATA);
	fits = l->cache && l->fresh ? put_cached_metadata(l) : put_metadata_on_disk(l);
	imp_cbor_array_end(l->c);
	return fits;
}
