/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_REMEDY_H
#define IMP_DIAGNOSE_REMEDY_H

#include "../python/distribution.h"
#include "case.h"

/* The commands of a remedy. Each is typed as printed, in the program's working directory. */

/* ---- the program again (remedy_run.c) ------------------------------------------------------- */

/* What is to be different in the next run; a zeroed one: nothing. */
struct imp_run_change {
	const char *before; /* what stands before the command: "A=b", "env -u A"; quoted; or NULL */
	const char *interpreter; /* NULL: the same */
	const char *without;	 /* single-letter options that are left out: "SI"; or NULL */
	const char *module;	 /* run with -m in place of the script; or NULL */
	const char *script;	 /* run in place of the script; or NULL */
};

/*
 * imp_remedy_run - the program's own command line, changed; NULL: it is too long to be typed, of several
 * lines, from standard input, or no interpreter's (a host program that embeds Python)
 */
const char *imp_remedy_run(const struct imp_case *c, const struct imp_run_change *change);

/* imp_remedy_run_with - the same, with another interpreter and nothing else changed */
const char *imp_remedy_run_with(const struct imp_case *c, const char *interpreter);

/* imp_remedy_line - the program's command line as an interpreter's; false: it is none */
struct imp_command_line;
bool imp_remedy_line(const struct imp_case *c, struct imp_command_line *line);

/*
 * imp_remedy_run_path - add: run the program with a directory, or several with ':' between them, in PYTHONPATH
 * @dirs: in front of what PYTHONPATH holds already
 */
void imp_remedy_run_path(struct imp_case *c, const char *dirs, const char *effect);

/*
 * imp_remedy_run_as_module - add: run the script as a module of the package that lies in @root
 * Returns false where the script is not in that package, or has no name that could be imported.
 */
bool imp_remedy_run_as_module(struct imp_case *c, const char *root, const char *package);

/* imp_remedy_run_script_as_module - the same of the package that the script lies in (directories with __init__.py) */
bool imp_remedy_run_script_as_module(struct imp_case *c);

/* imp_remedy_drop_entry - the command that takes one directory out of PYTHONPATH */
const char *imp_remedy_drop_entry(const struct imp_case *c, const char *entry);

/* imp_remedy_drop_option - add: start the program without one of the interpreter's options */
void imp_remedy_drop_option(struct imp_case *c, char letter, const char *effect);

/* ---- installing (remedy_install.c) ---------------------------------------------------------- */

/*
 * imp_remedy_install - add the commands that install what brings @module
 * @reinstall: it is there, for another Python or damaged
 * @before:    a command that has to come first ("unset PYTHONPATH"); NULL: none
 * @effect:    a clause without a full stop
 * What rests on a guess is only possible, whatever @confidence says: anybody may register a name.
 */
void imp_remedy_install(struct imp_case *c, const char *module, bool reinstall,
			enum imp_confidence confidence, const char *before, const char *effect);

/* imp_remedy_repair - add the commands that put the files of an installed distribution back */
void imp_remedy_repair(struct imp_case *c, const struct imp_distribution *dist, const char *path,
		       const char *effect);

/*
 * imp_remedy_install_project - add: install the project whose sources lie in @dir (pip's -e), where
 * a file of it or of a directory above says how
 */
void imp_remedy_install_project(struct imp_case *c, const char *dir);

/*
 * imp_remedy_first_copy - of two copies on the path the first lacks @module, and no installer brought it there:
 * add what lets the other one be taken
 * @entry, @other: the entries of sys.path; @file: the module's file in the other
 */
void imp_remedy_first_copy(struct imp_case *c, const char *entry, const char *other,
			   const char *file);

/*
 * imp_remedy_namespace - add: remove the empty file @init, which makes a regular package of one directory of the
 * namespace package @name; where it is not empty, and parts beside it are in use: let it search the other directories too
 * Nothing where @other, that of the part that is wanted, is no such directory.
 */
void imp_remedy_namespace(struct imp_case *c, const char *name, const char *init, const char *other);

/*
 * imp_remedy_copy_behind - a file of the module that this Python takes once PYTHONPATH does not name @entry; NULL: none
 */
const char *imp_remedy_copy_behind(const struct imp_case *c, const char *entry);

/*
 * imp_remedy_copy_entry - the item of sys.path that PYTHONPATH brought, and from which the finding's file came;
 * NULL: none
 */
const char *imp_remedy_copy_entry(const struct imp_case *c);

/*
 * imp_remedy_target - the item of sys.path from which the finding's file came, where PYTHONPATH, the program or its place
 * has put it there: what is installed for this Python elsewhere comes behind it. NULL: it came from a site directory.
 */
const char *imp_remedy_target(const struct imp_case *c);

/*
 * imp_remedy_is_installed - was this file, or this directory, put there by an installer? (It lies in
 * a site directory, or a distribution lists it.) Else it is somebody's own.
 */
bool imp_remedy_is_installed(const struct imp_case *c, const char *path);

/* imp_remedy_permission - what mends permission-denied, and the directories above that are closed as well */
void imp_remedy_permission(struct imp_case *c);

/* imp_remedy_tag - what mends abi-tag-mismatch (remedy_tag.c) */
void imp_remedy_tag(struct imp_case *c);

/*
 * imp_remedy_foreign_home - PYTHONHOME, where it sends this interpreter from its own directories to another one's; NULL:
 * it does not. An installer that is run with it would work with the wrong standard library, or not at all.
 */
const char *imp_remedy_foreign_home(const struct imp_case *c);

/* imp_remedy_python - the interpreter as a command, unquoted */
const char *imp_remedy_python(const struct imp_case *c);

#endif
