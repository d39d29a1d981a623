/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report for a person at a terminal. */
#include "text.h"

#include <errno.h>
#include <string.h>

#include "selection.h"

/*
 * A module that was not there and was not needed is told in a few lines, unless it is the one that was
 * asked for: --all may list dozens.
 */
static bool in_short(const struct imp_text *t, const struct imp_finding *f)
{
	return f->optional && !t->opt->module;
}

static bool in_full(const struct imp_text *t, const struct imp_finding *f)
{
	return imp_report_shows(f, t->opt) && !in_short(t, f);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* Nothing new to be done about it: the same said of the same file, with the same remedies. */
static bool same_answer(const struct imp_finding *a, const struct imp_finding *b)
{
	if (a->image != b->image || a->cause != b->cause || a->fixes.n != b->fixes.n ||
	    !same_text(a->module, b->module) || !same_text(a->summary, b->summary) ||
	    !same_text(a->path, b->path) || !same_text(a->error.message, b->error.message) ||
	    b->surfaced.type)
		return false;
	for (size_t i = 0; i < a->fixes.n; i++)
		if (!same_text(a->fixes.v[i].command, b->fixes.v[i].command) ||
		    !same_text(a->fixes.v[i].effect, b->fixes.v[i].effect))
			return false;
	return true;
}

/* The number of the first finding above the one at @at that has the same answer, or 0. */
static size_t told_above(const struct imp_text *t, size_t at)
{
	size_t number = 0;

	for (size_t i = 0; i < at && !t->opt->all; i++) {
		const struct imp_finding *f = t->d->findings.v[i];

		if (!in_full(t, f))
			continue;
		number++;
		if (same_answer(f, t->d->findings.v[at]))
			return number;
	}
	return 0;
}

int imp_report_text(FILE *out, const struct imp_diagnosis *d, const struct imp_report_options *opt)
{
	struct imp_text t = {.d = d, .opt = opt};
	size_t total = 0, shown = 0;
	bool optional = false;

	imp_page_init(&t.page, out, opt->columns, opt->color);
	for (size_t i = 0; i < d->findings.n; i++)
		total += in_full(&t, d->findings.v[i]);
	for (size_t i = 0; i < d->findings.n; i++) {
		if (!in_full(&t, d->findings.v[i]))
			continue;
		if (shown++) {
			imp_page_empty_line(&t.page);
			imp_page_line(&t.page, &(struct imp_block){.style = IMP_DIM},
				      imp_page_format(&t.page, "---- %zu of %zu ----", shown, total));
			imp_page_empty_line(&t.page);
		}
		imp_text_finding(&t, d->findings.v[i], told_above(&t, i));
	}
	imp_text_end(&t, shown);
	for (size_t i = 0; i < d->findings.n; i++) {
		if (!imp_report_shows(d->findings.v[i], opt) || !in_short(&t, d->findings.v[i]))
			continue;
		if (!optional)
			imp_page_heading(&t.page, "Not there, and the program went on without");
		optional = true;
		imp_text_optional(&t, d->findings.v[i]);
	}
	imp_page_clear(&t.page);
	return ferror(out) ? -EIO : 0;
}
