/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#if IMP_HAVE_BPF && defined __x86_64__

#include <elf.h>
#include <string.h>

#include "probe/probe_calls.h"

#define BASE   0x400000 /* address of the file's first byte */
#define CALLEE 128	/* offsets in the file */
#define CALLER 144
#define SIZE   256
#define CALL   5 /* bytes of the call instruction */

/* An object whose function at CALLER calls the one at CALLEE, goes on with @code, and returns. */
static void make_object(uint8_t file[SIZE], const char *code, size_t len)
{
	Elf64_Ehdr head = {.e_phoff = sizeof(head), .e_phnum = 1, .e_phentsize = sizeof(Elf64_Phdr)};
	Elf64_Phdr all = {.p_type = PT_LOAD, .p_vaddr = BASE, .p_filesz = SIZE};
	const int32_t distance = CALLEE - (CALLER + CALL);

	memset(file, 0xcc, SIZE);
	memcpy(file, &head, sizeof(head));
	memcpy(file + sizeof(head), &all, sizeof(all));
	file[CALLEE] = 0xc3;
	file[CALLER] = 0xe8;
	memcpy(file + CALLER + 1, &distance, sizeof(distance));
	memcpy(file + CALLER + CALL, code, len);
	file[CALLER + CALL + len] = 0xc3;
}

#define CODE(text) text, sizeof(text) - 1

/* Where the probe behind the call is put: @behind bytes of code are stepped over. */
static void test_landing(void **state)
{
	static const struct {
		const char *code;
		size_t len, behind;
	} cases[] = {
		/* what the kernel emulates, at once */
		{CODE("\x90"), 0},
		{CODE("\x75\x00"), 0},
		{CODE("\x0f\x84\x00\x00\x00\x00"), 0},
		{CODE("\xeb\x00"), 0},
		{CODE("\x53\x5b"), 0},
		/* mov %rax,%r10; jne: Debian's */
		{CODE("\x49\x89\xc2\x75\x00"), 3},
		/* cmpw $0,1(%rip); mov %rax,%r10; jne */
		{CODE("\x66\x83\x3d\x01\x00\x00\x00\x00\x49\x89\xc2\x75\x00"), 11},
		/* mov %rax,%r15; test %r15,%r15; jne */
		{CODE("\x49\x89\xc7\x4d\x85\xff\x75\x00"), 6},
		/* nopl (%rax), which older kernels do not emulate; push %r12; pop %r12 */
		{CODE("\x0f\x1f\x00\x41\x54\x41\x5c"), 3},
		/* xchg %ax,%ax: the prefix would be refused */
		{CODE("\x66\x90\x90"), 2},
		/* mov %rax,%rbp; mov 8(%rsp),%rax; jne: the result is gone */
		{CODE("\x48\x89\xc5\x48\x8b\x44\x24\x08\x75\x00"), 0},
		/* xor %eax,%eax; jne */
		{CODE("\x31\xc0\x75\x00"), 0},
		/* sete %al; jne */
		{CODE("\x0f\x94\xc0\x75\x00"), 0},
		/* pop %rbx; jne: the stack pointer is what tells whose return it is */
		{CODE("\x5b\x75\x00"), 0},
		/* add $8,%rsp; jne */
		{CODE("\x48\x83\xc4\x08\x75\x00"), 0},
		/* call *%rbx; jne: not emulated, and another result */
		{CODE("\xff\xd3\x75\x00"), 0},
		/* nothing but the return */
		{CODE(""), 0},
		/* too far away */
		{CODE("\x85\xc0\x85\xc0\x85\xc0\x85\xc0\x85\xc0\x85\xc0\x85\xc0\x85\xc0\x85\xc0\x90"),
		 0},
	};
	struct imp_probe_call_site sites[IMP_PROBE_CALLS_MAX];
	uint8_t file[SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_object(file, cases[i].code, cases[i].len);
		assert_int_equal(imp_probe_calls((const char *)file, SIZE, BASE + CALLER,
						 BASE + CALLEE, "callee", sites),
				 1);
		assert_int_equal(sites[0].call, CALLER);
		if (sites[0].next != CALLER + CALL + cases[i].behind)
			fail_msg("case %zu: %d bytes behind the call", i,
				 (int)(sites[0].next - CALLER - CALL));
	}
}

/* A call at the very end of what the file has. */
static void test_end_of_file(void **state)
{
	struct imp_probe_call_site sites[IMP_PROBE_CALLS_MAX];
	uint8_t file[SIZE];

	(void)state;
	make_object(file, CODE(""));
	for (size_t len = CALLER; len <= CALLER + CALL; len++)
		assert_int_equal(imp_probe_calls((const char *)file, len, BASE + CALLER,
						 BASE + CALLEE, "callee", sites),
				 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_landing),
		cmocka_unit_test(test_end_of_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_not_here(void **state)
{
	(void)state;
	skip(); /* built without probes, or another machine: the probe stays right behind the call */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_not_here)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
