/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_NEEDED_FILES_H
#define IMP_PRELOAD_NEEDED_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "thread_slot.h"

struct imp_time_budget;

/*
 * What ld.so may have come upon when it looked for the objects that a dlopen() needed. Its error names a library
 * by its soname alone, or not at all where another copy was taken; a later reader has no disk to look at.
 *
 * Followed are DT_NEEDED and, for each name, the files that are there in the directories of RPATH (with those of
 * who needed it, and of the program), LD_LIBRARY_PATH and RUNPATH, and in the loader's default directories. Not
 * followed are ld.so.cache, subdirectories of glibc-hwcaps, relative directories, and $LIB and $PLATFORM.
 */

/*
 * imp_needed_files_init - remember LD_LIBRARY_PATH
 *
 * Once, at the start: ld.so reads it then, and the environment is the program's to change.
 */
void imp_needed_files_init(char *const *environment);

struct imp_needed_look {
	struct imp_thread *t; /* its path, text and listing are used, also by @found */
	const char *name;     /* as dlopen() was asked for it: a path, or a soname */
	struct imp_time_budget *budget;
	/*
	 * A file that is there, or that may not be read. @copies: how many of that name there are, the one that is
	 * mapped among them; with several it matters what each of them offers. Returns false to stop.
	 */
	bool (*found)(void *arg, const char *path, unsigned int copies);
	void *arg;
};

/*
 * imp_needed_files_look - bounded: nothing more is looked at once the budget is used up
 *
 * No call of the dynamic loader but dl_iterate_phdr(): dlerror's text stays.
 */
void imp_needed_files_look(const struct imp_needed_look *look);

#endif
