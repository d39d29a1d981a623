/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a dlopen failed: what it was derived from, and which rule is asked. */
#include <string.h>
#include <sys/stat.h>

#include "../python/module_file.h"
#include "judge_loader.h"

#define CHAIN_MAX	   32
#define INIT_FUNCTIONS_MAX 8

/* ---- what is known of a file ------------------------------------------------------------------------- */

struct imp_elf_image *imp_load_image(struct imp_load *l, const char *path)
{
	const char *file = path && strchr(path, '/') ?
				   imp_ld_process_absolute(&l->replay.process, path) :
				   NULL;

	return file ? imp_ld_disk_image(&l->replay.disk, file) : NULL;
}

const struct imp_file_facts *imp_load_facts(const struct imp_load *l, const char *path)
{
	const struct imp_image *image = l->c->image;

	for (size_t i = image->files.n; path && i-- > 0;) {
		const struct imp_file_facts *f = image->files.v[i];

		if ((f->path && !strcmp(f->path, path)) ||
		    (f->realpath && !strcmp(f->realpath, path)))
			return f;
	}
	return NULL;
}

bool imp_load_fits(struct imp_load *l, const char *path)
{
	const struct imp_ld_system *sys = &l->replay.system;
	const struct imp_elf_image *img;
	const char *text, *why;
	struct stat st;

	if (imp_host_stat(l->c->host, path, &st) || !S_ISREG(st.st_mode))
		return false;
	img = imp_ld_disk_image(&l->replay.disk, path);
	return img && img->header &&
	       imp_elf_image_refusal(img, sys->bits, sys->machine, sys->big_endian, &text, &why) ==
		       IMP_ELF_ACCEPTED;
}

const struct imp_object *imp_load_mapped(const struct imp_load *l, const char *base)
{
	for (size_t i = 0; i < l->c->image->objects.n; i++) {
		const struct imp_object *o = l->c->image->objects.v[i];
		const char *slash = o->path ? strrchr(o->path, '/') : NULL;

		if (slash && !strcmp(slash + 1, base))
			return o;
	}
	return NULL;
}

/* ---- who asked for what ---------------------------------------------------------------------------------- */

const struct imp_ld_search *imp_load_search(const struct imp_load *l, const char *name)
{
	const struct imp_ld_search *found = NULL;

	for (size_t i = 0; name && i < l->tree.searches.n && !found; i++) {
		const struct imp_ld_search *s = l->tree.searches.v[i];

		if (!strcmp(s->name, name) || (s->error_name && !strcmp(s->error_name, name)) ||
		    (s->object && imp_ld_process_has_name(s->object, name)) ||
		    (s->object && s->object->file && !strcmp(s->object->file, name)))
			found = s;
		for (size_t k = 0; k < s->tried.n && !found; k++)
			if (s->tried.v[k].result != IMP_LD_ABSENT &&
			    !strcmp(s->tried.v[k].path, name))
				found = s;
	}
	return found;
}

const char *imp_load_needed_by(const struct imp_load *l, const struct imp_ld_search *s)
{
	if (!s || !l->tree.searches.n || s == l->tree.searches.v[0] || !s->requester)
		return NULL;
	return s->requester->file;
}

/* Between RUNPATH and the default directories ld.so.cache is asked: no path of it stands in the list where it has none. */
static void say_cache(const struct imp_load *l, struct imp_library *lib,
		      const struct imp_ld_search *s)
{
	if (!s || s->observed || !l->replay.system.cache.known)
		return;
	for (size_t i = 0; i < s->tried.n; i++) {
		if (s->tried.v[i].origin == IMP_LD_CACHE)
			return;
		if (s->tried.v[i].origin == IMP_LD_DEFAULT) {
			lib->not_in_cache = true;
			lib->cache_at = i;
			return;
		}
	}
}

void imp_load_library(struct imp_load *l, const char *name, const char *needed_by,
		      const struct imp_ld_search *s)
{
	struct imp_arena *a = l->c->a;
	struct imp_library *lib = imp_arena_alloc(a, sizeof(*lib));

	lib->name = name;
	lib->needed_by = needed_by;
	lib->source = s && s->observed ? IMP_OBSERVED : IMP_DERIVED;
	say_cache(l, lib, s);
	for (size_t i = 0; s && i < s->tried.n; i++)
		*imp_vec_push(a, &lib->searched) =
			(struct imp_library_path){s->tried.v[i].path,
						  imp_ld_origin_name(s->tried.v[i].origin),
						  imp_ld_result_name(s->tried.v[i].result)};
	for (size_t i = 0; s && i < s->later.n; i++)
		*imp_vec_push(a, &lib->searched) =
			(struct imp_library_path){s->later.v[i].path,
						  imp_ld_origin_name(s->later.v[i].origin),
						  imp_ld_result_name(IMP_LD_SKIPPED)};
	for (size_t i = 0; s && i < s->skipped.n; i++)
		if (s->skipped.v[i].path)
			*imp_vec_push(a, &lib->searched) = (struct imp_library_path){
				s->skipped.v[i].path, imp_ld_origin_name(s->skipped.v[i].origin),
				imp_ld_result_name(IMP_LD_SKIPPED)};
	l->c->f->library = lib;
	if (s && lib->source == IMP_OBSERVED)
		imp_finding_evidence(a, l->c->f, IMP_OBSERVED,
				     "ld.so was seen (%s) to try %zu %s for %s",
				     l->c->image->lookups_by_kernel ? "by the kernel" : "rtld-audit",
				     s->tried.n, s->tried.n == 1 ? "path" : "paths", s->name);
}

void imp_load_say_chain(struct imp_load *l, const char *name, const struct imp_ld_search *s)
{
	const struct imp_ld_object *o;
	const char *text;
	unsigned int n = 0;

	if (!imp_load_needed_by(l, s))
		return;
	text = imp_arena_printf(l->c->a, "%s is needed by %s", name, s->requester->file);
	for (o = s->requester->loader; o && n < CHAIN_MAX; o = o->loader, n++)
		if (o->file)
			text = imp_arena_printf(l->c->a, "%s, which is needed by %s", text, o->file);
	imp_finding_evidence(l->c->a, l->c->f, IMP_DERIVED, "%s", text);
}

void imp_load_say_caller(struct imp_load *l)
{
	const struct imp_object *o =
		l->d->caller ? imp_record_object(l->c->image, l->d->caller) : NULL;

	if (o && o->path)
		imp_finding_evidence(l->c->a, l->c->f, IMP_OBSERVED,
				     "dlopen(\"%s\") was called by %s", l->d->name, o->path);
}

/* ---- one failed dlopen ---------------------------------------------------------------------------------------- */

static bool judge(struct imp_load *l)
{
	static bool (*const judges[])(struct imp_load *) = {
		[IMP_LOADER_OPEN] = imp_judge_open,
		[IMP_LOADER_SYMBOL] = imp_judge_symbol,
		[IMP_LOADER_VERSION] = imp_judge_symbol_version,
		[IMP_LOADER_MACHINE] = imp_judge_machine,
		[IMP_LOADER_FILE] = imp_judge_bad_file,
		[IMP_LOADER_PAGE] = imp_judge_page_size,
		[IMP_LOADER_TLS] = imp_judge_static_tls,
		[IMP_LOADER_STACK] = imp_judge_stack,
		[IMP_LOADER_MAP] = imp_judge_mapping,
		[IMP_LOADER_PROTECT] = imp_judge_protection,
		[IMP_LOADER_PROCESSOR] = imp_judge_processor,
		[IMP_LOADER_MEMORY] = imp_judge_memory,
	};

	return judges[l->text.complaint](l);
}

/* The file that the text names. At times it names what DT_NEEDED asked for, though the file was found. */
static const char *named_file(struct imp_load *l)
{
	const struct imp_ld_search *s = l->search;
	const char *name = l->text.object;

	if (name && strchr(name, '/'))
		return imp_ld_process_absolute(&l->replay.process, name);
	if (l->text.complaint == IMP_LOADER_OPEN || !s)
		return NULL;
	if (s->object && s->object->file)
		return s->object->file;
	if (s->tried.n && s->tried.v[s->tried.n - 1].result == IMP_LD_OPENED)
		return imp_ld_process_absolute(&l->replay.process, s->tried.v[s->tried.n - 1].path);
	return NULL;
}

/*
 * "site/pkg/../pkg.libs/libx.so", as $ORIGIN/../pkg.libs makes it, is site/pkg.libs/libx.so: but where links are on
 * the way it need not be.
 */
static const char *tidy(struct imp_load *l, const char *path)
{
	const char *normal = path && *path == '/' ? imp_path_normalize(l->c->a, path) : path;
	const struct imp_file_facts *facts;
	struct stat x, y;

	if (!path || !strcmp(normal, path))
		return path;
	if (l->c->host->enabled)
		return !imp_host_stat(l->c->host, path, &x) &&
				       !imp_host_stat(l->c->host, normal, &y) &&
				       x.st_dev == y.st_dev && x.st_ino == y.st_ino ?
			       normal :
			       path;
	facts = imp_load_facts(l, path);
	return facts && facts->realpath && !strcmp(facts->realpath, normal) ? normal : path;
}

bool imp_judge_dlopen_error(struct imp_case *c, const struct imp_dlopen *d)
{
	struct imp_load l = {.c = c, .d = d};
	bool known;

	if (!d->error || !d->name || !imp_loader_text_parse(&l.text, c->a, d->error))
		return false;
	imp_ld_replay_init(&l.replay, c->a, c->image, c->host);
	if (imp_ld_replay_dlopen(&l.replay, d, &l.tree))
		l.tree = (struct imp_ld_tree){0};
	if (strchr(d->name, '/'))
		l.root = imp_ld_process_absolute(&l.replay.process, d->name);
	l.search = imp_load_search(&l, l.text.object);
	l.file = named_file(&l);
	known = judge(&l);
	if (known) {
		c->f->path = tidy(&l, c->f->path);
		if (c->f->library)
			c->f->library->needed_by = tidy(&l, c->f->library->needed_by);
	}
	if (known && !*c->module) {
		if (!c->f->library)
			imp_load_library(&l, d->name, NULL,
					 l.tree.searches.n ? l.tree.searches.v[0] : NULL);
		imp_load_say_caller(&l);
	}
	imp_ld_replay_clear(&l.replay);
	return known;
}

void imp_judge_init_functions(struct imp_case *c, const char *path, const char *name)
{
	struct imp_elf_symbol_list all = {0};
	struct imp_ld_replay replay;
	const char *text = NULL, *file;
	struct imp_elf_image *img;
	struct imp_elf_symbol_list mangled = {0};
	bool known = false;

	imp_ld_replay_init(&replay, c->a, c->image, c->host);
	file = imp_ld_process_absolute(&replay.process, path);
	img = file ? imp_ld_disk_image(&replay.disk, file) : NULL;
	if (img && img->header) {
		known = !imp_elf_symbol_exported(img, "PyInit", INIT_FUNCTIONS_MAX, &all);
		if (!all.n) /* Python 2's */
			known &= !imp_elf_symbol_exported(img, "init", INIT_FUNCTIONS_MAX, &all);
		if (imp_elf_symbol_exported(
			    img, imp_arena_printf(c->a, "_Z%zu%s", strlen(name), name), 1, &mangled))
			mangled.n = 0;
	}
	for (size_t i = 0; i < all.n; i++)
		text = text ? imp_arena_printf(c->a, "%s, %s", text, all.v[i].name) : all.v[i].name;
	if (mangled.n) {
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"it exports %s, which is C++'s name for %s(): it was compiled without extern \"C\"",
			mangled.v[0].name, name);
		imp_finding_fix(
			c->a, c->f, IMP_LIKELY, NULL,
			"declare %s as PyMODINIT_FUNC, or in an extern \"C\" block, and build it again",
			name);
	} else if (text)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED,
				     "the init functions that it does export: %s", text);
	else if (known)
		imp_finding_evidence(
			c->a, c->f, IMP_DERIVED,
			"it exports no init function at all: it is no extension module, or was built with that function hidden");
	imp_ld_replay_clear(&replay);
}
