/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "path_look.h"

#include <string.h>

#include "recorder.h"
#include "poison.h"

/*
 * The members of the archive at this path, as zipimport has read them: a dict, whose keys are their
 * paths in it. @inside: what stands in the entry behind the archive's own path, if it is below it.
 */
static PyObject *archive_members(struct imp_look *l, const struct imp_python_text *entry,
				 struct imp_python_text *inside)
{
	const struct imp_python_api *py = l->in->py;
	PyObject *module = imp_python_dict_get(py, imp_python_modules(py), "zipimport");
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
	if (inside->len) { /* not the slash */
		inside->data++;
		inside->len--;
	}
	imp_python_drop(py, all);
	imp_python_drop(py, module);
	return members;
}

/* A member right in the searched folder, or the __init__ of a package there. */
static void match_member(struct imp_look *l, const char *name, size_t len)
{
	const char *slash = memchr(name, '/', len);
	size_t first = slash ? (size_t)(slash - name) : len;

	if (imp_near_names_match(&l->near, name, first) &&
	    (!slash || !strncmp(slash, "/__init__.", 10)))
		imp_near_names_add(&l->near, name, len, IMP_CACHE_YES);
}

void imp_look_match_members(struct imp_look *l, const struct imp_python_text *entry)
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
	while (members && steps++ < IMP_LOOK_NAMES_MAX &&
	       py->PyDict_Next(members, &at, &key, &value)) {
		if (!imp_python_is(py, key, py->types.str) ||
		    !imp_look_may_match(py, inside.len ? inside.data : l->tail, key))
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

void imp_look_put_members(struct imp_look *l)
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
