// SPDX-License-Identifier: GPL-2.0-or-later
#include "got_object.h"

#include <elf.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "raw_syscall.h"

#include "poison.h"

struct imp_got_range imp_got_extent(ElfW(Addr) base, const ElfW(Phdr) * phdr, size_t phnum)
{
	struct imp_got_range r = {.low = ~(ElfW(Addr))0};

	for (size_t i = 0; i < phnum; i++) {
		if (phdr[i].p_type != PT_LOAD)
			continue;
		if (base + phdr[i].p_vaddr < r.low)
			r.low = base + phdr[i].p_vaddr;
		if (base + phdr[i].p_vaddr + phdr[i].p_memsz > r.high)
			r.high = base + phdr[i].p_vaddr + phdr[i].p_memsz;
	}
	return r;
}

bool imp_got_range_has(const struct imp_got_range *r, const void *address)
{
	return (ElfW(Addr))address >= r->low && (ElfW(Addr))address < r->high;
}

static const void *dynamic_pointer(const struct imp_got_range *object, ElfW(Addr) base,
				   ElfW(Addr) value)
{
	/* glibc adds the load bias in memory, others do not: elf_symbols.c. */
	if (imp_got_range_has(object, (const void *)value))
		return (const void *)value;
	return imp_got_range_has(object, (const void *)(base + value)) ?
		       (const void *)(base + value) :
		       NULL;
}

bool imp_got_object_open(struct imp_got_object *o, ElfW(Addr) base, const ElfW(Phdr) * phdr,
			 size_t phnum)
{
	const ElfW(Addr) page = getauxval(AT_PAGESZ);
	const ElfW(Dyn) *dyn = NULL;

	memset(o, 0, sizeof(*o));
	if (imp_elf_symbols_open(&o->symbols, base, phdr, phnum) < 0)
		return false;
	o->object = imp_got_extent(base, phdr, phnum);
	for (size_t i = 0; i < phnum; i++) {
		if (phdr[i].p_type == PT_DYNAMIC)
			dyn = (const void *)(base + phdr[i].p_vaddr);
		if (phdr[i].p_type != PT_GNU_RELRO)
			continue;
		/* As _dl_protect_relro() rounds it. */
		o->read_only.low = (base + phdr[i].p_vaddr) & ~(page - 1);
		o->read_only.high = (base + phdr[i].p_vaddr + phdr[i].p_memsz) & ~(page - 1);
	}
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		switch (dyn->d_tag) {
		case DT_RELA: o->rela = dynamic_pointer(&o->object, base, dyn->d_un.d_ptr); break;
		case DT_RELASZ: o->rela_count = dyn->d_un.d_val / sizeof(*o->rela); break;
		case DT_RELACOUNT: o->relative_count = dyn->d_un.d_val; break;
		case DT_JMPREL: o->plt = dynamic_pointer(&o->object, base, dyn->d_un.d_ptr); break;
		case DT_PLTRELSZ: o->plt_count = dyn->d_un.d_val / sizeof(*o->plt); break;
		default: break;
		}
	}
	if (!o->rela || o->relative_count > o->rela_count)
		o->rela_count = o->relative_count = 0;
	if (!o->plt)
		o->plt_count = 0;
	return o->rela_count || o->plt_count;
}

/*
 * How many symbols to look at. What an object does not define stands before the first that the GNU hash
 * table knows; but in a program that takes a function's address by its own PLT entry, it is among those.
 */
uint32_t imp_got_object_symbols(const struct imp_got_object *o, bool all)
{
	const struct imp_elf_symbols *s = &o->symbols;
	const uint32_t *hash = s->gnu_hash, *buckets, *chains;
	uint32_t last = 0;

	if (!hash)
		return s->sysv_hash[1];
	if (!all)
		return hash[1];
	buckets = (const uint32_t *)((const ElfW(Addr) *)(hash + 4) + hash[2]);
	chains = buckets + hash[0];
	for (uint32_t i = 0; i < hash[0]; i++)
		if (buckets[i] > last)
			last = buckets[i];
	if (last < hash[1])
		return hash[1];
	while (!(chains[last - hash[1]] & 1))
		last++;
	return last + 1;
}

bool imp_got_object_unlock(struct imp_got_object *o, const void *at)
{
	const struct imp_got_range *r = &o->read_only;

	if (!imp_got_range_has(r, at) || o->writable)
		return true;
	o->writable = imp_sys(SYS_mprotect, (long)r->low, (long)(r->high - r->low),
			      PROT_READ | PROT_WRITE, 0, 0) == 0;
	return o->writable;
}

void imp_got_object_lock(struct imp_got_object *o)
{
	const struct imp_got_range *r = &o->read_only;

	if (o->writable)
		imp_sys(SYS_mprotect, (long)r->low, (long)(r->high - r->low), PROT_READ, 0, 0);
	o->writable = false;
}
