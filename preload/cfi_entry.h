/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_CFI_ENTRY_H
#define IMP_PRELOAD_CFI_ENTRY_H

#include "cfi_bytes.h"
#include "object_table.h"

struct imp_cfi_entry { /* a frame description entry, with what its CIE says */
	struct imp_cfi_bytes initial, program;
	uint64_t begin, code_align;
	int64_t data_align;
	unsigned int ra; /* the return address's column */
	unsigned int encoding;
	bool augmented, exact; /* @exact: the frame above was interrupted (a signal handler's) */
};

/*
 * imp_cfi_entry_find - the entry of .eh_frame that covers an address, by the sorted table of .eh_frame_hdr
 * @o: the object that holds @pc. Only its segments are read, whatever its tables say.
 * Returns false where there is none, or one of a kind that is not known here.
 */
bool imp_cfi_entry_find(const struct imp_mapped *o, uint64_t pc, struct imp_cfi_entry *e);

#endif
