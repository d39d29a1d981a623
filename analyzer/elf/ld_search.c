// SPDX-License-Identifier: GPL-2.0-or-later
#include "ld_search.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define CANDIDATES_MAX \
	100000U /* of one search: a hostile RPATH has 4096 bytes, a tree of objects many */
#define LOADERS_MAX 1000U

/* One search that is under way. */
struct run {
	struct imp_ld_process *p;
	struct imp_ld_search *out;
	const struct imp_ld_object *requester;
	bool found, over;	     /* @over: the loader gave up, whatever rules are left */
	struct imp_ld_candidate hit; /* the file that was taken */
	bool other_class;
	int err; /* of the last open */
};

const char *imp_ld_origin_name(enum imp_ld_origin origin)
{
	static const char *const names[] = {"direct",  "rpath", "ld_library_path",
					    "runpath", "cache", "default"};

	return names[origin];
}

const char *imp_ld_result_name(enum imp_ld_result result)
{
	static const char *const names[] = {"absent", "opened", "wrong-elf", "denied", "skipped"};

	return names[result];
}

/* ---- one path ---------------------------------------------------------------------------------------- */

static const char *absence(int err)
{
	switch (err) {
	case -ENOENT: return "no such file";
	case -ENOTDIR: return "a part of the path is no directory";
	case -ELOOP: return "its symbolic links lead in a circle";
	case -EACCES: return "it may not be read";
	case -EPERM: return "reading it is not permitted";
	default: return strerror(-err);
	}
}

/* open_verify(): what becomes of a file that is there. */
static void judge_file(struct run *r, const struct imp_ld_file *file, struct imp_ld_candidate *c,
		       const char **fatal)
{
	const struct imp_ld_system *sys = r->p->system;
	const char *why = NULL;

	*fatal = NULL;
	if (file->directory) {
		c->result = IMP_LD_WRONG_ELF;
		c->reason = "it is a directory";
		*fatal = "cannot read file data: Is a directory";
		return;
	}
	c->result = IMP_LD_OPENED;
	if (!file->image)
		return;
	switch (imp_elf_image_refusal(file->image, sys->bits, sys->machine, sys->big_endian, fatal,
				      &why)) {
	case IMP_ELF_ACCEPTED: return;
	case IMP_ELF_OTHER_CLASS: r->other_class = true; break;
	case IMP_ELF_OTHER_MACHINE:
	case IMP_ELF_REFUSED: break;
	}
	c->result = IMP_LD_WRONG_ELF;
	c->reason = imp_arena_printf(r->p->arena, "it %s", why ? why : "is refused");
}

/*
 * Look at one path. Once a file is found, the rest of the order is only asked for other files that it
 * leads to: the copies that were passed over.
 */
static void try_path(struct run *r, struct imp_ld_candidate c)
{
	const char *absolute = imp_ld_process_absolute(r->p, c.path), *fatal = NULL;
	struct imp_ld_file file = {.err = -ENODATA};
	struct imp_ld_candidates *list = r->found || r->over ? &r->out->later : &r->out->tried;
	size_t i;

	if (absolute)
		r->p->lookup.file(r->p->lookup.data, absolute, &file);
	c.err = file.err;
	c.image = file.image;
	c.dev = file.dev;
	c.ino = file.ino;
	if (file.err == -ENODATA) {
		c.result = IMP_LD_SKIPPED;
		c.reason = "what lies there is not known";
		/* Nobody has these subdirectories; a list of them would say nothing. */
		if (c.in_subdir || list == &r->out->later)
			return;
		r->out->unknown = true;
	} else if (file.err == -EACCES || file.err == -EPERM) {
		c.result = IMP_LD_DENIED;
		c.reason = absence(file.err);
	} else if (file.err < 0) {
		c.result = IMP_LD_ABSENT;
		c.reason = absence(file.err);
	} else {
		judge_file(r, &file, &c, &fatal);
	}
	if (list->n >= CANDIDATES_MAX)
		return;
	if (list == &r->out->later) {
		if (file.err < 0 || (r->found && r->hit.dev == c.dev && r->hit.ino == c.ino))
			return;
		for (i = 0; i < list->n; i++) { /* /lib may be a link to /usr/lib */
			if (list->v[i].dev == c.dev && list->v[i].ino == c.ino)
				return;
		}
		*imp_vec_push(r->p->arena, list) = c;
		return;
	}
	*imp_vec_push(r->p->arena, list) = c;
	r->err = c.result == IMP_LD_WRONG_ELF && !fatal ? -ENOENT :
		 file.err == -ENODATA			? -ENOENT :
							  file.err;
	if (fatal) {
		r->over = true;
		r->out->error = fatal;
		r->out->error_name = c.path;
	} else if (c.result == IMP_LD_OPENED) {
		r->found = true;
		r->hit = c;
	}
}

/* ---- lists of directories ------------------------------------------------------------------------ */

/* Once a file is found nothing is learned any more: the loader was never there. */
static void learn(struct run *r, struct imp_ld_dir *d, size_t subdir, const char *path, size_t len)
{
	const char *absolute;
	int known;

	if (r->found) {
		d->status[subdir] = 1;
		return;
	}
	if (!len) { /* "/" without its slash: the loader asks for "", which never exists */
		d->status[subdir] = -1;
		return;
	}
	absolute = imp_ld_process_absolute(r->p, imp_arena_strndup(r->p->arena, path, len));
	known = absolute ? r->p->lookup.is_directory(r->p->lookup.data, absolute) : -ENODATA;
	if (known < 0)
		known = subdir == r->p->system->subdirs.n - 1;
	d->status[subdir] = known ? 1 : -1;
}

/* Returns whether the loader goes on with the next directory. */
static bool search_dir(struct run *r, struct imp_ld_dir *d, const char *entry,
		       enum imp_ld_origin origin, const struct imp_ld_object *of)
{
	const struct imp_strings *subdirs = &r->p->system->subdirs;
	bool looking = !r->found && !r->over, any = false;
	struct imp_ld_candidate c;
	size_t i, dir_len;

	for (i = 0; i < subdirs->n; i++) {
		if (d->status[i] < 0)
			continue;
		c = (struct imp_ld_candidate){.origin = origin, .of = of, .entry = entry};
		c.in_subdir = subdirs->v[i][0] != '\0';
		c.path = imp_arena_printf(r->p->arena, "%s%s%s", d->path, subdirs->v[i],
					  r->out->name);
		try_path(r, c);
		if (!looking || (r->over && !r->found))
			continue;
		if (!d->status[i]) {
			/* The directory without its last slash, which a file of that name would not have. */
			dir_len = d->len + strlen(subdirs->v[i]) - 1;
			learn(r, d, i, c.path, dir_len);
		}
		any |= d->status[i] > 0;
		if (r->found)
			looking = false;
	}
	/* Another error than these ends the list, yet not the search (dl-load.c, open_path()). */
	return !looking || !any || r->err == -ENOENT || r->err == -EACCES || r->err == 0;
}

static void search_dirs(struct run *r, const struct imp_ld_dirs *dirs, enum imp_ld_origin origin,
			const struct imp_ld_object *of)
{
	size_t i;

	for (i = 0; dirs && i < dirs->n; i++) {
		if (!search_dir(r, dirs->v[i], dirs->entries[i], origin, of))
			return;
	}
}

static void skip(struct run *r, const char *path, enum imp_ld_origin origin,
		 const struct imp_ld_object *of, const char *reason)
{
	struct imp_ld_candidate *c = imp_vec_push(r->p->arena, &r->out->skipped);

	c->path = path;
	c->origin = origin;
	c->of = of;
	c->result = IMP_LD_SKIPPED;
	c->reason = reason;
	c->err = -ENODATA;
}

static void skip_dropped(struct run *r, const struct imp_ld_dirs *dirs, enum imp_ld_origin origin,
			 const struct imp_ld_object *of)
{
	size_t i;

	for (i = 0; i < dirs->dropped.n; i++)
		skip(r, dirs->dropped.v[i], origin, of, dirs->why_dropped);
}

/* ---- the rules --------------------------------------------------------------------------------------- */

/* An object with a RUNPATH has no RPATH (dl-dynamic-link, elf_get_dynamic_info()). */
static struct imp_ld_dirs *rpath_of(struct run *r, struct imp_ld_object *o)
{
	if (!o->image || !o->image->rpath || o->image->runpath || !*o->image->rpath)
		return NULL;
	if (!o->rpath)
		o->rpath = imp_ld_process_dirs(r->p, o, o->image->rpath, ":");
	return o->rpath;
}

static struct imp_ld_dirs *runpath_of(struct run *r, struct imp_ld_object *o)
{
	if (!o->image || !o->image->runpath || !*o->image->runpath)
		return NULL;
	if (!o->runpath)
		o->runpath = imp_ld_process_dirs(r->p, o, o->image->runpath, ":");
	return o->runpath;
}

static void search_rpath(struct run *r, const struct imp_ld_object *o)
{
	struct imp_ld_dirs *dirs = rpath_of(r, (struct imp_ld_object *)(uintptr_t)o);

	if (!dirs)
		return;
	skip_dropped(r, dirs, IMP_LD_RPATH, o);
	search_dirs(r, dirs, IMP_LD_RPATH, o);
}

static void search_rpaths(struct run *r)
{
	const struct imp_ld_object *o, *requester = r->requester;
	bool did_program = false;
	unsigned int n = 0;

	if (requester && requester->image && requester->image->runpath) {
		if (requester->image->rpath)
			skip(r, requester->image->rpath, IMP_LD_RPATH, requester,
			     "its RUNPATH takes the place of its RPATH");
		return;
	}
	for (o = requester; o && n < LOADERS_MAX; o = o->loader, n++) {
		search_rpath(r, o);
		did_program |= o == r->p->program && rpath_of(r, r->p->program);
	}
	if (!did_program && r->p->program)
		search_rpath(r, r->p->program);
}

static void search_environment(struct run *r)
{
	struct imp_ld_process *p = r->p;

	if (!p->library_path || !*p->library_path)
		return;
	if (p->secure) {
		skip(r, p->library_path, IMP_LD_LIBRARY_PATH, NULL,
		     "LD_LIBRARY_PATH is ignored in a program that runs with raised privileges");
		return;
	}
	if (!p->environment)
		p->environment = imp_ld_process_dirs(p, p->program, p->library_path, ":;");
	skip_dropped(r, p->environment, IMP_LD_LIBRARY_PATH, NULL);
	search_dirs(r, p->environment, IMP_LD_LIBRARY_PATH, NULL);
}

static void search_runpath(struct run *r)
{
	struct imp_ld_object *o = (struct imp_ld_object *)(uintptr_t)r->requester;
	struct imp_ld_dirs *dirs = o ? runpath_of(r, o) : NULL;

	if (!dirs)
		return;
	skip_dropped(r, dirs, IMP_LD_RUNPATH, o);
	search_dirs(r, dirs, IMP_LD_RUNPATH, o);
}

static bool in_default_dir(const struct imp_ld_system *sys, const char *path)
{
	size_t i;

	for (i = 0; i < sys->default_dirs.n; i++) {
		if (strncmp(path, sys->default_dirs.v[i], strlen(sys->default_dirs.v[i])) == 0)
			return true;
	}
	return false;
}

static bool no_default_dirs(const struct run *r)
{
	const struct imp_ld_object *o = r->requester ? r->requester : r->p->program;

	return o && o->image && (o->image->flags_1 & DF_1_NODEFLIB);
}

static const char *not_taken(const struct imp_ld_cache_entry *e, const struct imp_ld_cache_filter *f)
{
	if (e->flags != f->flags)
		return "its entry in ld.so.cache is for another architecture";
	if (e->hwcaps)
		return "its entry in ld.so.cache is for another processor level";
	return "its entry in ld.so.cache comes after a better one";
}

static void search_cache(struct run *r)
{
	const struct imp_ld_system *sys = r->p->system;
	const struct imp_ld_cache_entry *e, *other;

	e = imp_ld_cache_find(&sys->cache, &sys->filter, r->out->name);
	for (other = imp_ld_cache_next(&sys->cache, r->out->name, NULL); other;
	     other = imp_ld_cache_next(&sys->cache, r->out->name, other)) {
		if (other != e)
			skip(r, other->path, IMP_LD_CACHE, NULL, not_taken(other, &sys->filter));
	}
	if (!sys->cache.known && !r->found)
		r->out->unknown |= !sys->default_dirs_known;
	if (!e)
		return;
	if (no_default_dirs(r) && in_default_dir(sys, e->path))
		skip(r, e->path, IMP_LD_CACHE, NULL, "the object was linked with -z nodefaultlib");
	else
		try_path(r, (struct imp_ld_candidate){.origin = IMP_LD_CACHE, .path = e->path});
}

static void search_defaults(struct run *r)
{
	size_t i;

	if (no_default_dirs(r)) {
		for (i = 0; i < r->p->system->default_dirs.n; i++)
			skip(r, r->p->system->default_dirs.v[i], IMP_LD_DEFAULT, NULL,
			     "the object was linked with -z nodefaultlib");
		return;
	}
	search_dirs(r, r->p->defaults, IMP_LD_DEFAULT, NULL);
}

/* ---- the object ------------------------------------------------------------------------------------- */

static struct imp_ld_object *same_file(const struct run *r)
{
	const struct imp_ld_objects *all = &r->p->objects;
	size_t i;

	for (i = 0; i < all->n; i++) {
		struct imp_ld_object *o = all->v[i];

		if (o->identified && o->dev == r->hit.dev && o->ino == r->hit.ino &&
		    o->name_space == r->out->name_space)
			return o;
	}
	return NULL;
}

static const struct imp_ld_object *the_loader(const struct imp_ld_process *p)
{
	size_t i;

	for (i = 0; i < p->objects.n; i++) {
		if (p->objects.v[i]->is_loader && !p->objects.v[i]->name_space)
			return p->objects.v[i];
	}
	return NULL;
}

/* _dl_map_object_from_fd() */
static void map_object(struct run *r, const struct imp_ld_request *req)
{
	struct imp_ld_search *out = r->out;
	struct imp_ld_object *o = same_file(r);
	const struct imp_ld_object *ld;
	const char *trouble;
	bool is_ld;

	if (o) {
		out->object = o;
		out->loaded_before = true;
		out->loaded_by = "same file";
		*imp_vec_push(r->p->arena, &o->names) = out->name;
		return;
	}
	if (req->no_load)
		return;
	/* There is one ld.so, whatever the namespace; it is known by its names alone. */
	ld = req->name_space ? the_loader(r->p) : NULL;
	is_ld = ld && imp_ld_process_has_name(ld, out->name);
	trouble = r->hit.image && !is_ld ?
			  imp_elf_image_unmappable(r->hit.image, r->p->system->page_size) :
			  NULL;
	if (trouble) {
		out->error = trouble;
		out->error_name = r->hit.path;
		return;
	}
	o = imp_ld_process_add(r->p, r->hit.path, r->hit.path, req->dlopen ? NULL : req->requester,
			       req->name_space);
	o->search = out;
	o->is_loader = is_ld;
	if (strcmp(o->name, out->name) != 0)
		*imp_vec_push(r->p->arena, &o->names) = out->name;
	out->object = o;
}

static void search_direct(struct run *r)
{
	const char *path = r->requester ? imp_ld_process_expand(r->p, r->requester, r->out->name) :
					  r->out->name;

	if (!path || !*path) {
		r->out->error = "empty dynamic string token substitution";
		r->out->error_name = r->out->name;
		return;
	}
	try_path(r, (struct imp_ld_candidate){.origin = IMP_LD_DIRECT, .path = path});
}

static void set_error(struct run *r)
{
	struct imp_ld_search *out = r->out;

	if (out->error || out->unknown)
		return;
	out->error_name = out->name;
	if (r->other_class)
		out->error = r->p->system->bits == 64 ? "wrong ELF class: ELFCLASS32" :
							"wrong ELF class: ELFCLASS64";
	else
		out->error = imp_arena_printf(r->p->arena, "cannot open shared object file: %s",
					      strerror(r->err ? -r->err : ENOENT));
}

int imp_ld_search_run(struct imp_ld_process *p, const struct imp_ld_request *req,
		      struct imp_ld_search *out, struct imp_error *err)
{
	struct run r = {.p = p, .out = out, .err = -ENOENT};

	memset(out, 0, sizeof(*out));
	if (!req->name || !*req->name)
		return imp_error_set(err, -EINVAL, "the name of the object is empty");
	r.requester = req->requester ? req->requester : req->dlopen ? p->program : NULL;
	out->requester = r.requester;
	out->name_space = req->name_space;
	out->name = imp_arena_strndup(p->arena, req->name, strlen(req->name));
	/* dlopen's own name is expanded when it is opened; DT_NEEDED's before it is looked for. */
	if (!req->dlopen && strchr(out->name, '$')) {
		out->name = p->secure ? NULL : imp_ld_process_expand(p, r.requester, out->name);
		if (!out->name || !*out->name) {
			out->name = imp_arena_strndup(p->arena, req->name, strlen(req->name));
			out->error = p->secure ? "DST not allowed in SUID/SGID programs" :
						 "empty dynamic string token substitution";
			out->error_name = out->name;
			return 0;
		}
	}
	out->object = imp_ld_process_match(p, out->name, req->name_space, &out->loaded_by);
	if (out->object) {
		out->loaded_before = true;
		return 0;
	}
	if (strchr(out->name, '/')) {
		search_direct(&r);
	} else {
		search_rpaths(&r);
		search_environment(&r);
		search_runpath(&r);
		search_cache(&r);
		search_defaults(&r);
	}
	if (r.found)
		map_object(&r, req);
	else
		set_error(&r);
	return 0;
}
