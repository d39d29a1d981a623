/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dump.h"

#include "json_writer.h"

struct json_sink {
	struct imp_dump_sink sink; /* first */
	struct imp_json json;
};

static struct imp_json *json_of(struct imp_dump_sink *s)
{
	return &((struct json_sink *)s)->json;
}

static void put_key(struct imp_dump_sink *s, const char *name)
{
	imp_json_key(json_of(s), name);
}

static void put_string(struct imp_dump_sink *s, const char *text)
{
	imp_json_string(json_of(s), text);
}

static void put_number(struct imp_dump_sink *s, uint64_t value, bool address)
{
	(void)address;
	imp_json_uint(json_of(s), value);
}

static void put_negative(struct imp_dump_sink *s, int64_t value)
{
	imp_json_int(json_of(s), value);
}

static void put_boolean(struct imp_dump_sink *s, bool value)
{
	imp_json_bool(json_of(s), value);
}

static void put_null(struct imp_dump_sink *s)
{
	imp_json_null(json_of(s));
}

static void open_one(struct imp_dump_sink *s, bool object)
{
	if (object)
		imp_json_object_begin(json_of(s));
	else
		imp_json_array_begin(json_of(s));
}

static void close_one(struct imp_dump_sink *s, bool object)
{
	if (object)
		imp_json_object_end(json_of(s));
	else
		imp_json_array_end(json_of(s));
}

void imp_dump_json(FILE *out, const struct imp_dump_context *c, const struct imp_event *ev)
{
	struct json_sink s = {.sink = {put_key, put_string, put_number, put_negative, put_boolean,
				       put_null, open_one, close_one}};
	char kind[40];

	imp_json_begin(&s.json, out, false);
	imp_json_object_begin(&s.json);
	imp_json_put_uint(&s.json, "time_ns", ev->time_ns);
	imp_json_put_int(&s.json, "pid", imp_dump_pid(c, ev));
	if (imp_event_get(ev, IMP_KEY_THREAD))
		imp_json_put_uint(&s.json, "thread", ev->thread);
	imp_json_put_string(&s.json, "kind", imp_dump_kind(ev, kind, sizeof(kind)));
	imp_dump_fields(&s.sink, c, ev);
	imp_json_object_end(&s.json);
	imp_json_end(&s.json);
}
