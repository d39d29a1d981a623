/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_JUDGE_ELSEWHERE_H
#define IMP_DIAGNOSE_JUDGE_ELSEWHERE_H

#include "case.h"

/* The two halves of installed-elsewhere share these. */

/*
 * imp_elsewhere_lies - the module's file in a directory, if this interpreter could take it; else NULL
 * imp_elsewhere_held - the same, and NULL where that directory was searched: the file came later, or the process saw
 *                      another file system there
 */
const char *imp_elsewhere_lies(const struct imp_case *c, const char *dir);
const char *imp_elsewhere_held(const struct imp_case *c, const char *dir);

/*
 * imp_elsewhere_searched - is the directory, in which this file of the module lies, one of those that were searched?
 * Compared as absolute paths, and by device and inode: an entry may be relative, or a link.
 */
bool imp_elsewhere_searched(const struct imp_case *c, const char *path);

/*
 * imp_elsewhere_tell - the finding: @path is there, in @dir, which is not searched
 * @why: a clause without a full stop
 */
void imp_elsewhere_tell(struct imp_case *c, const char *path, const char *dir, const char *why);

/*
 * imp_judge_lost_entry - the module lies in a directory that would be on sys.path, had not an option, a
 * variable, the program itself or the process that started it taken the directory away
 */
bool imp_judge_lost_entry(struct imp_case *c);

/* imp_judge_mistaken_entry - the module lies where an entry of the search path was to lead, had it been written otherwise */
bool imp_judge_mistaken_entry(struct imp_case *c);

/* imp_judge_behind_pth_line - it lies in a directory that a .pth file names, behind a line that failed (judge_pth.c) */
bool imp_judge_behind_pth_line(struct imp_case *c);

/*
 * imp_judge_below - the module lies one directory below one that is searched: an archive was unpacked there, a repository
 * cloned; or it lies beside the link that the script was started by
 */
bool imp_judge_below(struct imp_case *c);

#endif
