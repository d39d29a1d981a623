/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "frame_queue.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../preload/trace_format.h"

#define FRAMES_ALONE 64 /* a thread costs as much as some frames */

int imp_frame_queue_open(struct imp_frame_queue *q, int fd, struct imp_error *err)
{
	struct stat st;

	memset(q, 0, sizeof(*q));
	q->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	return imp_frame_reader_open(&q->reader, fd, err);
}

void imp_frame_queue_close(struct imp_frame_queue *q)
{
	uint8_t *own;
	size_t i;

	if (q->running) {
		pthread_mutex_lock(&q->lock);
		q->stop = true;
		pthread_cond_signal(&q->changed);
		pthread_mutex_unlock(&q->lock);
		pthread_join(q->thread, NULL);
		pthread_cond_destroy(&q->changed);
		pthread_mutex_destroy(&q->lock);
	}
	own = q->reader.out; /* one of the slots', where there are any */
	for (i = 0; i < IMP_QUEUE_SLOTS; i++)
		if (q->slots[i].data != own)
			free(q->slots[i].data);
	imp_frame_reader_close(&q->reader);
	memset(q, 0, sizeof(*q));
}

static void *read_ahead(void *data)
{
	struct imp_frame_queue *q = data;
	struct imp_queue_slot *slot;

	for (;;) {
		pthread_mutex_lock(&q->lock);
		while (q->n == IMP_QUEUE_SLOTS && !q->stop)
			pthread_cond_wait(&q->changed, &q->lock);
		if (q->stop) {
			pthread_mutex_unlock(&q->lock);
			return NULL;
		}
		slot = &q->slots[(q->first + q->n) % IMP_QUEUE_SLOTS];
		pthread_mutex_unlock(&q->lock);

		q->reader.out = slot->data;
		slot->ret = imp_frame_reader_next(&q->reader, &slot->frame, &slot->err);
		slot->offset = q->reader.offset;

		pthread_mutex_lock(&q->lock);
		if (!q->n++)
			pthread_cond_signal(&q->changed);
		pthread_mutex_unlock(&q->lock);
		if (slot->ret < 0 || slot->frame.kind == IMP_FRAME_END)
			return NULL;
	}
}

/* Where anything of it fails, the frames are read as before. */
static void start(struct imp_frame_queue *q)
{
	cpu_set_t cpus;
	size_t i;

	q->failed = true;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) < 2)
		return;
	q->slots[0].data = q->reader.out;
	for (i = 1; i < IMP_QUEUE_SLOTS; i++) {
		q->slots[i].data = malloc(IMP_BATCH_MAX);
		if (!q->slots[i].data)
			return;
	}
	if (pthread_mutex_init(&q->lock, NULL))
		return;
	if (pthread_cond_init(&q->changed, NULL)) {
		pthread_mutex_destroy(&q->lock);
		return;
	}
	if (pthread_create(&q->thread, NULL, read_ahead, q)) {
		pthread_cond_destroy(&q->changed);
		pthread_mutex_destroy(&q->lock);
		return;
	}
	q->running = true;
}

int imp_frame_queue_next(struct imp_frame_queue *q, struct imp_zframe *f, struct imp_error *err)
{
	struct imp_queue_slot *slot;
	int ret;

	if (q->regular && !q->running && !q->failed && ++q->frames > FRAMES_ALONE)
		start(q);
	if (!q->running) {
		ret = imp_frame_reader_next(&q->reader, f, err);
		q->offset = q->reader.offset;
		return ret;
	}
	pthread_mutex_lock(&q->lock);
	if (q->taken) {
		q->first = (q->first + 1) % IMP_QUEUE_SLOTS;
		/* Half of them at once: waking the other thread costs more than a frame. */
		if (--q->n == IMP_QUEUE_SLOTS / 2)
			pthread_cond_signal(&q->changed);
	}
	while (!q->n)
		pthread_cond_wait(&q->changed, &q->lock);
	slot = &q->slots[q->first];
	pthread_mutex_unlock(&q->lock);
	/* The last one stays: asked again, it is the end, or the error, again. */
	q->taken = slot->ret == 0 && slot->frame.kind != IMP_FRAME_END;
	q->offset = slot->offset;
	*f = slot->frame;
	if (slot->ret < 0 && err)
		*err = slot->err;
	return slot->ret;
}
