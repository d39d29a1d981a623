// SPDX-License-Identifier: GPL-2.0-or-later
#include "link_map_diff.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "growing_array.h"
#include "loaded_names.h"
#include "python_hook.h"
#include "poison.h"

#define STAGED_MAX   64	   /* new objects that are taken up in one pass */
#define STAGED_TEXT  32768 /* bytes of their paths; room for one of IMP_TEXT_MAX at least */
#define BUILD_ID_MAX 64

/* What identifies an object in the link map, in the order of the link map. */
struct mapped {
	ElfW(Addr) base, start;
	const ElfW(Phdr) * phdr;
	const char *name; /* ld.so's, only to be compared */
	uint32_t id;	  /* 0: to be written (again) */
	uint32_t pass;	  /* when it was last seen */
	Lmid_t ns;
};

/* A new one, taken down while ld.so's lock is held. */
struct staged {
	struct mapped m;
	ElfW(Addr) end;
	uint32_t phnum;
	uint32_t path, path_len; /* in staged_text[] */
	uint32_t known;		 /* 1 + index in order[]: written before fork, not new to Python */
	bool python;		 /* may hold a CPython */
	uint32_t build_id_len;
	uint8_t build_id[BUILD_ID_MAX];
};

/* Under the object table's lock. */
static struct {
	uint32_t again;		/* another thread wants a look, and found the table locked */
	struct imp_array order; /* of struct mapped */
	uint32_t last_id, generation, pass;
	uint32_t foreign; /* entries of order[] outside LM_ID_BASE */
	bool counted;	  /* @adds and @subs are of the last look */
	bool retell;	  /* what is known is new to Python all the same */
	unsigned long long adds, subs;
	uint32_t staged_count, staged_text_len;
	struct staged staged[STAGED_MAX];
	char staged_text[STAGED_TEXT];
	char path[IMP_TEXT_MAX + 1]; /* scratch: a signal handler's stack is small */
} objects;

uint32_t imp_objects_generation(void)
{
	return __atomic_load_n(&objects.generation, __ATOMIC_RELAXED);
}

/* ---- taking down what is new ------------------------------------------------------------------------ */

static void find_extent(struct staged *s, const ElfW(Phdr) * phdr, size_t phnum)
{
	ElfW(Addr) low = ~(ElfW(Addr))0, high = 0;
	size_t i;

	for (i = 0; i < phnum; i++) {
		if (phdr[i].p_type != PT_LOAD)
			continue;
		if (phdr[i].p_vaddr < low)
			low = phdr[i].p_vaddr;
		if (phdr[i].p_vaddr + phdr[i].p_memsz > high)
			high = phdr[i].p_vaddr + phdr[i].p_memsz;
	}
	if (high) {
		s->m.start = s->m.base + low;
		s->end = s->m.base + high;
	} else {
		s->m.start = s->end = s->m.base;
	}
}

static void find_build_id(struct staged *s, const ElfW(Phdr) * phdr, size_t phnum)
{
	size_t i;

	for (i = 0; i < phnum; i++) {
		const size_t align = phdr[i].p_align == 8 ? 8 : 4;
		const char *at = (const char *)(s->m.base + phdr[i].p_vaddr);
		size_t left = phdr[i].p_filesz;

		while (phdr[i].p_type == PT_NOTE && left >= sizeof(ElfW(Nhdr))) {
			const ElfW(Nhdr) *note = (const void *)at;
			const size_t desc =
				(sizeof(*note) + note->n_namesz + align - 1) & ~(align - 1);
			const size_t next = (desc + note->n_descsz + align - 1) & ~(align - 1);

			if (note->n_namesz > left || note->n_descsz > left ||
			    desc + note->n_descsz > left)
				break;
			if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof("GNU") &&
			    !memcmp(note + 1, "GNU", sizeof("GNU")) &&
			    note->n_descsz <= BUILD_ID_MAX) {
				s->build_id_len = note->n_descsz;
				memcpy(s->build_id, at + desc, note->n_descsz);
				return;
			}
			if (next >= left)
				break;
			at += next;
			left -= next;
		}
	}
}

/* False: no room left in this pass. */
static bool stage(const struct mapped *m, const ElfW(Phdr) * phdr, size_t phnum, const char *path,
		  uint32_t known)
{
	struct staged *s = &objects.staged[objects.staged_count];
	size_t len = strnlen(path, IMP_TEXT_MAX);

	if (objects.staged_count == STAGED_MAX || len > STAGED_TEXT - objects.staged_text_len)
		return false;
	*s = (struct staged){.m = *m, .phnum = (uint32_t)phnum, .known = known};
	s->path = objects.staged_text_len;
	s->path_len = (uint32_t)len;
	memcpy(objects.staged_text + s->path, path, len);
	objects.staged_text_len += s->path_len;
	find_extent(s, phdr, phnum);
	find_build_id(s, phdr, phnum);
	s->python = m->ns == LM_ID_BASE && (!known || objects.retell) &&
		    imp_python_object_holds(m->base, phdr, phnum);
	objects.staged_count++;
	return true;
}

struct look {
	uint32_t at;   /* where in order[] the next object is expected */
	uint32_t left; /* entries of order[] that were not met yet */
	bool started, unchanged, more;
};

/*
 * The link map grows at its end and shrinks anywhere; so what is expected next is nearly always what
 * comes next, or stands a little further on. Runs under ld.so's lock, so nothing of what is read here
 * can be unmapped by another thread; afterwards anything may be.
 */
static int look_at(struct dl_phdr_info *info, size_t size, void *arg)
{
	const struct mapped m = {.base = info->dlpi_addr,
				 .phdr = info->dlpi_phdr,
				 .name = info->dlpi_name,
				 .pass = objects.pass};
	struct mapped *order = objects.order.items;
	const uint32_t count = objects.order.count;
	struct look *look = arg;
	uint32_t i, tries;

	if (!look->started &&
	    size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof(info->dlpi_subs)) {
		if (objects.counted && info->dlpi_adds == objects.adds &&
		    info->dlpi_subs == objects.subs) {
			look->unchanged = true;
			return 1;
		}
		objects.adds = info->dlpi_adds;
		objects.subs = info->dlpi_subs;
		objects.counted = true;
	}
	look->started = true;
	for (tries = 0, i = look->at; look->left && tries < count; tries++, i++) {
		if (i >= count)
			i = 0;
		if (order[i].base != m.base || order[i].phdr != m.phdr || order[i].name != m.name ||
		    order[i].ns != LM_ID_BASE)
			continue;
		look->at = i + 1;
		look->left--;
		order[i].pass = m.pass;
		if (!order[i].id &&
		    !stage(&m, info->dlpi_phdr, info->dlpi_phnum, info->dlpi_name, i + 1))
			look->more = true;
		return look->more;
	}
	if (!stage(&m, info->dlpi_phdr, info->dlpi_phnum, info->dlpi_name, 0))
		look->more = true;
	return look->more;
}

/* ---- recording it ----------------------------------------------------------------------------------- */

static void record_added(struct imp_thread *t, const struct staged *s, const char *path, size_t len)
{
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_OBJECT);

	imp_put_uint(c, IMP_KEY_OBJECT, s->m.id);
	if (memchr(path, '/', len))
		imp_put_path(c, IMP_KEY_TEXT, path, len);
	else
		imp_put_text(c, IMP_KEY_TEXT, path, len);
	imp_put_uint(c, IMP_KEY_ADDRESS, s->m.base);
	imp_put_uint(c, IMP_KEY_SIZE, s->end - s->m.base);
	if (s->build_id_len)
		imp_put_bytes(c, IMP_KEY_BUILD_ID, s->build_id, s->build_id_len);
	if (s->m.ns != LM_ID_BASE)
		imp_put_int(c, IMP_KEY_NAMESPACE, s->m.ns);
	imp_record_end(t);
}

static void record_gone(struct imp_thread *t, uint32_t id)
{
	struct imp_cbor *c = imp_record_begin(t, IMP_EV_OBJECT_GONE);

	imp_put_uint(c, IMP_KEY_OBJECT, id);
	imp_record_end(t);
}

static void remember_names(const char *path, size_t len)
{
	const char *slash;

	memmove(objects.path, path, len);
	objects.path[len] = '\0';
	imp_loaded_names_add(imp_loaded_names_hash(objects.path));
	slash = strrchr(objects.path, '/');
	if (slash)
		imp_loaded_names_add(imp_loaded_names_hash(slash + 1));
}

/* Puts one staged object into the tables and the record; false where memory is out. */
static bool take_up(struct imp_thread *t, struct staged *s)
{
	struct mapped *order = objects.order.items;
	const char *path = objects.staged_text + s->path;
	size_t len = s->path_len;
	ssize_t ret;

	s->m.id = ++objects.last_id;
	if (s->known) {
		order[s->known - 1].id = s->m.id;
		imp_object_table_set_id(s->m.start, s->m.id);
	} else {
		const struct imp_mapped new = {.start = s->m.start,
					       .end = s->end,
					       .base = s->m.base,
					       .phdr = s->m.phdr,
					       .phnum = s->phnum,
					       .id = s->m.id};

		if (!imp_array_reserve(&objects.order, sizeof(*order)) ||
		    !imp_object_table_insert(&new)) {
			objects.last_id--;
			return false;
		}
		order = objects.order.items;
		order[objects.order.count++] = s->m;
		objects.foreign += s->m.ns != LM_ID_BASE;
	}
	objects.generation++;
	if (!len && s->m.ns == LM_ID_BASE) { /* the main program has no name in the link map */
		ret = readlink("/proc/self/exe", objects.path, IMP_TEXT_MAX);
		path = objects.path;
		len = ret < 0 ? 0 : (size_t)ret;
	}
	/* The file that imptrace had us opened from is one in memory, and its descriptor is closed. */
	if (imp_attach_is_copy() && s->m.ns == LM_ID_BASE &&
	    (ElfW(Addr))take_up - s->m.start < s->end - s->m.start) {
		path = "libimptrace.so";
		len = strlen(path);
	}
	remember_names(path, len);
	record_added(t, s, path, len);
	return true;
}

/* Objects of the main namespace that the pass did not meet, and of others that are mapped no more. */
static void drop_gone(struct imp_thread *t)
{
	struct mapped *order = objects.order.items;
	uint32_t i, kept = 0;
	Dl_info info;

	for (i = 0; i < objects.order.count; i++) {
		const bool base = order[i].ns == LM_ID_BASE;

		if (base ? order[i].pass == objects.pass :
			   dladdr((const void *)order[i].start, &info) != 0) {
			order[kept++] = order[i];
			continue;
		}
		imp_object_table_remove(order[i].start, order[i].id);
		objects.foreign -= !base;
		objects.generation++;
		if (order[i].id)
			record_gone(t, order[i].id);
	}
	objects.order.count = kept;
}

/* What Python is told: copied, since the tables are unlocked by then. */
struct news {
	uint32_t id, phnum;
	ElfW(Addr) base;
	const ElfW(Phdr) * phdr;
};

static uint32_t take_up_staged(struct imp_thread *t, struct news *news)
{
	uint32_t i, count = 0;

	for (i = 0; i < objects.staged_count; i++) {
		struct staged *s = &objects.staged[i];

		if (take_up(t, s) && s->python)
			news[count++] = (struct news){.id = s->m.id,
						      .phnum = s->phnum,
						      .base = s->m.base,
						      .phdr = s->m.phdr};
	}
	objects.staged_count = objects.staged_text_len = 0;
	return count;
}

/*
 * Another thread may be loading that object: dladdr() waits for ld.so's load lock, so that what is
 * called in it then is relocated, and says whether it is still there.
 */
static void tell_python(const struct news *n)
{
	Dl_info info;

	if (dladdr(n->phdr, &info))
		imp_python_object_added(n->id, n->base, n->phdr, n->phnum);
}

void imp_objects_update(struct imp_thread *t)
{
	struct news news[STAGED_MAX];
	struct look look;
	uint32_t i, count;
	bool changed = false;

	do {
		__atomic_store_n(&objects.again, 1, __ATOMIC_RELEASE);
		if (!imp_object_table_lock())
			return;
		__atomic_store_n(&objects.again, 0, __ATOMIC_RELEASE);
		look = (struct look){.left = objects.order.count - objects.foreign};
		objects.pass++;
		dl_iterate_phdr(look_at, &look);
		count = 0;
		changed |= !look.unchanged;
		if (!look.unchanged) {
			/*
			 * Gone before added: a new object may lie where an old one was. After a pass that
			 * was cut short by what is new, nothing is known of those behind it.
			 */
			if (!look.more)
				drop_gone(t);
			else
				objects.counted = false;
			count = take_up_staged(t, news);
			if (!look.more)
				objects.retell = false;
		}
		imp_object_table_unlock();
		for (i = 0; i < count; i++)
			tell_python(&news[i]);
	} while (look.more || __atomic_load_n(&objects.again, __ATOMIC_ACQUIRE));
	if (changed)
		imp_attach_objects_changed();
}

static bool namespace_has(const struct link_map *map, ElfW(Addr) start)
{
	const struct mapped *order = objects.order.items;
	uint32_t i;

	for (i = 0; i < objects.order.count; i++) {
		if (order[i].ns != LM_ID_BASE && order[i].start == start &&
		    order[i].name == map->l_name)
			return true;
	}
	return false;
}

void imp_objects_add_namespace(struct imp_thread *t, const struct link_map *map, Lmid_t ns)
{
	struct news news[STAGED_MAX];
	Dl_info info;

	if (ns == LM_ID_BASE)
		return;
	while (map->l_prev)
		map = map->l_prev;
	if (!imp_object_table_lock())
		return;
	for (; map; map = map->l_next) {
		const ElfW(Ehdr) * header;
		struct mapped m = {.base = map->l_addr, .name = map->l_name, .ns = ns};

		/* ld.so itself is shared between the namespaces, and known. */
		if (!dladdr(map->l_ld, &info) || namespace_has(map, (ElfW(Addr))info.dli_fbase) ||
		    imp_objects_find(info.dli_fbase, NULL))
			continue;
		header = info.dli_fbase;
		if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phoff > 4096)
			continue;
		m.phdr = (const void *)((const char *)header + header->e_phoff);
		if (!stage(&m, m.phdr, header->e_phnum, map->l_name, 0)) {
			take_up_staged(t, news);
			stage(&m, m.phdr, header->e_phnum, map->l_name, 0);
		}
	}
	take_up_staged(t, news);
	imp_object_table_unlock();
}

int imp_objects_restart(void)
{
	struct mapped *order;
	uint32_t i;

	if (!imp_object_table_lock())
		return -EBUSY;
	order = objects.order.items;
	for (i = 0; i < objects.order.count; i++) {
		order[i].id = 0;
		imp_object_table_set_id(order[i].start, 0);
	}
	objects.last_id = 0;
	objects.counted = false;
	objects.retell = true;
	objects.generation++;
	imp_object_table_unlock();
	return 0;
}

void imp_objects_forget(void)
{
	struct mapped *order = objects.order.items;
	uint32_t i;

	/* Where another thread was at it when the process forked, what it left is of no use. */
	if (!imp_object_table_forget()) {
		objects.order.count = 0;
		objects.foreign = 0;
	}
	for (i = 0; i < objects.order.count; i++)
		order[i].id = 0;
	objects.staged_count = objects.staged_text_len = 0;
	objects.last_id = 0;
	objects.counted = false;
	objects.again = 0;
	objects.generation++;
}
