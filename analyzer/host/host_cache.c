/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "host_cache.h"

#include <string.h>

void imp_host_cache_init(struct imp_host_cache *cache)
{
	memset(cache, 0, sizeof(*cache));
	cache->paths.arena = &cache->arena;
}

void imp_host_cache_clear(struct imp_host_cache *cache)
{
	imp_interner_clear(&cache->paths);
	imp_arena_clear(&cache->arena);
	memset(cache, 0, sizeof(*cache));
}

struct imp_host_answer *imp_host_cache_get(const struct imp_host *h, const char *path,
					   enum imp_host_question question)
{
	struct imp_host_cache *cache = h->cache;
	struct imp_host_answer *answer;
	const char *key;

	if (!cache)
		return NULL;
	key = imp_intern(&cache->paths, path, strlen(path));
	answer = imp_id_map_get(&cache->answers, (uint64_t)(uintptr_t)key, question);
	if (answer)
		return answer;
	answer = imp_arena_alloc(&cache->arena, sizeof(*answer));
	imp_id_map_put(&cache->arena, &cache->answers, (uint64_t)(uintptr_t)key, question, answer);
	return answer;
}
