/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_DIAGNOSE_H
#define IMP_DIAGNOSE_DIAGNOSE_H

#include <stdbool.h>

#include "../host/host.h"
#include "../trace/record.h"
#include "finding.h"

/*
 * imp_diagnose - say what failed and why
 * @d:      filled; release with imp_diagnosis_clear(); borrows @record
 * @record: a whole trace
 * @host:   whether this machine's disk may be looked at
 * @module: fill @d->loaded for this one (-m); NULL: none
 * Decides everything and prints nothing. Always succeeds: where nothing could be shown, the cause is
 * IMP_CAUSE_UNKNOWN with all the evidence.
 */
void imp_diagnose(struct imp_diagnosis *d, const struct imp_record *record,
		  const struct imp_host *host, const char *module);
void imp_diagnosis_clear(struct imp_diagnosis *d);

/* imp_diagnosis_fatal - did at least one import fail fatally? (exit status of "analyze") */
bool imp_diagnosis_fatal(const struct imp_diagnosis *d);

#endif
