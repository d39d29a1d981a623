/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "near_names.h"

#include <string.h>

#include "poison.h"

void imp_near_names_init(struct imp_near_names *n, const char *tail, size_t tail_len, char *buf,
			 size_t size)
{
	n->tail = tail;
	n->tail_len = tail_len;
	n->buf = buf;
	n->size = size;
	n->used = 0;
	n->count = 0;
	n->cut = false;
}

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool imp_near_names_match(const struct imp_near_names *n, const char *name, size_t len)
{
	size_t i;

	if (!n->tail_len || len < n->tail_len)
		return false;
	for (i = 0; i < n->tail_len; i++)
		if (lower(name[i]) != lower(n->tail[i]))
			return false;
	return len == n->tail_len || name[n->tail_len] == '.' || name[n->tail_len] == '-';
}

void imp_near_names_add(struct imp_near_names *n, const char *name, size_t len,
			enum imp_in_cache in_cache)
{
	size_t i;

	for (i = 0; i < n->count; i++)
		if (n->names[i].len == len && !memcmp(n->buf + n->names[i].start, name, len))
			return;
	if (n->count >= IMP_NEAR_NAMES_MAX || len >= n->size - n->used) {
		n->cut = true;
		return;
	}
	n->names[n->count].start = (uint16_t)n->used;
	n->names[n->count].len = (uint16_t)len;
	n->names[n->count].in_cache = (uint8_t)in_cache;
	n->count++;
	memcpy(n->buf + n->used, name, len);
	n->buf[n->used + len] = '\0';
	n->used += len + 1;
}

static bool ends_with(const char *name, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len > end_len && !memcmp(name + len - end_len, end, end_len);
}

bool imp_near_names_is_metadata(const char *name, size_t len)
{
	static const char editable[] = "__editable__";

	return ends_with(name, len, ".dist-info") || ends_with(name, len, ".egg-info") ||
	       ends_with(name, len, ".egg-link") || ends_with(name, len, ".pth") ||
	       (len >= sizeof(editable) - 1 && !memcmp(name, editable, sizeof(editable) - 1));
}
