/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMP_BPF_BPF_TELL_H
#define IMP_BPF_BPF_TELL_H

#include "core_types.h"

#include "bpf_event.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* What all programs share: the maps, and how an event comes into the ring buffer. */

#define NEST_MAX 128 /* imports within imports; a power of two */
#define END_LOOK 8   /* so many of them may end with the one around them, unseen */

#define PROT_EXEC     4
#define AT_EMPTY_PATH 0x1000

const volatile bool all_opens = false;
const volatile bool files_only = false;	 /* a preloaded recorder tells the rest */
const volatile bool has_cookies = false; /* bpf_get_attach_cookie(): Linux 5.15 */
const volatile __u64 wake_size = 0;	 /* bytes that wait in the ring */

__u64 lost_events = 0;

/* A traced process. */
struct process {
	__u32 inside; /* of its threads' imports and dlopens, all together */
	__u32 lost;
};

/* A thread of it that has been inside of something. */
struct thread {
	__u32 imports;		      /* open now */
	__u32 dlopens;		      /* open now */
	__u32 inside;		      /* what it has added to its process */
	__u32 failed;		      /* the last dlopen failed, and dlerror was not asked yet */
	__u64 handle, symbol, caller; /* of the dlsym that it is in */
	__u64 import[NEST_MAX];	      /* the stack pointer of each */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct process);
} traced SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, 1); /* BPF_F_NO_PREALLOC: a kilobyte for each thread that needs it */
	__type(key, __u32);
	__type(value, struct thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20); /* the user side sets it */
} ring SEC(".maps");

struct short_event {
	struct imp_bpf_event e;
	char text[IMP_BPF_TEXT_SHORT];
};

struct long_event {
	struct imp_bpf_event e;
	char text[IMP_BPF_TEXT_MAX];
};

/* ---- telling ------------------------------------------------------------------------------------- */

static __always_inline void fill(struct imp_bpf_event *e, __u16 kind)
{
	__u64 id = bpf_get_current_pid_tgid();

	__builtin_memset(e, 0, sizeof(*e));
	e->time_ns = bpf_ktime_get_ns();
	e->pid = id >> 32;
	e->tid = (__u32)id;
	e->kind = kind;
}

static __always_inline struct process *current_process(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&traced, &pid);
}

static __always_inline void count_lost(void)
{
	struct process *p = current_process();

	__sync_fetch_and_add(&lost_events, 1);
	if (p)
		__sync_fetch_and_add(&p->lost, 1);
}

/*
 * The user side is not woken for each event: on few processors that costs more than the event. It looks by
 * itself a few times a second, and is called where the buffer fills up or something has to be done now.
 */
static __always_inline __u64 wake(bool now)
{
	if (now || bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > wake_size)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

static __always_inline struct imp_bpf_event *reserve(__u16 kind)
{
	struct short_event *s;

	if (files_only && kind >= IMP_BPF_DLOPEN_ENTER)
		return NULL;
	s = bpf_ringbuf_reserve(&ring, sizeof(*s), 0);
	if (!s) {
		count_lost();
		return NULL;
	}
	fill(&s->e, kind);
	return &s->e;
}

/* A larger record in @e's place, which is given back. NULL: the event was lost. */
static __always_inline struct long_event *enlarge(struct imp_bpf_event *e)
{
	struct long_event *l = bpf_ringbuf_reserve(&ring, sizeof(*l), 0);

	if (l)
		__builtin_memcpy(&l->e, e, sizeof(*e));
	else
		count_lost();
	bpf_ringbuf_discard(e, BPF_RB_NO_WAKEUP);
	return l;
}

/* Text of the program at @from into @e; a long one moves to a larger record. NULL: it was lost. */
static __always_inline struct imp_bpf_event *add_text(struct imp_bpf_event *e, __u64 from)
{
	struct long_event *l;
	long len = bpf_probe_read_user_str(e->text, IMP_BPF_TEXT_SHORT, (void *)from);

	if (len < IMP_BPF_TEXT_SHORT) {
		e->len = len > 0 ? len : 0;
		return e;
	}
	l = enlarge(e);
	if (!l)
		return NULL;
	len = bpf_probe_read_user_str(l->text, IMP_BPF_TEXT_MAX, (void *)from);
	l->e.len = len > 0 ? len : 0;
	return &l->e;
}

static __always_inline struct thread *current_thread(bool make)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct thread *t = bpf_map_lookup_elem(&threads, &tid);

	if (t || !make)
		return t;
	/* On the stack there is no room for it: an element of the map's own zeroes is copied. */
	static const struct thread fresh = {};

	bpf_map_update_elem(&threads, &tid, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&threads, &tid);
}

static __always_inline void go_in(struct process *p, struct thread *t)
{
	t->inside++;
	__sync_fetch_and_add(&p->inside, 1);
}

static __always_inline void come_out(struct process *p, struct thread *t)
{
	if (!t->inside)
		return;
	t->inside--;
	__sync_fetch_and_add(&p->inside, -1);
}

#endif
