/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PROBE_PROBE_TEXT_H
#define IMP_PROBE_PROBE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * imp_probe_text_utf8 - the characters of a str object, as they lie in memory, as UTF-8
 * @from, @len: the bytes that were read
 * @n:          characters
 * @width:      bytes of each
 *
 * As the preloaded recorder writes them: lone surrogates that stand for bytes (PEP 383) become those bytes; where there
 * are others, all are encoded like characters ("surrogatepass").
 *
 * Returns an owned string; NULL where that many characters of that width are not there, or what is there are none, or a
 * NUL is among them.
 */
char *imp_probe_text_utf8(const void *from, size_t len, uint64_t n, uint64_t width);

#endif
