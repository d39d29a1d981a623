/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_LOADER_TEXT_H
#define IMP_DIAGNOSE_LOADER_TEXT_H

#include <stdbool.h>

#include "../base/arena.h"

/* What ld.so complains of, told by the text of dlerror(). */
enum imp_loader_complaint {
	IMP_LOADER_OTHER = 0,
	IMP_LOADER_OPEN,      /* "cannot open shared object file" */
	IMP_LOADER_SYMBOL,    /* "undefined symbol: S" */
	IMP_LOADER_VERSION,   /* "version `V' not found (required by F)" */
	IMP_LOADER_MACHINE,   /* "wrong ELF class: ELFCLASS32" */
	IMP_LOADER_FILE,      /* "file too short" and all that says that it is no good ELF file */
	IMP_LOADER_PAGE,      /* "ELF load command alignment not page-aligned" */
	IMP_LOADER_TLS,	      /* "cannot allocate memory in static TLS block" */
	IMP_LOADER_STACK,     /* "cannot enable executable stack as shared object requires" */
	IMP_LOADER_MAP,	      /* "failed to map segment from shared object" */
	IMP_LOADER_PROTECT,   /* "cannot change memory protections" */
	IMP_LOADER_PROCESSOR, /* "CPU ISA level is lower than required" */
	IMP_LOADER_MEMORY, /* "cannot allocate memory", "cannot create shared object descriptor" */
};

struct imp_loader_text {
	enum imp_loader_complaint complaint;
	const char *object;	 /* the file or soname that stands in front; NULL: none */
	const char *message;	 /* the complaint itself, from where it begins */
	const char *reason;	 /* strerror() behind it; NULL: none */
	const char *symbol;	 /* IMP_LOADER_SYMBOL */
	const char *version;	 /* of the symbol; or that is missing; NULL: none */
	const char *required_by; /* IMP_LOADER_VERSION */
};

/*
 * imp_loader_text_parse - take one text of dlerror() apart
 * Returns false (and IMP_LOADER_OTHER) where it is none that is known. A path may hold anything, also
 * what looks like a message: the last one in the text counts.
 * Source: glibc elf/dl-load.c, dl-lookup.c, dl-version.c, dl-reloc.c, dl-tls.c, sysdeps/x86/dl-prop.h, dl-exception.c.
 */
bool imp_loader_text_parse(struct imp_loader_text *t, struct imp_arena *a, const char *text);

#endif
