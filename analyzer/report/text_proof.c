/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <string.h>

#include "escape.h"
#include "selection.h"

/* A list that is longer than this is folded: nobody reads fifty lines of the same. */
#define FRAMES_MAX  16
#define FRAMES_HEAD 4
#define ENTRIES_MAX 12
#define DULL_RUN    4 /* so many entries of one kind in a row are told in one line */

const char *imp_text_python(struct imp_text *t, const struct imp_interpreter *py)
{
	size_t len;
	const char *version = imp_report_python_version(py, &len);
	const char *name = "Python";

	if (!version)
		return "this Python";
	if (py->implementation)
		name = strcmp(py->implementation, "cpython") ? py->implementation : "CPython";
	return imp_page_format(&t->page, "%s %.*s%s", name, (int)len, version,
			       py->abiflags && strchr(py->abiflags, 't') ? ", free-threaded" : "");
}

const char *imp_text_frame(struct imp_text *t, const struct imp_frame *frame)
{
	const char *where = frame->file;

	if (frame->line)
		where = imp_page_format(&t->page, "%s:%u", where, frame->line);
	if (frame->function && strcmp(frame->function, "<module>") != 0)
		where = imp_page_format(&t->page, "%s, in %s", where, frame->function);
	return where;
}

static void line(struct imp_text *t, enum imp_style style, const char *label,
		 enum imp_style label_style, const char *text)
{
	struct imp_block b = {.style = style, .first = label, .first_style = label_style};

	imp_page_line(&t->page, &b, text);
}

/* "pkg._native" is searched as "_native". */
static const char *tail(const char *module)
{
	const char *dot = strrchr(module, '.');

	return dot ? dot + 1 : module;
}

void imp_text_names(struct imp_text *t, const struct imp_finding *f)
{
	const struct imp_interpreter *py = imp_report_interpreter(f);
	const char *name;
	size_t there = 0;

	if (f->cause != IMP_CAUSE_ABI_TAG_MISMATCH || !py || !py->suffixes.n)
		return;
	imp_page_heading(&t->page, imp_page_format(&t->page, "What is there, and what %s accepts",
						   imp_text_python(t, py)));
	for (size_t i = 0; i < f->searched.n; i++) {
		const struct imp_strings *names = &f->searched.v[i].candidates;

		for (size_t k = 0; k < names->n; k++)
			line(t, IMP_YELLOW, there++ ? "             " : "  there      ", IMP_PLAIN,
			     names->v[k]);
	}
	if (!there && f->path) {
		const char *slash = strrchr(f->path, '/');

		line(t, IMP_YELLOW, "  there      ", IMP_PLAIN, slash ? slash + 1 : f->path);
	}
	name = f->path && strstr(f->path, "/__init__.") ? "__init__" : tail(f->module);
	for (size_t i = 0; i < py->suffixes.n; i++)
		line(t, IMP_PLAIN, i ? "             " : "  accepted   ", IMP_PLAIN,
		     imp_page_format(&t->page, "%s%s", name, py->suffixes.v[i]));
}

/* Frames of the interpreter and of libc say nothing: the modules between them do. JSON has them all. */
static bool tells(const struct imp_finding *f, const struct imp_native_frame *frame)
{
	const struct imp_interpreter *py =
		f->image && f->image->interpreters.n ? f->image->interpreters.v[0] : NULL;
	const struct imp_object *holder = py ? imp_record_object(f->image, py->object) : NULL;

	if (!frame->object || (f->image && f->image->exe && !strcmp(f->image->exe, frame->object)))
		return false;
	return !(holder && holder->path && !strcmp(holder->path, frame->object)) &&
	       !strstr(frame->object, "/libc.so.") && !strstr(frame->object, "/ld-linux");
}

/* Of several frames in one object, the one that says most: its init function, else any with a name. */
static bool better(const struct imp_native_frame *a, const struct imp_native_frame *b)
{
	if (!a->symbol || !b->symbol)
		return a->symbol;
	return !strncmp(a->symbol, "PyInit_", 7) && strncmp(b->symbol, "PyInit_", 7);
}

/* Innermost first in the finding; shown below the Python frames, so the other way round; a line an object. */
static void print_native_stack(struct imp_text *t, const struct imp_finding *f)
{
	for (size_t i = f->native_stack.n; i-- > 0;) {
		const struct imp_native_frame *best = &f->native_stack.v[i];
		const char *what = best->object;

		if (!tells(f, best))
			continue;
		for (; i > 0; i--) {
			const struct imp_native_frame *next = &f->native_stack.v[i - 1];

			if (!next->object || strcmp(next->object, what))
				break;
			if (better(next, best))
				best = next;
		}
		if (best->symbol)
			what = imp_page_format(&t->page, "%s: %s", what, best->symbol);
		if (best->offset_known)
			what = imp_page_format(&t->page, "%s+%llu", what,
					       (unsigned long long)best->offset);
		line(t, IMP_PLAIN, "  ", IMP_PLAIN, what);
	}
}

void imp_text_importers(struct imp_text *t, const struct imp_finding *f)
{
	size_t n = f->importers.n;

	if (!n && !f->native_stack.n)
		return;
	imp_page_heading(&t->page, "Who asked for it, outermost first");
	for (size_t i = 0; i < n; i++) {
		if (n > FRAMES_MAX && i == FRAMES_HEAD && !t->opt->all) {
			size_t hidden = n - FRAMES_MAX;

			line(t, IMP_DIM, "  ", IMP_PLAIN,
			     imp_page_format(&t->page, "... %s ...",
					     imp_text_plural(t, hidden, "more line", "more lines")));
			i += hidden;
		}
		line(t, IMP_PLAIN, "  ", IMP_PLAIN,
		     f->importers.v[i].file ? imp_text_frame(t, &f->importers.v[i]) :
					      "(native code)");
	}
	print_native_stack(t, f);
	if (f->module)
		line(t, IMP_BOLD, "  -> ", IMP_DIM, f->module);
}

static const struct {
	const char *result, *shown;
	enum imp_style style;
} results[] = {
	{"absent", "nothing", IMP_DIM},
	{"near-miss", "near miss", IMP_YELLOW},
	{"found", "found", IMP_GREEN},
	{"namespace", "no __init__", IMP_YELLOW},
	{"unreadable", "unreadable", IMP_YELLOW},
	{"missing", "no such path", IMP_DIM},
	{"error", "error", IMP_YELLOW},
};

static const char *shown_result(const char *result, enum imp_style *style)
{
	*style = IMP_PLAIN;
	if (!result)
		return "";
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		if (!strcmp(results[i].result, result)) {
			*style = results[i].style;
			return results[i].shown;
		}
	}
	return result;
}

static bool dull(const struct imp_searched_entry *e)
{
	return !e->candidates.n && e->result &&
	       (!strcmp(e->result, "absent") || !strcmp(e->result, "missing"));
}

static void print_entry(struct imp_text *t, const struct imp_searched_entry *e)
{
	enum imp_style style;
	const char *result = shown_result(e->result, &style);
	const char *entry = e->entry && *e->entry ? e->entry : "(the current directory)";

	/* Which finder searched is worth a word only where it is another than nearly always. */
	if (e->finder && *e->finder && strcmp(e->finder, "FileFinder") != 0)
		entry = imp_page_format(&t->page, "%s  (%s)", entry, e->finder);
	line(t, IMP_PLAIN, imp_page_format(&t->page, "  %-12s  ", result), style, entry);
	for (size_t i = 0; i < e->candidates.n; i++)
		line(t, style, "                  ", IMP_PLAIN, e->candidates.v[i]);
}

void imp_text_search(struct imp_text *t, const struct imp_finding *f)
{
	bool fold = f->searched.n > ENTRIES_MAX && !t->opt->all;

	if (!f->searched.n)
		return;
	imp_page_heading(&t->page,
			 imp_page_format(&t->page, "Where Python looked for %s, in this order",
					 tail(f->module)));
	for (size_t i = 0; i < f->searched.n; i++) {
		size_t run = 0;

		while (fold && i + run < f->searched.n && dull(&f->searched.v[i + run]))
			run++;
		if (run >= DULL_RUN) {
			print_entry(t, &f->searched.v[i]);
			line(t, IMP_DIM, "                ", IMP_PLAIN,
			     imp_page_format(&t->page, "... %zu more like it (--all lists them) ...",
					     run - 2));
			i += run - 1;
		}
		print_entry(t, &f->searched.v[i]);
	}
}

/* Is path @a in a directory below the one that @b is in? "/lib/tls/libx.so" is, of "/lib/libx.so". */
static bool lies_below(const char *a, const char *b)
{
	const char *slash = strrchr(b, '/');
	size_t len = slash ? (size_t)(slash - b) + 1 : 0;

	return len && !strncmp(a, b, len) && strchr(a + len, '/');
}

/*
 * ld.so tries up to ten subdirectories (glibc-hwcaps, tls) before each directory. Returns the index of that
 * directory's own entry where it and all of them have nothing, else @i.
 */
static size_t end_of_subdirectories(const struct imp_library *library, size_t i)
{
	const struct imp_library_path *v = library->searched.v;
	size_t end = i;

	for (size_t j = i; j < library->searched.n; j++) {
		size_t k = i;

		if (strcmp(v[j].result, "absent") != 0 || strcmp(v[j].origin, v[i].origin) != 0)
			break;
		while (k < j && lies_below(v[k].path, v[j].path))
			k++;
		if (k == j)
			end = j;
	}
	return end;
}

void imp_text_library(struct imp_text *t, const struct imp_finding *f)
{
	const struct imp_library *library = f->library;

	if (!library)
		return;
	imp_page_heading(&t->page,
			 imp_page_format(&t->page, "Where ld.so searched %s, in this order (%s)",
					 library->name,
					 library->source == IMP_OBSERVED ? "observed" : "derived"));
	if (library->needed_by)
		line(t, IMP_PLAIN, "  needed by  ", IMP_DIM, library->needed_by);
	for (size_t i = 0; i < library->searched.n; i++) {
		size_t end = t->opt->all ? i : end_of_subdirectories(library, i), below = end - i;
		const struct imp_library_path *p = &library->searched.v[end];

		if (library->not_in_cache && library->cache_at == i)
			line(t, IMP_PLAIN, "  no entry   ", IMP_DIM, "/etc/ld.so.cache  (cache)");
		line(t, IMP_PLAIN, imp_page_format(&t->page, "  %-9s  ", p->result), IMP_DIM,
		     imp_page_format(&t->page, "%s  (%s)", p->path, p->origin));
		if (below)
			line(t, IMP_DIM, "             ", IMP_PLAIN,
			     imp_page_format(&t->page, "nor in %s below it (--all lists them)",
					     imp_text_plural(t, below, "directory", "directories")));
		i = end;
	}
}
