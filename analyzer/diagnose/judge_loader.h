/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_JUDGE_LOADER_H
#define IMP_DIAGNOSE_JUDGE_LOADER_H

#include "../elf/ld_replay.h"
#include "judge.h"
#include "loader_text.h"

/* One dlopen that failed, with what the loader did on the way there. For the judge_*.c of this job alone. */
struct imp_load {
	struct imp_case *c;
	const struct imp_dlopen *d;
	struct imp_loader_text text;
	struct imp_ld_replay replay;
	struct imp_ld_tree tree;	    /* of @d; empty where nothing could be derived */
	const struct imp_ld_search *search; /* for the object that the text names; NULL: unknown */
	const char *root; /* the file that was opened, absolute; NULL: a soname was asked for */
	const char *file; /* the file that the text names, absolute; NULL: it names none */
};

struct imp_load_place { /* a directory in which a library might lie that no rule leads to */
	const char *dir;
	const char *package; /* the other package that it belongs to; NULL: none */
};

IMP_VEC_TYPE(imp_load_places, struct imp_load_place);

/* imp_load_places_find - directories near the extension, of other packages, of the prefix; nothing without a host */
void imp_load_places_find(struct imp_load *l, struct imp_load_places *out);

/*
 * imp_load_behind_link - where the @i-th $ORIGIN in the RUNPATH or RPATH of @file would lead, were it the directory of the file
 * and not of the link by which it was opened; NULL: no more, or it is no link
 */
const char *imp_load_behind_link(struct imp_load *l, const char *file, size_t i);

/*
 * imp_load_meant_entry - the @i-th directory that LD_LIBRARY_PATH was meant to name ("~/lib", quotes, a file); NULL: no more
 * @item: the entry as it stands there; @why: part of a sentence: why it does not lead there
 * imp_load_say_entry - evidence: @name lies in such a directory (load_variable.c)
 */
const char *imp_load_meant_entry(struct imp_load *l, size_t i, const char **item, const char **why);
void imp_load_say_entry(struct imp_load *l, const char *name);

/* imp_load_fits - is the file there, and would this loader take it? */
bool imp_load_fits(struct imp_load *l, const char *path);

/* imp_load_image, imp_load_facts - what is known of a file; NULL: nothing */
struct imp_elf_image *imp_load_image(struct imp_load *l, const char *path);
const struct imp_file_facts *imp_load_facts(const struct imp_load *l, const char *path);

/* imp_load_search - what led to a path or soname, found or not; NULL: unknown */
const struct imp_ld_search *imp_load_search(const struct imp_load *l, const char *name);

/* imp_load_library - fill the finding's "library"; @s: may be NULL */
void imp_load_library(struct imp_load *l, const char *name, const char *needed_by,
		      const struct imp_ld_search *s);

/* imp_load_needed_by - who needs what @s looked for; NULL: dlopen itself asked for it */
const char *imp_load_needed_by(const struct imp_load *l, const struct imp_ld_search *s);

/* imp_load_say_chain - evidence: "A is needed by B, which is needed by C" */
void imp_load_say_chain(struct imp_load *l, const char *name, const struct imp_ld_search *s);

/* imp_load_mapped - an object of that base name, mapped at any time; NULL: none */
const struct imp_object *imp_load_mapped(const struct imp_load *l, const char *base);

/* imp_load_parent - the directory of a path; NULL: it is in the topmost, or has none */
const char *imp_load_parent(struct imp_arena *a, const char *path);
bool imp_load_ends_with(const char *s, const char *end);
const char *imp_load_base_name(const char *path);

/* What is missing: a symbol, or (@symbol NULL) a version of a library's symbols. */
struct imp_load_wanted {
	const char *symbol, *version;
};

/* imp_load_offers - has the file what is wanted? 1, 0, or less: not known */
int imp_load_offers(struct imp_elf_image *img, const struct imp_load_wanted *w);

/* imp_load_readable - the name of a symbol as its source has it, where it is mangled */
const char *imp_load_readable(const struct imp_load *l, const char *symbol);

/* imp_load_object_at - the object that was, or would be, loaded from a file; NULL: none */
const struct imp_ld_object *imp_load_object_at(const struct imp_load *l, const char *file);

/* imp_load_exporter - a file of this machine that has it, loaded or not; NULL: none was found */
const char *imp_load_exporter(struct imp_load *l, const struct imp_load_wanted *w);

/*
 * imp_load_is_c_library - is this the name of a part of glibc? (load_trial.c)
 * imp_load_c_library_in - a part of a C library in @dir that is not the one that this process runs with; NULL: none
 */
bool imp_load_is_c_library(const char *name);
const char *imp_load_c_library_in(struct imp_load *l, const char *dir);

/*
 * imp_load_fix_path - add: put @dir into LD_LIBRARY_PATH
 * Returns false, with evidence that says why, where @dir holds another C library: nothing would start with it.
 */
bool imp_load_fix_path(struct imp_load *l, const char *dir, enum imp_confidence confidence,
		       const char *effect);

/*
 * imp_load_lacks - a symbol, or a version, that would still be missing were @name taken from @dir
 * NULL: nothing, or that can't be told
 */
const char *imp_load_lacks(struct imp_load *l, const char *dir, const char *name);

/* imp_load_still_missing - another library that would not be found were @dir searched first; NULL: none is known */
const char *imp_load_still_missing(struct imp_load *l, const char *dir, const char *name);

/* imp_load_name - what the text names, as a person would call it */
const char *imp_load_name(const struct imp_load *l);

/* imp_load_at_fault - fill the finding's path, library and chain: @l->file is at fault */
void imp_load_at_fault(struct imp_load *l);

/*
 * imp_load_say_path - evidence: what a name with a slash leads to, and where such a file is
 * imp_load_say_cache - evidence: its directory is one of ld.so.conf's, and ld.so.cache does not know it yet
 * Both: @needed_by: NULL: the program itself. Return whether that explains the failure: a summary and fixes are there.
 * imp_load_say_gone - evidence: ld.so.cache lists a file of that name that is no longer there
 * imp_load_say_inheritance - evidence: another object's RPATH or RUNPATH leads to @dir, and does not count here
 */
bool imp_load_say_path(struct imp_load *l, const struct imp_load_places *places, const char *name,
		       const char *needed_by);
bool imp_load_say_cache(struct imp_load *l, const char *name, const char *needed_by);
void imp_load_say_gone(struct imp_load *l);
void imp_load_say_inheritance(struct imp_load *l, const char *dir);

/* imp_load_say_eaten_origin - evidence: an element of the RPATH or RUNPATH was meant to be $ORIGIN */
void imp_load_say_eaten_origin(struct imp_load *l);

/* imp_load_say_link - evidence: @name lies where $ORIGIN would lead, had the file been opened by no link */
void imp_load_say_link(struct imp_load *l, const char *name);

/* imp_load_say_caller - evidence: who called dlopen */
void imp_load_say_caller(struct imp_load *l);

/* imp_load_say_processor - evidence: which of the usual instruction sets this machine has; false: all of them */
bool imp_load_say_processor(struct imp_case *c);

/* imp_load_say_ids - evidence: as which user the process ran */
void imp_load_say_ids(struct imp_case *c);

/* The causes. Each fills the finding and returns true, or leaves it alone. */
bool imp_judge_open(struct imp_load *l); /* "cannot open shared object file" */
bool imp_judge_machine(struct imp_load *l);
bool imp_judge_bad_file(struct imp_load *l);
bool imp_judge_page_size(struct imp_load *l);
bool imp_judge_static_tls(struct imp_load *l);
bool imp_judge_stack(struct imp_load *l);
bool imp_judge_memory(struct imp_load *l);
bool imp_judge_mapping(struct imp_load *l); /* "failed to map segment from shared object" */
bool imp_judge_protection(struct imp_load *l);
bool imp_judge_wrong_library(struct imp_load *l, const struct imp_load_wanted *w,
			     const struct imp_ld_object *who);
/* It was loaded, and then another file came to its place: judge_replaced.c. */
bool imp_judge_replaced(struct imp_load *l, const struct imp_load_wanted *w,
			const struct imp_ld_object *who);
bool imp_load_is_python_symbol(const char *symbol);
bool imp_judge_libpython(struct imp_load *l);
void imp_judge_python_symbol(struct imp_load *l, const char *who);
/* It is linked with the libpython of another version: judge_other_python.c. */
bool imp_judge_other_libpython(struct imp_load *l, const char *name, const char *needed_by);
bool imp_judge_processor(struct imp_load *l);
bool imp_judge_missing_library(struct imp_load *l);
bool imp_judge_dangling_library(struct imp_load *l);
bool imp_judge_wrong_libc(struct imp_load *l);
bool imp_judge_symbol(struct imp_load *l);
bool imp_judge_symbol_version(struct imp_load *l);

#endif
