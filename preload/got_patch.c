// SPDX-License-Identifier: GPL-2.0-or-later
#include "got_patch.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "got_object.h"
#include "raw_syscall.h"

#include "poison.h"

#define TRIES_MAX     16 /* looks that another thread's load may spoil */
#define FUNCTIONS_MAX 32
#define WANTED_MAX    64 /* symbols of one object that are functions of ours, all versions */
#define LOCK_SPINS    2000
#define LOCK_TRIES    20
#define LOCK_SLEEP_NS 1000000

#if defined __x86_64__
#define RELOC_JUMP_SLOT R_X86_64_JUMP_SLOT
#define RELOC_GLOB_DAT	R_X86_64_GLOB_DAT
#define RELOC_ABSOLUTE	R_X86_64_64
#elif defined __aarch64__
#define RELOC_JUMP_SLOT R_AARCH64_JUMP_SLOT
#define RELOC_GLOB_DAT	R_AARCH64_GLOB_DAT
#define RELOC_ABSOLUTE	R_AARCH64_ABS64
#endif

/* An object that was looked through. */
struct seen {
	ElfW(Addr) base;
	const ElfW(Phdr) * phdr;
	const char *name; /* ld.so's, only to be compared */
	uint32_t pass;	  /* when it was last met */
	uint32_t serial;  /* of its words */
	uint32_t words;
};

/* A word that we changed. */
struct word {
	void **at;
	void *before;
	uint32_t serial; /* whose; 0: put back */
	uint32_t function;
};

/* ---- one object ------------------------------------------------------------------------------------- */

struct wanted {
	uint32_t count;
	struct {
		uint32_t symbol, function;
	} at[WANTED_MAX];
};

static void find_symbols(const struct imp_got *g, const struct imp_got_object *o, bool all,
			 struct wanted *w)
{
	const uint32_t count = imp_got_object_symbols(o, all);
	bool first[256] = {false}; /* the first letters of what is looked for */

	for (uint32_t k = 0; k < g->count; k++)
		first[(unsigned char)g->functions[k].name[0]] |= !!g->functions[k].replacement;
	w->count = 0;
	for (uint32_t i = 1; i < count && w->count < WANTED_MAX; i++) {
		const ElfW(Sym) *symbol = &o->symbols.symtab[i];
		const char *name = o->symbols.strtab + symbol->st_name;

		if (symbol->st_shndx != SHN_UNDEF || !first[(unsigned char)*name])
			continue;
		for (uint32_t k = 0; k < g->count; k++) {
			if (!g->functions[k].replacement ||
			    !imp_elf_same_text(g->functions[k].name, name))
				continue;
			w->at[w->count].symbol = i;
			w->at[w->count++].function = k;
			break;
		}
	}
}

struct patching {
	struct imp_got *g;
	struct imp_got_object *o;
	const struct imp_got_range *homes; /* where the originals lie */
	uint32_t serial, words;
};

/* Another thread may be binding it at this very moment: then it leads to the original afterwards. */
static void patch_word(struct patching *p, void **at, uint32_t function, bool lazy)
{
	const struct imp_got_function *f = &p->g->functions[function];
	void *now = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	struct word *words;

	do {
		if (!imp_got_range_has(&p->homes[function], now) &&
		    !(lazy && imp_got_range_has(&p->o->object, now)))
			return;
		if (!imp_array_reserve(&p->g->words, sizeof(*words)) ||
		    !imp_got_object_unlock(p->o, at))
			return;
	} while (!__atomic_compare_exchange_n(at, &now, f->replacement, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	words = p->g->words.items;
	words[p->g->words.count++] =
		(struct word){.at = at, .before = now, .serial = p->serial, .function = function};
	p->words++;
}

static void patch_table(struct patching *p, const struct wanted *w, const ElfW(Rela) * rela,
			size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const uint32_t type = (uint32_t)ELF64_R_TYPE(rela[i].r_info);
		const uint32_t symbol = (uint32_t)ELF64_R_SYM(rela[i].r_info);
		void **at = (void **)(p->o->symbols.base + rela[i].r_offset);

		if (type != RELOC_JUMP_SLOT && type != RELOC_GLOB_DAT &&
		    (type != RELOC_ABSOLUTE || rela[i].r_addend))
			continue;
		for (uint32_t k = 0; k < w->count; k++) {
			if (w->at[k].symbol != symbol)
				continue;
			if (imp_got_range_has(&p->o->object, at) && (uintptr_t)at % sizeof(*at) == 0)
				patch_word(p, at, w->at[k].function, type == RELOC_JUMP_SLOT);
			break;
		}
	}
}

static uint32_t patch_object(struct imp_got *g, const struct imp_got_range *homes,
			     const struct dl_phdr_info *info, uint32_t serial)
{
	struct imp_got_object o;
	struct wanted w;
	struct patching p = {.g = g, .o = &o, .homes = homes, .serial = serial};

	if (!imp_got_object_open(&o, info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum) ||
	    imp_got_range_has(&o.object, (const void *)imp_got_update)) /* ourselves */
		return 0;
	/* The main program has no name in the link map. */
	find_symbols(g, &o, !info->dlpi_name[0], &w);
	if (!w.count)
		return 0;
	patch_table(&p, &w, o.rela + o.relative_count, o.rela_count - o.relative_count);
	patch_table(&p, &w, o.plt, o.plt_count);
	imp_got_object_lock(&o);
	return p.words;
}

/* ---- all objects ------------------------------------------------------------------------------------ */

static bool take_lock(struct imp_got *g)
{
	for (unsigned int i = 0; i < LOCK_SPINS; i++)
		if (!__atomic_exchange_n(&g->lock, 1, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

static void drop_lock(struct imp_got *g)
{
	__atomic_store_n(&g->lock, 0, __ATOMIC_RELEASE);
}

struct counts {
	unsigned long long adds, subs;
};

static int read_counts(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct counts *c = arg;

	(void)size;
	c->adds = info->dlpi_adds;
	c->subs = info->dlpi_subs;
	return 1;
}

struct look {
	struct imp_got *g;
	struct counts counts; /* at these, every object's words are filled in */
	uint32_t at;	      /* where in @g->objects the next one is expected */
	uint32_t left;	      /* those of them that were not met yet */
	bool started, spoilt;
	struct imp_got_range homes[FUNCTIONS_MAX];
};

static int find_homes(struct dl_phdr_info *info, size_t size, void *arg)
{
	const struct imp_got_range r =
		imp_got_extent(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum);
	struct look *look = arg;

	(void)size;
	for (size_t i = 0; i < look->g->count; i++)
		if (imp_got_range_has(&r, look->g->functions[i].original))
			look->homes[i] = r;
	return 0;
}

/* Is what lies there now another object than the one that was patched? Its words lead past us then. */
static bool is_fresh(struct imp_got *g, const struct seen *s)
{
	const struct word *words = g->words.items;

	for (uint32_t i = 0; s->words && i < g->words.count; i++)
		if (words[i].serial == s->serial)
			return __atomic_load_n(words[i].at, __ATOMIC_ACQUIRE) !=
			       g->functions[words[i].function].replacement;
	return false;
}

static void forget_words(struct imp_got *g, uint32_t serial)
{
	struct word *words = g->words.items;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < g->words.count; i++)
		if (words[i].serial != serial)
			words[kept++] = words[i];
	g->words.count = kept;
}

static struct seen *find_seen(struct look *look, const struct dl_phdr_info *info)
{
	struct seen *objects = look->g->objects.items;
	const uint32_t count = look->g->objects.count;

	for (uint32_t tries = 0, i = look->at; look->left && tries < count; tries++, i++) {
		if (i >= count)
			i = 0;
		if (objects[i].base != info->dlpi_addr || objects[i].phdr != info->dlpi_phdr ||
		    objects[i].name != info->dlpi_name)
			continue;
		look->at = i + 1;
		look->left--;
		return &objects[i];
	}
	return NULL;
}

/* Under ld.so's lock: what is read and written here can't be unmapped by another thread. */
static int update_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct look *look = arg;
	struct imp_got *g = look->g;
	struct seen *s;

	(void)size;
	if (!look->started && info->dlpi_adds != look->counts.adds) {
		look->spoilt = true;
		return 1;
	}
	look->started = true;
	s = find_seen(look, info);
	if (s && !is_fresh(g, s)) {
		s->pass = g->pass;
		return 0;
	}
	if (s) {
		forget_words(g, s->serial);
	} else {
		if (!imp_array_reserve(&g->objects, sizeof(*s)))
			return 1;
		s = (struct seen *)g->objects.items + g->objects.count++;
	}
	*s = (struct seen){.base = info->dlpi_addr,
			   .phdr = info->dlpi_phdr,
			   .name = info->dlpi_name,
			   .pass = g->pass,
			   .serial = ++g->serial};
	s->words = patch_object(g, look->homes, info, s->serial);
	return 0;
}

static void drop_gone(struct imp_got *g)
{
	struct seen *objects = g->objects.items;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < g->objects.count; i++) {
		if (objects[i].pass == g->pass)
			objects[kept++] = objects[i];
		else if (objects[i].words)
			forget_words(g, objects[i].serial);
	}
	g->objects.count = kept;
}

/* One look; true where another one is due. */
static bool look_once(struct imp_got *g)
{
	struct look look = {.g = g};
	Dl_info info;

	dl_iterate_phdr(read_counts, &look.counts);
	if (g->looked && g->adds == look.counts.adds && g->subs == look.counts.subs)
		return false;
	/*
	 * What is in the link map by now, its words may be being filled in by another thread that loads it:
	 * dladdr() waits for ld.so's load lock. Where nothing was added since, all are complete.
	 */
	dladdr((const void *)look_once, &info);
	if (!take_lock(g))
		return false; /* @again is set: who holds it looks again */
	__atomic_store_n(&g->again, 0, __ATOMIC_RELEASE);
	dl_iterate_phdr(find_homes, &look);
	g->pass++;
	look.left = g->objects.count;
	dl_iterate_phdr(update_object, &look);
	if (!look.spoilt) {
		drop_gone(g);
		g->adds = look.counts.adds;
		g->subs = look.counts.subs;
		g->looked = true;
	}
	drop_lock(g);
	return look.spoilt || __atomic_load_n(&g->again, __ATOMIC_ACQUIRE);
}

void imp_got_update(struct imp_got *g)
{
	if (g->count > FUNCTIONS_MAX)
		return;
	for (int i = 0; i < TRIES_MAX; i++) {
		__atomic_store_n(&g->again, 1, __ATOMIC_RELEASE);
		if (!look_once(g))
			return;
	}
}

/* ---- putting back ----------------------------------------------------------------------------------- */

struct restoring {
	struct imp_got *g;
	struct look look;
	const char *except;
	int count;
};

static int restore_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct restoring *r = arg;
	const struct seen *s = find_seen(&r->look, info);
	struct word *words = r->g->words.items;
	struct imp_got_object o;

	(void)size;
	if (!s || !s->words ||
	    !imp_got_object_open(&o, info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum))
		return 0;
	for (uint32_t i = 0; i < r->g->words.count; i++) {
		const struct imp_got_function *f = &r->g->functions[words[i].function];
		void *ours = f->replacement;

		if (words[i].serial != s->serial || !imp_got_range_has(&o.object, words[i].at) ||
		    (r->except && imp_elf_same_text(r->except, f->name)))
			continue;
		if (__atomic_load_n(words[i].at, __ATOMIC_ACQUIRE) == ours &&
		    imp_got_object_unlock(&o, words[i].at) &&
		    __atomic_compare_exchange_n(words[i].at, &ours, words[i].before, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			r->count++;
		words[i].serial = 0;
	}
	imp_got_object_lock(&o);
	return 0;
}

int imp_got_restore(struct imp_got *g, const char *except)
{
	struct restoring r = {.g = g, .look = {.g = g}, .except = except};

	for (int i = 0; !take_lock(g); i++) {
		if (i == LOCK_TRIES)
			return -EBUSY;
		imp_sys_sleep_ns(LOCK_SLEEP_NS);
	}
	r.look.left = g->objects.count;
	dl_iterate_phdr(restore_object, &r);
	/* Otherwise what stays is found by the object's serial. */
	if (!except) {
		g->words.count = 0;
		g->objects.count = 0;
		g->looked = false;
	}
	drop_lock(g);
	return r.count;
}

void imp_got_after_fork(struct imp_got *g)
{
	/* Where another thread was at it, its last object is incomplete: it was not patched further. */
	g->lock = 0;
	g->again = 0;
	g->looked = false;
}
