/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_ELF_CHUNKS_H
#define IMP_PRELOAD_ELF_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

struct imp_cbor;

#define IMP_CHUNKS_BUFFER 32768 /* bytes that imp_elf_chunks_put() needs to work in */

/*
 * imp_elf_chunks_put - the parts of a file that tell what it is: the items of IMP_KEY_CHUNKS
 * @c:     an open array
 * @fd:    a regular file; its position is not moved
 * @size:  of the file
 * @buf:   IMP_CHUNKS_BUFFER bytes, aligned to 8
 * @deadline_ns: reads nothing more after this CLOCK_MONOTONIC time
 *
 * Every chunk holds whole what was asked of the file: a header, a table, a string. Of a file that is no
 * ELF file of this machine's class and byte order, only the beginning and the program headers. Trusts
 * nothing that the file says. Read, not mapped: a file that is cut off meanwhile would end the program
 * with SIGBUS. Source: gABI chapters 4 and 5; LSB Core 5.0, section 10.7 (symbol versions).
 */
void imp_elf_chunks_put(struct imp_cbor *c, int fd, uint64_t size, char *buf, uint64_t deadline_ns);

#endif
