/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_modules.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX   (4u << 20) /* bytes of names and files */
#define ROOM_FIRST 1024

/* FNV-1a */
static uint32_t hash_of(const char *name, size_t len)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	return hash;
}

/* The place of that name, or the free one where it belongs; there is always one that is free. */
static uint32_t *place_of(const struct imp_probe_modules *m, const char *name, size_t len)
{
	size_t i = hash_of(name, len) & (m->room - 1);

	for (; m->places[i]; i = (i + 1) & (m->room - 1)) {
		const char *at = m->text.s + m->places[i] - 1;

		if (!strncmp(at, name, len) && !at[len])
			break;
	}
	return &m->places[i];
}

/* At most half of the places are taken. Returns false where there is no memory. */
static bool make_room(struct imp_probe_modules *m)
{
	struct imp_probe_modules grown = {.text = m->text,
					  .room = m->room ? 2 * m->room : ROOM_FIRST};

	if (m->room && 2 * (m->n + 1) <= m->room)
		return true;
	grown.places = calloc(grown.room, sizeof(*grown.places));
	if (!grown.places)
		return false;
	for (size_t i = 0; i < m->room; i++) {
		const char *name = m->places[i] ? m->text.s + m->places[i] - 1 : NULL;

		if (name)
			*place_of(&grown, name, strlen(name)) = m->places[i];
	}
	free(m->places);
	m->places = grown.places;
	m->room = grown.room;
	return true;
}

void imp_probe_modules_add(struct imp_probe_modules *m, const char *name, size_t len,
			   const char *file)
{
	uint32_t *place;

	if (m->text.len > TEXT_MAX || !make_room(m))
		return;
	place = place_of(m, name, len);
	if (*place)
		return;
	*place = (uint32_t)m->text.len + 1;
	m->n++;
	imp_strbuf_add(&m->text, name, len);
	imp_strbuf_add(&m->text, "", 1);
	imp_strbuf_add(&m->text, file ? file : "", file ? strlen(file) + 1 : 1);
}

const char *imp_probe_modules_file(const struct imp_probe_modules *m, const char *name, size_t len)
{
	const uint32_t *place = m->room ? place_of(m, name, len) : NULL;

	return place && *place ? m->text.s + *place - 1 + len + 1 : NULL;
}

void imp_probe_modules_copy(struct imp_probe_modules *to, const struct imp_probe_modules *from)
{
	if (!from->room)
		return;
	to->places = malloc(from->room * sizeof(*to->places));
	if (!to->places)
		return;
	memcpy(to->places, from->places, from->room * sizeof(*to->places));
	imp_strbuf_add(&to->text, from->text.s, from->text.len);
	to->n = from->n;
	to->room = from->room;
}

void imp_probe_modules_clear(struct imp_probe_modules *m)
{
	imp_strbuf_clear(&m->text);
	free(m->places);
	memset(m, 0, sizeof(*m));
}
