/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "event.h"

#define NO_TIME UINT64_MAX

void imp_batch_state_init(struct imp_batch_state *s)
{
	s->time_ns = NO_TIME;
	s->newest = 0;
	s->string = 0;
}

static void resolve_number(struct imp_cbor_item *value, struct imp_batch_state *s)
{
	if (value->type == IMP_CBOR_NEGATIVE && value->number <= s->newest) {
		value->type = IMP_CBOR_UINT;
		value->number = s->newest + 1 - value->number;
	}
	if (value->type == IMP_CBOR_UINT && value->number > s->newest && value->number < UINT64_MAX)
		s->newest = value->number;
}

/* What comes of damaged input has a time, too: some time. */
static void resolve_time(struct imp_event *ev, struct imp_field *f, const struct imp_batch_state *s)
{
	uint64_t steps = f->value.number;

	if (f->value.type == IMP_CBOR_NEGATIVE)
		steps = ~steps;
	else if (f->value.type != IMP_CBOR_UINT)
		return;
	ev->index[IMP_KEY_TIME_NS] = ev->index[IMP_KEY_LATER];
	ev->index[IMP_KEY_LATER] = 0;
	f->key = IMP_KEY_TIME_NS;
	f->value.type = IMP_CBOR_UINT;
	f->value.number = (s->time_ns == NO_TIME ? 0 : s->time_ns) + steps * IMP_TIME_STEP_NS;
}

static void resolve_string(struct imp_event *ev, struct imp_batch_state *s)
{
	if (!ev->index[IMP_KEY_ID] && s->string && ev->n < IMP_FIELDS_MAX) {
		ev->fields[ev->n].key = IMP_KEY_ID;
		ev->fields[ev->n].value =
			(struct imp_cbor_item){.type = IMP_CBOR_UINT, .number = s->string + 1};
		ev->index[IMP_KEY_ID] = (uint8_t)++ev->n;
	}
	s->string = imp_event_uint(ev, IMP_KEY_ID, 0);
}

void imp_event_resolve(struct imp_event *ev, struct imp_batch_state *s)
{
	unsigned int i;

	if (ev->kind == IMP_EV_STRING) {
		resolve_string(ev, s);
		return;
	}
	if (ev->index[IMP_KEY_LATER] && !ev->index[IMP_KEY_TIME_NS])
		resolve_time(ev, &ev->fields[ev->index[IMP_KEY_LATER] - 1], s);
	s->time_ns = imp_event_uint(ev, IMP_KEY_TIME_NS, s->time_ns);
	/* In the order in which they stand: each may be the next one's greatest. */
	for (i = 0; i < ev->n; i++)
		if (ev->fields[i].key == IMP_KEY_CALL || ev->fields[i].key == IMP_KEY_IMPORT ||
		    ev->fields[i].key == IMP_KEY_PARENT)
			resolve_number(&ev->fields[i].value, s);
}
