/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dump.h"

#include <inttypes.h>
#include <string.h>

#include "escape.h"

/* "    0.012345  4711  import_begin   wave import=17 frame={file=... line=3}" */
#define KIND_WIDTH 14

struct text_sink {
	struct imp_dump_sink sink; /* first */
	FILE *out;
	unsigned int depth;
	bool first; /* nothing stands in this list yet */
	bool after_key;
};

static struct text_sink *of(struct imp_dump_sink *s)
{
	return (struct text_sink *)s;
}

static void separate(struct text_sink *t)
{
	if (!t->first)
		putc_unlocked(' ', t->out);
	t->first = false;
}

static void before_value(struct text_sink *t)
{
	if (t->after_key)
		t->after_key = false;
	else
		separate(t);
}

static void put_key(struct imp_dump_sink *s, const char *name)
{
	struct text_sink *t = of(s);

	separate(t);
	/* The event's main string needs no name. */
	if (t->depth || strcmp(name, "text") != 0) {
		imp_escape_write(t->out, name, strlen(name));
		putc_unlocked('=', t->out);
	}
	t->after_key = true;
}

static void put_string(struct imp_dump_sink *s, const char *text)
{
	struct text_sink *t = of(s);
	/* Quotes where it would not be plain where the value ends. */
	bool quoted = !*text || strpbrk(text, " []{}=\"") != NULL;

	before_value(t);
	if (quoted)
		putc_unlocked('"', t->out);
	imp_escape_write(t->out, text, strlen(text));
	if (quoted)
		putc_unlocked('"', t->out);
}

static void put_number(struct imp_dump_sink *s, uint64_t value, bool address)
{
	before_value(of(s));
	if (address && value)
		fprintf(of(s)->out, "0x%" PRIx64, value);
	else
		fprintf(of(s)->out, "%" PRIu64, value);
}

static void put_negative(struct imp_dump_sink *s, int64_t value)
{
	before_value(of(s));
	fprintf(of(s)->out, "%" PRId64, value);
}

static void put_boolean(struct imp_dump_sink *s, bool value)
{
	before_value(of(s));
	fputs(value ? "true" : "false", of(s)->out);
}

static void put_null(struct imp_dump_sink *s)
{
	before_value(of(s));
	putc_unlocked('-', of(s)->out);
}

static void open_one(struct imp_dump_sink *s, bool object)
{
	struct text_sink *t = of(s);

	before_value(t);
	putc_unlocked(object ? '{' : '[', t->out);
	t->depth++;
	t->first = true;
}

static void close_one(struct imp_dump_sink *s, bool object)
{
	struct text_sink *t = of(s);

	putc_unlocked(object ? '}' : ']', t->out);
	t->depth--;
	t->first = false;
}

void imp_dump_text(FILE *out, const struct imp_dump_context *c, const struct imp_event *ev)
{
	struct text_sink t = {.sink = {put_key, put_string, put_number, put_negative, put_boolean,
				       put_null, open_one, close_one},
			      .out = out};
	uint64_t since = ev->time_ns >= c->start_ns ? ev->time_ns - c->start_ns : 0;
	char kind[40];

	fprintf(out, "%5" PRIu64 ".%06" PRIu64 "  %*d  %-*s", since / 1000000000u,
		since % 1000000000u / 1000u, (int)c->pid_width, (int)imp_dump_pid(c, ev),
		KIND_WIDTH, imp_dump_kind(ev, kind, sizeof(kind)));
	if (imp_event_get(ev, IMP_KEY_THREAD))
		fprintf(out, " thread=%" PRIu64, ev->thread);
	imp_dump_fields(&t.sink, c, ev);
	putc_unlocked('\n', out);
}
