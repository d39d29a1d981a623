/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_FALLBACK_SOURCE_H
#define IMP_DIAGNOSE_FALLBACK_SOURCE_H

#include "case.h"

/*
 * What code does without an import that failed and was caught, as its source has it. Textual looks, not a parse: they are to
 * tell a consequence from an error that has nothing to do with it, and where no source can be read they say no.
 */

/*
 * imp_fallback_raises - was the error @e raised because the import of @failed had failed?
 * @modules: how many imports the failure ended before it was caught, 1 at least
 *
 * The raise statement, or what it depends on (if, else, an earlier return), speaks of a name that the caught
 * import, or its handler, was to set; or it is reached only because the import did not come to its return or break.
 */
bool imp_fallback_raises(const struct imp_case *failed, unsigned int modules,
			 const struct imp_exception *e);

/*
 * imp_fallback_lacks - would a module have had @name, but for the failed import?
 * @file: the module's source; NULL: unknown
 */
bool imp_fallback_lacks(const struct imp_case *failed, unsigned int modules, const char *file,
			const char *name);

#endif
