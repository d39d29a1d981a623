/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_REPORT_SELECTION_H
#define IMP_REPORT_SELECTION_H

#include "report.h"

/*
 * What of a diagnosis a report shows: the same for text and JSON.
 */

/*
 * imp_report_shows - is this finding asked for?
 * With a module: where it is the root, or failed because of the root; optional failures as well. Without:
 * all, the optional ones only with @opt->all.
 */
bool imp_report_shows(const struct imp_finding *f, const struct imp_report_options *opt);

/* imp_report_affects - did the import of @module, which is not the root, fail because of this? */
bool imp_report_affects(const struct imp_finding *f, const char *module);

/* imp_report_interpreter - the interpreter in which it failed; NULL: unknown */
const struct imp_interpreter *imp_report_interpreter(const struct imp_finding *f);

/* imp_report_python_version - "3.13.0" of "3.13.0 (main, ...)"; @len: its length. NULL: unknown */
const char *imp_report_python_version(const struct imp_interpreter *py, size_t *len);

#endif
