// SPDX-License-Identifier: GPL-2.0-or-later
#include "ld_replay.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "../host/host.h"
#include "ld_observed.h"

/* ---- what the trace knows of files ------------------------------------------------------------------ */

static void record_file(struct imp_ld_replay *r, const char *path, const struct imp_file_facts *f)
{
	struct imp_elf_chunk *chunks = imp_arena_alloc(r->arena, f->chunks.n * sizeof(*chunks));
	size_t i;

	for (i = 0; i < f->chunks.n; i++)
		chunks[i] = (struct imp_elf_chunk){f->chunks.v[i].offset, f->chunks.v[i].len,
						   f->chunks.v[i].data};
	imp_ld_disk_record(&r->disk, path, f->err ? -f->err : 0, 0, 0,
			   f->read || !f->stat.known ? f->stat.size : 1, chunks, f->chunks.n);
}

static bool is_path(const char *path)
{
	return path && strchr(path, '/');
}

/* What the trace kept is then a part of what the disk has. */
static bool is_unchanged(const struct imp_ld_replay *r, const struct imp_file_facts *f)
{
	const char *path = f->realpath ? f->realpath : f->path;
	struct stat st;

	return !f->err && f->stat.known && is_path(path) &&
	       imp_host_stat(r->disk.host, path, &st) == 0 && (uint64_t)st.st_size == f->stat.size &&
	       (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec == f->stat.mtime_ns;
}

/*
 * Objects that were mapped are known to be there. On a disk that is at hand they are read from it: what
 * the trace keeps of a file it keeps only of those that a failure concerned.
 */
static void record_objects(struct imp_ld_replay *r)
{
	size_t i;

	for (i = 0; i < r->image->objects.n && !r->disk.host->enabled; i++) {
		const char *path = r->image->objects.v[i]->path;

		if (is_path(path))
			imp_ld_disk_record(&r->disk, path, 0, 0, 0, 1, NULL, 0);
	}
	for (i = 0; i < r->image->files.n; i++) {
		const struct imp_file_facts *f = r->image->files.v[i];
		const char *path =
			is_path(f->path) ? imp_ld_process_absolute(&r->process, f->path) : NULL;

		if (r->disk.host->enabled && ((!f->err && !f->read) || is_unchanged(r, f)))
			continue; /* the disk knows more */
		if (path)
			record_file(r, path, f);
		if (f->realpath && (!path || strcmp(path, f->realpath) != 0) && !f->err)
			record_file(r, f->realpath, f);
	}
}

/* ---- the start ----------------------------------------------------------------------------------------- */

static const char *object_named(const struct imp_image *image, const char *prefix)
{
	const char *path, *base;
	size_t i;

	for (i = 0; i < image->objects.n; i++) {
		path = image->objects.v[i]->path;
		base = path ? strrchr(path, '/') : NULL;
		if (base && strncmp(base + 1, prefix, strlen(prefix)) == 0)
			return path;
	}
	return NULL;
}

static void read_system(struct imp_ld_replay *r, const struct imp_host *host)
{
	const struct imp_image *image = r->image;
	struct imp_ld_system_facts facts = {.machine = image->machine,
					    .libc_version = image->libc,
					    .libc_path = object_named(image, "libc.so.6"),
					    .page_size = image->page_size};
	struct imp_ld_cpu cpu;

	if (image->exe)
		facts.program = imp_ld_disk_image(&r->disk, image->exe);
	if (facts.program)
		facts.loader = facts.program->interpreter;
	if (!facts.loader)
		facts.loader = object_named(image, "ld-linux");
	if (host->enabled && facts.program) {
		imp_ld_cpu_here(&cpu, facts.program->machine);
		facts.cpu = &cpu;
	}
	imp_ld_system_read(&r->system, r->arena, host, &facts);
}

/* LD_PRELOAD: names between blanks and colons. */
static void read_preload(struct imp_ld_replay *r, struct imp_strings *names)
{
	const char *list = imp_record_env(r->image, "LD_PRELOAD");
	char *rest = list ? imp_arena_strndup(r->arena, list, strlen(list)) : NULL;
	const char *name;

	while ((name = strsep(&rest, " :"))) {
		if (*name)
			*imp_vec_push(r->arena, names) = name;
	}
}

static bool is_mapped(const struct imp_object *o, uint64_t time_ns)
{
	return o->mapped_ns <= time_ns && (!o->gone_ns || o->gone_ns > time_ns);
}

static struct imp_ld_object *object_of(struct imp_ld_replay *r, const struct imp_object *o)
{
	const char *absolute;

	if (!o->path)
		return NULL;
	if (r->image->exe && strcmp(o->path, r->image->exe) == 0)
		return r->process.program;
	absolute = imp_ld_process_absolute(&r->process, o->path);
	return absolute ? imp_ld_process_find(&r->process, absolute, o->name_space) : NULL;
}

/* The trace is right: what it saw is loaded, and where it is whole, nothing else is. */
static void reconcile(struct imp_ld_replay *r, uint64_t time_ns, bool global)
{
	struct imp_ld_object *o;
	size_t i;

	for (i = 0; i < r->process.objects.n; i++) {
		o = r->process.objects.v[i];
		o->seen = o->program || o->is_loader;
	}
	for (i = 0; i < r->image->objects.n; i++) {
		const struct imp_object *mapped = r->image->objects.v[i];

		if (!is_mapped(mapped, time_ns) || !is_path(mapped->path))
			continue;
		o = object_of(r, mapped);
		if (!o) {
			o = imp_ld_process_add(&r->process, mapped->path, mapped->path, NULL,
					       mapped->name_space);
			o->global = global;
			o->dependencies_done = true;
		}
		o->seen = true;
	}
	for (i = r->process.objects.n; r->complete && i-- > 0;) {
		if (!r->process.objects.v[i]->seen)
			imp_ld_process_remove(&r->process, r->process.objects.v[i]);
	}
}

static uint64_t start_ends(const struct imp_image *image)
{
	uint64_t end = UINT64_MAX;
	size_t i;

	for (i = 0; i < image->dlopens.n; i++) {
		if (image->dlopens.v[i]->begin_ns < end)
			end = image->dlopens.v[i]->begin_ns;
	}
	return end;
}

void imp_ld_replay_init(struct imp_ld_replay *r, struct imp_arena *arena,
			const struct imp_image *image, const struct imp_host *host)
{
	struct imp_ld_tree_options options = {.keep_going = true};
	struct imp_strings preload = {0};

	memset(r, 0, sizeof(*r));
	r->arena = arena;
	r->image = image;
	r->complete = !image->lost && !image->missing_batches && image->started;
	imp_ld_disk_init(&r->disk, arena, host);
	r->disk.ids_known = image->ids_known;
	r->disk.uid = image->euid;
	r->disk.gid = image->egid;
	r->process =
		(struct imp_ld_process){.arena = arena,
					.system = &r->system,
					.lookup = imp_ld_disk_lookup(&r->disk),
					.library_path = imp_record_env(image, "LD_LIBRARY_PATH"),
					.cwd = image->cwd,
					.secure = image->ids_known && (image->uid != image->euid ||
								       image->gid != image->egid)};
	record_objects(r);
	read_system(r, host);
	imp_ld_process_init(&r->process);
	read_preload(r, &preload);
	if (!image->exe ||
	    imp_ld_tree_start(&r->process, image->exe, &preload, &options, &r->start, NULL) < 0) {
		/* Nothing is known of the program itself; what it has mapped is. */
		if (!r->process.program)
			imp_ld_process_add(&r->process, "", image->exe, NULL, 0);
	}
	imp_ld_observed_apply(r, NULL, &r->start);
	reconcile(r, start_ends(image), true);
}

void imp_ld_replay_clear(struct imp_ld_replay *r)
{
	imp_ld_disk_clear(&r->disk);
	memset(r, 0, sizeof(*r));
}

/* ---- dlopen -------------------------------------------------------------------------------------------- */

struct imp_ld_object *imp_ld_replay_object(struct imp_ld_replay *r, uint64_t number)
{
	const struct imp_object *o = number ? imp_record_object(r->image, number) : NULL;

	return o ? object_of(r, o) : NULL;
}

static int replay(struct imp_ld_replay *r, const struct imp_dlopen *d,
		  const struct imp_ld_tree_options *options, struct imp_ld_tree *out)
{
	struct imp_ld_request req = {.name = d->name,
				     .requester = imp_ld_replay_object(r, d->caller),
				     .name_space = d->name_space,
				     .no_load = d->flags & RTLD_NOLOAD};

	if (!d->name || !*d->name)
		return -EINVAL;
	return imp_ld_tree_open(&r->process, &req, options, out, NULL);
}

void imp_ld_replay_until(struct imp_ld_replay *r, uint64_t time_ns)
{
	struct imp_ld_tree_options options = {.keep_going = false};
	struct imp_ld_tree tree;

	for (; r->next < r->image->dlopens.n; r->next++) {
		const struct imp_dlopen *d = r->image->dlopens.v[r->next];

		/* One that still runs is the one that is asked about, or runs around it. */
		if (d->begin_ns >= time_ns)
			break;
		if (!d->ended || d->end_ns > time_ns)
			continue;
		options.global = d->flags & RTLD_GLOBAL;
		if (replay(r, d, &options, &tree) == 0 && (tree.object != NULL) != (d->handle != 0))
			reconcile(r, d->end_ns, options.global);
	}
	reconcile(r, time_ns, false);
}

int imp_ld_replay_dlopen(struct imp_ld_replay *r, const struct imp_dlopen *d,
			 struct imp_ld_tree *out)
{
	struct imp_ld_tree_options options = {.symbols = true, .global = d->flags & RTLD_GLOBAL};

	int ret;

	imp_ld_replay_until(r, d->begin_ns);
	ret = replay(r, d, &options, out);
	if (ret == 0)
		imp_ld_observed_apply(r, d, out);
	return ret;
}
