/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_DIAGNOSE_FINDING_H
#define IMP_DIAGNOSE_FINDING_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/arena.h"
#include "../base/id_map.h"
#include "../base/interner.h"
#include "../trace/record.h"

/*
 * What the analyzer says: plain data, with one member for each key of the report (schema
 * imptrace.report/1). diagnose/ fills it, report/ shows it; NULL is the report's null.
 */

enum imp_cause {
#define CAUSE(id, code, phrase) IMP_CAUSE_##id,
#include "causes.def"
#undef CAUSE
	IMP_CAUSE_COUNT
};

/* imp_cause_code, imp_cause_phrase - "abi-tag-mismatch"; "it was built for another Python" */
const char *imp_cause_code(enum imp_cause cause);
const char *imp_cause_phrase(enum imp_cause cause);

enum imp_source { IMP_OBSERVED, IMP_DERIVED }; /* seen in the trace; computed or looked up later */
enum imp_confidence { IMP_CERTAIN, IMP_LIKELY, IMP_POSSIBLE };

struct imp_evidence {
	const char *fact; /* a sentence without a full stop */
	enum imp_source source;
};

struct imp_ruled_out {
	enum imp_cause cause;
	const char *because;
};

struct imp_fix {
	const char *command; /* typed as printed into a POSIX shell; NULL: a person must decide */
	const char *effect;
	enum imp_confidence confidence;
};

struct imp_searched_entry {
	const char *entry, *finder; /* finder NULL: unknown */
	const char *result; /* "absent", "near-miss", "found", "namespace", "unreadable", "missing", ... */
	struct imp_strings candidates; /* names (paths relative to the entry) */
};

struct imp_library_path {
	const char *path, *origin, *result;
};

struct imp_library {
	const char *name, *needed_by;
	enum imp_source source; /* of @searched: seen through rtld-audit, or derived by ld.so's rules */
	IMP_VEC(struct imp_library_path) searched;
	bool not_in_cache; /* ld.so.cache was read, before searched.v[cache_at], and has no such name */
	size_t cache_at;
};

struct imp_native_frame {
	const char *object, *symbol; /* symbol NULL: unknown */
	uint64_t offset;	     /* into the symbol; without one, into the object */
	bool offset_known;
};

struct imp_error_text {
	const char *type, *message; /* type NULL: there is none */
};

struct imp_finding {
	const char *module;
	enum imp_cause cause;
	bool fatal;    /* "outcome" */
	bool optional; /* handled, and nothing is broken: listed with --all only */
	const struct imp_image *image;
	const struct imp_attempt *attempt; /* the root's; NULL: no attempt was recorded */
	uint64_t time_ns;
	const char *summary;
	const char *path;
	struct imp_error_text error, surfaced;
	struct imp_strings affected;	     /* modules whose import failed because of this one */
	IMP_VEC(struct imp_frame) importers; /* outermost first */
	IMP_VEC(struct imp_native_frame) native_stack;
	IMP_VEC(struct imp_searched_entry) searched;
	struct imp_library *library;
	IMP_VEC(struct imp_evidence) evidence;
	IMP_VEC(struct imp_ruled_out) ruled_out;
	IMP_VEC(struct imp_fix) fixes; /* best first */
};

struct imp_loaded { /* a module that was imported well */
	const char *module, *path, *loader;
	const char *entry; /* the path entry that it came from; NULL: unknown */
	pid_t pid;
	struct imp_frame importer; /* who asked first; file NULL: unknown */
};

/* Everything that "imptrace analyze" says about a trace. */
struct imp_diagnosis {
	const struct imp_record *record;
	bool complete;
	struct imp_strings notes;
	IMP_VEC(struct imp_finding *)
	findings;			    /* root first, fatal before handled, optional last */
	IMP_VEC(struct imp_finding *) sent; /* those of them that a worker sent to its parent */
	IMP_VEC(struct imp_loaded) loaded;  /* of the module that was asked for (-m) */
	bool foreign;			    /* recorded on another machine, or in another root */
	struct imp_case_memo *memos;	    /* of the rules: what was looked up on this machine */
	struct imp_interner sentences;	    /* of @notes */
	struct imp_id_map said;
	struct imp_id_map code_places; /* the same: symbols of native stacks (native_stack.c) */
	struct imp_arena arena;
};

/*
 * Builders: the text is formatted into the diagnosis' arena. Names and paths that come from the trace are put in as they
 * are; the reports escape them.
 */
void imp_finding_evidence(struct imp_arena *a, struct imp_finding *f, enum imp_source source,
			  const char *format, ...) __attribute__((format(printf, 4, 5)));
void imp_finding_rule_out(struct imp_arena *a, struct imp_finding *f, enum imp_cause cause,
			  const char *format, ...) __attribute__((format(printf, 4, 5)));
/* @command may be NULL. A fix whose command is there already is not added again. */
void imp_finding_fix(struct imp_arena *a, struct imp_finding *f, enum imp_confidence confidence,
		     const char *command, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

#endif
