/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_import.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ENV_BYTES_MAX  32768
#define ARGV_BYTES_MAX 16384
#define THREADS_MAX    4096 /* of one process that import; more share the last one's place */

/* ---- the table ----------------------------------------------------------------------------------- */

struct imp_probe_image *imp_probe_image_get(struct imp_probe_session *s, pid_t pid)
{
	struct imp_probe_image **at, *image;

	for (at = &s->images; (image = *at); at = &image->next)
		if (image->pid == pid) {
			*at = image->next; /* the one that is used is in front */
			image->next = s->images;
			s->images = image;
			return image;
		}
	return NULL;
}

static bool same_root(pid_t pid)
{
	char path[64], ours[64], theirs[64];
	ssize_t a, b;
	struct stat x, y;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	a = readlink("/proc/self/ns/mnt", ours, sizeof(ours));
	b = readlink(path, theirs, sizeof(theirs));
	if (a <= 0 || a != b || memcmp(ours, theirs, (size_t)a) != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/root/.", (int)pid);
	return stat("/", &x) == 0 && stat(path, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

struct imp_probe_image *imp_probe_image_new(struct imp_probe_session *s, pid_t pid,
					    uint64_t image_ns, enum imp_start how)
{
	struct imp_probe_image *image = calloc(1, sizeof(*image));
	char path[64];

	if (!image)
		return NULL;
	image->pid = pid;
	image->image_ns = image_ns;
	image->how = how;
	imp_probe_stream_init(&image->stream, &s->sink, pid, image_ns);
	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	image->alive = access(path, F_OK) == 0;
	image->our_root = image->alive && same_root(pid);
	image->next = s->images;
	s->images = image;
	return image;
}

void imp_probe_exception_clear(struct imp_probe_exception *e)
{
	free(e->type);
	free(e->message);
	free(e->name);
	free(e->path);
	memset(e, 0, sizeof(*e));
}

static char *copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

void imp_probe_exception_copy(struct imp_probe_exception *to, const struct imp_probe_exception *from)
{
	struct imp_probe_exception fresh = {
		.id = from->id,
		.type = copy(from->type),
		.message = copy(from->message),
		.name = copy(from->name),
		.path = copy(from->path),
	};

	imp_probe_exception_clear(to);
	*to = fresh;
}

void imp_probe_call_clear(struct imp_probe_call *call)
{
	free(call->name);
	free(call->origin);
	free(call->package);
	free(call->extension_path);
	imp_strbuf_clear(&call->dirs);
	imp_strbuf_clear(&call->spaces);
	imp_probe_exception_clear(&call->error);
}

void imp_probe_call_pop(struct imp_probe_thread *t)
{
	imp_probe_call_clear(&t->calls[--t->n]);
}

struct imp_probe_call *imp_probe_call_push(struct imp_probe_thread *t)
{
	struct imp_probe_call *grown;
	size_t cap = t->cap ? 2 * t->cap : 16;

	if (t->n == t->cap) {
		grown = realloc(t->calls, cap * sizeof(*grown));
		if (!grown)
			return NULL;
		t->calls = grown;
		t->cap = cap;
	}
	memset(&t->calls[t->n], 0, sizeof(*t->calls));
	return &t->calls[t->n++];
}

struct imp_probe_call *imp_probe_call_import(struct imp_probe_thread *t)
{
	for (size_t i = t->n; i-- > 0;)
		if (!t->calls[i].is_dlopen)
			return &t->calls[i];
	return NULL;
}

size_t imp_probe_call_imports(const struct imp_probe_thread *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += !t->calls[i].is_dlopen;
	return n;
}

struct imp_probe_call *imp_probe_call_outer(struct imp_probe_thread *t)
{
	const struct imp_probe_call *inner = imp_probe_call_import(t);

	for (size_t i = inner ? (size_t)(inner - t->calls) : 0; i-- > 0;)
		if (!t->calls[i].is_dlopen)
			return &t->calls[i];
	return NULL;
}

struct imp_probe_thread *imp_probe_thread_get(struct imp_probe_image *image, pid_t tid)
{
	struct imp_probe_thread *t;
	size_t n = 0;

	for (t = image->threads; t; t = t->next, n++)
		if (t->tid == tid || n == THREADS_MAX)
			return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->tid = tid;
	t->next = image->threads;
	image->threads = t;
	return t;
}

static void free_thread(struct imp_probe_thread *t)
{
	while (t->n)
		imp_probe_call_pop(t);
	free(t->calls);
	free(t->failed.name);
	free(t->opened.path);
	while (t->n_waiting)
		imp_probe_call_clear(&t->waiting[--t->n_waiting]);
	free(t->waiting);
	imp_probe_exception_clear(&t->last);
	free(t);
}

void imp_probe_image_free(struct imp_probe_session *s, struct imp_probe_image *image)
{
	struct imp_probe_image **at;
	struct imp_probe_thread *t;

	for (at = &s->images; *at; at = &(*at)->next)
		if (*at == image) {
			*at = image->next;
			break;
		}
	for (t = image->threads; t; t = t->next)
		imp_probe_outcome_settle(image, t);
	imp_probe_stream_flush(&image->stream);
	s->lost_told += image->stream.lost;
	imp_probe_stream_clear(&image->stream);
	while ((t = image->threads)) {
		image->threads = t->next;
		free_thread(t);
	}
	for (size_t i = 0; i < image->n_objects; i++)
		free(image->objects[i].path);
	free(image->objects);
	free(image->argv);
	free(image->python_path);
	free(image->stdlib);
	imp_strbuf_clear(&image->sys_path);
	imp_strbuf_clear(&image->sys_path_written);
	imp_probe_modules_clear(&image->imported);
	imp_strbuf_clear(&image->listed);
	free(image);
}

bool imp_probe_image_path(const struct imp_probe_image *image, const char *path, char *out,
			  size_t size)
{
	char root[64];

	if (path[0] != '/')
		return false;
	snprintf(root, sizeof(root), "/proc/%d/root", (int)image->pid);
	/* Of a process that has ended, only what lies in our own root can be looked at. */
	if (access(root, F_OK) == 0 && !image->our_root)
		return (size_t)snprintf(out, size, "%s%s", root, path) < size;
	return image->our_root && (size_t)snprintf(out, size, "%s", path) < size;
}

/* ---- IMP_EV_PROCESS ------------------------------------------------------------------------------ */

static void read_proc(pid_t pid, const char *what, struct imp_strbuf *to)
{
	char path[64], buf[4096];
	ssize_t n;
	int fd;

	to->limit = 1 << 20;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	while ((n = read(fd, buf, sizeof(buf))) > 0 && !to->cut)
		imp_strbuf_add(to, buf, (size_t)n);
	close(fd);
}

static void put_link(struct imp_cbor *c, unsigned int key, pid_t pid, const char *what)
{
	char path[64], target[4096];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	len = readlink(path, target, sizeof(target));
	if (len > 0)
		imp_probe_put_bytes(c, key, target, (size_t)len);
}

static void put_words(struct imp_cbor *c, const char *data, size_t len, size_t max,
		      bool (*wanted)(const char *))
{
	size_t start = c->len, n;

	imp_cbor_array_begin(c);
	for (const char *end = data + len; data < end; data += n + 1) {
		n = strnlen(data, (size_t)(end - data));
		if (wanted && !wanted(data))
			continue;
		if (c->len - start + n > max) {
			imp_probe_value(c, IMP_TEXT_CUT, strlen(IMP_TEXT_CUT));
			break;
		}
		imp_probe_value(c, data, n);
	}
	imp_cbor_array_end(c);
}

void imp_probe_image_put_exe(struct imp_cbor *c, const struct imp_probe_image *image)
{
	put_link(c, IMP_KEY_EXE, image->pid, "exe");
}

void imp_probe_image_put_argv(struct imp_cbor *c, const char *data, size_t len)
{
	put_words(c, data, len, ARGV_BYTES_MAX, NULL);
}

/* The same as the recorder keeps: preload/process_event.c */
static bool env_wanted(const char *variable)
{
	static const char *const allowed[] = {"PATH",	 "PYTHON*", "VIRTUAL_ENV",
					      "CONDA_*", "LD_*",    "HOME"};

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		size_t len = strcspn(allowed[i], "*");

		if (strncmp(variable, allowed[i], len) == 0 &&
		    (allowed[i][len] == '*' || variable[len] == '='))
			return true;
	}
	return false;
}

/* /proc/PID/status: "Uid:\t1000\t1000\t1000\t1000": real, effective */
static bool status_numbers(const struct imp_strbuf *status, const char *field, unsigned int *a,
			   unsigned int *b)
{
	const char *at = status->len ? strstr(status->s, field) : NULL;

	return at && sscanf(at + strlen(field), "%u %u", a, b) >= 1;
}

static void put_host(struct imp_cbor *c, const struct imp_probe_image *image)
{
	char boot_id[40] = "", path[64];
	struct utsname name;
	struct stat st;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, boot_id, sizeof(boot_id) - 1) < 0)
		boot_id[0] = '\0';
	if (fd >= 0)
		close(fd);
	memset(&st, 0, sizeof(st));
	snprintf(path, sizeof(path), "/proc/%d/root/.", (int)image->pid);
	if (stat(path, &st) < 0 && stat("/", &st) < 0)
		memset(&st, 0, sizeof(st));
	if (uname(&name) == 0) {
		imp_cbor_uint(c, IMP_KEY_MACHINE);
		imp_cbor_array_begin(c);
		imp_probe_value(c, name.machine, strlen(name.machine));
		imp_probe_value(c, name.release, strlen(name.release));
		imp_cbor_array_end(c);
	}
	imp_cbor_uint(c, IMP_KEY_HOST);
	imp_cbor_array_begin(c);
	imp_probe_value(c, boot_id, strcspn(boot_id, "\n"));
	imp_cbor_uint(c, st.st_dev);
	imp_cbor_uint(c, st.st_ino);
	imp_cbor_array_end(c);
}

void imp_probe_image_describe(struct imp_probe_session *s, struct imp_probe_image *image)
{
	struct imp_strbuf status = {0}, environ_ = {0}, words = {0};
	unsigned int uid = 0, euid = 0, gid = 0, egid = 0, ppid = 0, none;
	struct imp_cbor *c;

	if (image->described || !s->alone)
		return;
	image->described = true;
	read_proc(image->pid, "status", &status);
	read_proc(image->pid, "environ", &environ_);
	if (!image->argv)
		read_proc(image->pid, "cmdline", &words);
	c = imp_probe_stream_begin(&image->stream, IMP_EV_PROCESS, image->image_ns, image->pid);
	imp_probe_put_uint(c, IMP_KEY_HOW, image->how);
	if (!image->ppid && status_numbers(&status, "\nPPid:", &ppid, &none))
		image->ppid = (pid_t)ppid;
	imp_probe_put_uint(c, IMP_KEY_PPID, (uint64_t)image->ppid);
	if (image->parent_image_ns)
		imp_probe_put_uint(c, IMP_KEY_PARENT_IMAGE_NS, image->parent_image_ns);
	imp_probe_image_put_exe(c, image);
	imp_cbor_uint(c, IMP_KEY_ARGV);
	imp_probe_image_put_argv(c, image->argv ? image->argv : words.s,
				 image->argv ? image->argv_len : words.len);
	put_link(c, IMP_KEY_CWD, image->pid, "cwd");
	if (status_numbers(&status, "\nUid:", &uid, &euid) &&
	    status_numbers(&status, "\nGid:", &gid, &egid)) {
		imp_cbor_uint(c, IMP_KEY_IDS);
		imp_cbor_array_begin(c);
		imp_cbor_uint(c, uid);
		imp_cbor_uint(c, euid);
		imp_cbor_uint(c, gid);
		imp_cbor_uint(c, egid);
		imp_cbor_array_end(c);
	}
	imp_cbor_uint(c, IMP_KEY_ENV);
	put_words(c, environ_.s, environ_.len, ENV_BYTES_MAX, env_wanted);
	imp_probe_put_uint(c, IMP_KEY_PAGE_SIZE, (uint64_t)sysconf(_SC_PAGESIZE));
	put_host(c, image);
	imp_probe_stream_end(&image->stream);
	imp_strbuf_clear(&status);
	imp_strbuf_clear(&environ_);
	imp_strbuf_clear(&words);
}
