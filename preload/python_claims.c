/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_claims.h"

#include <string.h>

#include "directory_listing.h"
#include "python_exception.h"
#include "python_text.h"
#include "recorder.h"
#include "poison.h"

#define FILES_MAX   2000 /* that are opened for one exception */
#define ENTRIES_MAX 256
#define NAMES_MAX   20000 /* of one directory */

/* Bytes of metadata that are read: at a failure, which the program may handle; and at its end. */
#define RELATED_BUDGET (256 << 10)
#define CHAIN_BUDGET   (64 << 20)

/* The parts of t->listing; python_snapshot.c uses the first 12 KiB and, before, the last 16. */
#define RELATED_AT   12288
#define RELATED_SIZE 4096
#define CHAIN_SIZE   16384
#define NAMES_AT     16384
#define NAMES_SIZE   8192
#define FILE_AT	     24576
#define FILE_SIZE    8192
_Static_assert(FILE_AT + FILE_SIZE <= IMP_LISTING_MAX, "the parts fit");

void imp_claims_begin(struct imp_claim_scan *scan, struct imp_thread *t, struct imp_interp *in,
		      const char *name, size_t len)
{
	imp_claim_scan_init(scan, t->listing + RELATED_AT, RELATED_SIZE, t->listing + FILE_AT,
			    FILE_SIZE, RELATED_BUDGET);
	/* sitecustomize and the like belong to nobody. */
	if (in->phase == IMP_PHASE_SITE)
		return;
	imp_claim_scan_add_module(scan, name, len);
	if (len && len < IMP_FAILED_NAME_MAX) {
		char *kept = in->failed[in->failed_next++ % IMP_FAILED_NAMES];

		memcpy(kept, name, len);
		kept[len] = '\0';
	}
}

/* An event for each module that somebody claims. */
static void write_hits(struct imp_claim_scan *scan, struct imp_thread *t)
{
	struct imp_cbor *c;
	size_t module, i;

	for (module = 0; module < scan->modules_count; module++) {
		c = NULL;
		for (i = 0; i < scan->hits_count; i++) {
			const struct imp_claim_hit *hit = &scan->hits[i];

			if (hit->module != module)
				continue;
			if (!c) {
				c = imp_record_begin(t, IMP_EV_CLAIMS);
				imp_put_shared(c, IMP_KEY_TEXT,
					       imp_claim_text(scan, scan->modules[module]),
					       scan->modules[module].len);
				imp_put_array(c, IMP_KEY_CLAIMS);
			}
			imp_cbor_array_begin(c);
			imp_value_path(c, imp_claim_text(scan, hit->dist), hit->dist.len);
			imp_value_text(c, imp_claim_text(scan, hit->line), hit->line.len);
			imp_value_shared(c, imp_claim_text(scan, hit->tag), hit->tag.len);
			imp_cbor_array_end(c);
		}
		if (c) {
			imp_cbor_array_end(c);
			imp_record_end(t);
		}
	}
}

void imp_claims_write(struct imp_claim_scan *scan, struct imp_thread *t)
{
	size_t i;

	for (i = 0; i < scan->dists_count; i++)
		imp_claim_scan_run(scan, imp_claim_text(scan, scan->dists[i]), scan->dists[i].len);
	write_hits(scan, t);
}

/* All distributions in one directory; returns how many files may still be opened. */
static size_t scan_directory(struct imp_claim_scan *scan, struct imp_thread *t, const char *dir,
			     size_t dir_len, size_t files)
{
	struct imp_directory d;
	const char *name;
	size_t len, opened;

	if (dir_len + 2 > sizeof(t->path) / 2)
		return files;
	memcpy(t->path, dir_len ? dir : ".", dir_len ? dir_len : 1);
	dir_len = dir_len ? dir_len : 1;
	t->path[dir_len] = '\0';
	if (imp_directory_open(&d, t->path, t->listing + NAMES_AT, NAMES_SIZE, NAMES_MAX) < 0)
		return files;
	t->path[dir_len++] = '/';
	while (files && (name = imp_directory_next(&d, &len))) {
		if (!imp_claim_scan_is_dist(name, len) || len > sizeof(t->path) - dir_len)
			continue;
		memcpy(t->path + dir_len, name, len);
		opened = imp_claim_scan_run(scan, t->path, dir_len + len);
		files -= opened < files ? opened : files;
	}
	imp_directory_close(&d);
	return files;
}

static bool add_names_of_chain(struct imp_claim_scan *scan, const struct imp_python_api *py,
			       PyObject *exception, unsigned int *members_left);

static bool add_names_of_group(struct imp_claim_scan *scan, const struct imp_python_api *py,
			       PyObject *exception, unsigned int *members_left)
{
	PyObject *members = *members_left ? imp_python_group_members(py, exception) : NULL;
	ssize_t i, size = members ? py->PyTuple_Size(members) : 0;
	bool any = false;

	/* Groups in groups end at the latest where the number of members does. */
	for (i = 0; i < size && *members_left; i++) {
		--*members_left;
		any |= add_names_of_chain(scan, py, py->PyTuple_GetItem(members, i), members_left);
	}
	imp_python_drop(py, members);
	return any;
}

/* Returns whether an ImportError is in the chain at all. */
static bool add_names_of_chain(struct imp_claim_scan *scan, const struct imp_python_api *py,
			       PyObject *exception, unsigned int *members_left)
{
	PyObject *name, *next;
	struct imp_python_text text;
	unsigned int steps;
	bool any = false;

	if (imp_python_is_exception(py, exception))
		py->Py_IncRef(exception);
	else
		exception = NULL;
	for (steps = 0; exception && steps < IMP_EXC_CHAIN_MAX; steps++) {
		any |= py->PyType_IsSubtype(imp_python_type(py, exception), py->types.import_error);
		name = imp_python_import_error_name(py, exception);
		if (imp_python_text_get(py, name, &text))
			imp_claim_scan_add_module(scan, text.data, text.len);
		imp_python_text_clear(py, &text);
		imp_python_drop(py, name);
		any |= add_names_of_group(scan, py, exception, members_left);
		next = py->PyException_GetCause(exception);
		if (!imp_python_is_exception(py, next)) {
			imp_python_drop(py, next);
			next = py->PyException_GetContext(exception);
		}
		py->Py_DecRef(exception);
		exception = imp_python_is_exception(py, next) ? next : NULL;
		if (!exception)
			imp_python_drop(py, next);
	}
	imp_python_drop(py, exception);
	return any;
}

void imp_claims_of_chain(struct imp_thread *t, struct imp_interp *in, PyObject *exception)
{
	const struct imp_python_api *py = in->py;
	PyObject *path, *item;
	struct imp_python_text text;
	struct imp_claim_scan scan;
	unsigned int members_left = IMP_EXC_MEMBERS_MAX;
	size_t files = FILES_MAX, k;
	ssize_t i, size;

	imp_claim_scan_init(&scan, t->listing, CHAIN_SIZE, t->listing + FILE_AT, FILE_SIZE,
			    CHAIN_BUDGET);
	if (!add_names_of_chain(&scan, py, exception, &members_left))
		return;
	/* What the user sees may have come of a failure that some except clause swallowed. */
	for (k = 0; k < IMP_FAILED_NAMES; k++)
		imp_claim_scan_add_module(&scan, in->failed[k], strlen(in->failed[k]));
	if (!scan.modules_count)
		return;
	path = imp_python_dict_get(py, in->sys_dict, "path");
	size = imp_python_sequence_size(py, path);
	for (i = 0; i < size && i < ENTRIES_MAX && files; i++) {
		item = imp_python_sequence_item(py, path, i);
		if (imp_python_text_get_path(py, item, &text))
			files = scan_directory(&scan, t, text.data, text.len, files);
		imp_python_text_clear(py, &text);
		imp_python_drop(py, item);
	}
	imp_python_drop(py, path);
	write_hits(&scan, t);
}
