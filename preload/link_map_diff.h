/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_PRELOAD_LINK_MAP_DIFF_H
#define IMP_PRELOAD_LINK_MAP_DIFF_H

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>

#include "object_table.h"
#include "recorder.h"

/*
 * The objects that are mapped, each with a number (IMP_KEY_OBJECT) for the events of this image.
 * A look costs one dl_iterate_phdr() and returns at once where dlpi_adds and dlpi_subs have not moved.
 */

/*
 * imp_objects_update - record what was mapped and unmapped since the last look
 *
 * Writes IMP_EV_OBJECT and IMP_EV_OBJECT_GONE events. Calls imp_python_object_added() once for each
 * new object that may hold a CPython, after the iteration (no loader lock is held). Safe after a failed dl call: uses only
 * dl_iterate_phdr(), which leaves dlerror's state alone. Where another thread is at it, that one looks
 * again in our stead.
 */
void imp_objects_update(struct imp_thread *t);

/*
 * imp_objects_add_namespace - record the objects of another link-map namespace
 * @map: any of them, that is, a handle from dlmopen(); @ns: its namespace
 *
 * dl_iterate_phdr() shows the caller's namespace only. What is unmapped there is seen by
 * imp_objects_update(). Python is not told: an interpreter there runs on a libc of its own.
 */
void imp_objects_add_namespace(struct imp_thread *t, const struct link_map *map, Lmid_t ns);

/* imp_objects_forget - after fork: the child writes its objects anew */
void imp_objects_forget(void);

/*
 * imp_objects_restart - a new image in the same process: all are written anew, and Python is told again
 * Returns 0, or -EBUSY where another thread is at it.
 */
int imp_objects_restart(void);

/* imp_objects_generation - a number that changes whenever something was mapped or unmapped */
uint32_t imp_objects_generation(void);

#endif
