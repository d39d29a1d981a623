/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_ATTACH_LIBRARY_H
#define IMP_ATTACH_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#include "../base/error.h"

/* libimptrace.so as a running process gets it: with imptrace_attached set, and without what is never loaded. */
struct imp_library {
	uint8_t *bytes; /* owned */
	size_t len;
	uint64_t attach, detach; /* addresses of the functions, as the file has them */
	uint8_t build_id[64];
	size_t build_id_len;
};

/* imp_library_read - release with imp_library_clear(). Returns 0 or a negative errno. */
int imp_library_read(struct imp_library *l, const char *path, struct imp_error *err);
void imp_library_clear(struct imp_library *l);

#endif
