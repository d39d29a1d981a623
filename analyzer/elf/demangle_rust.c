/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "demangle_rust.h"

#include <stdint.h>
#include <string.h>

#include "rust_name.h"

#define OUTPUT_MAX 4096U

static void type(struct imp_rust_name *n);
static void path(struct imp_rust_name *n, bool value);
static void constant(struct imp_rust_name *n);

/* ---- paths -------------------------------------------------------------------------------------------- */

static void generic_argument(struct imp_rust_name *n)
{
	if (imp_rust_eat(n, 'L'))
		imp_rust_put_lifetime(n, imp_rust_number(n));
	else if (imp_rust_eat(n, 'K'))
		constant(n);
	else
		type(n);
}

static void generic_arguments(struct imp_rust_name *n)
{
	for (unsigned int i = 0; !n->bad && !imp_rust_eat(n, 'E'); i++) {
		if (i)
			imp_rust_puts(n, ", ");
		generic_argument(n);
	}
}

static void impl_path(struct imp_rust_name *n)
{
	n->quiet++;
	imp_rust_optional_number(n, 's');
	path(n, false);
	n->quiet--;
}

static void nested(struct imp_rust_name *n, bool value)
{
	char space = imp_rust_next(n);
	struct imp_rust_identifier id;

	path(n, value);
	id = imp_rust_identifier(n);
	if (space >= 'A' && space <= 'Z') {
		imp_rust_puts(n, "::{");
		imp_rust_puts(n, space == 'C' ? "closure" : space == 'S' ? "shim" : "");
		if (space != 'C' && space != 'S')
			imp_rust_put(n, &space, 1);
		if (id.len) {
			imp_rust_puts(n, ":");
			imp_rust_put_identifier(n, &id);
		}
		imp_rust_puts(n, "#");
		imp_rust_put_number(n, id.number);
		imp_rust_puts(n, "}");
	} else if (space >= 'a' && space <= 'z') {
		if (id.len) {
			imp_rust_puts(n, "::");
			imp_rust_put_identifier(n, &id);
		}
	} else {
		n->bad = true;
	}
}

static void path(struct imp_rust_name *n, bool value)
{
	struct imp_rust_identifier id;
	size_t after;

	if (!imp_rust_enter(n))
		return;
	switch (imp_rust_next(n)) {
	case 'C':
		id = imp_rust_identifier(n);
		imp_rust_put_identifier(n, &id);
		break;
	case 'N': nested(n, value); break;
	case 'M':
		impl_path(n);
		imp_rust_puts(n, "<");
		type(n);
		imp_rust_puts(n, ">");
		break;
	case 'X':
		impl_path(n);
		/* fall through */
	case 'Y':
		imp_rust_puts(n, "<");
		type(n);
		imp_rust_puts(n, " as ");
		path(n, false);
		imp_rust_puts(n, ">");
		break;
	case 'I':
		path(n, value);
		imp_rust_puts(n, value ? "::<" : "<");
		generic_arguments(n);
		imp_rust_puts(n, ">");
		break;
	case 'B':
		after = imp_rust_go_back(n);
		if (after != SIZE_MAX) {
			path(n, value);
			n->at = after;
		}
		break;
	default: n->bad = true;
	}
	n->depth--;
}

/* A trait whose "<" is left open for what follows; returns whether there is one. */
static bool open_path(struct imp_rust_name *n)
{
	bool open = false;
	size_t after;

	if (!imp_rust_enter(n))
		return false;
	if (imp_rust_eat(n, 'B')) {
		after = imp_rust_go_back(n);
		if (after != SIZE_MAX) {
			open = open_path(n);
			n->at = after;
		}
	} else if (imp_rust_eat(n, 'I')) {
		path(n, false);
		imp_rust_puts(n, "<");
		generic_arguments(n);
		open = true;
	} else {
		path(n, false);
	}
	n->depth--;
	return open;
}

/* ---- types -------------------------------------------------------------------------------------------- */

static const char *basic_type(char c)
{
	static const char *const names[26] = {
		"i8",	 "bool", "char", "f64", "str",	"f32",	NULL,  "u8", "isize",
		"usize", NULL,	 "i32",	 "u32", "i128", "u128", "_",   NULL, NULL,
		"i16",	 "u16",	 "()",	 "...", NULL,	"i64",	"u64", "!",
	};

	return c >= 'a' && c <= 'z' ? names[c - 'a'] : NULL;
}

static void function(struct imp_rust_name *n)
{
	uint64_t bound = imp_rust_binder(n);
	struct imp_rust_identifier abi = {.s = "C", .len = 1};

	if (imp_rust_eat(n, 'U'))
		imp_rust_puts(n, "unsafe ");
	if (imp_rust_eat(n, 'K')) {
		if (!imp_rust_eat(n, 'C'))
			abi = imp_rust_plain_identifier(n);
		imp_rust_puts(n, "extern \"");
		for (size_t i = 0; i < abi.len; i++) /* '-' can't stand in a symbol */
			imp_rust_put(n, abi.s[i] == '_' ? "-" : abi.s + i, 1);
		imp_rust_puts(n, "\" ");
	}
	imp_rust_puts(n, "fn(");
	for (unsigned int i = 0; !n->bad && !imp_rust_eat(n, 'E'); i++) {
		if (i)
			imp_rust_puts(n, ", ");
		type(n);
	}
	imp_rust_puts(n, ")");
	if (!imp_rust_eat(n, 'u')) {
		imp_rust_puts(n, " -> ");
		type(n);
	}
	n->lifetimes -= bound;
}

static void trait_object(struct imp_rust_name *n)
{
	uint64_t bound, lifetime;

	imp_rust_puts(n, "dyn ");
	bound = imp_rust_binder(n);
	for (unsigned int i = 0; !n->bad && !imp_rust_eat(n, 'E'); i++) {
		struct imp_rust_identifier id;
		bool open;

		if (i)
			imp_rust_puts(n, " + ");
		open = open_path(n);
		while (imp_rust_eat(n, 'p')) {
			imp_rust_puts(n, open ? ", " : "<");
			open = true;
			id = imp_rust_plain_identifier(n);
			imp_rust_put_identifier(n, &id);
			imp_rust_puts(n, " = ");
			type(n);
		}
		if (open)
			imp_rust_puts(n, ">");
	}
	n->lifetimes -= bound;
	if (!imp_rust_eat(n, 'L')) {
		n->bad = true;
		return;
	}
	lifetime = imp_rust_number(n);
	if (lifetime) {
		imp_rust_puts(n, " + ");
		imp_rust_put_lifetime(n, lifetime);
	}
}

static void reference(struct imp_rust_name *n, bool mutable)
{
	uint64_t lifetime;

	imp_rust_puts(n, "&");
	if (imp_rust_eat(n, 'L')) {
		lifetime = imp_rust_number(n);
		if (lifetime) {
			imp_rust_put_lifetime(n, lifetime);
			imp_rust_puts(n, " ");
		}
	}
	if (mutable)
		imp_rust_puts(n, "mut ");
	type(n);
}

static void tuple(struct imp_rust_name *n)
{
	unsigned int i;

	imp_rust_puts(n, "(");
	for (i = 0; !n->bad && !imp_rust_eat(n, 'E'); i++) {
		if (i)
			imp_rust_puts(n, ", ");
		type(n);
	}
	imp_rust_puts(n, i == 1 ? ",)" : ")");
}

static void compound_type(struct imp_rust_name *n, char c)
{
	size_t after;

	switch (c) {
	case 'A':
	case 'S':
		imp_rust_puts(n, "[");
		type(n);
		if (c == 'A') {
			imp_rust_puts(n, "; ");
			constant(n);
		}
		imp_rust_puts(n, "]");
		break;
	case 'T': tuple(n); break;
	case 'R':
	case 'Q': reference(n, c == 'Q'); break;
	case 'P':
	case 'O':
		imp_rust_puts(n, c == 'P' ? "*const " : "*mut ");
		type(n);
		break;
	case 'F': function(n); break;
	case 'D': trait_object(n); break;
	case 'B':
		after = imp_rust_go_back(n);
		if (after != SIZE_MAX) {
			type(n);
			n->at = after;
		}
		break;
	default: n->at--; path(n, false);
	}
}

static void type(struct imp_rust_name *n)
{
	const char *basic;
	char c;

	if (!imp_rust_enter(n))
		return;
	c = imp_rust_next(n);
	basic = basic_type(c);
	if (basic)
		imp_rust_puts(n, basic);
	else if (!n->bad)
		compound_type(n, c);
	n->depth--;
}

/* ---- constants ---------------------------------------------------------------------------------------- */

static void put_constant(struct imp_rust_name *n, char kind, uint64_t value, bool fits,
			 const char *digits, size_t len)
{
	if (kind == 'b') {
		n->bad |= !fits || value > 1;
		imp_rust_puts(n, value ? "true" : "false");
	} else if (kind == 'c') {
		n->bad |= !fits || value > 0x10ffff || (value >= 0xd800 && value < 0xe000);
		imp_rust_puts(n, "'");
		if (!n->bad && (value < 0x20 || value == 0x7f || value == '\'' || value == '\\')) {
			imp_rust_puts(n, "\\u{");
			imp_rust_put(n, digits, len);
			imp_rust_puts(n, "}");
		} else if (!n->bad) {
			imp_rust_put_char(n, (uint32_t)value);
		}
		imp_rust_puts(n, "'");
	} else if (fits) {
		imp_rust_put_number(n, value);
	} else {
		imp_rust_puts(n, "0x");
		imp_rust_put(n, digits, len);
	}
}

static void constant_data(struct imp_rust_name *n, char kind)
{
	const char *digits;
	uint64_t value = 0;
	size_t start, len;
	bool negative = imp_rust_eat(n, 'n');
	char c;

	for (start = n->at; (c = imp_rust_next(n)) != '_' && !n->bad;) {
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			n->bad = true;
		value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	if (n->bad)
		return;
	digits = n->s + start;
	len = n->at - 1 - start;
	for (; len > 1 && *digits == '0'; digits++, len--)
		;
	if (negative)
		imp_rust_puts(n, "-");
	put_constant(n, kind, value, len <= 16, digits, len);
}

static void constant(struct imp_rust_name *n)
{
	size_t after;
	char c;

	if (!imp_rust_enter(n))
		return;
	c = imp_rust_next(n);
	if (c == 'p') {
		imp_rust_puts(n, "_");
	} else if (c == 'B') {
		after = imp_rust_go_back(n);
		if (after != SIZE_MAX) {
			constant(n);
			n->at = after;
		}
	} else if (c && strchr("abchijlmnostxy", c)) {
		constant_data(n, c);
	} else {
		n->bad = true;
	}
	n->depth--;
}

const char *imp_demangle_rust(struct imp_arena *a, const char *symbol)
{
	struct imp_rust_name n = {.out = {.limit = OUTPUT_MAX}};
	const char *result = NULL;

	if (strncmp(symbol, "_R", 2) || symbol[2] < 'A' || symbol[2] > 'Z')
		return NULL;
	n.s = symbol + 2;
	n.len = strcspn(n.s, ".$"); /* behind it, what the linker or LLVM added */
	path(&n, true);
	if (!n.bad && n.at < n.len) {
		/* The crate that the generic function was made for. */
		n.quiet++;
		path(&n, false);
	}
	if (!n.bad && n.at == n.len && n.out.len)
		result = imp_arena_strndup(a, n.out.s, n.out.len);
	imp_strbuf_clear(&n.out);
	return result;
}
