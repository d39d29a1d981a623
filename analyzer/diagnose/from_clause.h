/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_FROM_CLAUSE_H
#define IMP_DIAGNOSE_FROM_CLAUSE_H

#include "case.h"

/*
 * imp_from_clause_module - MODULE of the "from MODULE import NAME" that failed
 * The exception names it since Python 3.7; before, the line that raised it is read from the source, if the
 * host may be looked at. NULL: it was no such statement, or the module cannot be told.
 */
const char *imp_from_clause_module(const struct imp_case *c);

/* imp_from_clause_name - NAME of it; NULL: it was no such statement */
const char *imp_from_clause_name(const struct imp_case *c);

#endif
