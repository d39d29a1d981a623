/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/strbuf.h"

#define MAPS_MAX (64u << 20) /* bytes of the file: a process may have 65,530 mappings by default */
#define DELETED	 " (deleted)"

/* A hexadecimal or decimal number and the character behind it; false where there is none. */
static bool take(const char **at, const char *end, unsigned int base, char behind, uint64_t *value)
{
	const char *from = *at;

	for (*value = 0; *at < end; (*at)++) {
		const char c = **at;
		unsigned int digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned int)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			digit = (unsigned int)(c - 'a') + 10;
		else
			break;
		*value = *value * base + digit;
	}
	return *at > from && *at < end && *(*at)++ == behind;
}

/* "start-end rwxp offset major:minor inode   path" */
static bool parse_line(struct imp_arena *arena, const char *at, const char *end, struct imp_map *m)
{
	uint64_t major, minor;

	memset(m, 0, sizeof(*m));
	m->object = UINT32_MAX;
	if (!take(&at, end, 16, '-', &m->start) || !take(&at, end, 16, ' ', &m->end) ||
	    end - at < 5 || m->end <= m->start)
		return false;
	m->write = at[1] == 'w';
	m->exec = at[2] == 'x';
	m->shared = at[3] == 's';
	at += 5;
	if (!take(&at, end, 16, ' ', &m->offset) || !take(&at, end, 16, ':', &major) ||
	    !take(&at, end, 16, ' ', &minor) || !take(&at, end, 10, ' ', &m->inode))
		return false;
	while (at < end && *at == ' ')
		at++;
	m->path = imp_arena_strndup(arena, at, (size_t)(end - at));
	return true;
}

/* A mapping belongs to the object before it where it is of the same file; its .bss is not needed here. */
static void add_to_object(struct imp_maps *maps, struct imp_map *m)
{
	struct imp_mapped_object *o = maps->objects.n ? &maps->objects.v[maps->objects.n - 1] : NULL;
	const struct imp_map *before = maps->maps.n > 1 ? &maps->maps.v[maps->maps.n - 2] : NULL;
	size_t len;

	if (o && m->offset && before && before->object == maps->objects.n - 1 &&
	    before->inode == m->inode && strcmp(before->path, m->path) == 0) {
		o->end = m->end;
		o->exec |= m->exec;
		m->object = (uint32_t)(maps->objects.n - 1);
		return;
	}
	if (m->offset || !m->path[0] || (m->path[0] == '[' && strcmp(m->path, "[vdso]") != 0))
		return;
	o = imp_vec_push(&maps->arena, &maps->objects);
	o->start = m->start;
	o->end = m->end;
	o->exec = m->exec;
	len = strlen(m->path);
	if (len > sizeof(DELETED) && strcmp(m->path + len + 1 - sizeof(DELETED), DELETED) == 0)
		len -= sizeof(DELETED) - 1;
	o->path = imp_arena_strndup(&maps->arena, m->path, len);
	o->name = strrchr(o->path, '/');
	o->name = o->name ? o->name + 1 : o->path;
	m->object = (uint32_t)(maps->objects.n - 1);
}

void imp_maps_parse(struct imp_maps *maps, const char *text, size_t len)
{
	const char *end = text + len, *next;

	imp_maps_clear(maps);
	for (; text < end; text = next + 1) {
		struct imp_map m;

		next = memchr(text, '\n', (size_t)(end - text));
		if (!next)
			next = end;
		if (!parse_line(&maps->arena, text, next, &m))
			continue;
		*imp_vec_push(&maps->arena, &maps->maps) = m;
		add_to_object(maps, &maps->maps.v[maps->maps.n - 1]);
	}
}

int imp_maps_read(struct imp_maps *maps, pid_t pid, struct imp_error *err)
{
	struct imp_strbuf text = {.limit = MAPS_MAX};
	char path[40], *part;
	const size_t size = 65536;
	ssize_t n;
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return imp_error_set(err, -errno, "%s cannot be read: %s", path, strerror(errno));
	part = malloc(size);
	while (part && (n = read(fd, part, size)) != 0) {
		if (n > 0) {
			imp_strbuf_add(&text, part, (size_t)n);
		} else if (errno != EINTR) {
			ret = imp_error_set(err, -errno, "%s cannot be read: %s", path,
					    strerror(errno));
			break;
		}
	}
	if (!part)
		ret = imp_error_set(err, -ENOMEM, "%s: no memory", path);
	free(part);
	close(fd);
	if (ret == 0)
		imp_maps_parse(maps, text.s ? text.s : "", text.len);
	imp_strbuf_clear(&text);
	return ret;
}

const struct imp_map *imp_maps_find(const struct imp_maps *maps, uint64_t address)
{
	size_t low = 0, high = maps->maps.n;

	while (low < high) {
		const size_t middle = (low + high) / 2;
		const struct imp_map *m = &maps->maps.v[middle];

		if (address < m->start)
			high = middle;
		else if (address >= m->end)
			low = middle + 1;
		else
			return m;
	}
	return NULL;
}

const struct imp_mapped_object *imp_maps_object(const struct imp_maps *maps, uint64_t address)
{
	const struct imp_map *m = imp_maps_find(maps, address);

	return m && m->object != UINT32_MAX ? &maps->objects.v[m->object] : NULL;
}

void imp_maps_clear(struct imp_maps *maps)
{
	imp_arena_clear(&maps->arena);
	memset(maps, 0, sizeof(*maps));
}
