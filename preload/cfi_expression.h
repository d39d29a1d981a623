/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_CFI_EXPRESSION_H
#define IMP_PRELOAD_CFI_EXPRESSION_H

#include "cfi_step.h"

/* imp_cfi_read_word - a word of the stack; false where nothing can be read there */
bool imp_cfi_read_word(struct imp_cfi_cursor *c, uint64_t address, uint64_t *value);

/*
 * imp_cfi_evaluate - a DWARF expression with the registers of @c
 * @cfa: NULL: that is what is computed
 *
 * As far as compilers and libcs use them in .eh_frame: for PLT entries, signal frames, realigned
 * stacks. Returns false for others, and where something can't be read. Source: DWARF 5, section 2.5.
 */
bool imp_cfi_evaluate(struct imp_cfi_cursor *c, const uint8_t *expression, size_t len,
		      const uint64_t *cfa, uint64_t *result);

#endif
