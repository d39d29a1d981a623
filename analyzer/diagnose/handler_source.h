/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_HANDLER_SOURCE_H
#define IMP_DIAGNOSE_HANDLER_SOURCE_H

#include "case.h"

enum imp_handler {
	IMP_HANDLER_NONE,     /* no except clause around the import is known */
	IMP_HANDLER_SWALLOWS, /* the program goes on */
	IMP_HANDLER_RAISES,   /* something else is raised, or the same again */
	IMP_HANDLER_LEAVES,   /* "raise SystemExit", exit(), quit() and their like */
};

/*
 * imp_handler_look - what does the except clause around the import do, as the source has it?
 * Reads the file of the frame that asked, if the host may be looked at. A textual look, not a parse: only good
 * beside other evidence.
 */
enum imp_handler imp_handler_look(const struct imp_case *c);

#endif
