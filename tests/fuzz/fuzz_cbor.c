/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: any bytes as the events of a batch. The decoder must stay inside them, and what a
 * container gave must be entered without a surprise.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "trace/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct imp_cbor_item *item, unsigned int depth)
{
	struct imp_cbor_in in = imp_cbor_enter(item);
	struct imp_cbor_item one;
	uint64_t n = 0;

	if (depth > IMP_DEPTH_MAX && (item->type == IMP_CBOR_ARRAY || item->type == IMP_CBOR_MAP))
		abort();
	while (imp_cbor_get(&in, &one)) {
		walk(&one, depth + 1);
		n++;
	}
	if (in.bad || in.p != in.end)
		abort();
	if ((item->type == IMP_CBOR_ARRAY && n != item->number) ||
	    (item->type == IMP_CBOR_MAP && n != 2 * item->number))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imp_arena arena = {0};
	struct imp_path_slot *paths = calloc(IMP_PATH_SLOTS, sizeof(*paths));
	struct imp_text_maker maker = {.strings = {.arena = &arena}, .paths = paths};
	struct imp_texts texts = {0};
	struct imp_event ev;
	struct imp_cbor_in in;
	unsigned int i;

	imp_cbor_in_init(&in, data, size);
	while (imp_event_decode(&ev, &in)) {
		for (i = 0; i < ev.n; i++) {
			walk(&ev.fields[i].value, 2);
			imp_text_get(&texts, &maker, &ev.fields[i].value);
			imp_texts_define(&texts, &arena, &maker.strings, ev.fields[i].key,
					 &ev.fields[i].value);
		}
	}
	if (in.p > in.end || (!in.bad && in.p != in.end))
		abort();
	imp_texts_clear(&texts);
	imp_strbuf_clear(&maker.scratch);
	imp_interner_clear(&maker.strings);
	free(paths);
	imp_arena_clear(&arena);
	return 0;
}
