// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stdlib.h>
#include <string.h>

#include "preload/call_as_caller.h"
#include "preload/return_gadget.h"

#if defined __x86_64__

/* ---- an object made by hand ------------------------------------------------------------------------- */

enum { CODE = 0x200, HEADER = 0x400, FRAMES = 0x440, SIZE = 0x600 };

struct image {
	uint8_t bytes[SIZE];
	ElfW(Phdr) phdr[2];
	size_t used; /* of FRAMES */
	size_t cie;
	uint32_t count;
};

static void put32(struct image *m, size_t at, uint32_t value)
{
	memcpy(m->bytes + at, &value, sizeof(value));
}

static void begin(struct image *m, const char *augmentation, const void *initial, size_t initial_len)
{
	size_t len = strlen(augmentation) + 1, at = FRAMES;

	memset(m, 0, sizeof(*m));
	m->phdr[0] = (ElfW(Phdr)){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = SIZE, .p_memsz = SIZE};
	m->phdr[1] = (ElfW(Phdr)){
		.p_type = PT_GNU_EH_FRAME, .p_flags = PF_R, .p_vaddr = HEADER, .p_memsz = 12};
	memcpy(m->bytes + HEADER, "\x01\x1b\x03\x3b", 4);
	/* CIE: length, id 0, version 1, augmentation, code 1, data -8, column 16, its data, instructions */
	at += 8;
	m->bytes[at++] = 1;
	memcpy(m->bytes + at, augmentation, len);
	at += len;
	memcpy(m->bytes + at, "\x01\x78\x10\x01\x1b", 5);
	at += 5;
	memcpy(m->bytes + at, initial, initial_len);
	at += initial_len;
	at = (at + 3) & ~(size_t)3;
	put32(m, FRAMES, (uint32_t)(at - FRAMES - 4));
	m->used = at;
	m->cie = FRAMES;
}

static const uint8_t usual[] = {0x0c, 7, 8, 0x90, 1}; /* CFA = rsp + 8, the return address below it */

static void add(struct image *m, size_t code, const void *text, size_t text_len,
		const void *program, size_t len)
{
	const size_t start = m->used;
	size_t at = start + 4;

	memcpy(m->bytes + code, text, text_len);
	put32(m, at, (uint32_t)(at - m->cie));
	at += 4;
	put32(m, at, (uint32_t)(code - at));
	put32(m, at + 4, (uint32_t)text_len);
	at += 8;
	m->bytes[at++] = 0;
	memcpy(m->bytes + at, program, len);
	at = (at + len + 3) & ~(size_t)3;
	put32(m, start, (uint32_t)(at - start - 4));
	put32(m, HEADER + 12 + 8 * m->count, (uint32_t)(code - HEADER));
	put32(m, HEADER + 16 + 8 * m->count, (uint32_t)(start - HEADER));
	put32(m, HEADER + 8, ++m->count);
	m->used = at;
}

/* Offset of the gadget, -1 where there is none, -2 where there is only a blind one. */
static long find(struct image *m, struct imp_return_gadget *g)
{
	if (imp_return_gadget_find(g, (ElfW(Addr))m->bytes, m->phdr, 2) < 0)
		return -1;
	return g->blind ? -2 : (const uint8_t *)g->address - m->bytes;
}

#define BEGIN(m) begin(m, "zR", usual, sizeof(usual))
#define ADD(m, code, text, program) \
	add(m, code, text, sizeof(text) - 1, program, sizeof(program) - 1)

static void test_leaf(void **state)
{
	struct imp_return_gadget g;
	struct image m;

	(void)state;
	BEGIN(&m);
	ADD(&m, CODE, "\x31\xc0\xc3", ""); /* xor %eax, %eax; ret */
	assert_int_equal(find(&m, &g), CODE + 2);
	assert_int_equal(g.words, 0);
	assert_false(g.framed);
	/* The byte before it must be the function's. */
	BEGIN(&m);
	ADD(&m, CODE, "\xc3", "");
	assert_int_equal(find(&m, &g), -2);
}

/* push %rbp; sub $16; nop; add $16; pop %rbp; ret, with the rows that a compiler writes. */
static void test_epilogue(void **state)
{
	struct imp_return_gadget g;
	struct image m;

	(void)state;
	BEGIN(&m);
	ADD(&m, CODE, "\x55\x48\x83\xec\x10\x90\x48\x83\xc4\x10\x5d\xc3",
	    "\x41\x0e\x10\x86\x02\x44\x0e\x20\x45\x0e\x10\x41\x0e\x08");
	assert_int_equal(find(&m, &g), CODE + 6);
	assert_int_equal(g.words, 3);
	assert_int_equal(g.ret, 5);
	assert_false(g.framed);
	/* pop %r12; pop %rbx; ret, from a row that says 24 bytes */
	BEGIN(&m);
	ADD(&m, CODE, "\x41\x54\x53\x90\x41\x5c\x5b\xc3",
	    "\x42\x0e\x10\x41\x0e\x18\x43\x0e\x10\x41\x0e\x08");
	assert_int_equal(find(&m, &g), CODE + 4);
	assert_int_equal(g.words, 2);
	/* pop %rax would overwrite the result; pop %rsp would be the end */
	BEGIN(&m);
	ADD(&m, CODE, "\x50\x90\x90\x58\xc3", "\x41\x0e\x10\x43\x0e\x08");
	assert_int_equal(find(&m, &g), -2);
	BEGIN(&m);
	ADD(&m, CODE, "\x50\x90\x90\x5c\xc3", "\x41\x0e\x10\x43\x0e\x08");
	assert_int_equal(find(&m, &g), -2);
}

/* push %rbp; mov %rsp, %rbp; nop; leave; ret */
static void test_frame_pointer(void **state)
{
	struct imp_return_gadget g;
	struct image m;

	(void)state;
	BEGIN(&m);
	ADD(&m, CODE, "\x55\x48\x89\xe5\x90\xc9\xc3",
	    "\x41\x0e\x10\x86\x02\x43\x0d\x06\x42\x0c\x07\x08");
	assert_int_equal(find(&m, &g), CODE + 5);
	assert_true(g.framed);
	assert_int_equal(g.words, 1);
}

static void test_not_to_be_used(void **state)
{
	static const uint8_t no_return[] = {0x0c, 7, 8, 0x07,
					    16}; /* as _start: the stack ends here */
	static const uint8_t elsewhere[] = {0x0c, 7, 8, 0x90, 2};
	struct imp_return_gadget g;
	struct image m;

	(void)state;
	begin(&m, "zR", no_return, sizeof(no_return));
	ADD(&m, CODE, "\x31\xc0\xc3", "");
	assert_int_equal(find(&m, &g), -2);
	begin(&m, "zR", elsewhere, sizeof(elsewhere));
	ADD(&m, CODE, "\x31\xc0\xc3", "");
	assert_int_equal(find(&m, &g), -2);
	/* a personality routine, a signal frame */
	begin(&m, "zP", usual, sizeof(usual));
	ADD(&m, CODE, "\x31\xc0\xc3", "");
	assert_int_equal(find(&m, &g), -2);
	begin(&m, "zRS", usual, sizeof(usual));
	ADD(&m, CODE, "\x31\xc0\xc3", "");
	assert_int_equal(find(&m, &g), -2);
	/* the function says itself that the return address is undefined */
	BEGIN(&m);
	ADD(&m, CODE, "\x31\xc0\xc3", "\x07\x10");
	assert_int_equal(find(&m, &g), -2);
	/* a CFA that is an expression */
	BEGIN(&m);
	ADD(&m, CODE, "\x31\xc0\xc3", "\x0f\x02\x77\x08");
	assert_int_equal(find(&m, &g), -2);
	/* the second function will do */
	BEGIN(&m);
	ADD(&m, CODE, "\x31\xc0\xc3", "\x07\x10");
	ADD(&m, CODE + 16, "\x90\x90\xc3", "");
	assert_int_equal(find(&m, &g), CODE + 18);
	/* no code that may be read */
	m.phdr[0].p_flags = PF_X;
	assert_int_equal(find(&m, &g), -1);
	m.phdr[0].p_flags = PF_R;
	assert_int_equal(find(&m, &g), -1);
}

static void test_unwinds(void **state)
{
	struct image m;
	ElfW(Addr) base = (ElfW(Addr))m.bytes;

	(void)state;
	BEGIN(&m);
	ADD(&m, CODE, "\x31\xc0\xc3", "");
	ADD(&m, CODE + 16, "\x90\x90\xc3", "");
	assert_false(imp_return_gadget_unwinds(base + CODE, base, m.phdr, 2));
	assert_true(imp_return_gadget_unwinds(base + CODE + 1, base, m.phdr, 2));
	assert_true(imp_return_gadget_unwinds(base + CODE + 3, base, m.phdr, 2));
	assert_false(imp_return_gadget_unwinds(base + CODE + 4, base, m.phdr, 2));
	assert_true(imp_return_gadget_unwinds(base + CODE + 17, base, m.phdr, 2));
	assert_false(imp_return_gadget_unwinds(base + CODE + 30, base, m.phdr, 2));
	assert_false(imp_return_gadget_unwinds(base + CODE + 1, base, m.phdr, 1));
}

/* Damaged tables lead nowhere, and never outside the object (the sanitizers look). */
static void test_damaged(void **state)
{
	struct imp_return_gadget g;
	struct image good, *m = malloc(sizeof(*m));
	unsigned int i, j, found = 0;

	(void)state;
	BEGIN(&good);
	ADD(&good, CODE, "\x31\xc0\xc3", "\x07\x10");
	ADD(&good, CODE + 16, "\x55\x48\x83\xec\x10\x90\x48\x83\xc4\x10\x5d\xc3",
	    "\x41\x0e\x10\x86\x02\x44\x0e\x20\x45\x0e\x10\x41\x0e\x08");
	srand(7);
	for (i = 0; i < 100003; i++) {
		*m = good;
		for (j = 0; j < 1 + i % 5; j++)
			m->bytes[HEADER + (size_t)rand() % (SIZE - HEADER)] = (uint8_t)rand();
		if (find(m, &g) < 0)
			continue;
		found++;
		assert_in_range((uintptr_t)g.address, (uintptr_t)m->bytes,
				(uintptr_t)m->bytes + SIZE - 1);
		assert_int_equal(((const uint8_t *)g.address)[g.ret], 0xc3);
	}
	assert_true(found > 1000);
	free(m);
}

/* ---- gadgets of all objects of this process, used --------------------------------------------------- */

static struct imp_return_gadget chosen;
static const void *seen_caller;
static int left;
static void *frames[64];
static int frame_count;

int call_through(long a, long b, long c, long d);

__attribute__((noinline)) static int real_function(long a, long b, long c, long d)
{
	seen_caller = __builtin_return_address(0);
	frame_count = backtrace(frames, 64);
	return (int)(a + 10 * b + 100 * c + 1000 * d);
}

static enum imp_call_route enter(struct imp_call *c)
{
	c->target = (void *)real_function;
	c->gadget = chosen.address;
	c->words = chosen.words;
	c->framed = chosen.framed;
	if (c->no_detour || !chosen.address)
		return IMP_CALL_JUMP;
	c->private[4] = 4711;
	return IMP_CALL_RETURN;
}

static void leave(struct imp_call *c)
{
	assert_int_equal(c->private[4], 4711);
	assert_int_equal(c->args[3], 4);
	left++;
	c->result += 5;
}

static const struct imp_interposer call_through_interposer __attribute__((used)) = {enter, leave};
IMP_INTERPOSE(call_through, call_through_interposer);

static int try_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	unsigned int *tried = arg;
	const void *self = __builtin_return_address(0);
	int result, i;
	long kept[3] = {rand(), rand(), rand()};

	(void)size;
	assert_int_equal(imp_return_gadget_find(&chosen, info->dlpi_addr, info->dlpi_phdr,
						info->dlpi_phnum),
			 0);
	assert_false(chosen.blind);
	left = 0;
	result = call_through(1, 2, 3, 4);
	assert_int_equal(left, 1);
	assert_int_equal(result, 4321 + 5);
	assert_ptr_equal(seen_caller, chosen.address);
	assert_true(kept[0] >= 0 && kept[1] >= 0 && kept[2] >= 0);
	/* An unwinder comes through it, and back to whoever called this function. */
	for (i = 0; i < frame_count && frames[i] != self; i++)
		;
	assert_true(i < frame_count);
	assert_true(frame_count < 64);
	++*tried;
	return 0;
}

static void test_use(void **state)
{
	unsigned int tried = 0;

	(void)state;
	dl_iterate_phdr(try_object, &tried);
	assert_true(tried >= 4);
}

static void test_jump(void **state)
{
	(void)state;
	chosen.address = NULL;
	left = 0;
	assert_int_equal(call_through(4, 3, 2, 1), 1234);
	assert_int_equal(left, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaf),	      cmocka_unit_test(test_epilogue),
		cmocka_unit_test(test_frame_pointer), cmocka_unit_test(test_not_to_be_used),
		cmocka_unit_test(test_unwinds),	      cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_use),	      cmocka_unit_test(test_jump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_none(void **state)
{
	struct imp_return_gadget g;

	(void)state;
	assert_int_equal(imp_return_gadget_find(&g, 0, NULL, 0), -ENOENT);
	assert_null(g.address);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_none)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
