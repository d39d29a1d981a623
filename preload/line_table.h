/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_LINE_TABLE_H
#define IMP_PRELOAD_LINE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * co_linetable of CPython 3.11 and later: which line an instruction belongs to. CPython goes through it from the
 * beginning each time that it is asked, which for the body of a long module takes longer than all else that an
 * import needs; here one goes on where the last one ended.
 *
 * Source: CPython, Objects/locations.md (3.11), InternalDocs/code_objects.md (3.14).
 */
struct imp_line_walk {
	size_t at;	/* in the table: the entry to be read next */
	uint32_t start; /* first instruction of the entry read last, in bytes of code */
	uint32_t end;	/* behind its last; 0: none was read yet */
	int64_t line;	/* the line up to there; before the first: co_firstlineno */
	bool known;	/* that entry has a line at all */
};

/*
 * imp_line_walk_to - the line of an instruction
 * @w: zeroed but for @line, or as the last call for this table has left it
 * @instruction: offset into the code, in bytes; not before the one asked for last
 * Returns the line; 0: it has none; -1: it lies before @w, or the table ends before it.
 */
int64_t imp_line_walk_to(struct imp_line_walk *w, const void *table, size_t size,
			 uint32_t instruction);

#endif
