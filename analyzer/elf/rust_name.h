/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ELF_RUST_NAME_H
#define IMP_ELF_RUST_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/strbuf.h"

/*
 * A mangled Rust name while it is read: its letters, numbers, identifiers and lifetimes. Of demangle_rust.c alone.
 * Nothing fails by itself: @bad is set, and from then on nothing more is read or shown.
 */
struct imp_rust_name {
	const char *s; /* behind "_R" */
	size_t len, at;
	unsigned int depth, steps;
	uint64_t lifetimes; /* bound where we are */
	unsigned int quiet; /* > 0: what is read is not shown */
	bool bad;
	struct imp_strbuf out;
};

struct imp_rust_identifier {
	uint64_t number; /* tells it from others of its name */
	const char *s;
	size_t len;
	bool punycode;
};

void imp_rust_put(struct imp_rust_name *n, const char *text, size_t len);
void imp_rust_puts(struct imp_rust_name *n, const char *text);
void imp_rust_put_char(struct imp_rust_name *n, uint32_t c); /* a code point */
void imp_rust_put_number(struct imp_rust_name *n, uint64_t number);
void imp_rust_put_identifier(struct imp_rust_name *n, const struct imp_rust_identifier *id);

char imp_rust_peek(const struct imp_rust_name *n); /* NUL at the end */
char imp_rust_next(struct imp_rust_name *n);
bool imp_rust_eat(struct imp_rust_name *n, char c); /* read it, if it is that one */

/*
 * imp_rust_enter - of each rule that can be reached again from itself: false where that went too far
 * Where it is true, n->depth-- is due at its end.
 */
bool imp_rust_enter(struct imp_rust_name *n);

uint64_t imp_rust_number(struct imp_rust_name *n);		      /* base 62, with its '_' */
uint64_t imp_rust_optional_number(struct imp_rust_name *n, char tag); /* 0: it is not there */
struct imp_rust_identifier imp_rust_identifier(struct imp_rust_name *n);
struct imp_rust_identifier
imp_rust_plain_identifier(struct imp_rust_name *n); /* that nothing tells from others */

void imp_rust_put_lifetime(struct imp_rust_name *n, uint64_t index);
/* imp_rust_binder - "for<'a, 'b> "; returns how many it binds: to be taken from n->lifetimes at the end */
uint64_t imp_rust_binder(struct imp_rust_name *n);

/* imp_rust_go_back - behind a 'B': n->at is where it leads. Returns where to go on behind it, or SIZE_MAX */
size_t imp_rust_go_back(struct imp_rust_name *n);

#endif
