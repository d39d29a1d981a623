/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_FILE_FACTS_H
#define IMP_PRELOAD_FILE_FACTS_H

#include <stdint.h>

#include "thread_slot.h"

/*
 * What a file is that could not be loaded (IMP_EV_FILE): by the time that somebody reads the trace, it may be
 * gone, or on another machine. Recorded are how the path leads to it, its stat, its mount, and of an ELF
 * file the headers, the dynamic segment and the tables that this one names; of large tables what decides:
 * undefined symbols, and names that begin with PyInit. The event stays below IMP_ITEM_MAX.
 *
 * A file that was recorded in this image already, and is as it was, is not recorded again: its facts then
 * stand under the CALL of the first time.
 *
 * Reads no more when 1 ms has passed (time_budget.h). Opens regular files only, and never waits for one. No call of
 * the dynamic loader that could touch dlerror's text.
 */

/*
 * imp_file_facts_load_failed - after a failed dlopen()
 * @call:  its number; @name: as it was asked for
 * @error: what dlerror() says of it; the objects that it names are looked at too, and of those that are needed the
 *         files that the search for them may have led to (needed_files.h)
 */
void imp_file_facts_load_failed(struct imp_thread *t, uint32_t call, const char *name,
				const char *error);

/*
 * imp_file_facts_before_load - before a dlopen() of a path
 *
 * Only where the file is shorter than its program headers say: ld.so maps what they promise, and the process
 * may die of SIGBUS in there. Otherwise a look at the headers, and nothing is recorded.
 */
void imp_file_facts_before_load(struct imp_thread *t, uint32_t call, const char *name);

/*
 * imp_file_facts_of - of one file
 * @len: of @path; longer than any path that the kernel would take: nothing is recorded
 */
void imp_file_facts_of(struct imp_thread *t, uint32_t call, const char *path, size_t len);

#endif
