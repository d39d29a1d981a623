/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All libraries are found, and one of them does not have what is needed. */
#include <dlfcn.h>
#include <string.h>
#include <sys/stat.h>

#include "../elf/demangle.h"
#include "../python/installer.h"
#include "judge_loader.h"

#define LIBRARIES_MAX 3000	/* files that are asked for one symbol */
#define NEAREST 3
#define OFFERED_MAX 12		/* versions that are listed */

/* What is missing: a symbol, or (@symbol NULL) a version of a library's symbols. */
struct wanted {
	const char *symbol, *version;
};

static int offers(struct imp_elf_image *img, const struct wanted *w)
{
	if (!img || !img->header)
		return -1;
	if (w->symbol)
		return imp_elf_symbol_find(img, w->symbol, w->version, NULL);
	for (size_t i = 0; i < img->version_defs.n; i++)
		if (!strcmp(img->version_defs.v[i].version, w->version))
			return 1;
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static const char *readable(const struct imp_load *l, const char *symbol)
{
	const char *name = imp_demangle(l->c->a, symbol);

	return name ? name : symbol;
}

static const struct imp_ld_object *object_at(const struct imp_load *l, const char *file)
{
	for (size_t i = 0; file && i < l->replay.process.objects.n; i++) {
		const struct imp_ld_object *o = l->replay.process.objects.v[i];

		if (o->file && !strcmp(o->file, file))
			return o;
	}
	for (size_t i = 0; file && i < l->tree.objects.n; i++)
		if (l->tree.objects.v[i]->file && !strcmp(l->tree.objects.v[i]->file, file))
			return l->tree.objects.v[i];
	return NULL;
}

/* ---- wrong-library ---------------------------------------------------------------------------------------------- */

/* What the search would have found, had nothing of that name been loaded. */
static const struct imp_ld_search *search_afresh(struct imp_load *l, const struct imp_ld_search *s)
{
	struct imp_ld_search *fresh = imp_arena_alloc(l->c->a, sizeof(*fresh));
	struct imp_ld_process alone = l->replay.process;
	struct imp_ld_request req = { .name = s->name, .requester = s->requester, .name_space = s->name_space };

	alone.objects = (struct imp_ld_objects){ 0 };
	return imp_ld_search_run(&alone, &req, fresh, NULL) ? NULL : fresh;
}

static const struct imp_ld_candidate *offering(const struct imp_ld_candidates *list, const struct wanted *w,
					       const struct imp_elf_image *taken)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].image && list->v[i].image != taken && offers(list->v[i].image, w) == 1)
			return &list->v[i];
	return NULL;
}

static enum imp_ld_origin origin_of(const struct imp_ld_object *o)
{
	const struct imp_ld_search *s = o->search;

	return s && s->tried.n ? s->tried.v[s->tried.n - 1].origin : IMP_LD_DIRECT;
}

static const char *rule_of(const struct imp_load *l, enum imp_ld_origin origin)
{
	const char *path = imp_record_env(l->c->image, "LD_LIBRARY_PATH");

	switch (origin) {
	case IMP_LD_LIBRARY_PATH:
		return imp_arena_printf(l->c->a, "LD_LIBRARY_PATH=%s", path ? path : "");
	case IMP_LD_RPATH:
		return "the RPATH";
	case IMP_LD_RUNPATH:
		return "the RUNPATH";
	case IMP_LD_CACHE:
		return "ld.so.cache";
	case IMP_LD_DEFAULT:
		return "the loader's default directories";
	case IMP_LD_DIRECT:
		break;
	}
	return "its path";
}

/* LD_LIBRARY_PATH without one directory */
static void fix_variable(struct imp_load *l, const char *file)
{
	const char *value = imp_record_env(l->c->image, "LD_LIBRARY_PATH"), *kept = NULL, *dir;
	struct imp_arena *a = l->c->a;
	char *rest = value ? imp_arena_strndup(a, value, strlen(value)) : NULL;
	size_t len = (size_t)(base_name(file) - file);

	while ((dir = strsep(&rest, ":;"))) {
		size_t n = strlen(dir);

		if (!n || (n <= len && !strncmp(dir, file, n) && strspn(file + n, "/") + n == len))
			continue;
		kept = kept ? imp_arena_printf(a, "%s:%s", kept, dir) : dir;
	}
	imp_finding_fix(a, l->c->f, IMP_LIKELY,
			kept ? imp_arena_printf(a, "export LD_LIBRARY_PATH=%s", imp_shell_quote(a, kept)) : "unset LD_LIBRARY_PATH",
			"takes %.*s from the path, so that the other copy is found", (int)len, file);
}

static void wrong_library(struct imp_load *l, const struct imp_ld_search *s, const struct imp_ld_search *fresh,
			  const struct imp_ld_candidate *right, const struct wanted *w)
{
	const struct imp_ld_object *taken = s->object;
	const char *what = w->symbol ? readable(l, w->symbol) : w->version;
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;
	enum imp_ld_origin origin = origin_of(taken);

	f->cause = IMP_CAUSE_WRONG_LIBRARY;
	f->path = taken->file;
	imp_load_library(l, s->name, s->requester ? s->requester->file : NULL, fresh ? NULL : s);
	f->summary = imp_arena_printf(c->a, "%s was taken for %s, and it has no %s; %s has it, and was passed over",
				      taken->file, s->name, what, right->path);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	if (!fresh) {
		imp_finding_evidence(c->a, f, IMP_DERIVED, "%s was found first, through %s", taken->file, rule_of(l, origin));
	} else {
		struct imp_library *lib = f->library;

		*imp_vec_push(c->a, &lib->searched) = (struct imp_library_path){
			taken->file, imp_ld_origin_name(origin), imp_ld_result_name(IMP_LD_OPENED) };
		for (size_t i = 0; i < fresh->tried.n; i++)
			*imp_vec_push(c->a, &lib->searched) = (struct imp_library_path){
				fresh->tried.v[i].path, imp_ld_origin_name(fresh->tried.v[i].origin),
				imp_ld_result_name(fresh->tried.v[i].result == IMP_LD_OPENED ? IMP_LD_SKIPPED
											       : fresh->tried.v[i].result) };
		imp_finding_evidence(c->a, f, IMP_DERIVED, "%s was loaded already when %s was asked for%s%s: one object of that soname serves all",
				     taken->file, s->name, taken->loader && taken->loader->file ? ", needed by " : "",
				     taken->loader && taken->loader->file ? taken->loader->file : "");
	}
	imp_finding_evidence(c->a, f, IMP_DERIVED, "%s, to which %s would lead, has %s", right->path,
			     rule_of(l, right->origin), what);
	if (w->symbol && strcmp(what, w->symbol))
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "the symbol is %s", w->symbol);
	if (origin == IMP_LD_LIBRARY_PATH && !(fresh && taken->loader && taken->loader->program))
		fix_variable(l, taken->file);
	if (fresh && *c->module)
		imp_finding_fix(c->a, f, IMP_LIKELY, NULL, "import %s first, before what loads %s", c->module, taken->file);
	imp_finding_fix(c->a, f, IMP_POSSIBLE,
			imp_arena_printf(c->a, "export LD_PRELOAD=%s${LD_PRELOAD:+:$LD_PRELOAD}",
					 imp_shell_quote(c->a, imp_ld_process_absolute(&l->replay.process, right->path))),
			"loads the right copy before all others, whatever path leads to them");
	if (!fresh && origin != IMP_LD_LIBRARY_PATH)
		imp_finding_fix(c->a, f, IMP_POSSIBLE, NULL, "remove %s, or change the order of the directories in the RPATH or RUNPATH of %s",
				taken->file, s->requester && s->requester->file ? s->requester->file : "the object that needs it");
}

static bool judge_copies(struct imp_load *l, const struct wanted *w, const struct imp_ld_object *who)
{
	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 1; i < l->tree.searches.n; i++) {
			const struct imp_ld_search *s = l->tree.searches.v[i], *fresh = NULL;
			const struct imp_ld_candidate *right;

			/* What the object itself needs comes first. */
			if ((s->requester == who) == (pass == 1) || !s->object || !s->object->image ||
			    offers(s->object->image, w) != 0)
				continue;
			if (!w->symbol && l->text.object && s->object->file && strcmp(s->object->file, l->file ? l->file : ""))
				continue;
			right = offering(&s->later, w, s->object->image);
			if (!right && s->loaded_before && (fresh = search_afresh(l, s))) {
				right = offering(&fresh->tried, w, s->object->image);
				right = right ? right : offering(&fresh->later, w, s->object->image);
			}
			if (!right)
				continue;
			wrong_library(l, s, fresh, right, w);
			return true;
		}
	return false;
}

/* ---- Python's own symbols -------------------------------------------------------------------------------------- */

/* Source: the "What's New in Python" of each version; Misc/stable_abi.toml. A name that ends in '_' is a prefix. */
static const struct {
	const char *name, *where;
} python_api[] = {
	{ "PyString_", "Python 2" }, { "PyInt_", "Python 2" }, { "PyFile_AsFile", "Python 2" },
	{ "PyCObject_", "Python 2" }, { "PyClass_", "Python 2" }, { "PyInstance_", "Python 2" },
	{ "Py_InitModule4", "Python 2" }, { "Py_InitModule4_", "Python 2" }, { "PyUnicodeUCS2_", "Python before 3.3, in a narrow build" },
	{ "PyUnicodeUCS4_", "Python before 3.3, in a wide build" }, { "PyBuffer_FromMemory", "Python 2" },
	{ "PyModule_Create2TraceRefs", "a debug build (Py_TRACE_REFS) of Python" },
	{ "_Py_RefTotal", "a debug build of Python" }, { "_Py_NegativeRefcount", "a debug build of Python" },
	{ "_PyUnicode_Ready", "CPython 3.3 to 3.11" }, { "PyUnicode_AsUnicode", "CPython 3.0 to 3.11" },
	{ "PyUnicode_FromUnicode", "CPython 3.0 to 3.11" }, { "PyUnicode_GetSize", "CPython 3.0 to 3.11" },
	{ "PyUnicode_AsUnicodeAndSize", "CPython 3.3 to 3.11" }, { "PyEval_CallObjectWithKeywords", "CPython before 3.13" },
	{ "PyCFunction_Call", "CPython before 3.13" }, { "PyObject_Vectorcall", "CPython 3.9 and later" },
	{ "PyModule_AddObjectRef", "CPython 3.10 and later" }, { "Py_NewRef", "CPython 3.10 and later" },
	{ "Py_XNewRef", "CPython 3.10 and later" }, { "PyType_GetName", "CPython 3.11 and later" },
	{ "PyErr_GetHandledException", "CPython 3.11 and later" }, { "PyErr_GetRaisedException", "CPython 3.12 and later" },
	{ "PyUnstable_", "CPython 3.12 and later" }, { "PyList_GetItemRef", "CPython 3.13 and later" },
	{ "PyDict_GetItemRef", "CPython 3.13 and later" }, { "PyDict_GetItemStringRef", "CPython 3.13 and later" },
	{ "PyObject_GetOptionalAttr", "CPython 3.13 and later" }, { "PyThreadState_GetUnchecked", "CPython 3.13 and later" },
	{ "PyWeakref_GetRef", "CPython 3.13 and later" }, { "Py_GetConstantBorrowed", "CPython 3.13 and later" },
	{ "PyLong_AsInt", "CPython 3.13 and later" }, { "PyImport_AddModuleRef", "CPython 3.13 and later" },
};

static bool is_python_symbol(const char *symbol)
{
	return !strncmp(symbol, "Py", 2) || !strncmp(symbol, "_Py", 3);
}

static const char *which_python(const char *symbol)
{
	for (size_t i = 0; i < sizeof(python_api) / sizeof(python_api[0]); i++) {
		const char *name = python_api[i].name;
		size_t len = strlen(name);

		if (name[len - 1] == '_' ? !strncmp(symbol, name, len) : !strcmp(symbol, name))
			return python_api[i].where;
	}
	return NULL;
}

/* The shared library of this interpreter, and the dlopen that brought it in without RTLD_GLOBAL. */
static const struct imp_dlopen *local_libpython(const struct imp_load *l, const struct imp_object **libpython)
{
	const struct imp_image *image = l->c->image;
	const struct imp_object *o = l->c->py && l->c->py->object ? imp_record_object(image, l->c->py->object) : NULL;
	const struct imp_dlopen *found = NULL;

	for (size_t i = 0; (!o || !o->path || !imp_case_has(o->path, "libpython")) && i < image->objects.n; i++)
		if (image->objects.v[i]->path && !strncmp(base_name(image->objects.v[i]->path), "libpython", 9))
			o = image->objects.v[i];
	if (!o || !o->path || strncmp(base_name(o->path), "libpython", 9))
		return NULL;
	for (size_t i = 0; i < image->dlopens.n; i++) {
		const struct imp_dlopen *d = image->dlopens.v[i];
		bool same = d->object == o->number || (d->name && !strcmp(base_name(d->name), base_name(o->path)));

		if (!d->handle || d->begin_ns >= l->d->begin_ns)
			continue;
		if (same && (d->flags & RTLD_GLOBAL))
			return NULL;
		/* Itself, or what needs it. */
		if (!found && d->begin_ns <= o->mapped_ns && (same || d->end_ns >= o->mapped_ns))
			found = d;
	}
	*libpython = o;
	return found && !(found->flags & RTLD_GLOBAL) ? found : NULL;
}

static bool judge_libpython(struct imp_load *l)
{
	const struct imp_object *libpython = NULL, *caller;
	const struct imp_dlopen *by = local_libpython(l, &libpython);
	struct wanted w = { l->text.symbol, NULL };
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;

	if (!by || offers(imp_load_image(l, libpython->path), &w) == 0)
		return false;
	caller = by->caller ? imp_record_object(c->image, by->caller) : NULL;
	f->cause = IMP_CAUSE_LIBPYTHON_NOT_GLOBAL;
	f->path = l->file ? l->file : l->root;
	f->summary = imp_arena_printf(c->a, "%s was opened with RTLD_LOCAL, so %s cannot see %s and the rest of Python's C API",
				      base_name(libpython->path), f->path, l->text.symbol);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "%s was mapped by dlopen(\"%s\", 0x%llx), without RTLD_GLOBAL (that is RTLD_LOCAL), called by %s",
			     libpython->path, by->name ? by->name : "", (unsigned long long)by->flags,
			     caller && caller->path && *caller->path ? caller->path : c->image->exe ? c->image->exe : "the program");
	if (by->name_space)
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "it is in a link namespace of its own (dlmopen)");
	if (imp_load_image(l, libpython->path))
		imp_finding_evidence(c->a, f, IMP_DERIVED, "%s does export %s", libpython->path, l->text.symbol);
	imp_finding_fix(c->a, f, IMP_LIKELY,
			imp_arena_printf(c->a, "export LD_PRELOAD=%s${LD_PRELOAD:+:$LD_PRELOAD}", imp_shell_quote(c->a, libpython->path)),
			"makes libpython's symbols visible to everybody from the start");
	imp_finding_fix(c->a, f, IMP_LIKELY, NULL, "change the host program: dlopen libpython with RTLD_NOW | RTLD_GLOBAL, or link with it");
	return true;
}

/* Other Pythons of this machine that have the function. */
static void say_pythons(struct imp_load *l)
{
	const struct imp_sites *sites = imp_case_sites(l->c, true);
	struct wanted w = { l->text.symbol, NULL };
	struct imp_case *c = l->c;
	struct imp_strings seen = { 0 };
	unsigned int n = 0;

	for (size_t i = 0; sites && i < sites->n && n < 4; i++) {
		const struct imp_site *s = &sites->v[i];
		const char *version = imp_arena_printf(c->a, "%d.%d", s->major, s->minor), *files[3] = { 0 };
		const char *real, *lib = NULL;
		bool twice = false;

		if (!s->major || !s->interpreter || imp_host_realpath(c->host, c->a, s->interpreter, &real))
			continue;
		for (size_t k = 0; k < seen.n; k++)
			twice |= !strcmp(seen.v[k], real);
		if (twice)
			continue;
		*imp_vec_push(c->a, &seen) = real;
		if (strrchr(real, '/') != real)
			files[0] = imp_arena_printf(c->a, "%.*s/../lib/libpython%s.so.1.0", (int)(strrchr(real, '/') - real), real, version);
		files[1] = real;
		for (size_t k = 0; k < 2 && !lib; k++)
			if (files[k] && offers(imp_load_image(l, files[k]), &w) == 1)
				lib = files[k];
		if (!lib)
			continue;
		n++;
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "Python %s has it (%s)", version, s->interpreter);
	}
}

static void python_symbol(struct imp_load *l, const char *who)
{
	const char *where = which_python(l->text.symbol);
	struct imp_case *c = l->c;

	c->f->summary = imp_arena_printf(c->a, "%s was built for another Python: it needs %s of its C API, which %s does not have", who,
					 l->text.symbol, imp_case_python(c));
	if (where)
		imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%s is part of the C API of %s", l->text.symbol, where);
	say_pythons(l);
}

/* ---- undefined-symbol ------------------------------------------------------------------------------------------- */

static bool cxx11(const char *name)
{
	return imp_case_has(name, "__cxx11") || imp_case_has(name, "[abi:cxx11]") || imp_case_has(name, "B5cxx11");
}

/* Names that look most like it, among those that the needed libraries export. */
static void say_nearest(struct imp_load *l, const struct imp_ld_object *who)
{
	const char *wanted = readable(l, l->text.symbol);
	struct imp_case *c = l->c;

	for (size_t i = 1; who && i < l->tree.searches.n; i++) {
		const struct imp_ld_search *s = l->tree.searches.v[i];
		struct imp_elf_symbol_list near = { 0 };

		if (s->requester != who || !s->object || !s->object->image ||
		    imp_elf_symbol_nearest(s->object->image, l->text.symbol, NEAREST, &near))
			continue;
		for (size_t k = 0; k < near.n; k++) {
			const char *name = readable(l, near.v[k].name);
			bool abi = strncmp(l->text.symbol, "_Z", 2) == 0 &&
				   (cxx11(wanted) || cxx11(l->text.symbol)) != (cxx11(name) || cxx11(near.v[k].name));

			imp_finding_evidence(c->a, c->f, IMP_DERIVED, "%s, which it needs, exports %s (%s) in its stead%s", s->object->file,
					     name, near.v[k].name,
					     abi ? ": the two were built with different C++ ABIs (_GLIBCXX_USE_CXX11_ABI)" : "");
		}
	}
}

static const char *exporter_in(struct imp_load *l, const char *dir, const struct wanted *w, unsigned int *left)
{
	struct imp_strings names = { 0 };

	if (imp_host_list(l->c->host, l->c->a, dir, &names))
		return NULL;
	for (size_t i = 0; i < names.n && *left; i++) {
		const char *path = imp_arena_printf(l->c->a, "%s/%s", dir, names.v[i]), *so = strstr(names.v[i], ".so");

		if (!so || (so[3] && so[3] != '.') || (l->file && !strcmp(path, l->file)))
			continue;
		--*left;
		if (imp_load_fits(l, path) && offers(imp_load_image(l, path), w) == 1)
			return path;
	}
	return NULL;
}

/* A library of this machine that has it: one that was never linked, or another copy. */
static const char *find_exporter(struct imp_load *l, const struct wanted *w)
{
	const struct imp_ld_cache *cache = &l->replay.system.cache;
	unsigned int left = LIBRARIES_MAX;
	struct imp_load_places places;
	const char *found = NULL;

	if (!l->c->host->enabled)
		return NULL;
	imp_load_places_find(l, &places);
	for (size_t i = 0; i < places.n && !found && left; i++) {
		/* Below /usr/lib and the like the cache knows better. */
		if (strncmp(places.v[i].dir, "/usr/lib", 8) || imp_case_has(places.v[i].dir, "-packages"))
			found = exporter_in(l, places.v[i].dir, w, &left);
	}
	for (size_t i = 0; cache->known && i < cache->entries.n && !found && left; i++, left--)
		if (cache->entries.v[i].flags == l->replay.system.filter.flags &&
		    offers(imp_load_image(l, cache->entries.v[i].path), w) == 1)
			found = cache->entries.v[i].path;
	return found;
}

static bool names_musl(const struct imp_elf_image *img)
{
	return img && (imp_case_has(img->interpreter, "ld-musl") || img->libc == IMP_ELF_LIBC_MUSL);
}

static void fix_with(struct imp_load *l, const char *exporter, const char *who)
{
	struct imp_case *c = l->c;

	imp_finding_fix(c->a, c->f, IMP_POSSIBLE,
			imp_arena_printf(c->a, "export LD_PRELOAD=%s${LD_PRELOAD:+:$LD_PRELOAD}", imp_shell_quote(c->a, exporter)),
			"loads %s first, as if %s had been linked with it", exporter, who);
	imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL, "build %s again and link it with %s", who, base_name(exporter));
}

bool imp_judge_symbol(struct imp_load *l)
{
	struct wanted w = { l->text.symbol, l->text.version };
	const char *who = l->file ? l->file : l->root ? l->root : l->d->name, *exporter, *name = readable(l, w.symbol);
	const struct imp_ld_object *object = object_at(l, who);
	struct imp_elf_image *img = imp_load_image(l, who);
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;

	if (is_python_symbol(w.symbol) && judge_libpython(l))
		return true;
	if (!names_musl(img) && judge_copies(l, &w, object))
		return true;
	f->path = who;
	if (l->root && strcmp(l->root, who)) {
		imp_load_library(l, l->search ? l->search->name : who, imp_load_needed_by(l, l->search), l->search);
		imp_load_say_chain(l, base_name(who), l->search);
	}
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	if (strcmp(name, w.symbol))
		imp_finding_evidence(c->a, f, IMP_DERIVED, "%s is, demangled, %s", w.symbol, name);
	if (names_musl(img)) {
		f->cause = IMP_CAUSE_WRONG_LIBC;
		f->summary = imp_arena_printf(c->a, "%s was built for another C library (musl); glibc has no %s", who, name);
		if (img->interpreter)
			imp_finding_evidence(c->a, f, IMP_DERIVED, "the loader that it names is %s", img->interpreter);
		return true;
	}
	f->cause = IMP_CAUSE_UNDEFINED_SYMBOL;
	f->summary = imp_arena_printf(c->a, "%s needs the symbol %s%s%s, and none of the loaded libraries has it", who, name,
				      w.version ? " in the version " : "", w.version ? w.version : "");
	if (is_python_symbol(w.symbol)) {
		python_symbol(l, who);
		return true;
	}
	say_nearest(l, object);
	if (img && img->needed.n) {
		const char *needs = img->needed.v[0];

		for (size_t i = 1; i < img->needed.n && i < 16; i++)
			needs = imp_arena_printf(c->a, "%s, %s", needs, img->needed.v[i]);
		imp_finding_evidence(c->a, f, IMP_DERIVED, "it names these libraries (DT_NEEDED): %s", needs);
	} else if (img && img->dynamic && !img->partial) {
		imp_finding_evidence(c->a, f, IMP_DERIVED, "it names no library at all (DT_NEEDED)");
	}
	exporter = find_exporter(l, &w);
	if (exporter) {
		const struct imp_elf_image *lib = imp_load_image(l, exporter);
		bool named = false;

		for (size_t i = 0; img && i < img->needed.n; i++)
			named |= !strcmp(img->needed.v[i], lib && lib->soname ? lib->soname : base_name(exporter));
		imp_finding_evidence(c->a, f, IMP_DERIVED, named ? "%s has it: another copy of %s, to which no rule of the loader leads"
								 : "%s has it: it was never linked with %s", exporter,
				     lib && lib->soname ? lib->soname : base_name(exporter));
		if (!named)
			f->summary = imp_arena_printf(c->a, "%s needs %s of %s, and was not linked with it", who, name, base_name(exporter));
		fix_with(l, exporter, who);
	}
	return true;
}

/* ---- symbol-version-missing ------------------------------------------------------------------------------------- */

static const char *offered_by(struct imp_load *l, const struct imp_elf_image *img, const char *wanted)
{
	size_t family = strcspn(wanted, "_0123456789"), first = 0, n = 0;
	const char *text = NULL;

	for (size_t i = 0; i < img->version_defs.n; i++)
		n += !strncmp(img->version_defs.v[i].version, wanted, family) && !img->version_defs.v[i].base;
	first = n > OFFERED_MAX ? n - OFFERED_MAX : 0;	/* they are in the order in which they came to be */
	for (size_t i = 0, k = 0; i < img->version_defs.n; i++) {
		const char *v = img->version_defs.v[i].version;

		if (strncmp(v, wanted, family) || img->version_defs.v[i].base || imp_case_has(v, "PRIVATE") || k++ < first)
			continue;
		text = text ? imp_arena_printf(l->c->a, "%s, %s", text, v) : v;
	}
	return text;
}

bool imp_judge_symbol_version(struct imp_load *l)
{
	struct wanted w = { NULL, l->text.version };
	const char *lib = l->file ? l->file : l->text.object ? l->text.object : "?", *who = l->text.required_by;
	const struct imp_ld_search *s = l->search;
	struct imp_elf_image *img = imp_load_image(l, lib);
	const char *soname = img && img->soname ? img->soname : base_name(lib), *offered, *other;
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;

	if (judge_copies(l, &w, object_at(l, who)))
		return true;
	for (size_t i = 1; i < l->tree.searches.n; i++)
		if (l->tree.searches.v[i]->requester && l->tree.searches.v[i]->requester->file &&
		    !strcmp(l->tree.searches.v[i]->requester->file, who) && !strcmp(l->tree.searches.v[i]->name, soname))
			s = l->tree.searches.v[i];
	/* It was loaded already: how it was found then. */
	if (s && !s->tried.n && s->object && s->object->search)
		s = s->object->search;
	f->cause = IMP_CAUSE_SYMBOL_VERSION_MISSING;
	f->path = who;
	imp_load_library(l, soname, who, s);
	f->summary = imp_arena_printf(c->a, "%s needs %s of %s, and %s does not have it: that library is too old", who, w.version, soname, lib);
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	offered = img ? offered_by(l, img, w.version) : NULL;
	if (offered)
		imp_finding_evidence(c->a, f, IMP_DERIVED, "%s offers %s", lib, offered);
	if (!strncmp(w.version, "GLIBC_", 6) && c->image->libc)
		imp_finding_evidence(c->a, f, IMP_OBSERVED, "the program runs with glibc %s", c->image->libc);
	other = find_exporter(l, &w);
	if (other && strcmp(base_name(other), base_name(lib)) == 0) {
		imp_finding_evidence(c->a, f, IMP_DERIVED, "%s offers %s", other, w.version);
		imp_finding_fix(c->a, f, IMP_LIKELY,
				imp_arena_printf(c->a, "export LD_LIBRARY_PATH=%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}",
						 imp_shell_quote(c->a, imp_arena_strndup(c->a, other, (size_t)(base_name(other) - other) - 1))),
				"makes the loader take the newer copy");
	}
	return true;
}
