/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_LD_TREE_H
#define IMP_ELF_LD_TREE_H

#include "elf_symbol.h"
#include "ld_search.h"

/* A version that one object needs of another that has been found without it. */
struct imp_ld_unmet_version {
	const struct imp_ld_object *object; /* who needs it */
	const struct imp_ld_object *of;	    /* the file that was found */
	const char *soname, *version;
	bool weak;	  /* ld.so only warns */
	bool no_versions; /* @of has none at all: ld.so only warns */
};

struct imp_ld_undefined {
	struct imp_ld_object *object; /* who needs it */
	struct imp_elf_symbol symbol;
	struct imp_ld_object *other_version; /* has it, in other versions; NULL: nobody does */
};

/* What one dlopen does: all objects that it brings in, each with the search that found it. */
struct imp_ld_tree {
	IMP_VEC(struct imp_ld_search *)
	searches;		       /* in the order of the loader; the first is dlopen's own */
	struct imp_ld_objects objects; /* newly mapped, in order */
	struct imp_ld_objects scope;   /* the object opened and all that it needs, breadth first */
	struct imp_ld_object *object;  /* that was opened; NULL: it failed */
	const struct imp_ld_search *failed; /* the first search that failed; NULL: none */
	IMP_VEC(struct imp_ld_unmet_version) versions;
	IMP_VEC(struct imp_ld_undefined) undefined; /* weak ones are left out */
	bool undefined_known; /* false: some object's symbols could not be read */
	bool unknown;	      /* a search ended without a certain result */
};

struct imp_ld_tree_options {
	bool keep_going; /* after a failed search go on with the others: what else would be missing */
	bool symbols;	 /* look for undefined symbols and unmet versions */
	bool global;	 /* RTLD_GLOBAL */
};

/*
 * imp_ld_tree_open - do what dlopen does, as far as finding files goes
 * @p:   changed: the new objects are added; after a failure only what was learned of directories stays
 *	 (so too with @options->keep_going)
 * @req: as for imp_ld_search_run()
 * @out: filled; lives in the arena of @p
 *
 * Breadth first over DT_NEEDED, like _dl_map_object_deps(). Returns 0 or -EINVAL.
 */
int imp_ld_tree_open(struct imp_ld_process *p, const struct imp_ld_request *req,
		     const struct imp_ld_tree_options *options, struct imp_ld_tree *out,
		     struct imp_error *err);

/*
 * imp_ld_tree_start - what the kernel and ld.so do when a program starts: the program, LD_PRELOAD, all
 * that they need
 * @program: path; @preload: names, NULL: none
 */
int imp_ld_tree_start(struct imp_ld_process *p, const char *program,
		      const struct imp_strings *preload, const struct imp_ld_tree_options *options,
		      struct imp_ld_tree *out, struct imp_error *err);

/*
 * imp_ld_tree_check - unmet versions and undefined symbols of objects, against a scope and all global
 * objects of their namespace
 * @objects: to check; @out->scope is the scope
 */
void imp_ld_tree_check(struct imp_ld_process *p, const struct imp_ld_objects *objects,
		       struct imp_ld_tree *out);

#endif
