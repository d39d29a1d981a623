/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In the recorder's stead: events are kept as lists of keys and values. Included by one test program each. */
#ifndef DL_EVENTS_H
#define DL_EVENTS_H

#include <string.h>

#include "preload/recorder.h"

#define EVENTS_MAX 8192

static struct event {
	enum imp_event_kind kind;
	uint64_t has; /* bit per key */
	uint64_t uint[64];
	char text[256];
	char error[64];
} events[EVENTS_MAX], *current;
static unsigned int event_count;

struct imp_options imp_options;

struct imp_cbor *imp_record_begin(struct imp_thread *t, enum imp_event_kind kind)
{
	current = &events[event_count];
	memset(current, 0, sizeof(*current));
	current->kind = kind;
	return &t->cbor;
}

void imp_record_end(struct imp_thread *t)
{
	(void)t;
	if (event_count < EVENTS_MAX - 1)
		event_count++;
}

void imp_put_uint(struct imp_cbor *c, unsigned int key, uint64_t value)
{
	(void)c;
	current->has |= UINT64_C(1) << key;
	current->uint[key] = value;
}

void imp_put_int(struct imp_cbor *c, unsigned int key, int64_t value)
{
	imp_put_uint(c, key, (uint64_t)value);
}

void imp_put_bytes(struct imp_cbor *c, unsigned int key, const void *data, size_t len)
{
	(void)data;
	imp_put_uint(c, key, len);
}

void imp_put_text(struct imp_cbor *c, unsigned int key, const char *text, size_t len)
{
	char *to = key == IMP_KEY_ERROR ? current->error : current->text;
	const size_t room = key == IMP_KEY_ERROR ? sizeof(current->error) : sizeof(current->text);

	imp_put_uint(c, key, len);
	len = len < room - 1 ? len : room - 1;
	memcpy(to, text, len);
	to[len] = '\0';
}

void imp_put_shared(struct imp_cbor *c, unsigned int key, const char *text, size_t len)
{
	/* The version stands beside the name. */
	if (key == IMP_KEY_SYMVER)
		imp_put_uint(c, key, len);
	else
		imp_put_text(c, key, text, len);
}

void imp_put_path(struct imp_cbor *c, unsigned int key, const char *text, size_t len)
{
	imp_put_text(c, key, text, len);
}

static inline unsigned int count_of(enum imp_event_kind kind, const char *part)
{
	unsigned int i, count = 0;

	for (i = 0; i < event_count; i++)
		count += events[i].kind == kind && strstr(events[i].text, part);
	return count;
}

#endif
