/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_FRAME_APPEND_H
#define IMP_PRELOAD_FRAME_APPEND_H

#include <stddef.h>
#include <stdint.h>

#define IMP_FRAME_TAIL 16 /* the most that imp_frame_append() writes beyond the frame */

/*
 * imp_frame_append - append one whole frame to a regular file that others append to at the same time
 * @fd:   open for writing, with O_APPEND and O_NONBLOCK; the former may be gone afterwards
 * @size: the file's, as it was a moment ago
 * @at:   set to where the frame begins; may be NULL
 *
 * All or nothing: what a full disk cut short is made a skippable frame (RFC 8878, section 3.1.2). So is, from the
 * start, what crosses a page's edge, where Linux ends a write() when SIGKILL comes (mm/filemap.c,
 * generic_perform_write()): it is written as one skippable frame for each page, the first of these then made to
 * cover the others, and the frame's own bytes put in the place of their heads, at its start last.
 *
 * Whatever the moment of a SIGKILL, the file is a row of whole frames; with these exceptions: others have appended
 * since @size was read, so that the edges lie elsewhere; the file did end less than a head before an edge (no file
 * does to which only this function has appended, but for the first exception); a file system that cuts a write()
 * elsewhere; or one, or a seccomp filter, that refuses what the second step takes: then the frame follows once more.
 *
 * Somebody who reads the file in the meantime may see the pages of different steps: he has to look twice where he
 * finds no frame.
 *
 * Async-signal-safe. Returns 0 or a negative errno: -ESTALE where somebody has taken away what was just written.
 */
int imp_frame_append(int fd, uint64_t size, const void *frame, size_t len, uint64_t *at);

#endif
