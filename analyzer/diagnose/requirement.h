/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_REQUIREMENT_H
#define IMP_DIAGNOSE_REQUIREMENT_H

#include "case.h"

/*
 * imp_requirement_of - does the distribution whose code asked for the module say that it needs @distribution?
 * @who: its metadata directory's name, in the arena
 * Returns the line of its METADATA, without "Requires-Dist: "; NULL: it does not say so, or the host may not be looked at.
 * Source: "Core metadata specifications", Requires-Dist; PEP 508.
 */
const char *imp_requirement_of(const struct imp_case *c, const char *distribution, const char **who);

#endif
