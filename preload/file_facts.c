/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "file_facts.h"

#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "elf_chunks.h"
#include "needed_files.h"
#include "raw_syscall.h"
#include "recorder.h"
#include "time_budget.h"

#include "poison.h"

#define BUDGET_NS  1000000
#define RESERVE_NS 250000 /* of it, for compressing and writing what was found */
#define PATH_HALF  (IMP_THREAD_PATH_MAX / 2)
#define LINKS_MAX  40  /* as the kernel */
#define KNOWN	   256 /* a power of two */

/* Bytes of the files that an object needs: all of them, one of several copies, the only one of its name. */
#define NEEDED_TOTAL (96 * 1024)
#define COPY_MAX     (24 * 1024)
#define SINGLE_MAX   (4 * 1024)
#define VALID	     0x20 /* ST_VALID: the kernel's own, not a mount flag */

_Static_assert(IMP_CHUNKS_BUFFER <= IMP_LISTING_MAX, "t->listing holds what is read");

/* Of a file that was recorded: a hash of what it was. Bounded: it may forget. */
static uint64_t known[KNOWN];

struct facts {
	struct imp_thread *t;
	struct imp_cbor *c;
	size_t done_len; /* of the path in the first half of t->path, with no link in it; 0: the root */
	size_t dir_len; /* of its directory, where the walk ended in an error */
	int err;	/* a negative errno: why the file can't be reached */
	struct stat st;
};

static int stat_at(const char *path, struct stat *st, int flags)
{
	return (int)imp_sys(SYS_newfstatat, AT_FDCWD, (long)path, (long)st, flags, 0);
}

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* ---- has it been recorded? ------------------------------------------------------------------------ */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x9e3779b97f4a7c15 >> 7 ^ (hash << 23 ^ value);
}

static bool is_known(const struct facts *f, const char *path)
{
	uint64_t hash = mix(imp_recorder_image_ns(), (uint64_t)-f->err), *place;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 0x100000001b3;
	if (!f->err) {
		hash = mix(hash, f->st.st_dev);
		hash = mix(hash, f->st.st_ino);
		hash = mix(hash, (uint64_t)f->st.st_size);
		hash = mix(hash, (uint64_t)mtime_ns(&f->st));
		hash = mix(hash, (uint64_t)f->st.st_ctim.tv_nsec); /* chmod, chown */
	}
	hash |= 1;
	place = &known[(hash >> 20) % KNOWN];
	return __atomic_exchange_n(place, hash, __ATOMIC_RELAXED) == hash;
}

/* ---- the way to it -------------------------------------------------------------------------------- */

static void put_link(struct facts *f, const char *path, const char *target, size_t len)
{
	imp_cbor_array_begin(f->c);
	imp_value_path(f->c, path, strlen(path));
	imp_value_text(f->c, target, len);
	imp_cbor_array_end(f->c);
}

/*
 * Goes along the path as the kernel does, and puts each symbolic link. Where the links that lead on are of
 * the kernel's own making (/proc/self/fd/3), their text leads nowhere: that is for the caller to know.
 */
static int walk(struct facts *f)
{
	char *done = f->t->path, *rest = f->t->path + PATH_HALF, *p = rest, *target = f->t->text;
	unsigned int links = 0;
	struct stat st;
	long ret;

	f->done_len = 0;
	if (*rest != '/') {
		ret = imp_sys(SYS_getcwd, (long)done, PATH_HALF, 0, 0, 0);
		if (ret < 0)
			return (int)ret;
		f->done_len = ret > 2 ? (size_t)ret - 1 : 0;
	}
	for (;;) {
		size_t len, tail;

		while (*p == '/')
			p++;
		len = strcspn(p, "/");
		if (!len)
			return 0;
		if (len <= 2 && p[0] == '.' && p[len - 1] == '.') {
			while (len == 2 && f->done_len && done[--f->done_len] != '/')
				;
			p += len;
			continue;
		}
		if (f->done_len + len + 2 > PATH_HALF)
			return -ENAMETOOLONG;
		f->dir_len = f->done_len;
		done[f->done_len++] = '/';
		memcpy(done + f->done_len, p, len);
		f->done_len += len;
		done[f->done_len] = '\0';
		ret = stat_at(done, &st, AT_SYMLINK_NOFOLLOW);
		if (ret < 0)
			return (int)ret;
		p += len;
		if (!S_ISLNK(st.st_mode))
			continue;
		if (links++ == LINKS_MAX)
			return -ELOOP;
		ret = imp_sys(SYS_readlinkat, AT_FDCWD, (long)done, (long)target, IMP_TEXT_MAX, 0);
		if (ret < 0)
			return (int)ret;
		put_link(f, done, target, (size_t)ret);
		tail = strlen(p);
		if ((size_t)ret + tail + 1 > PATH_HALF)
			return -ENAMETOOLONG;
		memmove(rest + ret, p, tail + 1);
		memcpy(rest, target, (size_t)ret);
		p = rest;
		f->done_len = *rest == '/' ? 0 : f->dir_len;
	}
}

/* The walk ended in the first directory that may not be searched: those behind it can't be seen. */
static void put_directories(struct facts *f, int walked)
{
	char *path = f->t->path;
	struct stat st = {0};

	imp_put_array(f->c, IMP_KEY_DIRECTORIES);
	if (walked == -EACCES) {
		path[f->dir_len] = '\0';
		if (!f->dir_len)
			strcpy(path, "/");
		if (stat_at(path, &st, 0) == 0) {
			imp_cbor_array_begin(f->c);
			imp_value_text(f->c, path, strlen(path));
			imp_cbor_uint(f->c, st.st_mode);
			imp_cbor_uint(f->c, st.st_uid);
			imp_cbor_uint(f->c, st.st_gid);
			imp_cbor_array_end(f->c);
		}
	}
	imp_cbor_array_end(f->c);
}

/* ---- the file itself ------------------------------------------------------------------------------ */

static void put_stat(struct facts *f)
{
	imp_put_array(f->c, IMP_KEY_STAT);
	imp_cbor_uint(f->c, f->st.st_mode);
	imp_cbor_uint(f->c, f->st.st_uid);
	imp_cbor_uint(f->c, f->st.st_gid);
	imp_cbor_uint(f->c, (uint64_t)f->st.st_size);
	imp_cbor_int(f->c, mtime_ns(&f->st));
	imp_cbor_array_end(f->c);
}

static void put_mount(struct facts *f, const char *path)
{
	struct statfs fs;

	if (imp_sys(SYS_statfs, (long)path, (long)&fs, 0, 0, 0) < 0)
		return;
	imp_put_array(f->c, IMP_KEY_MOUNT);
	imp_cbor_uint(f->c, (uint64_t)fs.f_flags & ~(uint64_t)VALID);
	imp_cbor_uint(f->c, (uint64_t)fs.f_type);
	imp_cbor_array_end(f->c);
}

/*
 * A regular file only, and it may have become something else since: a FIFO would wait for a writer, a
 * device might do anything. Its access time stays where that may be asked for, as it is not ld.so's look.
 */
static int open_file(struct facts *f, const char *path)
{
	const int flags = O_RDONLY | O_NONBLOCK;
	int fd;

	if (!S_ISREG(f->st.st_mode))
		return -EINVAL;
	fd = imp_sys_open(path, flags | O_NOATIME, 0);
	if (fd == -EPERM)
		fd = imp_sys_open(path, flags, 0);
	if (fd >= 0 &&
	    (imp_sys(SYS_fstat, fd, (long)&f->st, 0, 0, 0) < 0 || !S_ISREG(f->st.st_mode))) {
		imp_sys_close(fd);
		return -EINVAL;
	}
	return fd;
}

static void put_limit(struct facts *f)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		imp_put_uint(f->c, IMP_KEY_LIMIT_AS, limit.rlim_cur);
}

/* The path stands in the second half of t->path. Returns false where the file was recorded before. */
static bool record(struct imp_thread *t, uint32_t call, size_t max, struct imp_time_budget *budget)
{
	struct facts f = {.t = t};
	char *path = t->path + PATH_HALF;
	const size_t len = strlen(path);
	int walked, fd;

	f.err = stat_at(path, &f.st, 0);
	if (is_known(&f, path))
		return false;
	f.c = imp_record_begin(t, IMP_EV_FILE);
	imp_put_number(t, IMP_KEY_CALL, call);
	imp_put_path(f.c, IMP_KEY_TEXT, path, len);
	imp_put_array(f.c, IMP_KEY_LINKS);
	walked = walk(&f);
	imp_cbor_array_end(f.c);
	if (!walked)
		imp_put_path(f.c, IMP_KEY_REALPATH, f.done_len ? t->path : "/",
			     f.done_len ? f.done_len : 1);
	/* Before it ends the path at that directory. */
	fd = f.err < 0 || walked < 0 ? -EINVAL : open_file(&f, f.done_len ? t->path : "/");
	if (f.err == 0 && fd < 0 && fd != -EINVAL)
		f.err = fd;
	if (f.err < 0)
		imp_put_uint(f.c, IMP_KEY_ERRNO, (uint64_t)-f.err);
	if (f.st.st_mode)
		put_stat(&f);
	if (f.st.st_mode && !walked)
		put_mount(&f, f.done_len ? t->path : "/");
	put_directories(&f, walked);
	if (fd >= 0) {
		imp_put_array(f.c, IMP_KEY_CHUNKS);
		imp_elf_chunks_put(f.c, fd, (uint64_t)f.st.st_size, max, t->listing, budget);
		imp_cbor_array_end(f.c);
		imp_sys_close(fd);
	}
	put_limit(&f);
	imp_record_end(t);
	return true;
}

static bool set_path(struct imp_thread *t, const char *path, size_t len)
{
	if (!len || len >= PATH_HALF || memchr(path, '\0', len))
		return false;
	memcpy(t->path + PATH_HALF, path, len);
	t->path[PATH_HALF + len] = '\0';
	return true;
}

/* ---- which files ---------------------------------------------------------------------------------- */

struct mapped {
	const char *name; /* a soname */
	size_t len;
	char *path; /* PATH_HALF bytes; empty: none is mapped under that name */
};

/* Runs under ld.so's lock: only copies. */
static int match_mapped(struct dl_phdr_info *info, size_t size, void *arg)
{
	const struct mapped *m = arg;
	const size_t len = strlen(info->dlpi_name);

	(void)size;
	if (len <= m->len || len >= PATH_HALF || info->dlpi_name[len - m->len - 1] != '/' ||
	    memcmp(info->dlpi_name + len - m->len, m->name, m->len) != 0)
		return 0;
	memcpy(m->path, info->dlpi_name, len + 1);
	return 1;
}

/* A path, or the soname of an object that is mapped. Returns whether anything new was recorded. */
static bool record_named(struct imp_thread *t, uint32_t call, const char *name, size_t len,
			 struct imp_time_budget *budget)
{
	struct mapped m = {.name = name, .len = len, .path = t->path + PATH_HALF};

	if (len && !memchr(name, '/', len)) {
		m.path[0] = '\0';
		dl_iterate_phdr(match_mapped, &m);
		if (!m.path[0])
			return false;
	} else if (!set_path(t, name, len)) {
		return false;
	}
	return !imp_time_budget_over(budget) && record(t, call, IMP_CHUNKS_MAX, budget);
}

/* "OBJECT: text". A path may hold ": " too: then the first beginning that is there. */
static size_t object_length(struct imp_thread *t, const char *error)
{
	const char *first = strstr(error, ": "), *p = first;
	struct stat st;
	int tries;

	for (tries = 0; p && tries < 4; tries++, p = strstr(p + 1, ": ")) {
		if (set_path(t, error, (size_t)(p - error)) &&
		    stat_at(t->path + PATH_HALF, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return (size_t)(p - error);
	}
	return first ? (size_t)(first - error) : 0;
}

/*
 * glibc's texts: "OBJECT: cannot open shared object file: ...", "OBJECT: undefined symbol: S",
 * "OBJECT: version `V' not found (required by OBJECT)",
 * "OBJECT: symbol S, version V not defined in file OBJECT with link time reference".
 * Source: glibc elf/dl-version.c, match_symbol(); elf/dl-lookup.c, _dl_lookup_symbol_x().
 */
static void record_objects_in(struct imp_thread *t, uint32_t call, const char *error,
			      struct imp_time_budget *budget)
{
	static const char required[] = " (required by ", in_file[] = " not defined in file ",
			  reference[] = " with link time reference";
	size_t len = object_length(t, error);
	const char *text = error + len, *p, *end;

	record_named(t, call, error, len, budget);
	p = strstr(text, required);
	if (p) {
		p += sizeof(required) - 1;
		end = strrchr(p, ')');
		if (end)
			record_named(t, call, p, (size_t)(end - p), budget);
	}
	p = strstr(text, in_file);
	if (p) {
		p += sizeof(in_file) - 1;
		end = strstr(p, reference);
		if (end)
			record_named(t, call, p, (size_t)(end - p), budget);
	}
}

struct around { /* the files that were needed */
	struct imp_thread *t;
	uint32_t call;
	struct imp_time_budget *budget;
	size_t left; /* bytes of them that may still be kept */
};

/* What several copies offer tells which one is right; of the only one, what it needs leads on. */
static bool record_needed(void *arg, const char *path, unsigned int copies)
{
	struct around *a = arg;
	size_t max = copies > 1 ? COPY_MAX : SINGLE_MAX;

	if (a->left < max || imp_time_budget_over(a->budget))
		return false;
	if (set_path(a->t, path, strlen(path)) && record(a->t, a->call, max, a->budget))
		a->left -= max;
	return true;
}

/* dlopen() of the same soname that failed before would lead to the same files. */
static bool is_new_name(const char *name)
{
	const struct facts absent = {.err = -ENOENT};

	return !is_known(&absent, name);
}

void imp_file_facts_load_failed(struct imp_thread *t, uint32_t call, const char *name,
				const char *error)
{
	struct imp_time_budget budget;
	struct around around = {.t = t, .call = call, .budget = &budget, .left = NEEDED_TOTAL};
	struct imp_needed_look look = {
		.t = t, .name = name, .budget = &budget, .found = record_needed, .arg = &around};
	bool is_new = false;

	imp_time_budget_start(&budget, BUDGET_NS - RESERVE_NS);
	/* ld.so replaces $ORIGIN and its like: its text has the path that was tried. */
	if (name && strchr(name, '$'))
		look.name = NULL;
	else if (name && strchr(name, '/'))
		is_new = record_named(t, call, name, strnlen(name, PATH_HALF), &budget);
	else if (name && *name)
		is_new = is_new_name(name);
	if (error)
		record_objects_in(t, call, error, &budget);
	if (look.name && is_new)
		imp_needed_files_look(&look);
}

void imp_file_facts_before_load(struct imp_thread *t, uint32_t call, const char *name)
{
	struct imp_time_budget budget;
	struct stat st;
	bool cut;
	int fd;

	if (!strchr(name, '/') || stat_at(name, &st, 0) < 0 || !S_ISREG(st.st_mode))
		return;
	fd = imp_sys_open(name, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return;
	cut = imp_elf_is_cut(fd, (uint64_t)st.st_size, t->listing);
	imp_sys_close(fd);
	if (!cut)
		return;
	imp_time_budget_start(&budget, BUDGET_NS - RESERVE_NS);
	record_named(t, call, name, strnlen(name, PATH_HALF), &budget);
}

void imp_file_facts_of(struct imp_thread *t, uint32_t call, const char *path, size_t len)
{
	struct imp_time_budget budget;

	imp_time_budget_start(&budget, BUDGET_NS - RESERVE_NS);
	record_named(t, call, path, len, &budget);
}
