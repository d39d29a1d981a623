/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A symbol that none of the loaded libraries has. */
#include <string.h>

#include "../python/installer.h"
#include "../python/module_file.h"
#include "judge_loader.h"

#define NEAREST 3

static bool cxx11(const char *name)
{
	return imp_case_has(name, "__cxx11") || imp_case_has(name, "[abi:cxx11]") ||
	       imp_case_has(name, "B5cxx11");
}

/* "_ZNK6shapes6Circle5named" of "_ZNK6shapes6Circle5namedEi": the name without what it takes; NULL: another form */
static const char *cxx_name(const struct imp_load *l, const char *symbol)
{
	const char *p = symbol + 2;
	bool names = false;

	if (strncmp(symbol, "_Z", 2))
		return NULL;
	if (*p == 'N')
		p += 1 + strspn(p + 1, "rVKRO");
	while (*p >= '0' && *p <= '9') {
		size_t len = 0;

		for (; *p >= '0' && *p <= '9' && len < 10000; p++)
			len = len * 10 + (size_t)(*p - '0');
		if (strlen(p) < len)
			return NULL;
		p += len;
		names = true;
		if (symbol[2] != 'N')
			break;
	}
	return names ? imp_arena_strndup(l->c->a, symbol, (size_t)(p - symbol)) : NULL;
}

/* Libraries with so many names that some always look alike. */
static bool is_runtime(const struct imp_ld_object *o)
{
	static const char *const names[] = {"libc.so.", "libm.so.", "libstdc++.so.", "libgcc_s.so.",
					    "libpython"};
	const char *name = imp_load_base_name(o->file ? o->file : "");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

/* Names that look most like it, among those that the needed libraries export. */
static void say_nearest(struct imp_load *l, const struct imp_ld_object *who)
{
	const char *symbol = l->text.symbol, *wanted = imp_load_readable(l, symbol),
		   *prefix = cxx_name(l, symbol);
	struct imp_case *c = l->c;

	for (size_t i = 1; who && i < l->tree.searches.n; i++) {
		const struct imp_ld_search *s = l->tree.searches.v[i];
		struct imp_elf_symbol_list near = {0};

		if (s->requester != who || !s->object || !s->object->image || is_runtime(s->object))
			continue;
		if (prefix)
			imp_elf_symbol_exported(s->object->image, prefix, NEAREST, &near);
		if (!near.n)
			imp_elf_symbol_nearest(s->object->image, symbol, NEAREST, &near);
		for (size_t k = 0; k < near.n; k++) {
			const char *name = imp_load_readable(l, near.v[k].name);
			bool abi = prefix && (cxx11(wanted) || cxx11(symbol)) !=
						     (cxx11(name) || cxx11(near.v[k].name));

			imp_finding_evidence(
				c->a, c->f, IMP_DERIVED,
				"%s, which it needs, exports %s (%s) instead%s", s->object->file,
				name, near.v[k].name,
				abi ? ": the two were built with different C++ ABIs (_GLIBCXX_USE_CXX11_ABI)" :
				      "");
		}
	}
}

static bool names_musl(const struct imp_elf_image *img)
{
	return img && (imp_case_has(img->interpreter, "ld-musl") || img->libc == IMP_ELF_LIBC_MUSL);
}

static void fix_with(struct imp_load *l, const char *exporter, const char *who)
{
	struct imp_case *c = l->c;

	imp_finding_fix(c->a, c->f, IMP_POSSIBLE,
			imp_arena_printf(c->a, "export LD_PRELOAD=%s${LD_PRELOAD:+:$LD_PRELOAD}",
					 imp_shell_quote(c->a, exporter)),
			"loads %s first, as if %s had been linked with it", exporter, who);
	imp_finding_fix(c->a, c->f, IMP_POSSIBLE, NULL, "build %s again and link it with %s", who,
			imp_load_base_name(exporter));
}

/* It is loaded: but for whom? What was opened with RTLD_LOCAL (as ctypes does, and every import) serves its opener alone. */
static void say_local(struct imp_load *l, const char *exporter)
{
	const struct imp_ld_object *o = NULL, *top;

	for (size_t i = 0; i < l->replay.process.objects.n && !o; i++) {
		const struct imp_ld_object *at = l->replay.process.objects.v[i];

		if (at->file && !strcmp(imp_path_normalize(l->c->a, at->file), exporter))
			o = at;
	}
	if (!o || o->global || !imp_load_mapped(l, imp_load_base_name(exporter)))
		return;
	for (top = o; top->loader;)
		top = top->loader;
	imp_finding_evidence(
		l->c->a, l->c->f, IMP_DERIVED,
		"%s had been loaded, but without RTLD_GLOBAL%s%s: its symbols are hidden from what does not name it",
		exporter, top != o && top->file ? ", with " : "",
		top != o && top->file ? top->file : "");
	imp_finding_fix(
		l->c->a, l->c->f, IMP_LIKELY, NULL,
		"open it with RTLD_GLOBAL: ctypes.CDLL(path, mode=os.RTLD_GLOBAL) before the import, or sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL) around the import that brings it");
}

bool imp_judge_symbol(struct imp_load *l)
{
	struct imp_load_wanted w = {l->text.symbol, l->text.version};
	const char *who = l->file ? l->file :
			  l->root ? l->root :
				    l->d->name,
		   *exporter, *name = imp_load_readable(l, w.symbol);
	const struct imp_ld_object *object = imp_load_object_at(l, who);
	struct imp_elf_image *img = imp_load_image(l, who);
	struct imp_case *c = l->c;
	struct imp_finding *f = c->f;

	if (imp_load_is_python_symbol(w.symbol) && imp_judge_libpython(l))
		return true;
	if (!names_musl(img) &&
	    (imp_judge_replaced(l, &w, object) || imp_judge_wrong_library(l, &w, object)))
		return true;
	f->path = who;
	if (l->root && strcmp(l->root, who)) {
		imp_load_library(l, l->search ? l->search->name : who,
				 imp_load_needed_by(l, l->search), l->search);
		imp_load_say_chain(l, imp_load_base_name(who), l->search);
	}
	imp_finding_evidence(c->a, f, IMP_OBSERVED, "the dynamic loader says: %s", l->d->error);
	if (strcmp(name, w.symbol))
		imp_finding_evidence(c->a, f, IMP_DERIVED, "%s is, demangled, %s", w.symbol, name);
	if (names_musl(img)) {
		f->cause = IMP_CAUSE_WRONG_LIBC;
		f->summary = imp_arena_printf(
			c->a, "%s was built for another C library (musl); glibc has no %s", who,
			name);
		if (img->interpreter)
			imp_finding_evidence(c->a, f, IMP_DERIVED, "the loader that it names is %s",
					     img->interpreter);
		return true;
	}
	f->cause = IMP_CAUSE_UNDEFINED_SYMBOL;
	f->summary = imp_arena_printf(
		c->a, "%s needs the symbol %s%s%s, and none of the loaded libraries has it", who,
		name, w.version ? " in the version " : "", w.version ? w.version : "");
	if (imp_load_is_python_symbol(w.symbol)) {
		imp_judge_python_symbol(l, who);
		return true;
	}
	say_nearest(l, object);
	if (img && img->needed.n) {
		const char *needs = img->needed.v[0];

		for (size_t i = 1; i < img->needed.n && i < 16; i++)
			needs = imp_arena_printf(c->a, "%s, %s", needs, img->needed.v[i]);
		imp_finding_evidence(c->a, f, IMP_DERIVED,
				     "it names these libraries (DT_NEEDED): %s", needs);
	} else if (img && img->dynamic && !img->partial) {
		imp_finding_evidence(c->a, f, IMP_DERIVED, "it names no library at all (DT_NEEDED)");
	}
	exporter = imp_load_exporter(l, &w);
	if (exporter) {
		const struct imp_elf_image *lib = imp_load_image(l, exporter);
		bool named = false;

		for (size_t i = 0; img && i < img->needed.n; i++)
			named |= !strcmp(img->needed.v[i], lib && lib->soname ?
								   lib->soname :
								   imp_load_base_name(exporter));
		imp_finding_evidence(
			c->a, f, IMP_DERIVED,
			named ? "%s has it: another copy of %s, to which no rule of the loader leads" :
				"%s has it: it was never linked with %s",
			exporter, lib && lib->soname ? lib->soname : imp_load_base_name(exporter));
		if (!named)
			f->summary =
				imp_arena_printf(c->a,
						 "%s needs %s of %s, and was not linked with it",
						 who, name, imp_load_base_name(exporter));
		say_local(l, exporter);
		fix_with(l, exporter, who);
	}
	return true;
}
