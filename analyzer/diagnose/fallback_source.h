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
 * imp_fallback_load_raises - the same of a library that the code which raised @e opens by itself (ctypes, cffi)
 * @stem: what is left of the library's name in any spelling; the source has to have it
 * Returns 1: the error follows from that; 0: the source shows no connection; -1: it does not tell.
 */
int imp_fallback_load_raises(const struct imp_case *c, const struct imp_exception *e,
			     const char *stem);

/*
 * imp_fallback_lacks - would a module have had @name, but for the failed import?
 * @file: the module's source; NULL: unknown
 */
bool imp_fallback_lacks(const struct imp_case *failed, unsigned int modules, const char *file,
			const char *name);

#endif
