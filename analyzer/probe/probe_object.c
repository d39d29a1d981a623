/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_image.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../elf/elf_image.h"
#include "../host/host.h"
#include "probe_kernel.h"

/* A file that was looked at: which has probes in it now, or is known to have no place for any. */
struct imp_probe_file {
	struct imp_probe_file *next;
	dev_t dev;
	ino_t ino;
	struct imp_probe_target target;
	bool attached;
};

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- files and their probes ---------------------------------------------------------------------- */

const struct imp_probe_target *imp_probe_file_attach(struct imp_probe_session *s, const char *path,
						     const char *name)
{
	struct imp_probe_file *file;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	for (file = s->files; file; file = file->next)
		if (file->dev == st.st_dev && file->ino == st.st_ino)
			return file->attached ? &file->target : NULL;
	file = imp_arena_alloc(&s->arena, sizeof(*file));
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file->next = s->files;
	s->files = file;
	if (imp_probe_target_read(&file->target, &s->arena, path, name) == 0 &&
	    (file->target.has_libc || file->target.has_python))
		file->attached = imp_probe_kernel_attach(s->kernel, path, &file->target, NULL) > 0;
	return file->attached ? &file->target : NULL;
}

/* ---- what a command is going to run -------------------------------------------------------------- */

/* A needed library of @exe, where the usual places have it: the others are found when they are mapped. */
static void attach_needed(struct imp_probe_session *s, const struct imp_elf_image *img,
			  const char *exe, const char *name)
{
	static const char *const usual[] = {"/lib/x86_64-linux-gnu",
					    "/usr/lib/x86_64-linux-gnu",
					    "/lib/aarch64-linux-gnu",
					    "/usr/lib/aarch64-linux-gnu",
					    "/usr/local/lib",
					    "/lib64",
					    "/usr/lib64",
					    "/lib",
					    "/usr/lib"};
	const char *runpath = img->runpath ? img->runpath : img->rpath;
	char path[2 * PATH_MAX], origin[PATH_MAX];
	int len = (int)(last_part(exe) - exe), part;

	snprintf(origin, sizeof(origin), "%.*s", len > 1 ? len - 1 : len, exe);
	for (const char *at = runpath; at && *at; at += part + (at[part] == ':')) {
		part = (int)strcspn(at, ":");
		if (strncmp(at, "$ORIGIN", 7) == 0)
			snprintf(path, sizeof(path), "%s%.*s/%s", origin, part - 7, at + 7, name);
		else
			snprintf(path, sizeof(path), "%.*s/%s", part, at, name);
		if (imp_probe_file_attach(s, path, name))
			return;
	}
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", usual[i], name);
		if (imp_probe_file_attach(s, path, name))
			return;
	}
}

static bool find_in_path(const char *name, char *out, size_t size)
{
	const char *list = getenv("PATH");

	if (strchr(name, '/'))
		return (size_t)snprintf(out, size, "%s", name) < size && access(out, X_OK) == 0;
	for (size_t len; list && *list; list += len + (list[len] == ':')) {
		len = strcspn(list, ":");
		if ((size_t)snprintf(out, size, "%.*s/%s", (int)len, list, name) < size &&
		    access(out, X_OK) == 0)
			return true;
	}
	return false;
}

static void attach_program(struct imp_probe_session *s, const char *program, int depth);

/* "#!/usr/bin/env python3": the interpreter, or what env is to look for */
static void attach_script(struct imp_probe_session *s, const char *path, int depth)
{
	char line[256], *word, *next;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	word = strtok_r(line + 2, " \t", &next);
	if (!word)
		return;
	if (!strcmp(last_part(word), "env"))
		while ((word = strtok_r(NULL, " \t", &next)) && (*word == '-' || strchr(word, '=')))
			;
	if (word && depth < 4)
		attach_program(s, word, depth + 1);
}

static void attach_program(struct imp_probe_session *s, const char *program, int depth)
{
	const struct imp_host host = {.enabled = true};
	char found[PATH_MAX], path[PATH_MAX];
	struct imp_elf_image img;

	if (!find_in_path(program, found, sizeof(found)) || !realpath(found, path))
		return;
	if (imp_elf_image_open(&img, &s->arena, &host, path, NULL) < 0)
		return;
	if (img.kind != IMP_ELF_OBJECT) {
		attach_script(s, path, depth);
		return;
	}
	if (imp_probe_target_wanted(last_part(path)))
		imp_probe_file_attach(s, path, last_part(path));
	for (size_t i = 0; i < img.needed.n; i++)
		if (imp_probe_target_wanted(img.needed.v[i]))
			attach_needed(s, &img, path, img.needed.v[i]);
}

void imp_probe_command_attach(struct imp_probe_session *s, char **command)
{
	static const char *const usual[] = {"python3", "python"};

	attach_program(s, command[0], 0);
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		attach_program(s, usual[i], 3);
}

/* ---- what a process maps ------------------------------------------------------------------------- */

const struct imp_probe_object *imp_probe_object_at(struct imp_probe_image *image, uint64_t address)
{
	for (size_t i = image->n_objects; i-- > 0;)
		if (address - image->objects[i].address < image->objects[i].size)
			return &image->objects[i];
	return NULL;
}

const struct imp_probe_object *imp_probe_object_named(struct imp_probe_image *image,
						      const char *path)
{
	for (size_t i = image->n_objects; i-- > 0;)
		if (!strcmp(image->objects[i].path, path))
			return &image->objects[i];
	return NULL;
}

static void write_object(struct imp_probe_image *image, const struct imp_probe_object *o,
			 uint64_t time_ns, pid_t tid)
{
	struct imp_cbor *c = imp_probe_stream_begin(&image->stream, IMP_EV_OBJECT, time_ns, tid);

	imp_probe_put_uint(c, IMP_KEY_OBJECT, o->number);
	/* The program itself has no name, as in the link map. */
	imp_probe_put_text(c, IMP_KEY_TEXT, o->number == 1 ? "" : o->path);
	imp_probe_put_uint(c, IMP_KEY_ADDRESS, o->address);
	imp_probe_put_uint(c, IMP_KEY_SIZE, o->size);
	imp_probe_stream_end(&image->stream);
}

/* A new object; its probes, and whether it is a Python, are looked after. */
static struct imp_probe_object *add_object(struct imp_probe_session *s,
					   struct imp_probe_image *image, const char *path,
					   uint64_t start, uint64_t size)
{
	const struct imp_probe_target *target = NULL;
	struct imp_probe_object *grown, *o;
	size_t cap = image->cap_objects ? 2 * image->cap_objects : 64;
	char real[PATH_MAX];

	if (image->n_objects == image->cap_objects) {
		grown = realloc(image->objects, cap * sizeof(*grown));
		if (!grown)
			return NULL;
		image->objects = grown;
		image->cap_objects = cap;
	}
	o = &image->objects[image->n_objects];
	o->path = strdup(path);
	if (!o->path)
		return NULL;
	o->number = ++image->n_objects;
	o->address = start;
	o->size = size;
	if (imp_probe_target_wanted(last_part(path)) &&
	    imp_probe_image_path(image, path, real, sizeof(real)))
		target = imp_probe_file_attach(s, real, last_part(path));
	if (target && target->has_python) {
		image->python = target;
		free(image->python_path);
		image->python_path = strdup(path);
	}
	return o;
}

void imp_probe_objects_read(struct imp_probe_session *s, struct imp_probe_image *image,
			    uint64_t time_ns, pid_t tid)
{
	char name[64], *line = NULL, *path;
	size_t room = 0, old = image->n_objects;
	struct imp_probe_object *o = NULL;
	unsigned long start, end, offset;
	char flags[8];
	FILE *maps;
	int at;

	image->maps_changed = false;
	snprintf(name, sizeof(name), "/proc/%d/maps", (int)image->pid);
	maps = fopen(name, "re");
	if (!maps)
		return;
	while (getline(&line, &room, maps) > 0) {
		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %n", &start, &end, flags, &offset, &at) <
		    4)
			continue;
		path = line + at;
		path[strcspn(path, "\n")] = '\0';
		if (path[0] != '/')
			continue;
		if (o && !strcmp(o->path, path)) { /* another segment of the same one */
			if (o->number > old)
				o->size = end - o->address;
			continue;
		}
		o = NULL;
		/* Data files and archives are mapped too: an object begins with its headers. */
		if (offset != 0 || !(strstr(path, ".so") || !image->n_objects ||
				     imp_probe_target_wanted(last_part(path))))
			continue;
		if (!imp_probe_object_named(image, path))
			o = add_object(s, image, path, start, end - start);
	}
	free(line);
	fclose(maps);
	for (size_t i = old; i < image->n_objects && s->alone; i++)
		write_object(image, &image->objects[i], time_ns, tid);
}

void imp_probe_take_map(struct imp_probe_session *s, struct imp_probe_image *image,
			struct imp_probe_thread *t, const struct imp_bpf_event *e)
{
	uint64_t offset = e->result > 0 ? (uint64_t)e->result : 0;
	const char *path =
		t->opened.path && t->opened.fd == (int)(uint32_t)e->c ? t->opened.path : NULL;
	struct imp_probe_object *o;
	struct imp_cbor *c;

	if (path && strcmp(last_part(path), e->len ? e->text : "") != 0 && path[0] == '/' &&
	    !strchr(path, ':'))
		path = imp_probe_target_wanted(e->text) ?
			       NULL :
			       path; /* a link to it: the name asked for stays */
	if (t->n || !s->alone) { /* what is mapped at the start belongs to no import and no dlopen */
		c = imp_probe_stream_begin(&image->stream, IMP_EV_KERNEL_MAP, e->time_ns,
					   (pid_t)e->tid);
		imp_probe_put_text(c, IMP_KEY_TEXT, path ? path : e->len ? e->text : "");
		imp_probe_put_uint(c, IMP_KEY_ADDRESS, e->result < 0 ? 0 : e->a);
		imp_probe_put_uint(c, IMP_KEY_SIZE, e->b);
		if (e->result < 0)
			imp_probe_put_uint(c, IMP_KEY_ERRNO, (uint64_t)-e->result);
		imp_probe_stream_end(&image->stream);
	}
	if (e->result < 0)
		return;
	if (imp_probe_target_wanted(e->len ? e->text : "")) {
		imp_probe_objects_read(s, image, e->time_ns,
				       (pid_t)e->tid); /* now: it may be used at once */
	} else if (path && path[0] == '/' && !imp_probe_object_named(image, path) &&
		   image->n_objects) {
		o = add_object(s, image, path, e->a - offset, e->b + offset);
		if (o && s->alone)
			write_object(image, o, e->time_ns, (pid_t)e->tid);
	} else {
		image->maps_changed = true;
	}
}
