/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_REPORT_TEXT_H
#define IMP_REPORT_TEXT_H

#include "page.h"
#include "report.h"

/* The parts of the text report, one file each; text.c puts them together. */
struct imp_text {
	struct imp_page page;
	const struct imp_diagnosis *d;
	const struct imp_report_options *opt;
};

/*
 * imp_text_finding - all about one finding (text_finding.c)
 * @above: the number of an earlier one with the same answer, which is not told again; 0: there is none
 */
void imp_text_finding(struct imp_text *t, const struct imp_finding *f, size_t above);

/* imp_text_optional - an optional failure, in a few lines */
void imp_text_optional(struct imp_text *t, const struct imp_finding *f);

/* imp_text_names - the file that is there, beside the names that are accepted (text_proof.c) */
void imp_text_names(struct imp_text *t, const struct imp_finding *f);
/* imp_text_importers - who asked, from the script to the native module */
void imp_text_importers(struct imp_text *t, const struct imp_finding *f);
/* imp_text_search - each entry of the search path, with what it held */
void imp_text_search(struct imp_text *t, const struct imp_finding *f);
/* imp_text_library - the paths that were tried for a library */
void imp_text_library(struct imp_text *t, const struct imp_finding *f);

/* imp_text_end - remarks, what is hidden, and what was counted (text_end.c) */
void imp_text_end(struct imp_text *t, size_t shown);

/* imp_text_python - "CPython 3.13.0"; "this Python" where it is not known */
const char *imp_text_python(struct imp_text *t, const struct imp_interpreter *py);

/* imp_text_frame - "fetch.py:13", "fetch.py:13, in load()" */
const char *imp_text_frame(struct imp_text *t, const struct imp_frame *frame);

/* imp_text_plural - "1 import", "3 imports" */
const char *imp_text_plural(struct imp_text *t, size_t n, const char *one, const char *many);

#endif
