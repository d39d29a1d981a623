/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BPF_BPF_STR_H
#define IMP_BPF_BPF_STR_H

#include "bpf_tell.h"

/*
 * The characters of a str object, CPython 3.3 and later (Include/cpython/unicodeobject.h).
 *
 * PyASCIIObject is the object's head, length, hash, state, wstr (before 3.12); where it is compact and ASCII its
 * characters follow. PyCompactUnicodeObject has also utf8_length, utf8, wstr_length (before 3.12), then the
 * characters; PyUnicodeObject, of which nothing is compact, a pointer to them. The head is refcnt and type, in
 * free-threaded builds 32 bytes. They are told as they lie there: of 1, 2 or 4 bytes each.
 */
enum {
	LAYOUT_WSTR = 48,
	LAYOUT_PLAIN = 40,
	LAYOUT_FREE = 56
}; /* where those of an ASCII one begin */

struct characters {
	__u64 at, n;
	__u32 width; /* 0: it is none that could be read */
};

static __always_inline void find_characters(__u64 str, __u64 layout, struct characters *c)
{
	struct {
		__u64 length, hash;
		__u32 state, rest;
	} head = {};
	__u64 from = str + (layout == LAYOUT_FREE ? 32 : 16);
	__u32 bits;

	c->width = 0;
	if (bpf_probe_read_user(&head, sizeof(head), (void *)from))
		return;
	/* interned:2, kind:3, compact:1, ascii:1. Free-threaded 3.14 has 8 bits in front, others have 16. Kind is not 0. */
	bits = head.state >> 2;
	if (!(bits & 7))
		bits = head.state >> 8;
	if (!(bits & 7))
		bits = head.state >> 16;
	c->n = head.length;
	c->at = str + layout;
	if ((bits & 0x18) != 0x18)
		c->at += layout == LAYOUT_WSTR ? 24 : 16;
	if (!(bits & 8) && bpf_probe_read_user(&c->at, sizeof(c->at), (void *)c->at))
		return;
	bits &= 7;
	if (bits == 1 || bits == 2 || bits == 4)
		c->width = bits;
}

/* Compared in the register that is used next: clang likes to compare a copy, and the verifier then knows too little. */
#define BYTES_WITHIN(bytes, max)                \
	({                                      \
		asm volatile("" : "+r"(bytes)); \
		(bytes) <= (max);               \
	})

/* Into @e, or a larger record; too many of them are not told at all. NULL: the event was lost. */
static __always_inline struct imp_bpf_event *add_characters(struct imp_bpf_event *e,
							    const struct characters *c)
{
	struct long_event *l;
	__u64 bytes;

	e->a = c->width;
	e->c = c->n;
	if (!c->width || c->n > IMP_BPF_TEXT_MAX)
		return e;
	bytes = c->n * c->width;
	if (BYTES_WITHIN(bytes, IMP_BPF_TEXT_SHORT)) {
		if (!bpf_probe_read_user(e->text, bytes, (void *)c->at))
			e->len = bytes;
		return e;
	}
	l = enlarge(e);
	if (!l)
		return NULL;
	if (BYTES_WITHIN(bytes, IMP_BPF_TEXT_MAX) &&
	    !bpf_probe_read_user(l->text, bytes, (void *)c->at))
		l->e.len = bytes;
	return &l->e;
}

#endif
