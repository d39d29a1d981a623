/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_HANDLER_SOURCE_H
#define IMP_DIAGNOSE_HANDLER_SOURCE_H

#include "case.h"

/*
 * imp_handler_leaves - does the except clause around the import, as the source has it, leave the program?
 * Reads the file of the frame that asked, if the host may be looked at. "raise SystemExit", exit() and
 * quit() count. A textual look, not a parse: only good beside other evidence.
 */
bool imp_handler_leaves(const struct imp_case *c);

#endif
