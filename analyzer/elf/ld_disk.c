// SPDX-License-Identifier: GPL-2.0-or-later
#include "ld_disk.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/strbuf.h"
#include "../host/host.h"

#define MADE_UP_DEVICE UINT64_MAX

void imp_ld_disk_init(struct imp_ld_disk *d, struct imp_arena *arena, const struct imp_host *host)
{
	memset(d, 0, sizeof(*d));
	d->arena = arena;
	d->host = host;
	d->paths.arena = arena;
}

void imp_ld_disk_clear(struct imp_ld_disk *d)
{
	imp_interner_clear(&d->paths);
	memset(d, 0, sizeof(*d));
}

/* "//" and "/./" are left out: a path that an entry of a search path begins has them often. */
static uint64_t key(struct imp_ld_disk *d, const char *path)
{
	const char *interned;
	struct imp_strbuf b = {0};
	size_t len;

	if (!strstr(path, "//") && !strstr(path, "/./"))
		return (uintptr_t)imp_intern(&d->paths, path, strlen(path));
	while (*path) {
		if (*path == '/') {
			while (*path == '/' || (path[0] == '.' && path[1] == '/'))
				path++;
			imp_strbuf_puts(&b, "/");
		}
		len = strcspn(path, "/");
		imp_strbuf_add(&b, path, len);
		path += len;
	}
	interned = imp_intern(&d->paths, b.s ? b.s : "", b.len);
	imp_strbuf_clear(&b);
	return (uintptr_t)interned;
}

static struct imp_ld_file *remember(struct imp_ld_disk *d, const char *path)
{
	struct imp_ld_file *f = imp_arena_alloc(d->arena, sizeof(*f));

	imp_id_map_put(d->arena, &d->known, key(d, path), 0, f);
	return f;
}

void imp_ld_disk_record(struct imp_ld_disk *d, const char *path, int err, uint64_t dev,
			uint64_t ino, uint64_t size, const struct imp_elf_chunk *chunks, size_t n)
{
	struct imp_ld_file *f = remember(d, path);
	struct imp_elf_bytes bytes;

	f->err = err;
	if (err < 0)
		return;
	f->dev = ino ? dev : MADE_UP_DEVICE;
	f->ino = ino ? ino : ++d->made_up;
	if (!n && size)
		return;
	imp_elf_bytes_recorded(&bytes, d->arena, size, chunks, n);
	f->image = imp_arena_alloc(d->arena, sizeof(*f->image));
	imp_elf_image_read(f->image, &bytes);
	imp_id_map_put(d->arena, &d->images, f->dev, f->ino, f->image);
}

/* ---- the disk -------------------------------------------------------------------------------------- */

/*
 * We may be somebody else than the program was. Its supplementary groups are not known, so that only a
 * refusal to everybody, or to a known owner or group, is one.
 */
static bool allowed(const struct imp_ld_disk *d, const struct stat *st, unsigned int bit)
{
	if (d->uid == 0)
		return true;
	if (st->st_uid == d->uid)
		return st->st_mode & bit << 6;
	if (st->st_gid == d->gid)
		return st->st_mode & bit << 3;
	return st->st_mode & (bit | bit << 3);
}

static bool may_search_parents(const struct imp_ld_disk *d, const char *path)
{
	char *copy = imp_arena_strndup(d->arena, path, strlen(path)), *slash;
	struct stat st;

	for (slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (imp_host_stat(d->host, copy, &st) == 0 && !allowed(d, &st, S_IXOTH))
			return false;
		*slash = '/';
	}
	return true;
}

static int open_error(const struct imp_ld_disk *d, const char *path, const struct stat *st)
{
	/* As ourselves the kernel answers, with access lists and all. */
	if (!d->ids_known || d->uid == (uint32_t)geteuid())
		return access(path, R_OK) < 0 ? -errno : 0;
	return allowed(d, st, S_IROTH) && may_search_parents(d, path) ? 0 : -EACCES;
}

static void look(struct imp_ld_disk *d, const char *path, struct imp_ld_file *f)
{
	struct stat st;

	f->err = imp_host_stat(d->host, path, &st);
	if (f->err == 0)
		f->err = open_error(d, path, &st);
	if (f->err < 0)
		return;
	f->dev = (uint64_t)st.st_dev;
	f->ino = (uint64_t)st.st_ino;
	f->directory = S_ISDIR(st.st_mode);
	if (!S_ISREG(st.st_mode))
		return;
	f->image = imp_id_map_get(&d->images, f->dev, f->ino);
	if (f->image)
		return;
	f->image = imp_arena_alloc(d->arena, sizeof(*f->image));
	if (imp_elf_image_open(f->image, d->arena, d->host, path, NULL) < 0)
		f->image = NULL;
	else
		imp_id_map_put(d->arena, &d->images, f->dev, f->ino, f->image);
}

static void look_up(void *data, const char *path, struct imp_ld_file *file)
{
	struct imp_ld_disk *d = data;
	struct imp_ld_file *f = imp_id_map_get(&d->known, key(d, path), 0);

	if (!f) {
		f = remember(d, path);
		look(d, path, f);
	}
	*file = *f;
}

static int is_directory(void *data, const char *path)
{
	struct imp_ld_disk *d = data;
	uint64_t k = key(d, path);
	uintptr_t known = (uintptr_t)imp_id_map_get(&d->directories, k, 0);
	struct stat st;
	int ret;

	if (known)
		return known == 3 ? -ENODATA : (int)known - 1;
	ret = imp_host_stat(d->host, path, &st);
	ret = ret == -ENODATA ? -ENODATA : ret == 0 && S_ISDIR(st.st_mode);
	imp_id_map_put(d->arena, &d->directories, k, 0, (void *)(uintptr_t)(ret < 0 ? 3 : ret + 1));
	return ret;
}

struct imp_ld_lookup imp_ld_disk_lookup(struct imp_ld_disk *d)
{
	return (struct imp_ld_lookup){.file = look_up, .is_directory = is_directory, .data = d};
}

struct imp_elf_image *imp_ld_disk_image(struct imp_ld_disk *d, const char *path)
{
	struct imp_ld_file f;

	look_up(d, path, &f);
	return f.err == 0 ? f.image : NULL;
}
