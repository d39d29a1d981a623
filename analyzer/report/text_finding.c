/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <string.h>

#include "escape.h"
#include "selection.h"

/* numpy's ImportError has 30 lines, and says less in them than the finding in one. */
#define MESSAGE_LINES_MAX 8

/*
 * A message of the program, with its own line breaks, behind a bar: so that it can't be taken for
 * something that imptrace says.
 */
static void print_message(struct imp_text *t, const struct imp_error_text *e)
{
	static const struct imp_block b = {.first = "  | ", .first_style = IMP_DIM, .rest = "  | "};
	const char *message = e->message ? e->message : "";
	size_t lines = 0;

	while (*message || !lines) {
		size_t len = strcspn(message, "\n");
		const char *one = imp_page_format(&t->page, "%.*s", (int)len, message);

		if (!lines)
			one = imp_page_format(&t->page, "%s%s%s", e->type, *one ? ": " : "", one);
		if (lines++ < MESSAGE_LINES_MAX || t->opt->all)
			imp_page_wrap(&t->page, &b, one);
		message += len + (message[len] == '\n');
	}
	if (lines > MESSAGE_LINES_MAX && !t->opt->all)
		imp_page_line(&t->page, &b,
			      imp_page_format(&t->page, "... %s ...",
					      imp_text_plural(t, lines - MESSAGE_LINES_MAX,
							      "more line", "more lines")));
}

static void print_fact(struct imp_text *t, const char *label, enum imp_style style, const char *text)
{
	struct imp_block b = {
		.style = style,
		.first = imp_page_format(&t->page, "  %-8s ", label),
		.first_style = IMP_DIM,
	};

	imp_page_wrap(&t->page, &b, text);
}

/* "python3 fetch.py", cut where it would take more than three lines. */
static const char *command_line(struct imp_text *t, const struct imp_image *image)
{
	const char *text = image->argv.n ? image->argv.v[0] : image->exe ? image->exe : "?";
	size_t max = 3 * (t->page.columns - 20);

	for (size_t i = 1; i < image->argv.n && strlen(text) <= max; i++)
		text = imp_page_format(&t->page, "%s %s", text, image->argv.v[i]);
	return imp_page_shorten(&t->page, text, max);
}

static void print_head(struct imp_text *t, const struct imp_finding *f)
{
	static const struct imp_block summary = {.style = IMP_BOLD};
	struct imp_page *p = &t->page;

	imp_page_wrap(p, &summary, f->summary ? f->summary : f->module);
	imp_page_empty_line(p);
	if (f->error.type)
		print_message(t, &f->error);
	print_fact(t, "cause", IMP_PLAIN,
		   imp_page_format(p, "%s: %s", imp_cause_code(f->cause),
				   imp_cause_phrase(f->cause)));
	print_fact(t, "outcome", f->fatal ? IMP_RED : IMP_PLAIN,
		   f->fatal ? "fatal: the program did not get over it" :
			      "handled: the program caught it and went on");
	/* The same path twice in five lines would be one too many. */
	if (f->path && !(f->summary && strstr(f->summary, f->path))) {
		struct imp_block b = {.first = "  file     ", .first_style = IMP_DIM};

		imp_page_line(p, &b, f->path);
	}
	if (f->image) {
		const struct imp_interpreter *py = imp_report_interpreter(f);
		const char *where = imp_page_format(p, "%d", (int)f->image->pid);

		if (py)
			where = imp_page_format(p, "%s, %s", where, imp_text_python(t, py));
		where = imp_page_format(p, "%s: %s", where, command_line(t, f->image));
		print_fact(t, "process", IMP_PLAIN, where);
	}
	if (t->opt->module && imp_report_affects(f, t->opt->module))
		print_fact(t, "asked", IMP_PLAIN,
			   imp_page_format(p, "the import of %s failed because of this",
					   t->opt->module));
}

static void print_evidence(struct imp_text *t, const struct imp_finding *f)
{
	static const struct imp_block b = {.first = "  - "};

	if (!f->evidence.n)
		return;
	imp_page_heading(&t->page, "What shows it");
	for (size_t i = 0; i < f->evidence.n; i++) {
		const struct imp_evidence *e = &f->evidence.v[i];

		imp_page_wrap(&t->page, &b,
			      e->source == IMP_DERIVED ?
				      imp_page_format(&t->page, "%s [derived]", e->fact) :
				      e->fact);
	}
}

static void print_surfaced(struct imp_text *t, const struct imp_finding *f)
{
	static const struct imp_block b = {.first = "  "};

	if (!f->surfaced.type)
		return;
	imp_page_heading(&t->page, "What you saw instead");
	print_message(t, &f->surfaced);
	imp_page_wrap(&t->page, &b,
		      "That is a consequence: the failure above came first, and led to it.");
}

static const char *confidence(enum imp_confidence c)
{
	return c == IMP_CERTAIN ? "certain" : c == IMP_LIKELY ? "likely" : "possible";
}

static void print_fix(struct imp_text *t, const struct imp_fix *fix, bool best)
{
	struct imp_block effect = {.first = "  "};
	/* Alone on its line, and never broken: it is there to be copied. */
	struct imp_block command = {.first = "    ", .style = best ? IMP_GREEN : IMP_PLAIN};
	const char *text =
		imp_page_format(&t->page, "%s [%s]", fix->effect, confidence(fix->confidence));

	if (fix->command) {
		imp_page_line(&t->page, &command, fix->command);
		effect.first = "      ";
	}
	imp_page_wrap(&t->page, &effect, text);
	/* What had to be escaped would not do what it says when it is typed as it stands here. */
	if (fix->command && strcmp(imp_escape(&t->page.arena, fix->command), fix->command) != 0)
		imp_page_wrap(&t->page, &effect,
			      "A name in this command holds characters that are shown escaped here; "
			      "--format=json has them exactly.");
}

static void print_fixes(struct imp_text *t, const struct imp_finding *f)
{
	if (!f->fixes.n)
		return;
	imp_page_heading(&t->page, "What to do");
	for (size_t i = 0; i < f->fixes.n; i++) {
		if (i == 1)
			imp_page_heading(&t->page, "Or, instead");
		else if (i > 1)
			imp_page_empty_line(&t->page);
		print_fix(t, &f->fixes.v[i], i == 0);
	}
}

static void print_ruled_out(struct imp_text *t, const struct imp_finding *f)
{
	size_t width = 0;

	if (!f->ruled_out.n)
		return;
	imp_page_heading(&t->page, "Ruled out");
	for (size_t i = 0; i < f->ruled_out.n; i++) {
		size_t len = strlen(imp_cause_code(f->ruled_out.v[i].cause));

		if (len > width)
			width = len;
	}
	for (size_t i = 0; i < f->ruled_out.n; i++) {
		const struct imp_ruled_out *r = &f->ruled_out.v[i];
		struct imp_block b = {
			.first = imp_page_format(&t->page, "  %-*s  ", (int)width,
						 imp_cause_code(r->cause)),
			.first_style = IMP_DIM,
			/* On a narrow page a hanging column would leave no room. */
			.rest = width + 4 > t->page.columns / 2 ? "      " : NULL,
		};

		imp_page_wrap(&t->page, &b, r->because);
	}
}

void imp_text_finding(struct imp_text *t, const struct imp_finding *f, size_t above)
{
	print_head(t, f);
	if (above) {
		imp_text_importers(t, f);
		imp_page_empty_line(&t->page);
		imp_page_wrap(
			&t->page, &(struct imp_block){0},
			imp_page_format(
				&t->page,
				"The proof and the remedies are those of finding %zu; --all prints them again.",
				above));
		return;
	}
	imp_text_names(t, f);
	imp_text_importers(t, f);
	imp_text_search(t, f);
	imp_text_library(t, f);
	print_evidence(t, f);
	print_surfaced(t, f);
	print_fixes(t, f);
	print_ruled_out(t, f);
}

void imp_text_optional(struct imp_text *t, const struct imp_finding *f)
{
	const struct imp_frame *frame = f->importers.n ? &f->importers.v[f->importers.n - 1] : NULL;
	struct imp_block summary = {.first = "  - "}, asked = {.first = "      ", .style = IMP_DIM};
	const char *text = "asked for";

	imp_page_wrap(&t->page, &summary, f->summary ? f->summary : f->module);
	if (frame && frame->file)
		text = imp_page_format(&t->page, "%s by %s", text, imp_text_frame(t, frame));
	if (f->image && t->d->record->images.n > 1)
		text = imp_page_format(&t->page, "%s, process %d", text, (int)f->image->pid);
	imp_page_wrap(&t->page, &asked, text);
}
