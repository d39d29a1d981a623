/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fallback_source.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define SOURCE_MAX (4 * 1024 * 1024)  /* bytes of a source file that is looked into */
#define BINARY_MAX (64 * 1024 * 1024) /* of an extension */
#define FRAMES_MAX 64		      /* of the stack of an import */
#define RAISE_MAX  20		      /* lines of a raise statement */
#define BLOCK_MAX  2000		      /* lines of another one */
#define REASON_MAX 200		      /* lines that decide about a raise statement */
#define LOADS_MAX  64		      /* lines of a file that open a library */

struct block { /* lines, @end excluded */
	size_t begin, end;
};

static bool is_letter(char ch)
{
	return isalnum((unsigned char)ch) || ch == '_';
}

static size_t indent(const char *line)
{
	return strspn(line, " \t");
}

static bool blank(const char *line)
{
	line += indent(line);
	return !*line || *line == '#' || *line == '\r';
}

/* Does a line begin with this keyword? */
static bool begins(const char *line, const char *word)
{
	line += indent(line);
	return !strncmp(line, word, strlen(word)) && !is_letter(line[strlen(word)]);
}

static bool read_lines(const struct imp_case *c, const char *file, struct imp_strings *out)
{
	size_t len;
	char *p;

	*out = (struct imp_strings){0};
	if (!file || imp_host_read(c->host, c->a, file, SOURCE_MAX, &p, &len))
		return false;
	while (p) {
		char *end = strchr(p, '\n');

		*imp_vec_push(c->a, out) = p;
		if (end)
			*end++ = '\0';
		p = end;
	}
	return true;
}

/* The lines of the statement at @at: those that are indented further, and what hangs on it (except, else, finally). */
static struct block statement(const struct imp_strings *s, size_t at)
{
	static const char *const clauses[] = {"except", "else", "finally", "elif"};
	size_t in = indent(s->v[at]), end = at + 1;

	for (; end < s->n && end < at + BLOCK_MAX; end++) {
		const char *line = s->v[end];
		bool clause = false;

		for (size_t i = 0; i < sizeof(clauses) / sizeof(clauses[0]); i++)
			clause |= indent(line) == in && begins(line, clauses[i]);
		if (!blank(line) && indent(line) <= in && !clause && line[indent(line)] != ')')
			break;
	}
	return (struct block){at, end};
}

/* The innermost try statement around a line, within its function; else the line's own statement. */
static struct block attempt_at(const struct imp_strings *s, size_t at)
{
	size_t in = indent(s->v[at]);

	if (begins(s->v[at], "try"))
		return statement(s, at);
	for (size_t i = at; i-- > 0 && in;) {
		const char *line = s->v[i];

		if (blank(line) || indent(line) >= in)
			continue;
		in = indent(line);
		if (begins(line, "try"))
			return statement(s, i);
		if (begins(line, "def") || begins(line, "class"))
			break;
	}
	return statement(s, at);
}

/* Does a statement of this line set @name? "name = ", "self.name = ", "name.append(", "import x as name" */
static bool sets(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (begins(line, "import") || begins(line, "from")) {
		const char *list = strstr(line, "import");

		return list && imp_case_has_word(list, name);
	}
	if (begins(line, "try") || begins(line, "else") || begins(line, "except"))
		line = strchr(line, ':') ? strchr(line, ':') + 1 : "";
	for (const char *p = line; len && (p = strstr(p, name)); p++) {
		const char *after = p + len + strspn(p + len, " \t");

		if ((p > line && is_letter(p[-1])) || is_letter(p[len]))
			continue;
		if ((after[0] == '=' && after[1] != '=') || !strncmp(after, "+=", 2) ||
		    !strncmp(after, ".append(", 8) || !strncmp(after, ".add(", 5) ||
		    (after[0] == '[' && strchr(after, '=')) ||
		    (after[0] == ':' && strchr(after, '=')))
			/* "f(name=1)" sets nothing */
			return !memchr(line, '(', (size_t)(p - line));
		if (after[0] == ',' && strchr(after, '=') &&
		    !memchr(line, '(', (size_t)(strchr(after, '=') - line)))
			return true;
	}
	return false;
}

/* The words of a text, one after the other; false: no more. */
static bool next_word(const char **text, char *word, size_t room)
{
	size_t len;

	for (; **text && !is_letter(**text); (*text)++)
		;
	for (len = 0; is_letter((*text)[len]); len++)
		;
	snprintf(word, room, "%.*s", (int)len, *text);
	*text += len;
	return len > 0;
}

static bool is_keyword(const char *word)
{
	static const char *const words[] = {"if",   "elif",  "else",   "not",	      "is",
					    "in",   "None",  "True",   "and",	      "or",
					    "from", "raise", "return", "ImportError", "len",
					    "for",  "try",   "False",  "except",      "import",
					    "sys",  "while"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(word, words[i]))
			return true;
	return strlen(word) < 2;
}

/* What decides whether the raise statement is reached: lines of its file, in one text. */
struct reason {
	struct imp_strings source;
	size_t at; /* of the raise statement */
	const char *text;
	unsigned int n; /* lines in it */
	const struct imp_frame *where;
};

static void add(const struct imp_case *c, struct reason *r, const char *line)
{
	if (r->n++ < REASON_MAX)
		r->text = imp_arena_printf(c->a, "%s\n%s", r->text, line);
}

/* "if x: return x", before it in its block */
static void add_guards(const struct imp_case *c, struct reason *r, size_t from, size_t in)
{
	for (size_t i = from; i < r->at; i++) {
		const char *line = r->source.v[i];
		struct block b;

		if (blank(line) || indent(line) != in || !begins(line, "if"))
			continue;
		b = statement(&r->source, i);
		for (size_t k = b.begin; k < b.end; k++)
			if (strstr(r->source.v[k], "return")) {
				add(c, r, line);
				break;
			}
	}
}

static bool find_reason(const struct imp_case *c, const struct imp_exception *e, struct reason *r)
{
	size_t in, at = e->where.line;

	*r = (struct reason){.text = "", .where = &e->where};
	if (!at || !read_lines(c, e->where.file, &r->source) || at > r->source.n)
		return false;
	/* Before 3.8 the line is the last one of the statement. */
	for (at--; at && !strstr(r->source.v[at], "raise") && e->where.line - at < RAISE_MAX; at--)
		;
	if (!strstr(r->source.v[at], "raise"))
		return false;
	r->at = at;
	in = indent(r->source.v[at]);
	for (size_t i = at; i < r->source.n && i < at + RAISE_MAX; i++) {
		if (i > at && !blank(r->source.v[i]) && indent(r->source.v[i]) <= in)
			break;
		add(c, r, r->source.v[i]);
	}
	for (size_t i = at; i-- > 0 && in;) {
		const char *line = r->source.v[i];
		bool clause;

		if (blank(line) || indent(line) >= in)
			continue;
		add_guards(c, r, i + 1, in);
		in = indent(line);
		add(c, r, line);
		clause = begins(line, "else") || begins(line, "elif");
		for (size_t k = i; clause && k-- > 0;) {
			const char *head = r->source.v[k];

			if (blank(head) || indent(head) > in)
				continue;
			add(c, r, head);
			clause = indent(head) == in &&
				 (begins(head, "elif") || begins(head, "except"));
		}
		if (begins(line, "def") || begins(line, "class"))
			break;
	}
	return true;
}

/* Where an import was asked for, from the innermost frame outwards, as far as its failure went. */
static void asked_at(const struct imp_case *c, unsigned int modules, const struct imp_frame **out,
		     size_t *n)
{
	const struct imp_frames *stack = &c->attempt->outcome->stack;

	*n = 0;
	for (size_t i = stack->n; i-- > 0 && *n < FRAMES_MAX && modules;) {
		out[(*n)++] = &stack->v[i];
		if (!strcmp(imp_case_text(stack->v[i].function), "<module>"))
			modules--;
	}
	if (!*n)
		out[(*n)++] = c->attempt->frame;
}

/* Is what a line sets in @frame's function seen where the error was raised? */
static bool in_scope(const struct imp_frame *frame, const struct imp_strings *s,
		     const struct reason *r, const char *word)
{
	bool same_file = !strcmp(imp_case_text(frame->file), imp_case_text(r->where->file));

	if (!same_file) { /* "from ._compat import HAVE", "_compat.HAVE" */
		for (const char *p = r->text; (p = strstr(p, word)); p++)
			if (p > r->text && p[-1] == '.')
				return true;
		for (size_t i = 0; i < r->source.n; i++)
			if (strstr(r->source.v[i], "import") &&
			    imp_case_has_word(r->source.v[i], word))
				return true;
		return false;
	}
	if (!strcmp(imp_case_text(frame->function), "<module>") ||
	    !strcmp(imp_case_text(frame->function), imp_case_text(r->where->function)))
		return true;
	for (size_t i = 0; i < s->n; i++)
		if ((begins(s->v[i], "global") && imp_case_has_word(s->v[i], word)) ||
		    (strstr(s->v[i], "self.") && imp_case_has_word(s->v[i], word)))
			return true;
	return false;
}

/* Where the import is one way out of the function, or of the loop, that the raise statement stands behind. */
static bool is_way_out(const struct imp_frame *frame, const struct imp_strings *s,
		       const struct block *b, const struct reason *r)
{
	if (strcmp(imp_case_text(frame->file), imp_case_text(r->where->file)) ||
	    strcmp(imp_case_text(frame->function), imp_case_text(r->where->function)) ||
	    r->at < b->end)
		return false;
	for (size_t i = b->begin; i < b->end; i++) {
		const char *line = s->v[i];

		if (indent(line) <= indent(s->v[b->begin]) && begins(line, "except"))
			return false; /* from here on it is the handler's */
		if (strstr(line, "return") && strcmp(imp_case_text(frame->function), "<module>"))
			return true;
		if (begins(line, "break") && begins(r->source.v[r->at], "raise"))
			for (size_t k = b->end; k < r->at; k++)
				if (begins(s->v[k], "else") &&
				    indent(s->v[k]) < indent(s->v[b->begin]) &&
				    indent(s->v[k]) < indent(s->v[r->at]))
					return true;
	}
	return false;
}

/* Does the raise statement follow from what the block @b, in the function of @frame, did not get? */
static bool leads_to(const struct imp_frame *frame, const struct imp_strings *s,
		     const struct block *b, const struct reason *r)
{
	char word[128];

	if (is_way_out(frame, s, b, r))
		return true;
	for (const char *p = r->text; next_word(&p, word, sizeof(word));) {
		bool set = false;

		for (size_t k = b->begin; k < b->end && !is_keyword(word) && !set; k++)
			set = sets(s->v[k], word);
		if (set && in_scope(frame, s, r, word))
			return true;
	}
	return false;
}

bool imp_fallback_raises(const struct imp_case *failed, unsigned int modules,
			 const struct imp_exception *e)
{
	const struct imp_frame *frames[FRAMES_MAX];
	struct reason r;
	size_t n;

	if (!failed->attempt || !e->where.file || !find_reason(failed, e, &r))
		return false;
	asked_at(failed, modules, frames, &n);
	for (size_t i = 0; i < n; i++) {
		struct imp_strings s;
		struct block b;

		if (!frames[i]->line || !read_lines(failed, frames[i]->file, &s) ||
		    frames[i]->line > s.n)
			continue;
		b = attempt_at(&s, frames[i]->line - 1);
		if (leads_to(frames[i], &s, &b, &r))
			return true;
	}
	return false;
}

static bool opens_library(const char *line)
{
	static const char *const ways[] = {"CDLL(", "cdll.LoadLibrary(", ".dlopen(", "PyDLL("};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strstr(line, ways[i]) && !blank(line))
			return true;
	return false;
}

/* The line of the def that @at is in; -1: none, it is the module's own code. */
static ssize_t function_at(const struct imp_strings *s, size_t at)
{
	size_t in = indent(s->v[at]);

	for (size_t i = at; i-- > 0 && in;) {
		if (blank(s->v[i]) || indent(s->v[i]) >= in)
			continue;
		in = indent(s->v[i]);
		if (begins(s->v[i], "def") || begins(s->v[i], "async"))
			return (ssize_t)i;
	}
	return -1;
}

int imp_fallback_load_raises(const struct imp_case *c, const struct imp_exception *e,
			     const char *stem)
{
	bool named = false;
	unsigned int any = 0;
	struct reason r;
	ssize_t own;

	if (!e->where.file || strlen(stem) < 3 || !find_reason(c, e, &r))
		return -1;
	own = function_at(&r.source, r.at);
	for (size_t i = 0; i < r.source.n; i++) {
		struct imp_frame frame = {.file = e->where.file, .line = (unsigned int)i + 1};
		const char *line = r.source.v[i];
		struct block b;
		ssize_t in;

		named |= strstr(line, stem) != NULL;
		if (!opens_library(line) || any >= LOADS_MAX)
			continue;
		in = function_at(&r.source, i);
		if (in >= 0 && in != own)
			return -1; /* what calls that function is not known */
		frame.function = in < 0 ? "<module>" : e->where.function;
		any++;
		b = attempt_at(&r.source, i);
		if (leads_to(&frame, &r.source, &b, &r)) {
			for (; i < r.source.n && !named; i++)
				named |= strstr(r.source.v[i], stem) != NULL;
			return named ? 1 : -1;
		}
	}
	return any && named ? 0 : -1;
}

static bool in_binary(const struct imp_case *c, const char *file, const char *name)
{
	char *data;
	size_t len, n = strlen(name) + 1;

	if (!file || imp_host_read(c->host, c->a, file, BINARY_MAX, &data, &len))
		return false;
	return memmem(data, len, name, n) != NULL;
}

/* A line of the module that sets @name, under a condition that speaks of what the block was to set. */
static bool set_under(const struct imp_strings *s, const struct block *b,
		      const struct imp_strings *module, const char *name)
{
	for (size_t i = 0; i < module->n; i++) {
		const char *line = module->v[i];
		size_t in = indent(line);
		char word[128];

		if (!in || !(sets(line, name) || ((begins(line, "def") || begins(line, "class")) &&
						  imp_case_has_word(line, name))))
			continue;
		for (size_t k = i; k-- > 0 && in;) {
			const char *p = module->v[k];

			if (blank(p) || indent(p) >= in)
				continue;
			in = indent(p);
			while (begins(module->v[k], "if") && next_word(&p, word, sizeof(word)))
				for (size_t l = b->begin; l < b->end && !is_keyword(word); l++)
					if (sets(s->v[l], word))
						return true;
		}
	}
	return false;
}

bool imp_fallback_lacks(const struct imp_case *failed, unsigned int modules, const char *file,
			const char *name)
{
	const struct imp_frame *frames[FRAMES_MAX];
	struct imp_strings s, module;
	size_t n;

	if (!failed->attempt)
		return false;
	asked_at(failed, modules, frames, &n);
	for (size_t i = 0; i < n; i++) {
		bool whole = false;
		struct block b;

		if (!frames[i]->line || !read_lines(failed, frames[i]->file, &s) ||
		    frames[i]->line > s.n)
			continue;
		b = attempt_at(&s, frames[i]->line - 1);
		/* This file itself was not imported because of it: all that it has is lost. */
		for (size_t k = i + 1; k < n; k++)
			whole |= !strcmp(imp_case_text(frames[i]->function), "<module>") &&
				 !strcmp(imp_case_text(frames[k]->function), "<module>");
		if (whole)
			b = (struct block){0, s.n};
		for (size_t k = b.begin; k < b.end; k++)
			if (imp_case_has_word(s.v[k], name) ||
			    (strstr(s.v[k], "import *") && failed->extension &&
			     in_binary(failed, failed->extension->path, name)))
				return true;
		if (read_lines(failed, file, &module) && set_under(&s, &b, &module, name))
			return true;
	}
	return false;
}
