/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_TRACE_EVENT_H
#define IMP_TRACE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "../../preload/trace_format.h"
#include "../base/id_map.h"
#include "../base/interner.h"
#include "../base/strbuf.h"
#include "cbor_get.h"

struct imp_trace_image;

#define IMP_FIELDS_MAX 96		  /* of one event; what comes behind them is left out */
#define IMP_KEY_LIMIT  128		  /* keys below are found by index; others are unknown */
#define IMP_JOINED_MAX (4 * IMP_TEXT_MAX) /* bytes of a text that is put together */

struct imp_field {
	uint64_t key;
	struct imp_cbor_item value;
};

/* What the items of a batch so far say of those to come: distances are from here (trace_format.h). */
struct imp_batch_state {
	uint64_t time_ns, newest, string;
};

/* One event, taken apart; keys and kinds that are not known are there, too. */
struct imp_event {
	uint64_t kind;		       /* 0: an item that is no event */
	uint64_t time_ns;	       /* CLOCK_MONOTONIC, absolute */
	uint64_t thread;	       /* thread id; of the main thread: the process id */
	struct imp_trace_image *image; /* NULL: the header */
	const uint8_t *raw;	       /* the whole item; borrowed */
	size_t raw_len;
	unsigned int n;
	struct imp_field fields[IMP_FIELDS_MAX];
	uint8_t index[IMP_KEY_LIMIT]; /* by key: 1 + index into @fields; 0: absent */
};

/*
 * imp_event_decode - take the next item apart: KIND, and the fields as they stand
 * @time_ns, @thread and @image are left to the caller. Returns false at the end and where the
 * input is malformed (@in->bad).
 */
bool imp_event_decode(struct imp_event *ev, struct imp_cbor_in *in);

/* imp_batch_state_init - nothing of the batch has been read */
void imp_batch_state_init(struct imp_batch_state *s);

/*
 * imp_event_resolve - after imp_event_decode(): distances become what they stand for
 * LATER becomes TIME_NS, a number an unsigned integer, and a string has its ID. Changes @s for the next item.
 */
void imp_event_resolve(struct imp_event *ev, struct imp_batch_state *s);

static inline const struct imp_cbor_item *imp_event_get(const struct imp_event *ev, enum imp_key key)
{
	unsigned int i = ev->index[key];

	return i ? &ev->fields[i - 1].value : NULL;
}

static inline uint64_t imp_event_uint(const struct imp_event *ev, enum imp_key key,
				      uint64_t otherwise)
{
	const struct imp_cbor_item *item = imp_event_get(ev, key);

	return item && item->type == IMP_CBOR_UINT ? item->number : otherwise;
}

int64_t imp_event_int(const struct imp_event *ev, enum imp_key key, int64_t otherwise);

/* imp_event_lower - a name of trace_format.h as people read it: "import_begin"; returns @buf */
const char *imp_event_lower(const char *name, char *buf, size_t size);
/* imp_event_kind_name, imp_event_key_name - "import_begin"; NULL: not of this version */
const char *imp_event_kind_name(uint64_t kind, char *buf, size_t size);
const char *imp_event_key_name(uint64_t key, char *buf, size_t size);

/* The strings of one image: what IMP_EV_STRING gave, by number. */
struct imp_texts {
	const char **v; /* owned; by id, where the ids count up as the recorder's do; NULL: not there */
	size_t n, cap; /* of @v: ids below @n may be in it */
	size_t defined;
	struct imp_id_map map; /* the other ids -> interned string */
	uint64_t missing;      /* references to a string that is not there */
};

void imp_texts_clear(struct imp_texts *t); /* the strings stay with the arena */

/* imp_texts_has - is there a string of that number? */
bool imp_texts_has(const struct imp_texts *t, uint64_t id);

/* imp_texts_define - IMP_EV_STRING; a number that comes again replaces the older string */
void imp_texts_define(struct imp_texts *t, struct imp_arena *arena, struct imp_interner *strings,
		      uint64_t id, const struct imp_cbor_item *text);

/*
 * Paths that were put together lately. Most names of files come several times: with each process, as the origin
 * of a module and as the file of the frames that it asks from.
 */
struct imp_path_slot {
	const char *dir, *path; /* interned; @path NULL: free */
	uint32_t dir_len, name_len;
};

#define IMP_PATH_SLOTS 16384 /* a power of two */

/* What imp_text_get() works with, beside the strings of the image. */
struct imp_text_maker {
	struct imp_interner strings;
	struct imp_strbuf scratch;
	struct imp_path_slot *paths; /* IMP_PATH_SLOTS of them; NULL: paths are put together each time */
};

/*
 * imp_text_get - a text in any of its three spellings; NULL: it is none
 * A reference to a lost string is "?"; a NUL inside is shown as "\0", two characters.
 */
const char *imp_text_get(struct imp_texts *t, struct imp_text_maker *m,
			 const struct imp_cbor_item *item);

#endif
