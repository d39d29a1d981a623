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
	struct imp_ld_tree tree;	/* of @d; empty where nothing could be derived */
	const struct imp_ld_search *search;	/* for the object that the text names; NULL: unknown */
	const char *root;		/* the file that was opened, absolute; NULL: a soname was asked for */
	const char *file;		/* the file that the text names, absolute; NULL: it names none */
};

struct imp_load_place {		/* a directory in which a library might lie that no rule leads to */
	const char *dir;
	const char *package;	/* the other package that it belongs to; NULL: none */
};

IMP_VEC_TYPE(imp_load_places, struct imp_load_place);

/* imp_load_places_find - directories near the extension, of other packages, of the prefix; nothing without a host */
void imp_load_places_find(struct imp_load *l, struct imp_load_places *out);

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

/* The causes. Each fills the finding and returns true, or leaves it alone. */
bool imp_judge_missing_library(struct imp_load *l);
bool imp_judge_wrong_libc(struct imp_load *l);
bool imp_judge_symbol(struct imp_load *l);
bool imp_judge_symbol_version(struct imp_load *l);

#endif
