/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "needed_files.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "elf_extract.h"
#include "raw_syscall.h"
#include "time_budget.h"

#include "poison.h"

#define OBJECTS_MAX 20
#define NEEDED_MAX  48
#define COPIES_MAX  4
#define TEXT_SIZE   (24 * 1024)
#define PATH_SIZE   (IMP_THREAD_PATH_MAX / 2)
#define STRING_SIZE 1024 /* of an RPATH or a name; a longer one is not followed */

#if defined(__x86_64__)
#define MACHINE	  EM_X86_64
#define MULTIARCH "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define MACHINE	  EM_AARCH64
#define MULTIARCH "aarch64-linux-gnu"
#else
#define MACHINE	  EM_NONE
#define MULTIARCH "none"
#endif

static const char default_dirs[] =
	"/lib/" MULTIARCH ":/usr/lib/" MULTIARCH ":/lib64:/usr/lib64:/lib:/usr/lib";

static char library_path[IMP_TEXT_MAX]; /* written once, by imp_needed_files_init() */

struct object {
	const char *path;	     /* "": none, it stands for the dlopen() itself */
	const char *rpath, *runpath; /* NULL: none. Either, as ld.so has it */
	const struct object *by;     /* who needed it */
	unsigned int needed_count;
	const char *needed[NEEDED_MAX];
};

struct copies { /* of one name, in search order */
	unsigned int count;
	const char *path[COPIES_MAX];
	struct stat st[COPIES_MAX];
	bool taken; /* the next object is what was read of one of them */
};

/* In memory of its own: a program's thread may have a small stack. */
struct walk {
	const struct imp_needed_look *look;
	struct object program;
	unsigned int count;
	struct object objects[OBJECTS_MAX];
	struct copies copies;
	char mapped[PATH_SIZE];
	size_t used;
	char text[TEXT_SIZE];
};

void imp_needed_files_init(char *const *environment)
{
	static const char name[] = "LD_LIBRARY_PATH=";
	size_t len;

	for (; environment && *environment; environment++) {
		if (strncmp(*environment, name, sizeof(name) - 1) != 0)
			continue;
		len = strlen(*environment + sizeof(name) - 1);
		if (len < sizeof(library_path))
			memcpy(library_path, *environment + sizeof(name) - 1, len + 1);
	}
}

static bool is_late(const struct walk *w)
{
	return imp_time_budget_over(w->look->budget);
}

/* NULL: there is no room any more. */
static const char *keep(struct walk *w, const char *text, size_t len)
{
	char *to = w->text + w->used;

	if (len >= TEXT_SIZE - w->used)
		return NULL;
	memcpy(to, text, len);
	to[len] = '\0';
	w->used += len + 1;
	return to;
}

/* ---- what an object needs -------------------------------------------------------------------------- */

static const char *keep_string(struct walk *w, const struct imp_elf_extract *f, uint64_t index)
{
	const struct imp_elf_place *t = &f->tables[IMP_EXTRACT_STRINGS];
	char *text = w->look->t->text;
	size_t got, len;

	if (!t->address || index >= t->end - t->offset)
		return NULL;
	got = imp_extract_read(f, text, STRING_SIZE, t->offset + index);
	len = strnlen(text, got);
	return len && len < got ? keep(w, text, len) : NULL;
}

static bool read_object(struct walk *w, struct imp_elf_extract *f, struct object *o)
{
	ElfW(Ehdr) header;
	unsigned int i;
	size_t got = 0;

	if (imp_extract_read(f, &header, sizeof(header), 0) < sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
	    header.e_machine != MACHINE || header.e_phentsize != sizeof(ElfW(Phdr)))
		return false;
	got = (size_t)header.e_phnum * sizeof(ElfW(Phdr));
	if (got > IMP_EXTRACT_HEAD_SIZE)
		got = IMP_EXTRACT_HEAD_SIZE;
	got = imp_extract_read(f, f->head, got, header.e_phoff);
	f->phdr = (const ElfW(Phdr) *)f->head;
	f->phnum = (unsigned int)(got / sizeof(ElfW(Phdr)));
	for (i = 0, got = 0; i < f->phnum && !got; i++) {
		if (f->phdr[i].p_type == PT_DYNAMIC)
			got = imp_extract_read(f, f->dyn,
					       f->phdr[i].p_filesz < IMP_EXTRACT_DYNAMIC_SIZE ?
						       f->phdr[i].p_filesz :
						       IMP_EXTRACT_DYNAMIC_SIZE,
					       f->phdr[i].p_offset);
	}
	while ((f->dyn_count + 1) * sizeof(*f->dyn) <= got && f->dyn[f->dyn_count].d_tag != DT_NULL) {
		if (f->dyn[f->dyn_count].d_tag == DT_STRTAB &&
		    !imp_extract_find(f, f->dyn[f->dyn_count].d_un.d_ptr,
				      &f->tables[IMP_EXTRACT_STRINGS]))
			return false;
		f->dyn_count++;
	}
	for (i = 0; i < f->dyn_count; i++) {
		const uint64_t value = f->dyn[i].d_un.d_val;

		if (f->dyn[i].d_tag == DT_RPATH)
			o->rpath = keep_string(w, f, value);
		else if (f->dyn[i].d_tag == DT_RUNPATH)
			o->runpath = keep_string(w, f, value);
		else if (f->dyn[i].d_tag == DT_NEEDED && o->needed_count < NEEDED_MAX &&
			 (o->needed[o->needed_count] = keep_string(w, f, value)))
			o->needed_count++;
	}
	if (o->runpath)
		o->rpath = NULL;
	return f->dyn_count > 0;
}

/* Returns false where ld.so would not take it, and where it cannot be read. */
static bool open_object(struct walk *w, const char *path, struct object *o)
{
	char *buf = w->look->t->listing;
	struct imp_elf_extract f = {.head = buf,
				    .dyn = (ElfW(Dyn) *)(buf + IMP_EXTRACT_HEAD_SIZE),
				    .budget = w->look->budget};
	struct stat st;
	bool ok;

	memset(o, 0, sizeof(*o));
	o->path = path;
	/* A FIFO or a device is not to be opened at all. */
	if (imp_sys(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, 0, 0) < 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	f.fd = imp_sys_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (f.fd < 0)
		return false;
	f.size = (uint64_t)st.st_size;
	ok = read_object(w, &f, o);
	imp_sys_close(f.fd);
	return ok;
}

/* ---- where a name leads ------------------------------------------------------------------------------ */

static size_t origin_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

/* DIRECTORY/NAME with $ORIGIN replaced, in t->path; NULL where it is none that we follow. */
static const char *expand(struct walk *w, const char *dir, size_t len, const struct object *of,
			  const char *name)
{
	char *out = w->look->t->path;
	size_t used = 0, token, add;
	const char *from, *end = dir + len;

	while (dir < end) {
		token = 0;
		if (*dir == '$')
			token = !strncmp(dir, "${ORIGIN}", 9) ? 9 :
				!strncmp(dir, "$ORIGIN", 7)   ? 7 :
								0;
		if (*dir == '$' &&
		    (!token || !of || *of->path != '/' || token > (size_t)(end - dir)))
			return NULL;
		from = token ? of->path : dir;
		add = token ? origin_length(of->path) : 1;
		if (add >= PATH_SIZE - used)
			return NULL;
		memcpy(out + used, from, add);
		used += add;
		dir += token ? token : 1;
	}
	add = strlen(name);
	if (*out != '/' || !used || add + 2 > PATH_SIZE - used)
		return NULL;
	out[used++] = '/';
	memcpy(out + used, name, add + 1);
	return out;
}

/* Is the file one that there is, and that is none of those that are known of? */
static void add_copy(struct walk *w, const char *path, struct object *next)
{
	struct copies *c = &w->copies;
	struct stat *st = &c->st[c->count];
	unsigned int i;
	long ret;

	if (c->count == COPIES_MAX)
		return;
	memset(st, 0, sizeof(*st));
	ret = imp_sys(SYS_newfstatat, AT_FDCWD, (long)path, (long)st, 0, 0);
	/* A link to nothing is the finding itself. */
	if (ret == -ENOENT || ret == -ELOOP) {
		struct stat link;

		if (imp_sys(SYS_newfstatat, AT_FDCWD, (long)path, (long)&link, AT_SYMLINK_NOFOLLOW,
			    0) < 0)
			return;
		next = NULL;
	} else if (ret < 0 && ret != -EACCES) {
		return;
	}
	for (i = 0; i < c->count; i++) {
		if (ret == 0 && st->st_ino == c->st[i].st_ino && st->st_dev == c->st[i].st_dev)
			return;
	}
	path = keep(w, path, strlen(path));
	if (!path)
		return;
	c->path[c->count++] = path;
	if (!c->taken && next)
		c->taken = open_object(w, path, next);
}

static void search(struct walk *w, const char *list, const char *separators,
		   const struct object *of, const char *name, struct object *next)
{
	const char *path;
	size_t len;

	for (; list && !is_late(w); list += len + 1) {
		len = strcspn(list, separators);
		path = expand(w, list, len, of, name);
		if (path)
			add_copy(w, path, next);
		if (!list[len])
			break;
	}
}

struct mapped {
	const char *name;
	char *path; /* PATH_SIZE bytes */
};

/* Runs under ld.so's lock: only copies. */
static int match_mapped(struct dl_phdr_info *info, size_t size, void *arg)
{
	const size_t len = strlen(info->dlpi_name), tail = origin_length(info->dlpi_name);
	const struct mapped *m = arg;

	(void)size;
	if (*info->dlpi_name != '/' || len >= PATH_SIZE ||
	    strcmp(info->dlpi_name + tail + 1, m->name) != 0)
		return 0;
	memcpy(m->path, info->dlpi_name, len + 1);
	return 1;
}

static void find_copies(struct walk *w, const struct object *o, const char *name,
			struct object *next)
{
	struct mapped mapped = {.name = name, .path = w->mapped};
	const struct object *by;

	memset(&w->copies, 0, sizeof(w->copies));
	w->mapped[0] = '\0';
	dl_iterate_phdr(match_mapped, &mapped);
	if (w->mapped[0]) {
		add_copy(w, w->mapped, NULL);
		w->copies.taken = true; /* what it needs is there */
	}
	for (by = o; by && !o->runpath; by = by->by)
		search(w, by->rpath, ":", by, name, next);
	if (!o->runpath)
		search(w, w->program.rpath, ":", &w->program, name, next);
	search(w, library_path, ":;", &w->program, name, next);
	search(w, o->runpath, ":", o, name, next);
	search(w, default_dirs, ":", NULL, name, next);
}

static bool was_asked(const struct walk *w, const struct object *o, unsigned int number)
{
	const struct object *before;
	unsigned int i;

	for (before = w->objects; before <= o; before++) {
		for (i = 0; i < (before == o ? number : before->needed_count); i++) {
			if (strcmp(before->needed[i], o->needed[number]) == 0)
				return true;
		}
	}
	return false;
}

/* Returns false to stop. */
static bool look_for(struct walk *w, struct object *o, const char *name)
{
	struct object *next = w->count < OBJECTS_MAX ? &w->objects[w->count] : NULL;
	const bool is_path = strchr(name, '/');
	struct copies *c = &w->copies;
	bool was_mapped;
	unsigned int i;

	if (is_path) {
		memset(c, 0, sizeof(*c));
		if (*name == '/')
			add_copy(w, name, next);
		was_mapped = false;
	} else {
		find_copies(w, o, name, next);
		was_mapped = w->mapped[0];
	}
	if (c->taken && !was_mapped) {
		next->by = o;
		w->count++;
	}
	/* An object that is loaded, and no other one of that name: all is well with it. */
	for (i = 0; i < c->count && (!was_mapped || c->count > 1); i++) {
		if (!w->look->found(w->look->arg, c->path[i], c->count))
			return false;
	}
	return true;
}

/* ld.so does the same, for $ORIGIN. */
static const char *absolute(struct walk *w, const char *name)
{
	long len = 0;

	if (*name != '/') {
		len = imp_sys(SYS_getcwd, (long)w->mapped, PATH_SIZE, 0, 0, 0);
		if (len < 2)
			return NULL;
		w->mapped[len - 1] = '/'; /* in place of the NUL */
	}
	if (strlen(name) >= PATH_SIZE - (size_t)len)
		return NULL;
	memcpy(w->mapped + len, name, strlen(name) + 1);
	return keep(w, w->mapped, strlen(w->mapped));
}

static void follow(struct walk *w)
{
	const char *name = w->look->name;
	unsigned int i, k;
	long len;

	len = imp_sys(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)w->mapped,
		      PATH_SIZE - 1, 0);
	if (len > 0) {
		w->mapped[len] = '\0';
		open_object(w, keep(w, w->mapped, (size_t)len), &w->program);
	}
	if (!w->program.path)
		w->program.path = "";
	if (w->program.rpath && !w->look->found(w->look->arg, w->program.path, 1))
		return;
	w->count = 1;
	if (strchr(name, '/')) {
		name = absolute(w, name);
		if (!name || !open_object(w, name, &w->objects[0]))
			return;
	} else {
		w->objects[0].path = "";
		w->objects[0].needed[w->objects[0].needed_count++] = name;
	}
	for (i = 0; i < w->count; i++) {
		struct object *o = &w->objects[i];

		for (k = 0; k < o->needed_count && !is_late(w); k++) {
			if (!was_asked(w, o, k) && !look_for(w, o, o->needed[k]))
				return;
		}
	}
}

void imp_needed_files_look(const struct imp_needed_look *look)
{
	struct walk *w =
		mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (w == MAP_FAILED)
		return;
	w->look = look;
	follow(w);
	munmap(w, sizeof(*w));
}
