/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TRACE_RECORD_BUILD_H
#define IMP_TRACE_RECORD_BUILD_H

#include "record.h"
#include "trace_reader.h"

/* What record*.c share while a record is put together; nobody else includes this. */

struct imp_wait { /* IMP_EV_WAIT */
	pid_t pid;
	bool code_known;
	int code, signal;
	uint64_t time_ns;
};

struct imp_builder {
	struct imp_record *r;
	struct imp_trace_reader t;
	struct imp_arena scratch; /* released when the record is complete */
	IMP_VEC(struct imp_wait) waits;
};

struct imp_image_state { /* imp_trace_image.user */
	struct imp_image *image;
	struct imp_image_state *parent; /* of the image that forked it; NULL: none, or not known */
	struct imp_id_map attempts, extensions, dlopens, objects; /* by number */
	struct imp_id_map listings; /* entry of a search path -> its metadata names (struct imp_strings) */
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
bool imp_build_evidence(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev);

/* imp_build_finish - when all was read: order, lineage, ends, what was said once and holds for later */
void imp_build_finish(struct imp_builder *b);

#endif
