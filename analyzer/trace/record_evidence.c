/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record_build.h"

#include <limits.h>

/* What the recorder kept beside a failure: files, native stacks, exceptions of native code. */

#define NEW(b, type) ((type *)imp_arena_alloc(&(b)->r->arena, sizeof(type)))

static bool take_part(struct imp_cbor_in *in, uint32_t *value)
{
	struct imp_cbor_item one;
	uint64_t number;

	if (!imp_cbor_get(in, &one) || !imp_cbor_to_uint(&one, &number) || number > UINT32_MAX)
		return false;
	*value = (uint32_t)number;
	return true;
}

static void take_links(struct imp_builder *b, const struct imp_event *ev, struct imp_file_facts *f)
{
	const struct imp_cbor_item *list = imp_event_get(ev, IMP_KEY_LINKS);
	struct imp_cbor_in in, parts;
	struct imp_cbor_item one, path, target;
	struct imp_file_link *link;

	if (!list || list->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(list);
	while (imp_cbor_get(&in, &one)) {
		parts = imp_cbor_enter(&one);
		if (one.type != IMP_CBOR_ARRAY || !imp_cbor_get(&parts, &path) ||
		    !imp_cbor_get(&parts, &target))
			continue;
		link = imp_vec_push(&b->r->arena, &f->links);
		link->path = imp_build_item_text(b, ev, &path);
		link->target = imp_build_item_text(b, ev, &target);
		if (!link->path || !link->target)
			f->links.n--;
	}
}

static void take_directories(struct imp_builder *b, const struct imp_event *ev,
			     struct imp_file_facts *f)
{
	const struct imp_cbor_item *list = imp_event_get(ev, IMP_KEY_DIRECTORIES);
	struct imp_cbor_in in, parts;
	struct imp_file_directory *dir;
	struct imp_cbor_item one, path;

	if (!list || list->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(list);
	while (imp_cbor_get(&in, &one)) {
		parts = imp_cbor_enter(&one);
		if (one.type != IMP_CBOR_ARRAY || !imp_cbor_get(&parts, &path))
			continue;
		dir = imp_vec_push(&b->r->arena, &f->directories);
		dir->path = imp_build_item_text(b, ev, &path);
		if (!dir->path || !take_part(&parts, &dir->mode) || !take_part(&parts, &dir->uid) ||
		    !take_part(&parts, &dir->gid))
			f->directories.n--;
	}
}

static void take_mount(const struct imp_event *ev, struct imp_file_facts *f)
{
	const struct imp_cbor_item *list = imp_event_get(ev, IMP_KEY_MOUNT);
	struct imp_cbor_item flags, type;
	struct imp_cbor_in in;

	if (!list || list->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(list);
	f->mount_known = imp_cbor_get(&in, &flags) && imp_cbor_to_uint(&flags, &f->mount_flags) &&
			 imp_cbor_get(&in, &type) && imp_cbor_to_uint(&type, &f->fs_type);
}

static void take_chunks(struct imp_builder *b, const struct imp_event *ev, struct imp_file_facts *f)
{
	const struct imp_cbor_item *list = imp_event_get(ev, IMP_KEY_CHUNKS);
	struct imp_cbor_item one, offset, bytes;
	struct imp_cbor_in in, parts;
	struct imp_file_chunk *chunk;
	uint64_t at;

	if (!list || list->type != IMP_CBOR_ARRAY)
		return;
	f->read = true;
	in = imp_cbor_enter(list);
	while (imp_cbor_get(&in, &one)) {
		parts = imp_cbor_enter(&one);
		if (one.type != IMP_CBOR_ARRAY || !imp_cbor_get(&parts, &offset) ||
		    !imp_cbor_to_uint(&offset, &at) || !imp_cbor_get(&parts, &bytes) ||
		    bytes.type != IMP_CBOR_BYTES || !bytes.len || at > UINT64_MAX - bytes.len)
			continue;
		chunk = imp_vec_push(&b->r->arena, &f->chunks);
		chunk->offset = at;
		chunk->len = bytes.len;
		chunk->data = (const uint8_t *)imp_arena_strndup(
			&b->r->arena, (const char *)bytes.data, bytes.len);
	}
}

static void take_file(struct imp_builder *b, struct imp_image *image, const struct imp_event *ev)
{
	const char *path = imp_build_text(b, ev, IMP_KEY_TEXT);
	uint64_t err = imp_event_uint(ev, IMP_KEY_ERRNO, 0);
	struct imp_file_facts *f;

	if (!path)
		return;
	f = NEW(b, struct imp_file_facts);
	f->call = imp_event_uint(ev, IMP_KEY_CALL, 0);
	f->path = path;
	f->realpath = imp_build_text(b, ev, IMP_KEY_REALPATH);
	f->err = err <= INT_MAX ? (int)err : 0;
	imp_build_stat(imp_event_get(ev, IMP_KEY_STAT), &f->stat);
	take_links(b, ev, f);
	take_directories(b, ev, f);
	take_mount(ev, f);
	take_chunks(b, ev, f);
	f->limit_as = imp_event_uint(ev, IMP_KEY_LIMIT_AS, 0);
	f->thread = ev->thread;
	f->time_ns = ev->time_ns;
	*imp_vec_push(&b->r->arena, &image->files) = f;
}

static void take_frames(struct imp_builder *b, const struct imp_event *ev, struct imp_code_list *out)
{
	const struct imp_cbor_item *list = imp_event_get(ev, IMP_KEY_FRAMES);
	struct imp_cbor_item one, object, offset;
	struct imp_cbor_in in, parts;
	struct imp_code_place place;

	if (!list || list->type != IMP_CBOR_ARRAY)
		return;
	in = imp_cbor_enter(list);
	while (imp_cbor_get(&in, &one)) {
		parts = imp_cbor_enter(&one);
		if (one.type == IMP_CBOR_ARRAY && imp_cbor_get(&parts, &object) &&
		    imp_cbor_to_uint(&object, &place.object) && imp_cbor_get(&parts, &offset) &&
		    imp_cbor_to_uint(&offset, &place.offset))
			*imp_vec_push(&b->r->arena, out) = place;
	}
}

static struct imp_attempt *attempt_of(const struct imp_image_state *s, const struct imp_event *ev)
{
	return imp_open_get(&s->attempts, imp_event_uint(ev, IMP_KEY_IMPORT, 0));
}

static void take_stack(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	struct imp_native_stack *stack = NEW(b, struct imp_native_stack);

	stack->call = imp_event_uint(ev, IMP_KEY_CALL, 0);
	stack->attempt = attempt_of(s, ev);
	take_frames(b, ev, &stack->frames);
	stack->thread = ev->thread;
	stack->time_ns = ev->time_ns;
	*imp_vec_push(&b->r->arena, &s->image->native_stacks) = stack;
}

static void take_raised(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	struct imp_raised *raised = NEW(b, struct imp_raised);

	raised->exception_class = imp_build_text(b, ev, IMP_KEY_TEXT);
	raised->attempt = attempt_of(s, ev);
	take_frames(b, ev, &raised->frames);
	raised->thread = ev->thread;
	raised->time_ns = ev->time_ns;
	*imp_vec_push(&b->r->arena, &s->image->raised) = raised;
}

bool imp_build_evidence(struct imp_builder *b, struct imp_image_state *s, const struct imp_event *ev)
{
	switch (ev->kind) {
	case IMP_EV_FILE: take_file(b, s->image, ev); return true;
	case IMP_EV_NATIVE_STACK: take_stack(b, s, ev); return true;
	case IMP_EV_RAISED: take_raised(b, s, ev); return true;
	default: return false;
	}
}
