/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwind.h"

#include <errno.h>
#include <libunwind.h>
#include <stdlib.h>
#include <string.h>

/*
 * libunwind exports it, for its remote side and for perf, and declares it in a header that it does not install.
 * Looks an address up in the sorted table of .eh_frame_hdr.
 */
#define search_unwind_table UNW_OBJ(dwarf_search_unwind_table)
extern int search_unwind_table(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di,
			       unw_proc_info_t *pi, int need_unwind_info, void *arg);

#define PAGE	   4096u
#define SLOTS	   1024u /* pages kept: the unwind tables of some 20 objects */
#define ENCODING_4 0x1b	 /* DW_EH_PE_pcrel | sdata4 */
#define COUNT_4	   0x03	 /* DW_EH_PE_udata4 */
#define TABLE_4	   0x3b	 /* DW_EH_PE_datarel | sdata4 */

struct page {
	uint64_t address; /* 1: none */
	bool stays;	  /* of a file mapping that nobody writes */
	uint8_t bytes[PAGE];
};

struct known_object {
	uint64_t start;
	struct imp_object_image image;
	uint64_t table, entries; /* of .eh_frame_hdr; 0: none that we can use */
};

struct imp_unwinder {
	const struct imp_memory *mem;
	const struct imp_maps *maps;
	unw_addr_space_t space;
	struct imp_arena arena;
	IMP_VEC(struct known_object *) known;
	const struct user_regs_struct *regs;
	struct page pages[SLOTS];
};

/* ---- memory ----------------------------------------------------------------------------------------------- */

static const uint8_t *page_of(struct imp_unwinder *u, uint64_t address)
{
	const uint64_t start = address & ~(uint64_t)(PAGE - 1);
	struct page *p = &u->pages[(start / PAGE * 0x9e3779b1u) % SLOTS];
	const struct imp_map *m;

	if (p->address == start)
		return p->bytes;
	p->address = 1;
	if (imp_memory_read(u->mem, start, p->bytes, PAGE) < 0)
		return NULL;
	m = imp_maps_find(u->maps, start);
	p->stays = m && m->object != UINT32_MAX && !m->write;
	p->address = start;
	return p->bytes;
}

static bool read_bytes(struct imp_unwinder *u, uint64_t address, void *to, size_t len)
{
	while (len) {
		const size_t offset = (size_t)(address % PAGE);
		const size_t part = len < PAGE - offset ? len : PAGE - offset;
		const uint8_t *page = page_of(u, address);

		if (!page)
			return false;
		memcpy(to, page + offset, part);
		to = (uint8_t *)to + part;
		address += part;
		len -= part;
	}
	return true;
}

/* ---- objects ---------------------------------------------------------------------------------------------- */

static void find_table(struct imp_unwinder *u, struct known_object *k)
{
	uint8_t head[4];
	uint32_t count;

	/* LSB Core 5.0, section 10.6.2: what every linker writes. */
	if (!k->image.eh_frame_hdr || !read_bytes(u, k->image.eh_frame_hdr, head, sizeof(head)) ||
	    head[0] != 1 || head[1] != ENCODING_4 || head[2] != COUNT_4 || head[3] != TABLE_4 ||
	    !read_bytes(u, k->image.eh_frame_hdr + 8, &count, sizeof(count)))
		return;
	k->table = k->image.eh_frame_hdr + 12;
	k->entries = count;
}

static struct known_object *know(struct imp_unwinder *u, const struct imp_mapped_object *o)
{
	struct known_object *k;

	for (size_t i = 0; i < u->known.n; i++)
		if (u->known.v[i]->start == o->start)
			return u->known.v[i];
	k = imp_arena_alloc(&u->arena, sizeof(*k));
	k->start = o->start;
	if (imp_object_image_read(&k->image, &u->arena, u->mem, o->start, false) == 0)
		find_table(u, k);
	*imp_vec_push(&u->arena, &u->known) = k;
	return k;
}

const struct imp_object_image *imp_unwinder_image(struct imp_unwinder *u,
						  const struct imp_mapped_object *o)
{
	const struct known_object *k = know(u, o);

	return k->image.valid ? &k->image : NULL;
}

/* ---- what libunwind asks ------------------------------------------------------------------------------------ */

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need,
			  void *arg)
{
	struct imp_unwinder *u = arg;
	const struct imp_mapped_object *o = imp_maps_object(u->maps, ip);
	const struct known_object *k = o ? know(u, o) : NULL;
	unw_dyn_info_t di;

	if (!k || !k->entries)
		return -UNW_ENOINFO;
	memset(&di, 0, sizeof(di));
	di.format = UNW_INFO_FORMAT_REMOTE_TABLE;
	di.start_ip = o->start;
	di.end_ip = o->end;
	di.u.rti.segbase = k->image.eh_frame_hdr;
	di.u.rti.table_data = k->table;
	di.u.rti.table_len = k->entries * 8 / sizeof(unw_word_t);
	return search_unwind_table(as, ip, &di, pi, need, arg);
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *arg)
{
	(void)as;
	(void)pi;
	(void)arg;
}

static int no_dynamic_info(unw_addr_space_t as, unw_word_t *address, void *arg)
{
	(void)as;
	(void)address;
	(void)arg;
	return -UNW_ENOINFO;
}

static int access_memory(unw_addr_space_t as, unw_word_t address, unw_word_t *value, int write,
			 void *arg)
{
	(void)as;
	if (write || !read_bytes(arg, address, value, sizeof(*value)))
		return -UNW_EINVAL;
	return 0;
}

static int access_register(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *value, int write,
			   void *arg)
{
#if defined __x86_64__
	const struct imp_unwinder *u = arg;
	const struct user_regs_struct *r = u->regs;

	(void)as;
	if (write)
		return -UNW_EREADONLYREG;
	switch (reg) {
	case UNW_X86_64_RAX: *value = r->rax; return 0;
	case UNW_X86_64_RDX: *value = r->rdx; return 0;
	case UNW_X86_64_RCX: *value = r->rcx; return 0;
	case UNW_X86_64_RBX: *value = r->rbx; return 0;
	case UNW_X86_64_RSI: *value = r->rsi; return 0;
	case UNW_X86_64_RDI: *value = r->rdi; return 0;
	case UNW_X86_64_RBP: *value = r->rbp; return 0;
	case UNW_X86_64_RSP: *value = r->rsp; return 0;
	case UNW_X86_64_R8: *value = r->r8; return 0;
	case UNW_X86_64_R9: *value = r->r9; return 0;
	case UNW_X86_64_R10: *value = r->r10; return 0;
	case UNW_X86_64_R11: *value = r->r11; return 0;
	case UNW_X86_64_R12: *value = r->r12; return 0;
	case UNW_X86_64_R13: *value = r->r13; return 0;
	case UNW_X86_64_R14: *value = r->r14; return 0;
	case UNW_X86_64_R15: *value = r->r15; return 0;
	case UNW_X86_64_RIP: *value = r->rip; return 0;
	default: return -UNW_EBADREG;
	}
#else
	(void)as;
	(void)reg;
	(void)value;
	(void)write;
	(void)arg;
	return -UNW_EBADREG;
#endif
}

static int no_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *value, int write, void *arg)
{
	(void)as;
	(void)reg;
	(void)value;
	(void)write;
	(void)arg;
	return -UNW_EBADREG;
}

static int no_resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg)
{
	(void)as;
	(void)cursor;
	(void)arg;
	return -UNW_EINVAL;
}

static int no_name(unw_addr_space_t as, unw_word_t ip, char *name, size_t size, unw_word_t *offset,
		   void *arg)
{
	(void)as;
	(void)ip;
	(void)name;
	(void)size;
	(void)offset;
	(void)arg;
	return -UNW_ENOINFO;
}

/* ---- unwinding ---------------------------------------------------------------------------------------------- */

struct imp_unwinder *imp_unwinder_new(const struct imp_memory *mem, const struct imp_maps *maps)
{
	static unw_accessors_t accessors = {
		.find_proc_info = find_proc_info,
		.put_unwind_info = put_unwind_info,
		.get_dyn_info_list_addr = no_dynamic_info,
		.access_mem = access_memory,
		.access_reg = access_register,
		.access_fpreg = no_fpreg,
		.resume = no_resume,
		.get_proc_name = no_name,
	};
	struct imp_unwinder *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->mem = mem;
	u->maps = maps;
	u->space = unw_create_addr_space(&accessors, 0);
	if (!u->space) {
		free(u);
		return NULL;
	}
	unw_set_caching_policy(u->space, UNW_CACHE_GLOBAL);
	imp_unwinder_forget(u);
	return u;
}

void imp_unwinder_forget(struct imp_unwinder *u)
{
	for (size_t i = 0; i < SLOTS; i++)
		u->pages[i].address = 1;
	u->known.v = NULL;
	u->known.n = u->known.cap = 0;
	imp_arena_clear(&u->arena);
	unw_flush_cache(u->space, 0, 0);
}

void imp_unwinder_free(struct imp_unwinder *u)
{
	if (!u)
		return;
	unw_destroy_addr_space(u->space);
	imp_arena_clear(&u->arena);
	free(u);
}

size_t imp_unwind(struct imp_unwinder *u, const struct user_regs_struct *regs,
		  struct imp_frame *frames, size_t max, bool *whole)
{
	unw_cursor_t cursor;
	unw_proc_info_t info;
	unw_word_t pc = 0;
	size_t n;
	int step = 1;

	for (size_t i = 0; i < SLOTS; i++)
		if (!u->pages[i].stays)
			u->pages[i].address = 1;
	u->regs = regs;
	*whole = false;
	if (unw_init_remote(&cursor, u->space, u) < 0) {
		memset(frames, 0, sizeof(*frames));
		return 1;
	}
	for (n = 0; n < max && step > 0; n++) {
		struct imp_frame *f = &frames[n];

		memset(f, 0, sizeof(*f));
		if (unw_get_reg(&cursor, UNW_REG_IP, &pc) < 0)
			return n ? n : 1;
		if (n && !pc) { /* a thread's first function was called by nobody */
			*whole = true;
			return n;
		}
		f->pc = pc;
		f->object = imp_maps_object(u->maps, pc);
		f->signal = unw_is_signal_frame(&cursor) > 0;
		/* Without a table, libunwind would guess by frame pointers, and the guess looks like an answer. */
		if (unw_get_proc_info(&cursor, &info) < 0)
			return n + 1;
		f->function = info.start_ip;
		step = unw_step(&cursor);
	}
	*whole = step >= 0;
	return n;
}
