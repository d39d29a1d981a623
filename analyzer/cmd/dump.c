/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../report/dump.h"
#include "../trace/trace_reader.h"
#include "say.h"

#define STATUS_ERROR 2

enum { OPT_FORMAT = IMP_OPTION_LONG };

static const struct imp_option options[] = {
	{OPT_FORMAT, "format", "FORMAT",
	 "text or json: one line, or one JSON object, for each event", "text"},
	{0, NULL, NULL, NULL, NULL},
};

/* An event, kept undecoded until all are in order. */
struct kept {
	uint64_t time_ns, order;
	const struct imp_trace_image *image; /* NULL: the header */
	struct imp_texts *texts;
	const uint8_t *raw;
	size_t len;
	struct imp_batch_state before; /* it */
};

struct dump {
	struct imp_arena arena;
	struct imp_strings damage;
	struct imp_trace_reader reader;
	struct imp_event ev;
	IMP_VEC(struct kept) events;
};

static int by_time(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	/* The header is the first, though the first process began before it wrote one. */
	if (!x->image != !y->image)
		return x->image ? 1 : -1;
	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static void keep(struct dump *d)
{
	struct kept *k = imp_vec_push(&d->arena, &d->events);

	k->time_ns = d->ev.time_ns;
	k->order = d->events.n;
	k->image = d->ev.image;
	k->texts = d->ev.image ? d->ev.image->texts : NULL;
	k->raw = (const uint8_t *)imp_arena_strndup(&d->arena, (const char *)d->ev.raw,
						    d->ev.raw_len);
	k->len = d->ev.raw_len;
	k->before = d->reader.before;
}

static size_t pid_width(const struct dump *d)
{
	size_t width = 1, i;
	char text[16];

	for (i = 0; i < d->reader.images.n; i++) {
		size_t n =
			(size_t)snprintf(text, sizeof(text), "%d", (int)d->reader.images.v[i]->pid);

		if (n > width)
			width = n;
	}
	return width;
}

static void print_events(struct dump *d, bool json)
{
	struct imp_dump_context c = {
		.maker = &d->reader.maker,
		.pid_width = pid_width(d),
	};
	struct imp_cbor_in in;
	size_t i;

	if (d->events.n)
		qsort(d->events.v, d->events.n, sizeof(*d->events.v), by_time);
	c.start_ns = UINT64_MAX;
	for (i = 0; i < d->events.n; i++)
		if (d->events.v[i].time_ns < c.start_ns)
			c.start_ns = d->events.v[i].time_ns;
	for (i = 0; i < d->events.n && !ferror(stdout); i++) {
		struct kept *k = &d->events.v[i];

		imp_cbor_in_init(&in, k->raw, k->len);
		if (!imp_event_decode(&d->ev, &in))
			continue; /* it was decoded once: it can't happen */
		if (k->image)
			imp_event_resolve(&d->ev, &k->before);
		c.texts = k->texts;
		c.image_ns = k->image ? k->image->image_ns : 0;
		c.pid = k->image ? k->image->pid : 0;
		d->ev.time_ns = k->time_ns;
		d->ev.thread = imp_event_uint(&d->ev, IMP_KEY_THREAD, (uint64_t)c.pid);
		if (json)
			imp_dump_json(stdout, &c, &d->ev);
		else
			imp_dump_text(stdout, &c, &d->ev);
	}
}

static void print_damage(struct dump *d, const char *name)
{
	size_t i;

	for (i = 0; i < d->damage.n; i++)
		imp_say("imptrace: %s: %s", name, d->damage.v[i]);
	for (i = 0; i < d->reader.images.n; i++)
		if (d->reader.images.v[i]->lost)
			imp_say("imptrace: %s: process %d lost %llu events while it recorded", name,
				(int)d->reader.images.v[i]->pid,
				(unsigned long long)d->reader.images.v[i]->lost);
}

static int dump(const struct imp_command *self, int fd, const char *name, bool json)
{
	struct imp_error err = {0};
	struct dump d;
	int ret;

	memset(&d, 0, sizeof(d));
	ret = imp_trace_open(&d.reader, fd, name, &d.arena, &d.damage, &err);
	while (ret >= 0 && (ret = imp_trace_next(&d.reader, &d.ev, &err)) > 0)
		keep(&d);
	if (ret < 0) {
		imp_say("imptrace: %s", err.msg);
	} else {
		print_events(&d, json);
		imp_trace_finish(&d.reader);
		print_damage(&d, name);
		ret = imp_finish_output(self);
	}
	imp_trace_close(&d.reader);
	imp_arena_clear(&d.arena);
	return ret < 0 ? STATUS_ERROR : 0;
}

static int run(const struct imp_command *self, int argc, char **argv)
{
	static const char *const formats[] = {"text", "json", NULL};
	const char *file = NULL, *name;
	struct imp_arguments a;
	int id, fd, ret, format = 0;

	imp_arguments_begin(&a, self, argc, argv, false);
	while ((id = imp_arguments_next(&a)) != IMP_ARGUMENTS_END) {
		switch (id) {
		case IMP_OPERAND:
			if (file)
				return imp_arguments_wrong(
					self, "one FILE at a time, and '%s' is the second",
					a.operand);
			file = a.operand;
			break;
		case IMP_OPTION_HELP:
			imp_print_help(stdout, self);
			return imp_finish_output(self) < 0 ? STATUS_ERROR : 0;
		case OPT_FORMAT:
			format = imp_choice(a.value, formats);
			if (format < 0)
				return imp_arguments_wrong(
					self, "--format is text or json, not '%s'", a.value);
			break;
		default: return STATUS_ERROR;
		}
	}
	fd = imp_open_trace(file ? file : IMP_TRACE_DEFAULT, &name);
	if (fd < 0)
		return STATUS_ERROR;
	ret = dump(self, fd, name, format == 1);
	if (fd != STDIN_FILENO)
		close(fd);
	return ret;
}

const struct imp_command imp_cmd_dump = {
	.name = "dump",
	.summary = "print every event of a trace",
	.usage = "[FILE] [--format=text|json]",
	.about =
		"Prints every event of a trace, in the order of time over all processes. FILE is trace.zst "
		"where none is given; - is standard input. What is damaged or missing is told on standard "
		"error, and the rest is printed.",
	.options = options,
	.status = "0  the trace was read\n"
		  "2  wrong usage, or the trace cannot be read",
	.usage_status = STATUS_ERROR,
	.run = run,
};
