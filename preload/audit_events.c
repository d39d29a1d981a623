// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit_events.h"

#include <string.h>

#include "audit_link.h"
#include "recorder.h"

#include "poison.h"

/* Written by the audit object before we are relocated; so it must need no relocation, and be in no RELRO. */
__attribute__((visibility("default"))) struct imp_audit_link *IMP_AUDIT_POINTER;

static void record(struct imp_thread *t, const struct imp_audit_event *event)
{
	struct imp_cbor *c = imp_record_begin(t, event->kind);

	imp_put_path(c, IMP_KEY_TEXT, event->path, strlen(event->path));
	if (event->kind == IMP_EV_SEARCH_PATH)
		imp_put_uint(c, IMP_KEY_FLAGS, event->flag);
	if (event->name_space)
		imp_put_int(c, IMP_KEY_NAMESPACE, event->name_space);
	if (event->requester[0])
		imp_put_path(c, IMP_KEY_REQUESTER, event->requester, strlen(event->requester));
	imp_record_end(t);
}

/*
 * Called from within ld.so, which is in the middle of a change: so the objects are not looked at here, as
 * imp_thread_enter() would. A search of our own (libunwind) is none of the program: then we are entered.
 */
static void take(const struct imp_audit_event *event)
{
	struct imp_thread *t = imp_thread_enter_bare();

	if (!t)
		return;
	record(t, event);
	imp_thread_leave(t);
}

static void ignore(const struct imp_audit_event *event)
{
	(void)event;
}

void imp_audit_events_start(struct imp_thread *t)
{
	struct imp_audit_link *link = IMP_AUDIT_POINTER;
	uint32_t used;

	if (!link)
		return;
	atomic_store_explicit(&link->handler, take, memory_order_release);
	used = atomic_load_explicit(&link->used, memory_order_acquire);
	for (uint32_t at = 0; at < used;) {
		const struct imp_audit_kept *kept = (const void *)(link->kept + at);
		struct imp_audit_event event = {
			.kind = (enum imp_event_kind)kept->kind,
			.flag = kept->flag,
			.name_space = kept->name_space,
			.path = kept->texts,
			.requester = kept->texts + kept->requester,
		};

		record(t, &event);
		at += kept->size;
	}
	imp_record_lost(atomic_load_explicit(&link->lost, memory_order_relaxed));
}

void imp_audit_events_refuse(void)
{
	struct imp_audit_link *link = IMP_AUDIT_POINTER;

	if (link)
		atomic_store_explicit(&link->handler, ignore, memory_order_release);
}
