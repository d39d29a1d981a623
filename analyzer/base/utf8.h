/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BASE_UTF8_H
#define IMP_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * imp_utf8_decode - the character at the start of some bytes that need not be UTF-8
 * @s, @len: the bytes; @len > 0
 * @cp:      the code point; U+D800 to U+DFFF where the bytes encode a lone surrogate (as Python's
 *           "surrogatepass" writes it)
 *
 * Returns how many bytes it takes, 1 to 4; 0 where @s[0] begins no well-formed character (then it
 * is a byte of its own). Source: RFC 3629; surrogates are let through on purpose.
 */
size_t imp_utf8_decode(const char *s, size_t len, uint32_t *cp);

/*
 * imp_utf8_is_plain - may this character be shown as it is?
 * False for control characters, DEL, C1, line and paragraph separators, bidirectional marks and
 * overrides, invisible format characters, tags, surrogates and noncharacters: they would let a trace
 * steer the terminal or hide what a name really is.
 */
bool imp_utf8_is_plain(uint32_t cp);

#endif
