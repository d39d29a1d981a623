/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_ELF_CHUNKS_H
#define IMP_PRELOAD_ELF_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct imp_cbor;
struct imp_time_budget;

#define IMP_CHUNKS_MAX	  (46 * 1024)
#define IMP_CHUNKS_BUFFER 32768 /* bytes that imp_elf_chunks_put() needs to work in */

/*
 * imp_elf_chunks_put - the parts of a file that tell what it is: the items of IMP_KEY_CHUNKS
 * @c:     an open array
 * @fd:    a regular file; its position is not moved
 * @size:  of the file
 * @max:   bytes of all chunks; IMP_CHUNKS_MAX at the most
 * @buf:   IMP_CHUNKS_BUFFER bytes, aligned to 8
 * @budget: reads nothing more when it is used up
 *
 * Every chunk holds whole what was asked of the file: a header, a table, a string. Of a file that is no
 * ELF file of this machine's class and byte order, only the beginning and the program headers. Trusts
 * nothing that the file says. Read, not mapped: a file that is cut off meanwhile would end the program
 * with SIGBUS. Source: gABI chapters 4 and 5; LSB Core 5.0, section 10.7 (symbol versions).
 */
void imp_elf_chunks_put(struct imp_cbor *c, int fd, uint64_t size, size_t max, char *buf,
			struct imp_time_budget *budget);

/*
 * imp_elf_is_cut - is the file shorter than its program headers say?
 * @buf: IMP_CHUNKS_BUFFER bytes, aligned to 8
 */
bool imp_elf_is_cut(int fd, uint64_t size, char *buf);

#endif
