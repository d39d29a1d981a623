/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_AUDIT_LINK_H
#define IMP_PRELOAD_AUDIT_LINK_H

#include <stdatomic.h>
#include <stdint.h>

#include "trace_format.h"

/*
 * How libimptrace-audit.so hands over what ld.so tells it to libimptrace.so, which records it.
 *
 * The two lie in different link-map namespaces and know nothing of each other, but for this: libimptrace.so
 * exports a pointer of the name IMP_AUDIT_POINTER. When ld.so has mapped libimptrace.so, and says so, the
 * audit object writes there where its struct imp_audit_link is. The recorder, once it can record, writes
 * there whom to call. What came before that is kept in the struct, one struct imp_audit_kept behind the other.
 *
 * The handler is called from within ld.so, which holds its lock: it may call nothing of ld.so.
 */
#define IMP_AUDIT_POINTER  imptrace_audit
#define IMP_AUDIT_RECORDER "libimptrace.so"
#define IMP_AUDIT_KEPT_MAX 262144 /* bytes; memory that is not used costs nothing */

struct imp_audit_event {
	enum imp_event_kind kind; /* IMP_EV_SEARCH_PATH or IMP_EV_SEARCH_OPEN */
	uint32_t flag;		  /* SEARCH_PATH: LA_SER_* */
	int64_t name_space;	  /* SEARCH_OPEN: where it was loaded */
	const char *path;
	const char *requester; /* the object that asked; "": the program, or it is as it was before */
};

typedef void imp_audit_handler(const struct imp_audit_event *event);

struct imp_audit_kept {
	uint32_t size; /* of all, up to the next one: a multiple of its alignment */
	uint32_t kind, flag;
	uint32_t requester; /* offset of the second text behind the first */
	int64_t name_space;
	char texts[]; /* path, requester; a NUL behind each */
};

struct imp_audit_link {
	_Atomic(imp_audit_handler *) handler; /* NULL: keep it */
	_Atomic uint32_t used;		      /* bytes of @kept */
	_Atomic uint32_t lost;		      /* events for which there was no room */
	_Alignas(8) unsigned char kept[IMP_AUDIT_KEPT_MAX];
};

#endif
