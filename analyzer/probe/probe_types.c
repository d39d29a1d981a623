/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_types.h"

#if IMP_HAVE_BPF

#include <bpf/btf.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "../base/fd.h"

#define FIELDS_MAX  32 /* of one structure that are copied */
#define WANTED_MAX  64
#define NESTING_MAX 8

struct copy {
	struct btf *to;
	const struct btf *kernel, *wanted;
};

struct field {
	const char *name;
	int type;
	uint32_t bit_offset;
};

struct fields {
	struct field v[FIELDS_MAX];
	size_t n;
};

static const struct btf_type *resolve(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	for (int i = 0; t && i < 32 && (btf_is_mod(t) || btf_is_typedef(t)); i++)
		t = btf__type_by_id(btf, t->type);
	return t;
}

static const struct btf_member *member_named(const struct btf *btf, const struct btf_type *t,
					     const char *name)
{
	const struct btf_member *m = btf_members(t);

	for (int i = 0; i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, m[i].name_off), name))
			return &m[i];
	return NULL;
}

static int copy_struct(struct copy *c, const struct btf_type *t, const struct btf_type *wanted,
		       const char *name, int depth);

/* What a pointer points to does not matter. Returns the new type's number, or a negative errno. */
static int copy_type(struct copy *c, const struct btf_type *t, const struct btf_type *wanted,
		     int depth)
{
	if (!t || !wanted)
		return -EINVAL;
	if (btf_is_ptr(t))
		return btf__add_ptr(c->to, 0);
	if (btf_is_int(t))
		return btf__add_int(c->to, btf__name_by_offset(c->kernel, t->name_off), t->size,
				    btf_int_encoding(t));
	if (btf_is_composite(t) && btf_is_composite(wanted))
		return copy_struct(c, t, wanted, "", depth + 1);
	return -EINVAL;
}

/* Fields of @t, and of what has no name in it, that @wanted has too. */
static void add_fields(struct copy *c, struct fields *fields, const struct btf_type *t,
		       const struct btf_type *wanted, uint32_t base, int depth)
{
	const struct btf_member *m = btf_members(t), *same;

	for (int i = 0; i < btf_vlen(t) && depth < NESTING_MAX; i++) {
		const char *name = btf__name_by_offset(c->kernel, m[i].name_off);
		const struct btf_type *type;
		int id;

		if (btf_member_bitfield_size(t, (uint32_t)i))
			continue;
		same = *name ? member_named(c->wanted, wanted, name) : NULL;
		if (*name && !same)
			continue;
		type = resolve(c->kernel, m[i].type);
		if (!same) {
			if (type && btf_is_composite(type))
				add_fields(c, fields, type, wanted,
					   base + btf_member_bit_offset(t, (uint32_t)i), depth + 1);
			continue;
		}
		id = copy_type(c, type, resolve(c->wanted, same->type), depth);
		if (id > 0 && fields->n < FIELDS_MAX)
			fields->v[fields->n++] = (struct field){
				name, id, base + btf_member_bit_offset(t, (uint32_t)i)};
	}
}

static int copy_struct(struct copy *c, const struct btf_type *t, const struct btf_type *wanted,
		       const char *name, int depth)
{
	struct fields fields = {.n = 0};
	int id, ret = 0;

	if (depth >= NESTING_MAX)
		return -ELOOP;
	add_fields(c, &fields, t, wanted, 0, depth);
	id = btf__add_struct(c->to, name, t->size);
	for (size_t i = 0; i < fields.n && id > 0 && ret == 0; i++)
		ret = btf__add_field(c->to, fields.v[i].name, fields.v[i].type,
				     fields.v[i].bit_offset, 0);
	return ret < 0 ? ret : id;
}

int imp_probe_types_copy(struct btf *to, const struct btf *kernel, const struct btf *wanted_btf)
{
	struct copy copy = {.to = to, .kernel = kernel, .wanted = wanted_btf}, *c = &copy;
	const struct btf_type *wanted[WANTED_MAX], *t;
	const char *names[WANTED_MAX], *name;
	size_t n = 0;
	int ret = 0;

	for (uint32_t id = 1; id < btf__type_cnt(c->wanted) && n < WANTED_MAX; id++) {
		t = btf__type_by_id(c->wanted, id);
		if (!t || !btf_is_struct(t) || !t->name_off)
			continue;
		wanted[n] = t;
		names[n++] = btf__name_by_offset(c->wanted, t->name_off);
	}
	for (uint32_t id = 1, end = btf__type_cnt(c->kernel); id < end && ret >= 0; id++) {
		t = btf__type_by_id(c->kernel, id);
		if (!t || !btf_is_struct(t) || !t->name_off)
			continue;
		name = btf__name_by_offset(c->kernel, t->name_off);
		for (size_t i = 0; i < n && ret >= 0; i++)
			if (*names[i] == *name && !strcmp(names[i], name))
				ret = copy_struct(c, t, wanted[i], name, 0);
	}
	return ret < 0 ? ret : 0;
}

int imp_probe_types_write(const struct btf *wanted, int fd)
{
	struct btf *kernel = btf__load_vmlinux_btf(), *to;
	const void *data;
	uint32_t len = 0;
	int ret;

	if (!kernel)
		return errno ? -errno : -ENOENT;
	to = btf__new_empty();
	ret = to ? imp_probe_types_copy(to, kernel, wanted) : -ENOMEM;
	if (ret == 0) {
		data = btf__raw_data(to, &len);
		ret = data ? imp_fd_write(fd, data, len) : -ENOMEM;
	}
	btf__free(to);
	btf__free(kernel);
	return ret;
}

#else
typedef int imp_probe_types_unused; /* built without probes: ISO C wants a declaration */
#endif
