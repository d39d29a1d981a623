/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <string.h>

#include "selection.h"

const char *imp_text_plural(struct imp_text *t, size_t n, const char *one, const char *many)
{
	return imp_page_format(&t->page, "%zu %s", n, n == 1 ? one : many);
}

static void say(struct imp_text *t, const char *text)
{
	imp_page_wrap(&t->page, &(struct imp_block){0}, text);
}

/* What was seen at all: so that "no import failed" can't be an empty trace taken for a good one. */
static const char *counted(struct imp_text *t)
{
	const struct imp_record *r = t->d->record;
	const struct imp_interpreter *py = NULL;
	size_t imports = 0, loads = 0, pythons = 0;

	for (size_t i = 0; i < r->images.n; i++) {
		const struct imp_image *image = r->images.v[i];

		imports += image->attempts.n;
		loads += image->dlopens.n;
		if (image->interpreters.n) {
			pythons++;
			py = py ? py : image->interpreters.v[0];
		}
	}
	return imp_page_format(&t->page, "Recorded in %s: %s, %s, %s of %s.",
			       t->opt->trace ? t->opt->trace : "the trace",
			       imp_text_plural(t, imports, "import", "imports"),
			       imp_text_plural(t, loads, "call of dlopen", "calls of dlopen"),
			       pythons ? imp_text_plural(t, pythons, "process", "processes") :
					 imp_text_plural(t, r->images.n, "program", "programs"),
			       !pythons	    ? "other kinds than Python" :
			       pythons == 1 ? imp_text_python(t, py) :
					      "Python");
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_place(const struct imp_loaded *a, const struct imp_loaded *b)
{
	return same_text(a->path, b->path) && same_text(a->loader, b->loader) &&
	       same_text(a->entry, b->entry);
}

static void print_loaded(struct imp_text *t, const struct imp_loaded *loaded, size_t times)
{
	struct imp_page *p = &t->page;
	const char *process = imp_page_format(p, "%d", (int)loaded->pid);
	const struct {
		const char *label, *text;
	} lines[] = {
		{"  from     ", loaded->path},
		{"  loader   ", loaded->loader},
		{"  entry    ",
		 loaded->entry && !*loaded->entry ? "(the current directory)" : loaded->entry},
		{"  asked by ", loaded->importer.file ? imp_text_frame(t, &loaded->importer) : NULL},
		{"  process  ",
		 times == 1 ? process :
			      imp_page_format(p, "%s, and %s", process,
					      imp_text_plural(t, times - 1, "other", "others"))},
	};

	imp_page_wrap(p, &(struct imp_block){.style = IMP_BOLD},
		      imp_page_format(p, "%s was imported.", loaded->module));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct imp_block b = {.first = lines[i].label, .first_style = IMP_DIM};

		if (lines[i].text)
			imp_page_line(p, &b, lines[i].text);
	}
}

/* The answer to -m MODULE beyond the findings; 200 children that take the same file are one answer. */
static void module_answer(struct imp_text *t, size_t shown)
{
	const struct imp_loaded *all = t->d->loaded.v;
	size_t n = t->d->loaded.n, printed = shown;

	for (size_t i = 0; i < n; i++) {
		size_t first = 0, times = 0;

		while (!same_place(&all[first], &all[i]))
			first++;
		if (first < i)
			continue;
		for (size_t k = i; k < n; k++)
			times += same_place(&all[k], &all[i]);
		if (printed++)
			imp_page_empty_line(&t->page);
		print_loaded(t, &all[i], times);
	}
	if (!printed)
		say(t, imp_page_format(&t->page, "No import of %s was seen.", t->opt->module));
}

static size_t count_optional(const struct imp_text *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->d->findings.n; i++)
		n += t->d->findings.v[i]->optional;
	return n;
}

/* The status that a process ended with, if it was not 0 and nothing tells why; else 0. */
static int unexplained_status(const struct imp_text *t)
{
	const struct imp_record *r = t->d->record;

	for (size_t i = 0; r && i < r->images.n; i++)
		if (r->images.v[i]->interpreters.n && r->images.v[i]->code_known &&
		    r->images.v[i]->code)
			return r->images.v[i]->code;
	return 0;
}

/* What was caught by the program itself, not at start-up: the last few, for a person to judge. */
static void name_suspects(struct imp_text *t, int status)
{
	const char *names = NULL;
	size_t n = 0;

	for (size_t i = t->d->findings.n; i-- > 0 && n < 5;) {
		const struct imp_finding *f = t->d->findings.v[i];
		const char *first = f->importers.n ? f->importers.v[0].module : NULL;

		if (!f->optional || !f->module || !first || strcmp(first, "__main__"))
			continue;
		names = names ? imp_page_format(&t->page, "%s, %s", names, f->module) : f->module;
		n++;
	}
	if (n)
		say(t,
		    imp_page_format(
			    &t->page,
			    "The program ended with status %d. If an import is to blame, it is one that it "
			    "caught itself, the last first: %s (imptrace analyze -m MODULE tells why).",
			    status, names));
}

void imp_text_end(struct imp_text *t, size_t shown)
{
	int status = unexplained_status(t);
	size_t optional = count_optional(t);
	bool kept_back = optional && !t->opt->all && !t->opt->module;
	bool fatal = false;

	for (size_t i = 0; i < t->d->findings.n; i++)
		fatal |= t->d->findings.v[i]->fatal;
	if (t->opt->module)
		module_answer(t, shown);
	else if (!shown)
		imp_page_wrap(&t->page, &(struct imp_block){.style = IMP_BOLD},
			      imp_page_format(&t->page,
					      optional ? "No import failed fatally%s." :
							 "No import failed%s.",
					      t->d->complete ? "" : ", as far as the record goes"));
	if (shown && (kept_back || !fatal || t->d->notes.n))
		imp_page_empty_line(&t->page);
	if (!shown && !t->opt->module)
		say(t, counted(t));
	if (shown && !fatal && status)
		say(t,
		    imp_page_format(
			    &t->page,
			    "No import failed fatally. The program ended with status %d all the same: "
			    "that may be a consequence.",
			    status));
	else if (shown && !fatal)
		say(t, "The program went on in spite of it: no import failed fatally.");
	if (status && !fatal && !t->opt->module)
		name_suspects(t, status);
	if (kept_back)
		say(t,
		    imp_page_format(&t->page,
				    "%s not there, and the program went on without; --all lists %s.",
				    imp_text_plural(t, optional, "optional module was",
						    "optional modules were"),
				    optional == 1 ? "it" : "them"));
	for (size_t i = 0; i < t->d->notes.n; i++)
		imp_page_wrap(&t->page,
			      &(struct imp_block){.first = "Note: ", .first_style = IMP_YELLOW},
			      t->d->notes.v[i]);
}
