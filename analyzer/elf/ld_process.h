/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_LD_PROCESS_H
#define IMP_ELF_LD_PROCESS_H

#include "elf_image.h"
#include "ld_system.h"

/*
 * A process as its dynamic loader sees it: the objects that are loaded, the paths of its environment, and
 * what the loader remembers about directories. Searches (ld_search.h) run in it and change it, in the
 * order in which they ran in the program.
 */

/* What a path leads to. */
struct imp_ld_file {
	int err; /* 0; -ENOENT, -EACCES, ... of opening it; -ENODATA: not known */
	uint64_t dev, ino;
	struct imp_elf_image *image; /* NULL: it is there, and nothing more is known of it */
	bool directory;		     /* open(2) takes it, read(2) does not */
};

/* The only way to a disk, or to what a trace kept of one. Paths are absolute. */
struct imp_ld_lookup {
	void (*file)(void *data, const char *path, struct imp_ld_file *file);
	int (*is_directory)(void *data, const char *path); /* 1, 0 or -ENODATA */
	void *data;
};

struct imp_ld_object {		     /* a link map */
	const char *name;	     /* l_name: the path by which it was found; "": the program */
	const char *file;	     /* the same, absolute; the program's own path */
	struct imp_strings names;    /* other names by which it was asked for */
	struct imp_elf_image *image; /* NULL: not known */
	const struct imp_ld_object
		*loader; /* whose DT_NEEDED brought it in; NULL: program, dlopen or preload */
	const struct imp_ld_search *search; /* that found it; NULL: unknown */
	int64_t name_space;		    /* 0: LM_ID_BASE */
	uint64_t dev, ino;
	bool identified;	/* @dev and @ino are known */
	bool program;		/* the executable */
	bool preload;		/* LD_PRELOAD names it */
	bool is_loader;		/* ld.so: one for all namespaces */
	bool global;		/* its symbols are visible to everybody in its namespace */
	bool seen;		/* scratch of ld_replay.c */
	bool dependencies_done; /* its DT_NEEDED were followed */
	struct imp_ld_dirs *rpath, *runpath; /* NULL: not asked for yet */
};

IMP_VEC_TYPE(imp_ld_objects, struct imp_ld_object *);

struct imp_ld_dir {	  /* glibc: struct r_search_path_elem */
	const char *path; /* ends in '/'; "": the working directory */
	size_t len;
	signed char *status; /* for each subdirectory: unknown 0, there 1, not there -1 */
};

struct imp_ld_dirs { /* a list of directories, as one RPATH or LD_LIBRARY_PATH names it */
	struct imp_ld_dir **v;
	size_t n;
	size_t cap;
	const char **entries;	    /* of each: the entry as written, "$ORIGIN/lib" */
	struct imp_strings dropped; /* entries that were left out */
	const char *why_dropped;
};

struct imp_ld_process {
	struct imp_arena *arena;	    /* borrowed */
	const struct imp_ld_system *system; /* borrowed */
	struct imp_ld_lookup lookup;
	const char *library_path; /* LD_LIBRARY_PATH; NULL: not set. Ignored where @secure */
	const char *cwd;	  /* NULL: not known */
	bool secure;		  /* AT_SECURE */
	struct imp_ld_objects objects;
	struct imp_ld_object *program;
	IMP_VEC(struct imp_ld_dir *) dirs; /* all directories ever named */
	struct imp_ld_dirs *defaults, *environment;
};

/*
 * imp_ld_process_init - a process in which nothing is loaded yet
 * @p: its members @arena, @system, @lookup, @library_path, @cwd and @secure are set; the others zero
 */
void imp_ld_process_init(struct imp_ld_process *p);

/*
 * imp_ld_process_add - an object that is known to be loaded, without a search
 * @name: as the loader knows it; "" for the program, whose path is then @file
 * @loader: as in struct imp_ld_object
 */
struct imp_ld_object *imp_ld_process_add(struct imp_ld_process *p, const char *name,
					 const char *file, const struct imp_ld_object *loader,
					 int64_t name_space);

/* imp_ld_process_find - the object of that path in that namespace; NULL: not loaded */
struct imp_ld_object *imp_ld_process_find(const struct imp_ld_process *p, const char *path,
					  int64_t name_space);

/*
 * imp_ld_process_match - the loaded object that answers to a name, by its path, an earlier name or its
 * soname; NULL: none
 * @by: how, "soname" or "name"; may be NULL
 */
struct imp_ld_object *imp_ld_process_match(struct imp_ld_process *p, const char *name,
					   int64_t name_space, const char **by);

/* imp_ld_process_has_name - its path, its soname, or a name by which it was asked for */
bool imp_ld_process_has_name(const struct imp_ld_object *o, const char *name);

/* imp_ld_process_remove - unloaded, or never came to be loaded */
void imp_ld_process_remove(struct imp_ld_process *p, const struct imp_ld_object *o);

/* imp_ld_process_origin - $ORIGIN of an object; NULL: not known */
const char *imp_ld_process_origin(const struct imp_ld_process *p, const struct imp_ld_object *o);

/*
 * imp_ld_process_expand - replace $ORIGIN, $LIB and $PLATFORM
 * @o: whose $ORIGIN; NULL: none
 * Returns NULL where a token has no value, or must not be used (AT_SECURE).
 */
const char *imp_ld_process_expand(const struct imp_ld_process *p, const struct imp_ld_object *o,
				  const char *text);

/* imp_ld_process_dirs - take a list of directories apart; @separators: ":" or ":;" */
struct imp_ld_dirs *imp_ld_process_dirs(struct imp_ld_process *p, const struct imp_ld_object *o,
					const char *list, const char *separators);

/* imp_ld_process_absolute - where a path that the loader uses leads to; NULL: not known */
const char *imp_ld_process_absolute(const struct imp_ld_process *p, const char *path);

#endif
