/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dump.h"

#include <inttypes.h>
#include <limits.h>
#include <link.h> /* LA_SER_* */
#include <string.h>

/* One walk: the sink, and where strings come from. */
struct walk {
	struct imp_dump_sink *sink;
	const struct imp_dump_context *c;
	uint64_t kind;
};

/*
 * How the parts of a list or a map are shown. Letters: t text, u number, a address, i number with a
 * sign, x bytes in hexadecimal, h how many bytes they are, r search result, p state of a path, T list
 * of texts, F frame, S stat, E exception, C candidates, l symbolic link, d directory, b chunk of a file,
 * A place in code.
 */
struct part {
	unsigned int number; /* its key in a map, its place in a list */
	char shape;	     /* 0: as @type says */
	const char *name;
	const char *type;
};

static const struct part frame_parts[] = {{0, 't', "file", NULL},
					  {1, 'u', "line", NULL},
					  {2, 't', "function", NULL},
					  {3, 't', "module", NULL},
					  {0, 0, NULL, NULL}};
static const struct part searched_parts[] = {{0, 't', "entry", NULL},
					     {1, 't', "finder", NULL},
					     {2, 'r', "result", NULL},
					     {0, 0, NULL, NULL}};
static const struct part claim_parts[] = {{0, 't', "metadata", NULL},
					  {1, 't', "record", NULL},
					  {2, 't', "wheel_tag", NULL},
					  {0, 0, NULL, NULL}};
static const struct part stat_parts[] = {{0, 'u', "mode", NULL},     {1, 'u', "uid", NULL},
					 {2, 'u', "gid", NULL},	     {3, 'u', "size", NULL},
					 {4, 'i', "mtime_ns", NULL}, {0, 0, NULL, NULL}};
static const struct part link_parts[] = {
	{0, 't', "path", NULL}, {1, 't', "target", NULL}, {0, 0, NULL, NULL}};
static const struct part directory_parts[] = {{0, 't', "path", NULL},
					      {1, 'u', "mode", NULL},
					      {2, 'u', "uid", NULL},
					      {3, 'u', "gid", NULL},
					      {0, 0, NULL, NULL}};
static const struct part mount_parts[] = {
	{0, 'u', "flags", NULL}, {1, 'u', "fs_type", NULL}, {0, 0, NULL, NULL}};
static const struct part chunk_parts[] = {
	{0, 'u', "offset", NULL}, {1, 'h', "size", NULL}, {0, 0, NULL, NULL}};
static const struct part code_parts[] = {
	{0, 'u', "object", NULL}, {1, 'a', "offset", NULL}, {0, 0, NULL, NULL}};
static const struct part ids_parts[] = {{0, 'u', "uid", NULL},
					{1, 'u', "euid", NULL},
					{2, 'u', "gid", NULL},
					{3, 'u', "egid", NULL},
					{0, 0, NULL, NULL}};
static const struct part host_parts[] = {{0, 't', "boot_id", NULL},
					 {1, 'u', "root_dev", NULL},
					 {2, 'u', "root_ino", NULL},
					 {0, 0, NULL, NULL}};
static const struct part machine_parts[] = {
	{0, 't', "machine", NULL}, {1, 't', "release", NULL}, {0, 0, NULL, NULL}};
/* Those of the format's own maps; what shape_of() does not know by name it knows by type. */
#define X(name, number, type, about) {number, 0, #name, type},
static const struct part exception_parts[] = {IMP_EXC_KEYS(X){0, 0, NULL, NULL}};
static const struct part entry_parts[] = {IMP_ENTRY_KEYS(X){0, 0, NULL, NULL}};
static const struct part candidate_parts[] = {IMP_CAND_KEYS(X){0, 0, NULL, NULL}};
#undef X

static char shape_of(const struct part *p)
{
	static const struct part special[] = {
		{0, 'S', "STAT", NULL},	   {0, 'C', "CANDIDATES", NULL}, {0, 'F', "WHERE", NULL},
		{0, 'M', "MEMBERS", NULL}, {0, 'p', "STATE", NULL},	 {0, 'a', "ID", NULL},
		{0, 't', NULL, "text"},	   {0, 'T', NULL, "texts"},	 {0, 'E', NULL, "map"},
	};
	size_t i;

	if (p->shape)
		return p->shape;
	for (i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (special[i].name ? !strcmp(special[i].name, p->name) :
				      !strcmp(special[i].type, p->type))
			return special[i].shape;
	return '?';
}

static void show(struct walk *w, const struct imp_cbor_item *item, char shape);

static void show_word(struct walk *w, const struct imp_cbor_item *item, const char *const *words,
		      uint64_t first, uint64_t last)
{
	if (item->type == IMP_CBOR_UINT && item->number >= first && item->number <= last)
		w->sink->string(w->sink, words[item->number - first]);
	else
		show(w, item, '?');
}

/* Whatever it is, by its own type: what this version does not know, or did not expect there. */
static void show_any(struct walk *w, const struct imp_cbor_item *item)
{
	struct imp_dump_sink *sink = w->sink;
	struct imp_cbor_item one;
	struct imp_cbor_in in;
	char name[32];
	int64_t number;

	switch (item->type) {
	case IMP_CBOR_UINT: sink->number(sink, item->number, false); return;
	case IMP_CBOR_NEGATIVE:
		if (imp_cbor_to_int(item, &number))
			sink->negative(sink, number);
		else
			sink->null(sink);
		return;
	case IMP_CBOR_BYTES:
	case IMP_CBOR_TEXT: show(w, item, 't'); return;
	case IMP_CBOR_BOOL: sink->boolean(sink, item->number != 0); return;
	case IMP_CBOR_ARRAY:
		sink->open(sink, false);
		in = imp_cbor_enter(item);
		while (imp_cbor_get(&in, &one))
			show_any(w, &one);
		sink->close(sink, false);
		return;
	case IMP_CBOR_MAP:
		sink->open(sink, true);
		in = imp_cbor_enter(item);
		while (imp_cbor_get(&in, &one)) {
			snprintf(name, sizeof(name), "key_%" PRIu64, one.number);
			sink->key(sink, one.type == IMP_CBOR_UINT ? name : "key");
			if (!imp_cbor_get(&in, &one))
				sink->null(sink);
			else
				show_any(w, &one);
		}
		sink->close(sink, true);
		return;
	default: sink->null(sink);
	}
}

static void show_text(struct walk *w, const struct imp_cbor_item *item)
{
	struct imp_texts none = {0};
	const char *s = imp_text_get(w->c->texts ? w->c->texts : &none, w->c->maker, item);

	if (s)
		w->sink->string(w->sink, s);
	else
		show_any(w, item);
}

static void show_hex(struct walk *w, const struct imp_cbor_item *item)
{
	char text[2 * 64 + 1];
	size_t i;

	if (item->type != IMP_CBOR_BYTES || item->len > 64) {
		show_any(w, item);
		return;
	}
	for (i = 0; i < item->len; i++)
		snprintf(text + 2 * i, 3, "%02x", item->data[i]);
	text[2 * item->len] = '\0';
	w->sink->string(w->sink, text);
}

static void show_list(struct walk *w, const struct imp_cbor_item *item, char shape)
{
	struct imp_cbor_item one;
	struct imp_cbor_in in;

	if (item->type != IMP_CBOR_ARRAY) {
		show_any(w, item);
		return;
	}
	w->sink->open(w->sink, false);
	in = imp_cbor_enter(item);
	while (imp_cbor_get(&in, &one))
		show(w, &one, shape);
	w->sink->close(w->sink, false);
}

/* A list of fixed places, or a map with small numbers: an object with names. */
static void show_parts(struct walk *w, const struct imp_cbor_item *item, const struct part *parts)
{
	bool is_map = item->type == IMP_CBOR_MAP;
	struct imp_cbor_item key, value;
	const struct part *p;
	struct imp_cbor_in in;
	uint64_t number = 0;
	char name[32];

	if (!is_map && item->type != IMP_CBOR_ARRAY) {
		show_any(w, item);
		return;
	}
	w->sink->open(w->sink, true);
	in = imp_cbor_enter(item);
	for (;; number++) {
		if (is_map && (!imp_cbor_get(&in, &key) || key.type != IMP_CBOR_UINT))
			break;
		if (is_map)
			number = key.number;
		if (!imp_cbor_get(&in, &value))
			break;
		for (p = parts; p->name && p->number != number; p++)
			;
		if (p->name)
			imp_event_lower(p->name, name, sizeof(name));
		else
			snprintf(name, sizeof(name), "key_%" PRIu64, number);
		w->sink->key(w->sink, name);
		show(w, &value, p->name ? shape_of(p) : '?');
	}
	w->sink->close(w->sink, true);
}

/* sys.flags: text -> number */
static void show_flags(struct walk *w, const struct imp_cbor_item *item)
{
	struct imp_texts none = {0};
	struct imp_cbor_item key, value;
	struct imp_cbor_in in;
	const char *name;

	w->sink->open(w->sink, true);
	in = imp_cbor_enter(item);
	while (imp_cbor_get(&in, &key) && imp_cbor_get(&in, &value)) {
		name = imp_text_get(w->c->texts ? w->c->texts : &none, w->c->maker, &key);
		w->sink->key(w->sink, name ? name : "?");
		show(w, &value, 'i');
	}
	w->sink->close(w->sink, true);
}

static void show(struct walk *w, const struct imp_cbor_item *item, char shape)
{
	static const char *const results[] = {"absent", "found", "namespace", "error"};
	static const char *const states[] = {"directory", "file", "absent", "unreadable", "other"};

	switch (shape) {
	case 't': show_text(w, item); return;
	case 'a':
		if (item->type == IMP_CBOR_UINT)
			w->sink->number(w->sink, item->number, true);
		else
			show_any(w, item);
		return;
	case 'x': show_hex(w, item); return;
	case 'h':
		if (item->type == IMP_CBOR_BYTES)
			w->sink->number(w->sink, item->len, false);
		else
			show_any(w, item);
		return;
	case 'l': show_parts(w, item, link_parts); return;
	case 'd': show_parts(w, item, directory_parts); return;
	case 'b': show_parts(w, item, chunk_parts); return;
	case 'A': show_parts(w, item, code_parts); return;
	case 'r': show_word(w, item, results, IMP_SEARCH_ABSENT, IMP_SEARCH_ERROR); return;
	case 'p': show_word(w, item, states, IMP_PATH_DIRECTORY, IMP_PATH_OTHER); return;
	case 'T': show_list(w, item, 't'); return;
	case 'F': show_parts(w, item, frame_parts); return;
	case 'S': show_parts(w, item, stat_parts); return;
	case 'E': show_parts(w, item, exception_parts); return;
	case 'M': show_list(w, item, 'E'); return;
	case 'C': show_list(w, item, 'c'); return;
	case 'c': show_parts(w, item, candidate_parts); return;
	case 'n': show_parts(w, item, entry_parts); return;
	case 's': show_parts(w, item, searched_parts); return;
	case 'k': show_parts(w, item, claim_parts); return;
	default: show_any(w, item); return;
	}
}

static void show_how(struct walk *w, const struct imp_cbor_item *item)
{
	static const char *const starts[] = {"first", "exec", "fork", "attach"};
	static const char *const ends[] = {"exit", "fast_exit", "detached"};
	static const char *const uncaught[] = {"main", "thread"};

	if (w->kind == IMP_EV_PROCESS)
		show_word(w, item, starts, IMP_START_FIRST, IMP_START_ATTACH);
	else if (w->kind == IMP_EV_PROCESS_END)
		show_word(w, item, ends, IMP_END_EXIT, IMP_END_DETACHED);
	else if (w->kind == IMP_EV_UNCAUGHT)
		show_word(w, item, uncaught, IMP_UNCAUGHT_MAIN, IMP_UNCAUGHT_THREAD);
	else
		show_any(w, item);
}

static void show_note(struct walk *w, const struct imp_cbor_item *item)
{
	char name[32];

	switch (item->type == IMP_CBOR_UINT ? item->number : 0) {
#define X(name_, number, about) \
	case number: w->sink->string(w->sink, imp_event_lower(#name_, name, sizeof(name))); return;
		IMP_NOTES(X)
#undef X
	default: show_any(w, item);
	}
}

/* LA_SER_* of rtld-audit, as the report's "origin" calls it; RPATH and RUNPATH are one there. */
static void show_search_flag(struct walk *w, const struct imp_cbor_item *item)
{
	switch (item->type == IMP_CBOR_UINT ? item->number : 0) {
	case LA_SER_ORIG: w->sink->string(w->sink, "name"); return;
	case LA_SER_LIBPATH: w->sink->string(w->sink, "ld_library_path"); return;
	case LA_SER_RUNPATH: w->sink->string(w->sink, "runpath"); return;
	case LA_SER_CONFIG: w->sink->string(w->sink, "cache"); return;
	case LA_SER_DEFAULT: w->sink->string(w->sink, "default"); return;
	case LA_SER_SECURE: w->sink->string(w->sink, "secure"); return;
	default: show_any(w, item);
	}
}

static void show_field(struct walk *w, uint64_t key, const struct imp_cbor_item *item)
{
	static const char *const phases[] = {"start", "site", "run", "attach"};
	static const char *const steps[] = {"create", "exec"};
	static const char *const modules[] = {"absent", "none", "present"};
	static const char types[][8] = {
#define X(name, number, type, about) [number] = type,
		IMP_KEYS(X)
#undef X
	};

	switch (key) {
	case IMP_KEY_HOW: show_how(w, item); return;
	case IMP_KEY_NOTE: show_note(w, item); return;
	case IMP_KEY_PHASE: show_word(w, item, phases, IMP_PHASE_START, IMP_PHASE_ATTACH); return;
	case IMP_KEY_STEP: show_word(w, item, steps, IMP_STEP_CREATE, IMP_STEP_EXEC); return;
	case IMP_KEY_SYS_MODULES:
		show_word(w, item, modules, IMP_MODULE_ABSENT, IMP_MODULE_PRESENT);
		return;
	case IMP_KEY_MAGIC: show(w, item, 't'); return;
	case IMP_KEY_RUN_ID:
	case IMP_KEY_BUILD_ID: show(w, item, 'x'); return;
	case IMP_KEY_ADDRESS:
	case IMP_KEY_HANDLE:
	case IMP_KEY_OFFSET: show(w, item, 'a'); return;
	case IMP_KEY_VERSION: show(w, item, item->type == IMP_CBOR_ARRAY ? '?' : 't'); return;
	case IMP_KEY_IDS: show_parts(w, item, ids_parts); return;
	case IMP_KEY_MACHINE: show_parts(w, item, machine_parts); return;
	case IMP_KEY_HOST: show_parts(w, item, host_parts); return;
	case IMP_KEY_FRAME: show(w, item, 'F'); return;
	case IMP_KEY_STACK: show_list(w, item, 'F'); return;
	case IMP_KEY_SEARCHED: show_list(w, item, 's'); return;
	case IMP_KEY_ENTRIES: show_list(w, item, 'n'); return;
	case IMP_KEY_CLAIMS: show_list(w, item, 'k'); return;
	case IMP_KEY_EXCEPTION: show(w, item, 'E'); return;
	case IMP_KEY_STAT: show(w, item, 'S'); return;
	case IMP_KEY_LINKS: show_list(w, item, 'l'); return;
	case IMP_KEY_DIRECTORIES: show_list(w, item, 'd'); return;
	case IMP_KEY_MOUNT: show_parts(w, item, mount_parts); return;
	case IMP_KEY_CHUNKS: show_list(w, item, 'b'); return;
	case IMP_KEY_FRAMES: show_list(w, item, 'A'); return;
	case IMP_KEY_FLAGS:
		if (item->type == IMP_CBOR_MAP)
			show_flags(w, item);
		else if (w->kind == IMP_EV_SEARCH_PATH)
			show_search_flag(w, item);
		else
			show_any(w, item);
		return;
	default: break;
	}
	if (key < sizeof(types) / sizeof(types[0]) && !strcmp(types[key], "text"))
		show(w, item, 't');
	else if (key < sizeof(types) / sizeof(types[0]) && !strcmp(types[key], "texts"))
		show(w, item, 'T');
	else
		show_any(w, item);
}

void imp_dump_fields(struct imp_dump_sink *sink, const struct imp_dump_context *c,
		     const struct imp_event *ev)
{
	struct walk w = {.sink = sink, .c = c, .kind = ev->kind};
	char buf[40];
	unsigned int i;

	if (ev->kind == IMP_EV_PROCESS) {
		sink->key(sink, "image_ns");
		sink->number(sink, c->image_ns, false);
	}
	for (i = 0; i < ev->n; i++) {
		uint64_t key = ev->fields[i].key;

		if (key == IMP_KEY_KIND || key == IMP_KEY_TIME_NS || key == IMP_KEY_THREAD ||
		    key == IMP_KEY_PID)
			continue;
		if (key < IMP_KEY_LIMIT && ev->index[key] != i + 1)
			continue; /* it comes again, and the last one counts */
		if (!imp_event_key_name(key, buf, sizeof(buf)))
			snprintf(buf, sizeof(buf), "key_%" PRIu64, key);
		sink->key(sink, buf);
		show_field(&w, key, &ev->fields[i].value);
	}
}

const char *imp_dump_kind(const struct imp_event *ev, char *buf, size_t size)
{
	if (!imp_event_kind_name(ev->kind, buf, size))
		snprintf(buf, size, "kind_%" PRIu64, ev->kind);
	return buf;
}

pid_t imp_dump_pid(const struct imp_dump_context *c, const struct imp_event *ev)
{
	/* The header names the first process; WAIT, the one that was waited for. */
	uint64_t pid = imp_event_uint(ev, IMP_KEY_PID, (uint64_t)c->pid);

	return pid <= INT_MAX ? (pid_t)pid : c->pid;
}
