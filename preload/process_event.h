/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_PROCESS_EVENT_H
#define IMP_PRELOAD_PROCESS_EVENT_H

#include <stddef.h>

#include "thread_slot.h"
#include "trace_format.h"

/*
 * imp_process_event_write - record IMP_EV_PROCESS: what this image is
 * @how:  why there is an image
 * @argv: main's, NULL-terminated; NULL: read from /proc/self/cmdline
 *
 * Of the environment, only the variables that steer loading: a trace must be safe to send to a
 * colleague. What can't be had (no /proc) is left out.
 */
void imp_process_event_write(struct imp_thread *t, enum imp_start how, char *const *argv);

/* imp_process_event_end - record IMP_EV_PROCESS_END */
void imp_process_event_end(struct imp_thread *t, enum imp_end how, int code);

/*
 * imp_process_read - copy what the program points to
 * Its pointer may be bad. Returns 0 or -EFAULT. Where the system call for it is not allowed (seccomp), the
 * pointer is trusted.
 */
int imp_process_read(void *to, const void *from, size_t len);

/*
 * imp_process_put_argv - put IMP_KEY_ARGV; long lists are cut, and the last item then is IMP_TEXT_CUT
 * imp_process_put_path - put a string of the program's under @key
 * @argv: NULL-terminated; may be NULL, as execve(2) allows
 *
 * For what the program passes to exec. Its pointers may be bad, and then it is owed an EFAULT: they are
 * read through the kernel, and what can't be read is left out. @t->text is used.
 */
void imp_process_put_argv(struct imp_cbor *c, struct imp_thread *t, char *const *argv);
void imp_process_put_path(struct imp_cbor *c, struct imp_thread *t, unsigned int key,
			  const char *path);

#endif
