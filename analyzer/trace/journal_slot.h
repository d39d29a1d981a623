/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TRACE_JOURNAL_SLOT_H
#define IMP_TRACE_JOURNAL_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * imp_journal_slot_read - what a journal slot holds (trace_format.h, IMP_JOURNAL_*)
 * @frame, @size: a whole skippable frame
 * @out:          the data of its records in a row; @room bytes
 *
 * Returns how many bytes that are; 0 where it is no slot, or not even its first record is whole.
 */
size_t imp_journal_slot_read(const uint8_t *frame, size_t size, uint8_t *out, size_t room);

#endif
