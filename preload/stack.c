/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stack.h"

#include <dlfcn.h>

#include "call_as_caller.h"
#include "cfi_step.h"
#include "recorder.h"

#include "poison.h"

#define STEPS_MAX 256

struct frames {
	unsigned int count;
	struct {
		uint32_t object;
		uint64_t offset;
	} at[IMP_STACK_MAX];
};

/* ld.so's own idea of what lies at an address, lock-free; since glibc 2.35. */
extern int _dl_find_object(void *address, struct dl_find_object *result) __attribute__((weak));

/* What we know may have been unloaded past us; its tables would be read then. */
static bool find_object(uint64_t pc, struct imp_mapped *o)
{
	struct dl_find_object found;

	if (!imp_objects_get((const void *)pc, o))
		return false;
	if (!_dl_find_object)
		return true;
	return _dl_find_object((void *)pc, &found) == 0 &&
	       (ElfW(Addr))found.dlfo_map_start <= o->start &&
	       (ElfW(Addr))found.dlfo_map_end == o->end;
}

/*
 * A frame of call_as_caller was returned to through a gadget, which looks like a frame of the caller's
 * object and is none.
 */
static bool through_gadget(uint64_t pc)
{
	return pc > (uintptr_t)imp_call_as_caller && pc < (uintptr_t)imp_call_as_caller_end;
}

static void add(struct frames *f, uint32_t object, uint64_t offset)
{
	f->at[f->count].object = object;
	f->at[f->count].offset = offset;
	f->count++;
}

/* Not inlined: its frame is where the walk begins. */
static void __attribute__((noinline)) collect(struct frames *f, void *memory)
{
	struct imp_mapped own, o;
	struct imp_cfi_cursor c;
	bool ours = true; /* the frame before */
	unsigned int steps;

	f->count = 0;
	if (!find_object((uintptr_t)collect, &own))
		return;
	imp_cfi_here(&c);
	imp_cfi_use_memory(&c, memory);
	for (steps = 0; steps < STEPS_MAX && f->count < IMP_STACK_MAX; steps++) {
		const uint64_t pc = c.reg[IMP_CFI_PC];
		const bool known = find_object(pc - !c.exact, &o);

		if (known && o.start == own.start) {
			if (!ours && f->count && through_gadget(pc))
				f->count--;
			ours = true;
		} else {
			ours = false;
			add(f, known ? o.id : 0, known && o.id ? pc - o.base : pc);
		}
		if (known && imp_cfi_step(&c, &o) == 0)
			continue;
		/* One that unwinders do not find their way through ends the walk. */
		if (known && !ours && o.gadget.blind && pc == (uintptr_t)o.gadget.address)
			f->count--;
		break;
	}
}

static void record(struct imp_thread *t, unsigned int key, uint32_t id)
{
	struct imp_cbor *c;
	struct frames f;
	unsigned int i;

	collect(&f, t->scratch); /* no event is being encoded yet */
	if (!f.count)
		return;
	c = imp_record_begin(t, IMP_EV_NATIVE_STACK);
	imp_put_number(t, key, id);
	imp_put_array(c, IMP_KEY_FRAMES);
	for (i = 0; i < f.count; i++) {
		imp_cbor_array_begin(c);
		imp_cbor_uint(c, f.at[i].object);
		imp_cbor_uint(c, f.at[i].offset);
		imp_cbor_array_end(c);
	}
	imp_cbor_array_end(c);
	imp_record_end(t);
}

void imp_stack_record_load(struct imp_thread *t, uint32_t call, bool failed)
{
	if (imp_options.stacks == IMP_ALL || (failed && imp_options.stacks == IMP_FAILURES))
		record(t, IMP_KEY_CALL, call);
}

void imp_stack_record_import(struct imp_thread *t, uint32_t import, bool failed, bool from_c)
{
	if (imp_options.stacks == IMP_ALL ||
	    (failed && (from_c || t->extension_depth) && imp_options.stacks == IMP_FAILURES))
		record(t, IMP_KEY_IMPORT, import);
}
