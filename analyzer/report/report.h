/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_REPORT_REPORT_H
#define IMP_REPORT_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "../diagnose/finding.h"

struct imp_report_options {
	const char *trace;  /* name of the trace's file, for the text */
	const char *module; /* -m: NULL: all */
	bool all;	    /* the optional failures too */
	bool color;
	int columns; /* of the terminal; 80 where it is none */
};

/*
 * imp_report_text, imp_report_json - two renderings of the same diagnosis
 *
 * Nothing that the trace holds reaches @out unescaped: the text shows control characters, bidirectional
 * marks and bytes that are not UTF-8 as \xNN or \uNNNN; JSON escapes as RFC 8259 wants, undecodable bytes as \udcNN.
 * Returns 0 or -errno of writing.
 */
int imp_report_text(FILE *out, const struct imp_diagnosis *d, const struct imp_report_options *opt);
int imp_report_json(FILE *out, const struct imp_diagnosis *d, const struct imp_report_options *opt);

#endif
