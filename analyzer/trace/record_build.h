/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TRACE_RECORD_BUILD_H
#define IMP_TRACE_RECORD_BUILD_H

#include "record.h"
#include "trace_reader.h"

/* What record*.c share while a record is put together; nobody else includes this. */

struct imp_wait {			  /* IMP_EV_WAIT */
	const struct imp_trace_image *by; /* who waited: a parent in the record, or "imptrace run" */
	pid_t pid;
	bool code_known;
	int code, signal;
	uint64_t time_ns;
};

#define IMP_SEARCHED_MANY 64
#define IMP_SHARED_SLOTS  16384 /* a power of two */

struct imp_builder {
	struct imp_record *r;
	struct imp_trace_reader t;
	struct imp_arena scratch; /* released when the record is complete */
	IMP_VEC(struct imp_wait) waits;
	struct imp_interner shared; /* what many attempts have in common, by its bytes */
	/* The same, as it was shared lately: by the file and line of who asked, by the file of what was imported. */
	const struct imp_frame *frames[IMP_SHARED_SLOTS];
	const struct imp_outcome *outcomes[IMP_SHARED_SLOTS];
	struct imp_searched
		searched[IMP_SEARCHED_MANY]; /* room to put one list together; longer ones move to the arena */
};

struct imp_attempt_block { /* of one image's attempts, in the order of the file */
	struct imp_attempt_block *next;
	size_t n, size;
	struct imp_attempt v[];
};

struct imp_loader_thread {		   /* where a thread is in the dynamic loader */
	struct imp_dlopen *call;	   /* the innermost that is under way; NULL: none */
	struct imp_ld_lookup_seen *lookup; /* that has opened nothing yet; NULL: none */
};

/*
 * What is under way, by number: a few at a time, the last one ends first. Those that failed are still referred to and
 * stay, as do the oldest where there are many.
 */
#define IMP_OPEN_MAX 16

struct imp_open {
	struct imp_open_few {
		uint64_t id[IMP_OPEN_MAX];
		void *v[IMP_OPEN_MAX];
	} * few; /* NULL: none so far */
	size_t n;
	struct imp_id_map rest;
};

void imp_open_put(struct imp_builder *b, struct imp_open *o, uint64_t id, void *value);
void *imp_open_get(const struct imp_open *o, uint64_t id);
/* imp_open_end - it will not be asked for again; @keep: it may be */
void imp_open_end(struct imp_builder *b, struct imp_open *o, uint64_t id, bool keep);

struct imp_image_state { /* imp_trace_image.user */
	struct imp_image *image;
	struct imp_image_state *parent; /* of the image that forked it; NULL: none, or not known */
	struct imp_open attempts, extensions, dlopens;
	struct imp_id_map objects; /* by number, where that is not its place in the list */
	struct imp_attempt_block *first, *last; /* all attempts */
	size_t n_attempts;
	struct imp_id_map listings; /* entry of a search path -> its metadata names (struct imp_strings) */
	struct imp_id_map threads; /* tid -> struct imp_loader_thread */
};

/* An item that may be absent: NULL and what is of another type give NULL, an empty list, or false. */
const char *imp_build_text(struct imp_builder *b, const struct imp_event *ev, enum imp_key key);
const char *imp_build_item_text(struct imp_builder *b, const struct imp_event *ev,
				const struct imp_cbor_item *item);
void imp_build_texts(struct imp_builder *b, const struct imp_event *ev,
		     const struct imp_cbor_item *item, struct imp_strings *out);
void imp_build_frame(struct imp_builder *b, const struct imp_event *ev,
		     const struct imp_cbor_item *item, struct imp_frame *out);
struct imp_exception *imp_build_exception(struct imp_builder *b, const struct imp_event *ev,
					  const struct imp_cbor_item *item);
void imp_build_stat(const struct imp_cbor_item *item, struct imp_stat *out);
struct imp_snapshot *imp_build_snapshot(struct imp_builder *b, struct imp_image_state *s,
					const struct imp_event *ev);

/* The fields of a map within an event, by their small numbers. */
#define IMP_SMALL_MAP_KEYS 16
struct imp_small_map {
	struct imp_cbor_item v[IMP_SMALL_MAP_KEYS];
	bool present[IMP_SMALL_MAP_KEYS];
};
void imp_build_map(struct imp_small_map *m, const struct imp_cbor_item *item);
const struct imp_cbor_item *imp_build_map_get(const struct imp_small_map *m, unsigned int key);
uint64_t imp_build_map_uint(const struct imp_small_map *m, unsigned int key, uint64_t otherwise);

/* imp_build_native, imp_build_python, imp_build_evidence - put one event where it belongs; false: of another kind */
bool imp_build_native(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev);
bool imp_build_python(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev);
bool imp_build_evidence(struct imp_builder *b, struct imp_image_state *s,
			const struct imp_event *ev);

/* imp_build_loader_thread - of the thread that an event comes from */
struct imp_loader_thread *imp_build_loader_thread(struct imp_builder *b, struct imp_image_state *s,
						  const struct imp_event *ev);
/* imp_build_search - the events of rtld-audit */
bool imp_build_search(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev);

/*
 * imp_build_kernel - the events of the kernel's probes
 * imp_build_join_kernel - give them to the images that the preload recorded (r->images is sorted)
 * imp_build_kernel_lookups - what ld.so was seen to try, as rtld-audit would have told it
 */
bool imp_build_kernel(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev);
void imp_build_join_kernel(struct imp_builder *b);
void imp_build_kernel_lookups(struct imp_builder *b, struct imp_image *image);

/* imp_build_finish - when all was read: order, lineage, ends, what was said once and holds for later */
void imp_build_finish(struct imp_builder *b);

#endif
