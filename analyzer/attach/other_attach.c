/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "other_attach.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define AREA_PATH "/memfd:imptrace-area"
#define BEATS	  10 /* that may stay out before an imptrace is taken to be gone */
#define LOOKS	  4  /* in the time of one beat */
#define START_AT  22 /* field of /proc/PID/stat, proc(5) */

struct head { /* what stands in front of the ring, as far as it matters here */
	uint32_t magic, version, beat, stop, state, owner_pid;
	uint64_t owner_start, owner_namespace;
};

static uint64_t start_of(pid_t pid)
{
	char text[1024], *at;

	if (imp_proc_read(pid, "stat", text, sizeof(text)) <= 0)
		return 0;
	at = strrchr(text, ')');
	for (int field = 2; at && field < START_AT; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

/* Process numbers mean something within one pid namespace only. */
static uint64_t own_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

void imp_other_attach_sign(struct imp_attach_area *area)
{
	area->owner_pid = (uint32_t)getpid();
	area->owner_start = start_of(getpid());
	area->owner_namespace = own_namespace();
}

static int read_head(const struct imp_target *t, uint64_t at, struct head *h)
{
	uint8_t bytes[offsetof(struct imp_attach_area, ring)];
	int ret = imp_memory_read(&t->mem, at, bytes, sizeof(bytes));

#define COPY(field) \
	memcpy(&h->field, bytes + offsetof(struct imp_attach_area, field), sizeof(h->field))
	COPY(magic);
	COPY(version);
	COPY(beat);
	COPY(stop);
	COPY(state);
	COPY(owner_pid);
	COPY(owner_start);
	COPY(owner_namespace);
#undef COPY
	return ret;
}

/* Its process, where it can be looked up; else its beat, which is to be seen. */
static bool owner_lives(const struct imp_target *t, uint64_t at, const struct head *area)
{
	const struct timespec step = {0, IMP_ATTACH_BEAT_MS * 1000000 / LOOKS};
	const uint32_t beat = area->beat;
	struct head h;

	if (area->owner_pid && area->owner_start && area->owner_namespace &&
	    area->owner_namespace == own_namespace())
		return start_of((pid_t)area->owner_pid) == area->owner_start;
	for (int i = 0; i < BEATS * LOOKS; i++) {
		nanosleep(&step, NULL);
		if (read_head(t, at, &h) < 0)
			return false;
		if (h.beat != beat)
			return true;
	}
	return false;
}

int imp_other_attach_end(const struct imp_target *t, struct imp_error *err)
{
	const uint32_t stop = 1;

	for (size_t i = 0; i < t->maps.objects.n; i++) {
		const struct imp_mapped_object *o = &t->maps.objects.v[i];
		struct head h;

		if (strcmp(o->path, AREA_PATH) != 0 || read_head(t, o->start, &h) < 0)
			continue;
		if (h.magic != IMP_ATTACH_MAGIC || h.version != IMP_ATTACH_VERSION || h.stop ||
		    h.state == IMP_ATTACH_NONE || h.state == IMP_ATTACH_OFF)
			continue;
		if (owner_lives(t, o->start, &h))
			return imp_error_set(
				err, -EALREADY,
				"process %d (%s) is recorded already, by another imptrace attach (process %u)",
				(int)t->pid, t->name, h.owner_pid);
		imp_memory_write(&t->mem, o->start + offsetof(struct imp_attach_area, stop), &stop,
				 sizeof(stop));
	}
	return 0;
}
