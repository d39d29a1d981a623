/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_JUDGE_H
#define IMP_DIAGNOSE_JUDGE_H

#include "case.h"
#include "remedy.h"

/*
 * The rules. Each looks at a case and, where it can show its cause, sets cause, module, path, summary and
 * evidence of the finding and returns true; else it leaves the finding alone and returns false.
 */

/* The finder said that there is no such module: what lies on the search path, what claims it, where else it is. */
bool imp_judge_blocked(struct imp_case *c);
bool imp_judge_finders(struct imp_case *c); /* judge_finder.c */
bool imp_judge_candidates(struct imp_case *c);
bool imp_judge_not_a_package(struct imp_case *c);
bool imp_judge_stacked_copies(struct imp_case *c);
bool imp_judge_editable(struct imp_case *c);
bool imp_judge_claims(struct imp_case *c);
bool imp_judge_stdlib(struct imp_case *c);
bool imp_judge_home(struct imp_case *c);
bool imp_judge_elsewhere(struct imp_case *c);
void imp_judge_absent(struct imp_case *c);	/* not-installed: what is left */
void imp_judge_say_finders(struct imp_case *c); /* evidence for it: what was passed over on the way */
void imp_judge_say_name(struct imp_case *c); /* the same: what the name itself tells (judge_name.c) */
void imp_judge_say_no_strs(struct imp_case *c); /* of any: items of sys.path that are no strings */

/* imp_judge_say_pth_lines - evidence for it: lines of .pth files that had failed (judge_pth.c) */
void imp_judge_say_pth_lines(struct imp_case *c);

/* A module that an editable installation brings, as its metadata has it (judge_editable.c) */
bool imp_judge_brings(const struct imp_case *c, const struct imp_distribution *dist);

/* imp_judge_is_pth_line - did this import end a line of code in a .pth file? */
bool imp_judge_is_pth_line(const struct imp_image *image, const struct imp_attempt *at);

/*
 * imp_judge_pth_line_of - the import that failed in a line of a .pth file which was to make c->module importable:
 * the file is of the distribution that brings the module; NULL: none
 */
const struct imp_attempt *imp_judge_pth_line_of(const struct imp_case *c);

/* imp_judge_asked_by_pth - say which line of which .pth file asked for @asked, whose failure began with @c */
void imp_judge_asked_by_pth(struct imp_case *c, const struct imp_attempt *asked);

/* The module was found; using it failed. */
bool imp_judge_denied(struct imp_case *c);
bool imp_judge_shadowed(struct imp_case *c);
/* The same, where it is known that the top-level module @top was taken from @file (NULL: not known). */
bool imp_judge_shadowed_by(struct imp_case *c, const char *top, const char *file);
bool imp_judge_circular(struct imp_case *c);
bool imp_judge_version(struct imp_case *c); /* judge_version.c */
bool imp_judge_attribute(struct imp_case *c);
bool imp_judge_damaged(struct imp_case *c);
bool imp_judge_compiled(struct imp_case *c); /* judge_compiled.c */
/* The file that was taken has no @name, and one that was passed over has (judge_passed_over.c). */
bool imp_judge_passed_over(struct imp_case *c, const char *taken, const char *name);
bool imp_judge_hidden(struct imp_case *c); /* an init function met a file that took a module's name */
bool imp_judge_extension(struct imp_case *c);
bool imp_judge_missing_init(struct imp_case *c); /* judge_init_function.c */
bool imp_judge_own_symbol(struct imp_case *c);	 /* judge_own_library.c */
bool imp_judge_find_library(struct imp_case *c);

/*
 * imp_judge_dlopen_error - why ld.so refused: @d of this image has failed
 * For an extension, and for what ctypes or cffi opened (c->module is "", c->attempt NULL). imp_remedy() and
 * imp_rule_out() are for the caller.
 */
bool imp_judge_dlopen_error(struct imp_case *c, const struct imp_dlopen *d);

/* imp_judge_init_functions - evidence: which PyInit_* the file exports; @name: the one that was looked for */
void imp_judge_init_functions(struct imp_case *c, const char *path, const char *name);

void imp_judge_unknown(struct imp_case *c);

/*
 * imp_judge_foreign_stdlib - the file at fault lies in another Python's standard library, which PYTHONPATH names
 * Adds to a finding that a rule has filled. Returns true where that explains it: nothing else is to be mended then.
 */
bool imp_judge_foreign_stdlib(struct imp_case *c);

/* imp_judge_source_in - the source of the module in a directory in which a finder found it */
const char *imp_judge_source_in(const struct imp_case *c, const char *entry);

/* imp_judge_refusal - is this the text of an extension that refuses to be initialized again? */
bool imp_judge_refusal(const char *message);

/* imp_judge_crash - the process died (image->signal) within the loading of c->extension */
void imp_judge_crash(struct imp_case *c);

/* imp_judge_own_signal - is it one that a process brings upon itself? SIGKILL, SIGTERM and their like come from outside. */
bool imp_judge_own_signal(int signal);

/* imp_judge_searched - fill the finding's "searched" from the snapshot */
void imp_judge_searched(struct imp_case *c);

/* imp_judge - run the rules in their order; fixes and what is ruled out are added after them */
void imp_judge(struct imp_case *c);

/* imp_judge_not_found - did the search end without a module (the exception is the finder's own)? */
bool imp_judge_not_found(const struct imp_case *c);

/* imp_judge_runpy_module - MODULE of a "python -m MODULE" that runpy did not find; NULL: it is no such error */
const char *imp_judge_runpy_module(const struct imp_case *c);

/* imp_remedy, imp_rule_out - the last two parts of a finding, by its cause and evidence */
void imp_remedy(struct imp_case *c);
void imp_rule_out(struct imp_case *c);
void imp_remedy_loader(struct imp_case *c); /* of the causes below dlopen */

/*
 * imp_judge_foreign_init - is the __init__ of a directory, which was taken for a namespace package, an extension that
 * was built for another Python? (judge_namespace.c)
 * @dir: the directory; @name: what was asked of the package
 */
bool imp_judge_foreign_init(struct imp_case *c, const char *dir, const char *name);

/*
 * imp_judge_say_empty - such a directory has nothing in it: say so, and what fills it, where .gitmodules of a directory
 * above knows it
 */
void imp_judge_say_empty(struct imp_case *c, const char *dir);

/* imp_remedy_namespace_directory - such a directory was all that there is of the name: any whole package goes before it */
void imp_remedy_namespace_directory(struct imp_case *c);

/*
 * imp_judge_is_file_of - is @name, in a directory that is searched, a file of the module whose last part is @tail?
 * @extension: whether it is a native one (of whatever Python)
 */
bool imp_judge_is_file_of(const struct imp_case *c, const char *name, const char *tail,
			  bool *extension);

#endif
