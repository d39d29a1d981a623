/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool list_has(const struct imp_strbuf *list, const char *text)
{
	const char *at = list->s, *end = at + list->len;

	for (; at && at < end; at += strlen(at) + 1)
		if (!strcmp(at, text))
			return true;
	return false;
}

static void list_add(struct imp_strbuf *list, const char *text)
{
	list->limit = 1 << 18;
	if (!list_has(list, text))
		imp_strbuf_add(list, text, strlen(text) + 1);
}

void imp_probe_search_next(struct imp_probe_call *call)
{
	call->stage++;
	imp_strbuf_reset(&call->dirs);
	imp_strbuf_reset(&call->spaces);
}

/* Is @path, in a directory that was searched, a directory of the name that is looked for? */
static bool is_portion(const struct imp_probe_call *call, const char *path, const char *part,
		       size_t len)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];

	if (!slash || strlen(slash + 1) != len || memcmp(slash + 1, part, len) != 0)
		return false;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	return list_has(&call->dirs, dir);
}

/* FileFinder looks at each directory's time, then at names in it; at regular files only where they are the module. */
void imp_probe_import_looks(struct imp_probe_image *image, struct imp_probe_thread *t,
			    const struct imp_bpf_event *e)
{
	struct imp_probe_call *call = t->n ? &t->calls[t->n - 1] : NULL;
	const char *path = e->len ? e->text : "", *slash = strrchr(path, '/'), *file, *part;
	size_t len;

	(void)image;
	if (!call || call->is_dlopen || call->origin || e->call != IMP_BPF_STAT || e->result < 0 ||
	    path[0] != '/' || !imp_probe_name_part(call->name, call->stage, &part, &len))
		return;
	file = slash + 1;
	if (S_ISDIR(e->b)) {
		/* Code that runs may look at directories too. The search for a submodule begins in its package's. */
		if (call->package && !strcmp(call->package, path)) {
			call->code_ran = call->inner_failed = false;
			free(call->package);
			call->package = NULL;
		}
		if (call->code_ran || call->package)
			return;
		/* The parent was imported before we came: the first thing that is looked at is its directory. */
		if (!call->dirs.len && part[len] && strlen(file) == len && !memcmp(file, part, len))
			imp_probe_search_next(call);
		if (list_has(&call->spaces, path))
			imp_probe_search_next(
				call); /* a namespace package: its directories are searched now */
		else if (is_portion(call, path, part, len)) {
			list_add(&call->spaces, path);
			return;
		}
		list_add(&call->dirs, path);
		return;
	}
	if (!S_ISREG(e->b))
		return;
	if ((strncmp(file, part, len) || file[len] != '.') &&
	    !(!strncmp(file, "__init__.", 9) && (size_t)(slash - path) > len &&
	      slash[-(ptrdiff_t)len - 1] == '/' && !strncmp(slash - len, part, len)))
		return;
	if (call->name + strlen(call->name) != part + len) {
		imp_probe_search_next(call); /* the parent was found, and is imported now */
		free(call->package);
		call->package = strndup(path, (size_t)(slash - path));
	} else {
		call->origin = strdup(path);
	}
}
