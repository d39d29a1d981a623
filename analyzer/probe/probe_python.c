/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_image.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../../preload/near_names.h"
#include "../host/host.h"

/* What CPython would have said of itself, as far as its files and its searches tell. */

#define CANDIDATE_BYTES 8192
#define METADATA_MAX	2000

/* ---- the interpreter ----------------------------------------------------------------------------- */

static void put_value(struct imp_cbor *c, const char *text)
{
	imp_probe_value(c, text, strlen(text));
}

static void put_suffixes(struct imp_cbor *c, const struct imp_probe_target *py)
{
	struct utsname name;
	char text[128];

	imp_cbor_uint(c, IMP_KEY_SUFFIXES);
	imp_cbor_array_begin(c);
	if (py->major == 2) {
		put_value(c, ".so");
		put_value(c, "module.so");
	} else {
		if (py->suffix) {
			put_value(c, py->suffix);
		} else if (uname(&name) == 0) {
			snprintf(text, sizeof(text), ".cpython-%u%u%s-%s-linux-gnu.so", py->major,
				 py->minor, py->free_threaded ? "t" : "", name.machine);
			put_value(c, text);
		}
		if (py->abi3)
			put_value(c, ".abi3.so");
		put_value(c, ".so");
	}
	imp_cbor_array_end(c);
}

/* ".../lib/python3.11": of sys.path, where the library's first package was not seen to be found */
static void find_stdlib(struct imp_probe_image *image)
{
	const char *at = image->sys_path.s, *end = at + image->sys_path.len;
	char tail[32];
	size_t len, n;

	len = (size_t)snprintf(tail, sizeof(tail), "/python%u.%u%s", image->python->major,
			       image->python->minor, image->python->free_threaded ? "t" : "");
	for (; !image->stdlib && at && at < end; at += n + 1) {
		n = strlen(at);
		if (n > len && !strcmp(at + n - len, tail))
			image->stdlib = strdup(at);
	}
}

static void put_prefixes(struct imp_cbor *c, const struct imp_probe_image *image)
{
	char prefix[PATH_MAX], *slash;

	snprintf(prefix, sizeof(prefix), "%s", image->stdlib); /* PREFIX/lib/python3.11 */
	for (int i = 0; i < 2 && (slash = strrchr(prefix, '/')); i++)
		*slash = '\0';
	imp_probe_put_text(c, IMP_KEY_PREFIX, prefix);
	imp_probe_put_text(c, IMP_KEY_BASE_PREFIX, prefix);
	imp_probe_put_text(c, IMP_KEY_EXEC_PREFIX, prefix);
	imp_probe_put_text(c, IMP_KEY_BASE_EXEC_PREFIX, prefix);
	imp_probe_put_text(c, IMP_KEY_STDLIB, image->stdlib);
}

/* The program itself, where it is called like an interpreter; a host program is none. */
static const char *executable(const struct imp_probe_image *image)
{
	const char *path = image->n_objects ? image->objects[0].path : NULL;
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash && !strncmp(slash + 1, "python", 6) ? path : NULL;
}

void imp_probe_python_describe(struct imp_probe_session *s, struct imp_probe_image *image,
			       uint64_t time_ns, pid_t tid)
{
	const struct imp_probe_target *py;
	const struct imp_probe_object *o;
	const char *program;
	struct imp_cbor *c;
	char text[64];

	if (!image->python)
		imp_probe_objects_read(s, image, time_ns, tid);
	py = image->python;
	if (!py || !py->major)
		return;
	find_stdlib(image);
	if (image->interpreter_written == 2 || (image->interpreter_written && !image->stdlib))
		return;
	image->interpreter_written = image->stdlib ? 2 : 1;
	c = imp_probe_stream_begin(&image->stream, IMP_EV_INTERPRETER, time_ns, tid);
	if (py->micro_known)
		snprintf(text, sizeof(text), "%u.%u.%u", py->major, py->minor, py->micro);
	else
		snprintf(text, sizeof(text), "%u.%u", py->major, py->minor);
	imp_probe_put_text(c, IMP_KEY_VERSION, text);
	imp_probe_put_text(c, IMP_KEY_IMPLEMENTATION, "cpython");
	snprintf(text, sizeof(text), "cpython-%u%u", py->major, py->minor);
	imp_probe_put_text(c, IMP_KEY_CACHE_TAG, text);
	put_suffixes(c, py);
	snprintf(text, sizeof(text), "%s%s", py->free_threaded ? "t" : "", py->debug ? "d" : "");
	imp_probe_put_text(c, IMP_KEY_ABIFLAGS, text);
	program = executable(image);
	imp_probe_put_text(c, IMP_KEY_EXECUTABLE, program);
	if (image->stdlib)
		put_prefixes(c, image);
	imp_probe_put_text(c, IMP_KEY_PLATFORM, "linux");
	o = image->python_path ? imp_probe_object_named(image, image->python_path) : NULL;
	if (o)
		imp_probe_put_uint(c, IMP_KEY_OBJECT, o->number);
	imp_probe_put_bool(c, IMP_KEY_DERIVED, true);
	imp_probe_stream_end(&image->stream);
}

void imp_probe_python_path(struct imp_probe_image *image, uint64_t time_ns, pid_t tid,
			   uint64_t import)
{
	const struct imp_strbuf *now = &image->sys_path, *before = &image->sys_path_written;
	struct imp_cbor *c;

	if (!now->len || (now->len == before->len && !memcmp(now->s, before->s, now->len)))
		return;
	imp_strbuf_reset(&image->sys_path_written);
	imp_strbuf_add(&image->sys_path_written, now->s, now->len);
	c = imp_probe_stream_begin(&image->stream, IMP_EV_SYS_PATH, time_ns, tid);
	imp_cbor_uint(c, IMP_KEY_PATH);
	imp_cbor_array_begin(c);
	for (const char *at = now->s; at < now->s + now->len; at += strlen(at) + 1)
		put_value(c, at);
	imp_cbor_array_end(c);
	imp_probe_put_uint(c, IMP_KEY_PHASE, IMP_PHASE_RUN);
	imp_probe_put_uint(c, IMP_KEY_IMPORT, import);
	imp_probe_put_bool(c, IMP_KEY_DERIVED, true);
	imp_probe_stream_end(&image->stream);
}

/* ---- what lies in the directories ---------------------------------------------------------------- */

static void put_stat(struct imp_cbor *c, unsigned int key, const struct stat *st)
{
	imp_cbor_uint(c, key);
	imp_cbor_array_begin(c);
	imp_cbor_uint(c, st->st_mode);
	imp_cbor_uint(c, st->st_uid);
	imp_cbor_uint(c, st->st_gid);
	imp_cbor_uint(c, (uint64_t)st->st_size);
	imp_cbor_int(c, (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec);
	imp_cbor_array_end(c);
}

static void put_candidate(struct imp_cbor *c, const char *dir, const char *name)
{
	const struct imp_host host = {.enabled = true};
	char path[2 * PATH_MAX], target[PATH_MAX];
	struct imp_arena arena = {0};
	struct imp_strings names = {0};
	struct stat st, through;
	ssize_t len;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	imp_cbor_map_begin(c);
	imp_probe_put_text(c, IMP_CAND_NAME, name);
	if (lstat(path, &st) < 0) {
		imp_probe_put_uint(c, IMP_CAND_ERRNO, (uint64_t)errno);
	} else {
		put_stat(c, IMP_CAND_STAT, &st);
		if (S_ISLNK(st.st_mode)) {
			len = readlink(path, target, sizeof(target));
			if (len > 0)
				imp_probe_put_bytes(c, IMP_CAND_TARGET, target, (size_t)len);
			if (stat(path, &through) < 0)
				imp_probe_put_uint(c, IMP_CAND_TARGET_ERRNO, (uint64_t)errno);
		} else if (S_ISDIR(st.st_mode) && imp_host_list(&host, &arena, path, &names) == 0) {
			imp_cbor_uint(c, IMP_CAND_INSIDE);
			imp_cbor_array_begin(c);
			for (size_t i = 0; i < names.n; i++)
				if (!strncmp(names.v[i], "__init__.", 9))
					put_value(c, names.v[i]);
			imp_cbor_array_end(c);
		}
	}
	imp_cbor_map_end(c);
	imp_arena_clear(&arena);
}

/* One directory of the search: @dir as the process names it, @real as we can open it (NULL: we can't). */
static void put_entry(struct imp_cbor *c, struct imp_probe_session *s, struct imp_probe_image *image,
		      const char *dir, const char *real, const char *tail, bool of_package)
{
	const struct imp_host host = {.enabled = true};
	const struct imp_strings *names;
	char buf[CANDIDATE_BYTES];
	struct imp_near_names near;
	struct stat st;
	size_t n = 0;
	int ret;

	imp_cbor_map_begin(c);
	imp_probe_put_text(c, IMP_ENTRY_ENTRY, dir);
	imp_probe_put_text(c, IMP_ENTRY_FINDER, "FileFinder");
	if (of_package)
		imp_probe_put_bool(c, IMP_ENTRY_HOOKED, true);
	ret = real ? imp_host_stat(&host, real, &st) : -ENOENT;
	if (ret < 0) {
		imp_probe_put_uint(c, IMP_ENTRY_STATE, IMP_PATH_ABSENT);
		imp_probe_put_uint(c, IMP_ENTRY_ERRNO, (uint64_t)-ret);
		imp_cbor_map_end(c);
		return;
	}
	ret = imp_probe_listing_get(&s->listings, real, &st, &names);
	imp_probe_put_uint(c, IMP_ENTRY_STATE, ret < 0 ? IMP_PATH_UNREADABLE : IMP_PATH_DIRECTORY);
	if (ret < 0)
		imp_probe_put_uint(c, IMP_ENTRY_ERRNO, (uint64_t)-ret);
	put_stat(c, IMP_ENTRY_STAT, &st);
	imp_near_names_init(&near, tail, strlen(tail), buf, sizeof(buf));
	imp_cbor_uint(c, IMP_ENTRY_CANDIDATES);
	imp_cbor_array_begin(c);
	for (size_t i = 0; i < names->n && n < IMP_NEAR_NAMES_MAX; i++)
		if (imp_near_names_match(&near, names->v[i], strlen(names->v[i])) && ++n)
			put_candidate(c, real, names->v[i]);
	imp_cbor_array_end(c);
	if (image->listed.len < (1 << 16) &&
	    (!image->listed.len ||
	     !memmem(image->listed.s, image->listed.len, dir, strlen(dir) + 1))) {
		imp_strbuf_add(&image->listed, dir, strlen(dir) + 1);
		imp_cbor_uint(c, IMP_ENTRY_METADATA);
		imp_cbor_array_begin(c);
		for (size_t i = 0, m = 0; i < names->n && m < METADATA_MAX; i++)
			if (imp_near_names_is_metadata(names->v[i], strlen(names->v[i])) && ++m)
				put_value(c, names->v[i]);
		imp_cbor_array_end(c);
	}
	imp_cbor_map_end(c);
}

void imp_probe_snapshot(struct imp_probe_session *s, struct imp_probe_image *image,
			const struct imp_bpf_event *e, const struct imp_probe_search *search)
{
	const char *dot = strrchr(search->name, '.'), *tail = dot ? dot + 1 : search->name;
	const char *at = search->dirs->s, *end = at + search->dirs->len;
	struct imp_cbor_mark mark;
	char real[PATH_MAX];
	struct imp_cbor *c;

	c = imp_probe_stream_begin(&image->stream, IMP_EV_SNAPSHOT, e->time_ns, (pid_t)e->tid);
	imp_probe_put_uint(c, IMP_KEY_IMPORT, search->import);
	imp_probe_put_text(c, IMP_KEY_TEXT, search->name);
	imp_probe_put_text(c, IMP_KEY_MODULE_FILE, search->parent_file);
	imp_probe_put_uint(c, IMP_KEY_SYS_MODULES,
			   search->blocked ? IMP_MODULE_NONE : IMP_MODULE_ABSENT);
	imp_cbor_uint(c, IMP_KEY_ENTRIES);
	imp_cbor_array_begin(c);
	for (; at && at < end; at += strlen(at) + 1) {
		mark = imp_cbor_mark(c);
		put_entry(c, s, image, at,
			  imp_probe_image_path(image, at, real, sizeof(real)) ? real : NULL, tail,
			  dot != NULL);
		if (c->overflow) { /* what does not fit is left out */
			imp_cbor_rewind(c, mark);
			break;
		}
	}
	imp_cbor_array_end(c);
	imp_probe_put_bool(c, IMP_KEY_DERIVED, true);
	imp_probe_stream_end(&image->stream);
}
