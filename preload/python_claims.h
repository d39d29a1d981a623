/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PYTHON_CLAIMS_H
#define IMP_PRELOAD_PYTHON_CLAIMS_H

#include "claim_scan.h"
#include "python_interpreter.h"

/*
 * Distributions whose metadata say that a module that could not be imported belongs to them
 * (IMP_EV_CLAIMS).
 */

/*
 * imp_claims_begin - at a failed import, before its search path is looked at
 * @name, @len: the module's full name
 * Then imp_claim_scan_consider() for each name found on the path, and imp_claims_write().
 */
void imp_claims_begin(struct imp_claim_scan *scan, struct imp_thread *t, struct imp_interp *in,
		      const char *name, size_t len);

/* imp_claims_write - read what the distributions under consideration say, and write the event if any claims */
void imp_claims_write(struct imp_claim_scan *scan, struct imp_thread *t);

/*
 * imp_claims_of_chain - look into all distributions on sys.path, for the modules whose import failed
 * lately and those that an exception and what led to it name. Only where that exception ends the program:
 * it reads many files.
 */
void imp_claims_of_chain(struct imp_thread *t, struct imp_interp *in, PyObject *exception);

#endif
